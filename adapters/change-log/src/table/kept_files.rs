//! The files of what is kept of a table's rows.
//!
//! ```text
//! base-7      "dray-base 1\n", then for each row: length of its id (u32), the id, hash of the row (u64); then SHA-256 of all that
//! changes-7   for each change since: its batch (u64), the same three (a hash of 0: the row is gone), and 4 bytes of SHA-256 of all that
//! ```
//! Numbers are little-endian. A batch's changes are synced here before the batch is handed over, and the position says how many batches are
//! appended: those behind it are cut off, and found again. A base is synced under another name before it gets its own.

use std::fs::{self, File};
use std::io::{self, BufReader, BufWriter, Read, Write as _};
use std::path::Path;

use sha2::{Digest as _, Sha256};

/// Bytes of an id, at most: a longer one is damage.
const ID_BYTES_MAX: usize = 64 * 1024;
/// What a base begins with.
const HEAD: &[u8] = b"dray-base 1\n";

/// Writes a base under another name first.
pub(super) fn write_base<'r>(
    folder: &Path,
    base: u64,
    rows: impl Iterator<Item = (&'r str, u64)>,
) -> io::Result<()> {
    let making = folder.join("making");
    let mut file = BufWriter::new(File::create(&making)?);
    let mut hash = Sha256::new();
    let mut write = |bytes: &[u8]| {
        hash.update(bytes);
        file.write_all(bytes)
    };
    write(HEAD)?;
    let mut bytes = Vec::new();
    for (id, row) in rows {
        bytes.clear();
        put(&mut bytes, id, row);
        write(&bytes)?;
    }
    file.write_all(&hash.finalize())?;
    file.into_inner()
        .map_err(io::IntoInnerError::into_error)?
        .sync_all()?;
    fs::rename(making, folder.join(name(base)))?;
    File::open(folder)?.sync_all()
}

/// A base's file.
pub(super) fn name(base: u64) -> String {
    format!("base-{base}")
}

pub(super) fn put(bytes: &mut Vec<u8>, id: &str, row: u64) {
    bytes.extend_from_slice(&(id.len() as u32).to_le_bytes());
    bytes.extend_from_slice(id.as_bytes());
    bytes.extend_from_slice(&row.to_le_bytes());
}

pub(super) fn damaged(what: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, what)
}

/// One row, and its bytes.
fn take(from: &mut impl Read, bytes: &mut Vec<u8>) -> io::Result<(String, u64)> {
    let mut length = [0; 4];
    from.read_exact(&mut length)?;
    bytes.extend_from_slice(&length);
    let length = u32::from_le_bytes(length) as usize;
    if length > ID_BYTES_MAX {
        return Err(damaged("an id is too long"));
    }
    let mut id = vec![0; length];
    from.read_exact(&mut id)?;
    bytes.extend_from_slice(&id);
    let mut row = [0; 8];
    from.read_exact(&mut row)?;
    bytes.extend_from_slice(&row);
    let id = String::from_utf8(id).map_err(|_| damaged("an id is no text"))?;
    Ok((id, u64::from_le_bytes(row)))
}

pub(super) fn read_base(file: &Path, call: &mut impl FnMut(&str, u64)) -> io::Result<()> {
    let file = File::open(file)?;
    let length = file.metadata()?.len();
    let hash_bytes = Sha256::output_size() as u64;
    let Some(mut left) = length.checked_sub(hash_bytes + HEAD.len() as u64) else {
        return Err(damaged("a base is too short"));
    };
    let mut from = BufReader::new(file);
    let mut head = [0; HEAD.len()];
    from.read_exact(&mut head)?;
    let mut hash = Sha256::new_with_prefix(head);
    let mut bytes = Vec::new();
    while left > 0 {
        bytes.clear();
        let (id, row) = take(&mut from, &mut bytes)?;
        let taken = bytes.len() as u64;
        left = left
            .checked_sub(taken)
            .ok_or_else(|| damaged("a base is cut"))?;
        hash.update(&bytes);
        call(&id, row);
    }
    let mut told = Vec::new();
    from.read_to_end(&mut told)?;
    match head == HEAD && told[..] == hash.finalize()[..] {
        true => Ok(()),
        false => Err(damaged("a base's checksum differs")),
    }
}

/// The changes of so many batches; where they end. What a kill cut off ends them.
pub(super) fn read_changes(
    file: &Path,
    batches: u64,
    call: &mut impl FnMut(u64, &str, u64),
) -> io::Result<u64> {
    let opened = match File::open(file) {
        Ok(opened) => opened,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(0),
        Err(error) => return Err(error),
    };
    let mut from = BufReader::new(opened);
    let mut end = 0;
    let mut bytes = Vec::new();
    loop {
        bytes.clear();
        let mut batch = [0; 8];
        let mut check = [0; 4];
        let taken = from.read_exact(&mut batch).and_then(|()| {
            bytes.extend_from_slice(&batch);
            let row = take(&mut from, &mut bytes)?;
            from.read_exact(&mut check)?;
            Ok(row)
        });
        let batch = u64::from_le_bytes(batch);
        match taken {
            Ok((id, row)) if Sha256::digest(&bytes)[..4] == check && batch <= batches => {
                call(batch, &id, row);
                end += bytes.len() as u64 + 4;
            }
            _ => return Ok(end),
        }
    }
}
