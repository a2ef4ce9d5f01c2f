//! The rows that a table has when the flow begins, in the order of its key.

use serde::{Deserialize, Serialize};

use tracing::info;

use super::super::config::SqlConfig;
use super::super::dialect::Select;
use super::super::page::Page;
use super::super::place::At;
use super::super::poller::Poller;
use super::super::records::{Made, Picked, Table, ordinal, put_cell};
use super::key::behind;
use crate::reader::Trouble;
use crate::rows::{Op, Rows};

/// How far a first load has come.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(in super::super) struct Load {
    /// The key of the last row; empty: none.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    after: Vec<String>,
}

/// That no column of the key is hidden.
///
/// # Errors
/// A sentence: one is.
pub(super) fn is_shown(config: &SqlConfig, key: &[String]) -> Result<(), Trouble> {
    let hidden = key.iter().find(|name| config.mask.contains_key(*name));
    match hidden {
        None => Ok(()),
        Some(name) => Err(Trouble::Person(format!(
            "mask hides {name}, by which rows are found: it stands as it is in the flow's position, on the disk; take it out of mask, or with mode = \"cdc\" write first_load = false"
        ))),
    }
}

/// What the loaded rows' records are like.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Like {
    /// Captured changes, which have the row as it was.
    Captured,
    /// Tracked rows.
    Tracked,
}

/// A load that is under way.
pub(super) struct Loading {
    pub(super) loader: Loader,
    /// What becomes of the columns.
    pub(super) table: Table,
    pub(super) like: Like,
}

impl Loading {
    /// Hands the next rows over: whether anybody listens, and how far it has come then; `None`: to the end. `position`: where the changes stood when the
    /// load began. `at`: where the flow stands with what is left of the load.
    pub(super) async fn next(
        &self,
        poller: &mut Poller<'_>,
        load: &Load,
        position: &str,
        at: impl Fn(Option<Load>) -> At,
    ) -> Result<(bool, Option<Load>), Trouble> {
        let page = self.loader.next(poller, load).await?;
        let left = match page.rows() {
            rows if page.is_cut && rows > 0 => Some(self.loader.at(&page, rows - 1)?),
            _ => None,
        };
        let name: &[u8] = match self.like {
            Like::Captured => b"cdc load",
            Like::Tracked => b"tracked load",
        };
        let scope = [&[name, position.as_bytes()][..], &load.scope()].concat();
        let at = at(left.clone());
        let is_heard = match page.rows() {
            0 => poller.looked_now(&at).await,
            _ => poller.send(self.made(&page, position), &scope, at).await?,
        };
        if left.is_none() {
            info!("what the table holds is read");
        }
        Ok((is_heard, left))
    }

    fn made(&self, page: &Page, position: &str) -> Made {
        let mut rows = Rows::default();
        let mut rejects = Vec::new();
        let table = &self.table;
        for row in 0..page.rows() {
            let ordinal = self.loader.ordinal(page, row);
            if let Err(told) = table.whole(page, row) {
                let picked = Picked {
                    row,
                    ordinal,
                    op: None,
                };
                rejects.push(table.reject(page, &picked, rows.len(), told));
                continue;
            }
            for column in &table.taken {
                put_cell(&mut rows, page, row, column);
            }
            let op = Op::Read.word();
            match self.like {
                Like::Captured => {
                    for _ in &table.taken {
                        rows.null();
                    }
                    let about = [op, "", position, "", &row.to_string()];
                    rows.end_with(&table.shape, ordinal, &about);
                }
                Like::Tracked => rows.end_with(&table.shape, ordinal, &[op, position]),
            }
        }
        let records = rows.take();
        Made { records, rejects }
    }
}

/// A table that is read in the order of its key.
pub(super) struct Loader {
    /// What is asked for, as SQL.
    columns: String,
    /// The key's columns.
    key: Vec<String>,
    like: String,
    /// The columns as the database describes them.
    pub(super) described: Page,
    places: Vec<usize>,
}

impl Loader {
    /// `columns`: their names; empty: all.
    pub(super) async fn new(
        poller: &mut Poller<'_>,
        columns: &[String],
        key: Vec<String>,
    ) -> Result<Self, Trouble> {
        let names = columns.iter().map(|name| poller.name(name));
        let columns = match columns.is_empty() {
            true => "*".to_owned(),
            false => names.collect::<Vec<_>>().join(", "),
        };
        poller.turn();
        let from = poller.from.clone();
        let nothing = Select {
            columns: &columns,
            from: &from,
            filter: "1 = 0",
            order: "",
            rows: Some(1),
        };
        let like = poller.dialect.select(&nothing);
        let described = poller.page(&nothing, &like).await?;
        let places = key.iter().map(|name| described.place("the key", name));
        let places = places.collect::<Result<Vec<_>, _>>();
        Ok(Self {
            places: places.map_err(Trouble::Person)?,
            columns,
            key,
            like,
            described,
        })
    }

    /// The next rows.
    async fn next(&self, poller: &mut Poller<'_>, load: &Load) -> Result<Page, Trouble> {
        let names: Vec<_> = self.key.iter().map(|name| poller.name(name)).collect();
        let values = self.places.iter().zip(&load.after);
        let values = values.map(|(at, text)| poller.value(&self.described, *at, text));
        let values = values.collect::<Result<Vec<_>, _>>()?;
        let filter = match values.is_empty() {
            true => String::new(),
            false => behind(&names, &values),
        };
        let from = poller.from.clone();
        let wanted = Select {
            columns: &self.columns,
            from: &from,
            filter: &filter,
            order: &names.join(", "),
            rows: Some(usize::MAX),
        };
        poller.page(&wanted, &self.like).await
    }

    /// How far it has come behind a row.
    ///
    /// # Errors
    /// A sentence: the row has no key.
    fn at(&self, page: &Page, row: usize) -> Result<Load, Trouble> {
        let after = self.places.iter().map(|at| page.get(row, *at));
        let after = after.map(|text| text.map(str::to_owned)).collect();
        let after: Option<Vec<_>> = after;
        let after = after.ok_or_else(|| {
            Trouble::Person(format!(
                "a row's {} is NULL, or longer than 16 MiB: a row without a key can't be told from others; write id = \"...\" or first_load = false",
                self.key.join(" or ")
            ))
        })?;
        Ok(Load { after })
    }

    /// A row's number in its page.
    fn ordinal(&self, page: &Page, row: usize) -> u64 {
        let key = self.places.iter().map(|at| page.get(row, *at));
        let key: Vec<_> = key.map(Option::unwrap_or_default).collect();
        ordinal(row, &key)
    }
}

impl Load {
    /// Where the next page begins, which names it.
    fn scope(&self) -> Vec<&[u8]> {
        self.after.iter().map(String::as_bytes).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_that_is_hidden_is_told_as_it_would_stand_on_the_disk() {
        let config: SqlConfig = toml::from_str(
            "kind = 'sql'\ndriver = 'sqlserver'\nmode = 'cdc'\nmask = { owner = 'sha256' }\n",
        )
        .expect("a source");
        let key = |name: &str| [name.to_owned()];
        assert_eq!(is_shown(&config, &key("id")), Ok(()));
        let told = is_shown(&config, &key("owner"));
        let Err(Trouble::Person(told)) = told else {
            panic!("{told:?}");
        };
        assert!(told.starts_with("mask hides owner"), "{told}");
    }
}
