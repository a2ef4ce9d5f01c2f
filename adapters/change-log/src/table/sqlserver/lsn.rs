//! Log sequence numbers of SQL Server: ten bytes, which are ordered as they stand.

use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

const BYTES: usize = 10;

/// A place in the server's log. Of a transaction: that of its commit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(in super::super) struct Lsn([u8; BYTES]);

impl Lsn {
    /// What the server says where there is none.
    pub(super) const NONE: Self = Self([0; BYTES]);

    /// As a page has it (`\x` and digits), or as T-SQL writes it (`0x` and digits).
    pub(super) fn read(text: &str) -> Option<Self> {
        let digits = text.strip_prefix("\\x").or(text.strip_prefix("0x"))?;
        let mut bytes = [0; BYTES];
        hex::decode_to_slice(digits, &mut bytes).ok()?;
        Some(Self(bytes))
    }

    /// As a page has it.
    pub(super) fn text(self) -> String {
        format!("\\x{}", hex::encode(self.0))
    }

    /// The next one (what `sys.fn_cdc_increment_lsn` says). The last has none, and stays.
    pub(super) fn next(self) -> Self {
        let mut bytes = self.0;
        for byte in bytes.iter_mut().rev() {
            let (next, is_carried) = byte.overflowing_add(1);
            *byte = next;
            if !is_carried {
                return Self(bytes);
            }
        }
        self
    }

    /// The one before (what `sys.fn_cdc_decrement_lsn` says). The first has none, and stays.
    pub(super) fn previous(self) -> Self {
        let mut bytes = self.0;
        for byte in bytes.iter_mut().rev() {
            let (previous, is_borrowed) = byte.overflowing_sub(1);
            *byte = previous;
            if !is_borrowed {
                return Self(bytes);
            }
        }
        self
    }
}

/// As T-SQL writes it.
impl fmt::Display for Lsn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "0x{}", hex::encode(self.0))
    }
}

impl Serialize for Lsn {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Lsn {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let lsn = Self::read(&text);
        lsn.ok_or_else(|| serde::de::Error::custom(format!("\"{text}\" is no LSN")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_counted_over_all_their_bytes() {
        for (one, next) in [
            ("0x00000000000000000000", "0x00000000000000000001"),
            ("0x00000027000000c0ffff", "0x00000027000000c10000"),
            ("0x00000027ffffffffffff", "0x00000028000000000000"),
            ("0x0000002700000ac0007f", "0x0000002700000ac00080"),
        ] {
            let (one, next) = (Lsn::read(one).expect(one), Lsn::read(next).expect(next));
            assert_eq!((one.next(), next.previous()), (next, one));
            assert!(one < next);
        }
        let last = Lsn([0xff; BYTES]);
        assert_eq!((last.next(), Lsn::NONE.previous()), (last, Lsn::NONE));
    }

    #[test]
    fn a_number_is_read_as_a_page_and_as_sql_write_it() {
        let lsn = Lsn::read("\\x00000027000000c00003").expect("a number");
        assert_eq!(lsn.to_string(), "0x00000027000000c00003");
        assert_eq!(Lsn::read(&lsn.text()), Some(lsn));
        let json = serde_json::to_string(&lsn).expect("JSON");
        assert_eq!(serde_json::from_str::<Lsn>(&json).ok(), Some(lsn));
        for text in [
            "",
            "0x",
            "00000027000000c00003",
            "0x00000027000000c0000",
            "\\x00000027000000c0000g",
        ] {
            assert_eq!(Lsn::read(text), None, "{text}");
        }
    }
}
