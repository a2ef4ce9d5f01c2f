//! What is said of a bad record.

pub(super) fn wrong_columns(found: usize, expected: usize) -> String {
    let s = if found == 1 { "" } else { "s" };
    format!("{found} column{s}, {expected} are expected")
}

pub(super) fn after_quote(cell: usize) -> String {
    format!(
        "something follows the closing quote of cell {cell}; a quote within a quoted cell is written twice"
    )
}

pub(super) fn never_closed() -> String {
    "a quote opens a cell and never closes it; if the system knows no quotes, write quote = \"\""
        .into()
}

pub(super) fn unknown_type(cell: Option<&str>, column: usize, known: &str) -> String {
    match cell {
        Some(cell) => format!(
            "the type \"{cell}\" in column {} is none of {known}; if such records are of no use, write otherwise = \"skip\"",
            column + 1
        ),
        None => format!(
            "there is no column {}, in which the type should stand",
            column + 1
        ),
    }
}
