//! The columns that stand behind the prints of a place, in a file of the flow's own folder.
//!
//! A place is written with every append, so it holds prints alone. With this file an agent that starts again can say *how* a table differs from
//! what it was; without it, that it does. So nothing depends on it: it is not synced, and where it can't be read or written that is a warning.
//!
//! ```text
//! schemas.json   {"public.stock":[[{"name":"sku","kind":"text","is_key":true}, …], …]}   the last two shapes, the newest last
//! ```

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::{fs, io};

use crate::schema::{Described, print};

const FILE: &str = "schemas.json";
/// Of one table: the newest may have been noted and not appended.
const SHAPES_MAX: usize = 2;

/// What tables looked like.
#[derive(Debug, Default)]
pub(crate) struct Shapes {
    /// `None`: nothing is kept.
    folder: Option<PathBuf>,
    tables: BTreeMap<String, Vec<Vec<Described>>>,
}

impl Shapes {
    /// Those that are kept in this folder.
    pub(crate) fn kept_in(folder: &Path) -> Self {
        let file = folder.join(FILE);
        let read = fs::read(&file).and_then(|json| Ok(serde_json::from_slice(&json)?));
        let tables = read.unwrap_or_else(|error| {
            if error.kind() != io::ErrorKind::NotFound {
                tracing::warn!(file = %file.display(), %error, "what tables looked like can't be read");
            }
            BTreeMap::new()
        });
        Self {
            folder: Some(folder.to_owned()),
            tables,
        }
    }

    /// Whether any are kept there: then a flow has read before.
    pub(crate) fn is_kept_in(folder: &Path) -> bool {
        folder.join(FILE).exists()
    }

    /// The columns of a table behind this print.
    pub(crate) fn behind(&self, table: &str, wanted: &str) -> Option<&[Described]> {
        let shapes = self.tables.get(table)?.iter();
        let mut shapes = shapes.filter(|columns| print(columns) == wanted);
        shapes.next_back().map(Vec::as_slice)
    }

    /// Keeps a table's columns.
    pub(crate) fn note(&mut self, table: &str, columns: &[Described]) {
        let shapes = self.tables.entry(table.to_owned()).or_default();
        shapes.retain(|known| known != columns);
        shapes.push(columns.to_vec());
        if shapes.len() > SHAPES_MAX {
            shapes.remove(0);
        }
        if let Some(Err(error)) = self.folder.as_ref().map(|folder| self.write(folder)) {
            tracing::warn!(%error, "what tables look like can't be kept");
        }
    }

    fn write(&self, folder: &Path) -> io::Result<()> {
        fs::create_dir_all(folder)?;
        let new = folder.join(format!("{FILE}.new"));
        fs::write(&new, serde_json::to_vec(&self.tables)?)?;
        fs::rename(&new, folder.join(FILE))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_two_shapes_are_found_by_their_prints_also_by_another_agent() {
        let folder = tempfile::tempdir().expect("a folder");
        let own = folder.path().join("stock");
        let shape = |name: &str| {
            vec![Described {
                name: name.into(),
                kind: "text".into(),
                is_key: true,
            }]
        };
        let [a, b, c] = ["a", "b", "c"].map(shape);
        let mut shapes = Shapes::kept_in(&own);
        for columns in [&a, &b, &a, &c] {
            shapes.note("public.stock", columns);
        }
        for shapes in [shapes, Shapes::kept_in(&own)] {
            let behind = |columns: &[Described]| shapes.behind("public.stock", &print(columns));
            assert_eq!(behind(&a), Some(&a[..]));
            assert_eq!(behind(&b), None);
            assert_eq!(behind(&c), Some(&c[..]));
            assert_eq!(shapes.behind("public.other", &print(&a)), None);
        }
        fs::write(own.join(FILE), "no JSON").expect("a file");
        assert_eq!(
            Shapes::kept_in(&own).behind("public.stock", &print(&a)),
            None
        );
    }
}
