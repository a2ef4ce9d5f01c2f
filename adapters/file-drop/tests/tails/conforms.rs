//! The suite of every source.

use dray_adapter::conformance::{self, Place};
use dray_adapter::{BATCH_RECORDS_MAX, Source};

use crate::support::Logs;

/// A log that grows, is renamed and copied, and begins again.
struct Rotating {
    logs: Logs,
    next: usize,
}

impl Rotating {
    fn new() -> Self {
        Self {
            logs: Logs::new(
                "format.kind = \"csv\"\nformat.delimiter = \"|\"\nformat.columns = [\"SKU\", \"QTY\"]\nformat.header = true\n",
            ),
            next: 0,
        }
    }
}

const HEADER: &str = "SKU|QTY\n";

impl Place for Rotating {
    fn source(&self) -> Box<dyn Source> {
        self.logs.source()
    }

    fn add(&mut self) -> Option<Vec<String>> {
        self.next += 1;
        let logs = &self.logs;
        let line = |line: usize, cells: &str| format!("app.log:{line}: {cells}");
        Some(match self.next {
            1 => {
                logs.create(
                    "app.log",
                    format!("{HEADER}A|1\nbroken\n\nB|\"two\nlines\"\nC|"),
                );
                vec![
                    line(2, "A|1"),
                    "app.log:3! decode".into(),
                    line(5, "B|two\nlines"),
                ]
            }
            2 => {
                logs.append("app.log", "3\n");
                vec![line(7, "C|3")]
            }
            3 => {
                logs.rename("app.log", "app.log.1");
                logs.create("app.log", format!("{HEADER}D|1\n"));
                vec![line(2, "D|1")]
            }
            // Two batches.
            4 => {
                let lines = BATCH_RECORDS_MAX + 7;
                logs.append("app.log", "x|\n".repeat(lines));
                (0..lines).map(|number| line(number + 3, "x|")).collect()
            }
            5 => {
                logs.rename("app.log.1", "app.log.2");
                logs.rename("app.log", "app.log.1");
                logs.create("app.log", HEADER);
                logs.append("app.log", "A|1\r\nE|5\r\n");
                vec![line(2, "A|1"), line(3, "E|5")]
            }
            6 => {
                logs.append("app.log", "F|6\nnever ended");
                vec![line(4, "F|6")]
            }
            _ => return None,
        })
    }
}

#[test]
fn growing_and_rotated_files_conform() {
    conformance::run(Rotating::new);
}
