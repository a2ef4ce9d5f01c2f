//! What a value must be: ranges, lengths, codes, patterns.

use crate::site::{compile, mapper, pairs, refused};
use dray_mapping::{Mapper, MappingConfig};

const LINE: &str = r#"
    [[mapping]]
    body = "shipment"
    key = { from = "NO", pattern = "SHP-[0-9]+" }
    [mapping.fields]
    shipment_number = { from = "NO", min_length = 5, max_length = 12 }
    "line.quantity" = { from = "QTY", implied_decimals = 3, min = "0.001", max = 99999 }
    "line.unit" = { from = "UNIT", lookup = { ST = "EA", KT = "CS", PAL = "PAL" }, one_of = ["EA", "CS"], required = true }
    "attributes.dock" = { from = "DOCK", min = 1, max = 20 }
"#;

fn reason(column: &str, value: &str) -> String {
    let mut values = [
        ("NO", "SHP-1"),
        ("QTY", "1000"),
        ("UNIT", "ST"),
        ("DOCK", ""),
    ];
    let cell = values.iter_mut().find(|(name, _)| *name == column);
    cell.expect("a column").1 = value;
    refused(&mut mapper(LINE), &pairs(&values)).reason
}

#[test]
fn what_breaks_a_rule_names_column_field_value_and_rule() {
    for (column, value, expected) in [
        (
            "NO",
            "X-1",
            "column 1 (NO) for key: \"X-1\" does not match the pattern SHP-[0-9]+",
        ),
        (
            "QTY",
            "0",
            "column 2 (QTY) for line.quantity: \"0.000\" is below 0.001, which is min",
        ),
        (
            "QTY",
            "99999001",
            "column 2 (QTY) for line.quantity: \"99999.001\" is above 99999, which is max",
        ),
        (
            "UNIT",
            "PAL",
            "column 3 (UNIT) for line.unit: \"PAL\" is not among one_of: EA, CS",
        ),
        (
            "UNIT",
            "",
            "column 3 (UNIT) for line.unit is empty, and the field is required",
        ),
        (
            "DOCK",
            "21",
            "column 4 (DOCK) for attributes.dock: \"21\" is above 20, which is max",
        ),
        (
            "DOCK",
            "A",
            "column 4 (DOCK) for attributes.dock: \"A\" is not a decimal number, min is 1",
        ),
    ] {
        assert_eq!(reason(column, value), expected);
    }
}

#[test]
fn rules_that_cannot_be_meant_are_refused_with_their_place() {
    for (field, said) in [
        (
            "unit = { from = \"U\", min = \"1,5\" }",
            "min = \"1,5\" is not a decimal number",
        ),
        (
            "unit = { from = \"U\", min = 2, max = 1 }",
            "min = 2 is above max = 1",
        ),
        (
            "unit = { from = \"U\", min_length = 2, max_length = 1 }",
            "min_length is above max_length",
        ),
        ("unit = { from = \"U\", one_of = [] }", "one_of is empty"),
        (
            "unit = { from = \"U\", one_of = [\"A\"], one_of_file = \"u\" }",
            "one_of and one_of_file",
        ),
        (
            "unit = { from = \"U\", pattern = \"(\" }",
            "pattern = \"(\" cannot be used",
        ),
        (
            "unit = { from = \"U\", one_of = [\"A\"], default = \"B\" }",
            "default = \"B\" is not among one_of: A",
        ),
        (
            "weight_kg = { from = \"W\", pattern = \"x\" }",
            "for which pattern means nothing",
        ),
        (
            "weight_kg = { from = \"W\", min = 1, default = \"0\" }",
            "default = \"0\" is below 1",
        ),
    ] {
        let errors = compile(&format!(
            "[[mapping]]\nbody = \"item\"\nkey = \"K\"\n[mapping.fields]\n{field}"
        ))
        .expect_err(field);
        assert!(errors[0].reason.contains(said), "{field}: {errors:?}");
        assert!(errors[0].span.is_some(), "{field}");
    }
}

#[test]
fn codes_of_a_file_are_looked_up_and_what_is_wrong_with_it_is_said() {
    let text = "body = \"item\"\nkey = \"K\"\n[fields]\nunit = { from = \"U\", one_of_file = \"units.txt\" }";
    let compiled = |codes: Result<String, String>| {
        let mut config: MappingConfig = toml::from_str(text).expect("a mapping");
        config.read_codes(&|file| {
            assert_eq!(file, "units.txt");
            codes.clone()
        });
        Mapper::compile(&[config], 1)
    };
    let mut mapper = compiled(Ok("# units\nEA\nCS\n".into())).expect("it compiles");
    assert_eq!(
        refused(&mut mapper, &pairs(&[("K", "1"), ("U", "PCE")])).reason,
        "column 2 (U) for unit: \"PCE\" is not among the 2 codes of units.txt (one_of_file)"
    );
    for (codes, said) in [
        (
            Err("no such file".to_owned()),
            "one_of_file: units.txt: no such file",
        ),
        (
            Ok(format!("EA\n{}", "x".repeat(2_000))),
            "one_of_file: units.txt, line 2: a code has at most",
        ),
    ] {
        let errors = compiled(codes).expect_err("it is wrong");
        assert!(errors[0].to_string().contains(said), "{errors:?}");
    }
}

/// The page's mapping makes the sentence that the page shows.
#[test]
fn the_page_shows_what_is_said() {
    let page = include_str!("../../../../docs/mapping.md");
    let block = page.split("```toml\n").nth(1).expect("a mapping");
    let block = block.split("```").next().expect("its end");
    let mut mapper = mapper(&block.replace("flow.mapping", "mapping"));
    let line = [("SHIP_NO", "SHP-77"), ("QTY", "12500"), ("UOM", "PCE")];
    let said = refused(&mut mapper, &pairs(&line)).reason;
    assert!(page.contains(&format!("> {said}\n")), "{said}");
}
