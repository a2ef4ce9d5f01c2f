//! The identity of an event.

use std::fmt;

/// 16 bytes that are the same each time the same record is read.
///
/// ```text
/// 0        10              15      16
/// | scope  | ordinal (BE)  | output |
/// ```
///
/// *scope*: 80 bits of a hash over the source's identity and the unit it read (a file's content, a
/// message's id, a transaction). *ordinal*: the record's number in that unit. *output*: which of
/// the record's events this is. Structured rather than hashed per event: it costs nothing, can be
/// read by a person, and neighbours share a prefix that compresses away.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct EventId([u8; 16]);

impl EventId {
    /// One more than the largest ordinal: 2^40 records in one unit.
    pub const ORDINALS: u64 = 1 << 40;

    /// The id of output `output` of record `ordinal` in the unit `scope`.
    ///
    /// Ordinals are taken modulo [`Self::ORDINALS`]; a source ends its unit long before.
    #[must_use]
    pub fn new(scope: [u8; 10], ordinal: u64, output: u8) -> Self {
        let mut id = [0; 16];
        id[..10].copy_from_slice(&scope);
        id[10..15].copy_from_slice(&ordinal.to_be_bytes()[3..]);
        id[15] = output;
        Self(id)
    }

    /// From the bytes of an event; `None` unless there are 16.
    #[must_use]
    pub fn from_slice(bytes: &[u8]) -> Option<Self> {
        bytes.try_into().ok().map(Self)
    }

    /// As they stand in the event.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8; 16] {
        &self.0
    }
}

impl fmt::Display for EventId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex::encode(self.0))
    }
}

impl fmt::Debug for EventId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_shows_scope_ordinal_and_output() {
        let id = EventId::new([0xAB; 10], 0x01_0203, 4);
        assert_eq!(id.to_string(), "abababababababababab000001020304");
        assert_eq!(EventId::from_slice(id.as_bytes()), Some(id));
        assert_eq!(EventId::from_slice(&[0; 15]), None);
    }
}
