//! Whatever bytes come, nothing panics, and how they are cut into windows changes nothing. `PROPTEST_CASES` sets how many are tried.

use proptest::prelude::*;

use crate::{format, told};

const XML: &str = "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<!-- n --><S id=\"7\"><No> 1&amp;2\r\n</No><L no=\"1\"><Q>5</Q><Q>6</Q><N><![CDATA[a<b]]></N></L>\n\
    <L no='&#50;' x:nil='true' xmlns:x='http://www.w3.org/2001/XMLSchema-instance'/><?p q?><x:L xmlns:x='urn:x'>&lt;ü&bad;</x:L></S>\n";
const JSON: &str = "{\"site\":\"W\\u00fc\",\"x\":[{},[null,true]],\"orders\":[{\"no\":7,\"lines\":[{\"a\":1.50,\"b\":{\"c\":\"\\ud83d\\ude00\"}},\n{\"a\":-1e3,\"b\":null}]},{\"lines\":[]}]}\n";
const LINES: &str = "{\"a\":1,\"b\":{\"c\":\"x\\n\"}}\r\n\n{\"a\":[1,2]}\n{\"a\":\"ü\"}\n";
const IDOC_XML: &str = "<D><IDOC BEGIN=\"1\"><EDI_DC40 SEGMENT=\"1\"><DOCNUM>1</DOCNUM></EDI_DC40><E1EDL20 SEGMENT=\"1\"><VBELN>8</VBELN><E1EDL24 SEGMENT=\"1\"><POSNR>1</POSNR></E1EDL24>\n\
    <E1EDL24 SEGMENT=\"1\"><POSNR>&#50;</POSNR></E1EDL24></E1EDL20></IDOC><IDOC><EDI_DC40><DOCNUM>2</DOCNUM></EDI_DC40><E1EDL20/></IDOC></D>";
const IDOC: &str = "EDI_DC40  8000000000000000001700302  DELVRY03\n\
    E2EDL20006                    800000000000000000100000100000001000008VST1\r\n\
    E2EDL24009                    8000000000000000001000002000001020010  MAT-1\n\
    E2EDL24009                    8000000000000000001000003000001020020  M\u{fc}\n\
    EDI_DC40  8000000000000000002700302  DELVRY03\n\
    E2EDL20006                    800000000000000000200000100000001000009VST1\n";

/// A text with some bytes replaced, left out or doubled.
pub(crate) fn damaged(text: &'static str) -> impl Strategy<Value = Vec<u8>> {
    let change = (
        any::<prop::sample::Index>(),
        prop_oneof![
            any::<u8>(),
            prop::sample::select(b"<>&;\"'/]-!? {}[]:,\\0E".to_vec())
        ],
        0..12_u8,
    );
    prop::collection::vec(change, 0..6).prop_map(move |changes| {
        let mut bytes = text.as_bytes().to_vec();
        for (at, byte, how) in changes {
            let at = at
                .index(bytes.len().max(1))
                .min(bytes.len().saturating_sub(1));
            match how {
                _ if bytes.is_empty() => {}
                0..=4 => bytes[at] = byte,
                5..=7 => drop(bytes.remove(at)),
                8..=10 => bytes.insert(at, byte),
                _ => bytes.truncate(at),
            }
        }
        bytes
    })
}

const FORMATS: [(&str, &str); 8] = [
    (
        XML,
        "kind = \"xml\"\nrecord = \"/S/L\"\n[fields]\nID = \"../@id\"\nNO = \"../No\"\nN = \"@no\"\nQ = { path = \"Q\", join = \",\" }\nALL = \".\"\nNAME = \"N\"",
    ),
    (
        XML,
        "kind = \"xml\"\nrecord = \"//y:L\"\nnamespaces = { y = \"urn:x\" }\n[fields]\nID = \"../@id\"\nL = { path = \"../L/@no\", join = \" \" }\nALL = \".\"",
    ),
    (
        XML,
        "kind = \"xml\"\nrecord = \"/S/L\"\nencoding = \"windows-1252\"\n[fields]\nALL = \".\"\nQ = \"Q[2]\"",
    ),
    (
        JSON,
        "kind = \"json\"\nrecord = \"/orders/*/lines\"\n[fields]\nSITE = \"../../site\"\nNO = \"../no\"\nA = \"a\"\nC = \"b.c\"",
    ),
    (
        JSON,
        "kind = \"json\"\n[fields]\nX = \"/x/1/1\"\nORDER = \"/orders/0/no\"\nALL = \"\"",
    ),
    (
        LINES,
        "kind = \"json-lines\"\n[fields]\nA = \"/a\"\nSECOND = \"/a/1\"\nC = \"b.c\"",
    ),
    (
        IDOC,
        "kind = \"idoc\"\nrecords = [\"E1EDL24\", \"E1EDL20\"]",
    ),
    (
        IDOC_XML,
        "kind = \"idoc\"\nrecords = [\"E1EDL24\", \"E1EDL20\"]",
    ),
];

#[test]
fn whole_ones_are_read() {
    let count = |format: usize| {
        told(
            &super::format(FORMATS[format].1),
            FORMATS[format].0.as_bytes(),
            7,
        )
        .expect("whole")
        .len()
    };
    assert_eq!(
        [0, 1, 2, 3, 4, 5, 6, 7].map(count),
        [3, 1, 3, 2, 1, 3, 4, 4]
    );
}

proptest! {
    #[test]
    fn damaged_trees_are_the_same_in_windows_of_any_length(
        files in FORMATS.map(|(text, _)| damaged(text)),
        step in 1..200_usize,
    ) {
        for (file, (_, toml)) in files.iter().zip(FORMATS) {
            let of = format(toml);
            prop_assert_eq!(told(&of, file, step), told(&of, file, usize::MAX), "{}", toml);
        }
    }

    /// In UTF-16 too.
    #[test]
    fn damaged_wide_xml_is_the_same_in_windows_of_any_length(
        at in any::<prop::sample::Index>(), byte: u8, big: bool, step in 1..50_usize,
    ) {
        let text = XML.replace("UTF-8", "UTF-16");
        let mut file: Vec<u8> = text.encode_utf16().flat_map(|unit| if big { unit.to_be_bytes() } else { unit.to_le_bytes() }).collect();
        let at = at.index(file.len());
        file[at] = byte;
        let of = format(FORMATS[0].1);
        prop_assert_eq!(told(&of, &file, step), told(&of, &file, usize::MAX));
    }

    /// What serde_json takes for JSON, we do, and the other way round; but for keys that stand twice and what a float can't hold.
    #[test]
    fn damaged_json_is_json_to_serde_too_or_to_neither(file in damaged(JSON)) {
        let ours = told(&format("kind = \"json\"\n[fields]\nALL = \"\""), &file, 9);
        let ours = ours.and_then(|told| told.into_iter().find(|told| told.contains("! ") && !told.contains("stands twice")).map_or(Ok(()), Err));
        let theirs = serde_json::from_slice::<serde_json::Value>(&file);
        let is_number = theirs.as_ref().err().is_some_and(|error| error.to_string().contains("number out of range"));
        let has_mark = file.starts_with(b"\xEF\xBB\xBF");
        prop_assert!(is_number || has_mark || ours.is_ok() == theirs.is_ok(), "{}: {:?} and {:?}", file.escape_ascii(), ours, theirs);
    }
}
