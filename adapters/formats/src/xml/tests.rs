use crate::cases::{check, check_config, check_fault, format, raw_of, told_of};
use crate::{Format, RECORD_BYTES_MAX};

const SHIPMENTS: &str = r#"<?xml version="1.0" encoding="UTF-8"?>
<!-- of the night -->
<Shipments>
  <Shipment id="7"><ShipNo> SHP-1 </ShipNo>
    <Line no="1"><Item sku="A&amp;1"/><Qty>5.00</Qty><Lot>L1</Lot><Lot>L2</Lot></Line>
    <Line no='2'>
      <Qty/>
      <Item sku=""><Name>Schraube &lt;M8&gt;</Name></Item>
    </Line>
  </Shipment>
  <Shipment id="8"><Line no="1"><Qty><![CDATA[<6>]]></Qty></Line></Shipment>
</Shipments>
"#;

fn xml(record: &str, fields: &str) -> Format {
    format(&format!("kind = \"xml\"\nrecord = \"{record}\"\n{fields}"))
}

fn lines(fields: &str) -> Format {
    xml("/Shipments/Shipment/Line", &format!("[fields]\n{fields}"))
}

#[test]
fn cells_are_found_by_their_paths() {
    let all = lines(
        "NO = \"@no\"\nID = \"../@id\"\nSHIP = \"../ShipNo\"\nSKU = \"Item/@sku\"\nQTY = \"Qty\"\nLOT = \"Lot\"\nLOT2 = \"Lot[2]\"\nNAME = \"Item/Name\"\nLOTS = { path = \"Lot\", join = \",\" }",
    );
    check(
        &all,
        SHIPMENTS.as_bytes(),
        &[
            "5: 1·7·SHP-1·A&1·5.00·L1·L2·-·L1,L2",
            "6: 2·7·SHP-1···-·-·Schraube <M8>·-",
            "11: 1·8·-·-·<6>·-·-·-·-",
        ],
    );
    check(
        &xml(
            "//Line",
            "[fields]\nUP = \"../../Shipment/@id\"\nNO = \"@no\"",
        ),
        b"<a><Shipment id='1'/><b><Line no='2'/></b><Line no='3'/></a>",
        &["1: 1·2", "1: -·3"],
    );
}

#[test]
fn records_are_found_by_their_path() {
    let a = |record: &str| xml(record, "[fields]\nA = \".\"");
    check(
        &a("/r/a"),
        b"<r><a>1</a><b><a>2</a></b><a>3<a>4</a></a></r>",
        &["1: 1", "1: 34"],
    );
    check(
        &a("//a"),
        b"<r><a>1</a><b>\n<a>2</a></b><a>3<a>4</a></a></r>",
        &["1: 1", "2: 2", "2: 34"],
    );
    check(&a("//b/a"), b"<r><a>1</a><b><a>2</a></b></r>", &["1: 2"]);
    check(&a("/*/*/a"), b"<r><a>1</a><b><a>2</a></b></r>", &["1: 2"]);
    check(&a("/a"), b"<a>\n 1 </a>", &["1: 1"]);
    check(&a("/r/a"), b"<r/>", &[]);
    check_fault(
        &a("/r/a"),
        b"<x:s xmlns:x='y'><a/></x:s>",
        &["line 1: the root element is s and record begins with /r"],
    );
}

#[test]
fn numbers_count_those_of_one_name_below_one_element() {
    let fields = xml(
        "/r/a",
        "[fields]\nFIRST = \"P[2]/N\"\nSECOND = \"P/N[2]\"\nTHIRD = \"P[1]/N[1]/@x\"",
    );
    check(
        &fields,
        b"<r><a><P><N x='1'>p</N></P><P><N>q</N><N x='2'>r</N></P></a><a><P/></a></r>",
        &["1: q·r·1", "1: -·-·-"],
    );
    check(
        &xml(
            "/r/a",
            "[fields]\nREF = \"../Ref[2]\"\nALL = { path = \"../Ref\", join = \" \" }",
        ),
        b"<r><Ref>1</Ref><Ref> 2 </Ref><a/></r>",
        &["1: 2·1 2"],
    );
}

#[test]
fn names_are_those_of_any_namespace_or_of_the_one_that_is_said() {
    let file = b"<r xmlns='urn:a' xmlns:b='urn:b'><l b:k='1' k='2'><q>3</q><b:q>4</b:q></l><b:l><q xmlns='urn:b'>5</q></b:l></r>";
    check(
        &xml("/r/l", "[fields]\nK = \"@k\"\nQ = \"q\""),
        file,
        &["1: 1·3", "1: -·5"],
    );
    let with = "namespaces = { a = \"urn:a\", x = \"urn:b\" }\n[fields]\n";
    check(
        &xml(
            "/a:r/a:l",
            &format!("{with}K = \"@x:k\"\nQ = \"x:q\"\nANY = \"q\""),
        ),
        file,
        &["1: 1·4·3"],
    );
    check(
        &xml(
            "//x:l",
            &format!("{with}Q = \"x:q\"\nA = \"a:q\"\nALL = \"x:*\""),
        ),
        file,
        &["1: 5·-·5"],
    );
    check_fault(
        &xml("/x:r", &format!("{with}A = \".\"")),
        file,
        &["the root element is r, or of another namespace,"],
    );
}

#[test]
fn text_is_what_xml_says_it_is() {
    let a = xml("/r/a", "[fields]\nA = \".\"\nB = \"@b\"");
    check(
        &a,
        b"<r><a b='x&#228;&#xA;\ty\r\nz'>a\r\nb\rc<!-- - -->&#x41;<?p x?>d]]e</a></r>",
        &["1: a\nb\ncAd]]e·xä\n y z"],
    );
    check(&a, b"<r><a><![CDATA[]]]]><![CDATA[> a & b ]]><![CDATA[]]></a><a><![CDATA[\r\n]]>\r<b/>\n</a></r>", &["1: ]]> a & b·-", "1: ·-"]);
    check(
        &a,
        "<r><a>größe €😀</a></r>".as_bytes(),
        &["1: größe €😀·-"],
    );
    check(
        &xml("/r/a", "trim = false\n[fields]\nA = \".\"\nB = \"@b\""),
        b"<r><a b=' x '> y\r\n</a></r>",
        &["1:  y\n· x "],
    );
    let nil = b"<r xmlns:i='http://www.w3.org/2001/XMLSchema-instance'><a><q i:nil='true'/></a><a><q nil='true'/></a></r>";
    check(&xml("/r/a", "[fields]\nQ = \"q\""), nil, &["1: -", "1: "]);
}

#[test]
fn a_reference_that_nothing_explains_makes_a_bad_record() {
    let a = xml("/r/a", "[fields]\nA = \".\"");
    check(
        &a,
        b"<r><a>1</a>\n<a>x&nbsp;y</a><a b='&uuml;'/><a>2</a></r>",
        &["1: 1", "2! &nbsp; stands for nothing", "2! &uuml;", "2: 2"],
    );
    assert_eq!(
        raw_of(&a, b"<r><a>x&nbsp;y</a></r>", 3),
        [b"<a>x&nbsp;y</a>"]
    );
    check_fault(
        &a,
        b"<r>\n&nbsp;<a/></r>",
        &["line 2: &nbsp; stands for nothing"],
    );
}

#[test]
fn what_is_not_well_formed_is_set_aside_with_its_line() {
    let a = xml("/r/a", "[fields]\nA = \".\"");
    for (file, words) in [
        ("", "holds no element"),
        ("\n\n", "line 3: the file holds no element"),
        ("<r>\n<a>", "line 2: the file ends, and <a> is not ended"),
        ("<r><a></r>", "</r> stands where </a> is expected"),
        ("<r/></r>", "</r> ends an element that did not begin"),
        ("<r/><r/>", "stands behind the root element"),
        ("<r/>x", "outside of the root element"),
        ("x<r/>", "outside of the root element"),
        ("<r/>&amp;", "outside of the root element"),
        ("<r><a b></a></r>", "attribute b has no value"),
        ("<r><a b=1></a></r>", "attribute b is not in quotes"),
        ("<r><a b='1'c='2'/></r>", "white space is missing"),
        ("<r><a b='1' b='2'/></r>", "attribute b stands twice"),
        ("<r><a b='<'/></r>", "it is written &lt;"),
        ("<r><a b='&'/></r>", "it is written &amp;"),
        ("<r>a & b</r>", "it is written &amp;"),
        ("<r>a &amp b</r>", "it is written &amp;"),
        ("<r>&#0;</r>", "&#0; stands for no character"),
        ("<r>a < b</r>", "it is written &lt;"),
        ("<r>]]></r>", "]]&gt;"),
        ("<r><!-- a -- b --></r>", "within a comment"),
        ("<r><!-- a", "the file ends within a comment"),
        ("<r><![CDATA[ a ]]", "ends within a CDATA section"),
        ("<r><?a", "ends within a tag"),
        ("<r><?a ", "ends within an instruction"),
        ("<r><?1 ?></r>", "no name of an instruction"),
        ("<r><a", "ends within a tag"),
        ("<r>&am", "an & stands"),
        ("<r><!ELEMENT a></r>", "neither a comment nor"),
        (
            "\n<?xml version='1.0'?><r/>",
            "line 2: an XML declaration stands where",
        ),
        (
            "<?xml version='1.0'?><r/>\n<?xml version='1.0'?><r/>",
            "line 2: an XML declaration stands where",
        ),
        ("<?xml encoding='UTF-8'?><r/>", "XML declaration is broken"),
        ("<r><1/></r>", "begins no tag"),
        ("<r>\n\u{1}</r>", "line 2: character U+0001"),
        ("<r>\u{FFFF}</r>", "character U+FFFF"),
    ] {
        check_fault(&a, file.as_bytes(), &[words]);
    }
    check_fault(
        &a,
        b"<r>\n<a>\xFC</a></r>",
        &["line 2: byte 0xFC is not UTF-8", "windows-1252"],
    );
    check_fault(&a, "<r>ü".as_bytes()[..4].as_ref(), &["not UTF-8"]);
}

#[test]
fn a_doctype_is_refused_before_any_element_and_nothing_is_fetched() {
    let a = xml("/r/a", "[fields]\nA = \".\"");
    for file in [
        "<!DOCTYPE r SYSTEM 'file:///etc/passwd'><r/>",
        "<?xml version='1.0'?>\n<!DOCTYPE r [<!ENTITY a 'aaaa'><!ENTITY b '&a;&a;'>]><r><a>&b;</a></r>",
        "<!DOCTYPE",
    ] {
        check_fault(&a, file.as_bytes(), &["a DOCTYPE stands here"]);
    }
    check(&a, b"<r xmlns:x='http://www.w3.org/2001/XMLSchema-instance' x:schemaLocation='urn:a http://a.invalid/a.xsd'><a>1</a></r>", &["1: 1"]);
}

#[test]
fn a_value_that_stands_behind_records_that_need_it_is_told() {
    let ship = lines("SHIP = \"../ShipNo\"");
    check_fault(
        &ship,
        b"<Shipments><Shipment><Line/>\n<ShipNo>1</ShipNo></Shipment></Shipments>",
        &["line 2: \"../ShipNo\", column SHIP, stands behind records"],
    );
    check(&ship, b"<Shipments><Shipment><ShipNo>1</ShipNo><Line/><ShipNo>2</ShipNo></Shipment><Shipment><ShipNo>3</ShipNo><Line/></Shipment></Shipments>", &["1: 1", "1: 3"]);
    check_fault(
        &lines("ALL = { path = \"../ShipNo\", join = \",\" }"),
        b"<Shipments><Shipment><ShipNo>1</ShipNo><Line/><ShipNo>2</ShipNo></Shipment></Shipments>",
        &["stands behind"],
    );
    check_fault(
        &lines("SHIP = \"../../Shipment\""),
        b"<Shipments><Shipment><Line/></Shipment></Shipments>",
        &["stands behind"],
    );
}

fn in_encoding(text: &str, name: &str) -> Vec<u8> {
    let units = |big| {
        text.encode_utf16().flat_map(move |unit: u16| {
            if big {
                unit.to_be_bytes()
            } else {
                unit.to_le_bytes()
            }
        })
    };
    match name {
        "utf-16le" => units(false).collect(),
        "utf-16be" => units(true).collect(),
        "windows-1252" => encoding_rs::WINDOWS_1252.encode(text).0.into_owned(),
        _ => text.chars().map(|letter| letter as u8).collect(),
    }
}

#[test]
fn text_is_read_in_the_encoding_that_the_file_says() {
    let a = xml("/r/a", "[fields]\nA = \".\"\nB = \"@b\"");
    let said = |name: &str| {
        format!(
            "<?xml version=\"1.0\" encoding=\"{name}\"?>\r\n<r>\r\n<a b=\"é\">größe</a>\r\n<a>&bad;ü</a></r>\r\n"
        )
    };
    let expected = ["3: größe·é", "4! &bad;"];
    let record = "<a b=\"é\">größe</a>";
    for (name, declared) in [
        ("iso-8859-1", "ISO-8859-1"),
        ("windows-1252", "windows-1252"),
        ("utf-16le", "UTF-16"),
        ("utf-16be", "UTF-16"),
    ] {
        let bytes = in_encoding(&said(declared), name);
        check(&a, &bytes, &expected);
        for chunk in [1, 7, usize::MAX] {
            assert_eq!(
                raw_of(&a, &bytes, chunk),
                [
                    in_encoding(record, name),
                    in_encoding("<a>&bad;ü</a>", name)
                ]
            );
        }
        if name.starts_with("utf-16") {
            check(
                &a,
                &in_encoding(&format!("\u{feff}{}", said(declared)), name),
                &expected,
            );
        }
    }
    check(&a, said("utf-8").as_bytes(), &expected);
    check(
        &a,
        format!("\u{feff}{}", said("UTF-8")).as_bytes(),
        &expected,
    );
    check(
        &a,
        in_encoding(
            "<?xml version='1.0' encoding='windows-1252'?><r><a>€</a></r>",
            "windows-1252",
        )
        .as_slice(),
        &["1: €·-"],
    );
    check_fault(
        &a,
        said("utf-16").as_bytes(),
        &[
            "encoding=\"utf-16\"",
            "single bytes",
            "encoding = \"utf-8\"",
        ],
    );
    check_fault(
        &a,
        said("shift_jis").as_bytes(),
        &["encoding=\"shift_jis\", which is not read"],
    );
    check_fault(
        &a,
        format!("\u{feff}{}", said("iso-8859-1")).as_bytes(),
        &["byte order mark of UTF-8"],
    );
    check(
        &xml(
            "/r/a",
            "encoding = \"utf-8\"\n[fields]\nA = \".\"\nB = \"@b\"",
        ),
        said("utf-16").as_bytes(),
        &expected,
    );
    check(
        &xml("/r/a", "encoding = \"iso-8859-1\"\n[fields]\nA = \".\""),
        b"<r><a>\xFC</a></r>",
        &["1: ü"],
    );
    let cut = in_encoding("\u{feff}<r>\n<a>1</a></r>", "utf-16le");
    check_fault(
        &a,
        &cut[..cut.len() - 1],
        &["line 2: what follows is not UTF-16"],
    );
    check_fault(
        &a,
        b"<?xml version='1.0' encoding='cp1252'?><r>\n\x81</r>",
        &["line 2: byte 0x81 means nothing in windows-1252"],
    );
}

#[test]
fn a_value_that_is_longer_in_utf_8_than_in_the_file_is_whole() {
    let a = xml("/r/a", "[fields]\nA = \".\"\nB = \"@b\"");
    let mut file = b"<?xml version='1.0' encoding='windows-1252'?>\n<r><a b='1'>".to_vec();
    file.extend(std::iter::repeat_n(0x80, 400_000));
    file.extend(b"</a></r>");
    for chunk in [10_000, usize::MAX] {
        let told = told_of(&a, &file, chunk).expect("a record");
        let cut: Vec<String> = told
            .iter()
            .map(|told| told.chars().take(99).collect())
            .collect();
        assert!(told == [format!("2: {}·1", "€".repeat(400_000))], "{cut:?}");
    }
}

#[test]
fn values_that_many_paths_come_to_are_told_where_they_are_too_long() {
    let paths = ["a/@b", "a/@n:b", "*/@b", "*/@n:b", "n:a/@b", "n:a/@n:b"];
    let fields = |count: usize| -> String {
        let fields = paths[..count].iter().enumerate();
        fields
            .map(|(n, path)| format!("C{n} = \"{path}\"\n"))
            .collect()
    };
    let file = |bytes: usize| {
        format!(
            "<r xmlns:n='u'><n:l><n:a n:b='{}'/></n:l></r>",
            "x".repeat(bytes)
        )
    };
    let told = |count: usize, bytes: usize| {
        let toml = format!("namespaces = {{ n = \"u\" }}\n[fields]\n{}", fields(count));
        told_of(&xml("/r/l", &toml), file(bytes).as_bytes(), 100_000).expect("a record")
    };
    let value = "x".repeat(100_000);
    assert!(told(6, 100_000) == [format!("1: {}", [value.as_str(); 6].join("·"))]);
    assert!(told(6, 700_000)[0].starts_with("1! its attributes are longer than"));
}

#[test]
fn limits_are_told() {
    let a = xml("/r/a", "[fields]\nA = \".\"\nB = \"@b\"");
    let told = |file: String, chunk| told_of(&a, file.as_bytes(), chunk);
    for chunk in [10_000, 100_000, usize::MAX] {
        let long = format!(
            "<r><a b='1'>{}</a>\n<a>2</a></r>",
            "x".repeat(RECORD_BYTES_MAX)
        );
        let said = told(long, chunk).expect("records");
        assert!(
            said[0].starts_with("1! the record is 1048589 bytes long"),
            "{said:?}"
        );
        assert_eq!(said[1..], ["2: 2·-"]);
        let long = format!(
            "<r>{}<a>2</a><![CDATA[{}]]></r>",
            " \r".repeat(RECORD_BYTES_MAX),
            "\r".repeat(3 * RECORD_BYTES_MAX)
        );
        assert_eq!(told(long, chunk), Ok(vec!["1: 2·-".into()]));
        let long = format!("<r><a b='{}'/></r>", "x".repeat(RECORD_BYTES_MAX));
        assert!(told(long, chunk).is_err_and(|said| said.contains("a tag is longer than")));
    }
    let deep = |depth: usize| format!("<r>{}{}</r>", "<a>".repeat(depth), "</a>".repeat(depth));
    check(&a, deep(255).as_bytes(), &["1: ·-"]);
    check_fault(&a, deep(256).as_bytes(), &["more than 256 deep"]);
    assert!(told(deep(100_000), 1_000).is_err());
    let wide = |count: usize| {
        format!(
            "<r><a {}/></r>",
            (0..count).map(|n| format!("b{n}='' ")).collect::<String>()
        )
    };
    assert!(told(wide(256), 1_000).is_ok());
    assert!(told(wide(257), 1_000).is_err_and(|said| said.contains("more than 256 attributes")));
    assert!(
        told(format!("<r><{}/></r>", "x".repeat(1_001)), 1_000)
            .is_err_and(|said| said.contains("a name is longer"))
    );
    let around = format!(
        "<Shipments><Shipment><ShipNo>{}</ShipNo><Line/></Shipment></Shipments>",
        "x".repeat(65_537)
    );
    assert!(
        told_of(&lines("S = \"../ShipNo\""), around.as_bytes(), 1_000)
            .is_err_and(|said| said.contains("around the records"))
    );
}

#[test]
fn a_configuration_is_checked_in_words() {
    let record = "kind = \"xml\"\nrecord = \"/a/b\"\n";
    check_config(
        &format!("{record}[fields]\nA = \"x/@y\"\nB = {{ path = \"../z\", join = \",\" }}"),
        &[],
    );
    check_config(
        "kind = \"xml\"\n[fields]\nA = \"a\"",
        &["missing field `record`"],
    );
    check_config(
        "kind = \"xml\"\nrecord = \"a/b\"\n[fields]\nA = \"a\"",
        &["record: ", "does not begin with a slash"],
    );
    check_config(
        "kind = \"xml\"\nrecord = \"/a//b\"\n[fields]\nA = \"a\"",
        &["record: "],
    );
    check_config(
        "kind = \"xml\"\nrecord = \"/p:a\"\n[fields]\nA = \"a\"",
        &[
            "the prefix p is not explained",
            "namespaces = { p =",
            "; none is explained yet",
        ],
    );
    check_config(
        "kind = \"xml\"\nrecord = \"/p:a\"\nnamespaces = { v = \"urn:v\", w = \"urn:w\" }\n[fields]\nA = \"a\"",
        &["the prefix p is not explained", "; explained are v, w"],
    );
    check_config(&format!("{record}[fields]"), &["fields: no column"]);
    check_config(
        &format!("{record}[fields]\nA = \"../../x\""),
        &["fields.A: ", "beyond the root"],
    );
    check_config(
        &format!("{record}[fields]\nA = \"x//y\""),
        &["fields.A: ", "\"//\" is possible in record only"],
    );
    check_config(
        &format!("{record}[fields]\nA = \"x/../y\""),
        &["can only stand at the beginning"],
    );
    check_config(
        &format!("{record}[fields]\nA = \"@x/y\""),
        &["goes on after an attribute"],
    );
    check_config(&format!("{record}[fields]\nA = \"..\""), &["\"../Number\""]);
    check_config(
        &format!("{record}[fields]\nA = \"x[0]\""),
        &["[0] is no number from 1"],
    );
    check_config(
        &format!("{record}[fields]\nA = {{ path = \"x\", jion = \",\" }}"),
        &["jion"],
    );
    check_config(&format!("{record}[fields]\nA = 7"), &["a path such as"]);
    check_config(
        &format!("{record}fileds = 1\n[fields]\nA = \"x\""),
        &["unknown field `fileds`"],
    );
}
