//! Rows that are appended and may not be marked yet: they stand in the position, so that an agent that was killed marks them first.
//!
//! Each is written as a list: its id, its version where that is configured, and what tells its content from another one's.

use serde::{Deserialize, Serialize};

use super::compare::hash;
use super::page::Page;
use super::place::written_bytes;

/// A row that is appended and may not be marked yet.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Vec<Option<String>>", into = "Vec<Option<String>>")]
pub(super) struct Open {
    pub(super) id: String,
    pub(super) version: Option<String>,
    /// Eight digits, of all its columns: of 4,294,967,296 other rows with its id, one has the same. Empty: not known.
    pub(super) content: String,
}

impl Open {
    /// A page's row.
    pub(super) fn of(page: &Page, row: usize, id: &str, version: Option<&str>) -> Self {
        let all: Vec<_> = (0..page.columns.len()).collect();
        let content = hash(page, row, &all) as u32;
        Self {
            id: id.to_owned(),
            version: version.map(str::to_owned),
            content: format!("{content:08x}"),
        }
    }

    /// Bytes that it takes in a position.
    pub(super) fn written_bytes(&self) -> usize {
        let version = self.version.as_deref().map_or(5, written_bytes);
        written_bytes(&self.id) + version + written_bytes(&self.content) + 2
    }
}

impl From<Open> for Vec<Option<String>> {
    fn from(open: Open) -> Self {
        let content = Some(open.content).filter(|content| !content.is_empty());
        vec![Some(open.id), open.version, content]
    }
}

impl TryFrom<Vec<Option<String>>> for Open {
    type Error = &'static str;

    fn try_from(list: Vec<Option<String>>) -> Result<Self, Self::Error> {
        let mut parts = list.into_iter();
        let id = parts.next().flatten().ok_or("a row without an id")?;
        Ok(Self {
            id,
            version: parts.next().flatten(),
            content: parts.next().flatten().unwrap_or_default(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::super::page::Column;
    use super::super::value::Kind;
    use super::*;

    #[test]
    fn a_row_is_written_as_a_list_and_has_the_bytes_that_it_says() {
        let column = |name: &str| Column {
            name: name.into(),
            kind: Kind::Text,
        };
        let mut page = Page::new(vec![column("id"), column("note")]);
        for (id, note) in [("1", "a"), ("1", "b"), ("\"\u{1}", "a")] {
            page.text(id);
            page.text(note);
        }
        let open =
            |row: usize, version| Open::of(&page, row, page.get(row, 0).expect("an id"), version);
        assert_eq!(open(0, None), open(0, None));
        assert_ne!(open(0, None).content, open(1, None).content);
        for open in [open(0, None), open(2, Some("7\\"))] {
            let text = serde_json::to_string(&open).expect("JSON");
            assert_eq!(text.len() + 1, open.written_bytes(), "{text}");
            assert_eq!(serde_json::from_str::<Open>(&text).expect("a row"), open);
        }
        // One of before.
        let known: Open = serde_json::from_str(r#"["812",null]"#).expect("a row");
        assert_eq!((&*known.id, &*known.content), ("812", ""));
        assert!(serde_json::from_str::<Open>("[]").is_err());
    }
}
