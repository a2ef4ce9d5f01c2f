//! A copybook's record, laid out: which bytes become which cell.
//!
//! Cells have their field's name; where several fields share it, those of their groups stand before it (`SHIP-TO.NAME`).
//! An item that stands there many times has its number behind its name, from 1 as in COBOL (`SKU(2)`, `LINES(2).SKU`). FILLER makes no cell.
//!
//! Where an item redefines another, the same bytes have several meanings, and nobody says which one holds: what can't be read as one
//! of them is an empty cell there. Elsewhere it makes the record a bad one. A number of spaces or of zero bytes alone is empty.

use std::collections::HashMap;

use super::code_page::Characters;
use super::copybook::{Field, Item, Usage, What};
use super::number::{self, Zones};
use super::picture::Picture;
use crate::FieldAt;
use crate::csv::COLUMNS_MAX;

/// A record's bytes, at most.
const RECORD_BYTES_MAX: usize = crate::RECORD_BYTES_MAX;

/// A record, laid out.
#[derive(Debug, Clone)]
pub struct Layout {
    /// The cells' names, in order.
    pub columns: Vec<String>,
    steps: Vec<Step>,
    /// Counts that other items depend on.
    counts: usize,
    /// Bytes with every item as seldom as may be.
    pub bytes_min: usize,
    /// Bytes with every item as often as may be.
    pub bytes_max: usize,
}

/// What is done in turn to go through a record.
#[derive(Debug, Clone)]
enum Step {
    /// Bytes that make a cell.
    Cell {
        field: Field,
        column: usize,
        /// Whether it may be unreadable.
        lenient: bool,
        /// Where its value is kept, if something depends on it.
        count: Option<usize>,
    },
    /// Bytes that say nothing.
    Filler(usize),
    /// The place is kept, for items that redefine what follows.
    Mark,
    /// Back to the place that was kept.
    Back,
    /// What follows the longest of the items at one place goes on here.
    Longest,
    /// The next `steps` stand there if the count is at least `nth`.
    Only {
        count: usize,
        nth: usize,
        min: usize,
        max: usize,
        steps: usize,
        /// The count's name.
        of: String,
    },
}

/// How characters are kept.
#[derive(Debug, Clone)]
pub enum Text {
    /// In EBCDIC.
    Ebcdic(Box<Characters>),
    /// In ASCII, and Latin-1 above it.
    Latin,
}

impl Text {
    fn zones(&self) -> Zones {
        match self {
            Self::Ebcdic(_) => Zones::Ebcdic,
            Self::Latin => Zones::Ascii,
        }
    }

    fn space(&self) -> u8 {
        match self {
            Self::Ebcdic(_) => 0x40,
            Self::Latin => b' ',
        }
    }

    fn push(&self, bytes: &[u8], text: &mut String) {
        match self {
            Self::Ebcdic(characters) => characters.push(bytes, text),
            Self::Latin => text.extend(bytes.iter().copied().map(char::from)),
        }
    }
}

/// A record's cells. Its memory is used again.
#[derive(Debug, Default)]
pub struct Cells {
    /// All cells, one behind the other.
    pub text: String,
    /// One for each of [`Layout::columns`].
    pub fields: Vec<FieldAt>,
    counts: Vec<usize>,
}

impl Layout {
    /// Lays out a record of a copybook.
    ///
    /// # Errors
    /// A sentence that names the item and its line.
    pub fn new(record: &Item) -> Result<Self, String> {
        let mut making = Making::default();
        making.find_names(record);
        let (min, max) = making.item(record, &mut Vec::new(), false)?;
        if max > RECORD_BYTES_MAX {
            return Err(format!(
                "line {}: {} has up to {max} bytes, a record at most {RECORD_BYTES_MAX}",
                record.line, record.name
            ));
        }
        if making.columns.is_empty() || making.columns.len() > COLUMNS_MAX {
            return Err(format!(
                "line {}: {} makes {} cells, 1 to {COLUMNS_MAX} are possible",
                record.line,
                record.name,
                making.columns.len()
            ));
        }
        Ok(Self {
            columns: making.columns,
            steps: making.steps,
            counts: making.counts.len(),
            bytes_min: min,
            bytes_max: max,
        })
    }

    /// Reads a record that begins with these bytes; returns how many are its own. `bytes` may go on with the next record.
    ///
    /// # Errors
    /// A sentence: the record is cut, or which field can't be read and where it stands.
    pub fn read(&self, bytes: &[u8], text: &Text, cells: &mut Cells) -> Result<usize, String> {
        cells.text.clear();
        cells.fields.clear();
        cells
            .fields
            .resize(self.columns.len(), FieldAt { start: 0, end: 0 });
        cells.counts.clear();
        cells.counts.resize(self.counts, 0);
        let (mut at, mut skip) = (0_usize, 0_usize);
        let mut marks: Vec<(usize, usize)> = Vec::new();
        for step in &self.steps {
            if skip > 0 {
                skip -= 1;
                continue;
            }
            match step {
                Step::Filler(count) => at += count,
                Step::Mark => marks.push((at, at)),
                Step::Back => {
                    if let Some((start, end)) = marks.last_mut() {
                        *end = at.max(*end);
                        at = *start;
                    }
                }
                Step::Longest => {
                    if let Some((_, end)) = marks.pop() {
                        at = at.max(end);
                    }
                }
                Step::Only {
                    count,
                    nth,
                    min,
                    max,
                    steps,
                    of,
                } => {
                    let found = cells.counts[*count];
                    if found < *min || found > *max {
                        return Err(format!("{of} is {found}, and {min} to {max} are possible"));
                    }
                    skip = if found < *nth { *steps } else { 0 };
                }
                Step::Cell {
                    field,
                    column,
                    lenient,
                    count,
                } => {
                    let end = at + field.bytes();
                    let own = bytes.get(at..end).ok_or_else(|| {
                        format!(
                            "the record is cut: {} ends at byte {end}, and there are {}",
                            self.columns[*column],
                            bytes.len()
                        )
                    })?;
                    let start = cells.text.len();
                    match read_field(field, own, text, &mut cells.text) {
                        Err(reason) if !lenient => {
                            return Err(format!(
                                "{} at byte {}: {reason}",
                                self.columns[*column],
                                at + 1
                            ));
                        }
                        Err(_) => cells.text.truncate(start),
                        Ok(()) => {}
                    }
                    if let Some(count) = count {
                        cells.counts[*count] = cells.text[start..].parse().unwrap_or(0);
                    }
                    cells.fields[*column] = FieldAt {
                        start: start as u32,
                        end: cells.text.len() as u32,
                    };
                    at = end;
                }
            }
        }
        if at > bytes.len() {
            return Err(format!(
                "the record is cut: it has {at} bytes, and there are {}",
                bytes.len()
            ));
        }
        Ok(at)
    }
}

fn read_field(field: &Field, bytes: &[u8], kept: &Text, text: &mut String) -> Result<(), String> {
    let Picture::Number {
        decimals,
        zeros,
        signed,
        ..
    } = field.picture
    else {
        // LOW-VALUES behind a text are no text.
        let end = bytes
            .iter()
            .rposition(|byte| *byte != 0)
            .map_or(0, |last| last + 1);
        kept.push(&bytes[..end], text);
        return Ok(());
    };
    let space = kept.space();
    let is_empty = bytes.iter().all(|byte| *byte == 0) || bytes.iter().all(|byte| *byte == space);
    if is_empty && field.usage != Usage::Binary {
        return Ok(());
    }
    let start = text.len();
    match field.usage {
        Usage::Packed => number::packed(bytes, decimals, text)?,
        Usage::Binary => number::binary(bytes, signed, decimals, text)?,
        Usage::Display => number::zoned(bytes, kept.zones(), field.sign, decimals, text)?,
    }
    // 9(3)P(2): 123 means 12300.
    if text[start..] != *"0" {
        (0..zeros).for_each(|_| text.push('0'));
    }
    Ok(())
}

/// A layout that is being made.
#[derive(Default)]
struct Making {
    columns: Vec<String>,
    steps: Vec<Step>,
    /// Items that others depend on, by name, and whether they were met.
    counts: HashMap<String, (usize, bool)>,
    /// How many fields have a name.
    names: HashMap<String, usize>,
}

impl Making {
    /// Which names are used, and how often; which fields are counts.
    fn find_names(&mut self, item: &Item) {
        if let Some(on) = item
            .occurs
            .as_ref()
            .and_then(|occurs| occurs.depends_on.as_ref())
        {
            let next = self.counts.len();
            self.counts.entry(on.clone()).or_insert((next, false));
        }
        match &item.what {
            What::Field(_) => *self.names.entry(item.name.clone()).or_default() += 1,
            What::Group(items) => items.iter().for_each(|below| self.find_names(below)),
        }
    }

    /// An item as often as it stands there; its bytes at least and at most. `path`: the groups around it.
    fn item(
        &mut self,
        item: &Item,
        path: &mut Vec<String>,
        lenient: bool,
    ) -> Result<(usize, usize), String> {
        let Some(occurs) = &item.occurs else {
            return self.once(item, &item.name, path, lenient);
        };
        let count = match &occurs.depends_on {
            None => None,
            Some(on) => match self.counts.get(on) {
                Some((count, true)) => Some((*count, on.clone())),
                _ => {
                    return Err(format!(
                        "line {}: {} depends on {on}, which is no number before it",
                        item.line, item.name
                    ));
                }
            },
        };
        let (mut min, mut max) = (0, 0);
        for nth in 1..=occurs.max {
            let only = self.steps.len();
            if let Some((count, of)) = &count {
                self.steps.push(Step::Only {
                    count: *count,
                    nth,
                    min: occurs.min,
                    max: occurs.max,
                    steps: 0,
                    of: of.clone(),
                });
            }
            let (least, most) = self.once(item, &format!("{}({nth})", item.name), path, lenient)?;
            let made = self.steps.len() - only - 1;
            if let Some(Step::Only { steps, .. }) =
                self.steps.get_mut(only).filter(|_| count.is_some())
            {
                *steps = made;
            }
            min += if count.is_none() || nth <= occurs.min {
                least
            } else {
                0
            };
            max += most;
            if self.columns.len() > COLUMNS_MAX {
                return Err(format!(
                    "line {}: {} makes more than {COLUMNS_MAX} cells",
                    item.line, item.name
                ));
            }
        }
        Ok((min, max))
    }

    fn once(
        &mut self,
        item: &Item,
        name: &str,
        path: &mut Vec<String>,
        lenient: bool,
    ) -> Result<(usize, usize), String> {
        match &item.what {
            What::Field(field) => {
                self.field(item, *field, name, path, lenient);
                Ok((field.bytes(), field.bytes()))
            }
            What::Group(items) => {
                path.push(name.to_owned());
                let bytes = self.group(items, path, lenient);
                path.pop();
                bytes
            }
        }
    }

    fn group(
        &mut self,
        items: &[Item],
        path: &mut Vec<String>,
        lenient: bool,
    ) -> Result<(usize, usize), String> {
        let (mut min, mut max) = (0, 0);
        let mut rest = items;
        while let Some((first, after)) = rest.split_first() {
            // All that redefine the same bytes stand right behind.
            let over = after
                .iter()
                .take_while(|next| next.redefines.is_some())
                .count();
            let (over, after) = after.split_at(over);
            if over.is_empty() {
                if let Some(of) = &first.redefines {
                    return Err(format!(
                        "line {}: {} redefines {of}, which does not stand right before it",
                        first.line, first.name
                    ));
                }
                let (least, most) = self.item(first, path, lenient)?;
                (min, max) = (min + least, max + most);
            } else {
                let (least, most) = self.overlaid(first, over, path)?;
                (min, max) = (min + least, max + most);
            }
            rest = after;
        }
        Ok((min, max))
    }

    /// Items that describe the same bytes.
    fn overlaid(
        &mut self,
        first: &Item,
        over: &[Item],
        path: &mut Vec<String>,
    ) -> Result<(usize, usize), String> {
        self.steps.push(Step::Mark);
        let (mut min, mut max) = self.item(first, path, true)?;
        let mut names = vec![first.name.as_str()];
        for item in over {
            let of = item.redefines.as_deref().unwrap_or_default();
            if !names.contains(&of) {
                return Err(format!(
                    "line {}: {} redefines {of}, which does not stand right before it",
                    item.line, item.name
                ));
            }
            names.push(&item.name);
            self.steps.push(Step::Back);
            let (least, most) = self.item(item, path, true)?;
            (min, max) = (min.max(least), max.max(most));
        }
        self.steps.push(Step::Longest);
        Ok((min, max))
    }

    fn field(&mut self, item: &Item, field: Field, name: &str, path: &[String], lenient: bool) {
        let count = self.counts.get_mut(&item.name).map(|(count, met)| {
            *met |= matches!(field.picture, Picture::Number { decimals: 0, .. });
            *count
        });
        if item.name == "FILLER" {
            self.steps.push(Step::Filler(field.bytes()));
            return;
        }
        let shared = self.names.get(&item.name).is_some_and(|uses| *uses > 1);
        // The groups that stand there many times, and all where the name alone says too little.
        let groups = path
            .iter()
            .skip(1)
            .filter(|group| shared || group.ends_with(')'));
        let mut column: String = groups.map(|group| format!("{group}.")).collect();
        column.push_str(name);
        self.steps.push(Step::Cell {
            field,
            column: self.columns.len(),
            lenient,
            count,
        });
        self.columns.push(column);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cobol::code_page::CodePage;
    use crate::cobol::copybook;

    fn layout(copybook: &str) -> Layout {
        let records = copybook::parse(copybook).expect("a copybook");
        Layout::new(&records[0]).expect("a layout")
    }

    /// What a record says: `NAME=value` for each cell, and its bytes.
    fn read(layout: &Layout, bytes: &[u8], text: &Text) -> Result<(String, usize), String> {
        let mut cells = Cells::default();
        let length = layout.read(bytes, text, &mut cells)?;
        let said = layout.columns.iter().zip(&cells.fields).map(|(name, at)| {
            format!(
                "{name}={}",
                cells.text[at.start as usize..at.end as usize].trim_end()
            )
        });
        Ok((said.collect::<Vec<_>>().join(" "), length))
    }

    fn check(copybook: &str, bytes: &[u8], expected: Result<&str, &str>) {
        match (read(&layout(copybook), bytes, &Text::Latin), expected) {
            (Ok((found, length)), Ok(expected)) => {
                assert_eq!(found, expected);
                assert_eq!(length, bytes.len(), "{copybook}");
            }
            (Err(found), Err(words)) => assert!(found.contains(words), "{found}"),
            (found, _) => panic!("{found:?}"),
        }
    }

    #[test]
    fn fields_become_cells_and_filler_none() {
        let book = "01 R. 05 A PIC X(3). 05 FILLER PIC X. 05 B PIC S9(3)V9. 05 C PIC 9(3)P(2).";
        check(book, b"ab -012M123", Ok("A=ab B=-12.4 C=12300"));
        check(book, b"ab -    000", Ok("A=ab B= C=0"));
        check(book, b"a\x00\x00-\x00\x00\x00\x00000", Ok("A=a B= C=0"));
        check(
            book,
            b"ab -01x2123",
            Err("B at byte 5: byte 3 (0x78) is no digit"),
        );
        check(
            book,
            b"ab -012M12",
            Err("C ends at byte 11, and there are 10"),
        );
    }

    #[test]
    fn ebcdic_is_read_with_its_numbers() {
        let layout = layout(
            "01 R. 05 A PIC X(3). 05 P PIC S9(3)V99 COMP-3. 05 Z PIC S99. 05 B PIC S9(4) COMP.",
        );
        let text = Text::Ebcdic(Box::new(CodePage::Cp273.characters()));
        let found = read(&layout, b"\xC1\xC0\x40\x01\x23\x4D\xF1\xD2\xFF\xF4", &text);
        assert_eq!(found, Ok(("A=Aä P=-12.34 Z=-12 B=-12".into(), 10)));
    }

    #[test]
    fn what_occurs_has_its_number_and_may_depend_on_a_count() {
        let nested = "01 R. 05 N PIC 9. 05 G OCCURS 0 TO 2 DEPENDING ON N. 10 M PIC 9. 10 H OCCURS 0 TO 2 DEPENDING ON M PIC X.";
        check(
            nested,
            b"21a2bc",
            Ok("N=2 G(1).M=1 G(1).H(1)=a G(1).H(2)= G(2).M=2 G(2).H(1)=b G(2).H(2)=c"),
        );
        check(
            nested,
            b"0",
            Ok("N=0 G(1).M= G(1).H(1)= G(1).H(2)= G(2).M= G(2).H(1)= G(2).H(2)="),
        );
        check(nested, b"", Err("cut"));
        let book = "01 R. 05 N PIC 9. 05 G OCCURS 0 TO 2 DEPENDING ON N. 10 S PIC X(2). 05 E PIC X OCCURS 2.";
        check(book, b"0yz", Ok("N=0 G(1).S= G(2).S= E(1)=y E(2)=z"));
        check(book, b"1abyz", Ok("N=1 G(1).S=ab G(2).S= E(1)=y E(2)=z"));
        check(
            book,
            b"2abcdyz",
            Ok("N=2 G(1).S=ab G(2).S=cd E(1)=y E(2)=z"),
        );
        check(book, b"3abcdefyz", Err("N is 3, and 0 to 2 are possible"));
    }

    #[test]
    fn bytes_that_are_redefined_have_all_their_meanings() {
        let book = "01 R. 05 A PIC X(4). 05 B REDEFINES A PIC 9(4). 05 C REDEFINES A. 10 D PIC 99. 10 E PIC X. 05 F PIC X.";
        check(book, b"1234z", Ok("A=1234 B=1234 D=12 E=3 F=z"));
        check(book, b"12x4z", Ok("A=12x4 B= D=12 E=x F=z"));
        let longer = "01 R. 05 A PIC X. 05 B REDEFINES A PIC X(3). 05 C PIC X.";
        check(longer, b"abcd", Ok("A=a B=abc C=d"));
    }

    #[test]
    fn names_that_are_shared_have_their_groups() {
        check(
            "01 R. 05 FROM-IT. 10 NAME PIC X. 05 TO-IT. 10 NAME PIC X. 10 CITY PIC X.",
            b"abc",
            Ok("FROM-IT.NAME=a TO-IT.NAME=b CITY=c"),
        );
    }

    #[test]
    fn layouts_that_cannot_be_are_told_by_their_line() {
        for (copybook, words) in [
            (
                "01 R.\n 05 G PIC X OCCURS 2 DEPENDING ON N.\n 05 N PIC 9.",
                "line 2: G depends on N",
            ),
            (
                "01 R.\n 05 A PIC X.\n 05 B PIC X.\n 05 C REDEFINES A PIC X.",
                "line 4: C redefines A",
            ),
            (
                "01 R.\n 05 A PIC X(9) OCCURS 5000.",
                "line 2: A makes more than 4096 cells",
            ),
            ("01 R.\n 05 FILLER PIC X.", "line 1: R makes 0 cells"),
            (
                "01 R.\n 05 A PIC X(32767) OCCURS 40.",
                "line 1: R has up to 1310680 bytes",
            ),
        ] {
            let records = copybook::parse(copybook).expect("a copybook");
            let said = Layout::new(&records[0]).expect_err(copybook);
            assert!(said.contains(words), "{said}");
        }
    }
}
