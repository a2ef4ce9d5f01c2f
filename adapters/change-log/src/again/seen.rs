//! What a change of the stream says of a table's keys. Pure.

use std::sync::Arc;

use dray_adapter::{RecordView, Shape, Value};

use super::Key;
use crate::rows::{ABOUT, Op};
use crate::schema::Described;

/// A cell of a change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Said {
    Unchanged,
    Now(Option<Box<str>>),
}

/// A change of the table.
#[derive(Debug)]
pub(super) enum Seen {
    /// These keys are told whole, or gone.
    Told(Vec<String>),
    /// A row is told in part.
    Partly {
        before: String,
        now: String,
        cells: Vec<Said>,
        shape: Arc<Shape>,
    },
    Emptied,
    /// Rows of this shape follow.
    Shape(Vec<Described>),
    /// Of some row.
    Unknown,
}

impl Seen {
    pub(super) fn of(record: &RecordView<'_>, key: &Key) -> Self {
        let width = width(record.shape());
        let is = |op: Op| record.value(2 * width) == Value::Text(op.word());
        if is(Op::Truncate) {
            return Self::Emptied;
        }
        let (before, now) = (key_of(record, key, width), key_of(record, key, 0));
        let keys = match () {
            () if is(Op::Create) => now.map(|now| vec![now]),
            () if is(Op::Delete) => before.map(|before| vec![before]),
            () => before.zip(now).map(|(before, now)| vec![before, now]),
        };
        let Some(mut keys) = keys else {
            return Self::Unknown;
        };
        let is_partly = is(Op::Update) && (0..width).any(|at| record.value(at) == Value::Unchanged);
        match (is_partly, keys.pop(), keys.pop()) {
            (true, Some(now), Some(before)) => Self::Partly {
                before,
                now,
                cells: (0..width).map(|at| said(record.value(at))).collect(),
                shape: Arc::clone(record.shape()),
            },
            (_, now, before) => Self::Told(now.into_iter().chain(before).collect()),
        }
    }

    /// What it takes in memory, about.
    pub(super) fn bytes(&self) -> usize {
        let texts = match self {
            Self::Told(keys) => keys.iter().map(String::len).sum(),
            Self::Partly {
                before, now, cells, ..
            } => {
                let cells = cells.iter().map(|cell| match cell {
                    Said::Now(Some(text)) => 24 + text.len(),
                    _ => 24,
                });
                before.len() + now.len() + cells.sum::<usize>()
            }
            Self::Shape(columns) => columns.len() * 128,
            Self::Emptied | Self::Unknown => 0,
        };
        texts + 128
    }
}

fn said(value: Value<'_>) -> Said {
    match value {
        Value::Unchanged => Said::Unchanged,
        Value::Text(text) => Said::Now(Some(text.into())),
        _ => Said::Now(None),
    }
}

/// Columns of the table in a record: it has each as it is and as it was.
pub(super) fn width(shape: &Shape) -> usize {
    shape.columns.len().saturating_sub(ABOUT.len()) / 2
}

/// A row's key as one text; `None` where a part of it is not told. `from`: where its cells begin.
pub(super) fn key_of(record: &RecordView<'_>, key: &Key, from: usize) -> Option<String> {
    let mut text = String::new();
    let columns = &record.shape().columns;
    for (name, _) in key {
        let at = columns[..width(record.shape())]
            .iter()
            .position(|column| column == name)?;
        let Value::Text(value) = record.value(from + at) else {
            return None;
        };
        // No two keys are one text.
        text.push_str(&value.len().to_string());
        text.push(':');
        text.push_str(value);
    }
    Some(text)
}
