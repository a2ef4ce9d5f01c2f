use super::*;

const FAULT: &[u8] = b"<s:Envelope xmlns:s=\"http://schemas.xmlsoap.org/soap/envelope/\"><s:Body><s:Fault>\
    <faultcode>s:Server</faultcode><faultstring> no such\n item </faultstring></s:Fault></s:Body></s:Envelope>";

fn check(body: &[u8], place: &str, expected: Option<&str>) {
    let mut headers = HeaderMap::new();
    headers.insert("etag", "W/\"7\"".parse().expect("a value"));
    let answer = Answer::new(200, &headers, body);
    let place = Place::parse(place).expect("a place");
    assert_eq!(answer.value(&place).as_deref(), expected, "{place:?}");
}

#[test]
fn a_value_is_found_where_its_place_says() {
    let json = br#"{"error":["UserWarning",["w1",""]],"n":1.50,"no":null,"list":[],"ok":false}"#;
    for (place, expected) in [
        ("/error/0", Some("UserWarning")),
        ("/error/1/0", Some("w1")),
        ("/error/1/1", None),
        ("/error", Some(r#"["UserWarning",["w1",""]]"#)),
        ("/no", None),
        ("/list", None),
        ("/ok", Some("false")),
        ("/absent/0", None),
        ("header:ETag", Some("W/\"7\"")),
        ("header:Location", None),
        ("xpath://faultcode", None),
    ] {
        check(json, place, expected);
    }
    for (place, expected) in [
        ("xpath://faultstring", Some("no such\n item")),
        ("xpath:count(//faultcode)", Some("1")),
        (
            "xpath://*[local-name()='Fault']/faultcode",
            Some("s:Server"),
        ),
        ("xpath:boolean(//nothing)", None),
        ("xpath://nothing", None),
        ("/faultcode", None),
    ] {
        check(FAULT, place, expected);
    }
    check(b"plain", "text", Some("plain"));
    check(b"", "text", None);
    check(b"\xFF<", "xpath://a", None);
    // With a mark before it, or in other letters than it should be.
    check(b"\xEF\xBB\xBF{\"a\":1}", "/a", Some("1"));
    check(b"{\"a\":1,\"b\":\"K\xF6ln\"}", "/a", Some("1"));
}

#[test]
fn of_an_answer_that_ends_too_soon_what_came_is_read() {
    for (body, place, expected) in [
        (r#"{"error":["X","y"],"trace":"at a"#, "/error/0", Some("X")),
        (r#"{"error":["X",{"a":1},"tr"#, "/error/1/a", Some("1")),
        (
            r#"{"error":{"message":"m","in":[[{"x":"#,
            "/error/message",
            Some("m"),
        ),
        // What may be half a number, a name or an id is none.
        (r#"{"error":"it sa"#, "/error", None),
        (r#"["a","b"#, "/1", None),
        (r#"{"id":12"#, "/id", None),
        (r#"{"id":12,"#, "/id", Some("12")),
        (r#"{"i":1,"id"#, "/i", Some("1")),
        (r#"{"ok":tru"#, "/ok", None),
        ("", "/a", None),
        ("[", "", None),
        ("<html>", "/a", None),
        // It did not end too soon: it is no JSON.
        (r#"{"a":1}}"#, "/a", None),
        (r#"{"a":1,]"#, "/a", None),
    ] {
        check(body.as_bytes(), place, expected);
    }
    let long = "it's ".repeat(60);
    for end in ["", "\\", "\\u00", "\\ud83d\\ude0"] {
        let body = format!("{{\"error\":\"{long}{end}");
        check(body.as_bytes(), "/error", Some(&long));
    }
    let half = [format!("{{\"error\":\"{long}").as_bytes(), b"\xc3"].concat();
    check(&half, "/error", Some(&long));
    let half = format!("<a><b>{long} &am");
    check(half.as_bytes(), "xpath://b", Some(long.trim_end()));
    let deep = "[".repeat(100_000);
    check(deep.as_bytes(), "/0", None);
    for (body, place, expected) in [
        ("<a><b>x</b><c y='>'>z", "xpath://b", Some("x")),
        ("<a><b>x</b><c y='>", "xpath://b", Some("x")),
        ("<a><b>x", "xpath://b", None),
        ("<a><!-- <b> --><b/><c>x</", "xpath://c", Some("x")),
        (
            "<a><![CDATA[<b>]]><b>x</b><![CDATA[ y",
            "xpath://b",
            Some("x"),
        ),
        (
            "<?xml version='1.0'?><a><b>x</b>",
            "xpath:count(//b)",
            Some("1"),
        ),
        ("<a></b>", "xpath://a", None),
        ("a < b", "xpath://a", None),
        ("", "xpath://a", None),
    ] {
        check(body.as_bytes(), place, expected);
    }
}

#[test]
fn wherever_an_answer_ends_what_came_of_it_can_be_read() {
    let headers = HeaderMap::new();
    let json = r#"{"a":[1,{"b":"\"\\ \ud83d\ude00ü"},-2.5e3,true,null],"c":{"d":"x"}}"#;
    for end in 1..json.len() {
        let answer = Answer::new(200, &headers, &json.as_bytes()[..end]);
        let begun = answer
            .begun()
            .unwrap_or_else(|| panic!("{}", &answer.letters()));
        assert!(begun.is_object() && answer.json().is_none(), "{end}");
    }
    let xml = "<?xml version=\"1.0\"?><!-- c --><a x=\"1>2\"><b>t &amp; ü</b><![CDATA[<]]><c/></a>";
    let first = xml.find("<b>").expect("it is there");
    for end in first..=xml.len() {
        let answer = Answer::new(200, &headers, &xml.as_bytes()[..end]);
        let read = answer
            .xml()
            .unwrap_or_else(|| panic!("{}", &answer.letters()));
        assert_eq!(read.is_begun, end < xml.len(), "{end}");
    }
}

/// An XPath's evaluation goes as deep as the document does, on the stack.
#[test]
fn an_answer_deeper_than_any_that_means_something_is_not_searched() {
    let deep = |levels: usize| "<a>".repeat(levels) + "<b>x</b>" + &"</a>".repeat(levels);
    for (levels, expected) in [(100, Some("x")), (9_000, None)] {
        let body = deep(levels);
        for place in ["xpath://b", "xpath:string(/*)"] {
            check(body.as_bytes(), place, expected);
            check(&body.as_bytes()[..body.len() - 3], place, expected);
        }
    }
}

/// Of a place that costs as much as it can, asked eight times as for SOAP's faults.
#[test]
fn an_answer_is_searched_in_time_whatever_it_is_made_of() {
    let attributes: String = (0..6_000).map(|n| format!(" a{n}='1'")).collect();
    let few: String = (0..60).map(|n| format!(" a{n}='1'")).collect();
    for (body, expected) in [
        (
            format!("<a><b>x</b>{}</a>", "<c/>".repeat(400_000)),
            Some("x"),
        ),
        (format!("<a><b>x</b>{}</a>", "<c>".repeat(400_000)), None),
        (
            format!("<a><b>x</b>{}</a>", "y".repeat(4_000_000)),
            Some("x"),
        ),
        (format!("<a><b>x</b><c{attributes}/></a>"), None),
        (
            format!("<a><b>x</b>{}</a>", format!("<c{few}/>").repeat(4_000)),
            Some("x"),
        ),
        (
            format!("<a><b>x</b>{}</a>", "<!-- -->".repeat(400_000)),
            Some("x"),
        ),
        (
            format!("<a><b>x</b>{}</a>", "&amp;".repeat(400_000)),
            Some("x"),
        ),
    ] {
        let headers = HeaderMap::new();
        let answer = Answer::new(200, &headers, body.as_bytes());
        let began = std::time::Instant::now();
        for _ in 0..8 {
            let place = Place::XPath("//*[local-name()='b']".into());
            assert_eq!(answer.value(&place).as_deref(), expected, "{}", &body[..40]);
        }
        // Unbounded, it is seconds in this build.
        assert!(
            began.elapsed() < Duration::from_millis(500),
            "{:?} {}",
            began.elapsed(),
            &body[..40]
        );
    }
}

#[test]
fn what_is_no_place_is_refused() {
    for place in [
        "error",
        "header:",
        "header:a b",
        "xpath:",
        "xpath://[",
        "$.error",
    ] {
        assert!(Place::parse(place).is_err(), "{place}");
    }
}

#[test]
fn the_reason_is_one_line_of_the_targets_words() {
    let headers = HeaderMap::new();
    let body = b"{\"error\":\n\t\"unknown  item\"}\0".to_vec();
    let answer = Answer::new(422, &headers, &body);
    assert_eq!(
        answer.reason(None),
        "the target answered 422 Unprocessable Entity: {\"error\": \"unknown item\"}"
    );
    assert_eq!(
        answer.reason(Some("no\nsuch")),
        "the target answered 422 Unprocessable Entity: no such"
    );
    let long = "ä".repeat(30_000);
    let answer = Answer::new(422, &headers, long.as_bytes());
    assert!(answer.reason(None).len() < REASON_BYTES_MAX + 100);
    assert!(answer.reason(Some(&long)).len() < REASON_BYTES_MAX + 100);
}
