//! What a decoder tells of a file besides its records: whose interchanges stand in it, and what was accepted. From these come
//! acknowledgements, the watch over sequences and that over repeated documents.

/// Interchanges of a file of which is told, at most; groups too.
pub const INTERCHANGES_MAX: usize = 1_000;
/// Documents of a file of which is told, at most; more are counted. Beyond, as many bad ones are told: who hears nothing of a document
/// takes it for accepted.
pub const VERDICTS_MAX: usize = 10_000;

/// What a decoder tells of a file.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Receipt {
    /// In the file's order.
    pub interchanges: Vec<Interchange>,
    /// Interchanges and groups beyond [`INTERCHANGES_MAX`], documents beyond [`VERDICTS_MAX`]: of these nothing is told.
    pub left_out: u64,
    /// Interchanges among these.
    pub interchanges_left_out: u64,
    groups: usize,
    verdicts: usize,
    bad_beyond: usize,
    /// Whether the interchange at hand is left out.
    is_left_out: bool,
}

/// A sender or a receiver.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Party {
    /// ISA05, ISA07; the second component of UNB02, UNB03.
    pub qualifier: String,
    /// ISA06, ISA08; the first component of UNB02, UNB03. Without blanks around it.
    pub id: String,
}

/// An interchange: sender, receiver and number together are its identity.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Interchange {
    /// ISA05 and ISA06; UNB02.
    pub sender: Party,
    /// ISA07 and ISA08; UNB03.
    pub receiver: Party,
    /// ISA13; UNB05, which is data element 0020.
    pub number: String,
    /// ISA12, e.g. `00401`; UNB01, e.g. `UNOC:3`.
    pub version: String,
    /// ISA15, e.g. `T` for a test; UNB11.
    pub usage: String,
    /// Its first line.
    pub line: u64,
    /// Its groups; in EDIFACT one without a name where there are none.
    pub groups: Vec<Group>,
    /// Its first document's set, as in [`Verdict::set`], also where nothing more of that document is there.
    pub first_set: String,
    /// Whether its end was found and right.
    pub is_ended: bool,
}

/// A group of documents.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Group {
    /// GS01, UNG01.
    pub function: String,
    /// GS02, UNG02.
    pub sender: String,
    /// GS03, UNG03.
    pub receiver: String,
    /// GS06, UNG05.
    pub number: String,
    /// GS08.
    pub version: String,
    /// Its documents, as far as they are told of.
    pub documents: Vec<Verdict>,
    /// How many were accepted.
    pub accepted: u64,
    /// How many were not.
    pub rejected: u64,
    /// Whether its end was found and right.
    pub is_ended: bool,
}

/// What a caller gives to an acknowledgement: there are no clocks and no numbers here.
#[derive(Debug, Clone, Copy)]
pub struct Stamp<'a> {
    /// The first interchange's number.
    pub number: u32,
    /// `20261126`.
    pub date: &'a str,
    /// `0930`.
    pub time: &'a str,
}

/// What was found of a document.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verdict {
    /// ST01; UNH02, e.g. `ORDERS:D:96A:UN`.
    pub set: String,
    /// ST02, UNH01.
    pub number: String,
    /// What is wrong with it.
    pub finding: Option<Finding>,
}

/// What is wrong with a document.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// The segment's number in the document, from 1.
    pub segment: u64,
    /// The segment; empty where it is none by itself.
    pub tag: String,
    /// The rule that is broken.
    pub rule: Rule,
    /// The same in words.
    pub what: String,
}

/// Which rule a document breaks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Rule {
    /// No loops are known for it.
    UnknownSet,
    /// A segment stands outside of the loops that may hold it.
    Misplaced,
    /// This segment is missing.
    Missing(String),
    /// A segment may stand once.
    TooOften,
    /// A tree's numbers don't fit.
    Tree,
    /// Bytes are no text.
    Text,
    /// It is too large.
    TooLarge,
}

impl Receipt {
    /// An interchange begins.
    pub(crate) fn begin_interchange(&mut self, interchange: Interchange) {
        self.is_left_out = self.interchanges.len() == INTERCHANGES_MAX;
        if self.is_left_out {
            self.left_out += 1;
            self.interchanges_left_out += 1;
        } else {
            self.interchanges.push(interchange);
        }
    }

    /// A group begins.
    pub(crate) fn begin_group(&mut self, group: Group) {
        if self.is_left_out {
            return;
        }
        if self.groups == INTERCHANGES_MAX {
            self.left_out += 1;
            self.is_left_out = true;
        } else if let Some(last) = self.interchanges.last_mut() {
            self.groups += 1;
            last.groups.push(group);
        }
    }

    /// A group ends.
    pub(crate) fn end_group(&mut self) {
        let is_told = !self.is_left_out;
        if let Some(last) = self.group().filter(|_| is_told) {
            last.is_ended = true;
        }
    }

    /// An interchange ends.
    pub(crate) fn end_interchange(&mut self) {
        if let Some(last) = self.interchanges.last_mut().filter(|_| !self.is_left_out) {
            last.groups
                .iter_mut()
                .for_each(|group| group.is_ended = true);
            last.is_ended = true;
        }
    }

    fn group(&mut self) -> Option<&mut Group> {
        self.interchanges.last_mut()?.groups.last_mut()
    }

    /// A document begins.
    pub(crate) fn begin_document(&mut self, set: &str) {
        let is_told = !self.is_left_out;
        let last = self.interchanges.last_mut().filter(|_| is_told);
        if let Some(last) = last.filter(|last| last.first_set.is_empty()) {
            set.clone_into(&mut last.first_set);
        }
    }

    /// What is told of a further file of an archive.
    pub(crate) fn extend(&mut self, more: &Self) {
        self.left_out += more.left_out;
        for interchange in &more.interchanges {
            let groups = Vec::new();
            self.begin_interchange(Interchange {
                groups,
                ..interchange.clone()
            });
            for group in &interchange.groups {
                // What was counted and not told stays so.
                let (good, bad) = (group.told(true), group.told(false));
                let (accepted, rejected) = (group.accepted - good, group.rejected - bad);
                let documents = Vec::new();
                self.begin_group(Group {
                    documents,
                    accepted,
                    rejected,
                    ..group.clone()
                });
                for document in &group.documents {
                    self.push(|| document.clone(), document.finding.is_none());
                }
            }
        }
    }

    /// A document was read.
    pub(crate) fn push(&mut self, verdict: impl FnOnce() -> Verdict, is_good: bool) {
        let is_beyond = self.verdicts >= VERDICTS_MAX;
        let is_told = !is_beyond || (!is_good && self.bad_beyond < VERDICTS_MAX);
        let is_left_out = self.is_left_out || !is_told;
        self.left_out += u64::from(is_left_out);
        if self.is_left_out {
            return;
        }
        if self.group().is_none() {
            self.begin_group(Group::default());
        }
        let Some(group) = self.group() else { return };
        if is_good {
            group.accepted += 1;
        } else {
            group.rejected += 1;
        }
        if is_told {
            group.documents.push(verdict());
            if is_beyond {
                self.bad_beyond += 1;
            } else {
                self.verdicts += 1;
            }
        }
    }
}

impl Group {
    /// How many of its documents are told of that are good, or that are not.
    fn told(&self, good: bool) -> u64 {
        let is_one = |document: &&Verdict| document.finding.is_none() == good;
        self.documents.iter().filter(is_one).count() as u64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn verdict(number: usize, is_good: bool) -> Verdict {
        let finding = Finding {
            segment: 1,
            tag: String::new(),
            rule: Rule::TooLarge,
            what: String::new(),
        };
        Verdict {
            set: "940".into(),
            number: number.to_string(),
            finding: (!is_good).then_some(finding),
        }
    }

    fn of(interchanges: usize, documents: usize) -> Receipt {
        let mut receipt = Receipt::default();
        for _ in 0..interchanges {
            receipt.begin_interchange(Interchange::default());
            receipt.begin_group(Group::default());
            for number in 0..documents {
                let is_good = number % 100 != 99;
                receipt.push(|| verdict(number, is_good), is_good);
            }
            receipt.end_group();
            receipt.end_interchange();
        }
        receipt
    }

    #[test]
    fn bad_documents_are_told_also_where_there_are_very_many() {
        let receipt = of(1, 3 * VERDICTS_MAX);
        let group = &receipt.interchanges[0].groups[0];
        assert_eq!((group.accepted, group.rejected), (29_700, 300));
        assert_eq!(group.told(false), 300);
        assert_eq!(group.told(true), 9_900);
        assert_eq!(receipt.left_out, 29_700 - 9_900);
    }

    #[test]
    fn what_is_told_of_two_files_is_what_is_told_of_both_in_one() {
        for (interchanges, documents) in [(2, 3), (600, 1), (2, VERDICTS_MAX + 200)] {
            let mut both = Receipt::default();
            both.extend(&of(interchanges, documents));
            both.extend(&of(interchanges, documents));
            let one = of(2 * interchanges, documents);
            assert_eq!(both.interchanges, one.interchanges);
            assert_eq!(both.left_out, one.left_out);
        }
    }
}
