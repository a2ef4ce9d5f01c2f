//! What is left of a chunk, as records of the stream. Pure.

use std::sync::Arc;

use dray_adapter::{IdScope, Report, Reported, Value};

use super::chunk::Chunk;
use super::held::Fate;
use super::seen::width;
use super::{Again, Stands};
use crate::reader::Ready;
use crate::rows::{About, Op, Rows};
use crate::watch::Watch;

/// Gives a chunk at a place, which then stands behind it. `None`: no row is left of it, and only the place is another.
///
/// # Errors
/// A sentence: the flow is to stop before rows of this shape.
pub(super) fn give<P: Stands>(
    flow: &str,
    chunk: Chunk,
    fates: Vec<Fate>,
    place: &mut P,
    watch: &mut Watch,
) -> Result<Option<Ready<P>>, String> {
    let Some(again) = place.wanted().first().cloned() else {
        return Ok(None);
    };
    let position = place.written();
    let (mut rows, mut reports) = (Rows::default(), Vec::new());
    let comes = fates.iter().any(|fate| *fate != Fate::Gone);
    if comes {
        let met = watch.meet(place.schemas_mut(), &again.table, &chunk.columns)?;
        reports.extend(met.map(|report| Reported {
            after: 0,
            ordinal: again.rows,
            report: Report::Schema(report),
        }));
    }
    for (record, fate) in chunk.records.iter().zip(&fates) {
        let width = width(record.shape());
        for at in 0..width {
            let value = match fate {
                Fate::Gone => continue,
                Fate::Now(cells) => cells[at].as_deref(),
                Fate::Comes => match record.value(at) {
                    Value::Text(text) => Some(text),
                    _ => None,
                },
            };
            rows.value(|out| {
                out.push_str(value.unwrap_or_default());
                value.is_some()
            });
        }
        if *fate == Fate::Gone {
            continue;
        }
        for _ in 0..width {
            rows.null();
        }
        let about = About {
            op: Op::Read,
            transaction: "",
            position: &position,
            committed_at: "",
            ordinal: again.rows + rows.len() as u64,
        };
        rows.end(record.shape(), &about);
    }
    if comes {
        place.told_here();
    }
    let scope = scope(flow, &again, place);
    advance(place, chunk, rows.len() as u64);
    Ok(comes.then(|| Ready {
        records: rows.take(),
        rejects: Vec::new(),
        reports,
        scope,
        change_position: Arc::clone(&position),
        place: place.clone(),
        ends: true,
    }))
}

/// No other load's, nor another place's.
fn scope<P: Stands>(flow: &str, again: &Again, place: &P) -> IdScope {
    let (asked, written) = (again.asked_us.to_be_bytes(), place.written());
    let table = again.table.as_bytes();
    place.scope(flow, &[b"load again", table, &asked, written.as_bytes()])
}

fn advance<P: Stands>(place: &mut P, chunk: Chunk, rows: u64) {
    if let Some(first) = place.wanted_mut().first_mut() {
        first.rows += rows;
        if !chunk.last.is_empty() {
            first.after = chunk.last;
        }
    }
}
