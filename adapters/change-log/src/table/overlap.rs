//! `mode = "overlap"`: rows above the highest id that was read, and those that were missing below it.

use tokio::time::Instant;
use tracing::{info, warn};

use super::config::SqlConfig;
use super::ledger::{Gap, LOOK_MAX, Ledger};
use super::page::Page;
use super::place::At;
use super::poller::{Poller, not_unique, whole};
use super::records::Picked;
use crate::reader::Trouble;

/// Statements that look for missing ids, in one round.
const LOOKS_MAX: usize = 5;
/// Bits of an id that number a row in its batch; the rest names the batch.
const ORDINAL_BITS: u32 = 40;

/// Reads until nobody listens.
pub(super) async fn run(poller: &mut Poller<'_>, at: Option<At>) -> Result<(), Trouble> {
    let ledger = match at {
        Some(At::Overlap(ledger)) => Some(ledger),
        _ => None,
    };
    let is_first = ledger.is_none();
    let mut overlap = Overlap {
        ledger: ledger.unwrap_or_default(),
        max_ms: poller.config.transaction_max.as_millis() as u64,
        next_look: 0,
        looked: Instant::now(),
        told_full: false,
        below: None,
    };
    if is_first
        && !poller.config.first_load
        && let Some(highest) = overlap.highest(poller).await?
    {
        overlap.ledger.begin_behind(highest);
    }
    // Nobody but us remembers where the flow began.
    if is_first && !poller.config.first_load {
        let at = At::Overlap(overlap.ledger.clone());
        if !poller.looked_now(&at).await {
            return Ok(());
        }
    }
    info!(
        above = overlap.ledger.top,
        missing = overlap.ledger.gaps().len(),
        "the table is read"
    );
    loop {
        let elapsed = overlap.looked.elapsed();
        overlap.looked += elapsed;
        overlap.ledger.tick(elapsed.as_millis() as u64);
        let Some(more) = overlap.above(poller).await? else {
            return Ok(());
        };
        if !overlap.below(poller).await? {
            return Ok(());
        }
        let is_news = !overlap.ledger.gaps().is_empty();
        let at = At::Overlap(overlap.ledger.clone());
        if !poller.looked(&at, is_news).await {
            return Ok(());
        }
        if !more {
            poller.wait().await;
        }
    }
}

struct Overlap {
    ledger: Ledger,
    max_ms: u64,
    /// Which of the missing ranges is looked for next.
    next_look: usize,
    /// When time was counted.
    looked: Instant,
    told_full: bool,
    /// The highest id, while it is below what was read.
    below: Option<i64>,
}

impl Overlap {
    async fn highest(&self, poller: &mut Poller<'_>) -> Result<Option<i64>, Trouble> {
        let what = format!("MAX({})", poller.name(&poller.config.id));
        let Some(text) = poller.one(&what).await? else {
            return Ok(None);
        };
        let number = text.parse().map_err(|_| {
            Trouble::Person(format!(
                "the highest {} is \"{text}\", which is no whole number of 64 bits: this mode needs one",
                poller.config.id
            ))
        })?;
        Ok(Some(number))
    }

    /// Rows above the highest id; whether there are more. `None`: nobody listens.
    async fn above(&mut self, poller: &mut Poller<'_>) -> Result<Option<bool>, Trouble> {
        let is_full = self.ledger.is_full();
        self.tell_full(is_full);
        if is_full {
            return Ok(Some(false));
        }
        if self.ledger.asks_for_drawn()
            && let Some(highest) = self.highest(poller).await?
        {
            self.ledger.drawn(highest);
        }
        let id = poller.name(&poller.config.id);
        // With the row that was read last: it shows that this is the table which it was.
        let filter = self
            .ledger
            .top
            .map_or_else(String::new, |top| format!("{id} >= {top}"));
        let page = poller.rows(&filter, &id, usize::MAX).await?;
        let at = page
            .place("id", &poller.config.id)
            .map_err(Trouble::Person)?;
        let ids = (0..page.rows()).map(|row| whole(&page, row, at));
        let ids = ids.collect::<Result<Vec<_>, _>>()?;
        if let Some(twice) = ids.windows(2).find(|pair| pair[0] >= pair[1]) {
            return Err(Trouble::Person(not_unique(
                poller.config,
                &twice[0].to_string(),
            )));
        }
        let old = self.anchor(poller, &page, &ids).await?;
        if ids.len() == old {
            return Ok(Some(false));
        }
        let rows: Vec<_> = (old..ids.len()).map(|row| (row, ids[row])).collect();
        let mut more = page.is_cut;
        for rows in rows.chunk_by(|one, next| group(one.1) == group(next.1)) {
            let ids = rows.iter().map(|(_, id)| *id);
            let taken = self.ledger.read(ids, self.max_ms);
            let Some((newest, _)) = rows[..taken].last() else {
                break;
            };
            self.ledger.version = version(poller.config, &page, *newest)?;
            let all = rows.len();
            let rows = &rows[..taken];
            if !self.hand_over(poller, &page, rows, at).await? {
                return Ok(None);
            }
            if taken < all {
                break;
            }
        }
        more &= !self.ledger.is_full();
        Ok(Some(more))
    }

    /// How many of the page's rows are known: one, where the row that was read last is still there.
    async fn anchor(
        &mut self,
        poller: &mut Poller<'_>,
        page: &Page,
        ids: &[i64],
    ) -> Result<usize, Trouble> {
        let Some(top) = self.ledger.top else {
            return Ok(0);
        };
        let table = poller.config.record_type();
        if ids.first() == Some(&top) {
            let now = version(poller.config, page, 0)?;
            if self.ledger.version.is_some() && now != self.ledger.version {
                return Err(Trouble::Person(format!(
                    "the row {top} of {table} is another one than was read: the table was restored or its ids are used again, and rows may be missing. {WAY_OUT}"
                )));
            }
            return Ok(1);
        }
        // It is gone. Nothing above it may mean that all were deleted, or that the ids went back.
        let highest = match ids.is_empty() {
            true => self.highest(poller).await?,
            false => None,
        };
        let Some(highest) = highest.filter(|highest| *highest < top) else {
            self.below = None;
            return Ok(0);
        };
        if !poller.config.rows_are_deleted {
            return Err(Trouble::Person(format!(
                "the highest id of {table} is {highest}, and {top} was read already: the table was restored or its ids are used again. {WAY_OUT} Where rows are only deleted after they were read, write rows_are_deleted = true"
            )));
        }
        // Whoever deletes rows makes it lower, and a row that was missing may come up there. Nothing else does.
        let grew = self.below.is_some_and(|before| before < highest);
        if grew && !self.ledger.is_missing(highest) {
            return Err(Trouble::Person(format!(
                "the highest id of {table} grew to {highest}, and {top} was read already: its ids begin anew. {WAY_OUT}"
            )));
        }
        self.below = Some(highest);
        Ok(0)
    }

    /// Looks for what is missing; whether anybody listens.
    async fn below(&mut self, poller: &mut Poller<'_>) -> Result<bool, Trouble> {
        let ranges = self.ledger.gaps().len();
        for _ in 0..ranges.div_ceil(LOOK_MAX).min(LOOKS_MAX) {
            if self.next_look >= self.ledger.gaps().len() {
                self.next_look = 0;
            }
            let gaps = self.ledger.gaps().iter().skip(self.next_look);
            let looked: Vec<Gap> = gaps.take(LOOK_MAX).copied().collect();
            if !self.look(poller, &looked).await? {
                return Ok(false);
            }
            self.next_look += LOOK_MAX;
        }
        Ok(true)
    }

    async fn look(&mut self, poller: &mut Poller<'_>, looked: &[Gap]) -> Result<bool, Trouble> {
        let id = poller.name(&poller.config.id);
        let ranges: Vec<_> = looked.iter().map(|gap| range(&id, gap)).collect();
        let filter = format!("({})", ranges.join(" OR "));
        let clock_ms = self.ledger.clock_ms();
        let page = poller.rows(&filter, &id, usize::MAX).await?;
        let at = page
            .place("id", &poller.config.id)
            .map_err(Trouble::Person)?;
        let ids = (0..page.rows()).map(|row| whole(&page, row, at));
        let all = ids.collect::<Result<Vec<_>, _>>()?;
        let room = self.ledger.room_to_find();
        let is_near = |id: &&i64| group(**id) == group(all[0]);
        let near = all.iter().take(room).take_while(is_near);
        let ids: Vec<_> = near.copied().collect();
        // What is behind the last one is not known.
        let is_cut = page.is_cut || ids.len() < all.len();
        let clock_ms = if is_cut { 0 } else { clock_ms };
        let given_up = self.ledger.looked(looked, &ids, clock_ms, self.max_ms);
        if given_up > 0 {
            info!(
                ids = given_up,
                "ids that were missing are given up: their transactions must have ended"
            );
        }
        if ids.is_empty() {
            return Ok(true);
        }
        info!(
            rows = ids.len(),
            so_far = self.ledger.late,
            "rows came after higher ones"
        );
        let rows: Vec<_> = ids.into_iter().enumerate().collect();
        self.hand_over(poller, &page, &rows, at).await
    }

    async fn hand_over(
        &self,
        poller: &mut Poller<'_>,
        page: &Page,
        rows: &[(usize, i64)],
        at: usize,
    ) -> Result<bool, Trouble> {
        let Some((_, first)) = rows.first() else {
            return Ok(true);
        };
        let picked: Vec<_> = rows
            .iter()
            .map(|(row, id)| Picked {
                row: *row,
                ordinal: *id as u64 & ((1 << ORDINAL_BITS) - 1),
                op: None,
            })
            .collect();
        let scope = group(*first).to_be_bytes();
        let place = At::Overlap(self.ledger.clone());
        poller.hand_over(page, &picked, &[&scope], at, place).await
    }

    fn tell_full(&mut self, is_full: bool) {
        if is_full && !self.told_full {
            warn!(
                "so many ids are missing that nothing new is read until their transactions must have ended; a shorter transaction_max ends that sooner"
            );
        }
        self.told_full = is_full;
    }
}

const WAY_OUT: &str = "Give the flow another name, which reads the table from its beginning.";

fn group(id: i64) -> i64 {
    id >> ORDINAL_BITS
}

fn range(id: &str, gap: &Gap) -> String {
    match (gap.0, gap.1) {
        (i64::MIN, to) => format!("{id} <= {to}"),
        (from, to) if from == to => format!("{id} = {from}"),
        (from, to) => format!("{id} BETWEEN {from} AND {to}"),
    }
}

/// What tells a row from another one with its id, where that is configured.
fn version(config: &SqlConfig, page: &Page, row: usize) -> Result<Option<String>, Trouble> {
    let Some(column) = &config.version else {
        return Ok(None);
    };
    let at = page.place("version", column).map_err(Trouble::Person)?;
    Ok(page.get(row, at).map(str::to_owned))
}
