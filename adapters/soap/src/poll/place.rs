//! A position: where a source stands between two batches, with all that is needed to go on exactly there.
//!
//! JSON, so that a person can read it in `status` and in the buffer:
//! ```text
//! {"v":1,"batch":7,"cycle":3,"from":"2026-11-23T08:15:00Z"}                        the next cycle begins with this watermark
//! {"v":1,"batch":8,"cycle":3,"from":"2026-…","under_way":{                        cycle 3 is under way
//!   "until":1795737600000000,      the end of its window, microseconds since 1970
//!   "high":"2026-…",               the largest watermark seen in it
//!   "page":2,"token":"c3",         the page to ask for, from 0, and its token
//!   "at":{"ordinal":400,"content":"9f…"}}}     what was appended of it, and of which content (SHA-256)
//! ```
//! `batch` counts batches: a commit is told from an earlier one by it. Names are only ever added, and `v` goes up where an older agent
//! would go on wrongly.

use bytes::Bytes;
use dray_adapter::Position;
use serde::{Deserialize, Serialize};

const VERSION: u32 = 1;

/// Where a source stands.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub(super) struct Place {
    v: u32,
    /// The number of the batch that ends here.
    pub(super) batch: u64,
    /// The number of the cycle that is under way, or comes next.
    pub(super) cycle: u64,
    /// Its watermark.
    pub(super) from: String,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub(super) under_way: Option<UnderWay>,
}

/// How far a cycle came.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub(super) struct UnderWay {
    /// The end of the window: microseconds since 1970.
    pub(super) until: i64,
    /// The watermark that the pages so far lead to; the cycle's own where they led nowhere.
    pub(super) high: String,
    /// The page, from 0.
    pub(super) page: u64,
    /// What names it; empty for the first.
    #[serde(skip_serializing_if = "String::is_empty", default)]
    pub(super) token: String,
    /// What was appended of the page.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub(super) at: Option<At>,
}

/// How far a page was appended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct At {
    /// The first record that was not.
    pub(super) ordinal: u64,
    /// The page's content, in hexadecimal digits.
    pub(super) content: String,
}

impl Place {
    /// Where the first cycle begins.
    pub(super) fn start(watermark: &str) -> Self {
        Self {
            v: VERSION,
            from: watermark.to_owned(),
            ..Self::default()
        }
    }

    pub(super) fn read(position: &Position) -> Result<Self, String> {
        let place: Self = serde_json::from_slice(&position.0).map_err(|error| {
            format!("the stored position is none of a soap-poll source ({error}): the flow was one of another kind before; give the flow another name, so that it begins anew")
        })?;
        if place.v != VERSION {
            return Err(format!(
                "the stored position is of version {}, and this agent knows version {VERSION}: install the agent again that wrote it, or a newer one",
                place.v
            ));
        }
        Ok(place)
    }

    pub(super) fn position(&self) -> Position {
        let json = serde_json::to_vec(self).expect("texts and numbers become JSON");
        Position(Bytes::from(json))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_position_is_read_as_it_was_written() {
        let mut place = Place::start("2026-01-01T00:00:00Z");
        assert_eq!(Place::read(&place.position()), Ok(place.clone()));
        place.batch = 7;
        place.under_way = Some(UnderWay {
            until: 1_795_737_600_000_000,
            high: "ü\"".into(),
            page: 2,
            token: "c<3".into(),
            at: Some(At {
                ordinal: 400,
                content: "9f".into(),
            }),
        });
        assert_eq!(Place::read(&place.position()), Ok(place));
    }

    /// What version 1 wrote is read for ever.
    #[test]
    fn the_bytes_of_a_position_stay() {
        let text = r#"{"v":1,"batch":8,"cycle":3,"from":"a","under_way":{"until":5,"high":"b","page":2,"token":"c","at":{"ordinal":4,"content":"9f"}}}"#;
        let place = Place::read(&Position(Bytes::from_static(text.as_bytes()))).expect("a place");
        assert_eq!(place.position().0, text);
        let under_way = place.under_way.expect("it is under way");
        assert_eq!(
            (place.cycle, under_way.page, &*under_way.token),
            (3, 2, "c")
        );
    }

    #[test]
    fn a_position_of_others_is_refused_with_the_way_out() {
        for (bytes, expected) in [
            (&b"\0\0\0\x01"[..], "give the flow another name"),
            (br#"{"v":2,"batch":1,"cycle":0,"from":""}"#, "of version 2"),
        ] {
            let wrong = Place::read(&Position(Bytes::from_static(bytes))).expect_err("no place");
            assert!(wrong.contains(expected), "{wrong}");
        }
    }
}
