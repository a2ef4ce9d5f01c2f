//! How fast XML, JSON and IDocs are decoded: in memory, one thread. `quick-xml` and `serde_json` beside it, which only
//! cut the tokens.
//!
//! `cargo run --release -p dray-formats --example tree_rate`

#[path = "rate/pass.rs"]
mod pass;

use std::fmt::Write as _;
use std::time::Instant;

use dray_formats::{Format, FormatConfig, Gather, Tally};
use pass::pass;

const UNITS: u64 = 20_000;

fn main() {
    let idoc = "kind = \"idoc\"\nrecords = [\"E1EDL24\"]";
    let shipment = "kind = \"xml\"\nrecord = \"/Shipments/Shipment/Line\"\n[fields]\nSHIP = \"../ShipNo\"\nNO = \"@no\"\nSKU = \"Item/@sku\"\nQTY = \"Qty\"\nUNIT = \"Unit\"\nLOT = \"Lot\"";
    let json = "kind = \"json\"\nrecord = \"/orders/*/lines\"\n[fields]\nORDER = \"../number\"\nSKU = \"item.sku\"\nQTY = \"qty\"\nUNIT = \"unit\"\nLOT = \"lot\"";
    let lines = "kind = \"json-lines\"\n[fields]\nSKU = \"item.sku\"\nQTY = \"qty\"\nUNIT = \"unit\"\nLOT = \"lot\"";
    for (what, toml, file) in [
        ("IDocs, flat and padded", idoc, flat(1_000)),
        ("IDocs, flat and trimmed", idoc, flat(0)),
        ("IDocs, XML", idoc, idoc_xml()),
        ("shipments, XML", shipment, shipments()),
        ("orders, JSON", json, orders("{\"orders\":[", "]}")),
        ("lines, JSON", lines, json_lines()),
    ] {
        let config: FormatConfig = toml::from_str(toml).expect("a format");
        let format = Format::new(&config, &|_| Err("no text is named".into())).expect("a format");
        let start = Instant::now();
        let mut tally = Tally::new(0);
        pass(&format, file.as_bytes(), &mut tally, |_| ());
        let counted = start.elapsed();
        assert_eq!(tally.rejects, 0, "{tally:?}");
        let start = Instant::now();
        let (mut gather, mut records) = (Gather::default(), 0);
        pass(&format, file.as_bytes(), &mut gather, |gather| {
            records += gather.records.len();
            *gather = Gather::default();
        });
        records += gather.records.len();
        let gathered = start.elapsed();
        assert_eq!(records as u64, tally.records);
        let rate = |time: std::time::Duration| file.len() as f64 / time.as_secs_f64() / 1e6;
        println!(
            "{what}, {} MB, {} B a record: pass 1 {:.0} MB/s, pass 2 {:.0} MB/s",
            file.len() / 1_000_000,
            file.len() / records,
            rate(counted),
            rate(gathered)
        );
        match file.as_bytes() {
            [b'<', ..] => println!(
                "    quick-xml's tokens alone: {:.0} MB/s",
                rate(quick_xml(&file))
            ),
            [b'{', ..] => println!(
                "    serde_json, values looked at and left: {:.0} MB/s",
                rate(serde_json(&file))
            ),
            _ => {}
        }
    }
}

fn serde_json(file: &str) -> std::time::Duration {
    let start = Instant::now();
    let values = serde_json::Deserializer::from_str(file).into_iter::<serde::de::IgnoredAny>();
    assert!(
        values
            .inspect(|value| assert!(value.is_ok(), "JSON"))
            .count()
            > 0
    );
    start.elapsed()
}

fn quick_xml(file: &str) -> std::time::Duration {
    let start = Instant::now();
    let mut reader = quick_xml::Reader::from_str(file);
    let (mut elements, mut attributes) = (0, 0);
    loop {
        match reader.read_event().expect("well-formed") {
            quick_xml::events::Event::Start(tag) | quick_xml::events::Event::Empty(tag) => {
                elements += 1;
                attributes += tag.attributes().flatten().count();
            }
            quick_xml::events::Event::Eof => break,
            _ => {}
        }
    }
    assert!(elements > 0 && attributes > 0);
    start.elapsed()
}

fn flat(width: usize) -> String {
    let mut text = String::new();
    for number in 0..UNITS / if width > 0 { 8 } else { 1 } {
        writeln!(
            text,
            "{:10}800{number:016}{:10}DELVRY03{:52}DESADV{:>400}",
            "EDI_DC40", "", "", "x"
        )
        .expect("a string");
        writeln!(
            text,
            "{:30}800{number:016}00000100000001{:width$}",
            "E2EDL20006",
            format!("{number:010}VST1")
        )
        .expect("a string");
        for item in 1..=20 {
            let data = format!(
                "{item:06}MAT-{item:<14}{:152}{:15}EA {:15}EA",
                "a text of an item", "5.000", "5.000"
            );
            writeln!(
                text,
                "{:30}800{number:016}{:06}00000102{data:width$}",
                "E2EDL24009",
                item + 1
            )
            .expect("a string");
        }
    }
    text
}

fn idoc_xml() -> String {
    let mut text = "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<DELVRY03>\n".to_owned();
    for number in 0..UNITS {
        writeln!(text, "<IDOC BEGIN=\"1\"><EDI_DC40 SEGMENT=\"1\"><DOCNUM>{number:016}</DOCNUM><MESTYP>DESADV</MESTYP></EDI_DC40><E1EDL20 SEGMENT=\"1\"><VBELN>{number:010}</VBELN>").expect("a string");
        for item in 1..=20 {
            writeln!(text, "  <E1EDL24 SEGMENT=\"1\">\n    <POSNR>{item:06}</POSNR>\n    <MATNR>MAT-{item}</MATNR>\n    <WERKS>0001</WERKS>\n    <LFIMG>{item}.000</LFIMG>\n    <VRKME>EA</VRKME>\n  </E1EDL24>").expect("a string");
        }
        text.push_str("</E1EDL20></IDOC>\n");
    }
    text + "</DELVRY03>\n"
}

fn shipments() -> String {
    let mut text = "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<Shipments>\n".to_owned();
    for number in 0..UNITS {
        writeln!(
            text,
            "<Shipment id=\"{number}\"><ShipNo>SHP-{number}</ShipNo>"
        )
        .expect("a string");
        for item in 1..=20 {
            writeln!(text, "  <Line no=\"{item}\">\n    <Item sku=\"SKU-{number}-{item}\"/>\n    <Qty>{item}.000</Qty>\n    <Unit>EA</Unit>\n    <Lot>L&amp;{item}</Lot>\n  </Line>").expect("a string");
        }
        text.push_str("</Shipment>\n");
    }
    text + "</Shipments>\n"
}

fn line(number: u64, item: u64) -> String {
    format!(
        "{{\"item\":{{\"sku\":\"SKU-{number}-{item}\",\"name\":\"a bolt\"}},\"qty\":{item}.500,\"unit\":\"EA\",\"lot\":\"L{item}\",\"picked\":true}}"
    )
}

fn orders(first: &str, last: &str) -> String {
    let order = |number| {
        let lines: Vec<String> = (1..=20).map(|item| line(number, item)).collect();
        format!(
            "{{\"number\":\"SO-{number}\",\"lines\":[{}]}}",
            lines.join(",\n")
        )
    };
    let orders: Vec<String> = (0..UNITS).map(order).collect();
    format!("{first}{}{last}", orders.join(",\n"))
}

fn json_lines() -> String {
    (0..20 * UNITS)
        .map(|number| line(number, 7) + "\n")
        .collect()
}
