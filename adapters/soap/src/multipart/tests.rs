use std::io::Write as _;
use std::sync::Arc;

use super::*;
use crate::content::{Collector, MEMORY_BYTES_MAX};

const INCLUDE: &str = "xmlns:x=\"http://www.w3.org/2004/08/xop/include\"";

fn content(bytes: &[u8]) -> Content {
    let folder = std::env::temp_dir();
    let mut collector = Collector::new(u64::MAX, Arc::new(folder));
    collector.write_all(bytes).expect("there is room");
    collector.finish().expect("there is room")
}

fn text(mut content: Content) -> String {
    let mut bytes = Vec::new();
    content
        .read::<Fault>(&mut |window, end| {
            bytes.extend_from_slice(window);
            Ok((window.len(), end))
        })
        .expect("it can be read");
    String::from_utf8(bytes).expect("UTF-8")
}

fn read(content_type: &str, body: &[u8], bytes_max: u64) -> Result<String, Fault> {
    let related = boundary(content_type).expect(content_type);
    let folder = Arc::new(std::env::temp_dir());
    joined(content(body), &related, bytes_max, &folder).map(text)
}

/// A part with its headers, behind its delimiter.
fn part(headers: &str, body: &[u8]) -> Vec<u8> {
    [b"--b\r\n", headers.as_bytes(), b"\r\n\r\n", body, b"\r\n"].concat()
}

fn root(body: &str) -> Vec<u8> {
    part(
        "Content-Type: application/xop+xml\r\nContent-ID: <root>",
        body.as_bytes(),
    )
}

#[test]
fn a_content_type_says_where_parts_end() {
    let related = |boundary: &str, start: Option<&str>| {
        Some(Related {
            boundary: boundary.into(),
            start: start.map(str::to_owned),
        })
    };
    for (text, expected) in [
        ("multipart/related; boundary=b", related("b", None)),
        (
            "Multipart/Related; type=\"application/xop+xml\"; start=\"<r@x>\"; start-info=\"text/xml; a=b\"; boundary=\"uuid:1;=2\"",
            related("uuid:1;=2", Some("r@x")),
        ),
        (
            "multipart/related;boundary=b ;start=r",
            related("b", Some("r")),
        ),
        ("multipart/related", None),
        ("multipart/related; boundary=\"\"", None),
        ("multipart/form-data; boundary=b", None),
        ("text/xml; charset=utf-8", None),
    ] {
        assert_eq!(boundary(text), expected, "{text}");
    }
}

#[test]
fn an_include_is_replaced_by_its_part() {
    let message = format!(
        "<?xml version='1.0' encoding='UTF-8'?><?xml-x <?xml ?><s a='1'><d><x:Include {INCLUDE} href=\"cid:1%40x\"> </x:Include></d>&amp;<e><x:Include {INCLUDE} href='cid:2'/></e><f/></s>"
    );
    let binary = b"\0\r\n--\r\n--a\xff";
    let body = [
        b"a preamble\r\n".to_vec(),
        part(
            "content-id: <1@x>\r\nContent-Transfer-Encoding: binary",
            binary,
        ),
        root(&message),
        part(
            "Content-ID: <2>\r\nContent-Transfer-Encoding: base64",
            b"Zm9v\r\nYmE=",
        ),
        b"--b--\r\nan epilogue".to_vec(),
    ]
    .concat();
    let found = read(
        "multipart/related; boundary=b; start=\"<root>\"",
        &body,
        10_000,
    )
    .expect("a message");
    assert_eq!(
        found,
        "<?xml-x <?xml ?><s a='1'><d>AA0KLS0NCi0tYf8=</d>&amp;<e>Zm9vYmE=</e><f/></s>"
    );
}

#[test]
fn parts_are_found_wherever_a_long_answer_is_cut() {
    let message =
        format!("<s><x:Include {INCLUDE} href='cid:2'/><x:Include {INCLUDE} href='cid:3'/></s>");
    for extra in [0, 1, 2, 3, 70_000] {
        let large = vec![b'\r'; 3 * MEMORY_BYTES_MAX + extra];
        let body = [
            root(&message),
            part("Content-ID: <2>", &large),
            part("Content-ID: <3>", b""),
            b"--b--".to_vec(),
        ]
        .concat();
        let found = read("multipart/related; boundary=b", &body, u64::MAX).expect("a message");
        assert_eq!(
            found.len(),
            "<s></s>".len() + large.len().div_ceil(3) * 4,
            "{extra}"
        );
    }
}

#[test]
fn what_is_not_whole_or_names_what_is_not_there_is_refused() {
    let include = |href: &str| root(&format!("<s><x:Include {INCLUDE} {href}/></s>"));
    let end = b"--b--".to_vec();
    let related = "multipart/related; boundary=b; start=root";
    for (body, expected) in [
        (root("<s/>"), "not closed"),
        ([root("<s/>"), b"--b".to_vec()].concat(), "not closed"),
        (b"nothing".to_vec(), "not closed"),
        (
            [root("<s/>"), b"--bc\r\n".to_vec(), end.clone()].concat(),
            "something else stands behind",
        ),
        (
            [part("Content-ID: <other>", b"<s/>"), end.clone()].concat(),
            "no part has the root's id root",
        ),
        (
            [include("href='cid:2'"), end.clone()].concat(),
            "part 2, which is not there",
        ),
        (
            [include("href='http://x/'"), end.clone()].concat(),
            "outside of the message",
        ),
        ([include("ref='cid:2'"), end.clone()].concat(), "no href"),
        ([root("<s>"), end.clone()].concat(), "line 1"),
        (
            [
                part(
                    "Content-ID: <root>\r\nContent-Transfer-Encoding: quoted-printable",
                    b"",
                ),
                end.clone(),
            ]
            .concat(),
            "quoted-printable",
        ),
        (
            [
                part(
                    &format!("X: {}", "y".repeat(HEADERS_BYTES_MAX)),
                    &vec![b'z'; HEADERS_BYTES_MAX],
                )
                .replace_ends(),
                end.clone(),
            ]
            .concat(),
            "headers of a part are longer",
        ),
        (
            [
                part(&format!("X: {}", "y".repeat(HEADERS_BYTES_MAX)), b"<s/>"),
                end.clone(),
            ]
            .concat(),
            "headers of a part are longer",
        ),
        (
            [b"--b".to_vec(), vec![b' '; 20 * 1024 * 1024], end.clone()].concat(),
            "more than 1000 blanks",
        ),
        (
            [
                (0..=PARTS_MAX).flat_map(|_| root("<s/>")).collect(),
                end.clone(),
            ]
            .concat(),
            "more than 1000 parts",
        ),
    ] {
        match read(related, &body, 1_000_000) {
            Err(Fault::Wrong(reason)) => assert!(reason.contains(expected), "{expected}: {reason}"),
            other => panic!("{expected}: {other:?}"),
        }
    }
}

/// Takes the empty lines out of a part, so that its headers never end.
trait ReplaceEnds {
    fn replace_ends(self) -> Self;
}

impl ReplaceEnds for Vec<u8> {
    fn replace_ends(self) -> Self {
        String::from_utf8(self)
            .expect("it is text")
            .replace("\r\n\r\n", "\n\n")
            .into_bytes()
    }
}

#[test]
fn a_part_that_is_named_often_stays_within_the_limit() {
    let include = format!("<x:Include {INCLUDE} href='cid:2'/>");
    let body = [
        root(&format!("<s>{}</s>", include.repeat(1_000))),
        part("Content-ID: <2>", &[7; 30_000]),
        b"--b--".to_vec(),
    ]
    .concat();
    match read("multipart/related; boundary=b", &body, 1_000_000) {
        Err(Fault::Disk(error)) => assert_eq!(error.kind(), io::ErrorKind::FileTooLarge),
        other => panic!("{:?}", other.map(|text| text.len())),
    }
}
