//! `xmllint` (Debian's libxml2-utils) agrees: on what is well-formed, on counts and on values.

use std::fs;
use std::io::Write as _;
use std::process::{Command, Stdio};

use proptest::prelude::*;
use proptest::test_runner::TestRunner;

use crate::damaged::damaged;
use crate::{corpora, format, told};

/// What `xmllint` says of a file.
fn xmllint(file: &[u8], xpath: Option<&str>) -> Result<String, String> {
    let mut command = Command::new("xmllint");
    command.arg("--nonet");
    match xpath {
        Some(xpath) => command.args(["--xpath", xpath]),
        None => command.arg("--noout"),
    };
    let child = command
        .arg("-")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn();
    let mut child = child
        .expect("this test compares with xmllint: install it with apt-get install libxml2-utils");
    // It may stop reading at the first error.
    let _ = child.stdin.take().expect("a pipe").write_all(file);
    let output = child.wait_with_output().expect("it ends");
    let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).trim().to_owned();
    if output.status.success() {
        Ok(text(output.stdout))
    } else {
        Err(text(output.stderr))
    }
}

/// Whether both take a file for well-formed; a record that refers to what nothing explains is not.
fn check_form(file: &[u8]) {
    let ours = told(
        &format("kind = \"xml\"\nrecord = \"//*\"\n[fields]\nA = \"@none\""),
        file,
        7,
    );
    let ours = ours.and_then(|told| {
        told.into_iter()
            .find(|told| told.contains("! "))
            .map_or(Ok(()), Err)
    });
    let theirs = xmllint(file, None);
    assert_eq!(
        ours.is_ok(),
        theirs.is_ok(),
        "{}: {ours:?} and {theirs:?}",
        file.escape_ascii()
    );
}

#[test]
fn files_of_the_corpora_are_well_formed_and_have_the_counts_and_values_of_xmllint() {
    let Some(corpora) = corpora() else { return };
    for (path, record, fields) in [
        (
            "xml/spring-batch/input.xml",
            "//trade",
            &["isin", "price"][..],
        ),
        (
            "xml/spring-batch/input-nested.xml",
            "//trade",
            &["isin", "customer"],
        ),
        (
            "xml/omniparser/2_multiple_objects.input.xml",
            "//book",
            &["author", "@price", "@title"],
        ),
        (
            "idoc/module-ballerinax-sap.jco/Avon.xml",
            "//E1EDL20",
            &["VBELN", "@SEGMENT"],
        ),
        (
            "idoc/module-ballerinax-sap.jco/back.xml",
            "//E1EDL20",
            &["NTGEW", "INCO1"],
        ),
    ] {
        let file = fs::read(corpora.join(path)).expect("readable");
        check_form(&file);
        for field in fields {
            let told = told(
                &format(&format!(
                    "kind = \"xml\"\nrecord = \"{record}\"\n[fields]\nA = \"{field}\""
                )),
                &file,
                11,
            )
            .expect("records");
            assert_eq!(
                xmllint(&file, Some(&format!("count({record})"))),
                Ok(told.len().to_string()),
                "{path}"
            );
            for (number, told) in told.iter().enumerate() {
                let theirs = xmllint(
                    &file,
                    Some(&format!(
                        "normalize-space(({record})[{}]/{field})",
                        number + 1
                    )),
                )
                .expect("a value");
                let ours = told.split_once(": ").expect("a record").1;
                assert_eq!(
                    if ours == "-" { "" } else { ours },
                    theirs,
                    "{path}: {record} {number} {field}"
                );
            }
        }
    }
}

#[test]
fn odd_files_are_well_formed_to_both_or_to_neither() {
    for file in [
        "<a/>",
        "",
        " ",
        "<a>",
        "<a/><a/>",
        "<a/> ",
        "<a/>x",
        "<a b='1' b='2'/>",
        "<a b='1'c='2'/>",
        "<a b=1/>",
        "<a b/>",
        "<a b='<'/>",
        "<a b='>'/>",
        "<a>]]></a>",
        "<a>]]&gt;</a>",
        "<a>]]</a>",
        "<a><!-- - --></a>",
        "<a><!-- -- --></a>",
        "<a><!-- ---></a>",
        "<!-- --><a/>",
        "<a/><!-- -->",
        "<a><?x?></a>",
        "<a><?xml?></a>",
        "<?xml version='1.0'?><a/>",
        " <?xml version='1.0'?><a/>",
        "<?xml version='1.0' encoding='UTF-8' standalone='yes'?><a/>",
        "<?xml encoding='UTF-8'?><a/>",
        "<?xml version='1.0' standalone='maybe'?><a/>",
        "<a>&amp;&lt;&gt;&quot;&apos;&#65;&#x41;</a>",
        "<a>&</a>",
        "<a>&;</a>",
        "<a>&#;</a>",
        "<a>&#0;</a>",
        "<a>&#xFFFE;</a>",
        "<a>&#x10FFFF;</a>",
        "<a>&#x110000;</a>",
        "<a>&x;</a>",
        "<a><![CDATA[<&]]></a>",
        "<a><![CDATA[]]]]></a>",
        "<![CDATA[]]><a/>",
        "<a\n b = '1'\t/>",
        "<a ></a >",
        "< a/>",
        "<a></ a>",
        "<1/>",
        "<_/>",
        "<a-b.c/>",
        "<-a/>",
        "<ä/>",
        "<a ä='1'/>",
        "<a\u{b7}/>",
        "<\u{b7}/>",
        "<a>\u{1}</a>",
        "<a>\u{85}</a>",
        "<a>\u{FFFD}</a>",
        "<a>\u{FFFE}</a>",
        "<a b='\u{1}'/>",
        "<a b='&x;'/>",
        "<a b='&'/>",
        "<a/b>",
        "<a></a b='1'>",
        "<a b='1\"/>",
        "\u{feff}<a/>",
        "<a>\u{feff}</a>",
        "<!x><a/>",
        "<a><!x></a>",
        "<a><![cdata[]]></a>",
    ] {
        check_form(file.as_bytes());
    }
}

const SHIPMENT: &str = "<S xmlns='urn:s' id=\"7\">\n<No>1&amp;2</No><!-- a - b --><L no='1' t=\"x>y\"><Q>5</Q><N><![CDATA[a<b]]></N></L>\r\n<L no='&#50;'/><?p q?><L>&lt;ü</L></S>\n";

/// Cases at most: each starts `xmllint` some times. `proptest!` would put `PROPTEST_CASES` above any number of ours.
const CASES_MAX: u32 = 500;

fn hold<S: Strategy>(strategy: &S, holds: impl Fn(S::Value) -> Result<(), TestCaseError>) {
    let asked = ProptestConfig::default();
    let config = ProptestConfig {
        cases: asked.cases.min(CASES_MAX),
        source_file: Some(file!()),
        ..asked
    };
    TestRunner::new(config)
        .run(strategy, holds)
        .unwrap_or_else(|error| panic!("{error}"));
}

#[test]
fn damaged_files_are_well_formed_to_both_or_to_neither() {
    hold(&damaged(SHIPMENT), |file| {
        check_form(&file);
        Ok(())
    });
}

/// A row's text, its attribute and how many elements of one name it has.
type Row = (String, String, usize);

#[test]
fn made_files_have_the_counts_and_values_of_xmllint() {
    let row = ("[a-z<&>\"' äü]{0,6}", "[a-z<&>\" ]{0,4}", 0..3_usize);
    hold(&prop::collection::vec(row, 1..6), |rows| check_rows(&rows));
}

fn check_rows(rows: &[Row]) -> Result<(), TestCaseError> {
    let escaped = |text: &str| {
        let text = text.replace('&', "&amp;").replace('<', "&lt;");
        text.replace('"', "&quot;").replace("]]>", "]]&gt;")
    };
    let row = |(text, attribute, lots): &Row| {
        format!(
            "<l a=\"{}\"><t>{}</t>{}</l>",
            escaped(attribute),
            escaped(text),
            "<lot>x</lot>".repeat(*lots)
        )
    };
    let file = format!("<r>{}</r>", rows.iter().map(row).collect::<String>());
    let of = "kind = \"xml\"\nrecord = \"/r/l\"\n[fields]\nA = \"@a\"\nT = \"t\"\nLOTS = { path = \"lot\", join = \"\" }";
    let told = told(&format(of), file.as_bytes(), 5).expect("records");
    prop_assert_eq!(told.len(), rows.len());
    let theirs = |xpath: &str| xmllint(file.as_bytes(), Some(xpath));
    prop_assert_eq!(theirs("count(/r/l)"), Ok(rows.len().to_string()));
    for (number, told) in told.iter().enumerate() {
        let of = |field: &str| {
            let xpath = format!("normalize-space(/r/l[{}]/{field})", number + 1);
            theirs(&xpath).expect("a value")
        };
        let cells = told.split_once(": ").expect("a record").1;
        let cells: Vec<&str> = cells.split('·').collect();
        let normal = |text: &str| text.split_whitespace().collect::<Vec<_>>().join(" ");
        prop_assert_eq!((normal(cells[0]), normal(cells[1])), (of("@a"), of("t")));
        prop_assert_eq!(cells[2].trim_matches('-').len(), rows[number].2);
    }
    Ok(())
}
