//! The same inventory movements in every format that a drop folder reads.

use std::fmt::Write as _;
use std::io::{self, Write as _};
use std::path::Path;

use crate::site::FlowSpec;

/// Makes a file of `lines` movements from number `first` on, over `items` items.
type Make = fn(&Moves) -> Vec<u8>;

/// A format, or a way of packing one.
#[derive(Debug, Clone, Copy)]
pub struct Family {
    /// Two letters: numbers and items of its movements begin with them.
    pub code: &'static str,
    /// The flow's name.
    pub name: &'static str,
    /// Lines of `[flow.source]` besides kind and folder.
    source: &'static str,
    /// Lines of `[flow.source.format]`.
    format: &'static str,
    /// What the columns of number, item and reference are called.
    columns: [&'static str; 3],
    make: Make,
}

/// Which movements a file holds.
#[derive(Debug, Clone, Copy)]
pub struct Moves {
    code: &'static str,
    first: u64,
    lines: u64,
    items: u64,
}

impl Moves {
    /// Number, item and reference of each; a reference is the number within its item.
    fn each(&self) -> impl Iterator<Item = [String; 3]> + use<> {
        let Self {
            code,
            first,
            lines,
            items,
        } = *self;
        (first..first + lines).map(move |n| {
            [
                number(code, n),
                format!("{code}-{:07}", n % items),
                format!("{:09}", n / items),
            ]
        })
    }

    fn text(&self, line: impl Fn(&mut String, [String; 3]) -> std::fmt::Result) -> String {
        let mut text = String::new();
        for each in self.each() {
            line(&mut text, each).expect("a string takes everything");
        }
        text
    }
}

/// The number of a family's movement.
#[must_use]
pub fn number(code: &str, n: u64) -> String {
    format!("{code}{n:010}")
}

/// Their mapping, by the names of three columns.
fn mapping_of(number: &str, item: &str, reference: &str) -> String {
    format!(
        "\n[[flow.mapping]]\nbody = \"inventory_movement\"\nkey = \"{item}\"\noperation = \"create\"\n[flow.mapping.fields]\n\
         movement_number = {{ from = \"{number}\", required = true }}\nitem_number = {{ from = \"{item}\", required = true }}\n\
         reference = \"{reference}\"\n"
    )
}

/// A flow of lines without a header, as [`lines`] makes them. `source`: lines of `[flow.source]` besides the folder.
#[must_use]
pub fn flow_of_lines(name: &str, source: &str) -> FlowSpec {
    let [number, item, reference] = CSV_COLUMNS;
    FlowSpec {
        name: name.into(),
        source: source.into(),
        format: format!(
            "{CSV}header = false\ncolumns = [\"{number}\", \"{item}\", \"{reference}\"]\n"
        ),
        mapping: mapping_of(number, item, reference),
        timeliness: "normal",
    }
}

/// So many movements from number `first` on, over `items` items, a line each.
#[must_use]
pub fn lines(code: &'static str, first: u64, lines: u64, items: u64) -> String {
    let moves = Moves {
        code,
        first,
        lines,
        items,
    };
    csv_lines(&moves)
}

impl Family {
    /// Its flow. `folder`: where texts that its format names are written.
    ///
    /// # Errors
    /// Those of the file system.
    pub fn flow(&self, folder: &Path) -> io::Result<FlowSpec> {
        let copybook = folder.join("MOVES.cpy");
        std::fs::write(&copybook, COPYBOOK)?;
        let [number, item, reference] = self.columns;
        let mapping = mapping_of(number, item, reference);
        let copybook = copybook.display().to_string();
        Ok(FlowSpec {
            name: self.name.into(),
            source: format!("report = true\n{}", self.source),
            format: self.format.replace("COPYBOOK", &copybook),
            mapping,
            timeliness: "normal",
        })
    }

    /// Lines of its `[flow.source.format]`.
    #[must_use]
    pub fn format(&self) -> &'static str {
        self.format
    }

    /// A file of so many movements from number `first` on, over `items` items.
    #[must_use]
    pub fn file(&self, first: u64, lines: u64, items: u64) -> Vec<u8> {
        (self.make)(&Moves {
            code: self.code,
            first,
            lines,
            items,
        })
    }
}

const CSV: &str = "kind = \"csv\"\ndelimiter = \"|\"\n";
const CSV_COLUMNS: [&str; 3] = ["MOVE_NO", "SKU", "REF"];
const EDIFACT: &str = "kind = \"edifact\"\nrecords = [\"INVRPT.line\"]\n[[flow.source.format.record]]\ntype = \"INVRPT.line\"\ncolumns = [\"MOVE_NO = RFF01-2[LI]\", \"REF = RFF01-2[AAE]\"]\n";
const IDOC: &str = "kind = \"idoc\"\nrecords = [\"Z1MOVE\"]\ncontrol = [\"DOCNUM\"]\n[[flow.source.format.segment]]\nname = \"Z1MOVE\"\n\
     field = [{ name = \"MOVE_NO\", width = 12 }, { name = \"SKU\", width = 10 }, { name = \"REF\", width = 9 }]\n";
const COPYBOOK: &str = "       01 MOVE-REC.\n          05 MOVE-NO PIC X(12).\n          05 SKU PIC X(10).\n          05 REF PIC 9(9) COMP-3.\n";

/// All of them.
pub const FAMILIES: &[Family] = &[
    Family {
        code: "CS",
        name: "csv",
        source: "",
        format: CSV,
        columns: CSV_COLUMNS,
        make: csv,
    },
    Family {
        code: "GZ",
        name: "gzip",
        source: "compression = \"gzip\"\n",
        format: CSV,
        columns: CSV_COLUMNS,
        make: |moves| gzip(&csv(moves)),
    },
    Family {
        code: "FX",
        name: "fixed",
        source: "",
        format: "kind = \"fixed\"\n[[flow.source.format.record]]\nfield = [{ name = \"MOVE_NO\", at = 1, width = 12 }, \
                 { name = \"SKU\", width = 10 }, { name = \"REF\", width = 9 }]\n",
        columns: CSV_COLUMNS,
        make: |moves| {
            moves
                .text(|out, [number, item, reference]| writeln!(out, "{number}{item}{reference}"))
                .into_bytes()
        },
    },
    Family {
        code: "CB",
        name: "copybook",
        source: "",
        format: "kind = \"copybook\"\ncopybook = \"COPYBOOK\"\nencoding = \"cp037\"\n",
        columns: ["MOVE-NO", "SKU", "REF"],
        make: ebcdic,
    },
    Family {
        code: "XT",
        name: "x12",
        source: "",
        format: "kind = \"x12\"\nrecords = [\"947.line\"]\n",
        columns: ["N902[LI]", "W1906", "N902[LT]"],
        make: x12,
    },
    Family {
        code: "EF",
        name: "edifact",
        source: "",
        format: EDIFACT,
        columns: ["MOVE_NO", "LIN03-1", "REF"],
        make: edifact,
    },
    Family {
        code: "ID",
        name: "idoc",
        source: "",
        format: IDOC,
        columns: CSV_COLUMNS,
        make: idoc,
    },
    Family {
        code: "XM",
        name: "xml",
        source: "",
        format: "kind = \"xml\"\nrecord = \"/Moves/Move\"\n[flow.source.format.fields]\nMOVE_NO = \"@no\"\nSKU = \"Sku\"\nREF = \"Ref\"\n",
        columns: CSV_COLUMNS,
        make: |moves| {
            let lines = moves.text(|out, [number, item, reference]| {
                writeln!(
                    out,
                    "<Move no=\"{number}\"><Sku>{item}</Sku><Ref>{reference}</Ref></Move>"
                )
            });
            format!("<?xml version=\"1.0\"?>\n<Moves>\n{lines}</Moves>\n").into_bytes()
        },
    },
    Family {
        code: "JS",
        name: "json",
        source: "",
        format: "kind = \"json\"\nrecord = \"/moves\"\n[flow.source.format.fields]\nMOVE_NO = \"no\"\nSKU = \"sku\"\nREF = \"ref\"\n",
        columns: CSV_COLUMNS,
        make: |moves| {
            let lines: Vec<String> = json_lines(moves).lines().map(str::to_owned).collect();
            format!("{{\"moves\":[\n{}\n]}}\n", lines.join(",\n")).into_bytes()
        },
    },
    Family {
        code: "JL",
        name: "json-lines",
        source: "",
        format: "kind = \"json-lines\"\n[flow.source.format.fields]\nMOVE_NO = \"no\"\nSKU = \"sku\"\nREF = \"ref\"\n",
        columns: CSV_COLUMNS,
        make: |moves| json_lines(moves).into_bytes(),
    },
    Family {
        code: "XL",
        name: "xlsx",
        source: "",
        format: "kind = \"xlsx\"\n",
        columns: CSV_COLUMNS,
        make: xlsx,
    },
];

fn csv_lines(moves: &Moves) -> String {
    moves.text(|out, [number, item, reference]| writeln!(out, "{number}|{item}|{reference}"))
}

fn csv(moves: &Moves) -> Vec<u8> {
    format!("MOVE_NO|SKU|REF\n{}", csv_lines(moves)).into_bytes()
}

fn json_lines(moves: &Moves) -> String {
    moves.text(|out, [number, item, reference]| {
        writeln!(
            out,
            "{{\"no\":\"{number}\",\"sku\":\"{item}\",\"ref\":\"{reference}\"}}"
        )
    })
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    packed.write_all(bytes).expect("memory takes everything");
    packed.finish().expect("memory takes everything")
}

/// Code page 037, of what stands in the copybook's records.
fn ebcdic(moves: &Moves) -> Vec<u8> {
    let letter = |byte: u8| match byte {
        b'0'..=b'9' => byte - b'0' + 0xF0,
        b'A'..=b'I' => byte - b'A' + 0xC1,
        b'J'..=b'R' => byte - b'J' + 0xD1,
        b'S'..=b'Z' => byte - b'S' + 0xE2,
        _ => 0x60,
    };
    let mut file = Vec::new();
    for [number, item, reference] in moves.each() {
        file.extend((number + &item).bytes().map(letter));
        // Nine digits and the sign, two a byte.
        let digits: Vec<u8> = reference.bytes().map(|byte| byte - b'0').collect();
        let halves: Vec<u8> = digits.into_iter().chain([0xF]).collect();
        file.extend(halves.chunks(2).map(|pair| pair[0] << 4 | pair[1]));
    }
    file
}

fn x12(moves: &Moves) -> Vec<u8> {
    let control = format!("{:09}", moves.first / moves.lines + 1);
    let lines = moves.text(|out, [number, item, reference]| {
        write!(
            out,
            "W19*AC*1*EA**VN*{item}~\nN9*LI*{number}~\nN9*LT*{reference}~\n"
        )
    });
    let segments = 3 * moves.lines + 3;
    let isa = format!(
        "ISA*00*{:10}*00*{:10}*ZZ*{:15}*ZZ*{:15}*261123*1200*U*00401*{control}*0*P*>~",
        "", "", "WMS", "ERP"
    );
    format!(
        "{isa}\nGS*AW*WMS*ERP*20261123*1200*1*X*004010~\nST*947*0001~\nW15*20261123*A1~\n{lines}SE*{segments}*0001~\nGE*1*1~\nIEA*1*{control}~\n"
    )
    .into_bytes()
}

fn edifact(moves: &Moves) -> Vec<u8> {
    let control = moves.first / moves.lines + 1;
    let mut at = 0;
    let mut lines = String::new();
    for [number, item, reference] in moves.each() {
        at += 1;
        write!(
            lines,
            "LIN+{at}++{item}:SA'\nRFF+LI:{number}'\nRFF+AAE:{reference}'\n"
        )
        .expect("a string takes everything");
    }
    let segments = 3 * moves.lines + 4;
    format!(
        "UNB+UNOC:3+WMS+ERP+261123:1200+{control}'\nUNH+1+INVRPT:D:96A:UN'\nBGM+35+R{control}+9'\nDTM+137:20261123:102'\n{lines}UNT+{segments}+1'\nUNZ+1+{control}'\n"
    )
    .into_bytes()
}

/// As SAP writes it where trailing blanks are cut.
fn idoc(moves: &Moves) -> Vec<u8> {
    let document = moves.first / moves.lines + 1;
    let mut file = format!(
        "{:10}{:3}{document:016}{:4}{:2}{:1}\n",
        "EDI_DC40", "800", "700", "30", "2"
    );
    let mut at = 0;
    for [number, item, reference] in moves.each() {
        at += 1;
        writeln!(
            file,
            "{:30}{:3}{document:016}{at:06}{:06}01{number}{item}{reference}",
            "Z2MOVE000", "800", 0
        )
        .expect("a string takes everything");
    }
    file.into_bytes()
}

fn xlsx(moves: &Moves) -> Vec<u8> {
    const MAIN: &str = "http://schemas.openxmlformats.org/spreadsheetml/2006/main";
    const PACKAGE: &str = "http://schemas.openxmlformats.org/package/2006";
    const OFFICE: &str = "http://schemas.openxmlformats.org/officeDocument/2006/relationships";
    let row = |cells: [String; 3]| {
        let cells = cells.map(|cell| format!("<c t=\"inlineStr\"><is><t>{cell}</t></is></c>"));
        format!("<row>{}</row>", cells.concat())
    };
    let header = row(CSV_COLUMNS.map(String::from));
    let rows: String = moves.each().map(row).collect();
    let parts = [
        (
            "[Content_Types].xml",
            format!(
                "<Types xmlns=\"{PACKAGE}/content-types\"><Default Extension=\"xml\" ContentType=\"application/xml\"/><Default Extension=\"rels\" ContentType=\"application/vnd.openxmlformats-package.relationships+xml\"/></Types>"
            ),
        ),
        (
            "_rels/.rels",
            format!(
                "<Relationships xmlns=\"{PACKAGE}/relationships\"><Relationship Id=\"a\" Type=\"{OFFICE}/officeDocument\" Target=\"xl/workbook.xml\"/></Relationships>"
            ),
        ),
        (
            "xl/_rels/workbook.xml.rels",
            format!(
                "<Relationships xmlns=\"{PACKAGE}/relationships\"><Relationship Id=\"a\" Type=\"{OFFICE}/worksheet\" Target=\"worksheets/sheet1.xml\"/></Relationships>"
            ),
        ),
        (
            "xl/workbook.xml",
            format!(
                "<workbook xmlns=\"{MAIN}\" xmlns:r=\"{OFFICE}\"><sheets><sheet name=\"Moves\" sheetId=\"1\" r:id=\"a\"/></sheets></workbook>"
            ),
        ),
        (
            "xl/worksheets/sheet1.xml",
            format!(
                "<worksheet xmlns=\"{MAIN}\"><sheetData>{header}{rows}</sheetData></worksheet>"
            ),
        ),
    ];
    let mut archive = zip::ZipWriter::new(io::Cursor::new(Vec::new()));
    for (name, text) in parts {
        let options = zip::write::SimpleFileOptions::default();
        archive
            .start_file(name, options)
            .and_then(|()| Ok(archive.write_all(text.as_bytes())?))
            .expect("memory takes everything");
    }
    archive
        .finish()
        .expect("memory takes everything")
        .into_inner()
}
