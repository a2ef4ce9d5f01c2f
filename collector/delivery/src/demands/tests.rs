use super::*;
use crate::body::sample;
use dray_proto::event::View;

fn compiled(demand: &str) -> Result<Demands, String> {
    let config: DemandConfig = toml::from_str(demand).map_err(|error| error.to_string())?;
    let read = |_: &File| Ok("# units\nEA\n\n CS \n".to_owned());
    Demands::compile(&[config], Some(&read))
}

/// A sample shipment: its quantity is 12.50, its unit "unit 1".
fn broken(demand: &str) -> Option<String> {
    let demands = compiled(&format!("body = \"shipment\"\n{demand}")).expect(demand);
    let event = sample("shipment").expect("a body");
    let (body, bytes) = View::of(&event).expect("an event").body.expect("a body");
    demands.broken(body.number, bytes)
}

#[test]
fn what_is_broken_names_the_demand_the_rule_the_field_and_the_value() {
    for (demand, said) in [
        (
            "field = \"line.quantity\"\nrequired = true\nmin = 1\nmax = \"12.5\"",
            None,
        ),
        (
            "field = \"line.quantity\"\nmin = \"12.51\"",
            Some("demand 1 (line.quantity, min) is broken: \"12.50\" is below 12.51"),
        ),
        (
            "field = \"line.quantity\"\nmax = 12",
            Some("(line.quantity, max) is broken: \"12.50\" is above 12"),
        ),
        (
            "field = \"line.unit\"\nmin = 1",
            Some("(line.unit, min) is broken: \"unit 1\" is not a decimal number"),
        ),
        (
            "field = \"line.unit\"\nmax_length = 5",
            Some("(line.unit, max_length) is broken: \"unit 1\" has more than 5"),
        ),
        (
            "field = \"line.unit\"\nmin_length = 7",
            Some("(line.unit, min_length) is broken: \"unit 1\" has fewer than 7"),
        ),
        (
            "field = \"line.unit\"\nmin_length = 6\nmax_length = 6",
            None,
        ),
        (
            "field = \"line.unit\"\none_of = [\"EA\", \"CS\"]",
            Some("(line.unit, one_of) is broken: \"unit 1\" is not among EA, CS;"),
        ),
        ("field = \"line.unit\"\none_of = [\"unit 1\"]", None),
        (
            "field = \"line.unit\"\none_of_file = \"/units\"",
            Some(
                "(line.unit, one_of_file) is broken: \"unit 1\" is not among the 2 codes of /units",
            ),
        ),
        (
            "field = \"line.unit\"\npattern = \"unit\"",
            Some("(line.unit, pattern) is broken: \"unit 1\" does not match"),
        ),
        ("field = \"line.unit\"\npattern = \"unit [0-9]|x\"", None),
        (
            "field = \"attributes.none\"\nrequired = true",
            Some("(attributes.none, required) is broken: there is no value"),
        ),
        (
            "field = \"attributes.none\"\nmin = 1\npattern = \"x\"",
            None,
        ),
    ] {
        let found = broken(demand);
        match said {
            Some(said) => assert!(
                found.as_ref().is_some_and(|found| found.contains(said)),
                "{demand}: {found:?}"
            ),
            None => assert_eq!(found, None, "{demand}"),
        }
    }
    let demands = compiled("body = \"item\"\nfield = \"unit\"\npattern = \"x\"").expect("a demand");
    let shipment = dray_proto::schema::body("shipment").expect("a body").number;
    assert_eq!(demands.broken(shipment, b""), None, "another body");
}

#[test]
fn what_is_no_demand_is_refused_in_a_sentence() {
    let far = "x".repeat(1_001);
    for (demand, said) in [
        ("field = \"line.unit\"", "it demands nothing".to_owned()),
        (
            "field = \"line.unti\"\nrequired = true",
            "line has no field \"unti\"".into(),
        ),
        (
            "field = \"shipped_at\"\nmin = 1",
            "min is for numbers".into(),
        ),
        (
            "field = \"line.quantity\"\nmin = \"1,5\"",
            "min: \"1,5\" is not a decimal".into(),
        ),
        (
            "field = \"line.quantity\"\nmin = 2\nmax = 1",
            "min = 2 is above max = 1".into(),
        ),
        (
            "field = \"line.quantity\"\nmin = 1.5",
            "nor a decimal in quotes".into(),
        ),
        (
            "field = \"line.unit\"\nmin_length = 2\nmax_length = 1",
            "min_length is above".into(),
        ),
        ("field = \"line.unit\"\npattern = \"(\"", "pattern: ".into()),
        (
            "field = \"line.unit\"\npattern = \"(x{1000}){1000}\"",
            "pattern: ".into(),
        ),
        (
            &format!("field = \"line.unit\"\npattern = \"{far}\""),
            "pattern: at most".into(),
        ),
        (
            "field = \"line.unit\"\none_of = [\"a\"]\none_of_file = \"/b\"",
            "not both".into(),
        ),
    ] {
        let wrong = compiled(&format!("body = \"shipment\"\n{demand}")).expect_err(demand);
        assert!(wrong.contains(&said), "{demand}: {wrong}");
    }
}

#[test]
fn a_list_that_cannot_be_used_is_named_with_its_line() {
    let long = format!("EA\n{}\n", "x".repeat(2_000));
    for (text, said) in [
        (
            long.as_str(),
            "/units, line 2: a code has at most 1024 bytes",
        ),
        ("# nothing\n\n", "/units: there is no code in it"),
    ] {
        let wrong = Codes::read(File::new("/units"), text).expect_err("no list");
        assert_eq!(wrong.split(';').next(), Some(said), "{wrong}");
    }
    let wrong = codes::text_of(File::new("/no/such/list")).expect_err("no file");
    assert!(wrong.starts_with("/no/such/list: "), "{wrong}");
}
