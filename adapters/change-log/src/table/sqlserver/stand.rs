//! How far captured changes are read, and what of the rest the server keeps. Pure.

use serde::{Deserialize, Serialize};

use super::load::Load;
use super::lsn::Lsn;

/// How far the changes are read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(in super::super) struct Stand {
    /// All through here; with `row`, of this one's changes those through that one.
    pub(in super::super) lsn: Lsn,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub(super) row: Option<Row>,
    /// What the table held before is not read yet.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub(super) load: Option<Load>,
}

/// A change within its transaction.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Row {
    /// The number of its operation, where the transaction is read in the order of these.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub(super) command: Option<i64>,
    pub(super) seqval: Lsn,
    pub(super) operation: u8,
    /// Changes of the transaction, with it.
    pub(super) read: u64,
}

/// What the server keeps.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Limits {
    pub(super) newest: Option<Lsn>,
    pub(super) oldest: Lsn,
}

/// What can be asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Window {
    /// Nothing yet.
    Empty,
    /// What comes next, through this one.
    Open(Lsn),
    /// What comes next is not kept any more.
    Gone,
    /// The newest LSN is older than what was read.
    Back,
}

impl Stand {
    /// Behind all that there is.
    pub(super) fn begin(limits: &Limits, loads: bool) -> Self {
        Self {
            lsn: limits.begin(),
            row: None,
            load: loads.then(Load::default),
        }
    }

    /// The first LSN that is needed.
    pub(super) fn next(&self) -> Lsn {
        match self.row {
            Some(_) => self.lsn,
            None => self.lsn.next(),
        }
    }

    pub(super) fn window(&self, limits: &Limits) -> Window {
        let next = self.next();
        match limits.newest {
            _ if next < limits.oldest => Window::Gone,
            // An instance that was just made begins behind what the capture job has written.
            Some(newest) if newest < self.lsn && next > limits.oldest => Window::Back,
            Some(newest) if newest >= next => Window::Open(newest),
            _ => Window::Empty,
        }
    }

    /// What names a batch that begins here.
    pub(super) fn scope(&self) -> String {
        match &self.row {
            Some(row) => {
                let command = row.command.map(|command| format!(" {command}"));
                let command = command.unwrap_or_default();
                format!("{}{command} {} {}", self.lsn, row.seqval, row.operation)
            }
            None => self.lsn.to_string(),
        }
    }
}

impl Limits {
    pub(super) fn begin(&self) -> Lsn {
        self.newest.unwrap_or(Lsn::NONE).max(self.oldest.previous())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lsn(number: u8) -> Lsn {
        Lsn::read(&format!("0x{number:020x}")).expect("a number")
    }

    fn stand(number: u8, row: Option<u8>) -> Stand {
        Stand {
            lsn: lsn(number),
            row: row.map(|seqval| Row {
                command: None,
                seqval: lsn(seqval),
                operation: 2,
                read: 1,
            }),
            load: None,
        }
    }

    #[test]
    fn a_window_is_from_what_is_needed_through_the_newest() {
        let open = |to| Window::Open(lsn(to));
        for (at, row, oldest, newest, expected) in [
            (7, None, 3, Some(9), open(9)),
            (7, None, 3, Some(8), open(8)),
            (7, None, 3, Some(7), Window::Empty),
            (7, None, 3, None, Window::Empty),
            // Within a transaction that is read to its end later.
            (7, Some(1), 3, Some(7), open(7)),
            (7, Some(1), 7, Some(9), open(9)),
            (7, Some(1), 8, Some(9), Window::Gone),
            // What was removed was read, or was not.
            (7, None, 8, Some(9), open(9)),
            (7, None, 9, Some(9), Window::Gone),
            // An instance that was just made: the job comes to it later.
            (7, None, 8, Some(5), Window::Empty),
            (7, None, 3, Some(5), Window::Back),
        ] {
            let limits = Limits {
                newest: newest.map(lsn),
                oldest: lsn(oldest),
            };
            let found = stand(at, row).window(&limits);
            assert_eq!(found, expected, "{at} {row:?} {oldest} {newest:?}");
        }
    }

    #[test]
    fn a_flow_begins_behind_all_that_is_there_and_before_all_that_comes() {
        for (oldest, newest, expected) in [(3, Some(9), 9), (9, Some(3), 8), (9, None, 8)] {
            let limits = Limits {
                newest: newest.map(lsn),
                oldest: lsn(oldest),
            };
            let begun = Stand::begin(&limits, false);
            assert_eq!(
                (begun.lsn, begun.window(&limits)),
                (lsn(expected), Window::Empty)
            );
        }
    }

    #[test]
    fn where_it_stands_is_written_as_sql_writes_it() {
        let json = serde_json::to_string(&stand(7, Some(2))).expect("JSON");
        assert_eq!(
            json,
            r#"{"lsn":"0x00000000000000000007","row":{"seqval":"0x00000000000000000002","operation":2,"read":1}}"#
        );
        assert_eq!(
            serde_json::from_str::<Stand>(&json).ok(),
            Some(stand(7, Some(2)))
        );
        let mut ordered = stand(7, Some(2));
        ordered.row.as_mut().expect("a row").command = Some(5);
        let json = serde_json::to_string(&ordered).expect("JSON");
        assert!(json.contains(r#""row":{"command":5,"seqval""#), "{json}");
        assert_eq!(serde_json::from_str(&json).ok(), Some(ordered.clone()));
        assert_ne!(ordered.scope(), stand(7, Some(2)).scope());
    }
}
