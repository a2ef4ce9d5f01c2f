//! What is wrong is said in sentences with the way out: with a record, and with the configuration.

use crate::site::{compile, mapper, pairs, record, refused, shape};
use dray_proto::v1::DeadLetterStage;

const FIELDS: &str = r#"
    [[mapping]]
    body = "shipment"
    key = "NO"
    operation = { from = "OP", default = "create" }
    [mapping.fields]
    shipment_number = { from = "NO", required = true, max_length = 12 }
    status = { from = "ST", lookup = { S = "SHIPPED" } }
    shipped_at = { from = "TS", format = "%Y%m%d%H%M%S", zone = "Europe/Berlin" }
    warehouse = { from = "WH", required = true }
    "line.quantity" = "QTY"
    "line.unit" = { expr = "rec.UNIT | replace('x', 'y') | int" }
    carrier = { expr = "rec.CARRIER" }
"#;

fn failure(column: &str, value: &str) -> String {
    let mut values = [
        ("NO", "1"),
        ("OP", ""),
        ("ST", "S"),
        ("TS", "20261123071500"),
        ("WH", "W"),
        ("QTY", "1"),
        ("UNIT", "1"),
        ("CARRIER", ""),
    ];
    let cell = values
        .iter_mut()
        .find(|(name, _)| *name == column)
        .expect("a column");
    cell.1 = value;
    let failure = refused(&mut mapper(FIELDS), &pairs(&values));
    assert_eq!(failure.stage, DeadLetterStage::Map);
    failure.to_string()
}

#[test]
fn what_does_not_fit_names_column_field_and_value() {
    let long = "9".repeat(100);
    for (column, value, expected) in [
        ("QTY", "1O", "column 6 (QTY) for line.quantity: \"1O\" is not a decimal number".to_owned()),
        (
            "QTY",
            "1,5",
            "column 6 (QTY) for line.quantity: \"1,5\" is not a decimal number; if the comma is the decimal sign, set decimal_comma = true".into(),
        ),
        (
            "QTY",
            &long,
            format!(
                "column 6 (QTY) for line.quantity: \"{}\" (and 20 characters more) has more than the 64 characters that a decimal may have",
                "9".repeat(80)
            ),
        ),
        ("QTY", "a\"\u{7}b", "column 6 (QTY) for line.quantity: \"a\\\"\\u{7}b\" is not a decimal number".into()),
        ("WH", " ", "column 5 (WH) for warehouse is empty, and the field is required".into()),
        ("ST", "Q", "column 3 (ST) for status: \"Q\" is not in the field's lookup; add it there, or set lookup_else".into()),
        (
            "TS",
            "2026112307150",
            "column 4 (TS) for shipped_at: \"2026112307150\" is not a time as %Y%m%d%H%M%S: it has 13 characters instead of 14".into(),
        ),
        ("NO", "1234567890123", "column 1 (NO) for shipment_number: \"1234567890123\" has 13 characters, max_length is 12".into()),
        ("NO", "", "column 1 (NO) for key is empty, and the field is required".into()),
        (
            "OP",
            "X",
            "operation: \"X\" is none of create, update, delete, snapshot; translate it with lookup".into(),
        ),
    ] {
        assert_eq!(failure(column, value), expected);
    }
    let reason = failure("UNIT", "axb");
    assert!(
        reason.starts_with("the expression of line.unit fails: invalid operation"),
        "{reason}"
    );
    let reason = failure("TS", "20261323071500");
    assert!(
        reason.contains("is not a time as %Y%m%d%H%M%S: "),
        "{reason}"
    );
    let key = "k".repeat(1_025);
    let mut long_key =
        mapper("[[mapping]]\nbody = \"item\"\nkey = \"K\"\nfields = { unit = \"K\" }");
    let reason = refused(&mut long_key, &pairs(&[("K", &key)])).reason;
    assert!(
        reason.contains("has 1025 bytes, at most 1024 are allowed"),
        "{reason}"
    );
}

#[test]
fn a_column_that_is_not_there_is_named_with_the_one_that_was_meant() {
    let mut by_column =
        mapper("[[mapping]]\nbody = \"item\"\nkey = \"K\"\nfields = { unit = \"UNIT\" }");
    let reason = refused(&mut by_column, &pairs(&[("K", "1"), ("UNITS", "EA")])).reason;
    assert_eq!(
        reason,
        "unit: there is no column UNIT in the record; did you mean UNITS?"
    );
    let mut by_expression = mapper(
        "[[mapping]]\nbody = \"item\"\nkey = \"K\"\nwhen = \"rec.TPYE == 'S'\"\nfields = { unit = { expr = \"rec.UNIT | title\" } }",
    );
    let reason = refused(&mut by_expression, &pairs(&[("K", "1"), ("TYPE", "S")])).reason;
    assert_eq!(
        reason,
        "the condition (when) of mapping 1 fails: undefined value: the record has no column TPYE; did you mean TYPE?"
    );
    let shape = shape("", &["K", "TYPE", "UNITS"]);
    let found: Vec<String> = by_expression
        .check_columns(&shape)
        .iter()
        .map(ToString::to_string)
        .collect();
    assert_eq!(
        found,
        [
            "mapping 1, when: there is no column TPYE in the record; did you mean TYPE?",
            "mapping 1, unit: there is no column UNIT in the record; did you mean UNITS?",
        ]
    );
    assert_eq!(by_column.check_columns(&shape).len(), 1);
}

#[test]
fn a_mapping_and_a_record_of_different_types_are_told_apart() {
    let mut mapper = mapper(
        "[[mapping]]\nbody = \"item\"\nkey = \"K\"\nwhen = \"rec.K == '1'\"\nfields = { unit = \"K\" }\n\
         [[mapping]]\nbody = \"item\"\nrecord_type = \"H1\"\nkey = \"K\"\nfields = { unit = \"K\" }",
    );
    let found: Vec<String> = mapper
        .check_columns(&shape("", &["K"]))
        .iter()
        .map(ToString::to_string)
        .collect();
    let expected = "mapping 2, record_type: the records of this source have no type; choose them with when = \"...\"";
    assert_eq!(found, [expected]);
    assert!(mapper.check_columns(&shape("H1", &["K"])).is_empty());
    let reason = refused(&mut mapper, &record(&shape("L1", &["X"]), &[Some("1")])).reason;
    assert!(
        reason.ends_with(
            "has no column K (if it is not meant for records of type L1, set record_type)"
        ),
        "{reason}"
    );
}

#[test]
fn an_event_that_is_too_large_is_refused_as_such() {
    let mut mapper = mapper("[[mapping]]\nbody = \"item\"\nkey = \"K\"\nfields = { unit = \"U\" }");
    let large = "x".repeat(16 * 1024 * 1024);
    let failure = refused(&mut mapper, &pairs(&[("K", "1"), ("U", &large)]));
    assert_eq!(failure.stage, DeadLetterStage::Size);
    assert!(
        failure.reason.contains("at most 16777216 can be sent"),
        "{failure}"
    );
    assert_eq!(
        crate::site::one(&mut mapper, &pairs(&[("K", "1"), ("U", "EA")])).key,
        "1"
    );
}

#[test]
fn floating_point_numbers_are_no_quantities() {
    let mut mapper = mapper(
        "[[mapping]]\nbody = \"inventory_level\"\nkey = \"K\"\nfields = { on_hand = { expr = \"rec.Q | float * 3\" } }",
    );
    let reason = refused(&mut mapper, &pairs(&[("K", "1"), ("Q", "0.1")])).reason;
    assert!(
        reason.starts_with(
            "the expression of on_hand: \"0.30000000000000004\" is a floating point number"
        ),
        "{reason}"
    );
}

#[test]
fn fuel_ends_an_expression() {
    let mut mapper = mapper(
        "[[mapping]]\nbody = \"item\"\nkey = \"K\"\nfields = { unit = { expr = \"range(9999) | map('string') | join(rec.K)\" } }",
    );
    let reason = refused(&mut mapper, &pairs(&[("K", "1")])).reason;
    assert_eq!(
        reason,
        "the expression of unit fails: it takes more than 20000 steps; make it simpler"
    );
}

/// Compiles `toml` and expects this one sentence at this place.
fn wrong(toml: &str, at: &str, expected: &str) {
    let errors = compile(toml)
        .err()
        .unwrap_or_else(|| panic!("it compiles: {toml}"));
    let sentences: Vec<String> = errors.iter().map(ToString::to_string).collect();
    assert_eq!(sentences.len(), 1, "{sentences:#?}");
    let span = errors[0]
        .span
        .clone()
        .unwrap_or_else(|| panic!("no place: {sentences:?}"));
    assert!(
        toml[span.clone()].contains(at),
        "{at} is not at {:?}: {sentences:?}",
        &toml[span]
    );
    assert!(
        sentences[0].contains(expected),
        "{sentences:#?}\nlacks {expected}"
    );
}

#[test]
fn mistakes_in_a_field_are_named_with_the_way_out() {
    for (fields, at, expected) in [
        (
            "shiped_at = 'A'",
            "shiped_at",
            "mapping 1, shiped_at: shipment has no field \"shiped_at\"; did you mean \"shipped_at\"?",
        ),
        (
            "colour = 'A'",
            "colour",
            "what has no field of its own is mapped as \"attributes.colour\"",
        ),
        (
            "'line.quantitty' = 'A'",
            "line.quantitty",
            "line has no field \"quantitty\"; did you mean \"quantity\"?",
        ),
        (
            "line.quantitty = 'A'",
            "quantitty",
            "mapping 1, line.quantitty: line has no field \"quantitty\"; did you mean \"quantity\"?",
        ),
        (
            "line = 'A'",
            "line",
            "line holds several fields; name one of them: \"line.line_number\" = \"COLUMN\"",
        ),
        (
            "attributes = 'A'",
            "attributes",
            "attributes holds several fields; name one of them: \"attributes.dock\" = \"COLUMN\"",
        ),
        ("'attributes.' = 'A'", "attributes", "the name is empty"),
        (
            "'status.x' = 'A'",
            "status.x",
            "status is a value of its own, nothing stands below it",
        ),
        (
            "'line.quantity' = 'A'\nline.quantity = 'B'",
            "line.quantity",
            "stands twice in this mapping",
        ),
        (
            "status = { form = 'A' }",
            "form",
            "unknown option \"form\"; did you mean \"from\"?",
        ),
        (
            "status = { from = 'A', requird = true }",
            "requird",
            "did you mean \"required\"?",
        ),
        (
            "status = 5",
            "status",
            "is a number, and a column's name or a table is needed",
        ),
        (
            "status = {}",
            "status",
            "says neither where its value comes from nor what it is",
        ),
        (
            "status = { from = 'A', expr = 'rec.A' }",
            "'A'",
            "has both from and expr",
        ),
        ("status = ''", "status", "the column's name is empty"),
        (
            "status = { from = 'A', default = '' }",
            "''",
            "default = \"\" is not a text",
        ),
        (
            "'line.quantity' = { from = 'A', default = 'x' }",
            "'x'",
            "default = \"x\" is not a decimal number; write for example default = \"0\"",
        ),
        (
            "shipped_at = { from = 'A', default = '2026-11-23' }",
            "2026",
            "write for example default = \"2026-11-23T07:15:00Z\"",
        ),
        (
            "status = { from = 'A', format = '%Y' }",
            "%Y",
            "is a text, for which format means nothing; add type = \"date\"",
        ),
        (
            "status = { from = 'A', implied_decimals = 2 }",
            "2",
            "is a text, for which implied_decimals means nothing; delete implied_decimals",
        ),
        (
            "'line.quantity' = { from = 'A', lookup = { A = '1' } }",
            "A",
            "is a decimal number, for which lookup means nothing",
        ),
        (
            "'line.quantity' = { from = 'A', type = 'date' }",
            "date",
            "is a decimal number, not a date",
        ),
        (
            "'line.quantity' = { from = 'A', implied_decimals = 99 }",
            "99",
            "at most 60 fit",
        ),
        (
            "status = { from = 'A', type = 'datum' }",
            "datum",
            "there is no type \"datum\"",
        ),
        (
            "status = { from = 'A', type = 'date' }",
            "date",
            "add format = \"%Y%m%d\"",
        ),
        (
            "status = { from = 'A', type = 'date', format = '%H' }",
            "%H",
            "format = \"%H\" cannot be used",
        ),
        (
            "status = { from = 'A', lookup = {}, lookup_else = 'keep' }",
            "{}",
            "the lookup is empty",
        ),
        (
            "status = { from = 'A', lookup_else = 'keep' }",
            "keep",
            "lookup_else without a lookup means nothing",
        ),
        (
            "status = { from = 'A', lookup = { A = 'B' }, lookup_else = 'kep' }",
            "kep",
            "did you mean \"keep\"?",
        ),
        (
            "status = { from = 'A', lookup = { A = 'B' }, lookup_else = 'default' }",
            "default",
            "needs a default",
        ),
        (
            "status = { from = 'A', max_length = 0 }",
            "0",
            "max_length counts from 1",
        ),
        (
            "shipped_at = { from = 'A', format = '%Y%m%d' }",
            "%Y%m%d",
            "name no time zone; add the source's, e.g. zone = \"Europe/Berlin\"",
        ),
        (
            "shipped_at = { from = 'A', format = '%Y%m%d', zone = 'Europe/Berln' }",
            "Berln",
            "did you mean \"Europe/Berlin\"?",
        ),
        (
            "shipped_at = { from = 'A', format = 'unix', zone = 'UTC' }",
            "UTC",
            "names the instant by itself; delete zone",
        ),
        (
            "shipped_at = { from = 'A', format = '%Y%J', zone = 'UTC' }",
            "%J",
            "cannot be used: ",
        ),
        (
            "status = { expr = 'rec.A ==' }",
            "rec.A",
            "the expression \"rec.A ==\" is wrong: syntax error",
        ),
        (
            "status = { expr = 'A' }",
            "'A'",
            "write rec.A, or 'A' for a text",
        ),
    ] {
        let toml =
            format!("[[mapping]]\nbody = \"shipment\"\nkey = \"NO\"\n[mapping.fields]\n{fields}\n");
        wrong(&toml, at, expected);
    }
}

#[test]
fn mistakes_in_a_mapping_are_named_with_the_way_out() {
    let item = "fields = { item_number = 'A' }";
    for (mapping, at, expected) in [
        (
            "body = 'shipmint'\nkey = 'A'",
            "shipmint",
            "mapping 1, body: there is no body \"shipmint\"; bodies are item, customer, order, shipment, inventory_movement, inventory_level, receipt, invoice, generic".to_owned(),
        ),
        ("body = 'dead_letter'\nkey = 'A'", "dead_letter", "dead_letter is reserved".into()),
        ("body = 'item'\nkey = 'A'", "item", "no field is mapped; add [flow.mapping.fields] with for example item_number".into()),
        ("body = 'generic'\nkey = 'A'", "generic", "write all_columns = true".into()),
        ("body = 'item'\nkey = 'A'\nall_columns = true", "true", "only a generic record can take all columns".into()),
        (&format!("body = 'item'\nkey = {{ from = 'A', format = 'x' }}\n{item}"), "x", "mapping 1, key: is a text, for which format".into()),
        (&format!("body = 'item'\nkey = 'A'\nwhen = 'rec.A = 1'\n{item}"), "rec.A", "mapping 1, when: the expression".into()),
        (&format!("body = 'item'\nkey = 'A'\noperation = 'insert'\n{item}"), "insert", "\"insert\" is no operation; ".into()),
        (
            &format!("body = 'item'\nkey = 'A'\noperation = {{ from = 'A', lookup = {{ I = 'creat' }} }}\n{item}"),
            "creat",
            "\"creat\" is no operation; did you mean \"create\"?".into(),
        ),
        (&format!("body = 'item'\nkey = 'A'\noccurred_at = {{ from = 'A', zone = 'Mars' }}\n{item}"), "Mars", "zone = \"Mars\" is not known".into()),
    ] {
        wrong(&format!("[[mapping]]\n{mapping}\n"), at, &expected);
    }
}

#[test]
fn all_mistakes_are_found_at_once() {
    let errors = compile(
        "[[mapping]]\nbody = 'item'\nkey = ''\nwhen = 'rec.'\n[mapping.fields]\na = 'A'\nunit = { expr = 'x' }\n[[mapping]]\nbody = 'no'\nkey = 'A'",
    );
    let fields: Vec<(usize, String)> = errors
        .expect_err("mistakes")
        .into_iter()
        .map(|error| (error.mapping, error.field.unwrap_or_default()))
        .collect();
    let expected = [(0, "when"), (0, "key"), (0, "a"), (0, "unit"), (1, "body")];
    assert_eq!(
        fields,
        expected.map(|(mapping, field)| (mapping, field.to_owned()))
    );
}

#[test]
fn a_flow_has_a_limit_of_mappings() {
    let one = "[[mapping]]\nbody = 'item'\nkey = 'A'\nfields = { unit = 'U' }\n";
    assert!(compile(&one.repeat(254)).is_ok());
    let errors = compile(&one.repeat(256)).expect_err("too many");
    assert!(
        errors[0].reason.contains("at most 254 mappings"),
        "{errors:?}"
    );
}
