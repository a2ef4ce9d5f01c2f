//! What a statement in the log does to the rows that are read. Pure text: nothing here asks the server.

/// A table: its schema, if that is said, and its name.
type Named = (Option<String>, String);

/// What it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Statement {
    /// The transaction's rows follow.
    Begin,
    /// They follow, and whether they count is said later.
    BeginPrepared,
    /// They were all.
    Commit,
    /// None of them counts.
    Rollback,
    /// Some of them don't: those since a savepoint.
    RollbackPart,
    /// All rows of this table are gone: its name, with its schema if the statement has it.
    Truncate(Option<String>, String),
    /// Tables have these names from here on: each with its schema if the statement has it.
    Rename(Vec<Named>),
    /// It changes rows, and the log does not say which.
    Rows,
    /// Tables are made or changed, or something else that leaves rows alone.
    Other,
}

impl Statement {
    pub(super) fn of(text: &str) -> Self {
        let mut words = Words(text);
        let first = words.next().unwrap_or_default().to_ascii_uppercase();
        match &*first {
            "BEGIN" | "START" => Self::Begin,
            "COMMIT" => Self::Commit,
            "ROLLBACK" => match words.any(|word| word.eq_ignore_ascii_case("TO")) {
                true => Self::RollbackPart,
                false => Self::Rollback,
            },
            "TRUNCATE" => Self::truncate(words),
            "RENAME" => Self::rename(words),
            "ALTER" => Self::alter(words),
            "XA" if words
                .next()
                .is_some_and(|word| word.eq_ignore_ascii_case("START")) =>
            {
                Self::BeginPrepared
            }
            // Settings for one statement, which is then what it is.
            "SET"
                if words
                    .next()
                    .is_some_and(|word| word.eq_ignore_ascii_case("STATEMENT")) =>
            {
                match words.any(|word| word.eq_ignore_ascii_case("FOR")) {
                    true => Self::of(words.0),
                    false => Self::Rows,
                }
            }
            "INSERT" | "UPDATE" | "DELETE" | "REPLACE" | "LOAD" | "CALL" | "DO" | "WITH"
            | "SELECT" => Self::Rows,
            _ => Self::Other,
        }
    }

    fn truncate(words: Words<'_>) -> Self {
        let names = words.filter(|word| !word.eq_ignore_ascii_case("TABLE"));
        match named(names) {
            Some((schema, table)) => Self::Truncate(schema, table),
            None => Self::Rows,
        }
    }

    /// `RENAME TABLE a TO b, c TO d`.
    fn rename(mut words: Words<'_>) -> Self {
        let what = words.next().unwrap_or_default();
        if !["TABLE", "TABLES"]
            .iter()
            .any(|word| word.eq_ignore_ascii_case(what))
        {
            return Self::Other;
        }
        let mut names = Vec::new();
        while words.any(|word| word.eq_ignore_ascii_case("TO")) {
            names.extend(named(Words(words.0)));
        }
        Self::Rename(names)
    }

    /// `ALTER TABLE a RENAME TO b`, among whatever else it says.
    fn alter(mut words: Words<'_>) -> Self {
        while words.any(|word| word.eq_ignore_ascii_case("RENAME")) {
            let before = words.0;
            let next = words.next().unwrap_or_default();
            let is = |all: &[&str]| all.iter().any(|word| word.eq_ignore_ascii_case(next));
            if is(&["COLUMN", "INDEX", "KEY"]) {
                continue;
            }
            let name = match is(&["TO", "AS", "="]) {
                true => Words(words.0),
                false => Words(before),
            };
            return Self::Rename(named(name).into_iter().collect());
        }
        Self::Other
    }
}

/// The table whose name comes next.
fn named<'s>(mut words: impl Iterator<Item = &'s str>) -> Option<Named> {
    let first = plain(words.next()?);
    Some(match (words.next(), words.next()) {
        (Some("."), Some(table)) => (Some(first), plain(table)),
        _ => (None, first),
    })
}

/// A name without its quotes.
fn plain(word: &str) -> String {
    for (mark, two) in [('`', "``"), ('"', "\"\"")] {
        if let Some(name) = word.strip_prefix(mark) {
            let name = name.strip_suffix(mark).unwrap_or(name);
            return name.replace(two, &mark.to_string());
        }
    }
    word.to_owned()
}

/// Words of a statement without its comments; a name in backticks is one, with them; a dot, too.
struct Words<'s>(&'s str);

impl<'s> Iterator for Words<'s> {
    type Item = &'s str;

    fn next(&mut self) -> Option<&'s str> {
        self.0 = past_comments(self.0);
        let first = self.0.chars().next()?;
        let length = match first {
            '`' | '"' => quoted(self.0, first),
            letter if is_word(letter) => {
                let end = self.0.find(|letter| !is_word(letter));
                end.unwrap_or(self.0.len())
            }
            other => other.len_utf8(),
        };
        let (word, rest) = self.0.split_at(length);
        self.0 = rest;
        Some(word)
    }
}

fn is_word(letter: char) -> bool {
    letter.is_alphanumeric() || matches!(letter, '_' | '$')
}

/// The length of a name in backticks or quotes, of which a doubled one is a letter.
fn quoted(text: &str, mark: char) -> usize {
    let mut rest = text[1..].char_indices().peekable();
    while let Some((at, letter)) = rest.next() {
        if letter == mark && rest.next_if(|(_, next)| *next == mark).is_none() {
            return at + 2;
        }
    }
    text.len()
}

fn past_comments(mut text: &str) -> &str {
    loop {
        text = text.trim_start();
        let end = if text.starts_with("/*!") || text.starts_with("/*M!") {
            // The server runs what stands in it: its number is passed over.
            let after = text.trim_start_matches(['/', '*', 'M', '!']);
            text = after.trim_start_matches(|letter: char| letter.is_ascii_digit());
            continue;
        } else if text.starts_with("/*") {
            text.find("*/").map(|at| at + 2)
        } else if text.starts_with('#') || text.starts_with("-- ") {
            text.find('\n')
        } else {
            return text;
        };
        text = &text[end.unwrap_or(text.len())..];
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn statements_are_told_apart() {
        let truncate = |schema: Option<&str>, table: &str| {
            Statement::Truncate(schema.map(str::to_owned), table.to_owned())
        };
        let rename = |names: &[(Option<&str>, &str)]| {
            let names = names.iter().map(|(schema, table)| {
                let schema = schema.map(str::to_owned);
                (schema, (*table).to_owned())
            });
            Statement::Rename(names.collect())
        };
        for (text, expected) in [
            ("BEGIN", Statement::Begin),
            ("COMMIT", Statement::Commit),
            ("ROLLBACK", Statement::Rollback),
            ("ROLLBACK TO `a`", Statement::RollbackPart),
            ("SAVEPOINT `a`", Statement::Other),
            ("/* by hand */ insert into a values (1)", Statement::Rows),
            ("# note\nUPDATE a SET b = 1", Statement::Rows),
            ("-- note\ndelete from a", Statement::Rows),
            ("/*!50003 DELETE FROM a */", Statement::Rows),
            (
                "SET STATEMENT max_statement_time=1 FOR UPDATE a SET b = 1",
                Statement::Rows,
            ),
            ("SET PASSWORD FOR a = 'b'", Statement::Other),
            ("XA START X'31',X'',1", Statement::BeginPrepared),
            ("CREATE TABLE a AS SELECT 1", Statement::Other),
            ("ALTER TABLE a ADD b int", Statement::Other),
            ("XA COMMIT X'31',X'',1", Statement::Other),
            ("TRUNCATE stock", truncate(None, "stock")),
            ("truncate table wms.stock", truncate(Some("wms"), "stock")),
            (
                "TRUNCATE TABLE /* all */ `w``ms` . `st.ock`",
                truncate(Some("w`ms"), "st.ock"),
            ),
            ("TRUNCATE TABLE `table`", truncate(None, "table")),
            ("TRUNCATE TABLE \"a b\"", truncate(None, "a b")),
            (
                "SET STATEMENT lock_wait_timeout=5 FOR TRUNCATE a",
                truncate(None, "a"),
            ),
            (
                "SET STATEMENT lock_wait_timeout=5 FOR ALTER TABLE a ADD b int",
                Statement::Other,
            ),
            ("", Statement::Other),
            (
                "RENAME TABLE wms.stock TO wms.stock_old, `wms`.`stock new` TO wms.stock",
                rename(&[(Some("wms"), "stock_old"), (Some("wms"), "stock")]),
            ),
            ("rename tables a wait 5 to b", rename(&[(None, "b")])),
            ("RENAME USER a TO b", Statement::Other),
            (
                "ALTER TABLE a ADD b int, RENAME TO wms.c",
                rename(&[(Some("wms"), "c")]),
            ),
            ("ALTER TABLE a RENAME c", rename(&[(None, "c")])),
            ("ALTER TABLE a RENAME COLUMN b TO c", Statement::Other),
            (
                "ALTER TABLE a RENAME INDEX b TO c, RENAME AS d",
                rename(&[(None, "d")]),
            ),
        ] {
            assert_eq!(Statement::of(text), expected, "{text}");
        }
    }
}
