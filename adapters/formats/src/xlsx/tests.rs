//! Workbooks of our own making: `calamine` and Excel need no more parts than these.

use dray_adapter::Value;
use proptest::prelude::*;

use super::*;
use crate::packed::tests::archive;
use crate::{FileFault, Gather, Sink, Tally, Window};

/// Styles by their number: 0 plain, 1 `m/d/yy`, 2 `m/d/yy h:mm`, 3 `[h]:mm:ss`, 4 `0.00%`, 5 `dd.mm.yyyy`, 6 `h:mm`.
const STYLES: &str = "<styleSheet xmlns=\"http://schemas.openxmlformats.org/spreadsheetml/2006/main\">\
    <numFmts count=\"2\"><numFmt numFmtId=\"164\" formatCode=\"[h]:mm:ss\"/><numFmt numFmtId=\"165\" formatCode=\"dd\\.mm\\.yyyy\"/></numFmts>\
    <cellXfs count=\"7\"><xf numFmtId=\"0\"/><xf numFmtId=\"14\"/><xf numFmtId=\"22\"/><xf numFmtId=\"164\"/><xf numFmtId=\"10\"/>\
    <xf numFmtId=\"165\"/><xf numFmtId=\"20\"/></cellXfs></styleSheet>";

/// A workbook whose first sheet has these rows, as XML, and whose second has one cell.
fn workbook(properties: &str, rows: &str, strings: &str) -> Vec<u8> {
    let main = "http://schemas.openxmlformats.org/spreadsheetml/2006/main";
    let relations = "http://schemas.openxmlformats.org/officeDocument/2006/relationships";
    let of = "http://schemas.openxmlformats.org/package/2006/relationships";
    let sheet = |rows: &str| {
        format!("<worksheet xmlns=\"{main}\"><sheetData>{rows}</sheetData></worksheet>")
    };
    archive(&[
        (
            "[Content_Types].xml",
            "<Types xmlns=\"http://schemas.openxmlformats.org/package/2006/content-types\"/>"
                .into(),
        ),
        (
            "_rels/.rels",
            format!(
                "<Relationships xmlns=\"{of}\"><Relationship Id=\"rId1\" Type=\"{relations}/officeDocument\" Target=\"xl/workbook.xml\"/></Relationships>"
            ),
        ),
        (
            "xl/workbook.xml",
            format!(
                "<workbook xmlns=\"{main}\" xmlns:r=\"{relations}\"><workbookPr {properties}/><sheets><sheet name=\"Orders\" sheetId=\"1\" r:id=\"rId1\"/><sheet name=\"Zweites\" sheetId=\"2\" r:id=\"rId2\"/></sheets></workbook>"
            ),
        ),
        (
            "xl/_rels/workbook.xml.rels",
            format!(
                "<Relationships xmlns=\"{of}\"><Relationship Id=\"rId1\" Type=\"{relations}/worksheet\" Target=\"worksheets/sheet1.xml\"/><Relationship Id=\"rId2\" Type=\"{relations}/worksheet\" Target=\"worksheets/sheet2.xml\"/></Relationships>"
            ),
        ),
        ("xl/styles.xml", STYLES.into()),
        (
            "xl/sharedStrings.xml",
            format!("<sst xmlns=\"{main}\">{strings}</sst>"),
        ),
        ("xl/worksheets/sheet1.xml", sheet(rows)),
        (
            "xl/worksheets/sheet2.xml",
            sheet(
                "<row r=\"1\"><c r=\"A1\" t=\"str\"><v>Z</v></c></row><row r=\"2\"><c r=\"A2\"><v>2</v></c></row>",
            ),
        ),
    ])
}

/// A cell with a text.
fn text(at: &str, text: &str) -> String {
    format!("<c r=\"{at}\" t=\"inlineStr\"><is><t>{text}</t></is></c>")
}

/// A cell with a number and a style.
fn number(at: &str, style: usize, value: &str) -> String {
    format!("<c r=\"{at}\" s=\"{style}\"><v>{value}</v></c>")
}

/// A sheet with one column of numbers, under a header.
fn column(properties: &str, numbers: &[(usize, &str)]) -> Vec<u8> {
    let mut rows = format!("<row r=\"1\">{}</row>", text("A1", "N"));
    for (index, (style, value)) in numbers.iter().enumerate() {
        let row = index + 2;
        rows += &format!(
            "<row r=\"{row}\">{}</row>",
            number(&format!("A{row}"), *style, value)
        );
    }
    workbook(properties, &rows, "")
}

fn config(toml: &str) -> XlsxConfig {
    toml::from_str(toml).expect("a format")
}

fn run<S: Sink>(
    config: &XlsxConfig,
    file: &[u8],
    chunk: usize,
    skip: u64,
    sink: &mut S,
    mut emptied: impl FnMut(&mut S),
) -> Result<u64, String> {
    let mut decoder = Xlsx::new(config).expect("a format").decoder(skip);
    let (mut window, mut rest) = (Window::default(), file);
    loop {
        let decoded = decoder.decode(window.bytes(), rest.is_empty(), sink);
        let decoded = decoded.map_err(|FileFault(said)| said)?;
        window.take(decoded.bytes);
        if decoded.done {
            return Ok(decoder.ordinal());
        }
        if sink.full() {
            emptied(sink);
            continue;
        }
        let space = window.space();
        let count = space.len().min(chunk).min(rest.len());
        space[..count].copy_from_slice(&rest[..count]);
        window.filled(count);
        rest = &rest[count..];
    }
}

/// `line: cell·cell`, or `line! reason`; `-` where there is no value.
fn told(gather: &Gather) -> Vec<String> {
    let mut told = Vec::new();
    for record in gather.records.iter() {
        let cells = (0..record.len()).map(|index| match record.value(index) {
            Value::Text(text) => text.to_owned(),
            _ => "-".to_owned(),
        });
        let (cells, row) = (cells.collect::<Vec<_>>().join("·"), record.row());
        told.push((row.ordinal, format!("{}: {cells}", row.line)));
    }
    for reject in &gather.rejects {
        told.push((
            reject.ordinal,
            format!("{}! {}", reject.line, reject.reason),
        ));
    }
    told.sort();
    told.into_iter().map(|(_, told)| told).collect()
}

fn told_of(config: &XlsxConfig, file: &[u8], chunk: usize) -> Result<Vec<String>, String> {
    let mut gather = Gather::default();
    let read = run(config, file, chunk, 0, &mut gather, |_| panic!("it fits"));
    let mut tally = Tally::new(u64::MAX);
    let counted = run(config, file, chunk, 0, &mut tally, |_| ());
    assert_eq!(read, counted, "both passes agree");
    read.map(|ordinals| {
        assert_eq!(ordinals, tally.records + tally.rejects);
        told(&gather)
    })
}

fn check(config: &XlsxConfig, file: &[u8], expected: &[&str]) {
    for chunk in [usize::MAX, 1, 100] {
        assert_eq!(told_of(config, file, chunk).expect("a workbook"), expected);
    }
    for skip in 0..=expected.len() {
        let (mut parts, mut one) = (Vec::new(), Gather::with_limits(1, usize::MAX));
        let emptied = |gather: &mut Gather| {
            parts.extend(told(gather));
            *gather = Gather::with_limits(1, usize::MAX);
        };
        run(config, file, 5_000, skip as u64, &mut one, emptied).expect("a workbook");
        parts.extend(told(&one));
        assert_eq!(parts, expected[skip..], "one at a time");
    }
}

fn check_fault(config: &XlsxConfig, file: &[u8], words: &str) {
    for chunk in [usize::MAX, 100] {
        let said = told_of(config, file, chunk).expect_err("it can't be read");
        assert!(said.contains(words), "\"{words}\" is missing in: {said}");
    }
}

/// Scenario 35.
#[test]
fn xlsx_dates_of_1900_and_1904_are_iso_dates() {
    let cells = [
        (1, "1"),
        (1, "59"),
        (1, "61"),
        (1, "46082"),
        (5, "46082"),
        (2, "46082.34375"),
        (2, "46082.999999999"),
        (2, "46082.000011574"),
        (6, "0.34375"),
        (6, "0"),
        (3, "10.6320601851852"),
        (1, "2958465"),
        (1, "60"),
        (1, "-1"),
        (1, "2958466"),
    ];
    let none = |line, value| {
        format!("{line}! cell A{line} has a date's format, and {value} is none in it")
    };
    let (leap, before, after) = (none(14, "60"), none(15, "-1"), none(16, "2958466"));
    check(
        &XlsxConfig::default(),
        &column("date1904=\"0\"", &cells),
        &[
            "2: 1900-01-01",
            "3: 1900-02-28",
            "4: 1900-03-01",
            "5: 2026-03-01",
            "6: 2026-03-01",
            "7: 2026-03-01T08:15:00",
            "8: 2026-03-02",
            "9: 2026-03-01T00:00:01",
            "10: 08:15:00",
            "11: 00:00:00",
            "12: 255:10:10",
            "13: 9999-12-31",
            &leap,
            &before,
            &after,
        ],
    );
    let cells = [
        (1, "0"),
        (1, "60"),
        (1, "44620"),
        (2, "44620.34375"),
        (6, "0.34375"),
        (3, "10.6320601851852"),
        (1, "2957003"),
        (1, "2957004"),
    ];
    let after = none(9, "2957004");
    check(
        &XlsxConfig::default(),
        &column("date1904=\"1\"", &cells),
        &[
            "2: 1904-01-01",
            "3: 1904-03-01",
            "4: 2026-03-01",
            "5: 2026-03-01T08:15:00",
            "6: 08:15:00",
            "7: 255:10:10",
            "8: 9999-12-31",
            &after,
        ],
    );
}

#[test]
fn numbers_are_their_values() {
    let numbers = [
        (0, "12.5"),
        (0, "12.0"),
        (0, "0.30000000000000004"),
        (0, "-0"),
        (0, "1.1E-7"),
        (0, "123456789012345"),
        (0, "9007199254740991"),
        (0, "1E+20"),
        (4, "0.15"),
        (0, "1234.5600000000001"),
    ];
    check(
        &XlsxConfig::default(),
        &column("", &numbers),
        &[
            "2: 12.5",
            "3: 12",
            "4: 0.3",
            "5: 0",
            "6: 0.00000011",
            "7: 123456789012345",
            "8: 9007199254740991",
            "9: 100000000000000000000",
            "10: 0.15",
            "11: 1234.56",
        ],
    );
}

fn orders() -> Vec<u8> {
    let rows = [
        format!("<row r=\"1\">{}</row>", text("A1", "Orders of the night")),
        format!(
            "<row r=\"3\">{}{}{}</row>",
            text("B3", " Order "),
            text("C3", "Qty"),
            "<c r=\"E3\" t=\"s\"><v>0</v></c>"
        ),
        format!("<row r=\"4\">{}{}</row>", text("B4", "4711"), number("C4", 0, "12.5")),
        "<row r=\"5\"><c r=\"B5\"/><c r=\"C5\" s=\"1\"></c></row>".into(),
        format!("<row r=\"6\">{}<c r=\"C6\" t=\"e\"><v>#N/A</v></c></row>", text("B6", "4712")),
        "<row r=\"7\"><c r=\"B7\" t=\"str\"><f>\"\"</f><v></v></c><c r=\"C7\" t=\"b\"><v>1</v></c><c r=\"E7\" t=\"s\"><v>1</v></c></row>".into(),
        "<row r=\"8\"><c r=\"B8\"><f>1+1</f></c></row>".into(),
        format!("<row r=\"9\">{}{}</row>", text("B9", "4713"), text("D9", "see below")),
        "<row r=\"10\"><c r=\"E10\" t=\"d\"><v>2026-03-01T08:15:00</v></c><c r=\"B10\"><f>2+2</f><v>4</v></c></row>".into(),
    ];
    workbook(
        "",
        &rows.concat(),
        "<si><t>Due</t></si><si><r><t xml:space=\"preserve\">a &amp; </t></r><r><t>b</t></r></si>",
    )
}

const ORDERS: [&str; 6] = [
    "4: 4711·12.5·-",
    "6! cell C6 is #N/A",
    "7: ·TRUE·a & b",
    "8! cell B8 has a formula without a value; open and save the workbook in Excel, or have values written",
    "9! cell D9 has a value, and its column has no name",
    "10: 4·-·2026-03-01T08:15:00",
];

#[test]
fn rows_become_records_by_their_header() {
    check(&config("skip_rows = 2"), &orders(), &ORDERS);
    let required =
        config("skip_rows = 2\nheader = true\ncolumns = [\"Due\", \"Qty\"]\nsheet = \"Orders\"");
    check(&required, &orders(), &ORDERS);
    let missing = config("skip_rows = 1\nheader = true\ncolumns = [\"Due\", \"SKU\"]");
    check_fault(
        &missing,
        &orders(),
        "the header in row 3: it lacks SKU; it has Order, Qty, Due",
    );
    let named = config("skip_rows = 6\nheader = false\ncolumns = [\"A\", \"B\", \"C\"]");
    let wide = "7! cell E7 has a value, and its column has no name";
    let told = told_of(&named, &orders(), usize::MAX).expect("a workbook");
    assert_eq!((told.len(), &told[0][..]), (4, wide));
    check(&config("sheet = 2"), &orders(), &["2: 2"]);
    check(&config("sheet = \"Zweites\""), &orders(), &["2: 2"]);
    check_fault(
        &config("sheet = 3"),
        &orders(),
        "has no sheet 3; its sheets are Orders, Zweites",
    );
    check_fault(&config("sheet = \"X\""), &orders(), "has no sheet \"X\"");
    check(&config("skip_rows = 99"), &orders(), &[]);
    let twice = format!("<row r=\"1\">{}{}</row>", text("A1", "N"), text("B1", "N"));
    check_fault(
        &XlsxConfig::default(),
        &workbook("", &twice, ""),
        "row 1: it names \"N\" twice",
    );
}

#[test]
fn the_bytes_of_a_row_are_its_texts_with_tabs() {
    let mut gather = Gather::default();
    let config = config("skip_rows = 2");
    run(&config, &orders(), usize::MAX, 0, &mut gather, |_| ()).expect("a workbook");
    let record = gather.records.get(1).expect("a record");
    assert_eq!(record.raw(), b"\tTRUE\t\ta & b");
    assert_eq!(gather.rejects[0].raw, b"4712\t#N/A");
}

#[test]
fn what_is_no_workbook_is_refused() {
    let config = XlsxConfig::default();
    check_fault(&config, b"", "it is no workbook (.xlsx)");
    check_fault(&config, b"A;B\n1;2\n", "it is no workbook (.xlsx)");
    check_fault(
        &config,
        b"\xD0\xCF\x11\xE0\xA1\xB1\x1A\xE1",
        "the old kind (.xls), or one with a password",
    );
    check_fault(
        &config,
        &vec![b'P'; XLSX_BYTES_MAX + 1],
        "it is no workbook",
    );
    check_fault(
        &config,
        &b"PK".repeat(XLSX_BYTES_MAX / 2 + 1),
        "larger than 16777216 bytes",
    );
    check_fault(
        &config,
        &archive(&[("a.csv", "A\n".into())]),
        "can't be read",
    );
    check_fault(
        &config,
        &archive(&[("xl/workbook.bin", "x".into())]),
        ".xlsb",
    );
    check_fault(&config, &archive(&[("content.xml", "<x/>".into())]), ".ods");
    let whole = orders();
    check_fault(&config, &whole[..whole.len() - 1], "ends in its middle");
    let count = workbook("", "", "<x uniqueCount = '9999999999'/>");
    check_fault(&config, &count, "counts 9999999999 texts");
    let strings = "<si><t>0123456789abcdef</t></si>".repeat(XLSX_BYTES_MAX / 32 + 1);
    check_fault(
        &config,
        &workbook("", "", &strings),
        "sharedStrings.xml is larger than",
    );
    let long = text("A1", &"x".repeat(1024 * 1024 + 1));
    check_fault(
        &config,
        &workbook("", &format!("<row r=\"1\">{long}</row>"), ""),
        "a text of more than",
    );
}

/// Two cells in far corners would be a rectangle of 17 billion.
#[test]
fn cells_far_apart_take_no_room() {
    let rows = format!(
        "<row r=\"1\">{}</row><row r=\"1048576\">{}</row>",
        text("A1", "N"),
        text("XFD1048576", "far")
    );
    check(
        &XlsxConfig::default(),
        &workbook("", &rows, ""),
        &["1048576! cell XFD1048576 has a value, and its column has no name"],
    );
}

#[test]
fn rows_that_do_not_fit_into_memory_at_once_are_all_read() {
    let wide = "y".repeat(900);
    let mut rows = format!("<row r=\"1\">{}</row>", text("A1", "N"));
    let count = 20_000;
    for row in 2..=count + 1 {
        rows += &format!("<row r=\"{row}\">{}</row>", text(&format!("A{row}"), &wide));
    }
    let file = workbook("", &rows, "");
    let (mut records, mut gather) = (0, Gather::with_limits(3_000, usize::MAX));
    let emptied = |gather: &mut Gather| {
        records += gather.records.len();
        *gather = Gather::with_limits(3_000, usize::MAX);
    };
    let ordinals = run(
        &XlsxConfig::default(),
        &file,
        100_000,
        0,
        &mut gather,
        emptied,
    );
    assert_eq!(
        (ordinals, records + gather.records.len()),
        (Ok(count), count as usize)
    );
    let last = gather
        .records
        .get(gather.records.len() - 1)
        .expect("the last");
    assert_eq!(last.row().line, count + 1);
}

#[test]
fn a_format_is_checked_in_words() {
    for (toml, words) in [
        ("", "(fine)"),
        (
            "sheet = \"Orders\"\nskip_rows = 2\nheader = true\ncolumns = [\"A\"]",
            "(fine)",
        ),
        ("sheet = 0", "counted from 1"),
        ("sheet = \"\"", "it is empty"),
        ("sheet = true", "a sheet's name, or its number from 1"),
        ("header = false", "columns = [\"A\", \"B\"]"),
        ("columns = [\"A\"]", "header = false (data)"),
        ("header = false\ncolumns = [\"A\", \" \"]", "UNUSED_2"),
        (
            "header = false\ncolumns = [\"A\", \"A\"]",
            "like an earlier one",
        ),
        ("skip = 1", "unknown field `skip`"),
    ] {
        let said = match toml::from_str::<XlsxConfig>(toml) {
            Ok(config) => config
                .faults()
                .pop()
                .map_or("(fine)".into(), |(_, said)| said),
            Err(error) => error.to_string(),
        };
        assert!(said.contains(words), "{toml}: {said}");
    }
}

proptest! {
    /// What is damaged in the archive mostly fails there; here the parts are damaged, and the archive holds.
    #[test]
    fn damaged_sheets_are_read_or_refused(
        changes in prop::collection::vec((any::<prop::sample::Index>(), prop::sample::select(b"<>/\"=rcv019AsZ".to_vec()), 0..3_u8), 1..4),
        chunk in 1_usize..3_000,
    ) {
        let mut rows = format!("<row r=\"1\">{}</row><row r=\"2\">{}<c r=\"B2\" t=\"s\"><v>0</v></c></row>", text("A1", "N"), number("A2", 1, "46082.5")).into_bytes();
        for (at, byte, how) in changes {
            let at = at.index(rows.len());
            match how {
                0 => rows[at] = byte,
                1 => drop(rows.remove(at)),
                _ => rows.insert(at, byte),
            }
        }
        let rows = String::from_utf8(rows).expect("ASCII");
        let file = workbook("", &rows, "<si><t>Due</t></si>");
        let config = XlsxConfig::default();
        prop_assert_eq!(told_of(&config, &file, chunk), told_of(&config, &file, usize::MAX));
    }
}

/// Counted as 32 bits these letters would be column A: a wrong number without a word. `make soak` runs it as it is released.
#[test]
fn a_reference_to_a_column_that_no_sheet_has_is_no_other_column() {
    let rows = format!(
        "<row r=\"1\">{}</row><row r=\"2\">{}</row>",
        text("A1", "N"),
        number("MWLQKWW2", 0, "7")
    );
    check_fault(
        &config("header = true"),
        &workbook("", &rows, ""),
        "its reader gave up",
    );
}
