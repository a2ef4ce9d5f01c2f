//! Bytes of a message, read from the front: PostgreSQL writes numbers with the highest byte first.

use std::str;

/// Takes from the front.
#[derive(Debug, Clone)]
pub(super) struct Reader<'m>(pub(super) &'m [u8]);

impl<'m> Reader<'m> {
    pub(super) fn take(&mut self, count: usize) -> Result<&'m [u8], String> {
        let (taken, rest) = self.0.split_at_checked(count).ok_or(CUT)?;
        self.0 = rest;
        Ok(taken)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], String> {
        let (taken, rest) = self.0.split_first_chunk().ok_or(CUT)?;
        self.0 = rest;
        Ok(*taken)
    }

    pub(super) fn byte(&mut self) -> Result<u8, String> {
        self.array::<1>().map(|[byte]| byte)
    }

    pub(super) fn u16(&mut self) -> Result<u16, String> {
        self.array().map(u16::from_be_bytes)
    }

    pub(super) fn u32(&mut self) -> Result<u32, String> {
        self.array().map(u32::from_be_bytes)
    }

    /// A text that ends with a zero byte.
    pub(super) fn name(&mut self) -> Result<String, String> {
        let length = memchr::memchr(0, self.0).ok_or(CUT)?;
        let name = text(self.take(length)?)?.to_owned();
        self.byte()?;
        Ok(name)
    }
}

const CUT: &str = "a message of pgoutput is cut";

/// A text of a message.
pub(super) fn text(bytes: &[u8]) -> Result<&str, String> {
    str::from_utf8(bytes).map_err(|_| {
        "a text of pgoutput is no UTF-8: the session's client_encoding is another".to_owned()
    })
}
