//! `mode = "cdc"`: the changes that SQL Server's capture job wrote, from the last one on through the newest.
//!
//! The job writes a transaction's changes and its LSN in one transaction of its own, so that all through the newest LSN are there. How far is kept for is
//! asked before a page and again behind it: what is cleaned up between the two would be missing from the page, which is then not taken.

use std::time::Duration;

use dray_adapter::{GapCourse, GapReason};
use tokio::time::Instant;
use tracing::{info, warn};

use super::super::dialect::Select;
use super::super::page::Page;
use super::super::place::At;
use super::super::poller::Poller;
use super::super::records::Table;
use super::changes::{Columns, Key, captured, loaded};
use super::gap::Gap;
use super::instance::{Instance, Wanted};
use super::load::Loader;
use super::lsn::Lsn;
use super::stand::{Limits, Row, Stand, Window};
use super::statements::{LSN, OPERATION, SEQVAL, Statements};
use crate::reader::Trouble;

/// How often is looked whether the capture job works, and whether the table has another instance.
const LOOK_EVERY: Duration = Duration::from_secs(300);
/// The capture job writes something at least every five minutes.
pub(super) const SILENCE_SECONDS_MAX: i64 = 900;
/// What SQL Server says where changes are asked for that it does not keep (its error 313).
const NOT_KEPT: &str = "insufficient number of arguments";

/// Reads until nobody listens.
pub(in super::super) async fn run(poller: &mut Poller<'_>, at: Option<At>) -> Result<(), Trouble> {
    let stand = match at {
        Some(At::Cdc(stand)) => Some(stand),
        _ => None,
    };
    let wanted = Wanted::of(poller.config);
    let instance = wanted.find(&mut poller.session).await?;
    let limits = limits(poller).await?;
    let mut cdc = Cdc {
        stand: match &stand {
            Some(stand) => stand.clone(),
            None => Stand::begin(&limits, poller.config.first_load),
        },
        limits,
        instance,
        loader: None,
        columns: None,
        looked: None,
        told: (false, 0),
    };
    // Nobody but us remembers where the flow began.
    if stand.is_none() && !poller.looked_now(&cdc.at()).await {
        return Ok(());
    }
    info!(behind = cdc.stand.scope(), "captured changes are read");
    loop {
        let is_heard = match cdc.stand.window(&cdc.limits) {
            Window::Gone | Window::Back => cdc.bridge(poller).await?,
            _ if cdc.stand.load.is_some() => cdc.load(poller).await?,
            Window::Empty => cdc.idle(poller).await?,
            Window::Open(from, to) => cdc.read(poller, from, to).await?,
        };
        if !is_heard {
            return Ok(());
        }
    }
}

async fn limits(poller: &mut Poller<'_>) -> Result<Limits, Trouble> {
    let wanted = Wanted::of(poller.config);
    let sql = Statements(poller.dialect).limits(wanted.capture);
    let page = poller.told(&sql).await?;
    let lsn = |at| match page.rows() {
        0 => None,
        _ => page.get(0, at).and_then(Lsn::read),
    };
    let oldest = lsn(1).filter(|oldest| *oldest != Lsn::NONE);
    let oldest = oldest.ok_or_else(|| {
        Trouble::Passing(format!(
            "the capture instance {} is gone, or may not be read any more",
            wanted.capture
        ))
    })?;
    Ok(Limits {
        newest: lsn(0).filter(|newest| *newest != Lsn::NONE),
        oldest,
    })
}

struct Cdc {
    stand: Stand,
    limits: Limits,
    instance: Instance,
    /// While the table is read.
    loader: Option<(Loader, Table)>,
    /// Of a page of changes.
    columns: Option<Columns>,
    looked: Option<Instant>,
    /// That the job is silent, and of how many instances.
    told: (bool, usize),
}

impl Cdc {
    fn at(&self) -> At {
        At::Cdc(self.stand.clone())
    }

    /// Changes are gone.
    async fn bridge(&mut self, poller: &mut Poller<'_>) -> Result<bool, Trouble> {
        let (capture, needed) = (Wanted::of(poller.config).capture, self.stand.next());
        let Limits { newest, oldest } = self.limits;
        let (reason, sentence) = match (needed < oldest, newest) {
            (true, _) => (
                GapReason::LogDropped,
                format!(
                    "changes of {capture} are needed from {needed} on, and the server keeps them from {oldest} on: its cleanup job removed them, or the instance was made anew. How long they are kept: EXEC sys.sp_cdc_change_job @job_type = N'cleanup', @retention = 10080; (minutes)"
                ),
            ),
            (false, newest) => (
                GapReason::OtherServer,
                format!(
                    "the newest change of the database is {}, and {} was read already: the database was restored, or is another one",
                    newest.unwrap_or(Lsn::NONE),
                    self.stand.lsn
                ),
            ),
        };
        let gap = Gap {
            reason,
            from: self.stand.lsn.to_string(),
            to: oldest.to_string(),
            sentence,
        };
        let course = gap.course(poller, self.stand.load.is_some())?;
        let begun = Stand::begin(&self.limits, course == GapCourse::LoadsAgain);
        let lsn = match (course, reason) {
            (GapCourse::WentOn, GapReason::LogDropped) => oldest.previous(),
            _ => begun.lsn,
        };
        self.stand = Stand { lsn, ..begun };
        self.turn(poller);
        warn!(on = %self.stand.lsn, "changes are missing, and the flow goes on behind them");
        Ok(gap.tell(poller, course, self.at()).await)
    }

    /// From a page of the table to one of changes, or back.
    fn turn(&mut self, poller: &mut Poller<'_>) {
        self.loader = None;
        self.columns = None;
        poller.turn();
    }

    /// A page of what the table held before.
    async fn load(&mut self, poller: &mut Poller<'_>) -> Result<bool, Trouble> {
        let (loader, table) = match self.loader.take() {
            Some(loading) => loading,
            None => {
                let key = self.instance.order(poller.config)?;
                let loader = Loader::new(poller, &self.instance.columns, key).await?;
                let table = captured(poller.config, &loader.described);
                (loader, table.map_err(Trouble::Person)?)
            }
        };
        let load = self.stand.load.take().unwrap_or_default();
        let page = loader.next(poller, &load).await?;
        let position = self.stand.lsn.to_string();
        let made = loaded(&table, &page, |row| loader.ordinal(&page, row), &position);
        let scope = [b"cdc load".as_slice(), position.as_bytes()];
        let scope = [&scope[..], &load.scope()].concat();
        self.stand.load = match page.rows() {
            rows if page.is_cut && rows > 0 => Some(loader.at(&page, rows - 1)?),
            _ => None,
        };
        let is_heard = match page.rows() {
            0 => poller.looked_now(&self.at()).await,
            _ => poller.send(made, &scope, self.at()).await?,
        };
        match self.stand.load {
            Some(_) => self.loader = Some((loader, table)),
            None => {
                info!("what the table holds is read");
                self.turn(poller);
            }
        }
        self.limits = limits(poller).await?;
        Ok(is_heard)
    }

    async fn idle(&mut self, poller: &mut Poller<'_>) -> Result<bool, Trouble> {
        self.look_around(poller).await?;
        let is_heard = poller.looked(&self.at(), false).await;
        poller.wait().await;
        self.limits = limits(poller).await?;
        Ok(is_heard)
    }

    /// A page of changes.
    async fn read(&mut self, poller: &mut Poller<'_>, from: Lsn, to: Lsn) -> Result<bool, Trouble> {
        let statements = Statements(poller.dialect);
        let filter = match &self.stand.row {
            Some(row) => statements.behind(self.stand.lsn, row.seqval, row.operation),
            None => String::new(),
        };
        let asked = ask(poller, (from, to), &filter, usize::MAX).await;
        self.limits = limits(poller).await?;
        let is_kept = self.stand.window(&self.limits) != Window::Gone;
        let page = match asked {
            Err(Trouble::Passing(said)) if said.contains(NOT_KEPT) && !is_kept => return Ok(true),
            asked => asked?,
        };
        if !is_kept {
            return Ok(true);
        }
        let columns = match self.columns.take() {
            Some(columns) => columns,
            None => Columns::of(poller.config, &page).map_err(Trouble::Person)?,
        };
        let is_heard = self.hand_over(poller, &columns, &page, to).await?;
        self.columns = Some(columns);
        if is_heard && !page.is_cut {
            self.look_around(poller).await?;
            poller.wait().await;
            self.limits = limits(poller).await?;
        }
        Ok(is_heard)
    }

    async fn hand_over(
        &mut self,
        poller: &mut Poller<'_>,
        columns: &Columns,
        page: &Page,
        to: Lsn,
    ) -> Result<bool, Trouble> {
        let rows = columns.whole(page).map_err(Trouble::Person)?;
        let (mut changes, half) = columns.changes(page, rows).map_err(Trouble::Person)?;
        let mate;
        if let Some(before) = half {
            mate = self.mate(poller, page, to).await?;
            let joined = columns.joined(before, &mate);
            changes.push(joined.map_err(Trouble::Passing)?);
        }
        let scope = self.stand.scope();
        let row = self.stand.row.as_ref();
        let (made, read) = columns.put(&changes, row.map(|row| (self.stand.lsn, row.read)));
        match (page.is_cut, changes.last().map(|change| change.key)) {
            (
                true,
                Some(Key {
                    lsn,
                    seqval,
                    operation,
                }),
            ) => {
                self.stand.lsn = lsn;
                self.stand.row = Some(Row {
                    seqval,
                    operation,
                    read,
                });
            }
            _ => {
                self.stand.lsn = to;
                self.stand.row = None;
            }
        }
        match changes.is_empty() {
            true => Ok(poller.looked(&self.at(), false).await),
            false => {
                poller
                    .send(made, &[b"cdc", scope.as_bytes()], self.at())
                    .await
            }
        }
    }

    /// The row of an update as it is, where a page ended behind the row as it was.
    async fn mate(&self, poller: &mut Poller<'_>, page: &Page, to: Lsn) -> Result<Page, Trouble> {
        let (dialect, row) = (poller.dialect, page.rows() - 1);
        let value = |name: &str| {
            let at = page.place("change data capture", name);
            let at = at.map_err(Trouble::Person)?;
            let text = page.get(row, at).unwrap_or_default();
            Ok::<_, Trouble>((dialect.name(name), poller.value(page, at, text)?, text))
        };
        let (lsn, lsn_is, text) = value(LSN)?;
        let (seqval, seqval_is, _) = value(SEQVAL)?;
        let operation = dialect.name(OPERATION);
        let from = Lsn::read(text).unwrap_or(to);
        let filter = format!("{lsn} = {lsn_is} AND {seqval} = {seqval_is} AND {operation} = 4");
        ask(poller, (from, to), &filter, 1).await
    }

    /// Whether the capture job works, and whether the table has another instance.
    async fn look_around(&mut self, poller: &mut Poller<'_>) -> Result<(), Trouble> {
        if self
            .looked
            .is_some_and(|looked| looked.elapsed() < LOOK_EVERY)
        {
            return Ok(());
        }
        self.looked = Some(Instant::now());
        let page = poller.told(&Statements(poller.dialect).silence()).await?;
        let said = silent(page.only());
        if let (Some(said), false) = (&said, self.told.0) {
            warn!("{said}");
        }
        self.told.0 = said.is_some();
        let wanted = Wanted::of(poller.config);
        self.instance = wanted.find(&mut poller.session).await?;
        let others = self.instance.others.len();
        if others > self.told.1
            && let Some(said) = self.instance.warning(&wanted)
        {
            warn!("{said}");
        }
        self.told.1 = others;
        Ok(())
    }
}

/// What is said of a capture job that has been silent for so many seconds, or always.
pub(super) fn silent(seconds: Option<&str>) -> Option<String> {
    let seconds: Option<i64> = seconds.and_then(|text| text.parse().ok());
    let long = match seconds {
        Some(seconds) if seconds <= SILENCE_SECONDS_MAX => return None,
        Some(seconds) => format!("for {seconds} s"),
        None => "yet".to_owned(),
    };
    Some(format!(
        "the capture job has written nothing {long}: let the DBA look whether SQL Server Agent runs, and run EXEC sys.sp_cdc_start_job @job_type = N'capture';"
    ))
}

async fn ask(
    poller: &mut Poller<'_>,
    (from, to): (Lsn, Lsn),
    filter: &str,
    rows: usize,
) -> Result<Page, Trouble> {
    let statements = Statements(poller.dialect);
    let capture = Wanted::of(poller.config).capture;
    let (asked, order) = (
        statements.changes(capture, from, to),
        statements.change_order(),
    );
    let wanted = Select {
        columns: "*",
        from: &asked,
        filter,
        order: &order,
        rows: Some(rows),
    };
    poller.page(&wanted, "").await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_silent_job_is_told_of() {
        assert_eq!(silent(Some("299")), None);
        let told = silent(Some("901")).expect("it is silent");
        assert!(told.contains("nothing for 901 s"), "{told}");
        assert!(silent(None).expect("it is silent").contains("nothing yet"));
    }
}
