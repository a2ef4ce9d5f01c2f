//! Files of X12 and EDIFACT.

use std::fs;

use dray_adapter::{RecordView, Value};
use dray_formats::{Format, FormatConfig, Found, Gather, edifact, x12};

use super::{corpora, corpus, files, is_same};

/// How many segments an X12 file has, if its envelopes hold.
fn x12_segments(file: &[u8]) -> Result<usize, String> {
    let (mut segments, mut envelope) = (x12::Segments::new(), x12::Envelope::default());
    let (mut at, mut count) = (0, 0);
    loop {
        match segments.next(&file[at..], true).map_err(|fault| fault.0)? {
            Found::More(_) => return envelope.end().map(|()| count),
            Found::Segment(bytes) => at += bytes,
        }
        envelope.take(&segments.segment().expect("it was found"))?;
        count += 1;
    }
}

/// Files whose envelopes do not hold, each with the rule: their authors wrote them to show something else.
const X12_REFUSED: [(&str, &str); 16] = [
    (
        "EDI.Net/x12.832.edi",
        "line 14: SE01 counts 17 segments, and there are 12",
    ),
    (
        "EDI.Net/x12.850.edi",
        "line 15: IEA02 is 000000001, but ISA13 of line 1 is 000000055",
    ),
    (
        "EDI.Net/x12.850a.edi",
        "line 54: IEA02 is 000000001, but ISA13 of line 1 is 000000055",
    ),
    (
        "gozer/po850.txt",
        "line 23: SE01 counts 33 segments, and there are 21",
    ),
    (
        "x12-types/004010_940_1.edi",
        "line 32: GE02 is 575103, but GS06 of line 2 is 3317",
    ),
    // Its ISA ends after ten elements.
    (
        "x12-types/004010_940_6.edi",
        "line 1: the ISA segment names 0x34 as what ends a segment",
    ),
    (
        "x12-types/004010_940_7.edi",
        "line 5: SE01 counts 4 segments, and there are 3",
    ),
    // A bar stands where an asterisk should.
    (
        "x12-types/004010_940_8.edi",
        "line 1: the ISA segment names 0x4F as what ends a segment",
    ),
    (
        "x12-types/004010_940_9.edi",
        "line 1: the file does not begin with an ISA segment",
    ),
    (
        "x12-types/004010_945_1.edi",
        "line 1: the file does not begin with an ISA segment",
    ),
    (
        "x12-types/004010_945_2.edi",
        "line 1: the file does not begin with an ISA segment",
    ),
    (
        "x12-types/004010_945_3.edi",
        "line 1: the file does not begin with an ISA segment",
    ),
    (
        "x12-types/004010_945_4.edi",
        "line 7: SE01 counts 4 segments, and there are 5",
    ),
    (
        "x12-types/004010_945_5.edi",
        "line 18: SE01 counts 12 segments, and there are 16",
    ),
    (
        "x12-types/004010_945_6.edi",
        "line 18: SE01 counts 12 segments, and there are 16",
    ),
    (
        "gozer/asn856.txt",
        "line 35: IEA02 is 000000049, but ISA13 of line 1 is 000003438",
    ),
];

/// All files of a folder are whole, or refused with these words.
fn held_or_refused(
    folder: &str,
    refused: &[(&str, &str)],
    whole: usize,
    read: impl Fn(&[u8]) -> Result<usize, String>,
) {
    let Some(corpora) = corpora() else { return };
    let folder = corpora.join(folder);
    let mut found_whole = 0;
    for name in files(&folder) {
        let file = fs::read(folder.join(&name)).expect("readable");
        let words = refused.iter().find(|(refused, _)| *refused == name);
        match (read(&file), words) {
            (Ok(_), None) => found_whole += 1,
            (Err(found), Some((_, words))) => assert!(found.contains(words), "{name}: {found}"),
            (found, _) => panic!("{name}: {found:?}"),
        }
    }
    assert_eq!(found_whole, whole);
}

#[test]
fn x12_files_hold_what_their_envelopes_say_or_are_refused_by_a_rule() {
    held_or_refused("x12", &X12_REFUSED, 18, x12_segments);
}

/// How many segments an EDIFACT file has, if its envelopes hold.
fn edifact_segments(file: &[u8]) -> Result<usize, String> {
    let mut segments = edifact::Segments::default();
    let (mut envelope, mut at, mut count) = (edifact::Envelope::default(), 0, 0);
    loop {
        match segments.next(&file[at..], true).map_err(|fault| fault.0)? {
            Found::More(_) => return envelope.finish().map(|()| count),
            Found::Segment(bytes) => at += bytes,
        }
        envelope.take(&segments.segment())?;
        count += 1;
    }
}

/// As above. Three are not EDIFACT: what a converter made of some.
const EDIFACT_REFUSED: [(&str, &str); 15] = [
    (
        "EDI.Net/edifact.01.multi-message.edi",
        "UNT counts 158 segments, and there are 31",
    ),
    (
        "EDI.Net/edifact.ORDRSP-formatted.edi",
        "UNT counts 17 segments, and there are 30",
    ),
    (
        "EDI.Net/edifact.ORDRSP.edi",
        "UNT counts 17 segments, and there are 31",
    ),
    (
        "edifact-rs/d96a_invoic_conforming.edi",
        "line 2: UNH stands outside of an interchange",
    ),
    (
        "edifact-rs/d96a_invoic_malformed.edi",
        "line 2: UNH stands outside of an interchange",
    ),
    (
        "edifact-rs/d96a_orders_conforming.edi",
        "line 2: UNH stands outside of an interchange",
    ),
    (
        "edifact-rs/d96a_orders_malformed.edi",
        "line 2: BGM stands outside of a message",
    ),
    ("pydifact/order.edi", "line 2: UNB 807 is not ended by UNZ"),
    (
        "pydifact/order2.edi",
        "line 1: UNB 000000001 is not ended by UNZ",
    ),
    (
        "pydifact/wikipedia_de.edi",
        "UNZ says 1234567, but element 5 of UNB of line 2 is 1",
    ),
    (
        "smooks-edi-cartridge/INVOIC_D.03B_Interchange_with_UNA.txt",
        "UNT counts 36 segments, and there are 35",
    ),
    (
        "smooks-edi-cartridge/INVOIC_D.03B_Interchange_with_UNA.xml",
        "neither UNA nor UNB",
    ),
    (
        "smooks-edi-cartridge/ORDERS_D.03B_Interchange.xml",
        "neither UNA nor UNB",
    ),
    ("smooks-edi-cartridge/expected.xml", "neither UNA nor UNB"),
    (
        "staedi/orders-with-group.edi",
        "UNT counts 21 segments, and there are 18",
    ),
];

#[test]
fn edifact_files_hold_what_their_envelopes_say_or_are_refused_by_a_rule() {
    held_or_refused("edifact", &EDIFACT_REFUSED, 8, edifact_segments);
}

/// All records of a file that fits a batch, and why others are bad; or why all of it is refused.
fn decoded(toml: &str, file: &[u8]) -> Result<Gather, String> {
    let config: FormatConfig = toml::from_str(toml).expect("a format");
    let format = Format::new(&config, &|_| Err("no text is named".into())).expect("a good format");
    let (mut decoder, mut gather) = (format.decoder(0), Gather::default());
    let decoded = decoder
        .decode(file, true, &mut gather)
        .map_err(|fault| fault.0)?;
    assert!(decoded.done && decoded.bytes == file.len());
    Ok(gather)
}

/// What a file holds: how many records of each type in the order of their first, and how many documents are bad and why.
fn summary(gather: &Gather) -> String {
    let records = gather.records.iter();
    let of_types = records.map(|record| record.shape().record_type.clone());
    let reasons = gather.rejects.iter().map(|reject| {
        let reason = reject.reason.split("): ").nth(1).unwrap_or("");
        format!("bad: {}", reason.split(':').next().unwrap_or(""))
    });
    let mut counts: Vec<(String, usize)> = Vec::new();
    for what in of_types.chain(reasons) {
        match counts.iter_mut().find(|(known, _)| *known == what) {
            Some((_, count)) => *count += 1,
            None => counts.push((what, 1)),
        }
    }
    let told: Vec<String> = counts
        .into_iter()
        .map(|(what, count)| format!("{count} {what}"))
        .collect();
    told.join(", ")
}

/// The files whose envelopes hold: what stands in them with the built-in sets.
const DECODED: [(&str, &str); 26] = [
    (
        "x12/EDI.Net/x12.214.edi",
        "1 bad: no loops are known for set 214",
    ),
    ("x12/EDI.Net/x12.810a.edi", "1 810, 2 810.line"),
    ("x12/EDI.Net/x12.810b.edi", "1 810, 2 810.line"),
    (
        "x12/omniparser/1_canadapost_edi_214.input.txt",
        "19 bad: no loops are known for set 214",
    ),
    (
        "x12/staedi/extraDelimiter997.edi",
        "1 997, 1 997.document, 1 997.segment, 1 997.element",
    ),
    // Its AK101 is no code; codes are for mappings to check.
    (
        "x12/staedi/invalid997.edi",
        "1 997, 1 997.document, 1 997.segment, 1 997.element",
    ),
    (
        "x12/staedi/invoice810_po850_dual.edi",
        "2 810, 9 810.line, 1 850, 4 850.line",
    ),
    ("x12/staedi/simple810.edi", "2 810, 9 810.line"),
    (
        "x12/staedi/simple997-multiple-interchanges.edi",
        "3 997, 3 997.document, 3 997.segment, 3 997.element",
    ),
    (
        "x12/staedi/simple997.edi",
        "1 997, 1 997.document, 1 997.segment, 1 997.element",
    ),
    (
        "x12/staedi/simple_with_binary_segment.edi",
        "1 bad: no loops are known for set 000",
    ),
    (
        "x12/staedi/ts210_80char.edi",
        "1 bad: no loops are known for set 210",
    ),
    ("x12/x12-types/004010_850.edi", "1 850, 7 850.line"),
    ("x12/x12-types/004010_940_2.edi", "1 940, 1 940.line"),
    ("x12/x12-types/004010_940_3.edi", "1 940, 2 940.line"),
    ("x12/x12-types/004010_940_4.edi", "1 940, 1 940.line"),
    // An order that is cancelled has no lines.
    ("x12/x12-types/004010_940_5.edi", "1 940"),
    (
        "x12/x12-types/004060_856.edi",
        "1 856, 1 856.shipment, 1 856.order, 2 856.item",
    ),
    ("edifact/pydifact/invoice1.edi", "1 INVOIC, 1 INVOIC.line"),
    (
        "edifact/pydifact/wikipedia_en.edi",
        "1 bad: no loops are known for set PAORES",
    ),
    (
        "edifact/smooks-edi-cartridge/ORDERS_D.03B_Interchange.txt",
        "1 ORDERS, 4 ORDERS.line",
    ),
    (
        "edifact/smooks-edi-cartridge/recadv.txt",
        "1 RECADV, 1 RECADV.package, 1 RECADV.line",
    ),
    (
        "edifact/staedi/empty-segment-example.edi",
        "1 bad: no loops are known for set PNRGOV",
    ),
    (
        "edifact/staedi/invoic_d93a_una.edi",
        "1 INVOIC, 3 INVOIC.line",
    ),
    ("edifact/staedi/invoic_d97b.edi", "1 INVOIC, 2 INVOIC.line"),
    (
        "edifact/staedi/invoic_d97b_una.edi",
        "1 INVOIC, 2 INVOIC.line",
    ),
];

#[test]
fn every_file_becomes_records_or_is_refused_by_a_rule() {
    let Some(corpora) = corpora() else { return };
    let mut held = 0;
    for (kind, refused) in [
        ("x12", X12_REFUSED.as_slice()),
        ("edifact", &EDIFACT_REFUSED),
    ] {
        for name in files(&corpora.join(kind)) {
            let path = format!("{kind}/{name}");
            let file = fs::read(corpora.join(&path)).expect("readable");
            match decoded(&format!("kind = \"{kind}\""), &file) {
                Ok(gather) => {
                    let expected = DECODED.iter().find(|(known, _)| *known == path);
                    assert_eq!(
                        Some(summary(&gather).as_str()),
                        expected.map(|(_, told)| *told),
                        "{path}"
                    );
                    held += 1;
                }
                Err(said) => {
                    let words = refused.iter().find(|(known, _)| *known == name);
                    assert!(
                        words.is_some_and(|(_, words)| said.contains(words)),
                        "{path}: {said}"
                    );
                }
            }
        }
    }
    assert_eq!(held, DECODED.len());
}

/// A file with some of it mended, as told.
fn mended(path: &str, mends: &[(&str, &str)]) -> Option<Vec<u8>> {
    let file = String::from_utf8(corpus(path)?).expect("text");
    let mend = |file: String, (from, to): &(&str, &str)| {
        assert!(file.contains(from), "{path}: {from}");
        file.replace(from, to)
    };
    Some(mends.iter().fold(file, mend).into_bytes())
}

/// The columns of a file's records of a type, one record a line; a column that is not there is a dash.
fn columns(toml: &str, file: &[u8], of_type: &str, names: &[&str]) -> Vec<String> {
    let gather = decoded(toml, file).expect("a good file");
    let cell = |record: &RecordView<'_>, name: &str| {
        let columns = &record.shape().columns;
        let at = columns.iter().position(|column| column == name);
        match record.value(at.unwrap_or_else(|| panic!("{name} is none of {columns:?}"))) {
            Value::Text(text) => text.to_owned(),
            _ => "-".into(),
        }
    };
    let records = gather.records.iter();
    let of_type = records.filter(|record| record.shape().record_type == of_type);
    of_type
        .map(|record| {
            let cells: Vec<String> = names.iter().map(|name| cell(&record, name)).collect();
            cells.join("|")
        })
        .collect()
}

#[test]
fn files_whose_counts_are_mended_become_the_records_that_stand_in_them() {
    let x12 = "kind = \"x12\"";
    let Some(order) = mended("x12/gozer/po850.txt", &[("SE*33*", "SE*21*")]) else {
        return;
    };
    let lines = columns(
        x12,
        &order,
        "850.line",
        &[
            "850.BEG03",
            "850.N104[ST]",
            "PO101",
            "PO102",
            "PO104",
            "PO106/VN",
            "PID05",
            "PO401",
        ],
    );
    assert_eq!(
        lines,
        [
            "08292233294|0003947268292|5|72|7.5|RV0524|RED|4",
            "08292233294|0003947268292|6|696|9.55|DX1875|NO BLUE|6"
        ]
    );
    let Some(notice) = mended(
        "x12/gozer/asn856.txt",
        &[("IEA*1*000000049", "IEA*1*000003438")],
    ) else {
        return;
    };
    let items = columns(
        x12,
        &notice,
        "856.item",
        &[
            "856.BSN02",
            "856.shipment.REF02[BM]",
            "856.order.PRF01",
            "LIN02/UP",
            "SN102",
            "PID05",
        ],
    );
    assert_eq!(
        items,
        [
            "829716|999999-001|99999817|999999310145|24|BLUE WIDGET",
            "829716|999999-001|99999817|999999311746|6|RED WIDGET"
        ]
    );
    let Some(advice) = mended("x12/x12-types/004010_945_5.edi", &[("SE*12*", "SE*16*")]) else {
        return;
    };
    let lines = columns(
        x12,
        &advice,
        "945.line",
        &[
            "945.W0602",
            "945.W2702",
            "LX01",
            "W1202",
            "W1203",
            "N902[LV]",
            "G6901",
        ],
    );
    assert_eq!(
        lines,
        ["IF102|NPLT|10|3000|3000|LPN6569|WIDGETS 100 PER BOX"]
    );
    let order = mended(
        "x12/x12-types/004010_940_1.edi",
        &[
            ("GE*1*575103", "GE*1*3317"),
            ("IEA*1*3317     ", "IEA*1*000003438"),
        ],
    );
    let Some(order) = order else { return };
    let lines = columns(
        x12,
        &order,
        "940.line",
        &[
            "940.W0502",
            "940.N401[ST]",
            "LX01",
            "W0101",
            "W0105",
            "G6901",
        ],
    );
    assert_eq!(
        lines[2],
        "538686|SAN DIEGO|3|12|000300|11.500 STRUDEL RASPBRY"
    );
    assert_eq!(lines.len(), 3);
    let order = mended(
        "edifact/pydifact/order2.edi",
        &[("UNT+11+1'", "UNT+11+1'UNZ+1+000000001'")],
    );
    let Some(order) = order else { return };
    let lines = columns(
        "kind = \"edifact\"",
        &order,
        "ORDERS.line",
        &["ORDERS.BGM02", "LIN03-1", "QTY01-2[21]", "PRI01-2[AAA]"],
    );
    assert_eq!(lines, ["PO123456|ABC123|10|25.00"]);
}

#[test]
fn wrapped_lines_and_bytes_that_are_no_text_are_read_with_loops_of_ones_own() {
    let Some(bill) = corpus("x12/staedi/ts210_80char.edi") else {
        return;
    };
    let toml = "kind = \"x12\"\n[[set]]\nset = \"210\"\nloops = \"B3! N9 (N1 N2 N3 N4) line:(LX L5 L0 L1 L7) L3?\"\n\
        [[record]]\ntype = \"210\"\ncolumns = [\"B302\", \"N401[CN]\", \"N902[PO]#2\"]\n[[record]]\ntype = \"210.line\"\ncolumns = [\"L502\", \"L104\"]";
    let lines = columns(
        toml,
        &bill,
        "210.line",
        &["210.B302", "210.N401[CN]", "210.N902[PO]#2", "L502", "L104"],
    );
    assert_eq!(
        lines,
        [
            "699751522|DUDLEY|721295|PLT  PL FILM/SHEET 15-30P FOOD GRADE  156830-3 CLA|56186",
            "699751522|DUDLEY|721295|XPO LOGISTICS DISCOUNT SAVES YOU|-44949",
            "699751522|DUDLEY|721295|FSC FUEL SURCHARGE 10.50%|1180",
        ]
    );
    let Some(binary) = corpus("x12/staedi/simple_with_binary_segment.edi") else {
        return;
    };
    let gather = decoded("kind = \"x12\"\notherwise = \"segments\"", &binary).expect("a good file");
    assert_eq!(gather.records.len(), 5, "ST, three BIN, SE");
}

/// The values of an XML file's elements without others within, in their order, without empty ones.
fn xml_values(xml: &str) -> Vec<String> {
    let body = xml.split_once("-->").map_or(xml, |(_, body)| body);
    let body = body.split_once("</UNA>").map_or(body, |(_, body)| body);
    let mut values = Vec::new();
    let mut parts = body.split('<').skip(1).peekable();
    while let Some(part) = parts.next() {
        let (name, text) = part.split_once('>').unwrap_or((part, ""));
        let is_leaf = parts.peek().is_some_and(|next| next.starts_with('/'));
        if !name.starts_with('/') && is_leaf && !text.trim().is_empty() {
            values.push(text.replace("&apos;", "'").replace("&amp;", "&"));
        }
    }
    values
}

/// All components of an EDIFACT file that are not empty.
fn components(file: &[u8]) -> Vec<String> {
    let (mut segments, mut at, mut found) = (edifact::Segments::default(), 0, Vec::new());
    while let Ok(Found::Segment(bytes)) = segments.next(&file[at..], true) {
        at += bytes;
        let segment = segments.segment();
        let elements = (1..segment.len()).flat_map(|element| segment.components(element));
        found.extend(elements.map(|text| String::from_utf8_lossy(text).into_owned()));
    }
    found.retain(|text| !text.is_empty());
    found
}

/// What smooks makes of three files, value by value. It drops zeros before numbers.
#[test]
fn edifact_files_have_the_values_that_smooks_finds() {
    let folder = "edifact/smooks-edi-cartridge";
    for (file, xml, apart) in [
        (
            "ORDERS_D.03B_Interchange.txt",
            "ORDERS_D.03B_Interchange.xml",
            0,
        ),
        (
            "INVOIC_D.03B_Interchange_with_UNA.txt",
            "INVOIC_D.03B_Interchange_with_UNA.xml",
            0,
        ),
        ("recadv.txt", "expected.xml", 0),
    ] {
        let (Some(file), Some(xml)) = (
            corpus(&format!("{folder}/{file}")),
            corpus(&format!("{folder}/{xml}")),
        ) else {
            return;
        };
        let (found, expected) = (
            components(&file),
            xml_values(&String::from_utf8_lossy(&xml)),
        );
        assert_eq!(found.len(), expected.len(), "{found:?} {expected:?}");
        let differ: Vec<_> = found
            .iter()
            .zip(&expected)
            .filter(|(one, other)| !is_same(one, other))
            .collect();
        assert_eq!(differ.len(), apart, "{differ:?}");
    }
    let edifact = "kind = \"edifact\"";
    let Some(orders) = corpus(&format!("{folder}/ORDERS_D.03B_Interchange.txt")) else {
        return;
    };
    let lines = columns(
        edifact,
        &orders,
        "ORDERS.line",
        &[
            "ORDERS.BGM02",
            "ORDERS.NAD02-1[SU]",
            "LIN01",
            "LIN03-1",
            "QTY01-2",
            "FTX04-1",
        ],
    );
    assert_eq!(
        lines,
        [
            "BKOD99|4012345000094|1|0764569104|25|Lord of the Rings",
            "BKOD99|4012345000094|2|0764569090|25|The Hobbit",
            "BKOD99|4012345000094|3|1861004656|16|The Silmarillion",
            "BKOD99|4012345000094|4|0596006756|10|The Children of Hurin",
        ]
    );
    let Some(receipt) = corpus(&format!("{folder}/recadv.txt")) else {
        return;
    };
    let lines = columns(
        edifact,
        &receipt,
        "RECADV.line",
        &[
            "RECADV.BGM02",
            "RECADV.NAD04-1[DP]",
            "RECADV.package.CPS01",
            "LIN01",
            "PIA02/IN",
            "QTY01-2[48]",
            "RFF01-2[VN]",
            "RFF01-3[VN]",
        ],
    );
    assert_eq!(
        lines,
        ["20220808112809950|报文测试天津有限公司|1|900001|1000629|200|5502284066|000010"]
    );
    let invoice = mended(
        &format!("{folder}/INVOIC_D.03B_Interchange_with_UNA.txt"),
        &[("UNT+36+", "UNT+35+")],
    );
    let Some(invoice) = invoice else { return };
    let lines = columns(
        edifact,
        &invoice,
        "INVOIC.line",
        &[
            "INVOIC.MOA01-2[86]",
            "LIN03-1",
            "IMD03-4",
            "QTY01-2[47]",
            "MOA01-2[66]",
            "PRI01-2[AAA]",
        ],
    );
    assert_eq!(
        lines[0],
        "362|V0370246|Collectors edition of The Hobbit with Tolkien's original colours on sleeve|5|49.15|9.83"
    );
}
