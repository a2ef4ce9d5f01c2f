//! The suite of every source.

use dray_adapter::conformance::{self, Place};
use dray_adapter::{BATCH_RECORDS_MAX, Source};

use crate::support::Drops;

/// Files of each kind, in the order of their names.
pub(crate) struct Folder {
    pub(crate) drops: Drops,
    next: usize,
    /// What is set aside is in `failed/`: no second copy is read of it.
    with_set_aside: bool,
    /// Without the file of many lines, a run takes a tenth of the time.
    with_many_lines: bool,
}

impl Folder {
    pub(crate) fn new(settings: &str) -> Self {
        Self {
            drops: Drops::new(&["bad_lines_max = 2\n", settings].concat()),
            next: 0,
            with_set_aside: true,
            with_many_lines: true,
        }
    }

    pub(crate) fn light() -> Self {
        Self {
            with_many_lines: false,
            ..Self::new("")
        }
    }

    pub(crate) fn without_set_aside(self) -> Self {
        Self {
            with_set_aside: false,
            ..self
        }
    }

    /// The same, with more settings.
    pub(crate) fn light_with(settings: &str) -> Self {
        Self {
            drops: Drops::new(&format!("bad_lines_max = 2\n{settings}")),
            ..Self::light()
        }
    }

    /// The next file's name, and what must be appended of it.
    pub(crate) fn add_named(&mut self) -> Option<(String, Vec<String>)> {
        self.next += 1;
        let is_left_out = (self.next == SET_ASIDE && !self.with_set_aside)
            || (self.next == MANY_LINES && !self.with_many_lines);
        if is_left_out {
            self.next += 1;
        }
        let (text, expected) = file(self.next)?;
        let name = format!("f{}.txt", self.next);
        self.drops.put(&name, text);
        Some((name, expected))
    }
}

/// The file of many lines.
const MANY_LINES: usize = 2;
/// The file that has too many bad lines.
const SET_ASIDE: usize = 4;

fn file(number: usize) -> Option<(String, Vec<String>)> {
    let name = format!("f{number}.txt");
    let mut text = "SKU|QTY\n".to_owned();
    let mut expected = Vec::new();
    match number {
        1 => {
            text.push_str("A|1\nbroken\n\nB|\"two\nlines\"\n");
            expected = vec![
                format!("{name}:2: A|1"),
                format!("{name}:3! decode"),
                format!("{name}:5: B|two\nlines"),
            ];
        }
        // Two batches.
        MANY_LINES => {
            for line in 0..BATCH_RECORDS_MAX + 7 {
                text.push_str("x|\n");
                expected.push(format!("{name}:{}: x|", line + 2));
            }
        }
        // Nothing to send of it.
        3 => {}
        SET_ASIDE => {
            text.push_str("C|1\na\nb\nc\n");
            expected = vec![format!("{name}:0! source")];
        }
        // Two batches by their bytes.
        5 => {
            let wide = "y".repeat(30_000);
            for line in 0..100 {
                text.push_str(&format!("{line}|{wide}\n"));
                expected.push(format!("{name}:{}: {line}|{wide}", line + 2));
            }
        }
        6 => {
            text.push_str("D|4");
            expected = vec![format!("{name}:2: D|4")];
        }
        _ => return None,
    }
    Some((text, expected))
}

impl Place for Folder {
    fn source(&self) -> Box<dyn Source> {
        self.drops.source()
    }

    fn add(&mut self) -> Option<Vec<String>> {
        self.add_named().map(|(_, expected)| expected)
    }
}

#[test]
fn a_folder_conforms() {
    conformance::run(|| Folder::new(""));
}

#[test]
fn what_is_not_acked_is_read_again_by_an_agent_that_lost_its_buffer() {
    conformance::run_second_copy(|| Folder::new("").without_set_aside());
}
