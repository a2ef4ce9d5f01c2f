//! Archives of our own making, each also read in windows of many lengths.

use std::io::Write as _;

use dray_adapter::Value;
use flate2::Crc;
use flate2::write::{DeflateEncoder, GzEncoder};
use proptest::prelude::*;

use super::*;
use crate::{FileFault, Format, FormatConfig, Gather, Sink, Tally, Window};

const ROWS: &[u8] = b"A|B\n1|2\nbad\n3|4\n";
/// What comes of them.
const READ: [&str; 3] = ["0 1·2", "1! 1 column", "2 3·4"];

fn csv(compression: Compression) -> Packed {
    csv_within(compression, Packing::INFLATED_BYTES_MAX)
}

fn csv_within(compression: Compression, inflated_bytes_max: u64) -> Packed {
    let config: FormatConfig =
        toml::from_str("kind = \"csv\"\ndelimiter = \"|\"").expect("a format");
    let format = Format::new(&config, &|_| Err("no text is named".into())).expect("a format");
    format.packed(Packing {
        compression,
        inflated_bytes_max,
    })
}

/// Runs a decoder over bytes that arrive `chunk` at a time; what is full is emptied.
fn run<S: Sink>(
    packed: &Packed,
    file: &[u8],
    chunk: usize,
    skip: u64,
    sink: &mut S,
    mut emptied: impl FnMut(&mut S),
) -> Result<u64, String> {
    let mut decoder = packed.decoder(skip);
    let (mut window, mut rest) = (Window::default(), file);
    loop {
        let decoded = decoder.decode(window.bytes(), rest.is_empty(), sink);
        let decoded = decoded.map_err(|FileFault(said)| said)?;
        window.take(decoded.bytes);
        if decoded.done {
            assert!(window.bytes().is_empty(), "all is read");
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

/// `ordinal cell·cell`, or `ordinal! reason`.
fn told(gather: &Gather) -> Vec<String> {
    let mut told: Vec<(u64, String)> = Vec::new();
    for record in gather.records.iter() {
        let cells = (0..record.len()).map(|index| match record.value(index) {
            Value::Text(text) => text.to_owned(),
            other => format!("{other:?}"),
        });
        let cells = cells.collect::<Vec<_>>().join("·");
        let ordinal = record.row().ordinal;
        told.push((ordinal, format!("{ordinal} {cells}")));
    }
    for reject in &gather.rejects {
        told.push((
            reject.ordinal,
            format!("{}! {}", reject.ordinal, reject.reason),
        ));
    }
    told.sort();
    told.into_iter().map(|(_, told)| told).collect()
}

fn told_of(packed: &Packed, file: &[u8], chunk: usize) -> Result<Vec<String>, String> {
    let mut gather = Gather::default();
    let read = run(packed, file, chunk, 0, &mut gather, |_| {
        panic!("a case fits a batch")
    });
    let mut tally = Tally::new(u64::MAX);
    let counted = run(packed, file, chunk, 0, &mut tally, |_| ());
    assert_eq!(read, counted, "both passes agree");
    read.map(|ordinals| {
        assert_eq!(ordinals, tally.records + tally.rejects);
        told(&gather)
    })
}

/// Each expected text is a record, or the beginning of a bad one up to `! ` and words of its reason.
fn check(packed: &Packed, file: &[u8], expected: &[&str]) {
    for chunk in [usize::MAX, 1, 2, 7, 100] {
        let told = told_of(packed, file, chunk).unwrap_or_else(|said| panic!("{chunk}: {said}"));
        let fits = |(told, expected): (&String, &&str)| match expected.split_once("! ") {
            Some((ordinal, words)) => {
                told.starts_with(&format!("{ordinal}! ")) && told.contains(words)
            }
            None => told == expected,
        };
        assert!(
            told.len() == expected.len() && told.iter().zip(expected).all(fits),
            "in chunks of {chunk}: {told:#?} instead of {expected:#?}"
        );
        for skip in 0..expected.len() {
            let mut gather = Gather::default();
            run(packed, file, chunk, skip as u64, &mut gather, |_| ()).expect("it was readable");
            assert_eq!(super::tests::told(&gather), told[skip..]);
            let (mut parts, mut one) = (Vec::new(), Gather::with_limits(1, usize::MAX));
            let emptied = |gather: &mut Gather| {
                parts.extend(super::tests::told(gather));
                *gather = Gather::with_limits(1, usize::MAX);
            };
            run(packed, file, chunk, skip as u64, &mut one, emptied).expect("it was readable");
            parts.extend(super::tests::told(&one));
            assert_eq!(parts, told[skip..], "one at a time");
        }
    }
}

fn check_fault(packed: &Packed, file: &[u8], words: &str) {
    for chunk in [usize::MAX, 1, 7, 100] {
        let said = told_of(packed, file, chunk).expect_err("the file can't be read");
        assert!(said.contains(words), "\"{words}\" is missing in: {said}");
    }
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut gzip = GzEncoder::new(Vec::new(), flate2::Compression::best());
    gzip.write_all(bytes).expect("memory");
    gzip.finish().expect("memory")
}

fn deflate(bytes: &[u8]) -> Vec<u8> {
    let mut deflate = DeflateEncoder::new(Vec::new(), flate2::Compression::best());
    deflate.write_all(bytes).expect("memory");
    deflate.finish().expect("memory")
}

/// A gzip member with whatever header and trailer.
fn member(flags: u8, header: &[u8], bytes: &[u8], length: u32) -> Vec<u8> {
    let mut crc = Crc::new();
    crc.update(bytes);
    let mut member = vec![0x1F, 0x8B, 8, flags, 0, 0, 0, 0, 0, 255];
    member.extend_from_slice(header);
    member.extend_from_slice(&deflate(bytes));
    member.extend_from_slice(&crc.sum().to_le_bytes());
    member.extend_from_slice(&length.to_le_bytes());
    member
}

#[test]
fn gzip_files_are_read_as_what_is_in_them() {
    let packed = csv(Compression::Gzip);
    check(&packed, &gzip(ROWS), &READ);
    check(
        &packed,
        &[gzip(&ROWS[..9]), gzip(b""), gzip(&ROWS[9..])].concat(),
        &READ,
    );
    check(&packed, &[gzip(ROWS), vec![0; 700]].concat(), &READ);
    check(&packed, &gzip(b""), &[]);
    let extra = b"\x03\0abcname.csv\0of a comment\0";
    check(
        &packed,
        &member(4 | 8 | 16 | 1, extra, ROWS, ROWS.len() as u32),
        &READ,
    );
    check(&csv(Compression::Auto), &gzip(ROWS), &READ);
    check(&csv(Compression::Auto), ROWS, &READ);
    check(&csv(Compression::Auto), b"A|", &[]);
    check(&csv(Compression::None), ROWS, &READ);
}

#[test]
fn a_gzip_file_that_does_not_hold_is_refused() {
    let packed = csv(Compression::Gzip);
    let whole = gzip(ROWS);
    let with = |at: usize, byte: u8| {
        let mut file = whole.clone();
        file[at] ^= byte;
        file
    };
    check_fault(&packed, ROWS, "byte 1 stands no gzip header");
    check_fault(&packed, b"", "ends in its middle");
    check_fault(&packed, &with(whole.len() - 1, 1), "a length");
    check_fault(&packed, &with(whole.len() - 5, 1), "a CRC");
    check_fault(&packed, &with(3, 0x20), "RFC 1952 reserves");
    check_fault(
        &packed,
        &member(2, b"\0\0", ROWS, 15),
        "header whose CRC does not hold",
    );
    check_fault(&packed, &[&whole[..], b"\0x"].concat(), "neither a further");
    check_fault(&packed, &[&whole[..], b"x"].concat(), "no gzip header");
    check_fault(
        &packed,
        &[&[0x1F, 0x8B, 8, 8, 0, 0, 0, 0, 0, 0][..], &[b'n'; 200_000]].concat(),
        "never ends",
    );
}

/// Scenario 34.
#[test]
fn truncated_gz_is_refused_wherever_it_is_cut() {
    let packed = csv(Compression::Gzip);
    let whole = [gzip(ROWS), gzip(ROWS)].concat();
    for length in 0..whole.len() {
        let read = told_of(&packed, &whole[..length], usize::MAX);
        // The end of the first member can't be told from the end of all.
        if length == whole.len() / 2 {
            assert_eq!(read.map(|told| told.len()), Ok(3));
        } else {
            let said = read.expect_err("it is cut");
            assert!(said.contains("ends in its middle"), "{length}: {said}");
        }
    }
}

/// A file of an archive, and how its header and directory entry differ from what they should be.
#[derive(Debug, Clone)]
struct Item {
    name: &'static str,
    bytes: Vec<u8>,
    method: u16,
    flags: u16,
    attributes: u32,
    listed_as: &'static str,
    listed_crc: u32,
    zip64: bool,
}

fn item(name: &'static str, bytes: &[u8]) -> Item {
    Item {
        name,
        bytes: bytes.to_vec(),
        method: 8,
        flags: 0,
        attributes: 0o100_644 << 16,
        listed_as: name,
        listed_crc: 0,
        zip64: false,
    }
}

fn put(out: &mut Vec<u8>, numbers: &[(u64, usize)]) {
    for (number, bytes) in numbers {
        out.extend_from_slice(&number.to_le_bytes()[..*bytes]);
    }
}

/// An archive as APPNOTE draws it.
fn zip(items: &[Item]) -> Vec<u8> {
    let (mut file, mut directory) = (Vec::new(), Vec::new());
    for item in items {
        let mut crc = Crc::new();
        crc.update(&item.bytes);
        let crc = u64::from(crc.sum());
        let data = match item.method {
            8 => deflate(&item.bytes),
            _ => item.bytes.clone(),
        };
        let (packed, inflated) = (data.len() as u64, item.bytes.len() as u64);
        let (start, described) = (file.len() as u64, item.flags & 8 != 0);
        let said = if described {
            [0; 3]
        } else {
            [crc, packed, inflated]
        };
        let ones = u64::from(u32::MAX);
        let said = if item.zip64 {
            [said[0], ones, ones]
        } else {
            said
        };
        let method = [(item.flags.into(), 2), (item.method.into(), 2), (0, 4)];
        put(&mut file, &[(0x0403_4b50, 4), (45, 2)]);
        put(&mut file, &method);
        put(&mut file, &said.map(|number| (number, 4)));
        let extra = if item.zip64 { 20 } else { 0 };
        put(&mut file, &[(item.name.len() as u64, 2), (extra, 2)]);
        file.extend_from_slice(item.name.as_bytes());
        if item.zip64 {
            put(&mut file, &[(1, 2), (16, 2), (inflated, 8), (packed, 8)]);
        }
        file.extend_from_slice(&data);
        if described {
            let bytes = if item.zip64 { 8 } else { 4 };
            put(
                &mut file,
                &[
                    (0x0807_4b50, 4),
                    (crc, 4),
                    (packed, bytes),
                    (inflated, bytes),
                ],
            );
        }
        put(&mut directory, &[(0x0201_4b50, 4), (0x033F, 2), (45, 2)]);
        put(&mut directory, &method);
        let crc = crc ^ u64::from(item.listed_crc);
        put(&mut directory, &[(crc, 4), (packed, 4), (inflated, 4)]);
        put(
            &mut directory,
            &[(item.listed_as.len() as u64, 2), (0, 8), (0, 0)],
        );
        put(&mut directory, &[(item.attributes.into(), 4), (start, 4)]);
        directory.extend_from_slice(item.listed_as.as_bytes());
    }
    let (start, bytes, count) = (
        file.len() as u64,
        directory.len() as u64,
        items.len() as u64,
    );
    file.extend_from_slice(&directory);
    put(&mut file, &[(0x0605_4b50, 4), (0, 4), (count, 2)]);
    put(
        &mut file,
        &[(count, 2), (bytes, 4), (start, 4), (3, 2), (0x00EA_EAEA, 3)],
    );
    file
}

/// An archive of files, deflated.
pub(crate) fn archive(files: &[(&'static str, String)]) -> Vec<u8> {
    let items = files.iter().map(|(name, text)| item(name, text.as_bytes()));
    zip(&items.collect::<Vec<_>>())
}

#[test]
fn each_file_of_an_archive_is_read_by_itself() {
    let packed = csv(Compression::Zip);
    check(&packed, &zip(&[item("a.csv", ROWS)]), &READ);
    let mut stored = item("sub/b.csv", b"B|C|D\n5|6|7\n8\n");
    stored.method = 0;
    let mut described = item("c.csv", ROWS);
    described.flags = 8;
    let mut long = item("d.csv", b"A|B\n9|9\n");
    (long.flags, long.zip64) = (8, true);
    let mut folder = item("sub/", b"");
    (folder.method, folder.attributes) = (0, 0o040_755 << 16);
    let mac = item("__MACOSX/._c.csv", b"\0\x05\x16\x07");
    let mut empty = item("e.csv", b"");
    empty.method = 0;
    let all = [folder, stored, described, mac, empty, long];
    let expected = [
        "0 5·6·7",
        "1! in sub/b.csv: 1 column",
        "2 1·2",
        "3! in c.csv: 1 column",
        "4 3·4",
        "5 9·9",
    ];
    check(&packed, &zip(&all), &expected);
    check(&csv(Compression::Auto), &zip(&all), &expected);
    check(&packed, &zip(&[]), &[]);
    check(&packed, &[zip(&all), vec![0; 9]].concat(), &expected);
}

#[test]
fn a_fault_of_a_file_names_it() {
    let packed = csv(Compression::Zip);
    let file = zip(&[item("a.csv", ROWS), item("b.csv", b"A||\n1|2\n")]);
    check_fault(&packed, &file, "in b.csv: ");
}

#[test]
fn an_archive_that_does_not_hold_is_refused() {
    let packed = csv(Compression::Zip);
    let refused = |change: &dyn Fn(&mut Item), words: &str| {
        let mut changed = item("b.csv", ROWS);
        change(&mut changed);
        check_fault(
            &packed,
            &zip(&[item("a.csv", ROWS), changed.clone()]),
            words,
        );
    };
    refused(&|item| item.flags = 1, "b.csv, which is encrypted");
    refused(&|item| item.method = 14, "by method 14 (LZMA)");
    refused(
        &|item| (item.method, item.flags) = (0, 8),
        "says only behind its data",
    );
    refused(&|item| item.name = "a.csv", "a second file");
    refused(
        &|item| item.listed_as = "c.csv",
        "says c.csv of b.csv; one of the two names lies",
    );
    refused(&|item| item.listed_crc = 1, "lengths or CRC of b.csv");
    refused(
        &|item| item.attributes = 0o120_777 << 16,
        "b.csv is a symbolic link",
    );
    refused(&|item| item.attributes = 0o060_777 << 16, "is a device");
    check_fault(&packed, ROWS, "no zip header");
    check_fault(&packed, b"", "ends in its middle");
    let whole = zip(&[item("a.csv", ROWS), item("b.csv", ROWS)]);
    check_fault(&packed, &[&whole[..], b"x"].concat(), "behind the archive");
    // Two files, and a directory that knows only the first.
    let hidden = zip(&[item("a.csv", ROWS)]);
    let first = hidden.len() - 25 - 51;
    let both = [&hidden[..first], &hidden[..first], &hidden[first..]].concat();
    check_fault(&packed, &both, "a second file");
    let mut counts = whole.clone();
    let at = counts.len() - 25 + 10;
    counts[at] = 3;
    check_fault(&packed, &counts, "says a directory of 3 files");
    let many: Vec<Item> = (0..=ENTRIES_MAX)
        .map(|index| item(Box::leak(format!("{index}").into_boxed_str()), b""))
        .collect();
    let said = told_of(&packed, &zip(&many), usize::MAX).expect_err("too many");
    assert!(said.contains("may have 1000"), "{said}");
}

#[test]
fn an_archive_cut_or_changed_anywhere_is_refused() {
    let packed = csv(Compression::Zip);
    let mut described = item("b.csv", ROWS);
    described.flags = 8;
    let whole = zip(&[item("a.csv", ROWS), described]);
    for length in 0..whole.len() {
        let said = told_of(&packed, &whole[..length], usize::MAX).expect_err("it is cut");
        assert!(said.contains("ends in its middle"), "{length}: {said}");
    }
}

/// Scenario 34.
#[test]
fn zip_path_traversal_is_refused() {
    let packed = csv(Compression::Zip);
    for (name, words) in [
        ("../a.csv", "leads out"),
        ("sub/../../a.csv", "leads out"),
        ("sub\\..\\a.csv", "leads out"),
        ("/etc/a.csv", "absolute path"),
        ("\\a.csv", "absolute path"),
        ("C:\\a.csv", "absolute path"),
        ("a\0b.csv", "is none"),
        ("", "is none"),
    ] {
        let file = zip(&[item("fine.csv", ROWS), item(name, ROWS)]);
        check_fault(&packed, &file, words);
    }
    check(&packed, &zip(&[item("a..b.csv", ROWS)]), &{
        ["0 1·2", "1! in a..b.csv: 1 column", "2 3·4"]
    });
}

/// Scenario 34.
#[test]
fn a_zip_bomb_is_refused() {
    // A line of zeros: a thousand times its packed size.
    let rows = [&b"A|B\n"[..], &vec![b'0'; 80 * 1024 * 1024]].concat();
    for (compression, file) in [
        (Compression::Gzip, gzip(&rows)),
        (Compression::Zip, zip(&[item("a.csv", &rows)])),
    ] {
        let packed = csv(compression);
        let ratio = rows.len() / file.len();
        assert!(ratio > 1_000, "{ratio}");
        let read = |chunk| run(&packed, &file, chunk, 0, &mut Tally::new(u64::MAX), |_| ());
        let said = read(usize::MAX).expect_err("a bomb");
        assert!(
            said.contains("zip bomb") && said.contains("unpack to 671"),
            "{said}"
        );
        assert_eq!(read(777), Err(said), "the same however it is cut");
    }
    let small = |inflated_bytes_max| csv_within(Compression::Gzip, inflated_bytes_max);
    check(&small(16), &gzip(ROWS), &READ);
    check_fault(
        &small(15),
        &gzip(ROWS),
        "larger than 15 bytes; if that is right, raise",
    );
}

proptest! {
    #[test]
    fn damaged_archives_are_the_same_in_any_windows(
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>(), 0..3_u8), 1..5),
        step in 1..100_usize,
        which in 0..2_usize,
    ) {
        let mut described = item("b.csv", ROWS);
        described.flags = 8;
        let files = [[gzip(ROWS), gzip(ROWS)].concat(), zip(&[item("a.csv", ROWS), described])];
        let mut file = files[which].clone();
        for (at, byte, how) in changes {
            let at = at.index(file.len());
            match how {
                0 => file[at] = byte,
                1 => drop(file.remove(at)),
                _ => file.insert(at, byte),
            }
        }
        let packed = csv([Compression::Gzip, Compression::Zip][which]);
        prop_assert_eq!(told_of(&packed, &file, step), told_of(&packed, &file, usize::MAX));
    }
}
