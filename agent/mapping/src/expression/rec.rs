//! `rec`: the present record as an object of the engine.
//!
//! The engine's objects own what they show, so the record's texts are copied into memory that is
//! used again: one copy a record that reaches the engine, no map of names.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use dray_adapter::{RecordView, Shape, Value as Cell};
use minijinja::value::{Enumerator, Object};
use minijinja::{Error, ErrorKind, Value};

use crate::convert::trimmed;
use crate::nearest::nearest;

/// The object and the context that holds it.
#[derive(Debug)]
pub(super) struct Rec {
    record: Arc<Record>,
    context: Value,
}

#[derive(Debug, Default)]
struct Record(Mutex<Copied>);

#[derive(Debug, Default)]
struct Copied {
    shape: Option<Arc<Shape>>,
    text: String,
    cells: Vec<At>,
    trim: bool,
    touched_unchanged: bool,
}

#[derive(Debug, Clone, Copy)]
enum At {
    Null,
    Unchanged,
    Text(usize, usize),
}

impl Rec {
    pub(super) fn new(name: &'static str) -> Self {
        let record = Arc::new(Record::default());
        let context = Value::from_object(Context {
            name,
            record: Value::from_dyn_object(Arc::clone(&record)),
        });
        Self { record, context }
    }

    /// What expressions are evaluated in.
    pub(super) fn context(&self) -> Value {
        self.context.clone()
    }

    /// Copies a record.
    pub(super) fn load(&self, record: RecordView<'_>) {
        let mut copied = self.record.copied();
        let copied = &mut *copied;
        if !copied
            .shape
            .as_ref()
            .is_some_and(|shape| Arc::ptr_eq(shape, record.shape()))
        {
            copied.shape = Some(Arc::clone(record.shape()));
        }
        copied.text.clear();
        copied.cells.clear();
        for index in 0..record.len() {
            let at = match record.value(index) {
                Cell::Text(text) => {
                    let start = copied.text.len();
                    copied.text.push_str(text);
                    At::Text(start, copied.text.len())
                }
                Cell::Unchanged => At::Unchanged,
                _ => At::Null,
            };
            copied.cells.push(at);
        }
    }

    /// Before each evaluation.
    pub(super) fn begin(&self, trim: bool) {
        let mut copied = self.record.copied();
        copied.trim = trim;
        copied.touched_unchanged = false;
    }

    /// Whether the evaluation looked at a value that the source did not send.
    pub(super) fn touched_unchanged(&self) -> bool {
        self.record.copied().touched_unchanged
    }
}

impl Record {
    fn copied(&self) -> MutexGuard<'_, Copied> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Object for Record {
    fn get_value(self: &Arc<Self>, key: &Value) -> Option<Value> {
        self.get_value_by_str(key.as_str()?)
    }

    fn get_value_by_str(self: &Arc<Self>, name: &str) -> Option<Value> {
        let mut copied = self.copied();
        let index = copied
            .shape
            .as_ref()?
            .columns
            .iter()
            .position(|column| column == name);
        let Some(index) = index else {
            let shape = copied.shape.as_ref()?;
            return Some(Value::from(Error::new(
                ErrorKind::UndefinedError,
                no_column(name, shape),
            )));
        };
        match copied.cells.get(index) {
            Some(At::Text(start, end)) => {
                let text = &copied.text[*start..*end];
                Some(Value::from(if copied.trim { trimmed(text) } else { text }))
            }
            Some(At::Unchanged) => {
                copied.touched_unchanged = true;
                Some(Value::from(""))
            }
            Some(At::Null) | None => Some(Value::from("")),
        }
    }

    fn enumerate(self: &Arc<Self>) -> Enumerator {
        let names = self
            .copied()
            .shape
            .as_ref()
            .map(|shape| shape.columns.clone())
            .unwrap_or_default();
        Enumerator::Iter(Box::new(names.into_iter().map(Value::from)))
    }
}

/// What is said of a column that isn't there.
#[cold]
pub(super) fn no_column(name: &str, shape: &Shape) -> String {
    match nearest(name, shape.columns.iter().map(String::as_str)) {
        Some(near) => format!("the record has no column {name}; did you mean {near}?"),
        None => format!("the record has no column {name}"),
    }
}

#[derive(Debug)]
struct Context {
    name: &'static str,
    record: Value,
}

impl Object for Context {
    fn get_value(self: &Arc<Self>, key: &Value) -> Option<Value> {
        self.get_value_by_str(key.as_str()?)
    }

    fn get_value_by_str(self: &Arc<Self>, name: &str) -> Option<Value> {
        (name == self.name).then(|| self.record.clone())
    }
}
