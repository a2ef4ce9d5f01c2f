//! The state as bytes of the position.

use super::{MISSING_MAX, Missing, SERIES_MAX, Series, State};

impl State {
    /// Appends it; nothing where nothing is known.
    pub(crate) fn encode(&self, out: &mut Vec<u8>) {
        if *self == Self::default() {
            return;
        }
        // Both are at most 64.
        out.push(self.series.len() as u8);
        for one in &self.series {
            out.extend_from_slice(&one.sender.to_le_bytes());
            out.extend_from_slice(&one.day.to_le_bytes());
            out.extend_from_slice(&one.next.to_le_bytes());
        }
        out.push(self.missing.len() as u8);
        for one in &self.missing {
            out.extend_from_slice(&one.sender.to_le_bytes());
            out.extend_from_slice(&one.day.to_le_bytes());
            out.extend_from_slice(&one.from.to_le_bytes());
            out.extend_from_slice(&one.to.to_le_bytes());
            out.extend_from_slice(&one.since_us.to_le_bytes());
        }
    }

    /// Reads what [`Self::encode`] wrote, and nothing behind it.
    pub(crate) fn decode(bytes: &[u8]) -> Option<Self> {
        if bytes.is_empty() {
            return Some(Self::default());
        }
        let mut rest = bytes;
        let series = (0..take::<1>(&mut rest)?[0]).map(|_| {
            Some(Series {
                sender: u64::from_le_bytes(take(&mut rest)?),
                day: u32::from_le_bytes(take(&mut rest)?),
                next: u64::from_le_bytes(take(&mut rest)?),
            })
        });
        let series: Vec<Series> = series.collect::<Option<_>>()?;
        let missing = (0..take::<1>(&mut rest)?[0]).map(|_| {
            Some(Missing {
                sender: u64::from_le_bytes(take(&mut rest)?),
                day: u32::from_le_bytes(take(&mut rest)?),
                from: u64::from_le_bytes(take(&mut rest)?),
                to: u64::from_le_bytes(take(&mut rest)?),
                since_us: i64::from_le_bytes(take(&mut rest)?),
            })
        });
        let missing: Vec<Missing> = missing.collect::<Option<_>>()?;
        let is_good = rest.is_empty() && series.len() <= SERIES_MAX && missing.len() <= MISSING_MAX;
        is_good.then_some(Self { series, missing })
    }
}

fn take<const N: usize>(rest: &mut &[u8]) -> Option<[u8; N]> {
    let (taken, left) = rest.split_first_chunk::<N>()?;
    *rest = left;
    Some(*taken)
}
