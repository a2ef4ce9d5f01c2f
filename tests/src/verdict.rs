//! What was lost, doubled or out of order.

use std::collections::HashMap;
use std::fmt;

/// One arrival at the target or one event of the log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Arrival {
    /// The event's id, hex.
    pub id: String,
    /// The business key.
    pub key: String,
    /// What the source calls the record, unique there.
    pub number: String,
    /// The record's place among those of its key, ascending at the source.
    pub order: u64,
}

/// Counts what went wrong.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Verdict {
    /// Records expected.
    pub expected: u64,
    /// Records that arrived at least once.
    pub arrived: u64,
    /// Records that never arrived.
    pub lost: u64,
    /// Records that arrived under more than one id, or that nobody sent.
    pub doubled: u64,
    /// Arrivals after a later one of their key.
    pub out_of_order: u64,
    /// Arrivals of an id that had arrived: what a target that upserts by id doesn't see.
    pub repeats: u64,
    /// Some of the lost records, for whoever looks for them.
    pub lost_some: Vec<String>,
}

impl Verdict {
    /// Whether nothing was lost, doubled or out of order.
    #[must_use]
    pub fn clean(&self) -> bool {
        (self.lost, self.doubled, self.out_of_order) == (0, 0, 0)
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} lost, {} doubled, {} out of order ({} of {} records; {} repeats under the same id)",
            self.lost, self.doubled, self.out_of_order, self.arrived, self.expected, self.repeats
        )?;
        if self.lost > 0 {
            write!(f, "; lost are {:?} and others", self.lost_some)?;
        }
        Ok(())
    }
}

/// Judges arrivals, in the order in which they came, against the numbers that were sent.
pub fn judge<'a>(
    expected: impl IntoIterator<Item = String>,
    arrivals: impl IntoIterator<Item = &'a Arrival>,
) -> Verdict {
    let mut ids: HashMap<String, Option<&str>> =
        expected.into_iter().map(|number| (number, None)).collect();
    let mut newest: HashMap<&str, u64> = HashMap::new();
    let mut verdict = Verdict {
        expected: ids.len() as u64,
        ..Verdict::default()
    };
    for arrival in arrivals {
        match ids.get_mut(&arrival.number) {
            None => verdict.doubled += 1,
            Some(first @ None) => {
                *first = Some(&arrival.id);
                verdict.arrived += 1;
            }
            Some(Some(first)) if *first == arrival.id => verdict.repeats += 1,
            Some(Some(_)) => verdict.doubled += 1,
        }
        let newest = newest.entry(&arrival.key).or_default();
        if arrival.order < *newest {
            verdict.out_of_order += 1;
        }
        *newest = arrival.order.max(*newest);
    }
    verdict.lost = verdict.expected - verdict.arrived;
    let mut lost: Vec<String> = ids
        .into_iter()
        .filter(|(_, id)| id.is_none())
        .map(|(number, _)| number)
        .collect();
    lost.sort();
    let step = (lost.len() / 10).max(1);
    verdict.lost_some = lost.into_iter().step_by(step).collect();
    verdict
}

#[cfg(test)]
mod tests {
    use super::*;

    fn arrival(id: &str, number: &str, order: u64) -> Arrival {
        Arrival {
            id: id.into(),
            key: "k".into(),
            number: number.into(),
            order,
        }
    }

    #[test]
    fn each_fault_is_counted_as_what_it_is() {
        let sent = || ["a", "b", "c"].map(String::from);
        let check = |arrivals: &[Arrival], lost, doubled, out_of_order, repeats| {
            let verdict = judge(sent(), arrivals);
            let found = (
                verdict.lost,
                verdict.doubled,
                verdict.out_of_order,
                verdict.repeats,
            );
            assert_eq!(
                found,
                (lost, doubled, out_of_order, repeats),
                "{arrivals:?}"
            );
        };
        let (a, b, c) = (
            arrival("1", "a", 1),
            arrival("2", "b", 2),
            arrival("3", "c", 3),
        );
        check(&[a.clone(), b.clone(), c.clone()], 0, 0, 0, 0);
        check(&[a.clone(), c.clone()], 1, 0, 0, 0);
        check(&[a.clone(), c.clone(), b.clone()], 0, 0, 1, 0);
        check(&[a.clone(), b.clone(), b.clone(), c.clone()], 0, 0, 0, 1);
        check(
            &[a.clone(), b.clone(), arrival("9", "b", 2), c.clone()],
            0,
            1,
            0,
            0,
        );
        check(&[a, b, c, arrival("4", "z", 4)], 0, 1, 0, 0);
    }
}
