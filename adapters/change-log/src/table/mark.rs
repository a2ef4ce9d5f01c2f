//! `mode = "mark-processed"` and `mode = "delete-after-read"`: rows are read, appended, and only then marked or deleted, by their ids.
//!
//! The position has the ids of the page that was appended last: an agent that was killed before it marked them does so before it reads on, so
//! that no row comes twice. Once they are, a position without them is kept: their ids may come again for other rows.

use tracing::{debug, info};

use super::page::Page;
use super::place::At;
use super::poller::Poller;
use super::records::{Picked, ordinal};
use crate::reader::Trouble;

/// Rows of a page: their ids stand in the position.
const OPEN_MAX: usize = 1_000;
/// Bytes of their ids and versions there: a position has 32 KiB.
const OPEN_BYTES_MAX: usize = 24 * 1024;
/// Rows that are marked with one statement, which holds their locks.
const MARKED_MAX: usize = 200;

/// A row that is appended and may not be marked yet: its id, and its version where that is configured.
pub(super) type Open = (String, Option<String>);

/// Reads until nobody listens.
pub(super) async fn run(poller: &mut Poller<'_>, at: Option<At>) -> Result<(), Trouble> {
    let (mut number, mut open) = match at {
        Some(At::MarkProcessed { page, open } | At::DeleteAfterRead { page, open }) => (page, open),
        _ => (0, Vec::new()),
    };
    let columns = poller.columns().await?;
    let mark = Mark::new(poller, &columns)?;
    poller.may_write(&mark.nothing()).await?;
    // Whether the newest position has rows that are marked by now.
    let mut is_kept = false;
    info!(open = open.len(), "the table is read");
    loop {
        if !open.is_empty() {
            if !appended(poller, number).await {
                return Ok(());
            }
            let mut marked = 0;
            for open in open.chunks(MARKED_MAX) {
                marked += poller.session.change(&mark.these(poller, open)?).await?;
            }
            debug!(rows = open.len(), marked, "rows are marked");
            open.clear();
            is_kept = true;
        }
        let page = poller.rows(&mark.unread, &mark.order, OPEN_MAX).await?;
        let (picked, next) = mark.pick(&page)?;
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

/// How rows are found and marked.
struct Mark {
    /// The column's place in a page, and that of the version.
    id: usize,
    version: Option<usize>,
    /// What tells the rows that are not read; empty: all.
    unread: String,
    order: String,
    /// `UPDATE … SET …` or `DELETE FROM …`.
    verb: String,
    deletes: bool,
    columns: Page,
}

impl Mark {
    fn new(poller: &Poller<'_>, columns: &Page) -> Result<Self, Trouble> {
        let config = poller.config;
        let place =
            |setting: &str, name: &str| columns.place(setting, name).map_err(Trouble::Person);
        let id = place("id", &config.id)?;
        let version = config.version.as_ref();
        let version = version.map(|name| place("version", name)).transpose()?;
        let mut mark = Self {
            id,
            version,
            unread: String::new(),
            order: poller.name(&config.id),
            verb: format!("DELETE FROM {}", poller.from),
            deletes: true,
            columns: Page::new(columns.columns.clone()),
        };
        if let Some(processed) = &config.processed {
            let at = place("processed.column", &processed.column)?;
            let name = poller.name(&processed.column);
            mark.unread = match &processed.unread {
                None => format!("{name} IS NULL"),
                Some(unread) => format!("{name} = {}", poller.value(columns, at, unread)?),
            };
            let done = poller.value(columns, at, &processed.done)?;
            mark.verb = format!("UPDATE {} SET {name} = {done}", poller.from);
            mark.deletes = false;
        }
        Ok(mark)
    }

    fn at(&self, page: u64, open: Vec<Open>) -> At {
        match self.deletes {
            true => At::DeleteAfterRead { page, open },
            false => At::MarkProcessed { page, open },
        }
    }

    /// What is asked to see whether it is allowed.
    fn nothing(&self) -> String {
        format!("{} WHERE 1 = 0", self.verb)
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
            let one = (id.to_owned(), version.map(str::to_owned));
            let written = serde_json::to_string(&one).map_or(usize::MAX, |text| text.len() + 1);
            bytes += written;
            if written > OPEN_BYTES_MAX {
                return Err(Trouble::Person(format!(
                    "a row's {} and version are longer than {OPEN_BYTES_MAX} bytes: they must stand in the flow's position",
                    page.columns[self.id].name
                )));
            }
            if bytes > OPEN_BYTES_MAX {
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

    /// Marks these rows, as far as they are what was read.
    fn these(&self, poller: &Poller<'_>, open: &[Open]) -> Result<String, Trouble> {
        let id = &self.order;
        let mut rows = Vec::with_capacity(open.len());
        for (value, version) in open {
            let value = poller.value(&self.columns, self.id, value)?;
            rows.push(match (self.version, version) {
                (None, _) => value,
                (Some(at), version) => {
                    let name = poller.name(&self.columns.columns[at].name);
                    let version = version.as_ref();
                    let is = version
                        .map(|version| poller.value(&self.columns, at, version))
                        .transpose()?
                        .map_or_else(|| "IS NULL".to_owned(), |version| format!("= {version}"));
                    format!("({id} = {value} AND {name} {is})")
                }
            });
        }
        let rows = match self.version {
            None => format!("{id} IN ({})", rows.join(", ")),
            Some(_) => format!("({})", rows.join(" OR ")),
        };
        Ok(match &*self.unread {
            "" => format!("{} WHERE {rows}", self.verb),
            unread => format!("{} WHERE {rows} AND {unread}", self.verb),
        })
    }
}
