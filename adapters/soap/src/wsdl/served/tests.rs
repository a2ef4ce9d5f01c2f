use super::super::samples::{WMS, beside};
use super::*;

const ADDRESS: &str = "https://dray.example:8443/wms?site='a'&b=\"<é>\"";
const ESCAPED: &str =
    "https://dray.example:8443/wms?site=&apos;a&apos;&amp;b=&quot;&lt;é&gt;&quot;";

fn wsdl(inside: &str) -> String {
    format!(
        "<definitions xmlns='http://schemas.xmlsoap.org/wsdl/' xmlns:x='http://www.w3.org/2001/XMLSchema' xmlns:s='http://schemas.xmlsoap.org/wsdl/soap/' xmlns:s12='http://schemas.xmlsoap.org/wsdl/soap12/' xmlns:h='http://schemas.xmlsoap.org/wsdl/http/'>{inside}</definitions>"
    )
}

fn text(served: &Served) -> &str {
    std::str::from_utf8(&served.bytes).expect("UTF-8")
}

/// What one element becomes, and what is linked.
fn check(path: &str, inside: &str, expected: &str, links: &[&str]) {
    let served = served(wsdl(inside).as_bytes(), path, ADDRESS, &|path| {
        format!("L:{path}")
    })
    .expect(inside);
    assert_eq!(text(&served), wsdl(expected), "{inside}");
    assert_eq!(served.links, links, "{inside}");
}

#[test]
fn addresses_and_locations_are_changed_and_nothing_else() {
    let address = |element: &str| format!("<{element} location=\"{ESCAPED}\"/>");
    for (inside, expected) in [
        ("<s:address location=\"http://old\"/>", address("s:address")),
        ("<s12:address location=\"http://old\"/>", address("s12:address")),
        ("<s:address  x:location='keep'\n location = 'http://old?a=\"1\"' b='>'></s:address>",
            format!("<s:address  x:location='keep'\n location = '{ESCAPED}' b='>'></s:address>")),
        ("<s:address/>", "<s:address/>".into()),
        ("<h:address location='http://old'/>", "<h:address location='http://old'/>".into()),
        ("<address location='http://old'/>", "<address location='http://old'/>".into()),
        ("<import location='http://wms/a.wsdl'/>", "<import location='http://wms/a.wsdl'/>".into()),
        ("<x:import namespace='urn:a'/>", "<x:import namespace='urn:a'/>".into()),
        ("<x:import schemaLocation=''/>", "<x:import schemaLocation=''/>".into()),
        ("<!-- <s:address location='a'/> --><?p <s:address ?><![CDATA[<s:address>]]>&#228;&amp;\r\n",
            "<!-- <s:address location='a'/> --><?p <s:address ?><![CDATA[<s:address>]]>&#228;&amp;\r\n".into()),
    ] {
        check("", inside, &expected, &[]);
    }
}

#[test]
fn documents_beside_it_are_linked_by_their_paths() {
    for (path, inside, expected, links) in [
        (
            "",
            "<import location='./a.wsdl' namespace='urn:a'/>",
            "<import location='L:a.wsdl' namespace='urn:a'/>",
            &["a.wsdl"][..],
        ),
        (
            "",
            "<x:import schemaLocation='x/a.xsd'/><x:include schemaLocation='x/a.xsd'/>",
            "<x:import schemaLocation='L:x/a.xsd'/><x:include schemaLocation='L:x/a.xsd'/>",
            &["x/a.xsd"],
        ),
        (
            "x/a.xsd",
            "<x:redefine schemaLocation=\" ../b.xsd \"/>",
            "<x:redefine schemaLocation=\"L:b.xsd\"/>",
            &["b.xsd"],
        ),
    ] {
        check(path, inside, expected, links);
    }
}

#[test]
fn what_can_not_be_served_is_refused() {
    let many: String = (0..101)
        .map(|number| format!("<import location='{number}.wsdl'/>"))
        .collect();
    let long = " ".repeat(DOCUMENT_BYTES_MAX + 1);
    for (path, text, expected) in [
        (
            "",
            wsdl("<import location='../a.wsdl'/>"),
            "climbs out of the WSDL's folder",
        ),
        (
            "b.xsd",
            wsdl("<x:include schemaLocation='/a.xsd'/>"),
            "b.xsd: line 1: the location \"/a.xsd\"",
        ),
        ("", "<!DOCTYPE d><d/>".into(), "a DOCTYPE stands here"),
        ("", "<d>".into(), "it is cut"),
        ("", long, "longer than 4194304 bytes"),
        ("", wsdl(&many), "it names more than 100 documents"),
    ] {
        let why = served(text.as_bytes(), path, ADDRESS, &str::to_owned).expect_err(expected);
        assert!(why.contains(expected), "{why}");
    }
}

#[test]
fn a_document_in_another_encoding_becomes_utf_8_and_says_so() {
    let body = "<d a='ä'>ö</d>";
    let latin = |text: &str| text.chars().map(|letter| letter as u8).collect::<Vec<u8>>();
    let wide = |text: &str| {
        "\u{FEFF}"
            .encode_utf16()
            .chain(text.encode_utf16())
            .flat_map(u16::to_le_bytes)
            .collect::<Vec<u8>>()
    };
    let utf8 = |text: &str| text.as_bytes().to_vec();
    for (declaration, bytes, expected) in [
        (
            "<?xml version='1.0' encoding='ISO-8859-1'?>",
            &latin as &dyn Fn(&str) -> Vec<u8>,
            "<?xml version='1.0' encoding='UTF-8'?>",
        ),
        (
            "<?xml version=\"1.0\" encoding = \"utf-16\" standalone='yes' ?>",
            &wide,
            "<?xml version=\"1.0\" encoding = \"UTF-8\" standalone='yes' ?>",
        ),
        ("<?xml version='1.0'?>", &wide, "<?xml version='1.0'?>"),
        (
            "<?xml version='1.0' encoding='utf-8'?>",
            &utf8,
            "<?xml version='1.0' encoding='utf-8'?>",
        ),
        ("", &wide, ""),
        (
            "\u{FEFF}<?xml version='1.0'?>",
            &utf8,
            "<?xml version='1.0'?>",
        ),
    ] {
        let served = served(
            &bytes(&format!("{declaration}\n{body}")),
            "",
            ADDRESS,
            &str::to_owned,
        )
        .expect(declaration);
        assert_eq!(text(&served), format!("{expected}\n{body}"));
    }
}

#[test]
fn all_that_is_linked_is_published_and_read_again_as_the_same_description() {
    let wsdl = WMS.replace(
        "<d:types>",
        "<d:import namespace=\"urn:o\" location=\"more/o.xsd\"/><d:types>",
    );
    let o = "<schema xmlns='http://www.w3.org/2001/XMLSchema'><include schemaLocation='our%20p.xsd'/></schema>";
    let p = "<schema xmlns='http://www.w3.org/2001/XMLSchema'><include schemaLocation='o.xsd'/></schema>";
    let documents = [("more/o.xsd", o), ("more/our p.xsd", p)];
    let load = |path: &str| {
        let found = documents.iter().find(|(known, _)| *known == path);
        found
            .map(|(_, text)| text.as_bytes().to_vec())
            .ok_or_else(|| "no such file".to_owned())
    };
    let published = publish(wsdl.as_bytes(), &load, "http://h/wms").expect("all are there");
    let paths: Vec<&str> = published.iter().map(|(path, _)| path.as_str()).collect();
    assert_eq!(paths, ["", "more/o.xsd", "more/our p.xsd"]);
    let text = |number: usize| std::str::from_utf8(&published[number].1).expect("UTF-8");
    assert!(
        text(0).contains("location=\"http://h/wms?xsd=more/o.xsd\""),
        "{}",
        text(0)
    );
    assert_eq!(
        text(0).matches("location=\"http://h/wms\"").count()
            + text(0).matches("location='http://h/wms'").count(),
        2
    );
    assert!(
        text(1).contains("schemaLocation='http://h/wms?xsd=more/our%20p.xsd'"),
        "{}",
        text(1)
    );
    assert!(
        text(2).contains("schemaLocation='http://h/wms?xsd=more/o.xsd'"),
        "{}",
        text(2)
    );

    let before = beside(&wsdl, &documents).expect("a description");
    let changed = text(0).replace("http://h/wms?xsd=more/o.xsd", "more/o.xsd");
    let after = beside(&changed, &documents).expect("a description");
    assert_eq!(after.services.len(), before.services.len());

    let why = publish(wsdl.as_bytes(), &|_| Err("gone".into()), "http://h")
        .expect_err("nothing beside it");
    assert!(why.contains("more/o.xsd can't be read: gone"), "{why}");
    let endless = |path: &str| {
        let number: usize = path.trim_end_matches(".xsd").parse().unwrap_or(0);
        Ok(format!("<schema xmlns='http://www.w3.org/2001/XMLSchema'><include schemaLocation='/{}.xsd'/></schema>", number + 1).replace('/', "").into_bytes())
    };
    assert!(publish(wsdl.as_bytes(), &endless, "http://h").is_err());
}
