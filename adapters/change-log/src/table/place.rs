//! A position: where a source stands between two pages, with all that is needed to go on exactly there.
//!
//! JSON, so that a person can read it in `status` and in the buffer:
//! ```text
//! {"v":1,"table":"stock_change","database":"7312…","mode":"overlap","top":812,"clock":360000,"drawn":[812,0],"gaps":"805+1@359000","late":3}
//! {"v":1,"table":"stock_change","mode":"mark-processed","page":17,"open":[["812",null,"9f3ac01d"],["813",null,"01ab77e2"]]}   appended, and may not be marked yet
//! ```
//! Names are only ever added, and `v` goes up where an older agent would go on wrongly.

use std::sync::Arc;

use bytes::Bytes;
use dray_adapter::Position;
use serde::{Deserialize, Serialize};

use super::config::SqlConfig;
use super::fence::After;
use super::identity::Identity;
use super::ledger::Ledger;
use super::open::Open;
use super::sqlserver::{Stand, Standing};
use super::window::Window;
use crate::reader;

const VERSION: u32 = 1;

/// Bytes of a position, at most: a buffer takes no longer one.
const BYTES_MAX: usize = 32 * 1024;
/// Of them for what is not counted row by row: the names of table and database, clocks, a version, the newest time.
const HEAD_BYTES: usize = 4 * 1024;
/// Of them for what is: rows that may not be marked yet, rows of the newest time.
pub(super) const ROWS_BYTES_MAX: usize = BYTES_MAX - 2 * HEAD_BYTES;
/// Of them for ids that are missing: while they take so many, nothing new is read.
pub(super) const GAPS_BYTES_MAX: usize = BYTES_MAX - 2 * HEAD_BYTES;
/// The same when rows are found in the midst of a range, which cuts it in two.
pub(super) const FOUND_BYTES_MAX: usize = BYTES_MAX - HEAD_BYTES;

/// Where a source stands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Place {
    v: u32,
    /// What is read: the records' type.
    pub(super) table: String,
    /// What tells this database from a restored one, where it has that.
    #[serde(skip_serializing_if = "String::is_empty", default)]
    pub(super) database: String,
    /// Goes up where a standby takes over or a backup is restored; 0: there is none, or it was not known when this was written.
    #[serde(skip_serializing_if = "is_none", default)]
    pub(super) timeline: u32,
    #[serde(flatten)]
    pub(super) at: At,
}

/// How far each mode has come.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "mode", rename_all = "kebab-case")]
pub(super) enum At {
    Fence {
        /// The transaction and the id of the last row.
        after: Option<After>,
    },
    Overlap(Ledger),
    /// Pages so far, and the rows of the last one, which may not be marked yet.
    MarkProcessed {
        page: u64,
        open: Vec<Open>,
    },
    DeleteAfterRead {
        page: u64,
        open: Vec<Open>,
    },
    Timestamp(Window),
    /// What is kept of the rows, by number and batches behind it, whether all are read for the first time, and whether that is not told.
    FullCompare {
        base: u64,
        batch: u64,
        #[serde(default)]
        first: bool,
        #[serde(skip_serializing_if = "std::ops::Not::not", default)]
        silent: bool,
    },
    Cdc(Stand),
    ChangeTracking(Standing),
}

impl At {
    /// The mode's name.
    pub(super) fn mode(&self) -> &'static str {
        match self {
            Self::Fence { .. } => "fence",
            Self::Overlap(_) => "overlap",
            Self::MarkProcessed { .. } => "mark-processed",
            Self::DeleteAfterRead { .. } => "delete-after-read",
            Self::Timestamp(_) => "timestamp",
            Self::FullCompare { .. } => "full-compare",
            Self::Cdc(_) => "cdc",
            Self::ChangeTracking(_) => "change-tracking",
        }
    }
}

impl Place {
    pub(super) fn new(table: &str, identity: &Identity, at: At) -> Self {
        Self {
            v: VERSION,
            table: table.to_owned(),
            database: identity.database.clone(),
            timeline: identity.timeline,
            at,
        }
    }

    /// Of the database that it is of.
    pub(super) fn identity(&self) -> Identity {
        Identity {
            database: self.database.clone(),
            timeline: self.timeline,
        }
    }

    /// Whether it is one of this table, read like this.
    ///
    /// # Errors
    /// A sentence with the way out.
    pub(super) fn is_of(&self, config: &SqlConfig) -> Result<(), String> {
        let (table, mode) = (config.record_type(), config.mode.name());
        if self.table == table && self.at.mode() == mode {
            return Ok(());
        }
        Err(format!(
            "the flow stands in {} with mode = \"{}\", and now reads {table} with mode = \"{mode}\": write what it was, or give the flow another name, which begins anew",
            self.table,
            self.at.mode()
        ))
    }

    /// Whether a buffer takes it. Each mode counts what it adds row by row; this is the one place that sees all of it.
    ///
    /// # Errors
    /// A sentence with the way out.
    pub(super) fn fits(&self) -> Result<(), String> {
        let bytes = reader::Place::position(self).0.len();
        if bytes <= BYTES_MAX {
            return Ok(());
        }
        Err(format!(
            "what must be remembered of {} takes {bytes} bytes of the flow's position, and it has {BYTES_MAX}: its ids, versions or times are too long, or too many ids are missing in the midst of which others come late. Name shorter columns, write a shorter transaction_max, or another mode",
            self.table
        ))
    }
}

/// Bytes of a text in a position, with its quotes and a comma.
pub(super) fn written_bytes(text: &str) -> usize {
    let bytes = text.bytes().map(|byte| match byte {
        b'"' | b'\\' => 2,
        0..=0x1f => 6,
        _ => 1,
    });
    bytes.sum::<usize>() + 3
}

fn is_none(timeline: &u32) -> bool {
    *timeline == 0
}

impl reader::Place for Place {
    fn position(&self) -> Position {
        let json = serde_json::to_vec(self).expect("names and numbers are JSON");
        Position(Bytes::from(json))
    }

    fn read(position: &Position) -> Result<Self, String> {
        let mut place: Self = serde_json::from_slice(&position.0).map_err(|error| {
            format!(
                "the flow's position is none of a table that is asked ({error}); was its source another kind before, or written by a newer agent? Give the flow another name, or install that agent again"
            )
        })?;
        if place.v > VERSION {
            return Err(format!(
                "the flow's position was written by a newer agent (version {}, this one knows {VERSION}); install that one again",
                place.v
            ));
        }
        match &mut place.at {
            At::Overlap(ledger) => ledger.reckon(),
            At::Timestamp(window) => window.reckon(),
            _ => {}
        }
        Ok(place)
    }

    fn written(&self) -> Arc<str> {
        match &self.at {
            At::Fence { after } => after.as_ref().map_or("", |(after, _)| &**after).into(),
            At::Overlap(ledger) => match ledger.top {
                Some(top) => top.to_string().into(),
                None => "".into(),
            },
            At::MarkProcessed { page, .. } | At::DeleteAfterRead { page, .. } => {
                page.to_string().into()
            }
            At::Timestamp(window) => window.through.as_deref().unwrap_or_default().into(),
            At::FullCompare { base, batch, .. } => format!("{base}/{batch}").into(),
            At::Cdc(stand) => stand.lsn.to_string().into(),
            At::ChangeTracking(standing) => standing.since.to_string().into(),
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::reader::{Place as _, is_read_or_refused};

    use super::*;

    #[test]
    fn a_place_is_read_as_it_was_written() {
        let mut ledger = Ledger::default();
        ledger.drawn(9);
        ledger.read([7, 9, 12].into_iter(), 5);
        let place = Place::new("stock", &Identity::default(), At::Overlap(ledger));
        assert_eq!(
            String::from_utf8_lossy(&place.position().0),
            r#"{"v":1,"table":"stock","mode":"overlap","top":12,"clock":0,"drawn":[9,0],"gaps":"-9223372036854775808+9223372036854775814@0 2 2+1","late":0}"#
        );
        assert_eq!(Place::read(&place.position()), Ok(place.clone()));
        is_read_or_refused::<Place>(&place.position());
        assert_eq!(&*place.written(), "12");
        let row = |id: &str, version: Option<&str>| Open {
            id: id.into(),
            version: version.map(str::to_owned),
            content: "9f3ac01d".into(),
        };
        let open = vec![row("7", None), row("9", Some("2"))];
        let known = Identity {
            database: "7312".into(),
            timeline: 2,
        };
        let place = Place::new("stock", &known, At::MarkProcessed { page: 3, open });
        assert_eq!(
            String::from_utf8_lossy(&place.position().0),
            r#"{"v":1,"table":"stock","database":"7312","timeline":2,"mode":"mark-processed","page":3,"open":[["7",null,"9f3ac01d"],["9","2","9f3ac01d"]]}"#
        );
        assert_eq!(Place::read(&place.position()), Ok(place.clone()));
        is_read_or_refused::<Place>(&place.position());
    }

    #[test]
    fn a_position_fits_or_the_flow_learns_why_not() {
        let mut window = Window::default();
        let mut place = Place::new("stock", &Identity::default(), At::Timestamp(window.clone()));
        for id in 0..2_000 {
            // Each of these takes six bytes in JSON.
            window.read("08:00", &format!("{}{id}", "\u{1}".repeat(90)));
            place.at = At::Timestamp(window.clone());
            assert_eq!(place.fits(), Ok(()), "{id}");
        }
        let read = Place::read(&place.position());
        assert_eq!(read, Ok(place.clone()), "and what they take is known again");
        window.read(&"08:01".repeat(7_000), "7");
        place.at = At::Timestamp(window);
        let told = place.fits().expect_err("it is too long");
        assert!(told.contains("takes 35"), "{told}");
    }

    #[test]
    fn what_is_no_place_is_told_with_the_way_out() {
        for (text, expected) in [
            ("7", "another kind before"),
            (
                r#"{"v":1,"system":"1","timeline":1,"slot":"s","end":"7"}"#,
                "another kind before",
            ),
            (
                r#"{"v":2,"table":"t","mode":"overlap","clock":0}"#,
                "newer agent",
            ),
            (
                r#"{"v":1,"table":"t","mode":"ahead","clock":0}"#,
                "newer agent",
            ),
        ] {
            let told = Place::read(&Position(Bytes::from(text))).expect_err(text);
            assert!(told.contains(expected), "{told}");
        }
    }
}
