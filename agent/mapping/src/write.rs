//! An event's bytes, in ascending field number as `prost` writes them.

use dray_adapter::{OPERATION_COLUMN, Origin, RecordView, Value as Cell};
use dray_proto::event::number;
use dray_proto::v1::Operation;
use dray_proto::{EventId, wire};

use crate::KEY_BYTES_MAX;
use crate::convert::trimmed;
use crate::error::{MapFailure, shown};
use crate::plan::{BodyPlan, GenericPlan, Leaf, Operations, Place, Plan, Step};
use crate::shapes::NO_COLUMN;
use crate::value::{Reading, Value};

/// What all events of a record share.
#[derive(Clone, Copy)]
pub(crate) struct Head<'a> {
    pub(crate) origin: &'a Origin,
    pub(crate) captured_us: i64,
    pub(crate) schema_version: u32,
}

/// Appends a record's event under one mapping.
///
/// # Errors
/// [`MapFailure`]; what was appended by then is the caller's to drop.
pub(crate) fn put_event(
    plan: &mut Plan,
    head: Head<'_>,
    reading: &mut Reading<'_>,
    out: &mut Vec<u8>,
) -> Result<(), MapFailure> {
    let row = *reading.record.row();
    let id = EventId::new(head.origin.scope.0, row.ordinal, plan.output);
    wire::put_bytes(out, number::ID, id.as_bytes());
    let key = put_key(&mut plan.key, reading, out);
    key.map_err(|failure| match told(plan.told, reading) {
        TRUNCATE => emptied(&reading.record.shape().record_type),
        _ => failure,
    })?;
    if let Some(leaf) = &mut plan.correlation_id {
        put_value(number::CORRELATION_ID, leaf.value(reading)?, out);
    }
    let operation = match &mut plan.operation {
        Operations::Told => operation_of(told(plan.told, reading)),
        Operations::Fixed(operation) => *operation,
        Operations::Leaf(leaf) => read_operation(leaf, reading)?,
    };
    wire::put_integer(out, number::OPERATION, operation as u64);
    if let Some(leaf) = &mut plan.occurred_at {
        put_value(number::OCCURRED_AT, leaf.value(reading)?, out);
    }
    let record_type = &reading.record.shape().record_type;
    put_tail(head, row.line, record_type, out);
    put_body(&mut plan.body, reading, out)
}

/// The source's word for a table that was emptied.
const TRUNCATE: &str = "truncate";

#[cold]
fn emptied(table: &str) -> MapFailure {
    MapFailure::map(format!(
        "the table {table} was emptied (TRUNCATE): all its rows are gone, the log names none of them, and an event needs a key; empty the target's too, or give it an event of its own: a mapping with when = \"rec._op == 'truncate'\" and key = {{ default = \"{table}\" }}, and when = \"rec._op != 'truncate'\" in the others"
    ))
}

/// Appends the envelope from the captured time to the provenance.
pub(crate) fn put_tail(head: Head<'_>, line: u64, record_type: &str, out: &mut Vec<u8>) {
    wire::put_timestamp(out, number::CAPTURED_AT, head.captured_us);
    wire::put_integer(out, number::SCHEMA_VERSION, u64::from(head.schema_version));
    let origin = head.origin;
    wire::put_message(out, number::PROVENANCE, |out| {
        wire::put_text(out, number::FILE, &origin.file);
        wire::put_integer(out, number::LINE, line);
        wire::put_text(out, number::MESSAGE_ID, &origin.message_id);
        wire::put_text(out, number::CHANGE_POSITION, &origin.change_position);
        wire::put_text(out, number::RECORD_TYPE, record_type);
    });
}

fn put_key(
    leaf: &mut Leaf,
    reading: &mut Reading<'_>,
    out: &mut Vec<u8>,
) -> Result<(), MapFailure> {
    match leaf.value(reading)? {
        Value::Text(key) if key.len() > KEY_BYTES_MAX => Err(MapFailure::map(format!(
            "key: {} has {} bytes, at most {KEY_BYTES_MAX} are allowed; a key should name one document or one stock item",
            shown(key),
            key.len()
        ))),
        Value::Text(key) => {
            wire::put_text(out, number::KEY, key);
            Ok(())
        }
        Value::Unchanged => Err(MapFailure::map(
            "key: the source did not send its value with this change; choose a key among the columns that come with it, or have the source send more (PostgreSQL: ALTER TABLE ... REPLICA IDENTITY FULL)".into(),
        )),
        _ => Err(MapFailure::map("key: it is empty, and every event needs one".into())),
    }
}

/// What happened to the record at its source, where that says it: of one that did not become an event, too.
pub(crate) fn operation_told(record: RecordView<'_>) -> Operation {
    let columns = record.shape().columns.iter();
    let at = { columns }.position(|name| name == OPERATION_COLUMN);
    match at.map(|at| record.value(at)) {
        Some(Cell::Text(text)) => operation_of(text),
        _ => Operation::Create,
    }
}

/// What the source says by its own column; empty: nothing.
fn told<'r>(slot: usize, reading: &Reading<'r>) -> &'r str {
    match reading.indexes[slot] {
        NO_COLUMN => "",
        index => match reading.record.value(index as usize) {
            Cell::Text(text) => text,
            _ => "",
        },
    }
}

/// The event's operation by the source's word. A file's column that happens to have that name says nothing by other words.
fn operation_of(told: &str) -> Operation {
    match told {
        "read" => Operation::Snapshot,
        "update" => Operation::Update,
        // What a table held is gone when it is emptied, too.
        "delete" | TRUNCATE => Operation::Delete,
        _ => Operation::Create,
    }
}

fn read_operation(leaf: &mut Leaf, reading: &mut Reading<'_>) -> Result<Operation, MapFailure> {
    let value = leaf.value(reading)?;
    let Value::Text(text) = value else {
        return Err(MapFailure::map(
            "operation: it is empty; set a default".into(),
        ));
    };
    operation_named(text).ok_or_else(|| {
        MapFailure::map(format!(
            "operation: {} is none of create, update, delete, snapshot; translate it with lookup",
            shown(text)
        ))
    })
}

/// The operation's words in the configuration.
pub(crate) const OPERATIONS: [(&str, Operation); 4] = [
    ("create", Operation::Create),
    ("update", Operation::Update),
    ("delete", Operation::Delete),
    ("snapshot", Operation::Snapshot),
];

/// The operation of this name.
pub(crate) fn operation_named(name: &str) -> Option<Operation> {
    OPERATIONS
        .iter()
        .find(|(known, _)| *known == name)
        .map(|(_, operation)| *operation)
}

fn put_body(
    body: &mut BodyPlan,
    reading: &mut Reading<'_>,
    out: &mut Vec<u8>,
) -> Result<(), MapFailure> {
    let mut result = Ok(());
    wire::put_message(out, body.number, |out| {
        if let Some(generic) = &body.generic {
            put_generic(generic, reading, out);
        }
        result = put_steps(&mut body.steps, reading, out);
    });
    result
}

fn put_generic(generic: &GenericPlan, reading: &Reading<'_>, out: &mut Vec<u8>) {
    let shape = reading.record.shape();
    let record_type = generic.record_type.as_ref().unwrap_or(&shape.record_type);
    wire::put_text(
        out,
        dray_proto::schema::GENERIC.fields[0].number,
        record_type,
    );
    let Some((number, own)) = &generic.all_columns else {
        return;
    };
    for (index, name) in shape.columns.iter().enumerate() {
        let text = match reading.record.value(index) {
            Cell::Text(text) => trimmed(text),
            Cell::Unchanged if !own.contains(name) => {
                wire::put_text(out, unchanged(), name);
                continue;
            }
            _ => continue,
        };
        if !text.is_empty() && !own.contains(name) {
            wire::put_entry(out, *number, name, text);
        }
    }
}

/// The number of the names whose values were not said.
fn unchanged() -> u32 {
    dray_proto::schema::GENERIC.fields[2].number
}

fn put_steps(
    steps: &mut [Step],
    reading: &mut Reading<'_>,
    out: &mut Vec<u8>,
) -> Result<(), MapFailure> {
    for step in steps {
        match step {
            Step::Leaf(Place::Field(number), leaf) => put_value(*number, leaf.value(reading)?, out),
            Step::Leaf(Place::Entry(number, name), leaf) => match leaf.value(reading)? {
                Value::Text(text) => wire::put_entry(out, *number, name, text),
                Value::Unchanged => wire::put_text(out, unchanged(), name),
                _ => {}
            },
            Step::Message { number, steps } => put_message(*number, steps, reading, out)?,
        }
    }
    Ok(())
}

/// A message without any value is left out.
fn put_message(
    number: u32,
    steps: &mut [Step],
    reading: &mut Reading<'_>,
    out: &mut Vec<u8>,
) -> Result<(), MapFailure> {
    let start = out.len();
    let mut result = Ok(());
    let mut is_empty = true;
    wire::put_message(out, number, |out| {
        let before = out.len();
        result = put_steps(steps, reading, out);
        is_empty = out.len() == before;
    });
    if is_empty {
        out.truncate(start);
    }
    result
}

#[inline]
fn put_value(number: u32, value: Value<'_>, out: &mut Vec<u8>) {
    match value {
        Value::Absent | Value::Unchanged => {}
        Value::Text(text) => wire::put_text(out, number, text),
        Value::Digits(digits) => wire::put_decimal(out, number, digits),
        Value::Micros(micros) => wire::put_timestamp(out, number, micros),
        Value::Integer(value) => wire::put_integer(out, number, value),
    }
}
