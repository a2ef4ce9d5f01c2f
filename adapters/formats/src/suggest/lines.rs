//! Lines: cells between delimiters, or fields at fixed places.

mod cells;
mod places;

use super::{ROWS_MAX, Suggestion, binary};

/// Lines of text; what is neither is told with little confidence.
pub(super) fn lines(name: &str, text: &str, whole: bool, whole_len: u64) -> Suggestion {
    let text = text.trim_end_matches('\u{1a}');
    let end = if text.contains('\n') { '\n' } else { '\r' };
    // The last line may be cut off.
    let kept = match text.rfind(end) {
        Some(last) if !whole => &text[..=last],
        _ => text,
    };
    let lines: Vec<&str> = kept
        .split(end)
        .map(|line| line.strip_suffix('\r').unwrap_or(line))
        .filter(|line| !line.is_empty())
        .take(ROWS_MAX)
        .collect();
    if lines.is_empty() {
        return Suggestion::nothing("It has nothing but line ends.");
    }
    if lines.len() == 1
        && let Some(told) = one_line(text, whole_len)
    {
        return told;
    }
    let cells = cells::best(kept, end);
    let places = places::of(&lines);
    let told = match (cells, places) {
        (Some(cells), Some(places)) if places.confidence > cells.confidence => places,
        (Some(cells), _) => cells,
        (None, Some(places)) => places,
        (None, None) => places::ragged(&lines),
    };
    by_name(name, told)
}

/// Without line ends a file of any length may still be records of one length.
fn one_line(text: &str, whole_len: u64) -> Option<Suggestion> {
    let ascii = text.is_ascii() && text.len() > 200;
    let length = ascii.then(|| binary::record_bytes(text.as_bytes(), whole_len))??;
    let (count, rest) = (text.len() / length, text.len() % length);
    if count < 3 || rest > 0 && text.len() as u64 == whole_len {
        return None;
    }
    let rows: Vec<&str> = (0..count.min(ROWS_MAX))
        .map(|row| &text[row * length..(row + 1) * length])
        .collect();
    let told = places::of(&rows)?;
    let reason = format!("It has no line ends; its characters look alike every {length}.");
    Some(
        Suggestion {
            record_bytes: Some(length),
            ..told
        }
        .and(reason),
    )
}

/// A name can say what the content leaves open.
fn by_name(name: &str, told: Suggestion) -> Suggestion {
    let name = name.to_ascii_lowercase();
    let says = [
        (".csv", "csv"),
        (".tsv", "csv"),
        (".tab", "csv"),
        (".fix", "fixed"),
    ];
    let said = says.iter().find(|(end, _)| name.ends_with(end));
    match said {
        Some((end, kind)) if told.kind == Some(kind) => {
            let confidence = told.confidence.saturating_add(5).min(99);
            let reason = format!("Its name ends with {end}.");
            Suggestion { confidence, ..told }.and(reason)
        }
        _ => told,
    }
}
