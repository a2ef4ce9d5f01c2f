//! A position: where a source stands between two pages, with all that is needed to go on exactly there.
//!
//! JSON, so that a person can read it in `status` and in the buffer:
//! ```text
//! {"v":1,"table":"stock_change","database":"7312…","mode":"overlap","top":812,"clock":360000,"drawn":[812,0],"gaps":"805+1@359000","late":3}
//! {"v":1,"table":"stock_change","mode":"mark-processed","page":17,"open":[["812",null],["813",null]]}   appended, and may not be marked yet
//! ```
//! Names are only ever added, and `v` goes up where an older agent would go on wrongly.

use std::sync::Arc;

use bytes::Bytes;
use dray_adapter::Position;
use serde::{Deserialize, Serialize};

use super::fence::After;
use super::ledger::Ledger;
use super::mark::Open;
use super::sqlserver::{Stand, Standing};
use super::window::Window;
use crate::reader;

const VERSION: u32 = 1;

/// Where a source stands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Place {
    v: u32,
    /// What is read: the records' type.
    pub(super) table: String,
    /// What tells this database from a restored one, where it has that.
    #[serde(skip_serializing_if = "String::is_empty", default)]
    pub(super) database: String,
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
    pub(super) fn new(table: &str, database: &str, at: At) -> Self {
        Self {
            v: VERSION,
            table: table.to_owned(),
            database: database.to_owned(),
            at,
        }
    }
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
        if let At::Overlap(ledger) = &mut place.at {
            ledger.reckon();
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
    use crate::reader::Place as _;

    use super::*;

    #[test]
    fn a_place_is_read_as_it_was_written() {
        let mut ledger = Ledger::default();
        ledger.drawn(9);
        ledger.read([7, 9, 12].into_iter(), 5);
        let place = Place::new("stock", "", At::Overlap(ledger));
        assert_eq!(
            String::from_utf8_lossy(&place.position().0),
            r#"{"v":1,"table":"stock","mode":"overlap","top":12,"clock":0,"drawn":[9,0],"gaps":"-9223372036854775808+9223372036854775814@0 2 2+1","late":0}"#
        );
        assert_eq!(Place::read(&place.position()), Ok(place.clone()));
        assert_eq!(&*place.written(), "12");
        let open = vec![
            ("7".to_owned(), None),
            ("9".to_owned(), Some("2".to_owned())),
        ];
        let place = Place::new("stock", "7312", At::MarkProcessed { page: 3, open });
        assert_eq!(
            String::from_utf8_lossy(&place.position().0),
            r#"{"v":1,"table":"stock","database":"7312","mode":"mark-processed","page":3,"open":[["7",null],["9","2"]]}"#
        );
        assert_eq!(Place::read(&place.position()), Ok(place));
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
