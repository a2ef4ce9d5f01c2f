//! From events to rows, and from rows to statements: pure.

use std::collections::HashSet;

use crate::config::sql::{Mode, OnDelete, Server, SqlConfig};

use super::dialect::{self, Shape};
use super::fit::Fit;
use super::session::Text;

/// What an event does to the table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Act {
    Write(Vec<Text>),
    /// The key's values.
    Delete(Vec<Text>),
    Skip,
}

/// A statement with its values.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Call {
    pub(super) sql: String,
    pub(super) texts: Vec<Text>,
}

/// A target's table.
#[derive(Debug)]
pub(super) struct Plan {
    pub(super) server: Server,
    pub(super) shape: Shape,
    on_delete: OnDelete,
    mode: Mode,
}

impl Plan {
    pub(super) fn new(config: &SqlConfig) -> Self {
        let columns: Vec<_> = config.columns.keys().cloned().collect();
        let key = config
            .key
            .iter()
            .filter_map(|name| columns.iter().position(|column| column == name))
            .collect();
        Self {
            server: config.server,
            shape: Shape {
                table: dialect::table(config.server, &config.table),
                columns,
                key,
            },
            on_delete: config.on_delete,
            mode: config.mode,
        }
    }

    /// What an event with these values does. `fits`: what each column's type asks.
    ///
    /// # Errors
    /// A sentence: the table cannot hold it.
    pub(super) fn act(
        &self,
        is_delete: bool,
        values: Vec<Text>,
        fits: &[Fit],
    ) -> Result<Act, String> {
        let deletes = is_delete && self.on_delete == OnDelete::Delete && self.mode == Mode::Upsert;
        if is_delete && self.on_delete == OnDelete::Skip {
            return Ok(Act::Skip);
        }
        for column in &self.shape.key {
            if values[*column].is_none() {
                return Err(format!(
                    "the event has no value for the key's column {}; no row can be found without it",
                    self.shape.columns[*column]
                ));
            }
        }
        let mut texts = Vec::with_capacity(values.len());
        for ((value, fit), column) in values.into_iter().zip(fits).zip(&self.shape.columns) {
            let text = value.map(|value| fit.value(value)).transpose();
            texts.push(text.map_err(|reason| format!("column {column}: {reason}"))?);
        }
        if deletes {
            let key = self.shape.key.iter();
            return Ok(Act::Delete(
                key.map(|column| texts[*column].take()).collect(),
            ));
        }
        Ok(Act::Write(texts))
    }

    /// The statements that do it all, in order: a key stands in one of them once, as no database takes it twice.
    pub(super) fn calls(&self, acts: Vec<Act>) -> Vec<Call> {
        let mut calls = Vec::new();
        let mut run: Vec<Vec<Text>> = Vec::new();
        let mut keys = HashSet::new();
        for act in acts {
            match act {
                Act::Skip => {}
                Act::Delete(key) => {
                    self.flush(&mut run, &mut calls);
                    keys.clear();
                    calls.push(Call {
                        sql: dialect::delete(self.server, &self.shape),
                        texts: key,
                    });
                }
                Act::Write(row) => {
                    let key: Vec<_> = self.shape.key.iter().map(|at| row[*at].clone()).collect();
                    if !key.is_empty() && !keys.insert(fold(&key)) {
                        self.flush(&mut run, &mut calls);
                        keys.clear();
                        keys.insert(fold(&key));
                    }
                    run.push(row);
                }
            }
        }
        self.flush(&mut run, &mut calls);
        calls
    }

    fn flush(&self, run: &mut Vec<Vec<Text>>, calls: &mut Vec<Call>) {
        let mut rows = std::mem::take(run).into_iter().peekable();
        while rows.peek().is_some() {
            let size = dialect::next(rows.len(), self.shape.columns.len());
            calls.push(Call {
                sql: dialect::write(self.server, &self.shape, size),
                texts: rows.by_ref().take(size).flatten().collect(),
            });
        }
    }
}

/// Two keys that a column may take for one (letter case, blanks at the end) do not share a statement either.
fn fold(key: &[Text]) -> Vec<Option<String>> {
    let folded = |text: &Text| text.as_ref().map(|text| text.trim_end().to_lowercase());
    key.iter().map(folded).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plan(more: &str) -> Plan {
        let text = format!(
            "server = \"postgres\"\ntable = \"t\"\ncolumns = {{ a = \"key\", b = \"data.x\" }}\n{more}"
        );
        Plan::new(&toml::from_str(&text).expect("it parses"))
    }

    fn row(key: &str, value: &str) -> Vec<Text> {
        vec![Some(key.into()), Some(value.into())]
    }

    fn acts(plan: &Plan, events: &[(bool, &str)]) -> Vec<Act> {
        let fits = [Fit::Any, Fit::Scale(1)];
        let act = |(is_delete, key): &(bool, &str)| plan.act(*is_delete, row(key, "1.50"), &fits);
        let acts: Result<_, _> = events.iter().map(act).collect();
        acts.expect("they fit")
    }

    #[test]
    fn neighbours_share_a_statement_until_a_key_comes_again() {
        let plan = plan("key = [\"a\"]");
        let events: Vec<_> = ["1", "2", "3", "4", "5", "6", "7", "8", "x", "X "]
            .iter()
            .map(|key| (false, *key))
            .collect();
        let calls = plan.calls(acts(&plan, &events));
        let sizes: Vec<_> = calls.iter().map(|call| call.texts.len() / 2).collect();
        assert_eq!(sizes, [8, 1, 1]);
        assert_eq!(calls[0].texts[1].as_deref(), Some("1.5"), "as it fits");
    }

    #[test]
    fn a_delete_stands_between_what_was_before_and_after_it() {
        let plan = plan("key = [\"a\"]");
        let events = [(false, "1"), (true, "1"), (false, "1")];
        let calls = plan.calls(acts(&plan, &events));
        let begins: Vec<_> = calls.iter().map(|call| &call.sql[..6]).collect();
        assert_eq!(begins, ["INSERT", "DELETE", "INSERT"]);
        assert_eq!(calls[1].texts, [Some("1".into())]);
    }

    #[test]
    fn what_a_delete_does_is_said() {
        let delete = [(true, "1")];
        for (more, expected) in [
            ("key = [\"a\"]\non_delete = \"skip\"", Act::Skip),
            (
                "key = [\"a\"]\non_delete = \"write\"",
                Act::Write(row("1", "1.5")),
            ),
            ("mode = \"insert\"", Act::Write(row("1", "1.5"))),
            ("key = [\"a\"]", Act::Delete(vec![Some("1".into())])),
        ] {
            let plan = plan(more);
            assert_eq!(acts(&plan, &delete), [expected], "{more}");
        }
    }

    #[test]
    fn a_row_without_its_key_is_refused() {
        let plan = plan("key = [\"a\"]");
        let wrong = plan.act(false, vec![None, None], &[Fit::Any, Fit::Any]);
        assert!(wrong.expect_err("no key").contains("column a"));
    }
}
