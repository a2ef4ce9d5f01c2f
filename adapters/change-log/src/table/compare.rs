//! `mode = "full-compare"`: all rows are read again and again, and compared with what they were.

use std::io;
use std::path::Path;

use sha2::{Digest as _, Sha256};
use tracing::{info, warn};

use super::kept::{Compared, Kept, ROWS_MAX};
use super::page::{Cell, Page};
use super::place::At;
use super::poller::{Poller, not_unique};
use super::records::{Picked, ordinal};
use crate::reader::Trouble;
use crate::rows::Op;

/// Rows that are gone and told of at once.
const GONE_MAX: usize = 2_000;

/// Reads until nobody listens.
pub(super) async fn run(
    poller: &mut Poller<'_>,
    at: Option<At>,
    own: &Path,
) -> Result<(), Trouble> {
    let folder = own.join("compared");
    let columns = poller.columns().await?;
    let id = columns
        .place("id", &poller.config.id)
        .map_err(Trouble::Person)?;
    let mut compare = Compare::open(&folder, at, id, !poller.config.first_load)?;
    compare.taken = poller.config.taken(&columns).map_err(Trouble::Person)?;
    info!(rows = compare.kept.len(), "the table is compared");
    loop {
        compare.kept.begin_round();
        if !compare.rows(poller).await? || !compare.gone(poller).await? {
            return Ok(());
        }
        if compare.is_first {
            compare.is_first = false;
            compare.is_silent = false;
            if !poller.looked_now(&compare.at()).await {
                return Ok(());
            }
        }
        if compare.kept.is_long() && !compare.rebase(poller).await? {
            return Ok(());
        }
        poller.wait().await;
    }
}

struct Compare {
    kept: Kept,
    /// How many batches are handed over since the base.
    batch: u64,
    /// The column's place in a page.
    id: usize,
    /// The columns' places that are taken.
    taken: Vec<usize>,
    /// What is new was there before: all rows are read for the first time.
    is_first: bool,
    /// What is there is not told.
    is_silent: bool,
}

fn trouble(error: &io::Error) -> Trouble {
    Trouble::Passing(format!(
        "what is kept of the table to compare it with can't be written below data_dir: {error}"
    ))
}

impl Compare {
    /// `is_silent`: what is there at the beginning is not told.
    fn open(folder: &Path, at: Option<At>, id: usize, is_silent: bool) -> Result<Self, Trouble> {
        let made = |kept: io::Result<Kept>, batch, is_first, is_silent| {
            Ok(Self {
                kept: kept.map_err(|error| trouble(&error))?,
                batch,
                id,
                taken: Vec::new(),
                is_first,
                is_silent,
            })
        };
        let Some(At::FullCompare {
            base,
            batch,
            first,
            silent,
        }) = at
        else {
            return made(Kept::empty(folder, 1), 0, true, is_silent);
        };
        match Kept::open(folder, base, batch) {
            Ok(kept) => made(Ok(kept), batch, first, silent),
            Err(error) if is_lost(&error) => {
                warn!(%error, "what the rows were is lost: all of them come again, and what was deleted meanwhile is not told");
                made(Kept::empty(folder, base + 1), 0, true, false)
            }
            // The files may be good: they are tried again.
            Err(error) => made(Err(error), batch, first, silent),
        }
    }

    fn at(&self) -> At {
        At::FullCompare {
            base: self.kept.base(),
            batch: self.batch,
            first: self.is_first,
            silent: self.is_silent,
        }
    }

    /// Reads all rows; whether anybody listens.
    async fn rows(&mut self, poller: &mut Poller<'_>) -> Result<bool, Trouble> {
        let id = poller.name(&poller.config.id);
        let mut filter = String::new();
        loop {
            let page = poller.rows(&filter, &id, usize::MAX).await?;
            let mut picked = Vec::new();
            let mut changes = Vec::new();
            let mut new = 0;
            for row in 0..page.rows() {
                let Some(known) = page.get(row, self.id) else {
                    return Err(Trouble::Person(format!(
                        "a row's {} is NULL: a row without an id can't be told from others",
                        page.columns[self.id].name
                    )));
                };
                if row > 0 && page.get(row - 1, self.id) == Some(known) {
                    return Err(Trouble::Person(not_unique(poller.config, known)));
                }
                let hash = hash(&page, row, &self.taken);
                let compared = self.kept.compare(known, hash);
                new += usize::from(compared == Compared::New);
                let op = match compared {
                    Compared::Same => continue,
                    Compared::New if self.is_first => Op::Read,
                    Compared::New => Op::Create,
                    Compared::Changed => Op::Update,
                };
                picked.push(Picked {
                    row,
                    ordinal: ordinal(picked.len(), &[known, &hash.to_string()]),
                    op: Some(op),
                });
                changes.push((known.to_owned(), hash));
            }
            if self.kept.len() + new > ROWS_MAX {
                return Err(Trouble::Person(format!(
                    "the table has more than {ROWS_MAX} rows, which mode = \"full-compare\" does not hold; read parts of it with query in several flows, or let triggers fill a change table"
                )));
            }
            if !picked.is_empty() && !self.hand_over(poller, &page, &picked, &changes).await? {
                return Ok(false);
            }
            if !page.is_cut {
                return Ok(true);
            }
            let last = page.get(page.rows().saturating_sub(1), self.id);
            let last = poller.value(&page, self.id, last.unwrap_or_default())?;
            let next = format!("{id} > {last}");
            if next == filter {
                return Err(Trouble::Person(format!(
                    "the rows up to {last} come again where those above it are asked for: the database does not order rows by the {id} that it tells; name another column"
                )));
            }
            filter = next;
        }
    }

    async fn hand_over(
        &mut self,
        poller: &mut Poller<'_>,
        page: &Page,
        picked: &[Picked],
        changes: &[(String, u64)],
    ) -> Result<bool, Trouble> {
        let (base, batch) = (self.kept.base(), self.batch);
        self.batch += 1;
        let kept = self.kept.keep(self.batch, changes);
        kept.map_err(|error| trouble(&error))?;
        if self.is_silent {
            return Ok(poller.looked_now(&self.at()).await);
        }
        let scope = [b"compare", &base.to_be_bytes()[..], &batch.to_be_bytes()];
        poller
            .hand_over(page, picked, &scope, self.id, self.at())
            .await
    }

    /// Tells of the rows that were not there any more; whether anybody listens.
    async fn gone(&mut self, poller: &mut Poller<'_>) -> Result<bool, Trouble> {
        let gone = self.kept.gone().map_err(|error| trouble(&error))?;
        if gone.is_empty() {
            return Ok(true);
        }
        let columns = poller.columns().await?.columns;
        for ids in gone.chunks(GONE_MAX) {
            let mut page = Page::new(columns.clone());
            for id in ids {
                for at in 0..columns.len() {
                    match at == self.id {
                        true => page.text(id),
                        false => page.unsaid(),
                    }
                }
            }
            let picked: Vec<_> = ids
                .iter()
                .enumerate()
                .map(|(row, id)| Picked {
                    row,
                    ordinal: ordinal(row, &[id, "gone"]),
                    op: Some(Op::Delete),
                })
                .collect();
            let changes: Vec<_> = ids.iter().map(|id| (id.clone(), 0)).collect();
            if !self.hand_over(poller, &page, &picked, &changes).await? {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Makes the next base, and lets the one before go once the position names the new one.
    async fn rebase(&mut self, poller: &mut Poller<'_>) -> Result<bool, Trouble> {
        self.kept.rebase().map_err(|error| trouble(&error))?;
        self.batch = 0;
        let base = self.kept.base();
        if !poller.looked_now(&self.at()).await {
            return Ok(false);
        }
        let is_it = |at: &At| matches!(at, At::FullCompare { base: known, .. } if *known >= base);
        let confirmed = poller
            .confirmed
            .wait_for(|place| place.as_ref().is_some_and(|place| is_it(&place.at)));
        if confirmed.await.is_err() {
            return Ok(false);
        }
        self.kept.forget_others().map_err(|error| trouble(&error))?;
        Ok(true)
    }
}

/// What tells a row from what it was; never 0, which stands for one that is gone.
pub(super) fn hash(page: &Page, row: usize, taken: &[usize]) -> u64 {
    let mut hash = Sha256::new();
    for at in taken {
        match page.cell(row, *at) {
            Cell::Null => hash.update([0]),
            Cell::Text(text) => {
                hash.update([1]);
                hash.update((text.len() as u64).to_le_bytes());
                hash.update(text);
            }
            Cell::Lost(bytes) => {
                hash.update([2]);
                hash.update((bytes.unwrap_or_default() as u64).to_le_bytes());
            }
            Cell::Unsaid => hash.update([3]),
        }
    }
    let digest = hash.finalize();
    let number = digest[..8]
        .iter()
        .fold(0, |number: u64, byte| number << 8 | u64::from(*byte));
    number.max(1)
}

/// Whether what was kept is not there, or is not what was written.
fn is_lost(error: &io::Error) -> bool {
    use io::ErrorKind::{InvalidData, NotFound, UnexpectedEof};
    matches!(error.kind(), NotFound | InvalidData | UnexpectedEof)
}
