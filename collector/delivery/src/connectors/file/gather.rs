//! Deliveries that become files together: pure.

use std::collections::BTreeMap;

use dray_proto::EventId;
use tokio::sync::oneshot;

use crate::outcome::Outcome;

/// An event as it stands in a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Record {
    pub(super) flow: String,
    pub(super) offset: u64,
    pub(super) id: EventId,
    pub(super) again: bool,
    pub(super) replayed: bool,
    pub(super) line: Vec<u8>,
}

/// An outcome an event, for the delivery that brought them.
type Answer = oneshot::Sender<Vec<Outcome>>;

/// What waits for its file.
#[derive(Debug, Default)]
pub(super) struct Gather {
    group: Group,
    bytes: usize,
    number: u64,
    /// Told once the group is taken.
    closing: Option<oneshot::Sender<()>>,
}

/// What is written together.
#[derive(Debug, Default)]
pub(super) struct Group {
    /// Or why the event has no place in a file.
    pub(super) records: Vec<Result<Record, Outcome>>,
    /// How many of the records belong to whom, in their order.
    pub(super) waiting: Vec<(usize, Answer)>,
}

/// A delivery's place.
#[derive(Debug)]
pub(super) struct Joined {
    /// It began the group, and closes it when its time has come.
    pub(super) is_first: bool,
    pub(super) number: u64,
    /// The group was taken.
    pub(super) closed: oneshot::Receiver<()>,
}

impl Gather {
    pub(super) fn join(&mut self, records: Vec<Result<Record, Outcome>>, answer: Answer) -> Joined {
        let is_first = self.group.waiting.is_empty();
        let (closing, closed) = oneshot::channel();
        if is_first {
            self.number += 1;
            self.closing = Some(closing);
        }
        let lines = records.iter().flatten().map(|record| record.line.len());
        self.bytes += lines.sum::<usize>();
        self.group.waiting.push((records.len(), answer));
        self.group.records.extend(records);
        Joined {
            is_first,
            number: self.number,
            closed,
        }
    }

    pub(super) fn events(&self) -> usize {
        self.group.records.len()
    }

    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    pub(super) fn deliveries(&self) -> usize {
        self.group.waiting.len()
    }

    /// The group; what comes now begins another.
    pub(super) fn take(&mut self) -> Group {
        self.bytes = 0;
        if let Some(closing) = self.closing.take() {
            let _ = closing.send(());
        }
        std::mem::take(&mut self.group)
    }

    /// The same, unless it was taken.
    pub(super) fn take_if(&mut self, number: u64) -> Option<Group> {
        let is_here = self.number == number && !self.group.waiting.is_empty();
        is_here.then(|| self.take())
    }
}

/// A record's offset, its index, and its bytes.
type Place = (u64, usize, usize);

/// Which records stand in which file, in the order of their offsets: a flow's own, up to so many events and bytes. What was
/// an exception stands apart: the list of such a file stays for good, and is to be short. So does what is replayed, as its
/// list alone says what a replay has written.
pub(super) fn by_file(
    records: &[Result<Record, Outcome>],
    (events_max, bytes_max): (usize, usize),
) -> Vec<(Vec<usize>, String)> {
    let mut flows: BTreeMap<(&str, bool, bool), Vec<Place>> = BTreeMap::new();
    for (at, record) in records.iter().enumerate() {
        if let Ok(record) = record {
            let flow = flows
                .entry((&record.flow, record.again, record.replayed))
                .or_default();
            flow.push((record.offset, at, record.line.len()));
        }
    }
    let mut files = Vec::new();
    for ((flow, ..), mut events) in flows {
        events.sort_unstable();
        let (mut indexes, mut bytes) = (Vec::new(), 0);
        for (_, at, length) in events {
            let is_full = indexes.len() >= events_max || bytes + length > bytes_max;
            if is_full && !indexes.is_empty() {
                files.push((std::mem::take(&mut indexes), flow.to_owned()));
                bytes = 0;
            }
            bytes += length;
            indexes.push(at);
        }
        files.push((indexes, flow.to_owned()));
    }
    files
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(flow: &str, offset: u64, bytes: usize) -> Result<Record, Outcome> {
        Ok(Record {
            flow: flow.into(),
            offset,
            id: EventId::new([1; 10], offset, 0),
            again: false,
            replayed: false,
            line: vec![b'x'; bytes],
        })
    }

    #[test]
    fn a_file_is_of_one_flow_and_has_its_limits() {
        let records = vec![
            record("b/x", 7, 10),
            record("a/x", 9, 10),
            Err(Outcome::Poison(String::new())),
            record("b/x", 5, 10),
            record("b/x", 8, 10),
            record("b/x", 6, 99),
        ];
        let files = by_file(&records, (2, 50));
        let expected = [
            (vec![1], "a/x"),
            (vec![3], "b/x"),
            (vec![5], "b/x"),
            (vec![0, 4], "b/x"),
        ];
        assert_eq!(files, expected.map(|(at, flow)| (at, flow.to_owned())));
    }

    #[test]
    fn what_was_a_dead_letter_and_what_is_replayed_are_in_files_of_their_own() {
        let again = |record: Result<Record, Outcome>| {
            record.map(|record| Record {
                again: true,
                ..record
            })
        };
        let records = vec![
            record("a/x", 1, 1),
            again(record("a/x", 2, 1)),
            record("a/x", 3, 1),
            record("a/x", 4, 1).map(|record| Record {
                replayed: true,
                ..record
            }),
        ];
        let files = by_file(&records, (10, 50));
        let expected = [vec![0, 2], vec![3], vec![1]];
        assert_eq!(files, expected.map(|at| (at, "a/x".to_owned())));
    }

    #[test]
    fn a_group_that_was_taken_is_not_taken_again() {
        let mut gather = Gather::default();
        let join =
            |gather: &mut Gather| gather.join(vec![record("a/x", 1, 3)], oneshot::channel().0);
        let first = join(&mut gather);
        let second = join(&mut gather);
        assert_eq!((first.is_first, second.is_first), (true, false));
        assert_eq!(
            (gather.events(), gather.bytes(), gather.deliveries()),
            (2, 6, 2)
        );
        assert_eq!(gather.take().records.len(), 2);
        let third = join(&mut gather);
        assert!(third.is_first && gather.take_if(first.number).is_none());
        assert_eq!(
            gather
                .take_if(third.number)
                .expect("it waits")
                .records
                .len(),
            1
        );
    }
}
