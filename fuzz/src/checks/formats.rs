//! The configurations of each target: between them they say most of what a configuration can say.

use dray_formats::packed::{Compression, Packed, Packing};
use dray_formats::{Format, FormatConfig};

/// Small enough that a bomb is not what a run is spent on.
const INFLATED_BYTES_MAX: u64 = 2 * 1024 * 1024;

const COPYBOOK: &str = "       01  R.\n           05  N PIC 9(2).\n           05  G OCCURS 0 TO 9 TIMES DEPENDING ON N.\n\
    \x20              10  P PIC S9(5)V99 COMP-3.\n               10  T PIC X(4).\n           05  A PIC S9(4) COMP.\n\
    \x20          05  B REDEFINES A PIC X(2).\n           05  Z PIC S9(3) SIGN LEADING SEPARATE.\n";

const FRAMINGS: [&str; 9] = [
    "encoding = \"ascii\"\nframing = \"layout\"",
    "encoding = \"ascii\"\nframing = \"layout\"\ntail = \"reject\"\n[[record]]\neach = \"G\"",
    "encoding = \"iso-8859-1\"\nframing = \"rdw\"\ntail = \"reject\"",
    "encoding = \"iso-8859-1\"\nframing = \"rdw\"\nrdw = { blocks = true, counts_itself = false }",
    "framing = \"fixed\"\ntail = \"reject\"\nheader_bytes = 3\ntrailer_bytes = 2",
    "framing = \"fixed\"\nrecord_bytes = 120\ntail = \"reject\"",
    "encoding = \"utf-8\"\nframing = \"lines\"",
    "encoding = \"ascii\"\nframing = \"layout\"\ntail = \"reject\"\n[[record]]\nname = \"A\"\nwhen = { field = \"N\", is = \"01\" }\n[[record]]\nname = \"B\"\nparent = \"A\"",
    "encoding = \"cp273\"\nframing = \"rdw\"\nrdw = { order = \"little\" }",
];

const CSV: [&str; 6] = [
    "delimiter = \"|\"",
    "",
    "delimiter = \";\"\nquote = \"\"\nheader = false\ncolumns = [\"A\", \"B\"]\nragged = \"pad\"",
    "encoding = \"windows-1252\"\nheader = true\ncolumns = [\"B\"]",
    "delimiter = \"|\"\nskip_rows = 1\nheader_rows = 2\ncomment = \"#\"\nfooter_rows = 1\nfooter = \"TOTAL\"\nragged = \"pad\"\ntype_column = 1\n\
     [[record]]\nname = \"H\"\n[[record]]\nname = \"D\"\nparent = \"H\"\n[[record]]\nname = \"E\"\nparent = \"H\"\ntrailer = true\ncounts = [{ field = \"A B\", of = [\"H\", \"D\"] }]",
    "delimiter = \"|\"\nskip_rows = 1\nheader_rows = 2\ncomment = \"#\"\nfooter = \"TOTAL\"\nragged = \"pad\"\ntype_column = 1\notherwise = \"skip\"\nencoding = \"utf-16\"\n\
     [[record]]\nname = \"H\"\n[[record]]\nname = \"D\"\nparent = \"H\"",
];

const FIXED_RECORDS: &str = "[[record]]\nname = \"H\"\nmatch = [{ at = 1, text = \"H\" }]\nfield = [{ name = \"DATE\", at = 2, width = 8, digits = true }, { name = \"SITE\", width = 3 }]\n\
    [[record]]\nname = \"D\"\nmatch = [{ at = 1, text = \"D\" }]\nparent = \"H\"\nfield = [{ name = \"SKU\", at = 2, width = 6 }, { name = \"AMOUNT\", width = 6, decimals = 2, sign = \"overpunch\" }]\n\
    [[record]]\nname = \"S\"\nmatch = [{ at = 1, text = \"S\" }]\nparent = \"D\"\nfield = [{ name = \"NOTE\", at = 2, width = 6 }]\n\
    [[record]]\nname = \"T\"\nmatch = [{ at = 1, text = \"T\" }]\nparent = \"H\"\ntrailer = true\nfield = [{ name = \"LINES\", at = 2, width = 4 }, { name = \"AMOUNT\", width = 6, decimals = 2, sign = \"overpunch\" }]\n\
    counts = [{ field = \"LINES\", of = \"D\" }]\ntotals = [{ field = \"AMOUNT\", of = \"D\", sum = \"AMOUNT\" }]\n";

const EDI_SET: [&str; 4] = [
    "",
    "otherwise = \"segments\"",
    "encoding = \"iso-8859-1\"",
    "otherwise = \"reject\"",
];

const IDOC: [&str; 3] = [
    "records = [\"E1EDL24\"]",
    "records = [\"E1EDL24\", \"Z1PACK\"]\nignore = [\"*\"]\ncontrol = []\nencoding = \"iso-8859-1\"\n[[segment]]\nname = \"Z1PACK\"\nparent = \"E1EDL24\"\ncarry = [\"E1EDL20\"]\nfield = [{ name = \"SSCC\", width = 20 }]",
    "records = [\"E1EDL20\"]\nignore = [\"E1EDL24\", \"Z1PACK\"]",
];

const XML: [&str; 4] = [
    "record = \"/Shipments/Shipment/Line\"\n[fields]\nNO = \"@no\"\nSHIP = \"../ShipNo\"\nSKU = \"Item/@sku\"\nQTY = \"Qty\"\nLOT2 = \"Lot[2]\"\nLOTS = { path = \"Lot\", join = \",\" }",
    "record = \"//a\"\n[fields]\nA = \".\"\nB = \"b\"\nX = \"@x\"",
    "record = \"/*/*/a\"\n[fields]\nA = \".\"\nUP = \"../../@id\"",
    "record = \"/r/x:a\"\nnamespaces = { x = \"urn:x\" }\n[fields]\nA = \"x:b\"",
];

const JSON: [&str; 3] = [
    "[fields]\nA = \"a\"\nB = \"b.c\"",
    "record = \"/orders/*/lines\"\n[fields]\nORDER = \"../number\"\nSKU = \"/item/sku\"\nQTY = \"qty\"",
    "record = \"/orders\"\n[fields]\nN = \"number\"\nSITE = \"../site\"\nALL = \"lines\"",
];

const XLSX: [&str; 3] = [
    "",
    "header = false\ncolumns = [\"A\", \"B\"]\nskip_rows = 1",
    "sheet = \"Zweites\"",
];

const ENCODINGS: [&str; 13] = [
    "utf-8",
    "utf-16",
    "utf-16le",
    "utf-16be",
    "utf-32",
    "utf-32le",
    "utf-32be",
    "windows-1252",
    "iso-8859-1",
    "cp437",
    "cp850",
    "shift-jis",
    "gb18030",
];

fn compile(toml: &str, text: &str) -> Result<Format, String> {
    let config: FormatConfig =
        toml::from_str(toml).unwrap_or_else(|error| panic!("{toml}: {error}"));
    Format::new(&config, &|_| Ok(text.to_owned()))
}

fn packed(format: Format, compression: Compression) -> Packed {
    format.packed(Packing {
        compression,
        inflated_bytes_max: INFLATED_BYTES_MAX,
    })
}

/// A format by the text of a copybook; `None` where that can't be read.
pub(crate) fn copybook(text: &str, framing: usize) -> Option<Packed> {
    let framing = FRAMINGS[framing % FRAMINGS.len()];
    let toml = format!("kind = \"copybook\"\ncopybook = \"/R.cpy\"\n{framing}");
    let format = compile(&toml, text).ok()?;
    Some(packed(format, Compression::None))
}

/// The formats of a target.
pub(crate) fn of(target: &str) -> Vec<Packed> {
    let all = |kind: &str, settings: &[&str], compression| {
        let of = |settings: &&str| {
            let toml = format!("kind = \"{kind}\"\n{settings}");
            let format = compile(&toml, COPYBOOK);
            packed(
                format.unwrap_or_else(|said| panic!("{toml}: {said}")),
                compression,
            )
        };
        settings.iter().map(of).collect::<Vec<_>>()
    };
    match target {
        "copybook" => {
            // Lines hold text alone, and this copybook's records are packed.
            let packed = FRAMINGS
                .iter()
                .filter(|framing| !framing.contains("\"lines\""));
            let framings: Vec<String> = packed
                .map(|framing| format!("copybook = \"/R.cpy\"\n{framing}"))
                .collect();
            let framings: Vec<&str> = framings.iter().map(String::as_str).collect();
            all("copybook", &framings, Compression::None)
        }
        "csv" => all("csv", &CSV, Compression::None),
        "encodings" => {
            let in_each = ENCODINGS.map(|name| format!("encoding = \"{name}\""));
            let lines: Vec<String> = in_each
                .iter()
                .map(|one| format!("{one}\n[[record]]\nname = \"A\"\nfield = [{{ name = \"X\", at = 1, width = 3 }}, {{ name = \"Y\", width = 2 }}]"))
                .collect();
            let cells: Vec<&str> = in_each.iter().map(String::as_str).collect();
            let lines: Vec<&str> = lines.iter().map(String::as_str).collect();
            let mut formats = all("csv", &cells, Compression::None);
            formats.extend(all("fixed", &lines, Compression::None));
            formats
        }
        "fixed" => {
            let heads = [
                "",
                "record_bytes = 13\n",
                "encoding = \"utf-16\"\notherwise = \"skip\"\n",
                "encoding = \"iso-8859-1\"\notherwise = \"skip\"\n",
            ];
            let settings = heads.map(|head| format!("{head}{FIXED_RECORDS}"));
            let settings: Vec<&str> = settings.iter().map(String::as_str).collect();
            all("fixed", &settings, Compression::None)
        }
        // The file itself by what it begins with, or as it is said to be; then a file that is made of the case.
        "gzip" | "zip" => {
            let said = if target == "gzip" {
                Compression::Gzip
            } else {
                Compression::Zip
            };
            let mut formats = Vec::new();
            for compression in [Compression::Auto, said, said] {
                formats.extend(all("csv", &["delimiter = \"|\""], compression));
            }
            formats.extend(all("json", &JSON[..1], said));
            formats.extend(all("x12", &[""], said));
            formats
        }
        "edifact" | "x12" => all(target, &EDI_SET, Compression::None),
        "idoc-flat" | "idoc-xml" => all("idoc", &IDOC, Compression::None),
        "json" => all(target, &JSON, Compression::None),
        "json-lines" => all(target, &JSON[..1], Compression::None),
        "xml" => all(target, &XML, Compression::None),
        "xlsx" => all(target, &XLSX, Compression::None),
        other => panic!("there is no target {other}"),
    }
}
