//! Which offsets of a flow are finished.

use std::collections::VecDeque;

use dray_proto::Offset;
use dray_store::{CURSOR_SPAN_MAX, Cursor};
use roaring::RoaringBitmap;

/// The finished offsets of a flow: all up to and with `through`, and some above it.
///
/// Kept as a ring of bits, so that finishing an event is one bit set and moving `through` never
/// shifts what lies above; [`Self::cursor`] makes the store's form of it.
#[derive(Debug, Default, Clone)]
pub struct Finished {
    through: u64,
    /// The offset of the first bit; at most 63 below `through + 1` while there are words.
    base: u64,
    words: VecDeque<u64>,
    above: u64,
}

impl Finished {
    /// As the store holds it.
    #[must_use]
    pub fn new(cursor: &Cursor) -> Self {
        let mut finished = Self {
            through: cursor.through.0,
            base: cursor.through.0 + 1,
            ..Self::default()
        };
        for distance in cursor
            .above
            .iter()
            .take_while(|distance| u64::from(*distance) <= CURSOR_SPAN_MAX)
        {
            finished.finish(Offset(cursor.through.0 + u64::from(distance)));
        }
        finished
    }

    /// Everything up to and with this offset is finished.
    #[must_use]
    pub fn through(&self) -> Offset {
        Offset(self.through)
    }

    /// How many offsets above [`Self::through`] are finished.
    #[must_use]
    pub fn above(&self) -> u64 {
        self.above
    }

    /// How many offsets up to this one are not finished.
    #[must_use]
    pub fn unfinished_to(&self, offset: Offset) -> u64 {
        if offset.0 <= self.through {
            return 0;
        }
        let mut finished = 0;
        for (first, word) in (self.base..).step_by(64).zip(&self.words) {
            // The bits of this word that stand above `through`, and up to the offset.
            let below = (self.through + 1).saturating_sub(first).min(64) as u32;
            let to = (offset.0 + 1).saturating_sub(first).min(64) as u32;
            let up_to = |bits: u32| 1_u64.checked_shl(bits).map_or(u64::MAX, |bit| bit - 1);
            finished += u64::from((word & up_to(to) & !up_to(below)).count_ones());
        }
        offset.0 - self.through - finished
    }

    /// Whether this offset is finished.
    #[must_use]
    pub fn contains(&self, offset: Offset) -> bool {
        if offset.0 <= self.through {
            return true;
        }
        let at = offset.0 - self.base;
        self.words
            .get((at / 64) as usize)
            .is_some_and(|word| word >> (at % 64) & 1 == 1)
    }

    /// One more is finished; again is fine. At most [`CURSOR_SPAN_MAX`] above [`Self::through`]: the
    /// reader reads no further.
    pub fn finish(&mut self, offset: Offset) {
        if offset.0 <= self.through {
            return;
        }
        let at = offset.0 - self.base;
        let (word, bit) = ((at / 64) as usize, 1_u64 << (at % 64));
        if word >= self.words.len() {
            self.words.resize(word + 1, 0);
        }
        if self.words[word] & bit == 0 {
            self.words[word] |= bit;
            self.above += 1;
        }
        if offset.0 == self.through + 1 {
            self.advance();
        }
    }

    /// All from `first` up to and with `last` are finished.
    pub fn finish_range(&mut self, first: Offset, last: Offset) {
        if first.0 > self.through + 1 {
            (first.0..=last.0).for_each(|offset| self.finish(Offset(offset)));
            return;
        }
        if last.0 <= self.through {
            return;
        }
        let above: u64 = (self.through + 1..=last.0.min(self.end()))
            .filter(|at| self.contains(Offset(*at)))
            .count() as u64;
        self.above -= above;
        self.through = last.0;
        self.advance();
    }

    /// The store's form.
    #[must_use]
    pub fn cursor(&self) -> Cursor {
        let mut above = RoaringBitmap::new();
        let mut run: Option<(u32, u32)> = None;
        for (index, word) in self.words.iter().enumerate() {
            let mut left = *word;
            while left != 0 {
                let bit = left.trailing_zeros();
                let ones = (left >> bit).trailing_ones();
                left &= if bit + ones == 64 {
                    0
                } else {
                    u64::MAX << (bit + ones)
                };
                let first = self.base + index as u64 * 64 + u64::from(bit);
                let Some(distance) = (first + u64::from(ones) - 1)
                    .checked_sub(self.through)
                    .filter(|last| *last > 0)
                else {
                    continue;
                };
                let last = distance as u32;
                let first = (first.max(self.through + 1) - self.through) as u32;
                run = match run {
                    Some((start, end)) if end + 1 == first => Some((start, last)),
                    Some((start, end)) => {
                        above.insert_range(start..=end);
                        Some((first, last))
                    }
                    None => Some((first, last)),
                };
            }
        }
        if let Some((start, end)) = run {
            above.insert_range(start..=end);
        }
        Cursor {
            through: self.through(),
            above,
        }
    }

    /// The last offset that has a bit.
    fn end(&self) -> u64 {
        (self.base + self.words.len() as u64 * 64).saturating_sub(1)
    }

    /// Moves `through` over what is finished right above it, and drops words that lie below.
    fn advance(&mut self) {
        loop {
            let at = self.through + 1 - self.base;
            let Some(word) = self.words.get((at / 64) as usize) else {
                break;
            };
            let run = u64::from((word >> (at % 64)).trailing_ones());
            self.through += run;
            self.above -= run;
            if run == 0 || at % 64 + run < 64 {
                break;
            }
        }
        while !self.words.is_empty() && self.through + 1 - self.base >= 64 {
            self.words.pop_front();
            self.base += 64;
        }
        if self.words.is_empty() {
            self.base = self.through + 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeSet;

    #[test]
    fn a_gap_closes_when_its_last_offset_is_finished() {
        let mut finished = Finished::default();
        for offset in [3, 2, 5] {
            finished.finish(Offset(offset));
        }
        assert_eq!(
            finished.cursor(),
            Cursor {
                through: Offset(0),
                above: [2, 3, 5].into_iter().collect()
            }
        );
        finished.finish(Offset(1));
        assert_eq!(
            finished.cursor(),
            Cursor {
                through: Offset(3),
                above: [2].into_iter().collect()
            }
        );
        assert_eq!(
            (
                finished.above(),
                finished.contains(Offset(4)),
                finished.contains(Offset(5))
            ),
            (1, false, true)
        );
        finished.finish_range(Offset(4), Offset(1_000));
        assert_eq!(
            finished.cursor(),
            Cursor {
                through: Offset(1_000),
                above: RoaringBitmap::new()
            }
        );
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        #[test]
        fn it_agrees_with_a_set_of_numbers(
            start in 0_u64..200,
            steps in proptest::collection::vec((1_u64..700, 0_u64..150, any::<bool>()), 1..80)
        ) {
            let mut finished = Finished::new(&Cursor { through: Offset(start), above: RoaringBitmap::new() });
            let mut model: BTreeSet<u64> = (1..=start).collect();
            for (first, length, reopen) in steps {
                if length < 100 {
                    finished.finish(Offset(first));
                    model.insert(first);
                } else {
                    finished.finish_range(Offset(first), Offset(first + length));
                    model.extend(first..=first + length);
                }
                let through = (1..).find(|offset| !model.contains(offset)).expect("there is an end") - 1;
                let above: RoaringBitmap = model.range(through + 1..).map(|offset| (offset - through) as u32).collect();
                let cursor = finished.cursor();
                prop_assert_eq!(finished.above(), above.len());
                prop_assert_eq!(&cursor, &Cursor { through: Offset(through), above });
                for offset in 1..900 {
                    prop_assert_eq!(finished.contains(Offset(offset)), model.contains(&offset));
                }
                for offset in [through, through + 1, through + 63, through + 64, through + 200, 900] {
                    let unfinished = (1..=offset).filter(|offset| !model.contains(offset)).count() as u64;
                    prop_assert_eq!(finished.unfinished_to(Offset(offset)), unfinished);
                }
                if reopen {
                    finished = Finished::new(&cursor);
                }
            }
        }
    }
}
