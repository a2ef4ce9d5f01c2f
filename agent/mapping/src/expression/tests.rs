//! Expressions yield what they say, by hand as by the engine.

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
        ("rec.TYPE | uper", "did you mean \"upper\"?"),
        ("rec.TYPE is nuber", "nuber is unknown"),
        ("rec.TYPE.strip()", "write rec.TYPE | trim"),
        (
            "rec.A | trim | uper if rec.TYPE == 'SHIP' else ''",
            "did you mean \"upper\"?",
        ),
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
