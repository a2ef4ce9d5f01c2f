//! Record types: lines that begin with few different codes, and are laid out as the code says.

use std::collections::BTreeMap;

use super::{Place, columns, place};
use crate::suggest::RecordType;

/// Characters of a code, at most.
const CODE_MAX: usize = 6;
/// Codes, at most.
const CODES_MAX: usize = 12;
/// Places in a hundred at which two layouts differ, at least.
const DIFFERENT_MIN: usize = 20;

/// The types, by the shortest code that tells layouts apart.
pub(super) fn of(rows: &[Vec<char>]) -> Option<Vec<RecordType>> {
    (1..=CODE_MAX).find_map(|length| {
        let types = by_code(rows, length)?;
        let known = types.len() > 1 && types.len() <= CODES_MAX && types.len() < rows.len();
        (known && are_different(&types, length)).then(|| {
            let of = |(name, rows): (String, Vec<Vec<char>>)| RecordType {
                columns: columns(&rows, length),
                name,
            };
            types.into_iter().map(of).collect()
        })
    })
}

/// The lines of each code; `None` where a line has none.
fn by_code(rows: &[Vec<char>], length: usize) -> Option<BTreeMap<String, Vec<Vec<char>>>> {
    let mut types: BTreeMap<String, Vec<Vec<char>>> = BTreeMap::new();
    for row in rows {
        let code: String = row.get(..length)?.iter().collect();
        if !code.chars().all(|c| c.is_ascii_alphanumeric()) {
            return None;
        }
        types.entry(code).or_default().push(row.clone());
        if types.len() > CODES_MAX {
            return None;
        }
    }
    Some(types)
}

/// Whether the lines of most codes have letters where those of others have digits, or another length.
fn are_different(types: &BTreeMap<String, Vec<Vec<char>>>, code: usize) -> bool {
    let layout = |rows: &Vec<Vec<char>>| -> Vec<Place> {
        let length = rows.iter().map(Vec::len).max().unwrap_or(0);
        (code..length).map(|at| place(rows, at)).collect()
    };
    let layouts: Vec<Vec<Place>> = types.values().map(layout).collect();
    let (mut different, mut pairs) = (0, 0);
    for (at, one) in layouts.iter().enumerate() {
        for other in &layouts[at + 1..] {
            pairs += 1;
            let length = one.len().max(other.len()).max(1);
            let apart = one.len().abs_diff(other.len());
            let unlike = one.iter().zip(other).filter(|(a, b)| a != b).count();
            different += usize::from(100 * (unlike + apart) / length >= DIFFERENT_MIN);
        }
    }
    pairs > 0 && different * 3 >= pairs * 2
}

/// A word on lines that begin with few codes and are laid out alike.
pub(super) fn maybe(lines: &[&str]) -> Option<String> {
    for length in (1..=6).rev() {
        let mut known: Vec<(String, usize)> = Vec::new();
        for line in lines {
            let code: String = line.chars().take(length).collect();
            match known.iter().position(|(other, _)| *other == code) {
                Some(at) => known[at].1 += 1,
                None if known.len() > 40 => break,
                None => known.push((code, 1)),
            }
        }
        let plain = known.iter().all(|(code, _)| {
            code.chars().all(|c| c.is_ascii_alphanumeric()) && code.chars().count() == length
        });
        if plain && known.len() > 1 && known.len() * 2 <= lines.len() && known.len() <= 40 {
            let names: Vec<&str> = known
                .iter()
                .map(|(code, _)| code.as_str())
                .take(20)
                .collect();
            return Some(format!(
                "Lines begin with few different codes ({}): they may be record types, each with a layout of its own.",
                names.join(", ")
            ));
        }
    }
    None
}
