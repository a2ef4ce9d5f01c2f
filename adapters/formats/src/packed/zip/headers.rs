//! What stands before and behind a file's data (APPNOTE 4.3.7, 4.3.9, 4.4).

use crate::packed::NAME_BYTES_MAX;

pub(super) const LOCAL: [u8; 4] = *b"PK\x03\x04";
const DESCRIPTOR: [u8; 4] = *b"PK\x07\x08";
pub(super) const STORED: u16 = 0;
pub(super) const DEFLATED: u16 = 8;

const ENCRYPTED: u16 = 1 | 1 << 6 | 1 << 13;
const PATCHED: u16 = 1 << 5;
const DESCRIBED: u16 = 1 << 3;
const ZIP64: u16 = 1;

/// A number of 2 bytes.
pub(super) fn u16_at(bytes: &[u8], at: usize) -> u16 {
    bytes[at..]
        .first_chunk()
        .map_or(0, |bytes| u16::from_le_bytes(*bytes))
}

/// A number of 4 bytes.
pub(super) fn u32_at(bytes: &[u8], at: usize) -> u32 {
    bytes[at..]
        .first_chunk()
        .map_or(0, |bytes| u32::from_le_bytes(*bytes))
}

/// A number of 8 bytes.
pub(super) fn u64_at(bytes: &[u8], at: usize) -> u64 {
    bytes[at..]
        .first_chunk()
        .map_or(0, |bytes| u64::from_le_bytes(*bytes))
}

/// A local header.
#[derive(Debug, Clone, Copy)]
pub(super) struct Local<'a> {
    /// Bytes of it all, name and extra field too.
    pub(super) bytes: usize,
    pub(super) name: &'a [u8],
    pub(super) method: u16,
    pub(super) crc: u32,
    pub(super) packed: u64,
    pub(super) inflated: u64,
    /// Whether a descriptor follows the data.
    pub(super) described: bool,
}

impl<'a> Local<'a> {
    /// `None` where more bytes are needed; or what stands there instead.
    pub(super) fn read(input: &'a [u8]) -> Result<Option<Self>, String> {
        let Some(fixed) = input.first_chunk::<30>() else {
            return Ok(None);
        };
        let (flags, method) = (u16_at(fixed, 6), u16_at(fixed, 8));
        let name_bytes = usize::from(u16_at(fixed, 26));
        let bytes = 30 + name_bytes + usize::from(u16_at(fixed, 28));
        if name_bytes > NAME_BYTES_MAX {
            return Err(format!(
                "a file's name of {name_bytes} bytes, at most {NAME_BYTES_MAX} are possible"
            ));
        }
        if input.len() < bytes {
            return Ok(None);
        }
        let name = &input[30..30 + name_bytes];
        check_name(name)?;
        let shown = || String::from_utf8_lossy(name);
        if flags & ENCRYPTED != 0 {
            return Err(format!(
                "{}, which is encrypted; have it sent without a password",
                shown()
            ));
        }
        if flags & PATCHED != 0 || !matches!(method, STORED | DEFLATED) {
            return Err(format!(
                "{}, which is packed by method {}; only stored and deflated data can be read",
                shown(),
                method_name(method)
            ));
        }
        let mut lengths = [u32_at(fixed, 22), u32_at(fixed, 18)].map(u64::from);
        zip64(&input[30 + name_bytes..bytes], &mut lengths);
        let [inflated, packed] = lengths;
        Ok(Some(Self {
            bytes,
            name,
            method,
            crc: u32_at(fixed, 14),
            packed,
            inflated,
            described: flags & DESCRIBED != 0,
        }))
    }

    pub(super) fn is_folder(&self) -> bool {
        self.name.ends_with(b"/")
    }

    /// Whether it is a file of the sender's: folders are none, and neither is what macOS adds to each archive.
    pub(super) fn is_wanted(&self) -> bool {
        let last = self.name.rsplit(|byte| *byte == b'/').next();
        !self.is_folder() && !self.name.starts_with(b"__MACOSX/") && last != Some(b".DS_Store")
    }
}

/// Takes from the zip64 extra field (4.5.3) the numbers that are all ones, in their order.
pub(super) fn zip64(mut extra: &[u8], numbers: &mut [u64]) {
    while extra.len() >= 4 {
        let (id, bytes) = (u16_at(extra, 0), usize::from(u16_at(extra, 2)));
        let data = &extra[4..extra.len().min(4 + bytes)];
        if id == ZIP64 {
            let wanted = numbers.iter_mut();
            let wanted = wanted.filter(|number| **number == u64::from(u32::MAX));
            for (number, bytes) in wanted.zip(data.chunks_exact(8)) {
                *number = u64_at(bytes, 0);
            }
            return;
        }
        extra = &extra[4 + data.len()..];
    }
}

/// We write no files, but a name must not lie about where it belongs.
fn check_name(name: &[u8]) -> Result<(), String> {
    let shown = String::from_utf8_lossy(name).escape_debug().to_string();
    let parts = || name.split(|byte| matches!(byte, b'/' | b'\\'));
    if name.is_empty() || name.contains(&0) {
        return Err(format!("a file whose name \"{shown}\" is none"));
    }
    if parts().next().is_some_and(<[u8]>::is_empty) || name.get(1) == Some(&b':') {
        return Err(format!(
            "a file whose name \"{shown}\" is an absolute path; an archive's names must stay within it"
        ));
    }
    if parts().any(|part| part == b"..") {
        return Err(format!(
            "a file whose name \"{shown}\" leads out of the archive's folder; an archive's names must stay within it"
        ));
    }
    Ok(())
}

fn method_name(method: u16) -> String {
    let name = match method {
        9 => "deflate64",
        12 => "bzip2",
        14 => "LZMA",
        93 => "zstd",
        95 => "xz",
        99 => "AES",
        _ => return method.to_string(),
    };
    format!("{method} ({name})")
}

/// What stands where a descriptor should.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum DescriptorFound {
    More,
    /// It says what the data have, in so many bytes.
    Bytes(usize),
    /// It doesn't.
    Other,
}

/// Writers differ: with or without a signature, lengths of 8 bytes (zip64) or of 4. The data are known, so only one can fit.
pub(super) fn descriptor(input: &[u8], crc: u32, packed: u64, inflated: u64) -> DescriptorFound {
    // The end record has 22 bytes, so 24 are there behind any data of a whole archive with a directory.
    if input.len() < 24 {
        return DescriptorFound::More;
    }
    let long = [
        &crc.to_le_bytes()[..],
        &packed.to_le_bytes(),
        &inflated.to_le_bytes(),
    ]
    .concat();
    let short = [crc, packed as u32, inflated as u32]
        .map(u32::to_le_bytes)
        .concat();
    for lengths in [long, short] {
        for signature in [&DESCRIPTOR[..], &[]] {
            let whole = [signature, &lengths].concat();
            if input.starts_with(&whole) {
                return DescriptorFound::Bytes(whole.len());
            }
        }
    }
    DescriptorFound::Other
}
