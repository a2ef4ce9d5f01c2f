//! What services say.

use super::super::super::envelope::Version;
use super::super::super::fault::{Fault, enveloped};
use super::service::Served;

/// A movement.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Movement {
    pub(super) id: String,
    pub(super) seq: u64,
}

pub(super) fn movement(seq: u64) -> Movement {
    Movement {
        id: format!("mv-{seq:03}"),
        seq,
    }
}

/// An answer with these records, one a line. `around`: other elements behind them.
pub(super) fn answer(movements: &[Movement], around: &str) -> String {
    let mut records = String::new();
    for Movement { id, seq } in movements {
        records += &format!(
            "\n<w:Movement><w:Id>{id}</w:Id><w:Qty>{}</w:Qty><w:Seq>{seq}</w:Seq></w:Movement>",
            seq % 7
        );
    }
    body(&format!(
        "<w:ListResponse xmlns:w=\"urn:example:wms\">{records}\n{around}</w:ListResponse>"
    ))
}

pub(super) fn body(content: &str) -> String {
    enveloped(Version::V11, content)
}

/// A page by its records' numbers, and what names the next.
pub(super) fn page(numbers: impl IntoIterator<Item = u64>, next: &str) -> Served {
    let movements: Vec<Movement> = numbers.into_iter().map(movement).collect();
    Served::new(200, answer(&movements, &format!("<w:Next>{next}</w:Next>")))
}

pub(super) fn fault(fault: &Fault) -> Served {
    Served::new(500, fault.written(Version::V11))
}
