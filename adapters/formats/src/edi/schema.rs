//! Which loops a set of documents has: a readable text, the same for built-in sets and for configured ones.
//!
//! ```text
//! W05!                       a segment that must stand there exactly once
//! N9 G62 NTE                 segments that may
//! (N1 N2 N3 N4)              a loop: it begins with its first segment
//! (LX line:(W01+ G69 N9))    loops nest; "line" is a record of its own, and so is what stands around all
//! W76?                       at most once
//! # to the end of the line: a remark
//! ```
//! Marks: `!` exactly once, `?` at most once, `+` at least once, none: any number of times. On a loop's first segment they count the
//! loop. A loop may ask for a value: `order:(HL[03=O] PRF)`.
//!
//! Order within a loop is not asked for, as real documents keep it loosely: a segment belongs to the innermost open loop that lists
//! it or begins another with it, and the loops within that one are closed. What no loop of the set lists stays where it stands.
//!
//! `tree HL01 HL02` says that loops beginning with HL are a tree: element 01 numbers each, 02 names the one that it belongs to.
//! `up 2` behind it: records carry as many more of each kind, where kinds repeat on the way up.

use super::address::{self, Address, Step};

/// Loops within loops, at most.
const DEPTH_MAX: usize = 12;
/// Loops of a set, at most.
const LOOPS_MAX: usize = 400;
/// Marked segments and loops within one loop, at most: each is a bit.
pub(super) const MARKS_MAX: usize = 64;
/// `up`, at most.
const UP_MAX: u8 = 4;

/// How often a segment or a loop stands in the loop around it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Mark {
    Any,
    Once,
    AtMostOnce,
    AtLeastOnce,
}

impl Mark {
    pub(super) fn is_required(self) -> bool {
        matches!(self, Self::Once | Self::AtLeastOnce)
    }

    pub(super) fn is_single(self) -> bool {
        matches!(self, Self::Once | Self::AtMostOnce)
    }
}

/// A loop.
#[derive(Debug, Clone)]
pub(super) struct Loop {
    /// The loop around it; its own number for the document itself.
    pub parent: usize,
    pub begin: Step,
    pub mark: Mark,
    /// Its segments besides the first.
    pub segments: Vec<(String, Mark)>,
    /// What its records are called behind the set's name; empty for the document itself.
    pub record: Option<String>,
    /// How many loops stand around it.
    depth: usize,
}

/// Loops that form a tree by numbers of their own.
#[derive(Debug, Clone)]
pub(super) struct Tree {
    pub id: Address,
    pub parent: Address,
    pub up: u8,
}

/// The loops of a set; 0 is the document itself.
#[derive(Debug, Clone)]
pub(super) struct Schema {
    pub loops: Vec<Loop>,
    pub tree: Option<Tree>,
}

impl Schema {
    /// Reads a set's loops. `begin` is the segment that begins a document.
    pub(super) fn parse(begin: &str, text: &str) -> Result<Self, String> {
        let mut schema = Self {
            loops: vec![Loop {
                parent: 0,
                begin: address::step(begin)?,
                mark: Mark::Any,
                segments: Vec::new(),
                record: Some(String::new()),
                depth: 0,
            }],
            tree: None,
        };
        let plain: String = text
            .lines()
            .flat_map(|line| [line.split('#').next().unwrap_or(""), "\n"])
            .collect();
        let spaced = plain.replace('(', "( ").replace(')', " ) ");
        let mut open = 0;
        let mut words = spaced.split_whitespace();
        while let Some(word) = words.next() {
            match word {
                ")" if open == 0 => return Err("a ) closes no loop".into()),
                ")" => open = schema.loops[open].parent,
                "tree" => schema.tree = Some(tree(words.next(), words.next())?),
                "up" => schema.up(words.next())?,
                _ => match word.strip_suffix('(') {
                    Some(name) => open = schema.begin(open, name, words.next())?,
                    None => schema.segment(open, word)?,
                },
            }
        }
        if open != 0 {
            return Err(format!(
                "the loop of {} is not closed by )",
                schema.loops[open].begin.tag
            ));
        }
        schema.check()?;
        Ok(schema)
    }

    fn begin(&mut self, around: usize, name: &str, first: Option<&str>) -> Result<usize, String> {
        let first = first
            .filter(|word| !matches!(*word, "(" | ")"))
            .ok_or("a ( is not followed by the segment that begins its loop")?;
        let (first, mark) = marked(first);
        let record = match name.strip_suffix(':') {
            Some(name) if is_name(name) => Some(name.to_owned()),
            None if name.is_empty() => None,
            _ => {
                return Err(format!(
                    "\"{name}(\": a record's name is small letters and a colon before the (, e.g. line:(LX"
                ));
            }
        };
        let depth = self.loops[around].depth + 1;
        if depth > DEPTH_MAX || self.loops.len() == LOOPS_MAX {
            return Err(format!(
                "there are more than {DEPTH_MAX} loops in each other or {LOOPS_MAX} in all"
            ));
        }
        self.loops.push(Loop {
            parent: around,
            begin: address::step(first)?,
            mark,
            segments: Vec::new(),
            record,
            depth,
        });
        Ok(self.loops.len() - 1)
    }

    fn segment(&mut self, within: usize, word: &str) -> Result<(), String> {
        let (tag, mark) = marked(word);
        let step = address::step(tag)?;
        if step.test.is_some() {
            return Err(format!(
                "\"{word}\": only the segment that begins a loop may ask for a value"
            ));
        }
        self.loops[within].segments.push((step.tag, mark));
        Ok(())
    }

    fn up(&mut self, levels: Option<&str>) -> Result<(), String> {
        let levels = levels.and_then(|levels| levels.parse().ok());
        match (&mut self.tree, levels) {
            (Some(tree), Some(levels)) if levels <= UP_MAX => tree.up = levels,
            _ => {
                return Err(format!(
                    "\"up\" belongs behind a tree, with a number up to {UP_MAX}"
                ));
            }
        }
        Ok(())
    }

    fn check(&self) -> Result<(), String> {
        for (index, of) in self.loops.iter().enumerate() {
            let within = self
                .loops
                .iter()
                .skip(1)
                .filter(|inner| inner.parent == index)
                .map(|inner| inner.mark);
            let marks = of.segments.iter().map(|(_, mark)| *mark).chain(within);
            if marks.filter(|mark| *mark != Mark::Any).count() > MARKS_MAX {
                return Err(format!(
                    "the loop of {} has more than {MARKS_MAX} marks",
                    of.begin.tag
                ));
            }
            let mut tags: Vec<&str> = of.segments.iter().map(|(tag, _)| tag.as_str()).collect();
            tags.push(&of.begin.tag);
            tags.sort_unstable();
            if let Some(twice) = tags.windows(2).find(|two| two[0] == two[1]) {
                return Err(format!(
                    "{} stands twice in the loop of {}; how often it may come is said by a mark",
                    twice[0], of.begin.tag
                ));
            }
            if of.record.is_some()
                && self.loops[..index]
                    .iter()
                    .any(|one| one.record == of.record)
            {
                return Err(format!(
                    "two loops are called {}",
                    of.record.as_deref().unwrap_or("")
                ));
            }
        }
        let Some(tree) = &self.tree else {
            return Ok(());
        };
        let mut of_tree = (1..self.loops.len()).filter(|index| self.is_tree(*index));
        let first = of_tree.next().map(|index| self.loops[index].parent);
        match first {
            None => Err(format!("no loop begins with {}", tree.id.segment.tag)),
            Some(around) if of_tree.any(|index| self.loops[index].parent != around) => Err(
                format!("loops of {} stand in different loops", tree.id.segment.tag),
            ),
            Some(_) => Ok(()),
        }
    }

    /// Whether a loop is a part of the tree.
    pub(super) fn is_tree(&self, index: usize) -> bool {
        let tag = &self.loops[index].begin.tag;
        self.tree
            .as_ref()
            .is_some_and(|tree| tree.id.segment.tag == *tag)
    }
}

fn tree(id: Option<&str>, parent: Option<&str>) -> Result<Tree, String> {
    let way_out = "behind \"tree\" belong the number and the one above it, e.g. tree HL01 HL02";
    let (Some(id), Some(parent)) = (id, parent) else {
        return Err(way_out.into());
    };
    let (id, parent) = (address::column(id)?, address::column(parent)?);
    let plain =
        |at: &Address| at.steps.is_empty() && at.segment.test.is_none() && at.pair.is_none();
    if !plain(&id) || !plain(&parent) || id.segment.tag != parent.segment.tag {
        return Err(way_out.into());
    }
    Ok(Tree { id, parent, up: 0 })
}

fn marked(word: &str) -> (&str, Mark) {
    let mark = match word.as_bytes().last() {
        Some(b'!') => Mark::Once,
        Some(b'?') => Mark::AtMostOnce,
        Some(b'+') => Mark::AtLeastOnce,
        _ => return (word, Mark::Any),
    };
    (&word[..word.len() - 1], mark)
}

fn is_name(name: &str) -> bool {
    let fits = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    !name.is_empty() && name.bytes().all(fits)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, expected: Result<&[&str], &str>) {
        let found = Schema::parse("ST", text).map(|schema| {
            let shown = |of: &Loop| {
                let segments: Vec<_> = of.segments.iter().map(|(tag, _)| tag.as_str()).collect();
                let around = &schema.loops[of.parent].begin.tag;
                let record = of.record.as_deref().unwrap_or("-");
                format!("{around}>{} {record}: {}", of.begin.tag, segments.join(" "))
            };
            schema.loops.iter().map(shown).collect::<Vec<_>>()
        });
        match (&found, expected) {
            (Ok(found), Ok(expected)) => assert_eq!(found, expected),
            (Err(found), Err(words)) => assert!(found.contains(words), "{text}: {found}"),
            _ => panic!("{text}: {found:?}"),
        }
    }

    #[test]
    fn loops_are_read_or_refused_in_words() {
        check(
            "W05! # begins\n(N1 N3 N4)\n(LX line:(W01+ G69 N9)) W76?",
            Ok(&[
                "ST>ST : W05 W76",
                "ST>N1 -: N3 N4",
                "ST>LX -: ",
                "LX>W01 line: G69 N9",
            ]),
        );
        check(
            "tree HL01 HL02 up 1 a:(HL[03=S]) b:(HL[03=I] LIN)",
            Ok(&["ST>ST : ", "ST>HL a: ", "ST>HL b: LIN"]),
        );
        check("(N1 N3", Err("the loop of N1 is not closed"));
        check("N3)", Err("closes no loop"));
        check("( (N1))", Err("is not followed by the segment"));
        check("Line:(LX)", Err("small letters and a colon"));
        check("a:(LX) a:(LM)", Err("two loops are called a"));
        check("W05 W05", Err("W05 stands twice in the loop of ST"));
        check("N1[ST]", Err("only the segment that begins a loop"));
        check("w05", Err("\"w05\" is no segment"));
        check("tree HL01", Err("behind \"tree\" belong"));
        check("tree HL01 LX02", Err("behind \"tree\" belong"));
        check("tree HL01 HL02", Err("no loop begins with HL"));
        check(
            "tree HL01 HL02 a:(HL (N1 b:(HL)))",
            Err("stand in different loops"),
        );
        check("up 1", Err("belongs behind a tree"));
        check(&"(N1 ".repeat(13), Err("more than 12 loops in each other"));
    }
}
