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

use std::fmt;
use std::sync::LazyLock;

use dray_adapter::RecordView;
use minijinja::value::ValueKind;
use minijinja::{Environment, ErrorKind, Expression, UndefinedBehavior, Value};

use crate::nearest::instead;
use crate::shapes::Columns;
use rec::Rec;

/// Steps that one evaluation may take: a few hundred are many; a loop that runs away ends here
/// within about a millisecond.
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
        (ErrorKind::UnknownFilter, Some(name)) => format!("{said}; {}", instead(name, filters)),
        _ => said,
    }
}

/// `filter uper is unknown` → `uper`.
fn unknown_name(detail: &str) -> Option<&str> {
    detail.split_whitespace().nth(1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use dray_adapter::{RawAt, Records, Shape};
    use std::sync::Arc;

    const COLUMNS: [&str; 6] = ["TYPE", "WH", "SKU", "QTY", "EMPTY", "GONE"];

    fn records() -> Records {
        let shape = Arc::new(Shape {
            record_type: String::new(),
            columns: COLUMNS.map(str::to_owned).to_vec(),
        });
        let mut records = Records::default();
        let line = records.push_text("S  WH1sku-77 12größe");
        records.begin(&shape, 0, 1, RawAt::Text(line));
        for (start, end) in [(0, 3), (3, 6), (6, 12), (12, 15), (15, 15)] {
            records.cell(line.part(start, end));
        }
        records.cell_unchanged();
        records
    }

    fn run(
        program: &Program,
        columns: &Columns,
        trim: bool,
    ) -> (Result<String, String>, Result<bool, String>) {
        let records = records();
        let record = records.get(0).expect("a record");
        let indexes = columns.resolve(record.shape());
        let input = Input {
            record,
            columns: &indexes,
            trim,
        };
        let mut evaluator = Evaluator::new();
        let mut out = String::new();
        let text = evaluator.text(program, input, &mut out);
        let text = text.map(|outcome| match outcome {
            Outcome::Text => out,
            Outcome::Float => format!("float {out}"),
            Outcome::Unchanged => "unchanged".into(),
        });
        (text, evaluator.holds(program, input))
    }

    /// Compiles the expression and holds the simple way to the engine's.
    fn check(source: &str, simple: bool, expected: Result<&str, &str>) {
        let mut columns = Columns::default();
        let program = Program::compile(source, &mut columns).expect(source);
        assert_eq!(program.simple.is_some(), simple, "{source}");
        let full = Program::full(source);
        for trim in [true, false] {
            let (by_hand, engine) = (run(&program, &columns, trim), run(&full, &columns, trim));
            assert_eq!(by_hand, engine, "{source}");
        }
        let (text, _) = run(&full, &columns, true);
        match (text, expected) {
            (Ok(text), Ok(expected)) => assert_eq!(text, expected, "{source}"),
            (Err(reason), Err(part)) => assert!(reason.contains(part), "{source}: {reason}"),
            (other, _) => panic!("{source}: {other:?}"),
        }
    }

    #[test]
    fn expressions_yield_texts() {
        for (source, simple, expected) in [
            ("rec.WH", true, Ok("WH1")),
            ("rec.WH ~ '/' ~ rec.SKU", true, Ok("WH1/sku-77")),
            ("rec.SKU | upper", true, Ok("SKU-77")),
            ("'x' ~ rec.SKU | upper ~ \"y\"", true, Ok("xSKU-77y")),
            ("rec['WH'] | lower", true, Ok("wh1")),
            ("rec.EMPTY | default('none')", true, Ok("none")),
            ("rec.WH | default('none')", true, Ok("WH1")),
            ("rec.SKU | replace('sku', 'item')", false, Ok("item-77")),
            ("rec.QTY | int * 2", false, Ok("24")),
            ("rec.QTY | float * 2", false, Ok("float 24.0")),
            ("rec.SKU[4:]", false, Ok("77")),
            ("'A' if rec.TYPE == 'S' else 'B'", false, Ok("A")),
            ("'ümlaut' ~ rec.EMPTY", true, Ok("ümlaut")),
            ("rec.GONE", true, Ok("unchanged")),
            ("rec.GONE ~ 'x'", true, Ok("unchanged")),
            ("none", false, Ok("")),
            ("rec.MISSING", true, Err("the record has no column MISSING")),
            (
                "rec.MISSING == 'x'",
                true,
                Err("the record has no column MISSING"),
            ),
            (
                "['a']",
                false,
                Err("yields a sequence where a text is needed"),
            ),
        ] {
            check(source, simple, expected);
        }
    }

    #[test]
    fn conditions_hold_or_do_not() {
        for (source, simple, expected) in [
            ("rec.TYPE == 'S'", true, "true"),
            ("rec.TYPE != 'S'", true, "false"),
            ("'S' == rec.TYPE", true, "true"),
            ("rec.TYPE == 'S' and rec.WH == 'WH2'", true, "false"),
            ("rec.TYPE == 'X' or rec.WH == 'WH1'", true, "true"),
            (
                "rec.TYPE == 'X' or rec.WH == 'WH1' and rec.SKU == 'no'",
                true,
                "false",
            ),
            ("not rec.TYPE == 'X'", true, "true"),
            (
                "not (rec.TYPE == 'S' or rec.WH == 'x') and rec.WH == 'WH1'",
                true,
                "false",
            ),
            ("rec.TYPE in ['A', 'S']", true, "true"),
            ("rec.TYPE in ('A', 'B')", true, "false"),
            ("rec.TYPE not in ['A', 'B']", true, "true"),
            ("rec.WH ~ rec.TYPE == 'WH1S'", true, "true"),
            ("rec.SKU | upper == 'SKU-77'", true, "true"),
            ("rec.TYPE == 'S' and rec.TYPE == 'S' == 'S'", false, "true"),
            ("rec.QTY | int > 5", false, "true"),
            ("rec.SKU is startingwith('sku')", false, "true"),
            ("rec.TYPE == 5", false, "false"),
        ] {
            check(source, simple, Ok(expected));
        }
        // Where the engine yields the last text rather than true.
        for (source, expected) in [
            ("rec.EMPTY or rec.WH", "WH1"),
            ("rec.WH and rec.EMPTY", ""),
            ("not rec.EMPTY", "true"),
        ] {
            check(source, true, Ok(expected));
        }
    }

    #[test]
    fn a_condition_over_an_unsent_value_is_a_failure() {
        let mut columns = Columns::default();
        for source in ["rec.GONE == 'x'", "rec.GONE | length > 2"] {
            let program = Program::compile(source, &mut columns).expect(source);
            let (_, holds) = run(&program, &columns, true);
            assert!(
                holds.is_err_and(|reason| reason.contains("did not send")),
                "{source}"
            );
        }
    }

    #[test]
    fn fuel_ends_what_runs_away() {
        let mut columns = Columns::default();
        let source = "range(10000) | map('string') | join(rec.WH)";
        let program = Program::compile(source, &mut columns).expect(source);
        let (text, _) = run(&program, &columns, true);
        assert_eq!(
            text,
            Err("fails: it takes more than 20000 steps; make it simpler".into())
        );
    }

    #[test]
    fn bad_expressions_are_refused_at_load_with_the_engines_words() {
        for (source, part) in [
            ("rec.TYPE ==", "syntax error: unexpected end of input"),
            ("TYPE == 'S'", "write rec.TYPE, or 'TYPE' for a text"),
            ("rec.TYPE == 'S", "syntax error"),
        ] {
            let refused = Program::compile(source, &mut Columns::default()).expect_err(source);
            assert!(refused.contains(part), "{source}: {refused}");
        }
    }

    #[test]
    fn the_columns_of_an_expression_are_known() {
        let program = Program::compile(
            "rec.A ~ 'x' if rec.B == 'S' else rec['C']",
            &mut Columns::default(),
        );
        let columns = program.expect("an expression").columns;
        assert!(
            columns.starts_with(&["A".into(), "B".into()]),
            "{columns:?}"
        );
    }

    fn atom() -> impl proptest::strategy::Strategy<Value = String> {
        use proptest::prelude::*;
        let text = prop_oneof![
            Just("rec.TYPE"),
            Just("rec.WH"),
            Just("rec.EMPTY"),
            Just("rec['SKU']"),
            Just("'S'"),
            Just("''"),
            Just("\"WH1\""),
            Just("rec.GONE"),
            Just("rec.MISSING"),
        ];
        let filter = prop_oneof![
            Just(""),
            Just(" | upper"),
            Just("|lower"),
            Just(" | default('S')"),
            Just(" | trim")
        ];
        (text, filter).prop_map(|(text, filter)| format!("{text}{filter}"))
    }

    fn expression() -> impl proptest::strategy::Strategy<Value = String> {
        use proptest::prelude::*;
        let concat = proptest::collection::vec(atom(), 1..3)
            .prop_map(|atoms| atoms.join(" ~ "))
            .boxed();
        let compared = (
            concat.clone(),
            prop_oneof![Just("=="), Just("!=")],
            concat.clone(),
        )
            .prop_map(|(left, operator, right)| format!("{left} {operator} {right}"));
        let within = (atom(), prop_oneof![Just("in"), Just("not in")])
            .prop_map(|(left, operator)| format!("{left} {operator} ['S', 'WH1', '']"));
        let leaf = prop_oneof![concat, compared, within];
        leaf.prop_recursive(3, 12, 2, |inner| {
            prop_oneof![
                (
                    inner.clone(),
                    prop_oneof![Just("and"), Just("or")],
                    inner.clone()
                )
                    .prop_map(|(left, operator, right)| format!("{left} {operator} {right}")),
                inner.clone().prop_map(|inner| format!("({inner})")),
                inner.prop_map(|inner| format!("not {inner}")),
            ]
        })
    }

    proptest::proptest! {
        #[test]
        fn the_simple_way_does_what_the_engine_does(source in expression()) {
            let mut columns = Columns::default();
            let program = Program::compile(&source, &mut columns).expect("an expression");
            let full = Program::full(&source);
            let (by_hand, engine) = (run(&program, &columns, true), run(&full, &columns, true));
            proptest::prop_assert_eq!(by_hand, engine, "{}", source);
        }
    }
}
