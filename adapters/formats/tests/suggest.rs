//! What is proposed for files: of our own making, and, where they are there, of others.

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use dray_formats::packed::Compression;
use dray_formats::suggest::{ColumnType, Suggestion, suggest};
use dray_formats::{Format, FormatConfig};
use proptest::prelude::*;

fn of(name: &str, file: &[u8]) -> Suggestion {
    let told = suggest(name, file, file.len() as u64);
    assert!(
        !told.reasons.is_empty() && told.confidence < 100,
        "{told:?}"
    );
    if told.kind.is_some() {
        loads(name, &told);
    }
    told
}

/// What is proposed is taken by the format that it names.
fn loads(name: &str, told: &Suggestion) {
    #[derive(serde::Deserialize)]
    struct Source {
        format: FormatConfig,
    }
    let text = told.to_toml("format", "/etc/dray/A.cpy").expect("a format");
    let source: Source =
        toml::from_str(&text).unwrap_or_else(|error| panic!("{name}: {error}\n{text}"));
    assert_eq!(source.format.faults(), [], "{name}:\n{text}");
    let copybook = told.copybook_stand_in().unwrap_or_default();
    Format::new(&source.format, &|_| Ok(copybook.clone()))
        .unwrap_or_else(|said| panic!("{name}: {said}\n{text}"));
}

/// `kind encoding delimiter quote header | column:type*`, with a star for what may be a key.
fn shown(told: &Suggestion) -> String {
    let mut shown = told.kind.unwrap_or("nothing").to_owned();
    shown += &told
        .encoding
        .map(|name| format!(" {name}"))
        .unwrap_or_default();
    let delimiter = told.delimiter.map(|c| format!(" {}", c.escape_default()));
    shown += &delimiter.unwrap_or_default();
    shown += &told
        .quote
        .map(|quote| format!(" {quote}"))
        .unwrap_or_default();
    shown += match told.header {
        Some(true) if told.kind == Some("csv") => " header",
        _ => "",
    };
    for column in &told.columns {
        let kind = match &column.kind {
            ColumnType::Text => "text".to_owned(),
            ColumnType::Integer => "integer".to_owned(),
            ColumnType::Decimal { decimals, comma } => {
                format!("decimal {decimals}{}", if *comma { " comma" } else { "" })
            }
            ColumnType::Date { format, ambiguous } => {
                format!("date {format}{}", if *ambiguous { "?" } else { "" })
            }
            ColumnType::Timestamp { format, ambiguous } => {
                format!("time {format}{}", if *ambiguous { "?" } else { "" })
            }
        };
        let at = column.at.map(|(at, width)| format!("@{at}+{width}"));
        let star = if column.is_unique { "*" } else { "" };
        shown += &format!(" | {}{}:{kind}{star}", column.name, at.unwrap_or_default());
    }
    shown
}

fn check(name: &str, file: &[u8], expected: &str) -> Suggestion {
    let told = of(name, file);
    assert_eq!(shown(&told), expected, "{name}: {:#?}", told.reasons);
    told
}

const SHIPMENTS: &str = "SHIP_NO|SKU|QTY|WEIGHT|SHIPPED|DUE|NOTE\n\
    S1|007|5|12,50|20260301081500|01.03.2026|\"a|b\"\nS2|012|12|1.003,00|20260301081700|28.02.2026|\nS3|007|3|0,75|20260302000000|02.03.2026|x\n";
const SHIPMENTS_ARE: &str = "| SHIP_NO:text* | SKU:text | QTY:integer* | WEIGHT:decimal 2 comma | SHIPPED:time %Y%m%d%H%M%S | DUE:date %d.%m.%Y | NOTE:text";

#[test]
fn delimited_files_are_told_with_their_columns() {
    check(
        "s.txt",
        SHIPMENTS.as_bytes(),
        &format!("csv utf-8 | \" header {SHIPMENTS_ARE}"),
    );
    for delimiter in [";", "\t", "^", "\u{1f}"] {
        let cells = SHIPMENTS.replace("\"a|b\"", "").replace('|', delimiter);
        let shown = delimiter.escape_default();
        check(
            "s",
            cells.as_bytes(),
            &format!("csv utf-8 {shown} header {SHIPMENTS_ARE}"),
        );
    }
    check(
        "levels.csv",
        b"4711,12.5,2026-03-01,2026-03-01T08:15:00Z,03/04/2026\r\n4712,3,2026-03-02,2026-03-01T08:15:00+01:00,05/04/2026\r\n",
        "csv utf-8 , | COLUMN_1:integer* | COLUMN_2:decimal 1 | COLUMN_3:date iso8601 | COLUMN_4:time iso8601 | COLUMN_5:date %m/%d/%Y?",
    );
    check(
        "t.csv",
        b"id,changed_at,updated_ts,d\n1,1772352900,1772352900123,13/02/2026\n2,1772352901,1772352901123,01/02/2026\n",
        "csv utf-8 , header | id:integer* | changed_at:time unix | updated_ts:time unix_ms | d:date %d/%m/%Y",
    );
    let types = check("o.txt", b"H1|SO1|ACME\nD1|SO1|1|SKU9|5\nD1|SO1|2|SKU8|7\nH1|SO2|BETA\nD1|SO2|1|SKU9|1\nT1|3\nH1|SO3|X\nT1|9\n", "csv utf-8 |");
    assert!(
        types
            .reasons
            .iter()
            .any(|reason| reason.contains("H1, D1, T1")),
        "{types:?}"
    );
    // A cut off last line is no bad row.
    let cut = suggest(
        "s.txt",
        &SHIPMENTS.as_bytes()[..SHIPMENTS.len() - 10],
        9_999,
    );
    assert!(
        !cut.reasons
            .iter()
            .any(|reason| reason.contains("bad records")),
        "{cut:?}"
    );
}

#[test]
fn fixed_widths_are_told_by_their_places() {
    let lines = "ORD0000001  ACME GMBH   00120260301\nORD0000002  BETA AG     01220260302\nORD0000003  GAMMA       00720260303\n\
        ORD0000004  DELTA LTD   00120260304\nORD0000005  EPSILON     00320260305\n";
    let told = of("o.dat", lines.as_bytes());
    assert_eq!((told.kind, told.encoding), (Some("fixed"), Some("utf-8")));
    let places: Vec<_> = told.columns.iter().filter_map(|column| column.at).collect();
    assert!(
        places.contains(&(12, 12)) && places.first().is_some_and(|at| at.0 == 0),
        "{places:?}"
    );
    // What a hyphen joins in each line is one field.
    let lines = "SO-10001  ABC-100     0000012DHL   \nSO-10001  ABC-200     0000003DHL   \n\
        SO-10002  XYZ-009     0000040UPS   \nSO-10003  ABC-100     0000001FEDEX \n";
    let told = of("o.dat", lines.as_bytes());
    let places: Vec<_> = told.columns.iter().filter_map(|column| column.at).collect();
    assert_eq!(places, [(0, 10), (10, 12), (22, 7), (29, 6)]);
    // The same without line ends.
    let names = [
        "ACME GMBH",
        "BETA AG",
        "GAMMA",
        "DELTA LTD",
        "EPSILON",
        "ZETA & CO",
        "ETA",
    ];
    let record = |n: usize| {
        let (name, day) = (names[n % 7], 20_260_301 + n % 28);
        format!("ORD{n:07}  {name:<12}{:03}{day}", n * 37 % 900)
    };
    let records: String = (0..61).map(record).collect();
    let told = of("o.dat", records.as_bytes());
    assert_eq!((told.kind, told.record_bytes), (Some("fixed"), Some(35)));
}

#[test]
fn what_says_what_it_is_is_believed() {
    let isa = "ISA*00*          *00*          *ZZ*SENDER         *ZZ*RECEIVER       *200101*1200*^*00501*000000009*0*P*:~\nGS*OW*A*B*20200101*1200*7*X*005010~\nST*940*0001~\n";
    let told = check("x.edi", isa.as_bytes(), "x12 utf-8");
    assert!(
        told.reasons.iter().any(|reason| reason.contains("940")),
        "{told:?}"
    );
    check(
        "x.edi",
        b"UNA:+.? '\r\nUNB+UNOC:3+A+B+260101:1200+R9'",
        "edifact",
    );
    check("x.edi", b"UNB+UNOC:3+A+B+260101:1200+R9'", "edifact");
    check(
        "x",
        b"EDI_DC40  8000000000000012345740 3012  ORDERS05\nE2EDK01005\n",
        "idoc utf-8",
    );
    check(
        "x",
        b"<ORDERS05><IDOC BEGIN=\"1\"><EDI_DC40 SEGMENT=\"1\"/><E1EDK01 SEGMENT=\"1\"><BELNR>1</BELNR></E1EDK01></IDOC></ORDERS05>",
        "idoc",
    );
    let xml = check(
        "x",
        b"<?xml version='1.0'?><!-- <a> --><o:orders xmlns:o='x'><o:order id='1'><no>1</no><due>20260301</due></o:order><o:order><no>2</no><due>20260302</due></o:order></o:orders>",
        "xml | id:integer | no:integer* | due:date %Y%m%d",
    );
    assert_eq!(xml.record_path.as_deref(), Some("/orders/order"));
    let json = check("x", b"{\"orders\": [{\"no\": \"1\", \"qty\": 1.5, \"l\": [1]}, {\"no\": \"2\", \"qty\": null}]}", "json utf-8 | no:integer* | qty:decimal 1");
    assert_eq!(json.record_path.as_deref(), Some("/orders"));
    check(
        "x",
        b"[{\"a\":\"x\"},{\"a\":\"y\\\"\"}]",
        "json utf-8 | a:text*",
    );
    check(
        "x",
        b"{\"a\":1}\n{\"a\":2}\n",
        "json-lines utf-8 | a:integer*",
    );
    for (file, words) in [
        (&b""[..], "is empty"),
        (b"\xD0\xCF\x11\xE0\xA1\xB1", ".xls"),
        (b"%PDF-1.7", "PDF"),
        (b"<!DOCTYPE html><HTML><body>504</body></HTML>", "HTML"),
        (b"\n\n", "nothing but line ends"),
        (b"--b\r\nContent-Type: text/xml\r\n\r\n<a/>", "MIME"),
        (b"\x01\x02\x03\x04\x05\x06\x0B\x0E", "no text"),
    ] {
        let told = of("x", file);
        let said = told.reasons.join(" ");
        assert!(told.kind.is_none() && said.contains(words), "{said}");
    }
}

#[test]
fn encodings_are_told_by_marks_and_counts() {
    let text = "SHIP_NO;NAME;QTY\nS1;Müller Köln größer;5\nS2;Façade, señor, Åse;7\nS3;Jäger;9\n";
    let columns = "; header | SHIP_NO:text* | NAME:text* | QTY:integer*";
    let units = |big: bool| {
        let bytes = |unit: u16| {
            if big {
                unit.to_be_bytes()
            } else {
                unit.to_le_bytes()
            }
        };
        text.encode_utf16().flat_map(bytes).collect::<Vec<u8>>()
    };
    let latin: Vec<u8> = text.chars().map(|c| c as u8).collect();
    let dos = |c: char| match "üöäßçñÅ".chars().position(|known| known == c) {
        Some(at) => [0x81, 0x94, 0x84, 0xE1, 0x87, 0xA4, 0x8F][at],
        None => c as u8,
    };
    let dos: Vec<u8> = text.chars().map(dos).collect();
    let wide: Vec<u8> = text
        .chars()
        .flat_map(|c| (c as u32).to_le_bytes())
        .collect();
    for (bytes, encoding) in [
        (text.as_bytes().to_vec(), "utf-8"),
        ([b"\xEF\xBB\xBF", text.as_bytes()].concat(), "utf-8"),
        (latin, "windows-1252"),
        (dos, "cp850"),
        (units(false), "utf-16le"),
        (units(true), "utf-16be"),
        ([&b"\xFE\xFF"[..], &units(true)].concat(), "utf-16be"),
        ([&b"\xFF\xFE"[..], &units(false)].concat(), "utf-16le"),
        (wide.clone(), "utf-32le"),
        ([&b"\xFF\xFE\0\0"[..], &wide].concat(), "utf-32le"),
    ] {
        check("x.txt", &bytes, &format!("csv {encoding} {columns}"));
    }
    // EBCDIC: HELLO, blanks, digits and a packed number.
    let record =
        b"\xC8\xC5\xD3\xD3\xD6\x40\x40\x40\x40\xF0\xF1\xF2\xF3\x12\x3C\x40\x40\x40\x40\x40";
    let told = of("x", &record.repeat(30));
    assert_eq!((told.kind, told.record_bytes), (Some("copybook"), Some(20)));
    let prefixed = [&[0, 24, 0, 0][..], record].concat().repeat(5);
    let told = of("x", &prefixed);
    assert!(
        told.reasons.iter().any(|reason| reason.contains("RDW")),
        "{told:?}"
    );
}

#[test]
fn packed_files_are_told_by_what_is_in_them() {
    let python = |make: &str| {
        let program = format!(
            "import sys, io, gzip, zipfile\nrows = sys.stdin.buffer.read()\n{make}\nsys.stdout.buffer.write(made)"
        );
        let input = std::env::temp_dir().join(format!("dray-suggest-{}", std::process::id()));
        fs::write(&input, SHIPMENTS).expect("a file");
        let stdin = fs::File::open(&input).expect("a file");
        let made = Command::new("python3")
            .args(["-c", &program])
            .stdin(stdin)
            .output();
        let made = made.unwrap_or_else(|error| {
            panic!("python3 is needed for this test ({error}); install it")
        });
        fs::remove_file(input).expect("it was there");
        made.stdout
    };
    let gzip = python("made = gzip.compress(rows)");
    let told = check(
        "s.csv.gz",
        &gzip,
        &format!("csv utf-8 | \" header {SHIPMENTS_ARE}"),
    );
    assert_eq!(told.compression, Compression::Gzip);
    let zip = python(
        "b = io.BytesIO(); z = zipfile.ZipFile(b, 'w', 8); z.writestr('s.csv', rows); z.writestr('t.csv', rows); z.close(); made = b.getvalue()",
    );
    let told = check(
        "s.zip",
        &zip,
        &format!("csv utf-8 | \" header {SHIPMENTS_ARE}"),
    );
    assert_eq!(told.compression, Compression::Zip);
    let book = python(
        "b = io.BytesIO(); z = zipfile.ZipFile(b, 'w', 8); z.writestr('xl/workbook.xml', rows); z.close(); made = b.getvalue()",
    );
    check("s.bin", &book, "xlsx");
    // The beginning is enough.
    let told = suggest("s.gz", &gzip[..gzip.len() - 20], gzip.len() as u64);
    assert_eq!((told.kind, told.delimiter), (Some("csv"), Some('|')));
    let told = of("s.gz", &gzip[..4]);
    assert_eq!(told.kind, None);
}

/// Files of others, by the folder that they stand in; what is exempt is not what its folder says.
#[test]
fn files_of_others_are_told() {
    let beside = || PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../../shared/corpora");
    let corpora = std::env::var_os("DRAY_CORPORA").map_or_else(beside, PathBuf::from);
    if !corpora.is_dir() {
        println!("there are no corpora to read");
        return;
    }
    for (pattern, kind, count) in [
        ("csv/csv-spectrum/.csv", "csv", 12),
        ("csv/omniparser/.csv", "csv", 2),
        ("fixed/ach/.ach", "fixed", 3),
        ("fixed/omniparser/.txt", "fixed", 3),
        ("x12/EDI.Net/.edi", "x12", 6),
        ("x12/staedi/.edi", "x12", 8),
        ("x12/gozer/.txt", "x12", 2),
        ("edifact/EDI.Net/.edi", "edifact", 3),
        ("edifact/staedi/.edi", "edifact", 5),
        ("edifact/pydifact/.edi", "edifact", 5),
        ("edifact/edifact-rs/.edi", "edifact", 4),
        ("edifact/smooks-edi-cartridge/.xml", "xml", 3),
        ("idoc/module-ballerinax-sap.jco/.xml", "idoc", 2),
        ("xml/omniparser/.xml", "xml", 1),
        ("xml/spring-batch/.xml", "xml", 2),
        ("json/omniparser/.json", "json", 2),
        ("json/omniparser/.log", "json-lines", 1),
        ("excel/calamine/.xlsx", "xlsx", 6),
        ("ebcdic/cobrix/test9_data/.dat", "copybook", 1),
        ("ebcdic/cobrix/test19_display_num/.dat", "copybook", 1),
        ("ebcdic/cobrix/test13a_data/.dat", "copybook", 1),
    ] {
        let (folder, end) = pattern.rsplit_once('/').expect("a folder");
        let mut found = 0;
        for entry in fs::read_dir(corpora.join(folder))
            .expect("a folder")
            .flatten()
        {
            let name = entry.file_name().to_string_lossy().into_owned();
            if name.ends_with(end) {
                let told = of(&name, &fs::read(entry.path()).expect("a file"));
                assert_eq!(
                    told.kind,
                    Some(kind),
                    "{folder}/{name}: {:#?}",
                    told.reasons
                );
                found += 1;
            }
        }
        assert_eq!(found, count, "{folder}");
    }
    let record_bytes = |name: &str| {
        let file = fs::read(corpora.join("ebcdic/cobrix").join(name)).expect("a file");
        of(name, &file).record_bytes
    };
    assert_eq!(record_bytes("test9_data/TRAN.APR14.NPT.DATA.dat"), Some(45));
    let one = fs::read(corpora.join("csv/omniparser/1_single_row.input.csv")).expect("a file");
    check(
        "a.csv",
        &one,
        "csv utf-8 | header | DATE:time %Y/%m/%dT%H:%M:%S%z | HIGH TEMP C:decimal 1 | LOW TEMP F:decimal 1 | WIND DIR:text* | WIND SPEED KMH:integer* | NOTE:text* | LAT:decimal 4 | LONG:decimal 4 | UV INDEX:text*",
    );
}

proptest! {
    #[test]
    fn any_bytes_are_told_something(
        start in prop::sample::select(vec!["", "ISA", "ISA§", "UNA:+.? '", "EDI_DC40", "<a><b/>", "<?", "<![CDATA[", "{\"a\":", "[{\"", "A|B\n1|", "\u{feff}", "GS*", "ST§"]),
        bytes in prop::collection::vec(any::<u8>(), 0..300),
        text in "[a-z0-9|;,\"'<>/{}\\[\\]:\n\r ü§]{0,120}",
        magic in prop::sample::select(vec![&b""[..], b"\x1F\x8B\x08\0", b"PK\x03\x04", b"\xFF\xFE", b"\xFF\xFE\0\0", b"\xC1\x40\xF1"]),
        more in 0..2_u64,
    ) {
        for file in [[start.as_bytes(), text.as_bytes(), &bytes].concat(), [start.as_bytes(), text.as_bytes()].concat(), [magic, &bytes].concat()] {
            let told = suggest("x.csv.gz", &file, file.len() as u64 + more);
            prop_assert!(!told.reasons.is_empty());
        }
    }
}
