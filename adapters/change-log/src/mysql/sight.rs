//! What a chunk sees of the stream: transactions by their numbers in each domain. Pure.

use std::collections::{BTreeMap, BTreeSet};
use std::mem;

use super::event::Begin;
use super::gtid::Gtids;
use super::place::Place;
use crate::again::{FLIGHT_TRANSACTIONS_MAX, Track, View};

/// Of one domain the last transaction: server and number.
type Last = BTreeMap<u32, (u32, u64)>;

/// What the server says of what a question sees.
pub(super) struct Sight {
    pub(super) at: Gtids,
    /// Domains that its log has: of another one, which the DBA had it forget, nothing is seen or comes any more.
    pub(super) domains: BTreeSet<u32>,
}

/// What a chunk sees.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Seen {
    /// As many transactions of the stream, which are told.
    Told(u64),
    /// All up to these, which the stream comes to.
    Ahead(Gtids),
}

impl View for Seen {
    type Place = Place;

    fn has(&self, transaction: u64) -> bool {
        match self {
            Self::Told(told) => transaction <= *told,
            // It is given where the stream has told just these.
            Self::Ahead(_) => true,
        }
    }

    fn is_reached(&self, place: &Place) -> bool {
        match self {
            Self::Told(_) => true,
            Self::Ahead(at) => place.at.covers(at),
        }
    }
}

/// Transactions in the order of the stream.
#[derive(Debug)]
pub(super) struct Order {
    /// So many were told before the chunk at hand was asked for, the last ones these.
    before: u64,
    at: Last,
    /// Told since: domain, server and number of each.
    since: Vec<(u32, (u32, u64))>,
    /// Whether a chunk is being read.
    is_away: bool,
}

impl Order {
    pub(super) fn new(told: u64) -> Self {
        Self {
            before: told,
            at: Last::new(),
            since: Vec::new(),
            is_away: false,
        }
    }

    /// The stream has told one.
    pub(super) fn told(&mut self, begin: &Begin) {
        if let Begin::Maria {
            domain,
            server,
            sequence,
            ..
        } = begin
        {
            match self.is_away {
                true => self.since.push((*domain, (*server, *sequence))),
                false => self.before += 1,
            }
        }
    }
}

impl Track for Order {
    type Place = Place;
    type Sight = Sight;
    type View = Seen;

    fn begin(&mut self, _: &Sight) {}

    fn depart(&mut self, place: &Place) {
        self.is_away = true;
        if let Gtids::Maria(last) = &place.at {
            self.at.clone_from(last);
        }
    }

    fn is_full(&self) -> bool {
        self.since.len() >= FLIGHT_TRANSACTIONS_MAX
    }

    fn settle(&mut self, sight: Sight) -> Option<Seen> {
        self.is_away = false;
        let (before, since) = (self.before, mem::take(&mut self.since));
        self.before += since.len() as u64;
        let Gtids::Maria(seen) = &sight.at else {
            return None;
        };
        let mut told = self.at.iter();
        let is_before = told.any(|(domain, (_, number))| match seen.get(domain) {
            Some((_, seen)) => seen < number,
            None => sight.domains.contains(domain),
        });
        if is_before {
            return None;
        }
        let others = seen
            .iter()
            .filter(|(domain, last)| self.at.get(domain) != Some(last));
        let mut told = others.map(|(domain, last)| {
            let at = since.iter().rposition(|one| *one == (*domain, *last));
            at.map(|at| at as u64 + 1)
        });
        // The last of them, if all are told.
        let told = told.try_fold(0, |most, told| told.map(|told| most.max(told)));
        Some(match told {
            Some(told) => Seen::Told(before + told),
            None => Seen::Ahead(sight.at),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn gtids(text: &str) -> Gtids {
        Gtids::read(text, true).expect("a list")
    }

    fn sight(text: &str) -> Sight {
        Sight {
            at: gtids(text),
            domains: [0, 7].into(),
        }
    }

    #[test]
    fn a_domain_that_the_log_has_forgotten_is_not_waited_for() {
        let settle = |domains: &[u32]| {
            let mut order = Order::new(10);
            order.depart(&Place::at(gtids("0-1-100,9-1-5")));
            order.settle(Sight {
                at: gtids("0-1-100"),
                domains: domains.iter().copied().collect(),
            })
        };
        // Its last transaction is in the log, and not visible yet.
        assert_eq!(settle(&[0, 9]), None);
        assert_eq!(settle(&[0]), Some(Seen::Told(10)));
    }

    #[test]
    fn a_chunk_is_given_where_the_stream_tells_just_what_it_sees() {
        let check = |seen: &str, expected: Option<Seen>| {
            let mut order = Order::new(10);
            order.depart(&Place::at(gtids("0-1-100,7-1-5")));
            for (domain, server, sequence) in [(0, 1, 101), (7, 1, 6), (0, 2, 102)] {
                order.told(&Begin::Maria {
                    domain,
                    server,
                    sequence,
                    stands_alone: false,
                    is_prepared: false,
                });
            }
            assert_eq!(order.settle(sight(seen)), expected, "{seen}");
        };
        check("0-1-100,7-1-5", Some(Seen::Told(10)));
        check("0-1-101,7-1-5", Some(Seen::Told(11)));
        check("0-1-101,7-1-6", Some(Seen::Told(12)));
        check("0-2-102,7-1-6", Some(Seen::Told(13)));
        for ahead in ["0-2-103,7-1-6", "0-2-102,7-1-6,8-1-1"] {
            check(ahead, Some(Seen::Ahead(gtids(ahead))));
        }
        // What was told before it was asked for is not visible yet.
        for before in ["0-1-99,7-1-5", "0-1-101,7-1-4", "0-1-100"] {
            check(before, None);
        }
    }
}
