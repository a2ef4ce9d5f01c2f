//! What the log tells of the flow's tables: by which publication, and as which of the database's objects.
//!
//! A table that leaves its publication, or gives its name to another one, is not told any more, and the server says nothing of that: what changes
//! then would be missing in silence. So the numbers under which publication and tables stand in the catalogue are kept with the place, and
//! looked at every [`LOOK_EVERY`] while the log is read, and before it is read on: one that is another now is a gap. What was taken out and put
//! back in between has other numbers too.

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use pgwire_replication::Lsn;
use serde::{Deserialize, Serialize};
use tokio::task::JoinSet;
use tokio::time::sleep;

use super::answer::{query, text};
use super::config::PostgresConfig;
use super::session::{Names, connect};
use super::{plain, sql};
use crate::columns::TableConfig;
use crate::reader::Trouble;

/// How often it is looked at while the log is read.
const LOOK_EVERY: Duration = Duration::from_secs(15);

/// By table, and under the empty name of the publication itself: its number, then what the publication's entry says of it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Published(BTreeMap<String, String>);

impl Published {
    /// Of a place that was kept by an agent that did not look, or of a flow that has not begun.
    pub(super) fn is_unknown(&self) -> bool {
        self.0.is_empty()
    }

    fn read(answer: Option<&str>) -> Self {
        let read = answer.and_then(|answer| serde_json::from_str(answer).ok());
        Self(read.unwrap_or_default())
    }

    /// The first of the tables, or the publication, that is another one now, in words. A table that the flow reads only since then is none,
    /// nor one that is not there now: nothing of it changes.
    pub(super) fn differs(&self, now: &Self, tables: &[TableConfig]) -> Option<String> {
        let is_read = |name: &str| name.is_empty() || tables.iter().any(|table| table.name == name);
        let mut kept = self.0.iter().filter(|(name, _)| is_read(name));
        let (name, _) = kept.find(|(name, was)| now.0.get(*name).is_some_and(|now| now != *was))?;
        Some(match name.as_str() {
            "" => {
                "the publication was made anew, or tells other kinds of changes than before".into()
            }
            name => format!(
                "{name} is another table than before, or left the publication and came back, or is told in another way than before"
            ),
        })
    }

    /// The tables by their numbers, which stay what they are where a table gets another name for a while.
    pub(super) fn numbers(&self) -> HashMap<u32, String> {
        let numbers = self.0.iter().filter_map(|(name, entry)| {
            let number = entry.split(' ').next()?.parse().ok()?;
            (!name.is_empty()).then(|| (number, name.clone()))
        });
        numbers.collect()
    }
}

/// Asks for it, in a session of its own.
pub(super) async fn ask(config: &PostgresConfig, names: &Names) -> Result<Published, Trouble> {
    let mut client = connect(config, names, Lsn::ZERO).await?;
    let question = question(config, names);
    let rows = query(config, &mut client, &question).await?;
    Ok(Published::read(rows.first().and_then(|row| text(row, 0))))
}

/// Ends with what is another one than it was. Its server may not answer: that is the stream's to say.
pub(super) fn watch(config: &PostgresConfig, names: &Names, was: &Published) -> JoinSet<String> {
    let mut watching = JoinSet::new();
    if !was.is_unknown() {
        let (config, question, was) = (config.clone(), question(config, names), was.clone());
        watching.spawn(async move {
            loop {
                sleep(LOOK_EVERY).await;
                let Ok(Some(row)) = plain::ask(&config, &question).await else {
                    continue;
                };
                let now = Published::read(row.first().and_then(|cell| cell.as_deref()));
                if let Some(what) = was.differs(&now, &config.tables) {
                    return what;
                }
            }
        });
    }
    watching
}

fn question(config: &PostgresConfig, names: &Names) -> String {
    sql::told(
        &names.publication,
        config.tables.iter().map(|table| &*table.name),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn published(text: &str) -> Published {
        Published::read(Some(text))
    }

    #[test]
    fn what_is_told_otherwise_is_found() {
        let tables: Vec<TableConfig> = ["public.stock", "public.lot"]
            .map(|name| toml::from_str(&format!("name = {name:?}")).expect("a table"))
            .into();
        let was = published(r#"{"":"7 ttt","public.stock":"16390 ab","public.gone":"5 "}"#);
        for (now, expected) in [
            (
                r#"{"":"7 ttt","public.stock":"16390 ab","public.lot":"9 "}"#,
                None,
            ),
            (
                r#"{"":"8 ttt","public.stock":"16390 ab"}"#,
                Some("the publication was made"),
            ),
            (
                r#"{"":"7 ttf","public.stock":"16390 ab"}"#,
                Some("the publication was made"),
            ),
            (
                r#"{"":"7 ttt","public.stock":"16390 cd"}"#,
                Some("public.stock is another"),
            ),
            (r#"{"":"7 ttt"}"#, None),
        ] {
            let found = was.differs(&published(now), &tables);
            match (&found, expected) {
                (None, None) => {}
                (Some(found), Some(expected)) => assert!(found.starts_with(expected), "{found}"),
                _ => panic!("{now}: {found:?}"),
            }
        }
        assert_eq!(was.numbers()[&16390], "public.stock");
        assert_eq!(was.numbers().len(), 2);
        assert!(published("no JSON").is_unknown());
    }
}
