//! The mapper: a flow's mappings, ready to run.

use dray_adapter::{Origin, RecordView, Shape};
use dray_proto::block::EVENT_BYTES_MAX;
use dray_proto::v1::DeadLetterStage;

use crate::compile::{self, columns_of};
use crate::config::MappingConfig;
use crate::error::{MapFailure, MappingError};
use crate::expression::{Evaluator, Input};
use crate::plan::Plan;
use crate::shapes::{Columns, Shapes, no_such_column};
use crate::value::Reading;
use crate::write::{Head, put_event};

/// Memory for events that is kept between records; what a large one took is given back.
const KEPT_BYTES_MAX: usize = 1024 * 1024;

/// A flow's mappings, compiled once; its memory is used again for every record.
#[derive(Debug)]
pub struct Mapper {
    plans: Vec<Plan>,
    columns: Columns,
    shapes: Shapes,
    evaluator: Evaluator,
    pub(crate) schema_version: u32,
    /// The present record's events, one after the other, and where each ends.
    events: Vec<u8>,
    ends: Vec<usize>,
    text: String,
    room: String,
}

impl Mapper {
    /// Compiles a flow's mappings. `schema_version`, from 1, goes with every event.
    ///
    /// # Errors
    /// Everything that is wrong with any of them.
    pub fn compile(
        mappings: &[MappingConfig],
        schema_version: u32,
    ) -> Result<Self, Vec<MappingError>> {
        let (plans, columns) = compile::compile(mappings)?;
        Ok(Self {
            plans,
            columns,
            shapes: Shapes::default(),
            evaluator: Evaluator::new(),
            schema_version,
            events: Vec::new(),
            ends: Vec::new(),
            text: String::new(),
            room: String::new(),
        })
    }

    /// What doesn't fit records of this shape: columns that the mappings name and it doesn't have, and
    /// types where it knows none. For `check`: at run time each such record is a failure, or taken by
    /// nothing.
    #[must_use]
    pub fn check_columns(&self, shape: &Shape) -> Vec<MappingError> {
        let mut errors = Vec::new();
        for plan in &self.plans {
            let mut note = |field: &str, reason: String| {
                let mapping = usize::from(plan.output);
                errors.push(MappingError {
                    mapping,
                    field: Some(field.to_owned()),
                    reason,
                    span: None,
                });
            };
            if !plan.takes(shape) {
                if shape.record_type.is_empty() {
                    note(
                        "record_type",
                        "the records of this source have no type; choose them with when = \"...\""
                            .into(),
                    );
                }
                continue;
            }
            let of_when = plan.when.iter().flat_map(|when| &when.columns);
            let of_when = of_when.map(|name| ("when", name.as_str()));
            let of_fields = plan.leaves().into_iter().flat_map(|leaf| {
                columns_of(leaf, &self.columns)
                    .into_iter()
                    .map(|name| (&*leaf.name, name))
            });
            for (field, name) in of_when.chain(of_fields) {
                if !shape.columns.iter().any(|column| column == name) {
                    note(field, no_such_column(name, shape));
                }
            }
        }
        errors
    }

    /// Columns on which keys of records of this shape rest, each with its mapping's number, from 0, where that takes all of them.
    #[must_use]
    pub fn key_columns(&self, shape: &Shape) -> Vec<(usize, &str)> {
        let plans = self.plans.iter();
        let plans = plans.filter(|plan| plan.takes(shape) && plan.when.is_none());
        let columns = plans.flat_map(|plan| {
            let columns = columns_of(&plan.key, &self.columns).into_iter();
            columns.map(|name| (usize::from(plan.output), name))
        });
        columns.collect()
    }

    /// Hands the record's events to `sink`, encoded, in the order of the mappings, and says how many;
    /// 0 when no mapping takes it.
    ///
    /// `captured_us`: microseconds since 1970-01-01T00:00:00Z.
    ///
    /// # Errors
    /// [`MapFailure`]; `sink` was not called then.
    pub fn map(
        &mut self,
        origin: &Origin,
        captured_us: i64,
        record: RecordView<'_>,
        sink: &mut dyn FnMut(&[u8]),
    ) -> Result<usize, MapFailure> {
        let head = Head {
            origin,
            captured_us,
            schema_version: self.schema_version,
        };
        let Self {
            plans,
            columns,
            shapes,
            evaluator,
            events,
            ends,
            text,
            room,
            ..
        } = self;
        clear(events);
        ends.clear();
        evaluator.next_record();
        let resolved = shapes.of(record.shape(), |shape| {
            (
                columns.resolve(shape),
                plans.iter().map(|plan| plan.takes(shape)).collect(),
            )
        });
        let mut reading = Reading {
            record,
            indexes: &resolved.columns,
            columns,
            evaluator,
            text,
            room,
        };
        for (plan, takes) in plans.iter_mut().zip(&resolved.takes) {
            if !takes || !holds(plan, &mut reading)? {
                continue;
            }
            let start = events.len();
            put_event(plan, head, &mut reading, events)?;
            check_size(events.len() - start)?;
            ends.push(events.len());
        }
        let mut start = 0;
        for end in ends.iter() {
            sink(&events[start..*end]);
            start = *end;
        }
        Ok(ends.len())
    }
}

#[inline]
fn clear(events: &mut Vec<u8>) {
    if events.capacity() > KEPT_BYTES_MAX {
        *events = Vec::new();
    }
    events.clear();
}

#[inline]
fn holds(plan: &Plan, reading: &mut Reading<'_>) -> Result<bool, MapFailure> {
    let Some(when) = &plan.when else {
        return Ok(true);
    };
    let input = Input {
        record: reading.record,
        columns: reading.indexes,
        trim: true,
    };
    reading.evaluator.holds(when, input).map_err(|reason| {
        let way_out = match reading.record.shape().record_type.as_str() {
            other if plan.record_type.is_none() && !other.is_empty() => {
                format!(" (if it is not meant for records of type {other}, set record_type)")
            }
            _ => String::new(),
        };
        MapFailure::map(format!(
            "the condition (when) of mapping {} {reason}{way_out}",
            plan.output + 1
        ))
    })
}

#[inline]
fn check_size(bytes: usize) -> Result<(), MapFailure> {
    if bytes <= EVENT_BYTES_MAX {
        return Ok(());
    }
    let reason = format!(
        "the event has {bytes} bytes, at most {EVENT_BYTES_MAX} can be sent; map fewer columns"
    );
    Err(MapFailure {
        stage: DeadLetterStage::Size,
        reason,
    })
}
