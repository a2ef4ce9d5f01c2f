//! Where the source stands, as the bytes of a position: JSON with a version.

use bytes::Bytes;
use dray_adapter::Position;
use serde::{Deserialize, Serialize};

/// What identifies content: SHA-256, length, and which time it is sent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Content {
    /// Hex.
    pub(crate) sha256: String,
    pub(crate) bytes: u64,
    /// 0, and more only with `repeat = "send"`.
    pub(crate) again: u32,
}

/// Where a finished file goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Goes {
    /// To the archive of what waits for the ack.
    Pending,
    /// To what could not be read.
    Failed,
}

/// A file that was appended whole and may not have moved yet.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Finished {
    pub(crate) name: String,
    pub(crate) content: Content,
    pub(crate) goes: Goes,
}

/// A file that is being read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct At {
    pub(crate) name: String,
    pub(crate) content: Content,
    /// The ordinal of the record or reject that comes next.
    pub(crate) next: u64,
}

/// The whole position.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Place {
    /// The version of this form: 1.
    pub(crate) v: u8,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) finished: Vec<Finished>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) at: Option<At>,
}

impl Place {
    pub(crate) fn encode(&self) -> Position {
        let bytes = serde_json::to_vec(&Self {
            v: 1,
            ..self.clone()
        })
        .expect("names and numbers are JSON");
        Position(Bytes::from(bytes))
    }

    /// Reads a position.
    pub(crate) fn decode(position: &Position) -> Result<Self, String> {
        if position.0.is_empty() {
            return Ok(Self::default());
        }
        match serde_json::from_slice::<Self>(&position.0) {
            Ok(place) if place.v == 1 => Ok(place),
            Ok(place) => Err(format!(
                "the position has form {}, this version reads form 1; use a newer agent",
                place.v
            )),
            Err(error) => Err(format!("the position can't be read: {error}")),
        }
    }
}
