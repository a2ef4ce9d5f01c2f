//! Gzip members, one behind the other (RFC 1952).
//!
//! ```text
//! member:  1F 8B 08 flags | time 4 | XFL | OS | [extra] [name\0] [comment\0] [CRC16] | deflated | CRC32 4 | length mod 2^32 4
//! file:    member member ... [zeros, as tapes and block devices pad]
//! ```

use flate2::Crc;

use super::decoder::{Found, Step};
use super::inflate::Inflate;
use super::limits::Limits;
use crate::FileFault;

/// Bytes of a member's header: room for the longest extra field and two names.
const HEADER_BYTES_MAX: usize = 128 * 1024;
const HAS_CRC: u8 = 2;
const HAS_EXTRA: u8 = 4;
const HAS_NAME: u8 = 8;
const HAS_COMMENT: u8 = 16;
const RESERVED: u8 = 0xE0;

/// Unpacks a gzip file.
#[derive(Debug, Default)]
pub(super) struct Gzip {
    inflate: Inflate,
    part: Part,
    /// Where in the file the next byte stands.
    at: u64,
    members: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
enum Part {
    #[default]
    Header,
    Deflated,
    Trailer,
    Padding,
}

impl Gzip {
    /// The next step; bytes of the file come in `out`.
    pub(super) fn step(
        &mut self,
        input: &[u8],
        end: bool,
        limits: &mut Limits,
        out: &mut Vec<u8>,
    ) -> Result<Step, FileFault> {
        let (taken, found) = match self.part {
            Part::Header => self.header(input, end)?,
            Part::Deflated => self.deflated(input, end, limits, out)?,
            Part::Trailer => self.trailer(input, end)?,
            Part::Padding => self.padding(input, end)?,
        };
        self.at += taken as u64;
        Ok(Step { taken, found })
    }

    fn header(&mut self, input: &[u8], end: bool) -> Result<(usize, Found), FileFault> {
        match input.first() {
            None if self.members > 0 && end => return Ok((0, Found::End)),
            Some(0) if self.members > 0 => {
                self.part = Part::Padding;
                return Ok((0, Found::Nothing));
            }
            _ => {}
        }
        let head = &input[..input.len().min(HEADER_BYTES_MAX)];
        let length = header_length(head).map_err(|reason| self.fault(reason))?;
        let Some(length) = length else {
            if head.len() == HEADER_BYTES_MAX {
                return Err(self.fault("a header that never ends"));
            }
            return self.more(end);
        };
        self.inflate.reset();
        self.part = Part::Deflated;
        let first = self.members == 0;
        self.members += 1;
        let found = if first {
            Found::File(String::new())
        } else {
            Found::Nothing
        };
        Ok((length, found))
    }

    fn deflated(
        &mut self,
        input: &[u8],
        end: bool,
        limits: &mut Limits,
        out: &mut Vec<u8>,
    ) -> Result<(usize, Found), FileFault> {
        let Ok(inflated) = self.inflate.step(input, self.at, end, out) else {
            return Err(self.fault("bytes that are not deflated data: the file is damaged"));
        };
        if inflated.starved {
            return self.more(end);
        }
        limits.add(out.len(), self.at + inflated.taken as u64)?;
        if inflated.ended {
            self.part = Part::Trailer;
        }
        Ok((inflated.taken, Found::Bytes))
    }

    fn trailer(&mut self, input: &[u8], end: bool) -> Result<(usize, Found), FileFault> {
        let Some((crc, length)) = input.first_chunk::<4>().zip(input.get(4..8)) else {
            return self.more(end);
        };
        if u32::from_le_bytes(*crc) != self.inflate.crc() {
            return Err(self.fault("a CRC that its data does not have: the file is damaged"));
        }
        if length != (self.inflate.inflated as u32).to_le_bytes() {
            return Err(self.fault("a length that its data does not have: the file is damaged"));
        }
        self.part = Part::Header;
        Ok((8, Found::Nothing))
    }

    fn padding(&mut self, input: &[u8], end: bool) -> Result<(usize, Found), FileFault> {
        if let Some(at) = input.iter().position(|byte| *byte != 0) {
            self.at += at as u64;
            return Err(self.fault("something that is neither a further member nor zeros"));
        }
        let found = match (end, input.is_empty()) {
            (true, true) => Found::End,
            (false, true) => Found::More,
            _ => Found::Nothing,
        };
        Ok((input.len(), found))
    }

    fn more(&self, end: bool) -> Result<(usize, Found), FileFault> {
        if end {
            return Err(FileFault(format!(
                "the gzip data ends in its middle, after {} bytes unpacked of member {}: the file is cut, or was still being written",
                self.inflate.inflated,
                self.members.max(1)
            )));
        }
        Ok((0, Found::More))
    }

    fn fault(&self, reason: &str) -> FileFault {
        FileFault(format!("gzip: at byte {} stands {reason}", self.at + 1))
    }
}

/// A member's header's length; `None` where more bytes are needed.
fn header_length(bytes: &[u8]) -> Result<Option<usize>, &'static str> {
    let magic = [0x1F, 0x8B, 8];
    if bytes.iter().zip(&magic).any(|(byte, magic)| byte != magic) {
        return Err(
            "no gzip header; if the file is not packed, write compression = \"none\" or \"auto\"",
        );
    }
    let Some(flags) = bytes.get(3) else {
        return Ok(None);
    };
    if flags & RESERVED != 0 {
        return Err("a gzip header with flags that RFC 1952 reserves");
    }
    let mut at = 10;
    if flags & HAS_EXTRA != 0 {
        let Some(length) = bytes.get(at..at + 2) else {
            return Ok(None);
        };
        at += 2 + usize::from(length[0]) + 256 * usize::from(length[1]);
    }
    for _ in [HAS_NAME, HAS_COMMENT]
        .iter()
        .filter(|has| flags & **has != 0)
    {
        let rest = bytes.get(at..).unwrap_or_default();
        let Some(length) = memchr::memchr(0, rest) else {
            return Ok(None);
        };
        at += length + 1;
    }
    if flags & HAS_CRC != 0 {
        let Some(found) = bytes.get(at..at + 2) else {
            return Ok(None);
        };
        let mut crc = Crc::new();
        crc.update(&bytes[..at]);
        if (crc.sum() as u16).to_le_bytes() != *found {
            return Err("a gzip header whose CRC does not hold");
        }
        at += 2;
    }
    Ok((bytes.len() >= at).then_some(at))
}
