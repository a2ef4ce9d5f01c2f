//! A position: where a source stands between two batches, with all that is needed to go on exactly there.
//!
//! JSON, so that a person can read it in `status` and in the buffer:
//! ```text
//! {"v":1,"system":"7312…","timeline":1,"slot":"dray_stock","end":"0/16B3748"}   all transactions up to this end are appended
//! {"v":1, …,"within":{"commit":"0/16B9000","rows":40000}}   and the first rows of the one whose commit record stands there
//! {"v":2, …,"load":{"snapshot":"731:731:","parts":[[16390,16390],[16402,16488]],"done":1,"after":"(812,33)","doubtful":0}}
//!                                              of the rows that were there before `end`, those of one table and the first of the next
//! {"v":1, …,"schemas":{"public.stock":"53b1f3a9c07e2d14"}}   which shape of each table was told last
//! ```
//! `end` is the end of a commit, or of what the server said it had looked through: the slot is told of no other. Names are only ever added,
//! and `v` goes up where an older agent would go on wrongly.

use std::sync::Arc;

use bytes::Bytes;
use dray_adapter::Position;
use pgwire_replication::Lsn;
use serde::{Deserialize, Serialize};

use crate::reader;
use crate::watch::Prints;

/// Of places that every agent goes on from.
const VERSION: u32 = 1;
/// Of those with a first load, which older ones would leave out.
const VERSION_LOAD: u32 = 2;

/// Where a source stands.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub(super) struct Place {
    v: u32,
    /// The database cluster, for ever: what `IDENTIFY_SYSTEM` says.
    pub(super) system: String,
    /// Goes up when another server takes over.
    pub(super) timeline: u32,
    /// The slot that keeps the log for us.
    pub(super) slot: String,
    /// Everything before it is appended.
    #[serde(with = "written")]
    pub(super) end: Lsn,
    /// How far the next transaction was appended.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub(super) within: Option<Within>,
    /// How far the rows are read that were there before; `None`: that is done, or not wanted.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    load: Option<Load>,
    /// Which shape of each table was told last. An agent that does not know it tells all shapes once more when it is replaced.
    #[serde(skip_serializing_if = "Prints::is_empty", default)]
    pub(super) schemas: Prints,
}

/// A first load that is going on.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub(super) struct Load {
    /// What the server said of the snapshot that holds exactly what was committed before the place's end; empty: it is not begun.
    pub(super) snapshot: String,
    /// The tables, or partitions, that are read: their numbers, and those of their files when it began.
    pub(super) parts: Vec<(u32, u64)>,
    /// Of so many all rows are appended.
    pub(super) done: usize,
    /// Of the next one, those up to this place in its file, as the server writes it.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub(super) after: Option<String>,
    /// Rows that may come twice.
    #[serde(default)]
    pub(super) doubtful: u64,
}

/// A transaction of which a part is appended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Within {
    /// Where its commit stands, which tells it from every other.
    #[serde(with = "written")]
    pub(super) commit: Lsn,
    /// How many of its row changes are appended.
    pub(super) rows: u64,
}

impl Place {
    /// After all transactions up to an end.
    pub(super) fn at(system: &str, timeline: u32, slot: &str, end: Lsn) -> Self {
        Self {
            v: VERSION,
            system: system.to_owned(),
            timeline,
            slot: slot.to_owned(),
            end,
            ..Self::default()
        }
    }

    /// What is to be loaded, or is not.
    pub(super) fn load(&self) -> Option<&Load> {
        self.load.as_ref()
    }

    /// Changes that.
    pub(super) fn set_load(&mut self, load: Option<Load>) {
        self.v = match load {
            Some(_) => VERSION_LOAD,
            None => VERSION,
        };
        self.load = load;
    }
}

impl reader::Place for Place {
    fn position(&self) -> Position {
        let json = serde_json::to_vec(self).expect("names and numbers are JSON");
        Position(Bytes::from(json))
    }

    fn read(position: &Position) -> Result<Self, String> {
        let place: Self = serde_json::from_slice(&position.0).map_err(|error| {
            format!(
                "the flow's position is none of a PostgreSQL change log ({error}); was its source another kind before? Give the flow another name"
            )
        })?;
        if place.v > VERSION_LOAD {
            return Err(format!(
                "the flow's position was written by a newer agent (version {}, this one knows {VERSION_LOAD}); install that one again",
                place.v
            ));
        }
        Ok(place)
    }

    fn written(&self) -> Arc<str> {
        self.end.to_string().into()
    }
}

/// `16/B374D848`, as PostgreSQL writes it.
mod written {
    use pgwire_replication::Lsn;
    use serde::{Deserialize as _, Deserializer, Serializer, de::Error as _};

    pub(super) fn serialize<S: Serializer>(lsn: &Lsn, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(lsn)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Lsn, D::Error> {
        let text = String::deserialize(deserializer)?;
        Lsn::parse(&text).map_err(D::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use crate::reader::Place as _;

    use super::*;

    #[test]
    fn a_place_is_read_as_it_was_written() {
        let mut place = Place::at("7312", 2, "dray_stock", Lsn(0x16_B374_D848));
        let text = |place: &Place| String::from_utf8_lossy(&place.position().0).into_owned();
        assert_eq!(
            text(&place),
            r#"{"v":1,"system":"7312","timeline":2,"slot":"dray_stock","end":"16/B374D848"}"#
        );
        place.within = Some(Within {
            commit: Lsn(7),
            rows: 40_000,
        });
        assert_eq!(Place::read(&place.position()), Ok(place.clone()));
        place.within = None;
        place.set_load(Some(Load {
            snapshot: "731:731:".into(),
            parts: vec![(16_390, 16_390), (16_402, 16_488)],
            done: 1,
            after: Some("(812,33)".into()),
            doubtful: 0,
        }));
        assert_eq!(
            text(&place),
            r#"{"v":2,"system":"7312","timeline":2,"slot":"dray_stock","end":"16/B374D848","load":{"snapshot":"731:731:","parts":[[16390,16390],[16402,16488]],"done":1,"after":"(812,33)","doubtful":0}}"#
        );
        assert_eq!(Place::read(&place.position()), Ok(place.clone()));
        place.set_load(None);
        assert!(text(&place).starts_with(r#"{"v":1,"#), "it is done");
        place.schemas =
            serde_json::from_str(r#"{"public.stock":"53b1f3a9c07e2d14"}"#).expect("prints");
        assert_eq!(
            text(&place),
            r#"{"v":1,"system":"7312","timeline":2,"slot":"dray_stock","end":"16/B374D848","schemas":{"public.stock":"53b1f3a9c07e2d14"}}"#
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
                r#"{"v":3,"system":"1","timeline":1,"slot":"s","end":"0/7"}"#,
                "newer agent",
            ),
        ] {
            let told = Place::read(&Position(Bytes::from(text))).expect_err(text);
            assert!(told.contains(expected), "{told}");
        }
    }
}
