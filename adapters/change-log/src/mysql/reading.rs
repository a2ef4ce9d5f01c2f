//! Bytes of an event, read from the front.

/// What is left to read. An error says that an event ends within something.
#[derive(Debug, Clone, Copy)]
pub(super) struct Reading<'e>(pub(super) &'e [u8]);

/// An event ends too early, or says something that can't be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Short;

impl From<Short> for String {
    fn from(_: Short) -> Self {
        "an event of the log ends within a value".into()
    }
}

impl<'e> Reading<'e> {
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(super) fn bytes(&mut self, count: usize) -> Result<&'e [u8], Short> {
        let (bytes, rest) = self.0.split_at_checked(count).ok_or(Short)?;
        self.0 = rest;
        Ok(bytes)
    }

    pub(super) fn byte(&mut self) -> Result<u8, Short> {
        Ok(self.bytes(1)?[0])
    }

    /// A number of up to eight bytes, the lowest first.
    pub(super) fn little(&mut self, count: usize) -> Result<u64, Short> {
        let bytes = self.bytes(count)?.iter().rev();
        Ok(bytes.fold(0, |number, byte| number << 8 | u64::from(*byte)))
    }

    /// The same with the highest first.
    pub(super) fn big(&mut self, count: usize) -> Result<u64, Short> {
        let bytes = self.bytes(count)?.iter();
        Ok(bytes.fold(0, |number, byte| number << 8 | u64::from(*byte)))
    }

    /// A number that is as long as it needs (length-encoded integer).
    pub(super) fn number(&mut self) -> Result<u64, Short> {
        match self.byte()? {
            small @ 0..=250 => Ok(u64::from(small)),
            252 => self.little(2),
            253 => self.little(3),
            254 => self.little(8),
            _ => Err(Short),
        }
    }

    /// The same where it counts something that must be there.
    pub(super) fn count(&mut self) -> Result<usize, Short> {
        let count = self.number()?;
        usize::try_from(count).map_err(|_| Short)
    }

    /// Bytes behind their number.
    pub(super) fn counted(&mut self) -> Result<&'e [u8], Short> {
        let count = self.count()?;
        self.bytes(count)
    }

    /// A text behind its number of bytes.
    pub(super) fn text(&mut self) -> Result<&'e str, Short> {
        std::str::from_utf8(self.counted()?).map_err(|_| Short)
    }
}

/// Whether this bit is set where the lowest of the first byte comes first.
pub(super) fn bit(bits: &[u8], at: usize) -> bool {
    bits.get(at / 8)
        .is_some_and(|byte| byte >> (at % 8) & 1 == 1)
}

/// Bytes that hold so many bits.
pub(super) fn bit_bytes(bits: usize) -> usize {
    bits.div_ceil(8)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_as_long_as_they_need() {
        for (bytes, expected) in [
            (&[0][..], Ok(0)),
            (&[250], Ok(250)),
            (&[252, 0xfb, 0x01], Ok(507)),
            (&[253, 1, 2, 3], Ok(0x03_02_01)),
            (&[254, 1, 0, 0, 0, 0, 0, 0, 1], Ok(0x0100_0000_0000_0001)),
            (&[251], Err(Short)),
            (&[252, 1], Err(Short)),
            (&[], Err(Short)),
        ] {
            assert_eq!(Reading(bytes).number(), expected, "{bytes:?}");
        }
        assert_eq!(Reading(&[1, 2, 3]).big(3), Ok(0x01_02_03));
        assert_eq!(Reading(&[2, b'a', b'b', 7]).text(), Ok("ab"));
        assert_eq!(Reading(&[2, b'a']).text(), Err(Short));
    }

    #[test]
    fn bits_begin_with_the_lowest() {
        let bits = [0b0000_0101, 0b1000_0000];
        let set: Vec<_> = (0..20).filter(|at| bit(&bits, *at)).collect();
        assert_eq!((set, bit_bytes(9)), (vec![0, 2, 15], 2));
    }
}
