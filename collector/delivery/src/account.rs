//! What several targets share: the limits of an account at an ERP, and its sign-in.
//!
//! Each request of a target with `account = "NAME"` waits for its turn here, whoever makes it: deliveries, calls of
//! conversations, sign-ins. Who is told to wait ([`Outcome::Throttled`], by status or rule) makes all of them wait. What is
//! decided stands in [`turns`], this is its driver. Nothing here survives: a collector that starts knows of no throttling.

mod turns;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use cookie_store::CookieStore;
use jiff::Timestamp;
use tokio::sync::Notify;

use crate::config::{AccountConfig, Auth, Timeliness};
use crate::connectors::sign_in::SignIn;
use crate::connectors::{Exchange, Told, Verdict};
use crate::outcome::Outcome;
use turns::{Ticket, Turn, Turns};

pub use turns::{BURST_MAX, FLOOR, HASTY, HASTY_MAX, STEP};

/// The accounts of a configuration, by name.
#[derive(Debug, Default)]
pub struct Accounts(BTreeMap<String, Arc<Account>>);

/// One account.
#[derive(Debug)]
pub struct Account {
    turns: Mutex<Turns>,
    changed: Notify,
    sign_in: Option<Arc<SignIn>>,
    cookies: Arc<Mutex<CookieStore>>,
}

impl Accounts {
    /// Checks them and reads their secrets; connects to nothing. Blocks on small files.
    ///
    /// # Errors
    /// A sentence.
    pub fn new(configs: &[AccountConfig]) -> Result<Self, String> {
        let mut accounts = BTreeMap::new();
        for config in configs {
            if let Some(wrong) = config.validate().into_iter().next() {
                return Err(wrong);
            }
            let account = Account::new(config)
                .map_err(|reason| format!("account {:?}: {reason}", config.name))?;
            if accounts
                .insert(config.name.clone(), Arc::new(account))
                .is_some()
            {
                return Err(format!(
                    "account {:?}: there are two of this name",
                    config.name
                ));
            }
        }
        Ok(Self(accounts))
    }

    /// A target's; `None` where it names none.
    ///
    /// # Errors
    /// A sentence.
    pub(crate) fn of(&self, name: &str) -> Result<Option<Arc<Account>>, String> {
        if name.is_empty() {
            return Ok(None);
        }
        let found = self.0.get(name).map(Arc::clone);
        found.map(Some).ok_or_else(|| {
            format!("account: there is no {name:?}; write an [[account]] of this name")
        })
    }
}

impl Account {
    fn new(config: &AccountConfig) -> Result<Self, String> {
        let sign_in = (config.auth != Auth::None)
            .then(|| SignIn::new(&config.auth, &config.vars))
            .transpose()?;
        Ok(Self {
            turns: Mutex::new(Turns::new(config)),
            changed: Notify::new(),
            sign_in: sign_in.map(Arc::new),
            cookies: Arc::default(),
        })
    }

    /// Its sign-in, for targets without one.
    pub(crate) fn sign_in(&self) -> Option<Arc<SignIn>> {
        self.sign_in.clone()
    }

    /// Where its session may stand.
    pub(crate) fn cookies(&self) -> Arc<Mutex<CookieStore>> {
        Arc::clone(&self.cookies)
    }

    /// Waits for a request's turn. It is in flight until the permit is dropped.
    pub(crate) async fn enter(self: &Arc<Self>, timeliness: Timeliness) -> Permit {
        let mut waiting = Waiting {
            ticket: Some(self.turns().queue(timeliness)),
            account: Arc::clone(self),
        };
        loop {
            // Before the look, so that what changes after it is heard.
            let changed = self.changed.notified();
            let Some(ticket) = waiting.ticket else {
                return Permit(Arc::clone(self));
            };
            let turn = self.turns().turn(ticket, Instant::now());
            match turn {
                Turn::Go => {
                    waiting.ticket = None;
                    // Another one is the next now.
                    self.changed.notify_waiters();
                }
                Turn::Wait(None) => changed.await,
                Turn::Wait(Some(until)) => {
                    let _ = tokio::time::timeout_at(until.into(), changed).await;
                }
            }
        }
    }

    /// Takes in what became of a delivery. `hide`: what of the target's words is told, which all its targets show.
    pub(crate) fn learn(&self, told: &Told, hide: impl Fn(String, Option<&Exchange>) -> String) {
        let outcomes: Vec<_> = match &told.verdict {
            Verdict::All(outcome) => vec![(outcome, told.exchange.as_ref())],
            Verdict::Each(fates) => {
                let fates = fates.iter();
                fates
                    .map(|fate| (&fate.outcome, fate.exchange.as_ref()))
                    .collect()
            }
        };
        for (outcome, exchange) in &outcomes {
            if let Outcome::Throttled(wait, why) = outcome {
                let why = hide(why.clone(), *exchange);
                self.turns().throttled(Instant::now(), *wait, &why);
            }
        }
        // However many events it has: a request is what the account counts.
        let is_taken = |outcome: &Outcome| matches!(outcome, Outcome::Done | Outcome::Accepted(..));
        if outcomes.iter().any(|(outcome, _)| is_taken(outcome)) {
            self.turns().succeeded();
        }
        self.changed.notify_waiters();
    }

    /// Until when nothing leaves, and why, where the account asked for time.
    pub(crate) fn paused(&self) -> Option<(Timestamp, String)> {
        let now = Instant::now();
        let turns = self.turns();
        let (until, why) = turns.paused(now)?;
        let at = Timestamp::now().checked_add(until - now);
        Some((at.unwrap_or(Timestamp::MAX), why.to_owned()))
    }

    /// Somebody ends the wait, for all its targets.
    pub(crate) fn go_on(&self) {
        self.turns().go_on();
        self.changed.notify_waiters();
    }

    fn turns(&self) -> MutexGuard<'_, Turns> {
        self.turns.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A request in the queue; given up with this value.
struct Waiting {
    ticket: Option<Ticket>,
    account: Arc<Account>,
}

impl Drop for Waiting {
    fn drop(&mut self) {
        if let Some(ticket) = self.ticket.take() {
            self.account.turns().leave(ticket);
            self.account.changed.notify_waiters();
        }
    }
}

/// A request in flight.
pub(crate) struct Permit(Arc<Account>);

impl Drop for Permit {
    fn drop(&mut self) {
        self.0.turns().ended();
        self.0.changed.notify_waiters();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::connectors::Fate;
    use std::time::Duration;

    /// Requests that may be in flight.
    fn places(account: &Account) -> usize {
        let (mut turns, mut went) = (account.turns(), 0);
        loop {
            let ticket = turns.queue(Timeliness::Normal);
            if turns.turn(ticket, Instant::now()) != Turn::Go {
                turns.leave(ticket);
                (0..went).for_each(|_| turns.ended());
                return went;
            }
            went += 1;
        }
    }

    #[test]
    fn a_delivery_that_is_taken_gives_back_one_step_however_many_events_it_has() {
        let config: AccountConfig =
            toml::from_str("name = \"a\"\nconcurrency = 64").expect("a table");
        let account = Account::new(&config).expect("no secrets");
        let told = |verdict| Told {
            verdict,
            ..Told::from(Outcome::Done)
        };
        let throttled = Outcome::Throttled(Duration::ZERO, "429".into());
        account.learn(&Told::from(throttled), |why, _| why);
        account.go_on();
        assert_eq!(places(&account), 32);
        let many = || (0..100).map(|_| Fate::from(Outcome::Done)).collect();
        account.learn(&told(Verdict::Each(many())), |why, _| why);
        assert_eq!(places(&account), 33);
        account.learn(&told(Verdict::All(Outcome::Done)), |why, _| why);
        assert_eq!(places(&account), 34);
        let refused = Fate::from(Outcome::Rejected("no".into()));
        account.learn(&told(Verdict::Each(vec![refused])), |why, _| why);
        assert_eq!(places(&account), 34);
    }
}
