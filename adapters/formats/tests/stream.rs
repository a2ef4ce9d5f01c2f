//! Files far larger than memory, made as they are read: peak memory is that of this process, which has this one test.
//!
//! `DRAY_SOAK=1` makes them whole (1 GB); else a tenth, in which a leak of one byte in two would show as well.

use std::fmt::Write as _;

use dray_formats::{Format, FormatConfig, Gather, Sink, Tally, Window};

const FILE_BYTES: u64 = 1_000_000_000;
const MEMORY_BYTES_MAX: u64 = 64 * 1024 * 1024;

/// Makes a file piece by piece.
struct Made {
    unit: fn(u64, &mut String),
    first: &'static str,
    last: &'static str,
    bytes: u64,
}

/// A pass over a made file: its bytes and units.
fn pass<S: Sink>(
    format: &Format,
    made: &Made,
    sink: &mut S,
    mut emptied: impl FnMut(&mut S),
) -> (u64, u64) {
    let mut decoder = format.decoder(0);
    let mut window = Window::default();
    let (mut piece, mut at) = (made.first.to_owned(), 0);
    let (mut bytes, mut units, mut end) = (0, 0, false);
    loop {
        let decoded = decoder
            .decode(window.bytes(), end, sink)
            .expect("it is whole");
        window.take(decoded.bytes);
        if decoded.done {
            return (bytes, units);
        }
        if sink.full() {
            emptied(sink);
            continue;
        }
        if at == piece.len() && bytes < made.bytes {
            piece.clear();
            at = 0;
            (made.unit)(units, &mut piece);
            units += 1;
            if bytes + piece.len() as u64 >= made.bytes {
                piece.push_str(made.last);
            }
        }
        let space = window.space();
        let count = space.len().min(piece.len() - at);
        space[..count].copy_from_slice(&piece.as_bytes()[at..at + count]);
        window.filled(count);
        at += count;
        bytes += count as u64;
        end = at == piece.len() && bytes >= made.bytes;
    }
}

/// The most memory that this process had at a time.
fn memory_bytes_peak() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status")
        .expect("Linux says how much memory a process uses");
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("VmHWM:"))
        .expect("VmHWM is among it");
    line.trim()
        .trim_end_matches("kB")
        .trim()
        .parse::<u64>()
        .expect("a number")
        * 1024
}

fn idoc_xml(number: u64, text: &mut String) {
    writeln!(text, "<IDOC BEGIN=\"1\"><EDI_DC40 SEGMENT=\"1\"><DOCNUM>{number:016}</DOCNUM><MESTYP>DESADV</MESTYP></EDI_DC40><E1EDL20 SEGMENT=\"1\"><VBELN>{number:010}</VBELN>").expect("a string");
    for item in 1..=50 {
        writeln!(text, "<E1EDL24 SEGMENT=\"1\"><POSNR>{item:06}</POSNR><MATNR>MAT-{item}</MATNR><WERKS>0001</WERKS><LFIMG>{item}.000</LFIMG><VRKME>EA</VRKME></E1EDL24>").expect("a string");
    }
    text.push_str("</E1EDL20></IDOC>\n");
}

fn idoc_flat(number: u64, text: &mut String) {
    let head = |text: &mut String, name: &str, segment: u64, parent: u64, level: u64| {
        write!(
            text,
            "{name:30}800{number:016}{segment:06}{parent:06}{level:02}"
        )
        .expect("a string");
    };
    writeln!(text, "{:10}800{number:016}{:495}", "EDI_DC40", "").expect("a string");
    head(text, "E2EDL20006", 1, 0, 1);
    writeln!(text, "{number:010}VST1").expect("a string");
    for item in 1..=50 {
        head(text, "E2EDL24009", item + 1, 1, 2);
        writeln!(text, "{item:06}{:170}{item}.000", "MAT").expect("a string");
    }
}

fn xml_line(number: u64, text: &mut String) {
    writeln!(text, "<Shipment id=\"{number}\"><ShipNo>SHP-{number}</ShipNo><Line no=\"1\"><Item sku=\"A-{number}\"/><Qty>5.000</Qty></Line><Line no=\"2\"><Qty>6</Qty></Line></Shipment>").expect("a string");
}

fn json_line(number: u64, text: &mut String) {
    let comma = if number > 0 { "," } else { "" };
    writeln!(text, "{comma}{{\"number\":\"SO-{number}\",\"lines\":[{{\"item\":{{\"sku\":\"A\\u002d1\"}},\"qty\":12.50}},{{\"qty\":6}}]}}").expect("a string");
}

fn elements(_: u64, text: &mut String) {
    text.push_str(&"<a/>".repeat(1_000));
}

fn attribute(_: u64, text: &mut String) {
    write!(text, "<a b='{:10000}'/>", "").expect("a string");
}

/// A record that is far too long, each of whose elements is joined with those before it, in as many columns as may.
fn a_record_without_end(bytes: u64) {
    record_without_end("a", elements, bytes / 16);
    record_without_end("a/@b", attribute, bytes);
}

fn record_without_end(path: &str, unit: fn(u64, &mut String), bytes: u64) {
    let columns = (0..16).map(|n| format!("C{n} = {{ path = \"{path}\", join = \",\" }}\n"));
    let toml = format!(
        "kind = \"xml\"\nrecord = \"/r/line\"\n[fields]\n{}",
        columns.collect::<String>()
    );
    let config: FormatConfig = toml::from_str(&toml).expect("a format");
    let format = Format::new(&config, &|_| Err("no text is named".into())).expect("a format");
    let made = Made {
        unit,
        first: "<r><line>",
        last: "</line></r>",
        bytes,
    };
    let mut tally = Tally::new(1);
    pass(&format, &made, &mut tally, |_| panic!("one is allowed"));
    assert_eq!((tally.records, tally.rejects), (0, 1), "{path}");
    assert!(
        tally
            .first_bad
            .is_some_and(|reason| reason.contains("bytes long"))
    );
}

/// Scenario 33 of the research note, and the other forms beside it.
#[test]
fn a_gigabyte_is_read_in_64_mebibytes() {
    let bytes = if std::env::var_os("DRAY_SOAK").is_some() {
        FILE_BYTES
    } else {
        FILE_BYTES / 10
    };
    let idoc = "kind = \"idoc\"\nrecords = [\"E1EDL24\"]";
    let xml = "kind = \"xml\"\nrecord = \"/Shipments/Shipment/Line\"\n[fields]\nSHIP = \"../ShipNo\"\nNO = \"@no\"\nSKU = \"Item/@sku\"\nQTY = \"Qty\"";
    let json = "kind = \"json\"\nrecord = \"/orders/*/lines\"\n[fields]\nORDER = \"../number\"\nSKU = \"item.sku\"\nQTY = \"qty\"";
    for (toml, made, records) in [
        (
            idoc,
            Made {
                unit: idoc_xml,
                first: "<DELVRY03>\n",
                last: "</DELVRY03>\n",
                bytes,
            },
            50,
        ),
        (
            idoc,
            Made {
                unit: idoc_flat,
                first: "",
                last: "\n",
                bytes: bytes / 16,
            },
            50,
        ),
        (
            xml,
            Made {
                unit: xml_line,
                first: "<?xml version=\"1.0\"?>\n<Shipments>\n",
                last: "</Shipments>\n",
                bytes: bytes / 16,
            },
            2,
        ),
        (
            json,
            Made {
                unit: json_line,
                first: "{\"site\":\"W\",\"orders\":[\n",
                last: "]}\n",
                bytes: bytes / 16,
            },
            2,
        ),
    ] {
        let config: FormatConfig = toml::from_str(toml).expect("a format");
        let format = Format::new(&config, &|_| Err("no text is named".into())).expect("a format");
        let mut tally = Tally::new(0);
        let (read, units) = pass(&format, &made, &mut tally, |_| panic!("nothing is bad"));
        assert!(
            read >= made.bytes && (tally.records, tally.rejects) == (units * records, 0),
            "{tally:?}, {units} units"
        );
        let mut gather = Gather::default();
        let mut gathered = 0;
        let count = |gather: &Gather| {
            gather.records.len() as u64 + 1_000_000_000 * gather.rejects.len() as u64
        };
        pass(&format, &made, &mut gather, |gather| {
            gathered += count(gather);
            *gather = Gather::default();
        });
        assert_eq!(gathered + count(&gather), units * records);
        let peak = memory_bytes_peak();
        println!("{read} bytes, {units} units: at most {peak} bytes of memory so far");
        assert!(peak <= MEMORY_BYTES_MAX, "{peak} bytes of memory");
    }
    a_record_without_end(bytes);
    let peak = memory_bytes_peak();
    println!("a record without end: at most {peak} bytes of memory so far");
    assert!(peak <= MEMORY_BYTES_MAX, "{peak} bytes of memory");
}
