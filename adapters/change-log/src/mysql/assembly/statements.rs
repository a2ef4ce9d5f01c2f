//! What statements in the log do: a transaction ends, a table is emptied, or takes another's name.

use tracing::warn;

use super::super::event::STATEMENTS;
use super::super::statement::Statement;
use super::super::table::{Known, Table};
use super::{Assembly, Step};

impl Assembly {
    pub(super) fn statement(&mut self, schema: &str, text: &str) -> Result<Step, String> {
        let Some(transaction) = &mut self.transaction else {
            return Err("a statement stands outside of a transaction".into());
        };
        match Statement::of(text) {
            begins @ (Statement::Begin | Statement::BeginPrepared) => {
                transaction.stands_alone = false;
                transaction.is_prepared |= begins == Statement::BeginPrepared;
                return Ok(Step::Nothing);
            }
            Statement::Commit => return self.commit(),
            // What is rolled back whole is passed over, if no part of it was handed out.
            Statement::Rollback if !transaction.is_out => {
                drop(self.rows.take());
                if let Some(join) = &mut self.join {
                    // It saw them, and they are not told.
                    join.doubts(self.ended + 1);
                }
                for reported in &mut self.reports {
                    reported.after = 0;
                }
                return self.commit();
            }
            Statement::RollbackPart if transaction.rows == 0 => return Ok(Step::Nothing),
            Statement::RollbackPart => {
                return Err(format!(
                    "the transaction {} was rolled back to a savepoint, and the log holds rows before that: which of them count is not known",
                    transaction.gtid
                ));
            }
            Statement::Rollback => {
                return Err(format!(
                    "the transaction {} was rolled back, and a part of its rows was sent already, as it is large: they do not count",
                    transaction.gtid
                ));
            }
            Statement::Rows => return Err(STATEMENTS.into()),
            Statement::Truncate(named, table) => {
                let name = format!("{}.{table}", named.as_deref().unwrap_or(schema));
                self.truncated(&name)?;
            }
            Statement::Rename(names) => {
                for (named, table) in names {
                    let name = format!("{}.{table}", named.as_deref().unwrap_or(schema));
                    self.renamed(&name);
                }
            }
            Statement::Other => {}
        }
        let is_over = self
            .transaction
            .as_ref()
            .is_some_and(|transaction| transaction.stands_alone);
        match is_over {
            true => self.commit(),
            false => Ok(Step::Nothing),
        }
    }

    fn truncated(&mut self, name: &str) -> Result<(), String> {
        let Some(transaction) = &mut self.transaction else {
            return Ok(());
        };
        if !self.wanted.contains_key(name) {
            return Ok(());
        }
        transaction.events += 1;
        if transaction.events <= transaction.passed_over {
            transaction.counted += 1;
            return transaction.passes();
        }
        let known = Known {
            transaction: &transaction.gtid,
            committed_at: &transaction.committed_at,
        };
        let before = self.rows.len();
        let tables = self.tables.values().flatten();
        match tables
            .into_iter()
            .find(|coming| coming.table.name() == name)
        {
            Some(coming) => {
                coming
                    .table
                    .put_truncated(&mut self.rows, known, transaction.rows);
            }
            // No row of it came yet: its columns are not known, and say nothing here.
            None => Table::unknown(name).put_truncated(&mut self.rows, known, transaction.rows),
        }
        transaction.rows += 1;
        if let Some(join) = &mut self.join {
            let put = self.rows.since(before);
            put.for_each(|record| join.see(self.ended + 1, &record));
        }
        Ok(())
    }

    /// A table has this name from here on. What was written into it under another name stands in the log, as another table's.
    fn renamed(&self, name: &str) {
        if self.wanted.contains_key(name) {
            warn!(
                table = name,
                "a table took this name (RENAME): rows that were written into it before do not come, as the log has them under its old name; if they are others than those of the table before it, ask for all of them: dray-agent load-again FLOW TABLE"
            );
        }
    }
}
