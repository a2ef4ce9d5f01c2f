//! Fields at fixed places: where characters change their kind in all lines at once.

mod types;

use crate::suggest::columns::column;
use crate::suggest::{COLUMNS_MAX, Column, Suggestion};

/// What stands at a place, in all lines.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Place {
    Blank,
    /// Digits, or blanks and digits.
    Digits,
    Letters,
    /// What joins the parts of a number or a name in each line: `ABC-100`.
    Joint,
    Mixed,
}

/// Lines of one length, or nearly all.
pub(super) fn of(lines: &[&str]) -> Option<Suggestion> {
    let length = lines.iter().map(|line| line.chars().count()).max()?;
    let full = lines
        .iter()
        .filter(|line| line.chars().count() == length)
        .count();
    if length < 4 || full * 10 < lines.len() * 9 || lines.len() < 2 {
        return None;
    }
    let rows = rows(lines);
    let blanks = rows.iter().flatten().filter(|c| **c == ' ').count();
    let few = if lines.len() < 5 { 15 } else { 0 };
    // Where there are blanks to fill up, one length is no chance.
    let sure = if blanks * 20 > length * lines.len() {
        80
    } else {
        65
    } - few;
    let reason = format!("{full} of {} lines have {length} characters.", lines.len());
    let told = Suggestion::of(Some("fixed"), sure, reason);
    let told = told.and("Where fields begin is a guess, from where characters change in all lines at once; the sender's layout decides.");
    Some(with_columns(told, lines, &rows))
}

/// Lines of all lengths without a delimiter: blanks at their ends may have been cut off.
pub(super) fn ragged(lines: &[&str]) -> Suggestion {
    let lengths = lines.iter().map(|line| line.chars().count());
    let (least, most) = lengths.fold((usize::MAX, 0), |(least, most), length| {
        (least.min(length), most.max(length))
    });
    let reason = format!(
        "Its lines have no delimiter in common and {least} to {most} characters: fixed places whose last blanks were cut off, or a report for people."
    );
    let told = with_columns(
        Suggestion::of(Some("fixed"), 30, reason),
        lines,
        &rows(lines),
    );
    let confidence = if told.record_types.is_empty() { 30 } else { 45 };
    Suggestion { confidence, ..told }
}

fn rows(lines: &[&str]) -> Vec<Vec<char>> {
    lines.iter().map(|line| line.chars().collect()).collect()
}

/// The fields of all lines, or of each type of line.
fn with_columns(told: Suggestion, lines: &[&str], rows: &[Vec<char>]) -> Suggestion {
    if let Some(record_types) = types::of(rows) {
        let names: Vec<&str> = record_types.iter().map(|one| one.name.as_str()).collect();
        let reason = format!(
            "Lines begin with few different codes ({}), and what follows is laid out differently: they are taken for record types.",
            names.join(", ")
        );
        return Suggestion {
            record_types,
            ..told
        }
        .and(reason);
    }
    let columns = columns(rows, 0);
    let told = Suggestion { columns, ..told };
    match types::maybe(lines) {
        Some(reason) => told.and(reason),
        None => told,
    }
}

/// The fields of lines that are laid out alike; the first has `code` characters at least.
fn columns(rows: &[Vec<char>], code: usize) -> Vec<Column> {
    let length = rows.iter().map(Vec::len).max().unwrap_or(0);
    let mut starts = starts(rows, length);
    if code > 0 {
        starts.retain(|start| *start == 0 || *start > code);
        if code < length {
            starts.insert(1, code);
        }
    }
    let mut columns = Vec::new();
    for (index, start) in starts.iter().enumerate().take(COLUMNS_MAX) {
        let end = starts.get(index + 1).copied().unwrap_or(length);
        let cell = |row: &Vec<char>| row.iter().take(end).skip(*start).collect::<String>();
        let cells: Vec<String> = rows.iter().map(cell).collect();
        let name = match (index, code) {
            (0, 1..) => "TYPE".to_owned(),
            _ => format!("FIELD_{}", index + 1),
        };
        let mut found = column(&name, cells.iter().map(String::as_str));
        found.at = Some((*start, end - start));
        columns.push(found);
    }
    columns
}

/// Where fields begin.
fn starts(rows: &[Vec<char>], length: usize) -> Vec<usize> {
    let places: Vec<Place> = (0..length).map(|at| place(rows, at)).collect();
    let mut starts = vec![0];
    for at in 1..length {
        let (before, here) = (places[at - 1], places[at]);
        let begins = match (before, here) {
            (_, Place::Blank) => false,
            (Place::Blank, _) => true,
            (Place::Joint, _) | (_, Place::Joint) => false,
            (Place::Letters | Place::Mixed, Place::Digits) => {
                places[..at].contains(&Place::Digits) || before == Place::Letters
            }
            (Place::Digits, Place::Letters) => true,
            _ => false,
        };
        if begins {
            starts.push(at);
        }
    }
    // What is blank at the beginning belongs to the first field.
    if places[0] == Place::Blank && starts.len() > 1 {
        starts.remove(1);
    }
    starts
}

fn place(rows: &[Vec<char>], at: usize) -> Place {
    let (mut blank, mut digits, mut letters, mut joints, mut other) = (0, 0, 0, 0, 0);
    for c in rows.iter().filter_map(|row| row.get(at)) {
        match c {
            ' ' => blank += 1,
            '0'..='9' => digits += 1,
            c if c.is_alphabetic() => letters += 1,
            '-' | '_' | '/' | '.' | ':' => joints += 1,
            _ => other += 1,
        }
    }
    match (blank, digits, letters, joints + other) {
        (_, 0, 0, 0) => Place::Blank,
        (_, _, 0, 0) => Place::Digits,
        (_, 0, _, 0) => Place::Letters,
        (0, 0, 0, _) if other == 0 => Place::Joint,
        _ => Place::Mixed,
    }
}
