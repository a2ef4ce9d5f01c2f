//! A position: where a source stands between two batches, with all that is needed to go on exactly there.
//!
//! JSON, so that a person can read it in `status` and in the buffer:
//! ```text
//! {"v":1,"system":"7312…","timeline":1,"slot":"dray_stock","end":"0/16B3748"}   all transactions up to this end are appended
//! {"v":1, …,"within":{"commit":"0/16B9000","rows":40000}}   and the first rows of the one whose commit record stands there
//! {"v":2, …,"load":{"snapshot":"731:731:","parts":[[16390,16390],[16402,16488]],"done":1,"after":"(812,33)","doubtful":0}}
//!                                              of the rows that were there before `end`, those of one table and the first of the next
//! {"v":3, …,"again":{"taken":1,"loads":[{"table":"public.stock","number":1,"asked_us":…,"after":[["sku","A"]],"rows":40000}]}}
//!                                              the tables whose rows are to come once more, and how far the first of them is
//! {"v":1, …,"schemas":{"public.stock":"53b1f3a9c07e2d14"}}   which shape of each table was told last
//! {"v":1, …,"last":"0/16B3700"}   behind it there was nothing for the flow up to `end`
//! {"v":1, …,"came":[[1,"0/16B3000"]]}   from which timelines the server came to this one, and where it left each
//! {"v":1, …,"published":{"":"16501 truetruetrue","public.stock":"16390 0c4f…"}}   as which objects the log tells of the tables
//! {"v":1, …,"fork":"1:2@0/16B3700"}   the log that is read since then says other things at places that were read before
//! ```
//! `end` is the end of a commit, or of what the server said it had looked through: the slot is told of no other. Names are only ever added,
//! and `v` goes up where an older agent would go on wrongly.

use std::sync::Arc;

use bytes::Bytes;
use dray_adapter::{IdScope, Position};
use pgwire_replication::Lsn;
use serde::{Deserialize, Serialize};

use super::lsn::{written, written_if_any};
use super::progress::{Load, Within};
use super::published::Published;
use super::timeline::Left;
use crate::again::{Queue, Stands};
use crate::reader;
use crate::watch::Prints;

/// Of places that every agent goes on from.
const VERSION: u32 = 1;
/// Of those with a first load, which older ones would leave out.
const VERSION_LOAD: u32 = 2;
/// Of those with tables whose rows are to come once more, which older ones would forget.
const VERSION_AGAIN: u32 = 3;

/// Where a source stands.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub(super) struct Place {
    /// As it was read; it is written as what it holds asks for.
    v: u32,
    /// The database cluster, for ever: what `IDENTIFY_SYSTEM` says.
    pub(super) system: String,
    /// Goes up when another server takes over.
    pub(super) timeline: u32,
    /// The timelines before it, oldest first: two servers that take over from one another's server give theirs the same number. None where it
    /// is the first, or where that is not known.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub(super) came: Vec<Left>,
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
    /// The tables whose rows are to come once more.
    #[serde(skip_serializing_if = "Queue::is_unused", default)]
    pub(super) again: Queue,
    /// As which objects the log tells of the tables.
    #[serde(skip_serializing_if = "Published::is_unknown", default)]
    pub(super) published: Published,
    /// Up to here something was told, where that is not just up to `end`: before it, as what was read since was nothing for us; or behind it, as
    /// a first load that was gone on with saw what was committed by then. A server that lacks what is behind it lacks nothing that was told.
    #[serde(
        skip_serializing_if = "Option::is_none",
        default,
        with = "written_if_any"
    )]
    last: Option<Lsn>,
    /// Set where the server went back behind what was read: transactions may stand where others stood, and are told from those by it.
    #[serde(skip_serializing_if = "String::is_empty", default)]
    pub(super) fork: String,
}

impl Place {
    /// What the server may be told of it, once it is appended, in a stream that begins at `begins`, behind a gap or not. `None`: nothing, as it
    /// was read of another log, or before the gap.
    pub(super) fn confirms(&self, begins: &Self, is_behind_gap: bool) -> Option<Lsn> {
        let of = |place: &Self| (place.system.clone(), place.timeline, place.fork.clone());
        let is_same = of(self) == of(begins) && self.came == begins.came;
        let is_before = is_behind_gap && self.end < begins.end;
        (is_same && !is_before).then_some(self.end)
    }

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

    /// Goes on to an end. `is_told`: something of what is before it was appended.
    pub(super) fn move_to(&mut self, end: Lsn, is_told: bool) {
        self.last = match is_told {
            true => self.last.filter(|last| *last > end),
            false => Some(self.last.unwrap_or(self.end)),
        };
        self.end = end;
    }

    /// Rows are read as they are where the log ends here, though the place is before it: what was committed since is told in part, by what comes
    /// and by what is left out.
    pub(super) fn sees(&mut self, end: Lsn) {
        self.last = Some(end).max(self.last).filter(|last| *last > self.end);
    }

    /// A mark for a log that says other things at places that were read before: no flow comes to one twice, however often its server goes back.
    pub(super) fn next_fork(&self, timeline: u32, begins: Lsn) -> String {
        let before = match self.fork.split_once(':') {
            Some((number, _)) => number.parse().unwrap_or(1),
            // Older agents wrote no number.
            None => u64::from(!self.fork.is_empty()),
        };
        format!("{}:{timeline}@{begins}", before + 1)
    }

    /// Goes back to where nothing was told since.
    pub(super) fn set_back(&mut self, end: Lsn) {
        self.last = self.last.filter(|last| *last < end);
        self.end = end;
    }

    /// Nothing behind this was told.
    pub(super) fn told_through(&self) -> Lsn {
        match self.within {
            // Its commit record begins there, and is not read yet: a log that ends there lacks it.
            Some(within) => {
                let here = Lsn(within.commit.as_u64().saturating_add(1));
                self.last.map_or(here, |last| last.max(here))
            }
            None => self.last.unwrap_or(self.end),
        }
    }

    /// What is to be loaded, or is not.
    pub(super) fn load(&self) -> Option<&Load> {
        self.load.as_ref()
    }

    /// Changes that.
    pub(super) fn set_load(&mut self, load: Option<Load>) {
        self.load = load;
    }
}

impl reader::Place for Place {
    fn position(&self) -> Position {
        let v = match self {
            place if place.again.has_any() => VERSION_AGAIN,
            place if place.load.is_some() => VERSION_LOAD,
            _ => VERSION,
        };
        let kept = Self { v, ..self.clone() };
        let json = serde_json::to_vec(&kept).expect("names and numbers are JSON");
        Position(Bytes::from(json))
    }

    fn read(position: &Position) -> Result<Self, String> {
        let mut place: Self = serde_json::from_slice(&position.0).map_err(|error| {
            format!(
                "the flow's position is none of a PostgreSQL change log ({error}); was its source another kind before? Give the flow another name"
            )
        })?;
        if place.v > VERSION_AGAIN {
            return Err(format!(
                "the flow's position was written by a newer agent (version {}, this one knows {VERSION_AGAIN}); install that one again",
                place.v
            ));
        }
        place.v = VERSION;
        Ok(place)
    }

    fn written(&self) -> Arc<str> {
        self.end.to_string().into()
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

    fn told_here(&mut self) {
        self.move_to(self.end, true);
    }

    fn scope(&self, flow: &str, parts: &[&[u8]]) -> IdScope {
        let head: [&[u8]; 3] = [flow.as_bytes(), b"postgres", self.system.as_bytes()];
        IdScope::of(&[&head, parts].concat())
    }
}

#[cfg(test)]
mod tests {
    use super::super::timeline::read_history;
    use super::*;
    use crate::reader::Place as _;
    use crate::reader::is_read_or_refused;

    #[test]
    fn the_server_is_told_of_nothing_that_was_read_of_another_log_or_before_a_gap() {
        let at = |timeline, fork: &str, end| {
            let mut place = Place::at("73", timeline, "dray_stock", Lsn(end));
            place.fork = fork.into();
            place
        };
        let begins = at(2, "2@0/7", 20);
        // Another server that took over gave its timeline the same number.
        let mut elsewhere = at(2, "2@0/7", 30);
        elsewhere.came = read_history("1\t0/7\t").expect("a history");
        for (appended, is_behind_gap, expected) in [
            (at(2, "2@0/7", 12), false, Some(Lsn(12))),
            (at(2, "2@0/7", 30), false, Some(Lsn(30))),
            (at(2, "2@0/7", 12), true, None),
            (at(2, "2@0/7", 20), true, Some(Lsn(20))),
            (at(1, "2@0/7", 30), false, None),
            (at(2, "", 30), false, None),
            (elsewhere, false, None),
        ] {
            let told = appended.confirms(&begins, is_behind_gap);
            assert_eq!(told, expected, "{appended:?} {is_behind_gap}");
        }
    }

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
        is_read_or_refused::<Place>(&place.position());
        place.set_load(None);
        place.again.add("public.stock", 7).expect("it is taken");
        assert_eq!(
            text(&place),
            r#"{"v":3,"system":"7312","timeline":2,"slot":"dray_stock","end":"16/B374D848","again":{"taken":1,"loads":[{"table":"public.stock","number":1,"asked_us":7,"rows":0}]}}"#
        );
        let kept = Place::read(&place.position()).expect("a place");
        assert_eq!(kept.again, place.again);
        place.again = Queue::default();
        assert!(text(&place).starts_with(r#"{"v":1,"#), "it is done");
        place.schemas =
            serde_json::from_str(r#"{"public.stock":"53b1f3a9c07e2d14"}"#).expect("prints");
        assert_eq!(
            text(&place),
            r#"{"v":1,"system":"7312","timeline":2,"slot":"dray_stock","end":"16/B374D848","schemas":{"public.stock":"53b1f3a9c07e2d14"}}"#
        );
        assert_eq!(Place::read(&place.position()), Ok(place.clone()));
        place.schemas = Prints::default();
        place.move_to(Lsn(0x16_B374_D900), false);
        place.fork = "1:2@0/7".into();
        place.came = read_history("1\t0/174C490\t").expect("a history");
        assert_eq!(
            text(&place),
            r#"{"v":1,"system":"7312","timeline":2,"came":[[1,"0/174C490"]],"slot":"dray_stock","end":"16/B374D900","last":"16/B374D848","fork":"1:2@0/7"}"#
        );
        assert_eq!(Place::read(&place.position()), Ok(place));
    }

    #[test]
    fn what_a_load_that_was_gone_on_with_saw_is_told_until_the_log_is_read_up_to_there() {
        let mut place = Place::at("7312", 1, "s", Lsn(10));
        place.sees(Lsn(40));
        place.sees(Lsn(30));
        assert_eq!((place.end, place.told_through()), (Lsn(10), Lsn(40)));
        place.move_to(Lsn(20), true);
        assert_eq!(place.told_through(), Lsn(40));
        place.move_to(Lsn(30), false);
        place.told_here();
        assert_eq!(place.told_through(), Lsn(40));
        for (commit, through) in [(35, 40), (39, 40), (40, 41)] {
            let mut within = place.clone();
            within.within = Some(Within {
                commit: Lsn(commit),
                rows: 7,
            });
            assert_eq!(within.told_through(), Lsn(through));
        }
        assert_eq!(Place::read(&place.position()), Ok(place.clone()));
        place.move_to(Lsn(50), false);
        assert_eq!(place.told_through(), Lsn(40));
        place.move_to(Lsn(60), true);
        assert_eq!(place.told_through(), Lsn(60));
    }

    #[test]
    fn no_log_has_the_mark_of_another() {
        let mut place = Place::at("7312", 1, "s", Lsn(10));
        // A server that is set back to the same state again and again.
        let mut marks = Vec::new();
        for _ in 0..3 {
            place.fork = place.next_fork(1, Lsn(7));
            marks.push(place.fork.clone());
        }
        assert_eq!(marks, ["1:1@0/7", "2:1@0/7", "3:1@0/7"]);
        place.fork = "2@0/7".into();
        assert_eq!(place.next_fork(2, Lsn(7)), "2:2@0/7");
    }

    #[test]
    fn a_place_knows_what_of_it_was_told() {
        let mut place = Place::at("7312", 1, "s", Lsn(10));
        assert_eq!(place.told_through(), Lsn(10));
        place.move_to(Lsn(20), false);
        place.move_to(Lsn(30), false);
        assert_eq!((place.end, place.told_through()), (Lsn(30), Lsn(10)));
        place.within = Some(Within {
            commit: Lsn(40),
            rows: 7,
        });
        assert_eq!(place.told_through(), Lsn(41));
        place.within = None;
        place.move_to(Lsn(50), true);
        assert_eq!(place.told_through(), Lsn(50));
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
                r#"{"v":4,"system":"1","timeline":1,"slot":"s","end":"0/7"}"#,
                "newer agent",
            ),
        ] {
            let told = Place::read(&Position(Bytes::from(text))).expect_err(text);
            assert!(told.contains(expected), "{told}");
        }
    }
}
