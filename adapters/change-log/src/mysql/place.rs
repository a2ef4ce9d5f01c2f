//! A position: where a source stands between two batches.
//!
//! JSON, so that a person can read it in `status` and in the buffer:
//! ```text
//! {"v":1,"server":"mariadb","at":"0-1-100"}                         all transactions up to these are appended
//! {"v":1, …,"within":{"gtid":"0-1-101","events":12,"rows":4000}}    and a part of the next one: so many events and rows of it
//! {"v":1, …,"load":{"begun":true,"done":["wms.stock"],"after":{"table":"wms.lot","key":[["n","1"]]}}}
//!                                                                   of the rows that were there at `at`, those of one table and another one's up to this key
//! {"v":2, …,"again":{"taken":1,"loads":[…]}}                      the tables whose rows are to come once more, and how far the first of them is
//! {"v":1, …,"schemas":{"wms.stock":"53b1f3a9c07e2d14"}}          which shape of each table was told last
//! {"v":1, …,"gaps":1}                                             that a part of the log was gone once, and was passed over
//! ```
//! Names are only ever added, and `v` goes up where an older agent would go on wrongly.

use std::sync::Arc;

use bytes::Bytes;
use dray_adapter::{IdScope, Position};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _};

use super::gtid::Gtids;
use crate::again::{Queue, Stands};
use crate::reader;
use crate::watch::Prints;

const VERSION: u32 = 1;
/// Of places with tables whose rows are to come once more, which older agents would forget.
const VERSION_AGAIN: u32 = 2;

/// Where a source stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Place {
    /// All of these are appended.
    pub(super) at: Gtids,
    /// How far the next transaction was appended.
    pub(super) within: Option<Within>,
    /// How far the rows are read that were there before; `None`: that is done, or not wanted.
    pub(super) load: Option<Load>,
    /// The shape of each table that was told last.
    pub(super) schemas: Prints,
    /// Gaps so far: behind one the numbers of transactions may begin again.
    pub(super) gaps: u64,
    /// The tables whose rows are to come once more.
    pub(super) again: Queue,
}

/// A transaction of which a part is appended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Within {
    pub(super) gtid: String,
    /// Events with rows, of any table, that are passed over.
    pub(super) events: u64,
    /// Rows that were appended of them.
    pub(super) rows: u64,
}

/// A first load that is going on.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub(super) struct Load {
    /// Whether it was begun: then the log is read up to where the next snapshot stands before rows are.
    #[serde(default)]
    pub(super) begun: bool,
    /// Of these tables all rows are appended.
    pub(super) done: Vec<String>,
    /// Of another one, a part.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub(super) after: Option<After>,
}

/// How far a table is read: up to this key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct After {
    pub(super) table: String,
    /// The columns of the key, and their values.
    pub(super) key: Vec<(String, String)>,
}

/// As it is kept.
#[derive(Serialize, Deserialize)]
struct Kept {
    v: u32,
    server: Server,
    at: String,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    within: Option<Within>,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    load: Option<Load>,
    #[serde(skip_serializing_if = "Prints::is_empty", default)]
    schemas: Prints,
    #[serde(skip_serializing_if = "is_none", default)]
    gaps: u64,
    #[serde(skip_serializing_if = "Queue::is_unused", default)]
    again: Queue,
}

fn is_none(gaps: &u64) -> bool {
    *gaps == 0
}

#[derive(Serialize, Deserialize, PartialEq)]
#[serde(rename_all = "lowercase")]
enum Server {
    MariaDb,
    MySql,
}

impl Place {
    /// After all of these.
    pub(super) fn at(at: Gtids) -> Self {
        Self {
            at,
            within: None,
            load: None,
            schemas: Prints::default(),
            gaps: 0,
            again: Queue::default(),
        }
    }
}

impl Serialize for Place {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let kept = Kept {
            v: match self.again.has_any() {
                true => VERSION_AGAIN,
                false => VERSION,
            },
            server: match self.at.is_maria() {
                true => Server::MariaDb,
                false => Server::MySql,
            },
            at: self.at.to_string(),
            within: self.within.clone(),
            load: self.load.clone(),
            schemas: self.schemas.clone(),
            gaps: self.gaps,
            again: self.again.clone(),
        };
        kept.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Place {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let kept = Kept::deserialize(deserializer)?;
        if kept.v > VERSION_AGAIN {
            return Err(D::Error::custom(format!(
                "it was written by a newer agent (version {}, this one knows {VERSION_AGAIN}); install that one again",
                kept.v
            )));
        }
        let is_maria = kept.server == Server::MariaDb;
        Ok(Self {
            at: Gtids::read(&kept.at, is_maria).map_err(D::Error::custom)?,
            within: kept.within,
            load: kept.load,
            schemas: kept.schemas,
            gaps: kept.gaps,
            again: kept.again,
        })
    }
}

impl reader::Place for Place {
    fn position(&self) -> Position {
        let json = serde_json::to_vec(self).expect("names and numbers are JSON");
        Position(Bytes::from(json))
    }

    fn read(position: &Position) -> Result<Self, String> {
        serde_json::from_slice(&position.0).map_err(|error| {
            format!(
                "the flow's position is none of a MariaDB or MySQL change log ({error}); was its source another kind before? Give the flow another name"
            )
        })
    }

    fn written(&self) -> Arc<str> {
        self.at.to_string().into()
    }

    fn is_loading(&self) -> bool {
        self.load.is_some()
    }

    fn queue(&self) -> Option<&Queue> {
        Some(&self.again)
    }

    fn queue_mut(&mut self) -> Option<&mut Queue> {
        Some(&mut self.again)
    }
}

impl Stands for Place {
    fn wanted(&self) -> &Queue {
        &self.again
    }

    fn wanted_mut(&mut self) -> &mut Queue {
        &mut self.again
    }

    fn schemas_mut(&mut self) -> &mut Prints {
        &mut self.schemas
    }

    fn scope(&self, flow: &str, parts: &[&[u8]]) -> IdScope {
        let gaps = self.gaps.to_be_bytes();
        let head: [&[u8]; 3] = [flow.as_bytes(), b"mysql", &gaps];
        IdScope::of(&[&head, parts].concat())
    }
}

#[cfg(test)]
mod tests {
    use crate::reader::{Place as _, is_read_or_refused};

    use super::*;

    #[test]
    fn a_place_is_read_as_it_was_written() {
        let mut place = Place::at(Gtids::read("0-1-100", true).expect("a list"));
        let text = |place: &Place| String::from_utf8_lossy(&place.position().0).into_owned();
        assert_eq!(text(&place), r#"{"v":1,"server":"mariadb","at":"0-1-100"}"#);
        place.within = Some(Within {
            gtid: "0-1-101".into(),
            events: 12,
            rows: 4_000,
        });
        place.load = Some(Load {
            begun: true,
            done: vec!["wms.stock".into()],
            after: Some(After {
                table: "wms.lot".into(),
                key: vec![("n".into(), "1".into())],
            }),
        });
        assert_eq!(Place::read(&place.position()), Ok(place.clone()));
        is_read_or_refused::<Place>(&place.position());
        assert_eq!(
            text(&place),
            r#"{"v":1,"server":"mariadb","at":"0-1-100","within":{"gtid":"0-1-101","events":12,"rows":4000},"load":{"begun":true,"done":["wms.stock"],"after":{"table":"wms.lot","key":[["n","1"]]}}}"#
        );
    }

    #[test]
    fn tables_that_are_wanted_again_are_kept_from_agents_that_would_forget_them() {
        let mut place = Place::at(Gtids::read("0-1-100", true).expect("a list"));
        place.again.add("wms.stock", 7).expect("it is taken");
        let kept = place.position();
        assert!(kept.0.starts_with(br#"{"v":2,"#), "{kept:?}");
        assert_eq!(Place::read(&kept), Ok(place.clone()));
        place.again.end();
        assert!(place.position().0.starts_with(br#"{"v":1,"#), "it is done");
    }

    #[test]
    fn what_is_no_place_is_told_with_the_way_out() {
        for (text, expected) in [
            ("7", "another kind before"),
            (
                r#"{"v":1,"server":"mariadb","at":"x"}"#,
                "no list of transactions",
            ),
            (r#"{"v":3,"server":"mariadb","at":""}"#, "newer agent"),
        ] {
            let told = Place::read(&Position(Bytes::from(text))).expect_err(text);
            assert!(told.contains(expected), "{told}");
        }
    }
}
