//! `mode = "timestamp"`: rows by the time at which they were changed.

use jiff::Timestamp;
use jiff::tz::TimeZone;
use tracing::{info, warn};

use super::config::{ChangedConfig, TimeUnit};
use super::dialect::Dialect;
use super::form::Form;
use super::page::Page;
use super::place::At;
use super::poller::Poller;
use super::records::{Picked, ordinal};
use super::value::Kind;
use super::window::{Window, bound};
use crate::reader::Trouble;

/// Reads until nobody listens.
pub(super) async fn run(poller: &mut Poller<'_>, at: Option<At>) -> Result<(), Trouble> {
    let changed = poller.config.changed.clone().unwrap_or_default();
    let window = match at {
        Some(At::Timestamp(window)) => Some(window),
        _ => None,
    };
    let is_first = window.is_none();
    let columns = poller.columns().await?;
    let place = |setting: &str, name: &str| columns.place(setting, name).map_err(Trouble::Person);
    let mut times = Times {
        time: place("changed.column", &changed.column)?,
        id: place("id", &poller.config.id)?,
        zone: zone(&changed)?,
        lag_us: changed.lag.as_micros() as i64,
        window: window.unwrap_or_default(),
        form: None,
        changed,
        columns,
    };
    times.look(poller).await?;
    times.look_for_none(poller).await?;
    if is_first && !poller.config.first_load {
        let now_us = times.clock(poller).await?;
        times.window.through = Some(times.until(now_us)?);
        // Nobody but us remembers where the flow began.
        let at = At::Timestamp(times.window.clone());
        if !poller.looked_now(&at).await {
            return Ok(());
        }
    }
    info!(from = times.window.through, "the table is read");
    loop {
        if times.form.is_none() {
            times.look(poller).await?;
        }
        let now_us = times.clock(poller).await?;
        let before = times.window.clone();
        let page = times.page(poller, now_us).await?;
        if page.rows() == 0 {
            let at = At::Timestamp(times.window.clone());
            if !poller.looked(&at, false).await {
                return Ok(());
            }
            poller.wait().await;
            continue;
        }
        let picked = times.pick(poller.dialect, &page)?;
        // Its id and its time tell a row's version; where it was read from names the batch.
        let through = before.through.unwrap_or_default();
        let known = (before.edge.len() as u64).to_be_bytes();
        let last = before.last.unwrap_or_default();
        let scope = [b"time", through.as_bytes(), &known[..], last.as_bytes()];
        let at = At::Timestamp(times.window.clone());
        let time = times.time;
        if !poller.hand_over(&page, &picked, &scope, time, at).await? {
            return Ok(());
        }
        if !page.is_cut {
            poller.wait().await;
        }
    }
}

fn zone(changed: &ChangedConfig) -> Result<TimeZone, Trouble> {
    TimeZone::get(&changed.zone).map_err(|error| {
        Trouble::Person(format!(
            "changed.zone \"{}\" is no time zone ({error}); write e.g. zone = \"Europe/Berlin\"",
            changed.zone
        ))
    })
}

struct Times {
    changed: ChangedConfig,
    /// The columns' places in a page.
    time: usize,
    id: usize,
    zone: TimeZone,
    lag_us: i64,
    window: Window,
    /// How this table writes its times, once it has one.
    form: Option<Form>,
    columns: Page,
}

impl Times {
    /// How the table writes its times.
    async fn look(&mut self, poller: &mut Poller<'_>) -> Result<(), Trouble> {
        let name = poller.name(&self.changed.column);
        let Some(newest) = poller.one(&format!("MAX({name})")).await? else {
            return Ok(());
        };
        let form = match self.are_texts(poller.dialect) {
            true => Some(self.form_of(&newest)?),
            false => Form::of(&newest),
        };
        self.form = Some(form.unwrap_or(Form::Space));
        let through = self.window.through.clone();
        through.map_or(Ok(()), |through| self.is_one_form(poller.dialect, &through))
    }

    /// Whether times are texts that nothing but their form puts in an order.
    fn are_texts(&self, dialect: Dialect) -> bool {
        dialect == Dialect::Sqlite && self.changed.unit == TimeUnit::Time
    }

    fn form_of(&self, time: &str) -> Result<Form, Trouble> {
        Form::of(time).ok_or_else(|| {
            Trouble::Person(format!(
                "the column {} holds \"{time}\", which is no time as SQLite's functions write them (2026-11-27 08:15:00); where it counts since 1970, write unit = \"s\", \"ms\" or \"us\" in changed",
                self.changed.column
            ))
        })
    }

    /// That a time is written as the others are.
    fn is_one_form(&mut self, dialect: Dialect, time: &str) -> Result<(), Trouble> {
        if !self.are_texts(dialect) {
            return Ok(());
        }
        let form = self.form_of(time)?;
        if *self.form.get_or_insert(form) == form {
            return Ok(());
        }
        Err(Trouble::Person(format!(
            "the column {} holds \"{time}\" beside times of another form: such texts have no one order, and rows would be missed; let all be written in one form",
            self.changed.column
        )))
    }

    /// Whether there are rows without a time.
    async fn look_for_none(&self, poller: &mut Poller<'_>) -> Result<(), Trouble> {
        let name = poller.name(&self.changed.column);
        let without = poller.rows(&format!("{name} IS NULL"), "", 1).await?;
        if without.rows() > 0 {
            warn!(
                column = self.changed.column,
                "there are rows without a time: they are not read"
            );
        }
        Ok(())
    }

    /// The database's clock, which must not go back.
    async fn clock(&mut self, poller: &mut Poller<'_>) -> Result<i64, Trouble> {
        let now_us = poller.clock_us().await?;
        let Err(back_us) = self.window.clock(now_us, self.lag_us) else {
            return Ok(now_us);
        };
        let seconds = back_us / 1_000_000;
        if !self.changed.accept_clock_back {
            return Err(Trouble::Person(format!(
                "the database's clock went back by {seconds} s, which is more than changed.lag: rows that are written now get times that were read already, and would be missed. \
                 Compare the table with the target, then write accept_clock_back = true until it has gone on, or give the flow another name, which reads all of the table again"
            )));
        }
        warn!(
            seconds,
            "the database's clock went back, and rows may be missing"
        );
        self.window.set_clock(now_us);
        Ok(now_us)
    }

    /// Until when rows are read, as the table writes it.
    fn until(&self, now_us: i64) -> Result<String, Trouble> {
        let until_us = now_us.saturating_sub(self.lag_us);
        let number = |divisor: i64| Ok(until_us.div_euclid(divisor).to_string());
        match self.changed.unit {
            TimeUnit::S => return number(1_000_000),
            TimeUnit::Ms => return number(1_000),
            TimeUnit::Us => return number(1),
            TimeUnit::Time => {}
        }
        let until = Timestamp::from_microsecond(until_us);
        let until = until.map_err(|error| {
            Trouble::Passing(format!("the database's clock says {now_us} µs: {error}"))
        })?;
        let is_utc = self.columns.columns[self.time].kind == Kind::TimeUtc;
        let zone = if is_utc { &TimeZone::UTC } else { &self.zone };
        let local = bound(until, zone);
        Ok(self.form.unwrap_or(Form::Space).write(local))
    }

    async fn page(&self, poller: &mut Poller<'_>, now_us: i64) -> Result<Page, Trouble> {
        let (time, id) = (
            poller.name(&self.changed.column),
            poller.name(&poller.config.id),
        );
        let value = |text: &str| poller.value(&self.columns, self.time, text);
        let known = |text: &str| poller.value(&self.columns, self.id, text);
        let mut filter = format!("{time} < {}", value(&self.until(now_us)?)?);
        if let Some(through) = &self.window.through {
            let through = value(through)?;
            filter = format!("{time} >= {through} AND {filter}");
            let rest = match &self.window.last {
                Some(last) => Some(format!("{id} > {}", known(last)?)),
                None if self.window.edge.is_empty() => None,
                None => {
                    let edge: Result<Vec<_>, _> =
                        self.window.edge.iter().map(|id| known(id)).collect();
                    Some(format!("{id} NOT IN ({})", edge?.join(", ")))
                }
            };
            if let Some(rest) = rest {
                filter = format!("{filter} AND ({time} > {through} OR {rest})");
            }
        }
        let order = format!("{time}, {id}");
        poller.rows(&filter, &order, usize::MAX).await
    }

    fn pick(&mut self, dialect: Dialect, page: &Page) -> Result<Vec<Picked>, Trouble> {
        let mut picked = Vec::with_capacity(page.rows());
        for row in 0..page.rows() {
            let cells = (page.get(row, self.time), page.get(row, self.id));
            let (Some(time), Some(id)) = cells else {
                return Err(Trouble::Person(format!(
                    "a row's {} is NULL: a row without an id can't be told from others",
                    page.columns[self.id].name
                )));
            };
            self.is_one_form(dialect, time)?;
            if self.window.knows(time, id) {
                return Err(Trouble::Person(format!(
                    "the row {id} comes again though it was left out: the database does not find the {} that it tells; name another column",
                    page.columns[self.id].name
                )));
            }
            self.window.read(time, id);
            picked.push(Picked {
                row,
                ordinal: ordinal(picked.len(), &[id, time]),
                op: None,
            });
        }
        Ok(picked)
    }
}
