use std::fmt::Write as _;

use super::{CONTROL_LENGTH, HEAD_LENGTH};
use crate::cases::{check, check_config, check_fault, format, raw_of, run, told_of};
use crate::{Format, Gather};

fn control(number: &str) -> String {
    let mut line = format!(
        "{:10}{:3}{number:16}{:4}{:2}{:1}{:1}{:1}{:1}{:30}{:30}{:30}",
        "EDI_DC40", "800", "700", "30", "2", "2", "", "", "DELVRY03", "", "DESADV"
    );
    write!(
        line,
        "{:19}{:10}{:4}{:10}{:91}",
        "", "SAPR3", "LS", "SAP_SND", ""
    )
    .expect("a string");
    write!(
        line,
        "{:10}{:4}{:10}{:91}20260101120000",
        "SAPR3", "LS", "WMS", ""
    )
    .expect("a string");
    format!("{line:CONTROL_LENGTH$}")
}

fn segment(name: &str, number: usize, parent: usize, level: usize, data: &str) -> String {
    let head = format!(
        "{name:30}{:3}{:16}{number:06}{parent:06}{level:02}",
        "800", "0000000000000001"
    );
    assert_eq!(head.len(), HEAD_LENGTH);
    format!("{head}{data:1000}")
}

fn header(delivery: &str) -> String {
    format!("{delivery:10}VST1")
}

fn item(position: &str, material: &str, quantity: &str) -> String {
    format!("{position:6}{material:18}{:152}{quantity:15}EA", "")
}

fn small(records: &str) -> Format {
    let fields = "control = [\"DOCNUM\"]\n[[segment]]\nname = \"E1EDL20\"\nfield = [{ name = \"VBELN\", width = 10 }]\n\
        [[segment]]\nname = \"E1EDL24\"\nparent = \"E1EDL20\"\nfield = [{ name = \"POSNR\", width = 6 }, { name = \"MATNR\", width = 18 }, { name = \"LFIMG\", width = 15, at = 177 }]\n\
        [[segment]]\nname = \"Z1PACK\"\nparent = \"E1EDL24\"\nfield = [{ name = \"SSCC\", width = 20 }]\n";
    format(&format!("kind = \"idoc\"\nrecords = {records}\n{fields}"))
}

fn padded() -> String {
    [
        control("0000000000000001"),
        segment("E2EDL20006", 1, 0, 1, &header("80001")),
        segment("E2EDL24009", 2, 1, 2, &item("000010", "MAT-1", "5.000")),
        segment("Z2PACK000", 3, 2, 3, "  340001"),
        segment("E2EDL24009", 4, 1, 2, &item("000020", "Größe", "")),
        control("0000000000000001"),
        segment("E1EDL20", 1, 0, 1, &header("80002")),
        segment("E1EDL24", 2, 1, 2, &item("000010", "MAT-3", "7")),
    ]
    .join("\n")
}

const EXPECTED: [&str; 3] = [
    "3 E1EDL24: 000010·MAT-1·5.000·80001·0000000000000001",
    "5 E1EDL24: 000020·Größe·-·80001·0000000000000001",
    "8 E1EDL24: 000010·MAT-3·7·80002·0000000000000001",
];

fn without_trailing_blanks(file: &str, end: &str) -> String {
    file.lines()
        .map(|line| format!("{}{end}", line.trim_end()))
        .collect()
}

/// Scenario 32 of the research note.
#[test]
fn flat_idocs_are_the_same_trimmed_and_padded_and_several_in_a_file() {
    let items = small("[\"E1EDL24\"]");
    for file in [
        padded(),
        padded() + "\r\n",
        without_trailing_blanks(&padded(), "\n"),
        without_trailing_blanks(&padded(), "\r\n"),
        padded() + "\n\n\u{1a}",
    ] {
        for chunk in [usize::MAX, 1, 7, 100, 1_063] {
            assert_eq!(
                told_of(&items, file.as_bytes(), chunk),
                Ok(EXPECTED.map(str::to_owned).to_vec())
            );
        }
    }
    check(
        &items,
        without_trailing_blanks(&padded(), "\n").as_bytes(),
        &EXPECTED,
    );
    let packs = small("[\"Z1PACK\", \"E1EDL20\"]");
    check(
        &packs,
        without_trailing_blanks(&padded(), "\n").as_bytes(),
        &[
            "2 E1EDL20: 80001·0000000000000001",
            "4 Z1PACK: 340001·000010·MAT-1·5.000·80001·0000000000000001",
            "7 E1EDL20: 80002·0000000000000001",
        ],
    );
    let raw = raw_of(
        &packs,
        without_trailing_blanks(&padded(), "\r\n").as_bytes(),
        9,
    );
    assert!(
        raw[1].starts_with(b"Z2PACK000 ") && raw[1].ends_with(b"  340001"),
        "{raw:?}"
    );
    let latin: Vec<u8> = padded().chars().map(|letter| letter as u8).collect();
    let config = "kind = \"idoc\"\nrecords = [\"E1EDL24\"]\nignore = [\"*\"]\ncontrol = []\nencoding = \"iso-8859-1\"\n[[segment]]\nname = \"E1EDL24\"\nfield = [{ name = \"MATNR\", width = 18, at = 7 }]";
    check(
        &format(config),
        without_trailing_blanks(&padded(), "\n")
            .replace("Größe", "x")
            .as_bytes(),
        &["3 E1EDL24: MAT-1", "5 E1EDL24: x", "8 E1EDL24: MAT-3"],
    );
    assert_eq!(
        told_of(&format(config), &latin, 99).map(|told| told[1].clone()),
        Ok("5 E1EDL24: Größe".into())
    );
}

#[test]
fn layouts_that_are_built_in_read_a_delivery() {
    let built_in = format("kind = \"idoc\"\nrecords = [\"E1EDL24\"]\nignore = [\"Z1PACK\"]");
    let mut gather = Gather::default();
    run(&built_in, padded().as_bytes(), 500, 0, &mut gather, |_| ()).expect("IDocs");
    let record = gather.records.get(0).expect("an item");
    let value = |name: &str| {
        let column = record
            .shape()
            .columns
            .iter()
            .position(|column| column == name)
            .unwrap_or_else(|| panic!("{name}"));
        format!("{:?}", record.value(column))
    };
    let found = [
        "POSNR",
        "MATNR",
        "LFIMG",
        "VRKME",
        "WERKS",
        "E1EDL20.VBELN",
        "E1EDL20.VSTEL",
        "DC40.DOCNUM",
        "DC40.MESTYP",
        "DC40.IDOCTYP",
        "DC40.SNDPRN",
        "DC40.CREDAT",
        "DC40.CRETIM",
    ]
    .map(value);
    let expected = [
        "000010",
        "MAT-1",
        "5.000",
        "EA",
        "",
        "80001",
        "VST1",
        "0000000000000001",
        "DESADV",
        "DELVRY03",
        "SAP_SND",
        "20260101",
        "120000",
    ];
    for (found, expected) in found.iter().zip(expected) {
        assert_eq!(
            *found,
            if expected.is_empty() {
                "Null".into()
            } else {
                format!("Text(\"{expected}\")")
            }
        );
    }
}

#[test]
fn segments_nest_by_psgnum_or_hlevel_or_as_configured() {
    let packs = small("[\"Z1PACK\"]");
    let file = |parents: [usize; 4], levels: [usize; 4], numbers: [usize; 4]| {
        let lines = [
            control("0000000000000001"),
            segment("E1EDL20", numbers[0], parents[0], levels[0], &header("8")),
            segment(
                "E1EDL24",
                numbers[1],
                parents[1],
                levels[1],
                &item("1", "A", ""),
            ),
            segment("Z1PACK", numbers[2], parents[2], levels[2], "P"),
            segment(
                "E1EDL24",
                numbers[3],
                parents[3],
                levels[3],
                &item("2", "B", ""),
            ),
        ];
        without_trailing_blanks(&lines.join("\n"), "\n")
    };
    for (parents, levels, numbers) in [
        ([0, 1, 2, 1], [1, 2, 3, 2], [1, 2, 3, 4]),
        ([0, 0, 0, 0], [1, 2, 3, 2], [1, 2, 3, 4]),
        ([0; 4], [0; 4], [0; 4]),
    ] {
        check(
            &packs,
            file(parents, levels, numbers).as_bytes(),
            &["4 Z1PACK: P·1·A·-·8·0000000000000001"],
        );
    }
    // Below the header itself, as PSGNUM says: the item stands beside it and is carried all the same; a later one is not.
    check(
        &packs,
        file([0, 1, 1, 1], [1, 2, 2, 2], [1, 2, 3, 4]).as_bytes(),
        &["4 Z1PACK: P·1·A·-·8·0000000000000001"],
    );
}

#[test]
fn a_neighbour_of_the_header_is_carried_and_one_of_another_branch_is_not() {
    let orders = format(
        "kind = \"idoc\"\nrecords = [\"E1EDP19\"]\ncontrol = []\n[[segment]]\nname = \"E1EDK01\"\nfield = [{ name = \"CURCY\", width = 3, at = 5 }]\n[[segment]]\nname = \"E1EDP01\"\nfield = [{ name = \"POSEX\", width = 6 }]\n[[segment]]\nname = \"E1EDP19\"\nparent = \"E1EDP01\"\ncarry = [\"E1EDP01\", \"E1EDK01\", \"Z1NOTE\"]\nfield = [{ name = \"QUALF\", width = 3 }, { name = \"IDTNR\", width = 35 }]\n[[segment]]\nname = \"Z1NOTE\"\nfield = [{ name = \"TEXT\", width = 5 }]",
    );
    let lines = [
        control("0000000000000001"),
        segment("E2EDK01005", 1, 0, 1, "    EUR"),
        segment("E2EDP01001", 2, 0, 1, "000010"),
        segment("E2EDP19", 3, 2, 2, "001CUST-1"),
        segment("Z2NOTE000", 4, 3, 3, "deep"),
        segment("E2EDP19", 5, 2, 2, "002MAT-1"),
        segment("E2EDP01001", 6, 0, 1, "000020"),
        segment("E2EDP19", 7, 6, 2, "002MAT-2"),
    ];
    check(
        &orders,
        without_trailing_blanks(&lines.join("\n"), "\n").as_bytes(),
        &[
            "4 E1EDP19: 001·CUST-1·000010·EUR·-",
            "6 E1EDP19: 002·MAT-1·000010·EUR·-",
            "8 E1EDP19: 002·MAT-2·000020·EUR·-",
        ],
    );
}

#[test]
fn an_idoc_that_cannot_be_trusted_is_one_bad_record_and_the_next_is_read() {
    let items = small("[\"E1EDL24\"]");
    let good = [
        control("0000000000000001"),
        segment("E1EDL20", 1, 0, 1, &header("9")),
        segment("E1EDL24", 2, 1, 2, &item("1", "G", "")),
    ];
    for (bad, words) in [
        (
            segment("E1EDL24", 3, 1, 2, ""),
            "line 3: segment E1EDL24 has SEGNUM 3, and 2 is expected",
        ),
        (
            segment("E1EDL24", 2, 7, 2, ""),
            "stands below segment 7 (PSGNUM), which is not open",
        ),
        (
            segment("E1ADRM1", 2, 1, 2, ""),
            "segment E1ADRM1 is not known: write a [[segment]] for it, or ignore = [\"E1ADRM1\"]",
        ),
        (
            segment("E1EDL24", 2, 1, 2, "").replace("0000000000000001", "0000000000000002"),
            "has DOCNUM 0000000000000002, and its control record 0000000000000001",
        ),
        (
            segment("E1EDL24", 2, 1, 2, "").replace("000002", "00000x"),
            "SEGNUM \"00000x\" is no number",
        ),
        (
            segment("E1EDL24", 2, 1, 2, &"x".repeat(1_001)),
            "more than 1063 characters",
        ),
    ] {
        let lines = [
            control("0000000000000001"),
            segment("E1EDL20", 1, 0, 1, &header("8")),
            bad,
        ]
        .join("\n");
        let file = without_trailing_blanks(&lines, "\n")
            + &without_trailing_blanks(&good.join("\n"), "\n");
        check(
            &items,
            file.as_bytes(),
            &[
                &format!("1! {words}"),
                "6 E1EDL24: 1·G·-·9·0000000000000001",
            ],
        );
        let raw = raw_of(&items, file.as_bytes(), 50);
        assert_eq!(raw[0], without_trailing_blanks(&lines, "\n").as_bytes());
    }
    check(
        &items,
        (without_trailing_blanks(&control(" "), "\n") + "x").as_bytes(),
        &["1! the control record has no DOCNUM"],
    );
    check_fault(
        &items,
        b"\nE1EDL20",
        &["line 2: \"E1EDL20\" stands before any control record"],
    );
    check_fault(&items, b"EDI_DC    800", &["a control record of release 3"]);
    check(&items, b"", &[]);
    let long = "x".repeat(70_000);
    assert!(
        told_of(&items, long.as_bytes(), 999)
            .is_err_and(|said| said.contains("line 1: the line is longer than 65536"))
    );
}

#[test]
fn an_idoc_that_is_too_long_is_one_bad_record() {
    let items = small("[\"E1EDL24\"]");
    let mut file = control("0000000000000001") + "\n";
    for number in 0..16_000 {
        file += &(segment("E1EDL24", number + 1, 0, 1, &item("1", "A", "")) + "\n");
    }
    file += &without_trailing_blanks(&padded(), "\n");
    for chunk in [10_000, usize::MAX] {
        let mut gather = Gather::default();
        run(&items, file.as_bytes(), chunk, 0, &mut gather, |_| ()).expect("IDocs");
        assert_eq!((gather.records.len(), gather.rejects.len()), (3, 1));
        assert!(
            gather.rejects[0]
                .reason
                .contains("the IDoc is 17024525 bytes long"),
            "{}",
            gather.rejects[0].reason
        );
        assert_eq!(gather.rejects[0].raw_bytes, 17_024_525);
    }
}

const XML: &str = "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<DELVRY03>\n<IDOC BEGIN=\"1\"><EDI_DC40 SEGMENT=\"1\"><TABNAM>EDI_DC40</TABNAM><DOCNUM>0000000000000001</DOCNUM></EDI_DC40>\n\
    <E1EDL20 SEGMENT=\"1\"><VBELN>80001</VBELN>\n<E1EDL24 SEGMENT=\"1\"><POSNR>000010</POSNR><MATNR>MAT-1</MATNR><LFIMG> 5.000</LFIMG>\n<Z1PACK SEGMENT=\"1\"><SSCC>340001</SSCC></Z1PACK></E1EDL24>\n\
    <E1EDL24 SEGMENT=\"1\"><POSNR>000020</POSNR><MATNR>Gr&#246;&#xDF;e</MATNR><UNKNOWN>x</UNKNOWN></E1EDL24></E1EDL20></IDOC>\n\
    <IDOC BEGIN=\"1\"><EDI_DC40><DOCNUM>0000000000000001</DOCNUM></EDI_DC40><E1EDL20><VBELN>80002</VBELN><E1EDL24><POSNR>000010</POSNR>\n<MATNR>MAT-3</MATNR><LFIMG>7</LFIMG></E1EDL24></E1EDL20></IDOC>\n</DELVRY03>\n";

#[test]
fn idocs_as_xml_give_the_records_of_flat_ones() {
    let cells = |told: &str| told.split_once(' ').expect("a line").1.to_owned();
    for records in ["[\"E1EDL24\"]", "[\"Z1PACK\", \"E1EDL20\"]"] {
        let flat = told_of(&small(records), padded().as_bytes(), 99).expect("IDocs");
        let xml = told_of(&small(records), XML.as_bytes(), 99).expect("IDocs");
        assert_eq!(
            flat.iter().map(|told| cells(told)).collect::<Vec<_>>(),
            xml.iter().map(|told| cells(told)).collect::<Vec<_>>()
        );
    }
    check(
        &small("[\"E1EDL24\"]"),
        XML.as_bytes(),
        &[
            &EXPECTED[0].replacen('3', "5", 1),
            &EXPECTED[1].replacen('5', "7", 1),
            EXPECTED[2],
        ],
    );
    let raw = raw_of(&small("[\"Z1PACK\"]"), XML.as_bytes(), 11);
    assert_eq!(raw, [b"<Z1PACK SEGMENT=\"1\"><SSCC>340001</SSCC></Z1PACK>"]);
    let wide: Vec<u8> = format!("\u{feff}{}", XML.replace("UTF-8", "UTF-16"))
        .encode_utf16()
        .flat_map(u16::to_le_bytes)
        .collect();
    assert_eq!(
        told_of(&small("[\"E1EDL24\"]"), &wide, 33),
        told_of(&small("[\"E1EDL24\"]"), XML.as_bytes(), 33)
    );
    assert_eq!(
        raw_of(&small("[\"Z1PACK\"]"), &wide, 11)[0].len(),
        2 * raw[0].len()
    );
}

#[test]
fn an_idoc_as_xml_that_cannot_be_trusted_is_one_bad_record() {
    let items = small("[\"E1EDL24\"]");
    for (from, to, words) in [
        (
            "<IDOC BEGIN=\"1\"><EDI_DC40 SEGMENT=\"1\">",
            "<IDOC BEGIN=\"1\"><E1EDL20/><EDI_DC40>",
            "stands where <EDI_DC40> is expected",
        ),
        (
            "<DOCNUM>0000000000000001</DOCNUM></EDI_DC40>\n",
            "</EDI_DC40>\n",
            "the control record has no DOCNUM",
        ),
        (
            "<TABNAM>EDI_DC40</TABNAM>",
            "<TABNAME>EDI_DC40</TABNAME>",
            "EDI_DC40 has no field TABNAME",
        ),
        (
            "<Z1PACK SEGMENT=\"1\"><SSCC>340001</SSCC></Z1PACK>",
            "<Z1MORE SEGMENT=\"1\"><SSCC>340001</SSCC></Z1MORE>",
            "line 6: segment Z1MORE is not known",
        ),
        (
            "<LFIMG> 5.000</LFIMG>",
            "<LFIMG><b/></LFIMG>",
            "<b> stands within a field",
        ),
        ("<LFIMG> 5.000</LFIMG>", "&bad;", "&bad; stands for nothing"),
        (
            "<LFIMG> 5.000</LFIMG>",
            "5.000",
            "a text stands between the fields",
        ),
        (
            "</Z1PACK></E1EDL24>",
            "</Z1PACK><LFIMG>1</LFIMG></E1EDL24>",
            "field LFIMG stands twice in a segment",
        ),
    ] {
        assert!(XML.contains(from), "{from}");
        check(
            &items,
            XML.replace(from, to).as_bytes(),
            &[&format!("3! {words}"), EXPECTED[2]],
        );
    }
    let behind = XML
        .replace("<LFIMG> 5.000</LFIMG>", "")
        .replace("</Z1PACK>", "</Z1PACK><LFIMG>1</LFIMG>");
    check(
        &items,
        behind.as_bytes(),
        &[
            &EXPECTED[0].replacen('3', "5", 1).replace("5.000", "1"),
            &EXPECTED[1].replacen('5', "7", 1),
            EXPECTED[2],
        ],
    );
    check(
        &small("[\"E1EDL24\", \"Z1PACK\"]"),
        behind.as_bytes(),
        &[
            "3! line 6: field LFIMG stands behind the segments below its own",
            EXPECTED[2],
        ],
    );
    check_fault(
        &items,
        b"<DELVRY03><IDOK/></DELVRY03>",
        &["<IDOK> stands where <IDOC> is expected"],
    );
    check_fault(
        &items,
        &XML.as_bytes()[..XML.len() - 30],
        &["is not ended; it is cut"],
    );
    check(&items, b"<DELVRY03/>", &[]);
}

#[test]
fn a_files_document_numbers_are_told() {
    for file in [padded(), XML.to_owned()] {
        let Format::Idoc(idoc) = small("[\"E1EDL24\"]") else {
            panic!("an IDoc")
        };
        let mut decoder = idoc.decoder(0);
        decoder
            .decode(file.as_bytes(), true, &mut Gather::default())
            .expect("IDocs");
        assert_eq!(
            decoder.documents(),
            ["0000000000000001", "0000000000000001"]
        );
    }
}

#[test]
fn a_configuration_is_checked_in_words() {
    let of = |rest: &str| format!("kind = \"idoc\"\nrecords = [\"E1EDL24\"]\n{rest}");
    check_config(&of(""), &[]);
    check_config(
        &of("control = [\"DOCNO\"]"),
        &["control.0: ", "no field DOCNO"],
    );
    check_config(
        "kind = \"idoc\"\nrecords = []",
        &["records: ", "records = [\"E1EDL24\"]"],
    );
    check_config(
        "kind = \"idoc\"\nrecords = [\"Z1X\"]",
        &["records.0: ", "write a [[segment]] with name = \"Z1X\""],
    );
    check_config(
        &of("[[segment]]\nname = \"Z1X\"\nparent = \"Z1Y\"\nfield = [{ name = \"A\", width = 1 }]"),
        &["segment.0.parent: ", "Z1Y is neither"],
    );
    check_config(
        &of("[[segment]]\nname = \"Z1X\"\nfield = []"),
        &["segment.0.field: "],
    );
    check_config(
        &of(
            "[[segment]]\nname = \"Z1X\"\nfield = [{ name = \"A\", width = 1 }, { name = \"B\", width = 900, at = 102 }]",
        ),
        &["segment.0.field.1.width: ", "B has characters 102 to 1001"],
    );
    check_config(
        &of(
            "[[segment]]\nname = \"Z1X\"\nfield = [{ name = \"A\", width = 1 }, { name = \"A\", width = 1 }]",
        ),
        &["segment.0.field.1.name: "],
    );
    let xml_only = format(&of(
        "control = []\n[[segment]]\nname = \"E1EDL24\"\ncarry = []\nfield = [{ name = \"MATNR\" }]\n[[segment]]\nname = \"Z1PACK\"\nfield = [{ name = \"X\" }]",
    ));
    check(
        &xml_only,
        XML.as_bytes(),
        &["5 E1EDL24: MAT-1", "7 E1EDL24: Größe", "8 E1EDL24: MAT-3"],
    );
    check_fault(
        &xml_only,
        without_trailing_blanks(&padded(), "\n").as_bytes(),
        &["line 3: segment E2EDL24009 is configured without the widths"],
    );
}
