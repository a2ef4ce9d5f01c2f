//! Words to statements, statements to items, items to a tree.

use super::{Field, Item, LEVEL_MAX, Occurs, Usage, What};
use crate::cobol::number::Sign;
use crate::cobol::picture::{self, Picture};

/// A word and its line.
type Word<'t> = (&'t str, usize);

/// What stands in a statement, before it is known whether it is a group.
struct Clauses {
    item: Item,
    picture: Option<Picture>,
    usage: Option<Usage>,
    sign: Option<(bool, bool)>,
}

impl Clauses {
    fn new(name: String, level: u8, line: usize) -> Self {
        Self {
            item: Item {
                name,
                level,
                line,
                redefines: None,
                occurs: None,
                what: What::Group(Vec::new()),
            },
            picture: None,
            usage: None,
            sign: None,
        }
    }
}

/// What a group hands down to its items.
#[derive(Clone, Copy, Default)]
struct Inherited {
    usage: Option<Usage>,
    /// Leading, separate.
    sign: Option<(bool, bool)>,
}

pub(super) fn parse(text: &str) -> Result<Vec<Item>, String> {
    let mut clauses: Vec<Clauses> = Vec::new();
    for statement in statements(text)? {
        if let Some(one) = read(&statement)? {
            clauses.push(one);
        }
    }
    if clauses.is_empty() {
        return Err("the copybook describes nothing: a record begins with 01".into());
    }
    // A copybook may be what stands below a record that each program names for itself.
    let lowest = clauses[0].item.level;
    let roots = clauses.iter().filter(|one| one.item.level == lowest);
    if lowest > 1 && roots.count() > 1 && clauses.iter().all(|one| one.item.level >= lowest) {
        clauses.insert(0, Clauses::new("RECORD".into(), 1, clauses[0].item.line));
    }
    let mut rest = clauses.into_iter().peekable();
    let mut records = Vec::new();
    while let Some(first) = rest.next() {
        if first.item.level != 1 && !records.is_empty() {
            let Item {
                name, level, line, ..
            } = first.item;
            return Err(format!(
                "line {line}: {name} has level {level:02}, and no group of a lower level is open"
            ));
        }
        records.push(build(first, &mut rest, Inherited::default())?);
    }
    Ok(records)
}

/// Takes an item and all below it.
fn build(
    one: Clauses,
    rest: &mut std::iter::Peekable<impl Iterator<Item = Clauses>>,
    inherited: Inherited,
) -> Result<Item, String> {
    let Clauses {
        mut item,
        picture,
        usage,
        sign,
    } = one;
    let below = Inherited {
        usage: usage.or(inherited.usage),
        sign: sign.or(inherited.sign),
    };
    let mut items: Vec<Item> = Vec::new();
    while let Some(next) = rest.next_if(|next| next.item.level > item.level) {
        if let Some(first) = items.first().filter(|first| first.level != next.item.level) {
            return Err(format!(
                "line {}: {} has level {:02}, but its group's items have {:02}",
                next.item.line, next.item.name, next.item.level, first.level
            ));
        }
        items.push(build(next, rest, below)?);
    }
    item.what = match (picture, items.is_empty()) {
        (None, false) => What::Group(items),
        (Some(picture), true) => {
            let field = field(picture, below);
            if let Picture::Number { digits: 19.., .. } = picture
                && matches!(field.usage, Usage::Binary | Usage::Native)
            {
                return Err(format!(
                    "line {}: {} is binary and has more than 18 digits",
                    item.line, item.name
                ));
            }
            What::Field(field)
        }
        (Some(_), false) => {
            return Err(format!(
                "line {}: {} has a PICTURE and items below it",
                item.line, item.name
            ));
        }
        (None, true) => {
            return Err(format!(
                "line {}: {} has neither a PICTURE nor items below it",
                item.line, item.name
            ));
        }
    };
    Ok(item)
}

fn field(picture: Picture, inherited: Inherited) -> Field {
    let signed = matches!(picture, Picture::Number { signed: true, .. });
    let sign = match inherited.sign {
        _ if !signed => Sign::Unsigned,
        Some((true, true)) => Sign::LeadingSeparate,
        Some((true, false)) => Sign::Leading,
        Some((false, true)) => Sign::TrailingSeparate,
        _ => Sign::Trailing,
    };
    // A group's usage is that of its numbers.
    let usage = match picture {
        Picture::Number { .. } => inherited.usage.unwrap_or(Usage::Display),
        Picture::Text { .. } => Usage::Display,
    };
    Field {
        picture,
        usage,
        sign,
    }
}

/// Words up to a full stop.
fn statements(text: &str) -> Result<Vec<Vec<Word<'_>>>, String> {
    let mut statements = Vec::new();
    let mut words: Vec<Word<'_>> = Vec::new();
    for (at, line) in text.lines().enumerate() {
        for word in words_of(line) {
            let (word, ends) = word
                .strip_suffix('.')
                .map_or((word, false), |word| (word, true));
            // A comma or semicolon between clauses says nothing.
            let word = word.trim_end_matches([',', ';']);
            if !word.is_empty() {
                words.push((word, at + 1));
            }
            if ends && !words.is_empty() {
                statements.push(std::mem::take(&mut words));
            }
        }
    }
    match words.first() {
        Some((word, line)) => Err(format!(
            "line {line}: what begins with {word} is not ended by a full stop"
        )),
        None => Ok(statements),
    }
}

/// A line's code: without what stands in columns 1 to 6 and behind 72, if it has such margins; empty for a comment.
fn code_of(line: &str) -> &str {
    let is_level = |word: &str| word.len() <= 2 && word.parse::<u8>().is_ok();
    let first = |text: &str| text.split_whitespace().next().is_some_and(is_level);
    let margin = line
        .get(..6)
        .zip(line.get(6..))
        .is_some_and(|(head, code)| {
            let numbers = head.chars().all(|c| c == ' ' || c.is_ascii_digit());
            match head.trim() {
                // "05 A PIC X" may begin at column 1 or be indented by a few blanks.
                number if numbers => number.is_empty() || number.len() > 2,
                // A mark of whoever changed the line.
                _ => {
                    code.starts_with(['*', '/'])
                        || (code.starts_with([' ', '-']) && first(&code[1..]))
                }
            }
        });
    let code = if margin {
        let code = line.get(6..).unwrap_or("");
        code.get(..66).unwrap_or(code)
    } else {
        line.trim_start()
    };
    // Lines that steer the compiler's listing describe nothing.
    let listing = ["EJECT", "SKIP1", "SKIP2", "SKIP3"];
    let only = code.trim().trim_end_matches('.');
    if code.starts_with(['*', '/']) || is_one_of(only, &listing) {
        ""
    } else {
        code
    }
}

/// A line's words; a text in quotes is one word.
fn words_of(line: &str) -> impl Iterator<Item = &str> {
    let mut rest = code_of(line);
    std::iter::from_fn(move || {
        rest = rest.trim_start();
        let first = rest.chars().next()?;
        let end = match first {
            '"' | '\'' => rest[1..].find(first).map_or(rest.len(), |at| at + 2),
            _ => rest.find(char::is_whitespace).unwrap_or(rest.len()),
        };
        // A full stop may stand right behind a quote.
        let end = end + usize::from(matches!(first, '"' | '\'') && rest[end..].starts_with('.'));
        let (word, after) = rest.split_at(end);
        // What stands behind it is a comment.
        rest = if word.starts_with("*>") { "" } else { after };
        Some(word).filter(|word| !word.starts_with("*>"))
    })
}

/// The words of a statement that are still to be read.
struct Cursor<'w, 't> {
    words: &'w [Word<'t>],
    line: usize,
}

impl<'t> Cursor<'_, 't> {
    fn next(&mut self) -> Option<&'t str> {
        let ((word, line), rest) = self.words.split_first()?;
        (self.words, self.line) = (rest, *line);
        Some(word)
    }

    /// Passes over any of these.
    fn skip(&mut self, fillers: &[&str]) {
        while self
            .words
            .first()
            .is_some_and(|(word, _)| is_one_of(word, fillers))
        {
            self.next();
        }
    }

    fn wrong(&self, what: &str) -> String {
        format!("line {}: {what}", self.line)
    }

    fn count(&mut self, of: &str) -> Result<usize, String> {
        let word = self.next().unwrap_or("");
        word.parse()
            .map_err(|_| self.wrong(&format!("{of} \"{word}\" is no number")))
    }

    fn name(&mut self, of: &str) -> Result<String, String> {
        let word = self.next();
        word.map(str::to_ascii_uppercase)
            .ok_or_else(|| self.wrong(&format!("{of} names nothing")))
    }
}

fn is_one_of(word: &str, words: &[&str]) -> bool {
    words.iter().any(|known| known.eq_ignore_ascii_case(word))
}

/// Words that begin a clause, where an item has no name.
const CLAUSES: [&str; 7] = [
    "PIC",
    "PICTURE",
    "OCCURS",
    "REDEFINES",
    "USAGE",
    "COMP",
    "COMP-3",
];

/// One statement; `None` for what changes no byte.
fn read(statement: &[Word<'_>]) -> Result<Option<Clauses>, String> {
    let mut cursor = Cursor {
        words: statement,
        line: statement[0].1,
    };
    let level = cursor.next().unwrap_or("");
    let line = cursor.line;
    let level: u8 = match level.parse() {
        Ok(88) => return Ok(None),
        Ok(77) => 1,
        Ok(level @ 1..=LEVEL_MAX) => level,
        Ok(66) => {
            return Err(
                cursor.wrong("RENAMES (level 66) can't be read; describe the fields themselves")
            );
        }
        _ => {
            return Err(cursor.wrong(&format!(
                "\"{level}\" is no level; a description begins with 01 to {LEVEL_MAX}"
            )));
        }
    };
    let unnamed = cursor
        .words
        .first()
        .is_none_or(|(word, _)| is_one_of(word, &CLAUSES));
    let name = if unnamed {
        "FILLER".into()
    } else {
        cursor.name("the level")?
    };
    let mut clauses = Clauses::new(name, level, line);
    while let Some(word) = cursor.next() {
        if !clause(&mut clauses, &word.to_ascii_uppercase(), &mut cursor)? {
            break;
        }
    }
    Ok(Some(clauses))
}

/// Takes a clause in; false where nothing behind it matters.
fn clause(clauses: &mut Clauses, word: &str, cursor: &mut Cursor<'_, '_>) -> Result<bool, String> {
    match word {
        "REDEFINES" => clauses.item.redefines = Some(cursor.name("REDEFINES")?),
        "PIC" | "PICTURE" => {
            cursor.skip(&["IS"]);
            let picture = cursor
                .next()
                .ok_or_else(|| cursor.wrong("PIC says nothing"))?;
            let parsed = picture::parse(picture).map_err(|what| cursor.wrong(&what))?;
            clauses.picture = Some(parsed);
        }
        "OCCURS" => clauses.item.occurs = Some(occurs(cursor)?),
        "USAGE" | "IS" | "TIMES" => {}
        "DISPLAY" => clauses.usage = Some(Usage::Display),
        "COMP-3" | "COMPUTATIONAL-3" | "PACKED-DECIMAL" => clauses.usage = Some(Usage::Packed),
        "COMP" | "COMPUTATIONAL" | "COMP-4" | "COMPUTATIONAL-4" | "BINARY" => {
            clauses.usage = Some(Usage::Binary);
        }
        "COMP-5" | "COMPUTATIONAL-5" => clauses.usage = Some(Usage::Native),
        "SIGN" | "LEADING" | "TRAILING" => {
            if word == "SIGN" {
                cursor.skip(&["IS"]);
            }
            let side = if word == "SIGN" {
                cursor.name("SIGN")?
            } else {
                word.to_owned()
            };
            let leading = match side.as_str() {
                "LEADING" => true,
                "TRAILING" => false,
                other => {
                    return Err(cursor.wrong(&format!("SIGN {other}: it is LEADING or TRAILING")));
                }
            };
            let separate = cursor
                .words
                .first()
                .is_some_and(|(word, _)| is_one_of(word, &["SEPARATE"]));
            cursor.skip(&["SEPARATE", "CHARACTER"]);
            clauses.sign = Some((leading, separate));
        }
        "INDEXED" | "ASCENDING" | "DESCENDING" | "KEY" => {
            cursor.skip(&["BY", "KEY", "IS"]);
            cursor.next();
        }
        "JUST" | "JUSTIFIED" | "BLANK" => {
            cursor.skip(&["RIGHT", "WHEN", "ZERO", "ZEROS", "ZEROES"])
        }
        // Its value may be anything, and COBOL wants nothing behind it that changes bytes.
        "VALUE" | "VALUES" => return Ok(false),
        "SYNC" | "SYNCHRONIZED" => {
            return Err(cursor.wrong(
                "SYNCHRONIZED adds bytes that depend on the compiler; describe them as FILLER",
            ));
        }
        other => return Err(cursor.wrong(&format!("{other} can't be read here"))),
    }
    Ok(true)
}

fn occurs(cursor: &mut Cursor<'_, '_>) -> Result<Occurs, String> {
    let first = cursor.count("OCCURS")?;
    let is = |cursor: &Cursor<'_, '_>, word: &str| {
        cursor
            .words
            .first()
            .is_some_and(|(next, _)| next.eq_ignore_ascii_case(word))
    };
    let max = if is(cursor, "TO") {
        cursor.next();
        Some(cursor.count("OCCURS TO")?)
    } else {
        None
    };
    cursor.skip(&["TIMES"]);
    let depends_on = if is(cursor, "DEPENDING") {
        cursor.next();
        cursor.skip(&["ON"]);
        Some(cursor.name("DEPENDING ON")?)
    } else {
        None
    };
    let (min, max) = match (max, &depends_on) {
        (Some(max), Some(_)) => (first, max),
        (None, Some(_)) => (0, first),
        (None, None) => (first, first),
        (Some(_), None) => return Err(cursor.wrong("OCCURS with TO needs DEPENDING ON")),
    };
    if max == 0 || min > max {
        return Err(cursor.wrong(&format!("OCCURS {min} TO {max}")));
    }
    Ok(Occurs {
        min,
        max,
        depends_on,
    })
}
