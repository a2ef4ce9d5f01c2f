//! Which delimiter makes all lines have as many cells.

use std::collections::HashMap;

use crate::suggest::columns::column;
use crate::suggest::{COLUMNS_MAX, Column, ColumnType, ROWS_MAX, RecordType, Suggestion};

const DELIMITERS: [char; 9] = [',', ';', '\t', '|', '^', '~', '#', '\u{1f}', '\u{1}'];
/// What may stand around cells.
const QUOTES: [Option<char>; 3] = [Some('"'), Some('\''), None];
/// Bytes that a quoted cell may have; a quote that is open longer opens none.
const QUOTED_BYTES_MAX: usize = 4_096;

/// A way to cut rows.
struct Cut {
    delimiter: char,
    quote: Option<char>,
    rows: Vec<Vec<String>>,
    /// Cells that were quoted.
    quoted: usize,
    /// Quotes that stood where none belongs.
    astray: usize,
    /// How many cells most rows have.
    cells: usize,
    /// In a thousand rows, how many have that.
    alike: usize,
    /// What the first cells are, where each of them has its own number of cells.
    types: Vec<String>,
}

/// The best way, if it is one.
pub(super) fn best(text: &str, end: char) -> Option<Suggestion> {
    let all = DELIMITERS
        .iter()
        .filter(|delimiter| text.contains(**delimiter));
    let cuts = all.flat_map(|delimiter| {
        let quotes = QUOTES
            .iter()
            .filter(|quote| quote.is_none_or(|quote| text.contains(quote)));
        quotes.map(|quote| cut(text, end, *delimiter, *quote))
    });
    let best = cuts.filter(|cut| cut.cells > 1).max_by_key(Cut::score)?;
    (best.score().0 >= 700).then(|| best.told())
}

impl Cut {
    /// The better, the higher: rows alike, then quotes where they belong, then cells.
    fn score(&self) -> (usize, usize, usize) {
        let alike = if self.types.is_empty() {
            self.alike
        } else {
            900
        };
        let astray = (1_000 * self.astray / self.rows.len().max(1)).min(1_000);
        (
            alike.saturating_sub(astray),
            self.quoted.min(1) * 1_000,
            self.cells,
        )
    }

    fn told(&self) -> Suggestion {
        let shown = match self.delimiter {
            '\t' => "a tab".to_owned(),
            other => format!("\"{}\"", other.escape_default()),
        };
        let reason = format!(
            "{} % of {} rows have {} cells when cut at {shown}.",
            self.alike / 10,
            self.rows.len(),
            self.cells
        );
        let few = if self.rows.len() < 3 { 15 } else { 0 };
        let narrow = if self.cells == 2 { 15 } else { 0 };
        let sure = (self.score().0 / 11).saturating_sub(few + narrow).max(20) as u8;
        let told = Suggestion {
            delimiter: Some(self.delimiter),
            quote: self.quote.filter(|_| self.quoted > 0),
            quotes_are_text: self.quoted == 0
                && self.rows.iter().flatten().any(|cell| cell.contains('"')),
            ..Suggestion::of(Some("csv"), sure, reason)
        };
        if !self.types.is_empty() {
            let reason = format!(
                "Its rows are of several types, by their first cell: {}. Each has columns of its own.",
                self.types.join(", ")
            );
            return Suggestion {
                header: Some(false),
                record_types: self.record_types(),
                ..told
            }
            .and(reason);
        }
        let rows: Vec<&Vec<String>> = self
            .rows
            .iter()
            .filter(|row| row.len() == self.cells)
            .collect();
        let (header, columns, reason) = columns(&rows, self.cells);
        let few = rows.len() < self.rows.len();
        let told = Suggestion {
            header: Some(header),
            columns,
            ..told
        }
        .and(reason);
        match few {
            true => told.and(format!(
                "Rows with another number of cells would be bad records: {}.",
                self.rows.len() - rows.len()
            )),
            false => told,
        }
    }

    fn record_types(&self) -> Vec<RecordType> {
        let one = |name: &String| {
            let is = |row: &&Vec<String>| row[0].trim() == name;
            let rows: Vec<&Vec<String>> = self.rows.iter().filter(is).collect();
            let cells = rows.first().map_or(0, |row| row.len());
            let ours = |at: usize| match at {
                0 => "TYPE".to_owned(),
                at => format!("COLUMN_{}", at + 1),
            };
            RecordType {
                name: name.clone(),
                columns: (0..cells.min(COLUMNS_MAX))
                    .map(|at| column(&ours(at), rows.iter().map(|row| row[at].as_str())))
                    .collect(),
            }
        };
        self.types.iter().map(one).collect()
    }
}

fn cut(text: &str, end: char, delimiter: char, quote: Option<char>) -> Cut {
    let (mut rows, mut row, mut cell) = (Vec::new(), Vec::new(), String::new());
    let (mut quoted, mut astray, mut at) = (0, 0, 0);
    while rows.len() < ROWS_MAX && at < text.len() {
        let rest = &text[at..];
        if quote.is_some_and(|quote| cell.is_empty() && rest.starts_with(quote)) {
            let quote = quote.unwrap_or('"');
            if let Some((inside, length)) = closed(rest, quote, delimiter) {
                (quoted, at) = (quoted + 1, at + length);
                cell.push_str(&inside);
                continue;
            }
            astray += 1;
        }
        let Some(c) = rest.chars().next() else { break };
        at += c.len_utf8();
        if c == delimiter {
            row.push(std::mem::take(&mut cell));
        } else if c == end {
            finish(&mut rows, &mut row, &mut cell);
        } else {
            cell.push(c);
        }
    }
    finish(&mut rows, &mut row, &mut cell);
    let mut counts: HashMap<usize, usize> = HashMap::new();
    rows.iter()
        .for_each(|row: &Vec<String>| *counts.entry(row.len()).or_default() += 1);
    let most = counts
        .iter()
        .max_by_key(|(cells, count)| (**count, **cells));
    let (cells, count) = most.map_or((0, 0), |(cells, count)| (*cells, *count));
    let alike = 1_000 * count / rows.len().max(1);
    let types = if alike < 900 {
        types(&rows)
    } else {
        Vec::new()
    };
    Cut {
        delimiter,
        quote,
        rows,
        quoted,
        astray,
        cells,
        alike,
        types,
    }
}

fn finish(rows: &mut Vec<Vec<String>>, row: &mut Vec<String>, cell: &mut String) {
    while cell.ends_with('\r') {
        cell.pop();
    }
    if !(row.is_empty() && cell.is_empty()) {
        row.push(std::mem::take(cell));
        rows.push(std::mem::take(row));
    }
}

/// A quoted cell's text and its length in the file, if it is one.
fn closed(text: &str, quote: char, delimiter: char) -> Option<(String, usize)> {
    let mut inside = String::new();
    let mut rest = &text[quote.len_utf8()..];
    while text.len() - rest.len() < QUOTED_BYTES_MAX {
        let at = rest.find(quote)?;
        inside.push_str(&rest[..at]);
        rest = &rest[at + quote.len_utf8()..];
        match rest.strip_prefix(quote) {
            Some(after) => {
                inside.push(quote);
                rest = after;
            }
            None => {
                let ends = rest.is_empty() || rest.starts_with([delimiter, '\n', '\r']);
                return ends.then_some((inside, text.len() - rest.len()));
            }
        }
    }
    None
}

/// The first cells, where they are few and each goes with one number of cells.
fn types(rows: &[Vec<String>]) -> Vec<String> {
    let mut known: Vec<(&str, usize, usize)> = Vec::new();
    for row in rows {
        let name = row.first().map_or("", |cell| cell.trim());
        let is_type = (1..=12).contains(&name.len()) && name.chars().all(char::is_alphanumeric);
        if !is_type || known.len() > 40 {
            return Vec::new();
        }
        match known.iter().position(|(other, ..)| *other == name) {
            Some(at) if known[at].1 != row.len() => return Vec::new(),
            Some(at) => known[at].2 += 1,
            None => known.push((name, row.len(), 1)),
        }
    }
    let again = known.iter().filter(|(.., count)| *count > 1).count();
    if again < 2 || known.len() * 3 > rows.len() * 2 {
        return Vec::new();
    }
    known
        .into_iter()
        .map(|(name, ..)| name.to_owned())
        .collect()
}

/// Whether there is a header, the columns, and why.
fn columns(rows: &[&Vec<String>], cells: usize) -> (bool, Vec<Column>, String) {
    let named = |names: &dyn Fn(usize) -> String, rows: &[&Vec<String>]| -> Vec<Column> {
        let one = |at: usize| column(&names(at), rows.iter().map(|row| row[at].as_str()));
        (0..cells.min(COLUMNS_MAX)).map(one).collect()
    };
    let ours = |at: usize| format!("COLUMN_{}", at + 1);
    let first = rows[0];
    let below = named(&|at| first[at].trim().to_owned(), &rows[1..]);
    if let Some(why_not) = no_header(first, &below, &rows[1..]) {
        return (
            false,
            named(&ours, rows),
            format!("The first line is data: {why_not}."),
        );
    }
    let typed = below
        .iter()
        .filter(|column| column.kind != ColumnType::Text)
        .count();
    let reason = match typed {
        0 => "The first line seems to name the columns: it does not look like those below it."
            .to_owned(),
        _ => format!(
            "The first line names the columns: it has no numbers or dates, and {typed} of {cells} columns below it have."
        ),
    };
    (true, below, reason)
}

/// Why the first row can't be names.
fn no_header(first: &[String], below: &[Column], rows: &[&Vec<String>]) -> Option<String> {
    let all_text = below.iter().all(|column| column.kind == ColumnType::Text);
    for (at, name) in first.iter().enumerate() {
        let name = name.trim();
        if name.is_empty() && at + 1 < first.len() {
            return Some(format!("cell {} of it is empty", at + 1));
        }
        let is_value =
            name.len() > 64 || (!name.is_empty() && !name.chars().any(char::is_alphabetic));
        if is_value || column("", [name].into_iter()).kind != ColumnType::Text {
            return Some(format!(
                "\"{}\" is no name",
                name.chars().take(40).collect::<String>()
            ));
        }
        if first[..at].iter().any(|other| other.trim() == name) {
            return Some(format!("\"{name}\" stands in it twice"));
        }
        // Above numbers and dates a name is one, also where a warehouse is called so: WH below WH.
        let stands_below = || rows.iter().take(100).any(|row| row[at].trim() == name);
        if all_text && stands_below() {
            return Some(format!("\"{name}\" stands below it too"));
        }
    }
    let is_name = |name: &String| {
        let plain = |c: char| {
            c.is_alphanumeric() || matches!(c, '_' | '-' | '.' | ' ' | '/' | '#' | '(' | ')')
        };
        !name.chars().any(|c| c.is_ascii_digit()) && name.chars().all(plain)
    };
    let varied = rows
        .iter()
        .flat_map(|row| row.iter())
        .filter(|cell| is_name(cell))
        .count();
    let looks_alike = varied * 10 > rows.len() * first.len() * 7;
    (all_text && looks_alike && !rows.is_empty() && !first.iter().all(|name| is_upper_name(name)))
        .then(|| "it looks like the lines below it".to_owned())
}

/// A name as systems write it: `SHIP_NO`.
fn is_upper_name(name: &str) -> bool {
    let name = name.trim();
    name.len() > 1
        && name
            .bytes()
            .all(|b| b.is_ascii_uppercase() || b.is_ascii_digit() || b"_-. ".contains(&b))
}
