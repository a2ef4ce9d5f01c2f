//! A page of captured changes as records: an update is two rows, as it was and as it is.
//!
//! A record has the columns as they are, the same again as they were (`before.`), and what is known of the change, as in change logs.

use super::super::config::SqlConfig;
use super::super::page::Page;
use super::super::records::{Made, Picked, Table, ordinal, put_cell};
use super::lsn::Lsn;
use super::statements::{ABOUT, COMMAND, LSN, OPERATION, SEQVAL};
use crate::rows::{Op, Rows, shape};

const DELETE: u8 = 1;
const INSERT: u8 = 2;
const BEFORE: u8 = 3;
const AFTER: u8 = 4;

/// Which change it is, among all of an instance.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Key {
    pub(super) lsn: Lsn,
    /// The number of its operation, where the page has these.
    pub(super) command: Option<i64>,
    pub(super) seqval: Lsn,
    pub(super) operation: u8,
}

/// A row of a page.
#[derive(Debug, Clone, Copy)]
pub(super) struct Image<'p> {
    pub(super) page: &'p Page,
    pub(super) row: usize,
}

/// What happened to a row.
#[derive(Debug, Clone, Copy)]
pub(super) struct Change<'p> {
    pub(super) key: Key,
    op: Op,
    now: Image<'p>,
    before: Option<Image<'p>>,
}

/// What a page's columns are.
pub(super) struct Columns {
    table: Table,
    lsn: usize,
    command: Option<usize>,
    seqval: usize,
    operation: usize,
}

impl Columns {
    /// `computed`: the table's columns that are.
    ///
    /// # Errors
    /// A sentence: the page is none of changes, or a column is named that it does not have.
    pub(super) fn of(config: &SqlConfig, page: &Page, computed: &[String]) -> Result<Self, String> {
        let place = |name| page.place("change data capture", name);
        Ok(Self {
            lsn: place(LSN)?,
            command: page.columns.iter().position(|one| one.name == COMMAND),
            seqval: place(SEQVAL)?,
            operation: place(OPERATION)?,
            table: captured(config, page, computed)?,
        })
    }

    fn key(&self, page: &Page, row: usize) -> Result<Key, String> {
        let lsn = |at| page.get(row, at).and_then(Lsn::read);
        let operation = page
            .get(row, self.operation)
            .and_then(|text| text.parse().ok());
        // NULL in what was captured before the server had it.
        let command = self.command.and_then(|at| page.get(row, at));
        let command = command.and_then(|text| text.parse().ok());
        match (lsn(self.lsn), lsn(self.seqval), operation) {
            (Some(lsn), Some(seqval), Some(operation)) => Ok(Key {
                lsn,
                command,
                seqval,
                operation,
            }),
            _ => Err(format!(
                "a change has no {LSN}, {SEQVAL} or {OPERATION} that could be read"
            )),
        }
    }

    /// How many of a page's rows are taken. Where more follow, those of the last change are left for the next page, as their others may be there; and
    /// if there is but one change, all of them.
    pub(super) fn whole(&self, page: &Page) -> Result<usize, String> {
        let rows = page.rows();
        if !page.is_cut || rows == 0 {
            return Ok(rows);
        }
        let of = |row| {
            let key = self.key(page, row)?;
            Ok::<_, String>((key.lsn, key.seqval))
        };
        let last = of(rows - 1)?;
        for row in (0..rows).rev() {
            if of(row)? != last {
                return Ok(row + 1);
            }
        }
        Ok(rows)
    }

    /// The changes of a page's first rows, and of an update whose second half is not there its first.
    ///
    /// # Errors
    /// A sentence: rows are not as the server orders them.
    pub(super) fn changes<'p>(
        &self,
        page: &'p Page,
        rows: usize,
    ) -> Result<(Vec<Change<'p>>, Option<Image<'p>>), String> {
        let mut changes = Vec::with_capacity(rows);
        let mut half: Option<(Key, Image<'p>)> = None;
        let mut last: Option<Key> = None;
        for row in 0..rows {
            let (key, now) = (self.key(page, row)?, Image { page, row });
            if last.replace(key) == Some(key) {
                return Err(format!(
                    "two changes stand at {} {} with the operation {}: they can't be told apart; tell the maintainers of dray",
                    key.lsn, key.seqval, key.operation
                ));
            }
            let is_mate = |before: &(Key, Image<'p>)| {
                key.operation == AFTER && (before.0.lsn, before.0.seqval) == (key.lsn, key.seqval)
            };
            let before = match half.take() {
                Some(before) if is_mate(&before) => Some(before.1),
                Some((before, _)) => return Err(without_after(before)),
                None => None,
            };
            let (op, before) = match key.operation {
                DELETE => (Op::Delete, Some(now)),
                INSERT => (Op::Create, None),
                BEFORE => {
                    half = Some((key, now));
                    continue;
                }
                AFTER => (Op::Update, before),
                other => {
                    return Err(format!(
                        "a change has the operation {other}, which is none of 1 to 4"
                    ));
                }
            };
            changes.push(Change {
                key,
                op,
                now,
                before,
            });
        }
        match half {
            Some((key, _)) if !page.is_cut => Err(without_after(key)),
            half => Ok((changes, half.map(|(_, image)| image))),
        }
    }

    /// An update of two pages: as it was, and as it is.
    pub(super) fn joined<'p>(
        &self,
        before: Image<'p>,
        after: &'p Page,
    ) -> Result<Change<'p>, String> {
        let key = self.key(before.page, before.row)?;
        match after.rows() {
            1 => Ok(Change {
                key: Key {
                    operation: AFTER,
                    ..key
                },
                op: Op::Update,
                now: Image {
                    page: after,
                    row: 0,
                },
                before: Some(before),
            }),
            _ => Err(without_after(key)),
        }
    }

    /// Changes as records; what is none is a dead letter. `read`: how many of the first one's transaction were read before; of the last one's then.
    pub(super) fn put(&self, changes: &[Change<'_>], after: Option<(Lsn, u64)>) -> (Made, u64) {
        let mut rows = Rows::default();
        let mut rejects = Vec::new();
        let (mut transaction, mut read) = after.unwrap_or((Lsn::NONE, 0));
        for (at, change) in changes.iter().enumerate() {
            let Key {
                lsn,
                command,
                seqval,
                operation,
            } = change.key;
            if transaction != lsn {
                (transaction, read) = (lsn, 0);
            }
            let numbered = match command {
                // All digits, so that positions are ordered as texts.
                Some(command) => format!("{lsn}:{command:010}:{seqval}"),
                None => format!("{lsn}:{seqval}"),
            };
            let ordinal = ordinal(at, &[&numbered, &operation.to_string()]);
            let lsn = lsn.to_string();
            let images = [Some(change.now), change.before].into_iter().flatten();
            let lost = { images }.find_map(|image| {
                let told = self.table.whole(image.page, image.row).err()?;
                let picked = picked(image.row, ordinal);
                Some(self.table.reject(image.page, &picked, rows.len(), told))
            });
            match lost {
                Some(reject) => rejects.push(reject),
                None => {
                    self.cells(&mut rows, change);
                    let about = [change.op.word(), &lsn, &numbered, "", &read.to_string()];
                    rows.end_with(&self.table.shape, ordinal, &about);
                }
            }
            read += 1;
        }
        let records = rows.take();
        (Made { records, rejects }, read)
    }

    fn cells(&self, rows: &mut Rows, change: &Change<'_>) {
        for column in &self.table.taken {
            put_cell(rows, change.now.page, change.now.row, column);
        }
        for column in &self.table.taken {
            match change.before {
                Some(before) => put_cell(rows, before.page, before.row, column),
                None if change.op == Op::Update => rows.unchanged(),
                None => rows.null(),
            }
        }
    }
}

/// What becomes of the columns that are captured: those of a page but for what is known of a change. Computed ones are left out: whatever they hold, the
/// server captures NULL.
pub(super) fn captured(
    config: &SqlConfig,
    page: &Page,
    computed: &[String],
) -> Result<Table, String> {
    let columns = page.columns.iter().enumerate();
    let columns = columns.filter(|(_, column)| !column.name.starts_with(ABOUT));
    let (places, names): (Vec<_>, Vec<_>) = columns.map(|(at, column)| (at, &*column.name)).unzip();
    let name = config.record_type();
    if let Some(named) = config.columns.iter().find(|one| computed.contains(one)) {
        return Err(format!(
            "columns names {named}, which is computed: SQL Server captures NULL in its place; take it out of columns, and compute it from the others"
        ));
    }
    let mut taken = config.wanted().of(name, &names)?;
    taken.retain(|column| !computed.contains(&column.name));
    for column in &mut taken {
        column.at = places[column.at];
    }
    Ok(Table::of(shape(name, &taken), taken))
}

fn picked(row: usize, ordinal: u64) -> Picked {
    Picked {
        row,
        ordinal,
        op: None,
    }
}

fn without_after(key: Key) -> String {
    format!(
        "the update at {} {} has no row as it is now: the change table is damaged, or was cleaned up meanwhile",
        key.lsn, key.seqval
    )
}

#[cfg(test)]
mod tests;
