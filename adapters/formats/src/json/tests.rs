use crate::cases::{check, check_config, check_fault, format, raw_of, told_of};
use crate::{Format, RECORD_BYTES_MAX};

fn json(record: &str, fields: &str) -> Format {
    format(&format!(
        "kind = \"json\"\nrecord = \"{record}\"\n[fields]\n{fields}"
    ))
}

fn lines(fields: &str) -> Format {
    format(&format!("kind = \"json-lines\"\n[fields]\n{fields}"))
}

#[test]
fn cells_are_found_by_pointers_and_by_names() {
    let all = json(
        "",
        "SKU = \"/item/sku\"\nNAME = \"item.name\"\nQTY = \"qty\"\nLOT = \"/lots/1\"\nNO = \"lots.0.no\"\nITEM = \"item\"\nOK = \"ok\"\nODD = \"/a~1b\"",
    );
    let file = "[\n{\"item\": {\"sku\": \"A-1\", \"name\": \"Gr\\u00f6\\u00dfe \\ud83d\\ude00\\n\\\"x\\\"\"}, \"qty\": 12.50, \"lots\": [{\"no\":1e3}, \"L2\"], \"ok\": true, \"a/b\": null},\n {\"qty\":\"\"} ]\n";
    check(
        &all,
        file.as_bytes(),
        &[
            "2: A-1·Größe 😀\n\"x\"·12.50·L2·1e3·{\"sku\": \"A-1\", \"name\": \"Gr\\u00f6\\u00dfe \\ud83d\\ude00\\n\\\"x\\\"\"}·true·-",
            "3: -·-··-·-·-·-·-",
        ],
    );
    assert_eq!(raw_of(&all, file.as_bytes(), 5)[1], b"{\"qty\":\"\"}");
    assert_eq!(
        raw_of(&all, file.as_bytes(), 5)[0],
        &file.as_bytes()[2..file.find(",\n {").expect("the end")]
    );
}

#[test]
fn records_are_found_by_their_path() {
    let of = |record| json(record, "A = \"a\"");
    check(
        &of("/data/items"),
        br#"{"x":[{"a":0}],"data":{"y":1,"items":[{"a":1},{"a":2}],"z":{"items":[{"a":3}]}}}"#,
        &["1: 1", "1: 2"],
    );
    check(
        &of("/orders/*/lines"),
        br#"{"orders":[{"lines":[{"a":1}]},{"lines":null},{},{"lines":[]},{"lines":{"a":2}}]}"#,
        &["1: 1", "1: 2"],
    );
    check(
        &of("/*/l"),
        br#"[{"l":[{"a":1}]},{"l":[{"a":2}]}]"#,
        &["1: 1", "1: 2"],
    );
    check(&of("/*"), br#"[[{"a":1}],[{"a":2}]]"#, &["1: 1", "1: 2"]);
    check(&of(""), br#"{"a":1}"#, &["1: 1"]);
    check(&of(""), b"null", &[]);
    check(&of("/d"), br#"{"\u0064":[{"\u0061":1}]}"#, &["1: 1"]);
    check(
        &of(""),
        b"[7,{\"a\":1},\"x\",null,[]]",
        &[
            "1! 7 is no object",
            "1: 1",
            "1! \"x\" is no object",
            "1! null is no object",
            "1: -",
        ],
    );
    check_fault(
        &of("/data"),
        br#"{"error":"none"}"#,
        &[
            "line 1, column 16: record = \"/data\"",
            "without a member \"data\"",
        ],
    );
    check_fault(
        &of("/data"),
        b"[]",
        &[
            "what stands at \"\" is no object with a member \"data\"",
            "write *",
        ],
    );
    check_fault(
        &of("/data/*/x"),
        br#"{"data":{}}"#,
        &["\"/data\" is no array"],
    );
    check_fault(
        &of("/data"),
        br#"{"data":[],"data":[]}"#,
        &["\"data\" stands twice"],
    );
}

#[test]
fn values_of_objects_around_records_stand_before_them() {
    let of = json(
        "/orders/*/lines",
        "NO = \"../number\"\nNAME = \"../customer.name\"\nSITE = \"../../site\"\nA = \"a\"",
    );
    check(
        &of,
        br#"{"site":"W\u00f6","orders":[{"number":7,"customer":{"id":1,"name":"N"},"lines":[{"a":1},{"a":"\t"}]},{"number":null,"lines":[{"a":3}]}]}"#,
        &["1: 7·N·Wö·1", "1: 7·N·Wö·\t", "1: -·-·Wö·3"],
    );
    check_fault(
        &of,
        br#"{"orders":[{"lines":[{"a":1}],"number":7}]}"#,
        &["line 1, column 40: \"number\"", "behind the records"],
    );
    check(&of, br#"{"orders":[{"lines":[],"number":7}]}"#, &[]);
    check_fault(
        &of,
        br#"{"site":1,"site":2,"orders":[]}"#,
        &["\"site\" stands twice"],
    );
    check_fault(
        &of,
        br#"{"orders":[{"customer":{"name":1,"name":2}}]}"#,
        &["\"name\" stands twice"],
    );
    let long = format!("{{\"site\":\"{}\",\"orders\":[]}}", "x".repeat(65_536));
    assert!(
        told_of(&of, long.as_bytes(), 999).is_err_and(|said| said.contains("longer than 65536"))
    );
}

#[test]
fn a_key_that_stands_twice_makes_a_bad_record() {
    let of = json("", "A = \"a\"");
    check(
        &of,
        br#"[{"a":1,"a":1},{"b":{"x":[{"c":1,"\u0063":2}]}},{"a":2,"b":{"a":1}}]"#,
        &[
            "1! the key \"a\" stands twice",
            "1! the key \"c\" stands twice",
            "1: 2",
        ],
    );
    let many = |last: &str| {
        format!(
            "[{{{}\"{last}\":1}}]",
            (0..40)
                .map(|n| format!("\"k{n}\":{n},"))
                .collect::<String>()
        )
    };
    check(
        &of,
        many("k17").as_bytes(),
        &["1! the key \"k17\" stands twice"],
    );
    check(&of, many("k40").as_bytes(), &["1: -"]);
}

#[test]
fn half_a_character_makes_a_bad_record() {
    let of = json("", "A = \"a\"");
    check(
        &of,
        br#"[{"a":"\ud800"},{"a":"\ud800\u0041"},{"a":"\udc00\ud800"},{"b":"\ud800x"},{"a":"\u0000"},{"\udfff":1}]"#,
        &["1! \\uD800 is half", "1! \\uD800 is half", "1! \\uDC00 is half", "1! \\uD800 is half", "1: \0", "1! \\uDFFF is half"],
    );
}

#[test]
fn what_is_no_json_is_set_aside_with_line_and_column() {
    let of = json("", "A = \"a\"");
    for (file, words) in [
        ("", "line 1, column 1: there is no JSON value"),
        (" \n", "line 2, column 1: there is no JSON value"),
        (
            "[1,]",
            "line 1, column 4: \"]\" stands where a value is expected",
        ),
        (
            "[,1]",
            "column 2: \",\" stands where a value or \"]\" is expected",
        ),
        (
            "[1 2]",
            "column 4: \"2\" stands where a comma or \"]\" is expected",
        ),
        ("[{\"a\":1,}]", "column 9: \"}\" stands where a key"),
        ("[{a:1}]", "column 3: \"a\" stands where a key"),
        ("[{\"a\" 1}]", "\"1\" stands where a colon is expected"),
        ("[{\"a\":1]", "\"]\" stands where a comma or \"}\""),
        (
            "[{\"a\":\n\"ü\u{1}\"}]",
            "line 2, column 3: control character 0x01",
        ),
        ("[\"a\\x\"]", "column 4: \\x is no escape"),
        ("[\"\\u12G4\"]", "four hexadecimal"),
        ("[01]", "column 2: 01 is no JSON value"),
        ("[-]", "- is no JSON value"),
        ("[1.e1]", "1.e1 is no JSON value"),
        ("[tru]", "tru is no JSON value"),
        ("[nulll]", "is no JSON value"),
        (
            "[1]x",
            "\"x\" stands where nothing, as the value is complete, is expected",
        ),
        ("[1", "the JSON ends before what it began"),
        ("[\"a", "ends within a string"),
        ("[\"a\\u12", "ends within a string"),
        ("{\"a\":1}}", "\"}\" stands where nothing"),
    ] {
        check_fault(&of, file.as_bytes(), &[words]);
    }
    check_fault(&of, b"[\"\xFC\"]", &["column 3: byte 0xFC is not UTF-8"]);
    check_fault(&of, b"\xFF\xFE[\0]\0", &["UTF-16"]);
    check_fault(&of, b"[\0]\0", &["UTF-16"]);
    check(&of, b"\xEF\xBB\xBF[{\"a\":1}]", &["1: 1"]);
    check_fault(&of, b"\xEF\xBB\xBF[}", &["column 2"]);
}

/// Scenario 36 of the research note.
#[test]
fn one_bad_line_of_json_lines_takes_no_other_with_it() {
    let of = lines("A = \"a\"\nB = \"b.c\"");
    check(
        &of,
        b"{\"a\":1,\"b\":{\"c\":\"x\"}}\n{\"a\":2,\"b\":\r\n\r\n  \n{\"a\":3} \r\n\"\xFC\"\n{\"a\":1,\"a\":2}\n[]\n7\n{\"a\":4}x\n{\"a\":\"\\u0041\"}",
        &[
            "1: 1·x",
            "2! column 12: the JSON ends before",
            "5: 3·-",
            "6! column 2: byte 0xFC is not UTF-8",
            "7! the key \"a\" stands twice",
            "8: -·-",
            "9! 7 is no object",
            "10! column 8: \"x\" stands where nothing",
            "11: A·-",
        ],
    );
    check(&of, b"\xEF\xBB\xBF{\"a\":1}\n", &["1: 1·-"]);
    check(&of, b"", &[]);
    check_fault(&of, b"{\0\"\0", &["UTF-16"]);
    assert_eq!(
        raw_of(&of, b"{\"a\":1\n{\"a\":\"\\n\"}\r\n", 3),
        [&b"{\"a\":1"[..], b"{\"a\":\"\\n\"}"]
    );
}

#[test]
fn limits_are_told() {
    let of = json("", "A = \"a\"");
    for chunk in [10_000, 100_000, usize::MAX] {
        let long = format!("{{\"a\":\"{}\"}}", "x\\n".repeat(RECORD_BYTES_MAX / 3));
        for (format, file) in [
            (&of, format!("[{long},\n{{\"a\":2}}]")),
            (&lines("A = \"a\""), format!("{long}\n{{\"a\":2}}\n")),
        ] {
            let told = told_of(format, file.as_bytes(), chunk).expect("records");
            assert!(
                told[0].starts_with("1! the ") && told[0].contains(" is 1048583 bytes long"),
                "{told:?}"
            );
            assert_eq!(told[1..], ["2: 2"]);
        }
        let ignored = format!("{{\"big\":{long},\"d\":[{{\"a\":1}}]}}");
        assert_eq!(
            told_of(&json("/d", "A = \"a\""), ignored.as_bytes(), chunk),
            Ok(vec!["1: 1".into()])
        );
    }
    let deep = |depth: usize| format!("{}{}", "[".repeat(depth), "]".repeat(depth));
    check(&json("", "A = \"\""), deep(2).as_bytes(), &["1: []"]);
    assert!(told_of(&of, deep(256).as_bytes(), 1_000).is_ok());
    assert!(
        told_of(&of, deep(100_000).as_bytes(), 1_000)
            .is_err_and(|said| said.contains("more than 256 deep"))
    );
    assert!(
        told_of(&of, format!("[{}]", "1".repeat(5_000)).as_bytes(), 1_000)
            .is_err_and(|said| said.contains("a number is longer"))
    );
    check(
        &of,
        format!("[{{\"{}\":1,\"a\":2}}]", "k".repeat(2_000)).as_bytes(),
        &["1: 2"],
    );
}

#[test]
fn a_configuration_is_checked_in_words() {
    let of = |record: &str, field: &str| {
        format!("kind = \"json\"\nrecord = \"{record}\"\n[fields]\nA = \"{field}\"")
    };
    check_config(&of("/a/*/b", "../x.y"), &[]);
    check_config(
        &of("a/b", "x"),
        &["record: ", "does not begin with a slash"],
    );
    check_config(&of("/a~2", "x"), &["after ~ stands 0"]);
    check_config(
        &of("/a", "../../x"),
        &["fields.A: ", "goes up 2 objects, and there are 1"],
    );
    check_config(&of("/a", ".."), &["fields.A: ", "\"../number\""]);
    check_config(&of("/a", "../a.x"), &["goes down to the records again"]);
    check_config(&of("/a", "x..y"), &["has an empty step"]);
    check_config(
        "kind = \"json-lines\"\nrecord = \"\"\n[fields]\nA = \"a\"",
        &["unknown field `record`"],
    );
    check_config(
        "kind = \"json-lines\"\n[fields]\nA = \"../a\"",
        &["goes up 1 objects"],
    );
    check_config("kind = \"json-lines\"\n[fields]", &["fields: no column"]);
}
