//! Expressions over a record: minijinja's, with fuel, without templates, loaders or includes.
//!
//! `rec` gives the columns as text (an empty text where there is no value). A column that the record
//! doesn't have is an error, even in a comparison: a misspelt condition must not quietly take
//! nothing. `default` fills empty text, since that is what a missing value is here.
//!
//! Most expressions in practice are comparisons and concatenations; those are run without the
//! engine ([`simple`]), with the same results.

mod rec;
mod simple;
#[cfg(test)]
mod tests;
mod trial;

use std::fmt;
use std::sync::LazyLock;

use dray_adapter::RecordView;
use minijinja::value::ValueKind;
use minijinja::{Environment, ErrorKind, Expression, UndefinedBehavior, Value};

use crate::nearest::instead;
use crate::shapes::Columns;
use rec::Rec;

/// Steps that one evaluation may take; 64 bytes of text that a filter makes or reads are one more. A
/// few hundred are many; a loop that runs away ends here within about a millisecond.
pub const FUEL: u64 = 20_000;

/// The name of the record in expressions.
const RECORD: &str = "rec";

static ENVIRONMENT: LazyLock<Environment<'static>> = LazyLock::new(|| {
    let mut environment = Environment::new();
    environment.set_undefined_behavior(UndefinedBehavior::Strict);
    environment.set_fuel(Some(FUEL));
    environment.add_filter("default", default);
    environment.add_filter("d", default);
    environment
});

fn default(value: Value, other: Option<Value>) -> Value {
    let empty = value.is_undefined() || value.is_none() || value.as_str() == Some("");
    if empty {
        other.unwrap_or_else(|| Value::from(""))
    } else {
        value
    }
}

/// A compiled expression.
pub(crate) struct Program {
    /// The columns that it names, as far as that can be seen without running it.
    pub(crate) columns: Vec<String>,
    source: String,
    /// Of a condition the engine's text may be another (`a or b` is one of the two), so only its
    /// truth is asked of the simple way.
    simple: Option<simple::Node>,
    full: Expression<'static, 'static>,
}

/// What an evaluation sees.
#[derive(Clone, Copy)]
pub(crate) struct Input<'a> {
    pub(crate) record: RecordView<'a>,
    /// Index of each known column in this record's shape.
    pub(crate) columns: &'a [u32],
    /// Whether `rec` gives trimmed texts.
    pub(crate) trim: bool,
}

/// What came out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// A text, perhaps empty.
    Text,
    /// The text of a floating point number.
    Float,
    /// It rests on a value that the source did not send.
    Unchanged,
}

impl Program {
    /// Compiles an expression and notes the columns that it names.
    ///
    /// # Errors
    /// Why it is none, in minijinja's words.
    pub(crate) fn compile(source: &str, columns: &mut Columns) -> Result<Self, String> {
        let full = ENVIRONMENT
            .compile_expression_owned(source.to_owned())
            .map_err(|error| explain(&error))?;
        let globals: Vec<&str> = ENVIRONMENT.globals().map(|(name, _)| name).collect();
        for name in full.undeclared_variables(false) {
            if name != RECORD && !globals.contains(&name.as_str()) {
                return Err(format!(
                    "it names \"{name}\", and only columns are known, as rec.COLUMN: write rec.{name}, or '{name}' for a text"
                ));
            }
        }
        trial::run(source, &full).map_err(|error| explain(&error))?;
        let prefix = format!("{RECORD}.");
        let mut named: Vec<String> = full
            .undeclared_variables(true)
            .into_iter()
            .filter_map(|name| name.strip_prefix(&prefix).map(str::to_owned))
            .collect();
        named.sort();
        let simple = simple::parse(source, columns);
        Ok(Self {
            columns: named,
            source: source.to_owned(),
            simple,
            full,
        })
    }

    #[cfg(test)]
    fn full(source: &str) -> Self {
        let full = ENVIRONMENT
            .compile_expression_owned(source.to_owned())
            .expect(source);
        Self {
            columns: Vec::new(),
            source: source.to_owned(),
            simple: None,
            full,
        }
    }
}

impl fmt::Debug for Program {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Program({:?})", self.source)
    }
}

/// Runs programs over one record after the other.
#[derive(Debug)]
pub(crate) struct Evaluator {
    rec: Rec,
    /// Whether `rec` holds the present record.
    holds_record: bool,
}

impl Evaluator {
    pub(crate) fn new() -> Self {
        Self {
            rec: Rec::new(RECORD),
            holds_record: false,
        }
    }

    /// To be called when another record's turn has come.
    #[inline]
    pub(crate) fn next_record(&mut self) {
        self.holds_record = false;
    }

    /// The result as text, in `out`, whose former content goes.
    ///
    /// # Errors
    /// Why there is none, as the end of a sentence that begins with the expression's place.
    pub(crate) fn text(
        &mut self,
        program: &Program,
        input: Input<'_>,
        out: &mut String,
    ) -> Result<Outcome, String> {
        out.clear();
        let Some(node) = program.simple.as_ref().filter(|node| !node.is_test()) else {
            let (value, unchanged) = self.run(&program.full, input)?;
            return if unchanged {
                Ok(Outcome::Unchanged)
            } else {
                render(&value, out)
            };
        };
        let mut unchanged = false;
        node.text(input, &mut unchanged, out)?;
        Ok(if unchanged {
            Outcome::Unchanged
        } else {
            Outcome::Text
        })
    }

    /// Whether the result is true: `true`, a number but zero, a text but the empty one.
    ///
    /// # Errors
    /// As [`Self::text`].
    pub(crate) fn holds(&mut self, program: &Program, input: Input<'_>) -> Result<bool, String> {
        let mut unchanged = false;
        let holds = match &program.simple {
            Some(node) => node.holds(input, &mut unchanged)?,
            None => {
                let (value, not_sent) = self.run(&program.full, input)?;
                unchanged = not_sent;
                value.is_true()
            }
        };
        if unchanged {
            return Err("rests on a column that the source did not send with this change".into());
        }
        Ok(holds)
    }

    fn run(
        &mut self,
        full: &Expression<'static, 'static>,
        input: Input<'_>,
    ) -> Result<(Value, bool), String> {
        if !self.holds_record {
            self.rec.load(input.record);
            self.holds_record = true;
        }
        self.rec.begin(input.trim);
        let value = full
            .eval(self.rec.context())
            .map_err(|error| format!("fails: {}", explain(&error)))?;
        Ok((value, self.rec.touched_unchanged()))
    }
}

fn render(value: &Value, out: &mut String) -> Result<Outcome, String> {
    use std::fmt::Write as _;
    match value.kind() {
        ValueKind::String => out.push_str(value.as_str().unwrap_or_default()),
        ValueKind::Undefined | ValueKind::None => {}
        // The engine itself would write "True", as Python does.
        ValueKind::Bool => out.push_str(if value.is_true() { "true" } else { "false" }),
        ValueKind::Number => {
            let _ = write!(out, "{value}");
            if !value.is_integer() {
                return Ok(Outcome::Float);
            }
        }
        other => return Err(format!("yields a {other} where a text is needed")),
    }
    Ok(Outcome::Text)
}

/// minijinja's sentence without its own place, which means nothing here.
#[cold]
fn explain(error: &minijinja::Error) -> String {
    if error.kind() == ErrorKind::OutOfFuel {
        return format!("it takes more than {FUEL} steps; make it simpler");
    }
    let filters = [
        "upper", "lower", "trim", "replace", "default", "title", "length", "int", "join", "split",
        "format",
    ];
    let said = match error.detail() {
        Some(detail) => format!("{}: {detail}", error.kind()),
        None => error.kind().to_string(),
    };
    match (error.kind(), error.detail().and_then(unknown_name)) {
        (ErrorKind::UnknownMethod, _) => {
            format!("{said}; a text has none: filters stand behind it, e.g. write rec.TYPE | trim")
        }
        (ErrorKind::UnknownFilter, Some(name)) => format!("{said}; {}", instead(name, filters)),
        _ => said,
    }
}

/// `filter uper is unknown` → `uper`.
fn unknown_name(detail: &str) -> Option<&str> {
    detail.split_whitespace().nth(1)
}
