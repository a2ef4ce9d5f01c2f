//! `mode = "mark-processed"` and `mode = "delete-after-read"`: rows are read, appended, and only then marked or deleted, by their ids.
//!
//! The position has the ids of the page that was appended last: an agent that was killed before it marked them does so before it reads on, so
//! that no row comes twice. It marks what still is what it read, and nothing else: their ids may have come again for other rows. Once they are
//! marked, a position without them is kept.

use std::collections::HashSet;

use tracing::{debug, info};

use super::open::Open;
use super::page::Page;
use super::place::{At, ROWS_BYTES_MAX};
use super::poller::Poller;
use super::records::{Picked, ordinal};
use crate::reader::Trouble;

/// Rows of a page: their ids stand in the position.
const OPEN_MAX: usize = 1_000;
/// Rows that are marked with one statement, which holds their locks.
const MARKED_MAX: usize = 200;

/// Reads until nobody listens.
pub(super) async fn run(poller: &mut Poller<'_>, at: Option<At>) -> Result<(), Trouble> {
    let (mut number, mut open) = match at {
        Some(At::MarkProcessed { page, open } | At::DeleteAfterRead { page, open }) => (page, open),
        _ => (0, Vec::new()),
    };
    let columns = poller.columns().await?;
    let mark = Mark::new(poller, &columns)?;
    poller.may_write(&mark.nothing(poller)?).await?;
    // Whether the newest position has rows that are marked by now.
    let mut is_kept = false;
    info!(open = open.len(), "the table is read");
    loop {
        // Rows that the database did not find, though it told them.
        let mut missed = Vec::new();
        if !open.is_empty() {
            if !appended(poller, number).await {
                return Ok(());
            }
            // Its application may have written one since: then it comes again.
            open = mark.unchanged(poller, open).await?;
            let mut marked = 0;
            for open in open.chunks(MARKED_MAX) {
                marked += poller.change(&mark.these(poller, open)?).await?;
            }
            debug!(rows = open.len(), marked, "rows are marked");
            if marked < open.len() as u64 {
                missed = std::mem::take(&mut open);
            }
            open.clear();
            is_kept = true;
        }
        let unread = mark.unread(poller)?;
        let page = poller.rows(&unread, &mark.order, OPEN_MAX).await?;
        let (picked, next) = mark.pick(&page)?;
        none_again(&missed, &next)?;
        if next.is_empty() {
            if is_kept && !poller.looked_now(&mark.at(number, Vec::new())).await {
                return Ok(());
            }
            is_kept = false;
            poller.wait().await;
            continue;
        }
        // The page names the batch, not the ids alone: a queue that was emptied may use its ids again.
        let scope = number.to_be_bytes();
        number += 1;
        open = next;
        let at = mark.at(number, open.clone());
        if !poller
            .hand_over(&page, &picked, &[b"page", &scope], mark.id, at)
            .await?
        {
            return Ok(());
        }
    }
}

/// Waits until the page is appended; whether it is.
async fn appended(poller: &mut Poller<'_>, number: u64) -> bool {
    let is_it = |at: &At| match at {
        At::MarkProcessed { page, .. } | At::DeleteAfterRead { page, .. } => *page >= number,
        _ => false,
    };
    let confirmed = poller
        .confirmed
        .wait_for(|place| place.as_ref().is_some_and(|place| is_it(&place.at)));
    confirmed.await.is_ok()
}

/// That no row comes again as it was, though it was to be marked: it would come for ever.
fn none_again(missed: &[Open], next: &[Open]) -> Result<(), Trouble> {
    if missed.is_empty() {
        return Ok(());
    }
    let missed: HashSet<_> = missed.iter().map(|row| (&row.id, &row.content)).collect();
    match next
        .iter()
        .find(|row| missed.contains(&(&row.id, &row.content)))
    {
        None => Ok(()),
        Some(row) => Err(Trouble::Passing(format!(
            "the row {} is still there as it was after it was marked or deleted, so nothing more is read: the database does not find it by the id that it tells, or a trigger or a rule hinders it; name another column as id, or let the DBA look at the table's triggers",
            row.id
        ))),
    }
}

/// How rows are found and marked.
struct Mark {
    /// The column's place in a page, and that of the version.
    id: usize,
    version: Option<usize>,
    /// The place of the column that says whether a row was read.
    state: Option<usize>,
    order: String,
    columns: Page,
}

impl Mark {
    fn new(poller: &Poller<'_>, columns: &Page) -> Result<Self, Trouble> {
        let config = poller.config;
        let place =
            |setting: &str, name: &str| columns.place(setting, name).map_err(Trouble::Person);
        let version = config.version.as_ref();
        let state = config.processed.as_ref();
        Ok(Self {
            id: place("id", &config.id)?,
            version: version.map(|name| place("version", name)).transpose()?,
            state: state
                .map(|state| place("processed.column", &state.column))
                .transpose()?,
            order: poller.name(&config.id),
            columns: Page::new(columns.columns.clone()),
        })
    }

    fn at(&self, page: u64, open: Vec<Open>) -> At {
        match self.state {
            None => At::DeleteAfterRead { page, open },
            Some(_) => At::MarkProcessed { page, open },
        }
    }

    /// `UPDATE … SET …` or `DELETE FROM …`.
    fn verb(&self, poller: &Poller<'_>) -> Result<String, Trouble> {
        let (Some(at), Some(processed)) = (self.state, &poller.config.processed) else {
            return Ok(format!("DELETE FROM {}", poller.from));
        };
        let name = poller.name(&processed.column);
        let done = poller.value(&self.columns, at, &processed.done)?;
        Ok(format!("UPDATE {} SET {name} = {done}", poller.from))
    }

    /// What tells the rows that are not read; empty: all.
    fn unread(&self, poller: &Poller<'_>) -> Result<String, Trouble> {
        let (Some(at), Some(processed)) = (self.state, &poller.config.processed) else {
            return Ok(String::new());
        };
        let name = poller.name(&processed.column);
        Ok(match &processed.unread {
            None => format!("{name} IS NULL"),
            Some(unread) => format!("{name} = {}", poller.value(&self.columns, at, unread)?),
        })
    }

    /// What is asked to see whether it is allowed.
    fn nothing(&self, poller: &Poller<'_>) -> Result<String, Trouble> {
        Ok(format!("{} WHERE 1 = 0", self.verb(poller)?))
    }

    /// The rows of a page that are handed over, as many as a position takes.
    fn pick(&self, page: &Page) -> Result<(Vec<Picked>, Vec<Open>), Trouble> {
        let mut picked = Vec::with_capacity(page.rows());
        let mut open: Vec<Open> = Vec::with_capacity(page.rows());
        let mut bytes = 0;
        for row in 0..page.rows() {
            let Some(id) = page.get(row, self.id) else {
                return Err(Trouble::Person(format!(
                    "a row's {} is NULL: a row without an id can't be marked",
                    page.columns[self.id].name
                )));
            };
            let version = self.version.and_then(|at| page.get(row, at));
            let one = Open::of(page, row, id, version);
            let written = one.written_bytes();
            bytes += written;
            if written > ROWS_BYTES_MAX {
                return Err(Trouble::Person(format!(
                    "a row's {} and version are longer than {ROWS_BYTES_MAX} bytes: they must stand in the flow's position",
                    page.columns[self.id].name
                )));
            }
            if bytes > ROWS_BYTES_MAX {
                break;
            }
            picked.push(Picked {
                row,
                ordinal: ordinal(picked.len(), &[id, version.unwrap_or_default()]),
                op: None,
            });
            open.push(one);
        }
        Ok((picked, open))
    }

    /// Of rows that were appended, those that still are what was read.
    async fn unchanged(
        &self,
        poller: &mut Poller<'_>,
        open: Vec<Open>,
    ) -> Result<Vec<Open>, Trouble> {
        let (mut left, mut same): (Vec<_>, Vec<_>) =
            open.into_iter().partition(|row| !row.content.is_empty());
        while !left.is_empty() {
            let asked: Vec<_> = left.iter().take(MARKED_MAX).cloned().collect();
            let filter = self.those(poller, &asked)?;
            let page = poller.rows(&filter, &self.order, MARKED_MAX).await?;
            let (_, found) = self.pick(&page)?;
            // Where the answer was cut, what is behind the rows that came is asked for again.
            let is_cut = page.is_cut && found.len() < asked.len();
            let count = asked.len();
            let is_over = |row: &Open| !is_cut || found.iter().any(|found| found.id == row.id);
            let (over, behind): (Vec<_>, Vec<_>) = asked.into_iter().partition(is_over);
            left.splice(..count, behind);
            if over.is_empty() {
                return Err(Trouble::Passing(
                    "rows that are to be marked are other ones whenever they are asked for".into(),
                ));
            }
            same.extend(over.into_iter().filter(|row| found.contains(row)));
        }
        Ok(same)
    }

    /// Marks these rows, as far as they are what was read.
    fn these(&self, poller: &Poller<'_>, open: &[Open]) -> Result<String, Trouble> {
        let those = self.those(poller, open)?;
        Ok(format!("{} WHERE {those}", self.verb(poller)?))
    }

    /// What tells these rows, as far as they are not read.
    fn those(&self, poller: &Poller<'_>, open: &[Open]) -> Result<String, Trouble> {
        let id = &self.order;
        let mut rows = Vec::with_capacity(open.len());
        for row in open {
            let value = poller.value(&self.columns, self.id, &row.id)?;
            rows.push(match self.version {
                None => value,
                Some(at) => {
                    let name = poller.name(&self.columns.columns[at].name);
                    let is = match &row.version {
                        None => "IS NULL".to_owned(),
                        Some(version) => {
                            format!("= {}", poller.value(&self.columns, at, version)?)
                        }
                    };
                    format!("({id} = {value} AND {name} {is})")
                }
            });
        }
        let rows = match self.version {
            None => format!("{id} IN ({})", rows.join(", ")),
            Some(_) => format!("({})", rows.join(" OR ")),
        };
        Ok(match &*self.unread(poller)? {
            "" => rows,
            unread => format!("{rows} AND {unread}"),
        })
    }
}
