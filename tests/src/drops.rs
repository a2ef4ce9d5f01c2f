//! What a legacy system drops.

use std::fmt::Write as _;
use std::fs::{self, File};
use std::io::{self, Write as _};
use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

/// Microseconds since 1970-01-01T00:00:00Z.
#[must_use]
pub fn now_us() -> u64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |since| since.as_micros() as u64)
}

/// The column names of [`movement`], for a file with a header.
pub const MOVEMENT_COLUMNS: [&str; 14] = [
    "MOVE_NO", "TYPE", "WH", "LOC", "SKU", "DESCR", "QTY", "UOM", "LOT", "SERIAL", "REASON", "REF",
    "USER", "TS",
];

/// A mapping of those lines; `REF` carries what a test wants to find again at the target.
pub const MOVEMENT_MAPPING: &str = r#"
[[flow.mapping]]
body = "inventory_movement"
key = "SKU"
operation = "create"
[flow.mapping.fields]
movement_number = { from = "MOVE_NO", required = true }
item_number = { from = "SKU", required = true }
warehouse = "WH"
location = "LOC"
quantity = "QTY"
unit = "UOM"
lot = "LOT"
reason = { from = "REASON", lookup = { CC = "CYCLE_COUNT", PK = "PICK", RC = "RECEIPT" } }
reference = "REF"
user = "USER"
moved_at = { from = "TS", format = "%Y%m%d%H%M%S", zone = "Europe/Berlin" }
"#;

/// One inventory movement of 148 bytes with its newline: number `n`, of item `item`.
pub fn movement(out: &mut String, n: u64, item: u64, reference: u64) {
    let reason = ["PK", "RC", "CC"][(n % 3) as usize];
    let second = n % 60;
    let minute = n / 60 % 60;
    let start = out.len();
    write!(
        out,
        "MV{n:010}|{}|WH1|A-{:02}-{:03}|SKU-{item:07}|Hex bolt M8x40 zinc plated|{}.000|EA|L{:06}||{reason}|{reference:017}|OP{:03}|202611231{}{minute:02}{second:02}",
        if n.is_multiple_of(2) { "IN" } else { "OUT" },
        n % 40,
        n % 700,
        n % 90 + 10,
        n % 999_983,
        n % 120,
        n % 10,
    )
    .expect("a string takes everything");
    let length = out.len() - start;
    for _ in length..147 {
        out.push(' ');
    }
    out.push('\n');
}

/// Writes a file as careful legacy systems do: under another name, then renamed.
///
/// # Errors
/// Those of the file system.
pub fn drop_file(folder: &Path, name: &str, content: &[u8]) -> io::Result<()> {
    let hidden = folder.join(format!(".{name}"));
    let mut file = File::create(&hidden)?;
    file.write_all(content)?;
    drop(file);
    fs::rename(hidden, folder.join(name))
}

/// The same, and on stable storage when it returns, as far as the disk lives: what a system that
/// cares for its files does, and what a power cut may not take.
///
/// # Errors
/// Those of the file system; the file may be there or not.
pub fn drop_file_synced(folder: &Path, name: &str, content: &[u8]) -> io::Result<()> {
    let hidden = folder.join(format!(".{name}"));
    let mut file = File::create(&hidden)?;
    file.write_all(content)?;
    file.sync_all()?;
    fs::rename(hidden, folder.join(name))?;
    sync_names(folder, &file)
}

/// Syncs a folder. `file`: any on the same disk.
///
/// # Errors
/// Those of the file system.
pub fn sync_names(folder: &Path, file: &File) -> io::Result<()> {
    File::open(folder)?.sync_all()?;
    // XFS (Linux 6.18) says of a folder on a dead disk that it is synced, but never of a file.
    file.sync_all()
}

/// `lines` movements numbered from `first`, over `items` items, as a file's text with a header.
/// `REF` is each line's number within its item, so that order can be checked per key.
#[must_use]
pub fn movements(first: u64, lines: u64, items: u64) -> String {
    let mut text = String::with_capacity(lines as usize * 150 + 100);
    text.push_str(&MOVEMENT_COLUMNS.join("|"));
    text.push('\n');
    for n in first..first + lines {
        movement(&mut text, n, n % items, n / items);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_movement_is_148_bytes_and_14_columns() {
        for n in [0, 1, 59, 999_999, 2_000_000] {
            let mut line = String::new();
            movement(&mut line, n, n % 50_000, n);
            assert_eq!(line.len(), 148, "{line}");
            assert_eq!(line.matches('|').count(), 13, "{line}");
        }
    }
}
