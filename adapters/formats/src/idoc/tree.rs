//! IDocs as XML.

use super::DEPTH_MAX;
use super::hold::Hold;
use super::layouts::CONTROL;
use super::plan::Meaning;
use crate::Sink;
use crate::xml::{At, Elements, Event, Handler};

/// What an open element of an IDoc is.
#[derive(Debug)]
enum Open {
    Document,
    Control,
    /// A segment; `blocks`: how many there were when its own had begun, if its fields are wanted.
    Segment {
        layout: Option<u16>,
        block: Option<usize>,
        held: Option<(usize, u64)>,
    },
    /// A field, and which.
    Field(Option<u16>),
    /// The control record's DOCNUM, and which of its wanted fields that is.
    Number(Option<u16>),
}

/// Follows the elements.
#[derive(Debug)]
pub(super) struct Tree {
    pub(super) hold: Hold,
    open: Vec<Open>,
    /// Segments among them.
    depth: usize,
    controlled: bool,
    numbered: bool,
    value: String,
    /// Where in the text at hand the IDoc begins or goes on.
    from: usize,
    bytes: Vec<u8>,
    blocks: usize,
}

impl Tree {
    pub(super) fn new(hold: Hold) -> Self {
        Self {
            hold,
            open: Vec::new(),
            depth: 0,
            controlled: false,
            numbered: false,
            value: String::new(),
            from: 0,
            bytes: Vec::new(),
            blocks: 0,
        }
    }
}

impl Handler for Tree {
    fn event<S: Sink>(
        &mut self,
        event: &Event<'_>,
        elements: &Elements,
        at: &mut At<'_>,
        sink: &mut S,
    ) -> Result<(), String> {
        match *event {
            Event::Start { tag, .. } => {
                let (_, name) = elements.name(elements.depth());
                if !self.open.is_empty() {
                    let is_segment = elements
                        .attributes(tag)
                        .any(|(_, name, _)| name == "SEGMENT");
                    self.begin(name, is_segment, at);
                } else if name == "IDOC" {
                    self.open.push(Open::Document);
                    self.hold.begin(at.line());
                    (self.from, self.depth, self.blocks) = (at.start, 0, 0);
                    (self.controlled, self.numbered) = (false, false);
                } else if elements.depth() > 1 {
                    return Err(format!("<{name}> stands where <IDOC> is expected"));
                }
            }
            Event::End => self.end(at, sink),
            Event::Text(piece) if self.is_wanted() => self.value.push_str(piece),
            Event::Letter(letter) if self.is_wanted() => self.value.push(letter),
            Event::Unknown(name) if !self.open.is_empty() => {
                self.hold
                    .refuse(at.line(), &format!("&{name}; stands for nothing"));
            }
            Event::Unknown(name) => return Err(format!("&{name}; stands for nothing")),
            Event::Text(piece) if self.is_between() && !piece.trim_ascii().is_empty() => {
                at.start += piece.len() - piece.trim_ascii_start().len();
                let line = at.line();
                self.hold
                    .refuse(line, "a text stands between the fields of a segment");
            }
            _ => {}
        }
        Ok(())
    }

    fn pause(&mut self, at: &At<'_>) {
        if !self.open.is_empty() {
            at.keep(self.from, at.end, &mut self.hold.raw, &mut self.bytes);
        }
        self.from = 0;
    }
}

impl Tree {
    fn is_wanted(&self) -> bool {
        matches!(
            self.open.last(),
            Some(Open::Field(Some(_)) | Open::Number(_))
        ) && !self.hold.is_bad()
    }

    /// Whether fields or segments stand next to what comes.
    fn is_between(&self) -> bool {
        matches!(
            self.open.last(),
            Some(Open::Document | Open::Control | Open::Segment { .. })
        )
    }

    fn refuse(&mut self, at: &mut At<'_>, what: &str) {
        self.hold.refuse(at.line(), what);
        self.open.push(Open::Field(None));
    }

    /// An element of an IDoc begins.
    fn begin(&mut self, name: &str, is_segment: bool, at: &mut At<'_>) {
        self.value.clear();
        if self.hold.is_bad() {
            self.open.push(Open::Field(None));
            return;
        }
        let meaning = self.hold.plan.meaning(name);
        let may_be_segment = is_segment || meaning_is_known(meaning);
        match self.open.last() {
            Some(Open::Document) if name == "EDI_DC40" && !self.controlled => {
                self.controlled = true;
                self.begin_block();
                self.open.push(Open::Control);
            }
            Some(Open::Document) if !self.controlled => {
                self.refuse(at, &format!("<{name}> stands where <EDI_DC40> is expected"));
            }
            Some(Open::Document | Open::Segment { .. }) if may_be_segment => {
                self.begin_segment(name, meaning, at)
            }
            Some(Open::Control) => {
                let field = self
                    .hold
                    .plan
                    .control
                    .iter()
                    .position(|field| field.name == name);
                let field = field.map(|field| field as u16);
                if field.is_some_and(|field| self.hold.has_value(field)) {
                    self.refuse(
                        at,
                        &format!("field {name} stands twice in the control record"),
                    );
                } else if name == "DOCNUM" {
                    self.open.push(Open::Number(field));
                } else if CONTROL.iter().any(|(known, _)| *known == name) {
                    self.open.push(Open::Field(field));
                } else {
                    self.refuse(
                        at,
                        &format!("the control record EDI_DC40 has no field {name}"),
                    );
                }
            }
            Some(Open::Segment { layout, block, .. }) => {
                let (layout, block) = (*layout, *block);
                let field = layout.filter(|_| block.is_some()).and_then(|layout| {
                    let fields = &self.hold.plan.layouts[layout as usize].fields;
                    fields.iter().position(|field| field.name == name)
                });
                match field.map(|field| field as u16) {
                    Some(_) if block != Some(self.blocks) => {
                        self.refuse(
                            at,
                            &format!("field {name} stands behind the segments below its own"),
                        );
                    }
                    Some(field) if self.hold.has_value(field) => {
                        self.refuse(at, &format!("field {name} stands twice in a segment"));
                    }
                    field => self.open.push(Open::Field(field)),
                }
            }
            Some(Open::Document) => self.refuse(
                at,
                &format!("<{name}> is no segment: it has no attribute SEGMENT"),
            ),
            _ => self.refuse(at, &format!("<{name}> stands within a field")),
        }
    }

    fn begin_block(&mut self) {
        self.hold.block();
        self.blocks += 1;
    }

    fn begin_segment(&mut self, name: &str, meaning: Meaning, at: &mut At<'_>) {
        let layout = match meaning {
            Meaning::Known(layout) => Some(layout),
            Meaning::Ignored => None,
            Meaning::Unknown => {
                return self.refuse(at, &format!("segment {name} is not known: write a [[segment]] for it, or ignore = [\"{name}\"]"));
            }
        };
        if self.depth == DEPTH_MAX {
            return self.refuse(
                at,
                &format!("segments stand in one another more than {DEPTH_MAX} deep"),
            );
        }
        self.hold.leave(self.depth);
        let (mut block, mut held) = (None, None);
        let wanted = |layout: u16| {
            let known = &self.hold.plan.layouts[layout as usize];
            (
                known.record.is_some() || known.carried,
                known.record.is_some(),
            )
        };
        if let Some(layout) = layout
            && let (true, is_record) = wanted(layout)
        {
            self.begin_block();
            block = Some(self.blocks);
            self.hold.segment(layout, at.line(), self.depth);
            if is_record {
                at.keep(self.from, at.start, &mut self.hold.raw, &mut self.bytes);
                self.from = at.start;
                held = self
                    .hold
                    .last_held()
                    .map(|held| (held, self.hold.raw.length()));
            }
        }
        self.depth += 1;
        self.open.push(Open::Segment {
            layout,
            block,
            held,
        });
    }

    fn end<S: Sink>(&mut self, at: &mut At<'_>, sink: &mut S) {
        match self.open.pop() {
            None | Some(Open::Field(None)) => {}
            Some(Open::Control) if !self.numbered => self
                .hold
                .refuse(at.line(), "the control record has no DOCNUM"),
            Some(Open::Control) => {}
            Some(Open::Number(field)) => {
                let number = self.value.trim_ascii();
                self.numbered = !number.is_empty();
                self.hold.document(number);
                if let Some(field) = field.filter(|_| !self.hold.is_bad()) {
                    self.hold.push_value(field, number);
                }
                self.value.clear();
            }
            Some(Open::Field(Some(field))) => {
                if !self.hold.is_bad() {
                    self.hold
                        .push_value(field, self.value.trim_matches([' ', '\t', '\r', '\n']));
                }
                self.value.clear();
            }
            Some(Open::Segment { held, .. }) => {
                self.depth -= 1;
                if let Some((held, start)) = held {
                    at.keep(self.from, at.end, &mut self.hold.raw, &mut self.bytes);
                    self.from = at.end;
                    self.hold.place(held, start, self.hold.raw.length());
                }
            }
            Some(Open::Document) => {
                at.keep(self.from, at.end, &mut self.hold.raw, &mut self.bytes);
                if !self.controlled {
                    self.hold
                        .refuse(at.line(), "the IDoc has no control record EDI_DC40");
                }
                self.hold.finish();
                self.hold.hand_out(sink);
            }
        }
    }
}

fn meaning_is_known(meaning: Meaning) -> bool {
    matches!(meaning, Meaning::Known(_))
}
