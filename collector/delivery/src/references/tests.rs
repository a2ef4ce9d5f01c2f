use super::*;
use crate::body::sample;
use dray_proto::event::number;
use dray_proto::wire;

fn compiled(rule: &str, bodies: &[&str]) -> Result<References, String> {
    let config: ReferenceConfig = toml::from_str(rule).map_err(|error| error.to_string())?;
    let bodies: Vec<String> = bodies.iter().map(|body| (*body).to_owned()).collect();
    let read = |_: &std::path::Path| Ok("item_number 1\n".to_owned());
    References::compile(&[config], &bodies, &[], Some(&read))
}

fn flow(name: &str) -> FlowName {
    FlowName::parse(name).expect("a name")
}

const LINES: &str = "body = \"shipment\"\nfield = \"line.item_number\"\nof = \"item\"";

#[test]
fn an_event_names_what_its_rules_say() {
    let event = sample("shipment").expect("a body");
    let names = |rule: &str| {
        let named = compiled(rule, &[]).expect(rule).named(&event);
        let pair = |named: Named| (named.reference.of, named.reference.name);
        named.into_iter().map(pair).collect::<Vec<_>>()
    };
    let pair = |of: &str| vec![(of.to_owned(), "item_number 1".to_owned())];
    assert_eq!(names(LINES), pair("item"));
    assert_eq!(
        names(&format!("{LINES}\nby = \"barcode\"")),
        pair("item.barcode")
    );
    let of_flows = format!("{LINES}\nflows = [\"south/items\", \"north/*\"]");
    assert_eq!(names(&of_flows), pair("item@north/*,south/items"));
    assert_eq!(names(&format!("{LINES}\nknown_file = \"/items\"")), []);
    assert_eq!(
        names("body = \"order\"\nfield = \"customer_number\"\nof = \"customer\""),
        []
    );
    assert_eq!(
        names("body = \"shipment\"\nfield = \"attributes.none\"\nof = \"item\""),
        []
    );
}

#[test]
fn an_event_that_deletes_names_nothing_and_none_names_itself() {
    let mut event = sample("shipment").expect("a body");
    // A later field of the same number counts.
    wire::put_text(&mut event, number::KEY, "shipment_number 1");
    let itself = "body = \"shipment\"\nfield = \"shipment_number\"\nof = \"shipment\"";
    assert_eq!(compiled(itself, &[]).expect("a rule").named(&event), []);
    wire::put_integer(&mut event, number::OPERATION, Operation::Delete as u64);
    let references = compiled(LINES, &[]).expect("a rule");
    assert_eq!(references.named(&event), []);
    assert_eq!(references.named(b"no event"), []);
}

#[test]
fn a_delivery_makes_its_key_known_or_the_field_that_names_it() {
    let event = sample("item").expect("a body");
    let learnt = |rule: &str, from: &str| {
        let learnt = compiled(rule, &[])
            .expect(rule)
            .learnt(&flow(from), &event, None);
        let pair = |reference: Reference| (reference.of, reference.name);
        learnt.into_iter().map(pair).collect::<Vec<_>>()
    };
    let pair = |of: &str, name: &str| vec![(of.to_owned(), name.to_owned())];
    assert_eq!(learnt(LINES, "north/x"), pair("item", "KEY-1"));
    let by = format!("{LINES}\nby = \"barcode\"");
    assert_eq!(learnt(&by, "north/x"), pair("item.barcode", "barcode 1"));
    let flows = format!("{LINES}\nflows = [\"north/*\"]");
    assert_eq!(learnt(&flows, "north/x"), pair("item@north/*", "KEY-1"));
    assert_eq!(learnt(&flows, "south/x"), []);
    let references = compiled(LINES, &[]).expect("a rule");
    let other = ["customer".to_owned()];
    assert_eq!(
        references.learnt(&flow("north/x"), &event, Some(&other)),
        []
    );
}

#[test]
fn what_is_no_rule_is_refused_in_a_sentence() {
    for (more, bodies, said) in [
        (
            "",
            &["shipment"][..],
            "takes no item, so none would ever be known",
        ),
        ("", &["item"], "takes no shipment"),
        ("flows = [\"north\"]", &[], "flows: \"north\""),
        ("by = \"code\"", &[], "by: item has no field \"code\""),
        ("seed = \"all\"", &[], "unknown variant"),
    ] {
        let wrong = compiled(&format!("{LINES}\n{more}"), bodies).expect_err(more);
        assert!(wrong.contains(said), "{more}: {wrong}");
    }
    assert!(compiled(&format!("{LINES}\nseed = \"log\""), &["shipment"]).is_ok());
    let wrong = compiled(&LINES.replace("= \"item\"", "= \"itme\""), &[]).expect_err("no body");
    assert!(wrong.contains("there is no body \"itme\""), "{wrong}");
}

#[test]
fn intervals_double_up_to_a_bound_and_budgets_are_in_order() {
    let holds = HoldsConfig::default();
    let seconds = |tries| holds.interval(tries).as_secs();
    assert_eq!(
        [0, 1, 5, 20, u32::MAX].map(seconds),
        [5, 10, 160, 3_600, 3_600]
    );
    assert_eq!(holds.wrong(), None);
    for table in [
        "ask_first = \"0s\"",
        "ask_first = \"2h\"",
        "alarm_after = \"8days\"",
        "give_up_after = \"0s\"\nalarm_after = \"0s\"",
    ] {
        let holds: HoldsConfig = toml::from_str(table).expect("it parses");
        assert!(holds.wrong().is_some(), "{table}");
    }
}
