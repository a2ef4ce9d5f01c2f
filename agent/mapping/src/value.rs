//! A field's value: from its column or expression, through its converter.

use dray_adapter::{RecordView, Value as Cell};

use crate::convert::check::Checks;
use crate::convert::lookup::Meaning;
use crate::convert::{integer, trimmed};
use crate::error::{MapFailure, shown};
use crate::expression::{Evaluator, Input, Outcome, Program};
use crate::plan::{Constant, Convert, Leaf, Source, TextRule};
use crate::shapes::{Columns, NO_COLUMN, no_such_column};

/// A record and the memory that its values are made in.
pub(crate) struct Reading<'a> {
    pub(crate) record: RecordView<'a>,
    /// Index by slot.
    pub(crate) indexes: &'a [u32],
    pub(crate) columns: &'a Columns,
    pub(crate) evaluator: &'a mut Evaluator,
    /// For an expression's result.
    pub(crate) text: &'a mut String,
    /// For what a converter makes.
    pub(crate) room: &'a mut String,
}

/// A converted value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Value<'v> {
    Absent,
    /// The source didn't send it.
    Unchanged,
    Text(&'v str),
    /// Of a decimal.
    Digits(&'v str),
    /// Since 1970-01-01T00:00:00Z.
    Micros(i64),
    Integer(u64),
}

/// A text before it is converted.
enum Got<'g> {
    Unchanged,
    Text(&'g str),
    /// A floating point number's.
    Float(&'g str),
}

impl Leaf {
    /// The record's value for this field.
    ///
    /// # Errors
    /// A sentence that names column, field and value.
    #[inline]
    pub(crate) fn value<'v>(
        &'v mut self,
        reading: &'v mut Reading<'_>,
    ) -> Result<Value<'v>, MapFailure> {
        let Reading {
            record,
            indexes,
            columns,
            evaluator,
            text,
            room,
        } = reading;
        let about = About {
            name: &self.name,
            source: &self.source,
            indexes,
            columns,
        };
        let got = match &self.source {
            Source::Column(slot) => {
                let index = indexes[*slot];
                if index == NO_COLUMN {
                    return Err(about.no_column(*record, *slot));
                }
                match record.value(index as usize) {
                    Cell::Text(text) => Got::Text(text),
                    Cell::Unchanged => Got::Unchanged,
                    _ => Got::Text(""),
                }
            }
            Source::Program(program) => {
                let input = Input {
                    record: *record,
                    columns: indexes,
                    trim: self.trim,
                };
                run(evaluator, program, input, text).map_err(|reason| about.failure(&reason))?
            }
            Source::Nowhere => Got::Text(""),
        };
        let (text, is_float) = match got {
            Got::Unchanged => return Ok(Value::Unchanged),
            Got::Text(text) => (text, false),
            Got::Float(text) => (text, true),
        };
        let is_text = matches!(self.convert, Convert::Text(_));
        let text = if self.trim || !is_text {
            trimmed(text)
        } else {
            text
        };
        if text.is_empty() {
            return absent(self.default.as_ref(), self.required, &about);
        }
        let refused = |reason: &str| about.refused(text, reason);
        let value = match &mut self.convert {
            Convert::Text(rule) => rule.value(text, self.default.as_ref(), self.required, &about),
            Convert::Date(rule) => rule
                .text(text, room)
                .map(Value::Text)
                .map_err(|reason| refused(&reason)),
            Convert::Decimal(_) if is_float => Err(refused(
                "is a floating point number, which is not exact; leave the number as text, or use implied_decimals",
            )),
            Convert::Decimal(rule) => rule
                .digits(text, room)
                .map(Value::Digits)
                .map_err(|fault| refused(&rule.explain(fault))),
            Convert::Timestamp(rule) => rule
                .micros(text)
                .map(Value::Micros)
                .map_err(|reason| refused(&reason)),
            Convert::Integer => integer(text)
                .map(Value::Integer)
                .ok_or_else(|| refused("is not a whole number from 0")),
        }?;
        match &self.checks {
            None => Ok(value),
            Some(checks) => checked(checks, value, &about),
        }
    }
}

/// A value that is what the field's rules say.
fn checked<'v>(
    checks: &Checks,
    value: Value<'v>,
    about: &About<'_>,
) -> Result<Value<'v>, MapFailure> {
    let broken = |text: &str| match checks.broken(text) {
        Some(reason) => Err(about.refused(text, &reason)),
        None => Ok(()),
    };
    match value {
        Value::Text(text) | Value::Digits(text) => broken(text)?,
        Value::Integer(number) => broken(&number.to_string())?,
        Value::Absent | Value::Unchanged | Value::Micros(_) => {}
    }
    Ok(value)
}

fn run<'t>(
    evaluator: &mut Evaluator,
    program: &Program,
    input: Input<'_>,
    text: &'t mut String,
) -> Result<Got<'t>, String> {
    Ok(match evaluator.text(program, input, text)? {
        Outcome::Text => Got::Text(text),
        Outcome::Float => Got::Float(text),
        Outcome::Unchanged => Got::Unchanged,
    })
}

fn absent<'v>(
    default: Option<&'v Constant>,
    required: bool,
    about: &About<'_>,
) -> Result<Value<'v>, MapFailure> {
    match default {
        Some(Constant::Text(text)) => Ok(Value::Text(text)),
        Some(Constant::Digits(digits)) => Ok(Value::Digits(digits)),
        Some(Constant::Micros(micros)) => Ok(Value::Micros(*micros)),
        Some(Constant::Integer(value)) => Ok(Value::Integer(*value)),
        None if required => Err(about.failure("is empty, and the field is required")),
        None => Ok(Value::Absent),
    }
}

impl TextRule {
    #[inline]
    fn value<'v>(
        &'v self,
        text: &'v str,
        default: Option<&'v Constant>,
        required: bool,
        about: &About<'_>,
    ) -> Result<Value<'v>, MapFailure> {
        let text = match self.lookup.as_ref().map(|lookup| lookup.meaning(text)) {
            None => text,
            Some(Meaning::Text("") | Meaning::Default) => return absent(default, required, about),
            Some(Meaning::Text(text)) => text,
            Some(Meaning::Unknown) => {
                return Err(about.refused(
                    text,
                    "is not in the field's lookup; add it there, or set lookup_else",
                ));
            }
        };
        match self.max_length {
            Some(max) if text.len() > max as usize && text.chars().count() > max as usize => {
                let count = text.chars().count();
                Err(about.refused(
                    text,
                    &format!("has {count} characters, max_length is {max}"),
                ))
            }
            _ => Ok(Value::Text(text)),
        }
    }
}

/// What a sentence says of where a value was read.
struct About<'a> {
    name: &'a str,
    source: &'a Source,
    indexes: &'a [u32],
    columns: &'a Columns,
}

impl About<'_> {
    /// `column 7 (QTY) for line.quantity`, counted from 1.
    #[cold]
    fn place(&self) -> String {
        match self.source {
            Source::Column(slot) => {
                format!(
                    "column {} ({}) for {}",
                    self.indexes[*slot] + 1,
                    self.columns.name(*slot),
                    self.name
                )
            }
            _ => format!("the expression of {}", self.name),
        }
    }

    #[cold]
    fn failure(&self, reason: &str) -> MapFailure {
        MapFailure::map(format!("{} {reason}", self.place()))
    }

    #[cold]
    fn refused(&self, value: &str, reason: &str) -> MapFailure {
        MapFailure::map(format!("{}: {} {reason}", self.place(), shown(value)))
    }

    #[cold]
    fn no_column(&self, record: RecordView<'_>, slot: usize) -> MapFailure {
        let sentence = no_such_column(self.columns.name(slot), record.shape());
        MapFailure::map(format!("{}: {sentence}", self.name))
    }
}
