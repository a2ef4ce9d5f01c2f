//! Rows of a tracked table as records: as they are, and of a deleted one its key.

use std::sync::Arc;

use dray_adapter::Shape;

use super::super::config::SqlConfig;
use super::super::page::{Cell, Page};
use super::super::records::{ABOUT, Made, Picked, Table, ordinal, put_cell};
use super::statements::{OP, VERSION, key_name};
use crate::columns::Taken;
use crate::rows::{Op, Rows};

/// What a page's columns are.
pub(super) struct Columns {
    table: Table,
    version: usize,
    op: usize,
    /// The key's columns, as they stand in the change and in the row.
    pub(super) key: Vec<(usize, usize)>,
}

/// The table's columns as records have them. `first`: where they begin in a page.
pub(super) fn table(config: &SqlConfig, page: &Page, first: usize) -> Result<Table, String> {
    let names = page.columns[first..].iter();
    let names: Vec<_> = names.map(|column| &*column.name).collect();
    let name = config.record_type();
    let mut taken = config.wanted().of(name, &names)?;
    let columns = taken.iter().map(|column| column.name.clone());
    let shape = Arc::new(Shape {
        record_type: name.to_owned(),
        columns: columns.chain(ABOUT.map(str::to_owned)).collect(),
    });
    for column in &mut taken {
        column.at += first;
    }
    Ok(Table::of(shape, taken))
}

impl Columns {
    /// # Errors
    /// A sentence: the page is none of changes, or a column is named that it does not have.
    pub(super) fn of(config: &SqlConfig, page: &Page, key: &[String]) -> Result<Self, String> {
        let first = 2 + key.len();
        let place = |name: &str| page.place("change tracking", name);
        let (version, op) = (place(VERSION)?, place(OP)?);
        let key = key.iter().enumerate().map(|(at, name)| {
            let row = page.columns.iter().skip(first);
            let row = { row }.position(|column| column.name == *name);
            let row = row.ok_or_else(|| format!("the key's column {name} is gone"))?;
            Ok::<_, String>((place(&key_name(at))?, first + row))
        });
        Ok(Self {
            key: key.collect::<Result<_, _>>()?,
            table: table(config, page, first)?,
            version,
            op,
        })
    }

    /// A row's version and key, as texts.
    pub(super) fn at(&self, page: &Page, row: usize) -> Result<(i64, Vec<String>), String> {
        let version = page.get(row, self.version);
        let version = version.and_then(|text| text.parse().ok());
        let version = version.ok_or("a change has no version that could be read")?;
        let key = self.key.iter().map(|(at, _)| page.get(row, *at));
        let key: Option<Vec<_>> = key.map(|text| text.map(str::to_owned)).collect();
        Ok((
            version,
            key.ok_or("a change has no key that could be read")?,
        ))
    }

    /// The rows as records; what is none is a dead letter.
    ///
    /// # Errors
    /// A sentence: the page is not as the server makes it.
    pub(super) fn put(&self, page: &Page) -> Result<Made, String> {
        let mut rows = Rows::default();
        let mut rejects = Vec::new();
        for row in 0..page.rows() {
            let (version, key) = self.at(page, row)?;
            let is_there = self
                .key
                .iter()
                .all(|(_, at)| page.cell(row, *at) != Cell::Null);
            let op = match page.get(row, self.op) {
                Some("D") if !is_there => Op::Delete,
                // Servers tell some updates of unique indexes as deletes (KB4135113), and a row that is there is none that was deleted.
                Some("D") => Op::Update,
                // It was deleted since: a later version says so.
                _ if !is_there => continue,
                Some("I") => Op::Create,
                Some("U") => Op::Update,
                other => {
                    return Err(format!(
                        "a change has the operation {}, which is none of I, U and D",
                        other.unwrap_or("NULL")
                    ));
                }
            };
            let version = version.to_string();
            let parts = key.iter().map(String::as_str).chain([&*version]);
            let ordinal = ordinal(row, &parts.collect::<Vec<_>>());
            if op != Op::Delete
                && let Err(told) = self.table.whole(page, row)
            {
                let picked = Picked {
                    row,
                    ordinal,
                    op: None,
                };
                rejects.push(self.table.reject(page, &picked, rows.len(), told));
                continue;
            }
            for column in &self.table.taken {
                match op {
                    Op::Delete => self.put_key(&mut rows, page, row, column),
                    _ => put_cell(&mut rows, page, row, column),
                }
            }
            rows.end_with(&self.table.shape, ordinal, &[op.word(), &version]);
        }
        let records = rows.take();
        Ok(Made { records, rejects })
    }

    /// Of a deleted row no more is known than its key.
    fn put_key(&self, rows: &mut Rows, page: &Page, row: usize, column: &Taken) {
        let key = self.key.iter().find(|(_, at)| *at == column.at);
        match key {
            Some((at, _)) => {
                let column = Taken {
                    at: *at,
                    ..column.clone()
                };
                put_cell(rows, page, row, &column);
            }
            None => rows.unchanged(),
        }
    }
}

#[cfg(test)]
mod tests {
    use dray_adapter::Value;

    use super::super::super::page::Column;
    use super::super::super::value::Kind;
    use super::*;

    #[test]
    fn a_row_comes_as_it_is_and_of_a_deleted_one_its_key() {
        let config: SqlConfig = toml::from_str(
            "kind = 'sql'\ndriver = 'sqlserver'\ntable = 'dbo.stock'\nmode = 'change-tracking'\n",
        )
        .expect("a source");
        let columns = [VERSION, OP, "__dray_key0", "qty", "sku"].map(|name| Column {
            name: name.into(),
            kind: Kind::Text,
        });
        let mut page = Page::new(columns.to_vec());
        for (version, op, key, row) in [
            ("7", "I", "A", Some("1")),
            ("8", "U", "B", Some("2")),
            ("8", "U", "C", None),
            ("9", "D", "D", None),
            // It is there: it was updated, or is there again.
            ("9", "D", "E", Some("3")),
        ] {
            for text in [version, op, key] {
                page.text(text);
            }
            match row {
                Some(quantity) => {
                    page.text(quantity);
                    page.text(key);
                }
                None => {
                    page.null();
                    page.null();
                }
            }
        }
        let key = ["sku".to_owned()];
        let columns = Columns::of(&config, &page, &key).expect("its columns");
        let made = columns.put(&page).expect("records");
        let shown: Vec<_> = made
            .records
            .iter()
            .map(|record| {
                let values = (0..record.len()).map(|at| match record.value(at) {
                    Value::Null => "~",
                    Value::Text(text) => text,
                    _ => "=",
                });
                values.collect::<Vec<_>>().join(" ")
            })
            .collect();
        assert_eq!(
            shown,
            [
                "1 A create 7",
                "2 B update 8",
                "= D delete 9",
                "3 E update 9"
            ]
        );
        assert_eq!(columns.at(&page, 3), Ok((9, vec!["D".to_owned()])));
    }
}
