use super::*;

fn mask(settings: &[&str]) -> Mask {
    let settings: Vec<String> = settings.iter().map(|&one| one.to_owned()).collect();
    Mask::new(&settings).expect("good settings")
}

#[test]
fn names_are_hidden_wherever_they_stand_and_pointers_where_they_point() {
    let mask = mask(&["iban", "/data/line/price"]);
    for (text, expected) in [
        (
            r#"{"iban":"DE12345","b":[{"iban":7,"c":1}]}"#,
            r#"{"b":[{"c":1,"iban":"***"}],"iban":"***"}"#,
        ),
        (
            r#"{"data":{"line":{"price":"9.99"}},"price":1}"#,
            r#"{"data":{"line":{"price":"***"}},"price":1}"#,
        ),
        (
            r#"[{"data":{"line":{"price":"9.99"}}}]"#,
            r#"[{"data":{"line":{"price":"***"}}}]"#,
        ),
        // Cut, or no JSON at all.
        (
            r#"{"iban": "DE12 \" 345", "a": 1, "price": 9.9"#,
            r#"{"iban": "***", "a": 1, "price": "***""#,
        ),
        (r#"{"a":1,"iban":"DE123"#, r#"{"a":1,"iban":"***""#),
        (
            r#"{"a":1,"iban":{"country":"DE","x"#,
            r#"{"a":1,"iban":"***""#,
        ),
        (
            "<o><n:iban a='b'>DE123</n:iban><iban>DE4",
            "<o><n:iban a='b'>***</n:iban><iban>***",
        ),
        ("<o iban=\"DE123\" b=\"1\"/>", "<o iban=*** b=\"1\"/>"),
        ("a=1&iban=DE123&b=2", "a=1&iban=***&b=2"),
        ("no such thing", "no such thing"),
    ] {
        assert_eq!(mask.json(text), expected, "{text}");
    }
}

#[test]
fn what_was_hidden_in_a_request_is_hidden_in_the_answer_and_the_reason() {
    let mask = mask(&["iban", "token"]);
    let exchange = Exchange {
        request: "POST http://erp/a?token=abc&b=1\n{\"iban\":\"DE12345\",\"name\":\"Doe\"}".into(),
        answer: "422 Unprocessable Entity\nthe account DE12345 of Doe is closed".into(),
    };
    let (hidden, reason) = mask.exchange(exchange.clone(), "422: account DE12345".into());
    assert_eq!(
        hidden.request,
        "POST http://erp/a?token=***&b=1\n{\"iban\":\"***\",\"name\":\"Doe\"}"
    );
    assert_eq!(
        hidden.answer,
        "422 Unprocessable Entity\nthe account *** of Doe is closed"
    );
    assert_eq!(reason, "422: account ***");
    let (same, _) = Mask::default().exchange(exchange.clone(), String::new());
    assert_eq!(same, exchange);
}

#[test]
fn an_events_hidden_values_are_hidden_under_whatever_name_they_were_sent() {
    let mask = mask(&["iban", "/data/line/price", "/data/rank"]);
    let event = r#"{"data":{"iban":"DE\"12345","line":{"price":"9.9"},"rank":7,"note":"x"}}"#;
    let values = mask.values(event);
    let exchange = Exchange {
        request: r#"INSERT INTO t
["DE\"12345","9.9","x",7,"9.91"]"#
            .into(),
        answer: "23514: a constraint: (DE\"12345, 9.9, x)".into(),
    };
    let reason = "23514: DE\"12345".to_owned();
    let (hidden, reason) = values.exchange(exchange, reason);
    assert_eq!(
        hidden.request,
        "INSERT INTO t\n[\"***\",\"***\",\"x\",\"***\",\"9.91\"]"
    );
    assert_eq!(hidden.answer, "23514: a constraint: (***, 9.9, x)");
    assert_eq!(reason, "23514: ***");
    let cut = Exchange {
        request: "POST http://erp\n{\"account\":\"DE\\\"12345\",\"x".into(),
        answer: String::new(),
    };
    let (hidden, _) = values.exchange(cut, String::new());
    assert_eq!(hidden.request, "POST http://erp\n{\"account\":\"***\",\"x");
    let elsewhere = Exchange {
        request: "GET http://erp/a?b=DE%2212345".into(),
        answer: "500\n<a>DE&quot;12345</a>".into(),
    };
    let (hidden, _) = values.exchange(elsewhere, String::new());
    assert_eq!(hidden.request, "GET http://erp/a?b=***");
    assert_eq!(hidden.answer, "500\n<a>***</a>");
}

#[test]
fn a_hidden_value_is_hidden_in_an_address_as_filters_and_keys_write_it() {
    let values = mask(&["code"]).values(r#"{"data":{"code":"A/1 b~2"}}"#);
    let shown = values.text("no connection to http://erp/a/A%2F1%20b~2?c=A%2F1%20b~2");
    assert_eq!(shown, "no connection to http://erp/a/***?c=***");
    let values = mask(&["name"]).values(r#"{"data":{"name":"O'Neil & Co"}}"#);
    for form in [
        "O''Neil & Co",
        "O''Neil%20%26%20Co",
        "O%27%27Neil%20%26%20Co",
        "O%27Neil%20%26%20Co",
    ] {
        let shown = values.text(&format!("GET http://erp/Items('{form}')"));
        assert_eq!(shown, "GET http://erp/Items('***')", "{form}");
    }
}

#[test]
fn a_change_is_shown_without_its_value_where_that_is_hidden() {
    let mask = mask(&["iban", "line", "my.colour", "/data/buyer/tax"]);
    for (change, expected) in [
        ("iban = DE12 3456 7890", "iban = ***"),
        ("iban = &x = y", "iban = ***"),
        ("line.price = 9.99", "line.price = ***"),
        ("attributes.my.colour = red", "attributes.my.colour = ***"),
        ("buyer.tax = 1 2", "buyer.tax = ***"),
        ("buyer.name = iban = 1", "buyer.name = iban = 1"),
        ("item_number = A", "item_number = A"),
    ] {
        assert_eq!(mask.change(change), expected);
    }
}

#[test]
fn a_key_is_hidden_where_it_is_or_holds_what_is_hidden() {
    let mask = mask(&["iban", "/data/number", "/data/line/code"]);
    let event =
        r#"{"key":"K","data":{"iban":"DE12345","number":47110,"line":{"code":"A1"},"other":"B2"}}"#;
    let values = mask.values(event);
    for (key, expected) in [
        ("DE12345", "***"),
        ("K-DE12345-1", "K-***-1"),
        ("47110", "***"),
        ("47110/3", "***/3"),
        ("A1", "***"),
        ("A1-7", "A1-7"),
        ("B2", "B2"),
        ("", ""),
    ] {
        assert_eq!(values.key(key), expected, "{key}");
        let event = event.replace(r#""K""#, &format!("{key:?}"));
        let shown: Value = serde_json::from_str(&mask.json(&event)).expect("JSON");
        assert_eq!(shown["key"], expected);
    }
    assert_eq!(Mask::default().values(event).key("DE12345"), "DE12345");
}

#[test]
fn a_setting_that_hides_nothing_is_refused() {
    for wrong in ["", "/", "/data/", "/lines/0", "a/b", "a b", "<a>"] {
        let refused = Mask::new(&[wrong.to_owned()]).err();
        assert!(refused.is_some_and(|why| why.contains("mask: ")), "{wrong}");
    }
}
