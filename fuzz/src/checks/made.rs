//! Packed files whose checksums hold: a fuzzer that had to find them first would find nothing else.

use std::io::Write as _;

use flate2::{Compression, Crc, write::GzEncoder};

/// A gzip file of this content, in one member or in two; with a damaged byte where `how` says so.
pub(crate) fn gzip(content: &[u8], how: u16) -> Vec<u8> {
    let [place, kind] = how.to_le_bytes();
    let middle = content.len() / 2;
    let parts = if kind & 1 == 1 {
        vec![&content[..middle], &content[middle..]]
    } else {
        vec![content]
    };
    let mut made = Vec::new();
    for part in parts {
        let level = Compression::new(u32::from(kind >> 1 & 1));
        let mut encoder = GzEncoder::new(made, level);
        encoder.write_all(part).expect("memory");
        made = encoder.finish().expect("memory");
    }
    if kind & 12 == 12 {
        let at = usize::from(place) * made.len() / 256;
        made[at] ^= kind;
    }
    made
}

/// A zip archive, nothing in it deflated. The content is its files: each begins behind a line `--- name`.
pub(crate) fn zip(content: &[u8]) -> Vec<u8> {
    let (mut made, mut directory, mut count) = (Vec::new(), Vec::new(), 0_u16);
    for (name, bytes) in files(content) {
        let mut crc = Crc::new();
        crc.update(bytes);
        let length = (bytes.len() as u32).to_le_bytes();
        let mut about = Vec::new();
        about.extend([20, 0, 0, 0, 0, 0, 0, 0, 0x21, 0]);
        about.extend(crc.sum().to_le_bytes());
        about.extend(length);
        about.extend(length);
        about.extend((name.len() as u16).to_le_bytes());
        about.extend([0, 0]);
        directory.extend(b"PK\x01\x02\x14\0");
        directory.extend(&about);
        directory.extend([0; 10]);
        directory.extend((made.len() as u32).to_le_bytes());
        directory.extend(name);
        made.extend(b"PK\x03\x04");
        made.extend(&about);
        made.extend(name);
        made.extend(bytes);
        count += 1;
    }
    let start = (made.len() as u32).to_le_bytes();
    let length = (directory.len() as u32).to_le_bytes();
    made.extend(directory);
    made.extend(b"PK\x05\x06\0\0\0\0");
    made.extend(count.to_le_bytes());
    made.extend(count.to_le_bytes());
    made.extend(length);
    made.extend(start);
    made.extend([0, 0]);
    made
}

fn files(content: &[u8]) -> Vec<(&[u8], &[u8])> {
    const MARK: &[u8] = b"--- ";
    let is_begin =
        |at: &usize| content[*at..].starts_with(MARK) && (*at == 0 || content[*at - 1] == b'\n');
    let begins: Vec<usize> = (0..content.len()).filter(is_begin).collect();
    let ends = begins.iter().skip(1).copied().chain([content.len()]);
    let file = |(begin, end): (&usize, usize)| {
        let part = &content[begin + MARK.len()..end];
        let line = part.iter().position(|byte| *byte == b'\n');
        let (name, bytes) = part.split_at(line.unwrap_or(part.len()));
        (name, bytes.get(1..).unwrap_or(&[]))
    };
    begins.iter().zip(ends).map(file).collect()
}
