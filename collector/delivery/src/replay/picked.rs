//! The exact selection of a replay.

use dray_proto::FlowName;
use roaring::RoaringTreemap;

/// Events by flow and offset, or dead letters by id; in this order they are numbered from 1.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Picked {
    /// Each flow's offsets, by the flow's name.
    pub flows: Vec<(FlowName, RoaringTreemap)>,
    /// Ids of exceptions.
    pub letters: RoaringTreemap,
    /// The one dead letter's event as somebody changed it; empty: as it is.
    pub edited: Vec<u8>,
}

impl Picked {
    /// How many.
    #[must_use]
    pub fn len(&self) -> u64 {
        let events: u64 = self.flows.iter().map(|(_, offsets)| offsets.len()).sum();
        events + self.letters.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// As it stands in the store: the number of flows, of each its name, its offsets; the letters; the edited event. Each
    /// part with its length before it, 8 bytes big-endian; sets in Roaring's portable 64-bit format.
    #[must_use]
    pub fn bytes(&self) -> Vec<u8> {
        let mut out = (self.flows.len() as u64).to_be_bytes().to_vec();
        for (flow, offsets) in &self.flows {
            put(&mut out, flow.as_str().as_bytes());
            put(&mut out, &set_bytes(offsets));
        }
        put(&mut out, &set_bytes(&self.letters));
        put(&mut out, &self.edited);
        out
    }

    /// Reads [`Self::bytes`]; `None` where they are none.
    #[must_use]
    pub fn read(mut bytes: &[u8]) -> Option<Self> {
        let (count, rest) = bytes.split_first_chunk::<8>()?;
        bytes = rest;
        let mut flows = Vec::new();
        for _ in 0..u64::from_be_bytes(*count) {
            let name = std::str::from_utf8(take(&mut bytes)?).ok()?;
            let offsets = RoaringTreemap::deserialize_from(take(&mut bytes)?).ok()?;
            flows.push((FlowName::parse(name)?, offsets));
        }
        let letters = RoaringTreemap::deserialize_from(take(&mut bytes)?).ok()?;
        let edited = take(&mut bytes)?.to_vec();
        bytes.is_empty().then_some(Self {
            flows,
            letters,
            edited,
        })
    }
}

fn set_bytes(set: &RoaringTreemap) -> Vec<u8> {
    let mut out = Vec::with_capacity(set.serialized_size());
    set.serialize_into(&mut out).expect("memory takes it");
    out
}

fn put(out: &mut Vec<u8>, part: &[u8]) {
    out.extend_from_slice(&(part.len() as u64).to_be_bytes());
    out.extend_from_slice(part);
}

fn take<'a>(bytes: &mut &'a [u8]) -> Option<&'a [u8]> {
    let (length, rest) = bytes.split_first_chunk::<8>()?;
    let (part, rest) = rest.split_at_checked(usize::try_from(u64::from_be_bytes(*length)).ok()?)?;
    *bytes = rest;
    Some(part)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_selection_comes_back_as_it_was_and_damage_is_none() {
        let flow = |name: &str| FlowName::parse(name).expect("a name");
        let picked = Picked {
            flows: vec![
                (flow("north/a"), [1, 2, 3, u64::MAX].into_iter().collect()),
                (flow("north/b"), (5..10_000).collect()),
            ],
            letters: [7].into_iter().collect(),
            edited: b"event".to_vec(),
        };
        let bytes = picked.bytes();
        assert_eq!(Picked::read(&bytes), Some(picked.clone()));
        assert_eq!(picked.len(), 4 + 9_995 + 1);
        for length in [0, 7, 20, bytes.len() - 1] {
            assert_eq!(Picked::read(&bytes[..length]), None, "{length} bytes");
        }
        assert!(Picked::read(&Picked::default().bytes()).is_some_and(|none| none.is_empty()));
    }
}
