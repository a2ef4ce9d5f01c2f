//! What is in the file, before `calamine` sees it.

use std::io::Cursor;
use std::panic::{AssertUnwindSafe, catch_unwind};

use calamine::{Reader as _, SheetType};
use memchr::memmem;

use super::{INFLATED_BYTES_MAX, STRINGS_BYTES_MAX, SheetConfig};
use crate::packed;

/// Bytes of a part that is kept whole, besides the shared strings: styles, relations and the list of sheets.
const PART_BYTES_MAX: usize = 4 * 1024 * 1024;
/// Bytes without a `<`: more than the longest text of a cell, 32,767 characters, and what the reader must hold at once.
const TEXT_BYTES_MAX: usize = 1024 * 1024;
/// The count for which `calamine` makes room before it reads one text.
const COUNT: &[u8] = b"uniqueCount";
/// Bytes of it, of what is between it and its number, and of the number.
const COUNT_BYTES: usize = 64;

/// An opened workbook.
pub(super) type Workbook = calamine::Xlsx<Cursor<Vec<u8>>>;

/// Opens a workbook.
pub(super) fn open(file: Vec<u8>) -> Result<Workbook, String> {
    check(&file)?;
    guarded(|| Workbook::new(Cursor::new(file)).map_err(|error| error.to_string()))
        .map_err(|reason| format!("the workbook can't be read: {reason}"))
}

/// Calls `calamine`. It reads what others write; should it panic on that, the file is at fault and nothing else stops.
pub(super) fn guarded<T>(call: impl FnOnce() -> Result<T, String>) -> Result<T, String> {
    catch_unwind(AssertUnwindSafe(call))
        .unwrap_or_else(|_| Err("its reader gave up on what is in it".into()))
}

/// The sheet's name.
pub(super) fn sheet_name(workbook: &Workbook, sheet: &SheetConfig) -> Result<String, String> {
    let sheets = workbook.sheets_metadata().iter();
    let mut sheets = sheets.filter(|sheet| sheet.typ == SheetType::WorkSheet);
    let found = match sheet {
        SheetConfig::Number(number) => sheets.nth((*number as usize).saturating_sub(1)),
        SheetConfig::Name(name) => sheets.find(|sheet| sheet.name == *name),
    };
    if let Some(found) = found {
        return Ok(found.name.clone());
    }
    let names: Vec<&str> = workbook.sheets_metadata()[..]
        .iter()
        .filter(|sheet| sheet.typ == SheetType::WorkSheet)
        .map(|sheet| sheet.name.as_str())
        .take(20)
        .collect();
    let wanted = match sheet {
        SheetConfig::Number(number) => format!("sheet {number}"),
        SheetConfig::Name(name) => format!("sheet \"{name}\""),
    };
    Err(format!(
        "the workbook has no {wanted}; its sheets are {}",
        names.join(", ")
    ))
}

/// What tells a workbook from other files.
pub(super) const MAGIC_BYTES: usize = 4;

/// Whether a file begins as a workbook does.
pub(super) fn check_magic(file: &[u8]) -> Result<(), String> {
    if file.starts_with(b"\xD0\xCF\x11\xE0") {
        return Err("it is a workbook of the old kind (.xls), or one with a password; have it saved as .xlsx, without a password".into());
    }
    if !file.starts_with(b"PK") {
        return Err("it is no workbook (.xlsx): those are zip archives and begin with PK".into());
    }
    Ok(())
}

fn check(file: &[u8]) -> Result<(), String> {
    let mut parts = Parts::default();
    packed::survey(file, INFLATED_BYTES_MAX, |name, bytes| {
        parts.look(name, bytes)
    })
    .map_err(|fault| fault.0)
}

/// What was seen of the parts.
#[derive(Debug, Default)]
struct Parts {
    name: String,
    bytes: usize,
    /// Bytes since the last `<`.
    run: usize,
    /// The last bytes of the part's bytes before.
    tail: Vec<u8>,
}

impl Parts {
    fn look(&mut self, name: &str, bytes: &[u8]) -> Result<(), String> {
        if self.name != name {
            *self = Self {
                name: name.to_owned(),
                ..Self::default()
            };
        }
        let first = self.bytes == 0;
        self.bytes += bytes.len();
        let lower = name.to_ascii_lowercase();
        if lower.ends_with("workbook.bin") {
            return Err("it is a binary workbook (.xlsb); have it saved as .xlsx".into());
        }
        if lower == "content.xml" {
            return Err("it is an OpenDocument file (.ods); have it saved as .xlsx".into());
        }
        if first && bytes.iter().take(4).any(|byte| *byte == 0) && is_xml(&lower) {
            return Err(format!("its part {name} is not UTF-8"));
        }
        if lower.ends_with("sharedstrings.xml") {
            self.check_room(STRINGS_BYTES_MAX)?;
            self.check_count(bytes)?;
        } else if ["styles.xml", "workbook.xml", ".rels", "theme1.xml"]
            .iter()
            .any(|end| lower.ends_with(end))
        {
            self.check_room(PART_BYTES_MAX)?;
        }
        self.check_runs(bytes, &lower)
    }

    fn check_room(&self, bytes_max: usize) -> Result<(), String> {
        if self.bytes > bytes_max {
            return Err(format!(
                "its part {} is larger than {bytes_max} bytes; have the rows sent in several files, or as CSV",
                self.name
            ));
        }
        Ok(())
    }

    fn check_runs(&mut self, bytes: &[u8], lower: &str) -> Result<(), String> {
        if !is_xml(lower) {
            return Ok(());
        }
        let mut start = 0;
        let mut longest = 0;
        for at in memchr::memchr_iter(b'<', bytes) {
            longest = longest.max(self.run + at - start);
            (self.run, start) = (0, at + 1);
        }
        self.run += bytes.len() - start;
        if longest.max(self.run) > TEXT_BYTES_MAX {
            return Err(format!(
                "its part {} has a text of more than {TEXT_BYTES_MAX} bytes; a cell of Excel's has 32767 characters at most",
                self.name
            ));
        }
        Ok(())
    }

    /// A count of texts that nobody could have written into so few bytes would only make us run out of memory.
    fn check_count(&mut self, bytes: &[u8]) -> Result<(), String> {
        let together = [&self.tail[..], bytes].concat();
        for at in memmem::find_iter(&together, COUNT) {
            let rest = &together[at + COUNT.len()..];
            let number = rest.iter().position(u8::is_ascii_digit).unwrap_or(0);
            let digits = rest[number..].iter().take_while(|b| b.is_ascii_digit());
            if rest[..number].iter().any(|byte| byte.is_ascii_alphabetic()) {
                continue;
            }
            let count = digits.fold(0_usize, |count, digit| {
                count
                    .saturating_mul(10)
                    .saturating_add((digit - b'0').into())
            });
            // The least of a text is `<si/>`.
            if count > STRINGS_BYTES_MAX / 5 {
                return Err(format!("its part {} counts {count} texts", self.name));
            }
        }
        self.tail = together[together.len().saturating_sub(COUNT_BYTES)..].to_vec();
        Ok(())
    }
}

fn is_xml(lower: &str) -> bool {
    lower.ends_with(".xml") || lower.ends_with(".rels")
}
