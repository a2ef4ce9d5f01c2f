//! A page's rows as records.
//!
//! A record has the columns of its row, and:
//!
//! | column | what it holds |
//! |---|---|
//! | `_op` | what the table's own column says, by the codes that are configured; `read` without one |
//! | `_position` | the value that the row was found by: its id, its transaction, its time |

use std::sync::Arc;

use dray_adapter::{REJECT_BYTES_MAX, Records, Reject, RejectStage, Shape};
use sha2::{Digest as _, Sha256};

use super::config::{OpConfig, SqlConfig};
use super::page::{CELL_BYTES_MAX, Cell, Page};
use super::value;
use crate::columns::Taken;
use crate::rows::{Op, Rows};

/// Names behind those of the row.
pub(super) const ABOUT: [&str; 2] = ["_op", "_position"];

/// What becomes of rows.
pub(super) struct Table {
    name: String,
    pub(super) shape: Arc<Shape>,
    pub(super) taken: Vec<Taken>,
    op: Option<usize>,
}

/// Rows, each with its number, what was done and where it was found.
pub(super) struct Made {
    pub(super) records: Records,
    pub(super) rejects: Vec<Reject>,
}

/// One of a page's rows.
#[derive(Debug, Clone)]
pub(super) struct Picked {
    pub(super) row: usize,
    /// Its number in the batch's scope.
    pub(super) ordinal: u64,
    /// What was done to it, where the mode knows that.
    pub(super) op: Option<Op>,
}

impl Table {
    /// # Errors
    /// A sentence: a column is named that the page does not have.
    pub(super) fn new(config: &SqlConfig, page: &Page) -> Result<Self, String> {
        let name = config.record_type().to_owned();
        let names: Vec<&str> = page
            .columns
            .iter()
            .map(|column| column.name.as_str())
            .collect();
        let taken = config.wanted().of(&name, &names)?;
        let op = config.op.as_ref();
        let op = op
            .map(|op| page.place("op.column", &op.column))
            .transpose()?;
        let columns = taken.iter().map(|column| column.name.clone());
        let shape = Arc::new(Shape {
            record_type: name.clone(),
            columns: columns.chain(ABOUT.map(str::to_owned)).collect(),
        });
        Ok(Self {
            name,
            shape,
            taken,
            op,
        })
    }

    /// Of a table whose rows are put otherwise.
    pub(super) fn of(shape: Arc<Shape>, taken: Vec<Taken>) -> Self {
        Self {
            name: shape.record_type.clone(),
            shape,
            taken,
            op: None,
        }
    }

    /// The rows as records; what is none is a dead letter. `position`: the column that they were found by.
    pub(super) fn put(
        &self,
        config: &SqlConfig,
        page: &Page,
        picked: &[Picked],
        position: usize,
    ) -> Made {
        let mut rows = Rows::default();
        let mut rejects = Vec::new();
        for one in picked {
            let known = one.op.map_or_else(|| self.op(config, page, one.row), Ok);
            let told = known.and_then(|op| self.whole(page, one.row).map(|()| op));
            match told {
                Ok(op) => {
                    for column in &self.taken {
                        put_cell(&mut rows, page, one.row, column);
                    }
                    let found = page.get(one.row, position).unwrap_or_default();
                    rows.end_with(&self.shape, one.ordinal, &[op.word(), found]);
                }
                Err(reason) => {
                    rejects.push(self.reject(page, one, rows.len(), reason));
                }
            }
        }
        Made {
            records: rows.take(),
            rejects,
        }
    }

    /// What the row's own column says was done.
    fn op(&self, config: &SqlConfig, page: &Page, row: usize) -> Result<Op, String> {
        let (Some(at), Some(op)) = (self.op, &config.op) else {
            return Ok(Op::Read);
        };
        let code = page.get(row, at).unwrap_or_default().trim_end();
        op.of(code).ok_or_else(|| {
            format!(
                "\"{code}\" in the column {} is none of the codes that op names; add it to create, update or delete",
                op.column
            )
        })
    }

    /// Whether all that is taken of a row is there.
    pub(super) fn whole(&self, page: &Page, row: usize) -> Result<(), String> {
        let lost = self
            .taken
            .iter()
            .find_map(|column| match page.cell(row, column.at) {
                Cell::Lost(bytes) => Some((column, bytes)),
                Cell::Null | Cell::Unsaid | Cell::Text(_) => None,
            });
        let Some((column, bytes)) = lost else {
            return self.fits(page, row);
        };
        let long = bytes.map_or_else(
            || "is longer than the driver said, or no text".to_owned(),
            |bytes| format!("has {bytes} bytes"),
        );
        Err(format!(
            "the column {} of a row of {} {long}: it can't be taken whole (16 MiB at most); leave it out (without = [\"{}\"]) or shorten it",
            column.name, self.name, column.name
        ))
    }

    /// Whether an event has room for what is taken of a row.
    fn fits(&self, page: &Page, row: usize) -> Result<(), String> {
        let taken = self.taken.iter();
        let bytes = taken.map(|column| page.get(row, column.at).map_or(0, str::len));
        match bytes.sum::<usize>() {
            bytes if bytes > CELL_BYTES_MAX => Err(format!(
                "a row of {} has {bytes} bytes: it can't be taken whole (16 MiB at most); leave columns out by without, or shorten them",
                self.name
            )),
            _ => Ok(()),
        }
    }

    pub(super) fn reject(&self, page: &Page, one: &Picked, after: usize, reason: String) -> Reject {
        let mut raw = String::new();
        for column in &self.taken {
            if let (None, Some(text)) = (column.mask, page.get(one.row, column.at)) {
                raw.push_str(&column.name);
                raw.push('=');
                raw.push_str(text);
                raw.push('\t');
            }
        }
        let bytes = raw.into_bytes();
        let raw_bytes = bytes.len() as u64;
        let is_cut = bytes.len() > REJECT_BYTES_MAX;
        Reject {
            after,
            ordinal: one.ordinal,
            line: 0,
            stage: RejectStage::Decode,
            reason,
            raw_sha256: is_cut.then(|| Sha256::digest(&bytes).into()),
            raw: bytes[..bytes.len().min(REJECT_BYTES_MAX)].to_vec(),
            raw_bytes,
        }
    }
}

pub(super) fn put_cell(rows: &mut Rows, page: &Page, row: usize, column: &Taken) {
    let text = match page.cell(row, column.at) {
        Cell::Text(text) => text,
        Cell::Unsaid => return rows.unchanged(),
        Cell::Null | Cell::Lost(_) => return rows.null(),
    };
    let kind = page.columns[column.at].kind;
    rows.value(|out| match column.mask {
        Some(mask) => {
            let mut plain = String::new();
            value::put(&mut plain, kind, text);
            mask.put(out, &plain)
        }
        None => {
            value::put(out, kind, text);
            true
        }
    });
}

impl OpConfig {
    /// What a code says.
    pub(super) fn of(&self, code: &str) -> Option<Op> {
        let has = |codes: &[String]| codes.iter().any(|one| one == code);
        match () {
            () if has(&self.create) => Some(Op::Create),
            () if has(&self.update) => Some(Op::Update),
            () if has(&self.delete) => Some(Op::Delete),
            () => None,
        }
    }
}

/// Bits of a row's number that tell it from another one that stands at its place when the page is read again.
const HASH_BITS: u32 = 28;

/// The number of a row in its batch, of 40 bits: its place there, and what tells it from every other row and version. So a row that is read again
/// has the number that it had, and another one in its place has another.
pub(super) fn ordinal(place: usize, parts: &[&str]) -> u64 {
    let mut hash = Sha256::new();
    for part in parts {
        hash.update((part.len() as u64).to_le_bytes());
        hash.update(part);
    }
    let digest = hash.finalize();
    let hash = digest[..4]
        .iter()
        .fold(0, |number, byte| number << 8 | u64::from(*byte));
    (place as u64) << HASH_BITS | hash >> (32 - HASH_BITS)
}

#[cfg(test)]
mod tests {
    use dray_adapter::Value;

    use super::super::page::Column;
    use super::super::value::Kind;
    use super::*;

    fn config(text: &str) -> SqlConfig {
        let head = "kind = 'sql'\ndriver = 'sqlite'\nfile = 'f'\ntable = 'stock'\nmode = 'overlap'\nid = 'id'\n";
        toml::from_str(&format!("{head}{text}")).unwrap_or_else(|error| panic!("{error}: {text}"))
    }

    fn page() -> Page {
        let columns = [
            ("id", Kind::Integer),
            ("op", Kind::Text),
            ("at", Kind::Time),
            ("note", Kind::Text),
        ];
        let columns = columns.map(|(name, kind)| Column {
            name: name.into(),
            kind,
        });
        Page::new(columns.to_vec())
    }

    #[test]
    fn a_row_is_a_record_and_what_is_none_is_a_dead_letter() {
        let config = config(
            "without = ['op']\n[mask]\nnote = 'sha256'\n[op]\ncolumn = 'op'\ncreate = ['I']\nupdate = ['U', 'M']\ndelete = ['D']\n",
        );
        let mut page = page();
        for (id, op, note) in [
            ("1", "I", None),
            ("2", "X", Some("secret")),
            ("3", "M ", Some("abc")),
        ] {
            page.text(id);
            page.text(op);
            page.text("2026-11-27 08:15:00");
            match note {
                Some(note) => page.text(note),
                None => page.null(),
            }
        }
        page.text("4");
        page.text("D");
        page.null();
        page.lost(None);
        let table = Table::new(&config, &page).expect("its columns are there");
        let picked: Vec<_> = (0..4)
            .map(|row| Picked {
                row,
                ordinal: row as u64 + 1,
                op: None,
            })
            .collect();
        let made = table.put(&config, &page, &picked, 0);
        let shown: Vec<String> = made
            .records
            .iter()
            .map(|record| {
                let value = |at| match record.value(at) {
                    Value::Text(text) => text.get(..19).unwrap_or(text).to_owned(),
                    other => format!("{other:?}"),
                };
                format!(
                    "{} {}",
                    record.row().ordinal,
                    (0..record.len()).map(value).collect::<Vec<_>>().join("|")
                )
            })
            .collect();
        assert_eq!(
            shown,
            [
                "1 1|2026-11-27T08:15:00|Null|create|1",
                "3 3|2026-11-27T08:15:00|ba7816bf8f01cfea414|update|3",
            ]
        );
        let rejects: Vec<_> = made
            .rejects
            .iter()
            .map(|reject| (reject.after, reject.ordinal, &*reject.reason))
            .collect();
        assert!(
            rejects[0]
                .2
                .starts_with("\"X\" in the column op is none of the codes"),
            "{rejects:?}"
        );
        assert!(
            rejects[1]
                .2
                .starts_with("the column note of a row of stock is longer"),
            "{rejects:?}"
        );
        assert_eq!((rejects[0].0, rejects[0].1), (1, 2));
        assert_eq!((rejects[1].0, rejects[1].1), (2, 4));
        let raw = String::from_utf8_lossy(&made.rejects[0].raw);
        assert!(
            raw.starts_with("id=2\t") && !raw.contains("secret"),
            "{raw}"
        );
    }

    #[test]
    fn a_rows_number_tells_it_from_others() {
        assert_ne!(ordinal(0, &["ab", "c"]), ordinal(0, &["a", "bc"]));
        assert!(ordinal(4_095, &["812", "3"]) < 1 << 40);
        assert_eq!(ordinal(7, &["812", "3"]), ordinal(7, &["812", "3"]));
        assert!(ordinal(7, &["812", "3"]) < ordinal(8, &["812", "3"]));
    }
}
