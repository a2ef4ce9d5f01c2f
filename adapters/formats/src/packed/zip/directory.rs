//! The directory at an archive's end: it must say what the files before it are (APPNOTE 4.3.12 to 4.3.16).

use super::Entry;
use super::headers::{u16_at, u32_at, u64_at, zip64};

const HEADER: [u8; 4] = *b"PK\x01\x02";
const END64: [u8; 4] = *b"PK\x06\x06";
const LOCATOR64: [u8; 4] = *b"PK\x06\x07";
const END: [u8; 4] = *b"PK\x05\x06";

/// Bytes of an end record without its comment.
const END_BYTES: usize = 22;
/// Bytes of a zip64 end record and what later versions add.
const END64_BYTES_MAX: u64 = 64 * 1024;

/// The upper byte of "version made by" of a writer on Unix, whose attributes hold a file's mode.
const UNIX: u8 = 3;
const KIND: u32 = 0o170_000;
const LINK: u32 = 0o120_000;
const FILE: u32 = 0o100_000;
const FOLDER: u32 = 0o040_000;

/// What was read of the directory.
#[derive(Debug, Default)]
pub(super) struct Directory {
    /// Where it begins.
    start: Option<u64>,
    /// Where its headers end.
    end: Option<u64>,
    headers: u64,
    zip64: Option<Ends>,
    ended: bool,
}

/// What an end record says of the directory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Ends {
    headers: u64,
    bytes: u64,
    start: u64,
}

impl Directory {
    /// Whether a part of it was read: no file may follow.
    pub(super) fn begun(&self) -> bool {
        self.start.is_some()
    }

    /// Whether its end record was read.
    pub(super) fn ended(&self) -> bool {
        self.ended
    }

    /// Reads its next part, at byte `at` of the archive: the part's bytes, `None` where more are needed, or what stands there instead.
    pub(super) fn read(
        &mut self,
        input: &[u8],
        at: u64,
        entries: &mut [Entry],
    ) -> Result<Option<usize>, String> {
        let signature = *input.first_chunk::<4>().unwrap_or(&[0; 4]);
        let read = match signature {
            HEADER if self.end.is_none() => self.header(input, at, entries)?,
            END64 if self.zip64.is_none() => self.end64(input, at)?,
            LOCATOR64 if self.zip64.is_some() => (input.len() >= 20).then_some(20),
            END => self.end(input, at, entries)?,
            _ if entries.is_empty() && !self.begun() => {
                return Err("no zip header; if the file is not packed, write compression = \"none\" or \"auto\"".into());
            }
            _ => return Err("neither a file's header nor the directory".into()),
        };
        if read.is_some() {
            self.start.get_or_insert(at);
        }
        Ok(read)
    }

    fn header(
        &mut self,
        input: &[u8],
        at: u64,
        entries: &mut [Entry],
    ) -> Result<Option<usize>, String> {
        let Some(fixed) = input.first_chunk::<46>() else {
            return Ok(None);
        };
        let [name, extra, comment] = [28, 30, 32].map(|at| usize::from(u16_at(fixed, at)));
        let bytes = 46 + name + extra + comment;
        if input.len() < bytes {
            return Ok(None);
        }
        let (name, rest) = input[46..bytes].split_at(name);
        let mut numbers = [24, 20, 42].map(|at| u64::from(u32_at(fixed, at)));
        zip64(&rest[..extra], &mut numbers);
        let [inflated, packed, header_at] = numbers;
        let shown = String::from_utf8_lossy(name).into_owned();
        let known = entries.binary_search_by_key(&header_at, |entry| entry.header_at);
        let Some(entry) = known.ok().map(|index| &mut entries[index]) else {
            return Err(format!(
                "a directory that names {shown} at byte {}, where no file begins",
                header_at + 1
            ));
        };
        if entry.listed || entry.name != name {
            return Err(format!(
                "a directory that says {shown} of {}; one of the two names lies",
                entry.name()
            ));
        }
        let said = (u32_at(fixed, 16), packed, inflated);
        if said != (entry.crc, entry.packed, entry.inflated) {
            return Err(format!(
                "a directory whose lengths or CRC of {shown} are not those of its data"
            ));
        }
        check_kind(fixed, &shown)?;
        entry.listed = true;
        self.start.get_or_insert(at);
        self.headers += 1;
        Ok(Some(bytes))
    }

    fn end64(&mut self, input: &[u8], at: u64) -> Result<Option<usize>, String> {
        let Some(fixed) = input.first_chunk::<56>() else {
            return Ok(None);
        };
        let bytes = u64_at(fixed, 4).saturating_add(12);
        if !(56..=END64_BYTES_MAX).contains(&bytes) {
            return Err(format!("a zip64 end record of {bytes} bytes"));
        }
        if (input.len() as u64) < bytes {
            return Ok(None);
        }
        self.end = Some(at);
        self.zip64 = Some(Ends {
            headers: u64_at(fixed, 32),
            bytes: u64_at(fixed, 40),
            start: u64_at(fixed, 48),
        });
        Ok(Some(bytes as usize))
    }

    fn end(&mut self, input: &[u8], at: u64, entries: &[Entry]) -> Result<Option<usize>, String> {
        let Some(fixed) = input.first_chunk::<END_BYTES>() else {
            return Ok(None);
        };
        let bytes = END_BYTES + usize::from(u16_at(fixed, 20));
        if input.len() < bytes {
            return Ok(None);
        }
        if u16_at(fixed, 4) != 0 || u16_at(fixed, 6) != 0 {
            return Err(
                "the end of an archive in several parts; have it sent as one file".to_owned(),
            );
        }
        let start = self.start.unwrap_or(at);
        let is = Ends {
            headers: self.headers,
            bytes: self.end.unwrap_or(at) - start,
            start,
        };
        let says = |short: u64, ones: u64, long: fn(&Ends) -> u64| match &self.zip64 {
            Some(zip64) if short == ones => long(zip64),
            _ => short,
        };
        let ones = u64::from(u32::MAX);
        let said = Ends {
            headers: says(u16_at(fixed, 10).into(), u16::MAX.into(), |ends| {
                ends.headers
            }),
            bytes: says(u32_at(fixed, 12).into(), ones, |ends| ends.bytes),
            start: says(u32_at(fixed, 16).into(), ones, |ends| ends.start),
        };
        if said != is || self.zip64.is_some_and(|zip64| zip64 != is) {
            return Err(format!(
                "an end record that says a directory of {} files and {} bytes at byte {}, and it has {}, {} and {}",
                said.headers,
                said.bytes,
                said.start + 1,
                is.headers,
                is.bytes,
                is.start + 1
            ));
        }
        if let Some(entry) = entries.iter().find(|entry| !entry.listed) {
            return Err(format!("a directory that does not name {}", entry.name()));
        }
        self.ended = true;
        Ok(Some(bytes))
    }
}

/// Only files and folders: what else an archive can hold points elsewhere.
fn check_kind(fixed: &[u8], shown: &str) -> Result<(), String> {
    let kind = u32_at(fixed, 38) >> 16 & KIND;
    if fixed[5] != UNIX || matches!(kind, 0 | FILE | FOLDER) {
        return Ok(());
    }
    let what = if kind == LINK {
        "a symbolic link"
    } else {
        "a device or the like"
    };
    Err(format!(
        "a directory that says that {shown} is {what}, not a file"
    ))
}
