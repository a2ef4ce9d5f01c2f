use super::*;
use http::HeaderMap;

fn compiled(rule: &str) -> Result<Rule, String> {
    let config: RuleConfig = toml::from_str(rule).map_err(|error| error.to_string())?;
    Rule::compile(&config, &["ask", "create", "do", "find"])
}

#[test]
fn a_rule_holds_where_all_its_conditions_do() {
    let body = br#"{"error":["UserWarning",["w1","Really?"]]}"#;
    for (rule, holds) in [
        ("outcome = \"done\"", true),
        ("status = [\"404\", \"2xx\"]\noutcome = \"done\"", true),
        ("status = [\"201-299\"]\noutcome = \"done\"", false),
        ("when = [{ at = \"/error\" }]\noutcome = \"rejected\"", true),
        (
            "when = [{ at = \"/error\", absent = true }]\noutcome = \"done\"",
            false,
        ),
        (
            "when = [{ at = \"/error/0\", equals = \"UserWarning\" }]\ngo = \"find\"",
            true,
        ),
        (
            "when = [{ at = \"text\", matches = \"Real+y\" }]\noutcome = \"rejected\"",
            true,
        ),
        (
            "when = [{ at = \"/error\" }, { at = \"/error/0\", equals = \"x\" }]\noutcome = \"done\"",
            false,
        ),
    ] {
        let headers = HeaderMap::new();
        let answer = Answer::new(200, &headers, body);
        let compiled = compiled(rule).expect(rule);
        assert_eq!(compiled.holds(&answer), Some(holds), "{rule}");
    }
}

#[test]
fn what_is_wanted_to_be_absent_cannot_be_told_of_an_answer_that_ends_before() {
    let headers = HeaderMap::new();
    let outcome = |body: &str, rules: &str| {
        #[derive(Deserialize)]
        struct Rules {
            rule: Vec<RuleConfig>,
        }
        let rules: Rules = toml::from_str(&format!("rule = [{rules}]")).expect(rules);
        let ruling = Ruling::compile(&rules.rule).expect("rules");
        let answer = Answer::new(200, &headers, body.as_bytes());
        format!("{:?}", ruling.outcome(&answer, Timestamp::UNIX_EPOCH).0)
    };
    let is_done =
        "{ when = [{ at = \"/id\" }, { at = \"/error\", absent = true }], outcome = \"done\" }";
    let is_error = "{ when = [{ at = \"/error\" }], outcome = \"rejected\" }";
    for (body, rules, expected) in [
        (r#"{"id":1}"#, is_done, "Done"),
        (r#"{"id":1,"result":[1,2"#, is_done, "Unknown("),
        (r#"{"id":1,"error":null,"result":[1,2"#, is_done, "Done"),
        (r#"{"id":1,"error":["a","b"#, is_error, "Rejected"),
        (r#"{"result":[1,2"#, is_done, "Done"),
        ("<html>", is_done, "Done"),
        // What is there is known, whatever follows.
        (
            r#"{"id":1,"error":["a","b"#,
            &format!("{is_done}, {is_error}"),
            "Rejected",
        ),
    ] {
        let found = outcome(body, rules);
        assert!(found.starts_with(expected), "{body}: {found}");
    }
}

#[test]
fn it_keeps_values_and_the_targets_own_words() {
    let headers = HeaderMap::new();
    let answer = Answer::new(
        200,
        &headers,
        br#"{"error":["UserWarning",["w1","Really?"]]}"#,
    );
    let rule = compiled(
        "outcome = \"confirm\"\ngo = \"find\"\nreason = \"/error/1/1\"\ncapture = { warning = \"/error/1/0\", none = \"/x\" }",
    )
    .expect("a rule");
    assert_eq!(rule.go, Some(3));
    assert_eq!(
        rule.captured(&answer).collect::<Vec<_>>(),
        [("warning".to_owned(), "w1".to_owned())]
    );
    assert_eq!(rule.reason(&answer), "the target answered 200 OK: Really?");
}

#[test]
fn what_it_says_stands_before_the_targets_words_or_for_them() {
    let headers = HeaderMap::new();
    let answer = Answer::new(200, &headers, br#"{"result":[],"why":"gone"}"#);
    for (rule, expected) in [
        ("say = \"no such item\"", "no such item"),
        (
            "say = \"no such item\"\nreason = \"/why\"",
            "no such item: gone",
        ),
        ("say = \"no such item\"\nreason = \"/x\"", "no such item"),
    ] {
        let rule = compiled(&format!("outcome = \"rejected\"\n{rule}")).expect(rule);
        assert_eq!(rule.reason(&answer), expected);
    }
}

#[test]
fn what_is_no_rule_is_refused_in_a_sentence() {
    for (rule, said) in [
        ("status = [\"200\"]", "write what it means"),
        ("status = [\"20x\"]\noutcome = \"done\"", "status: \"20x\""),
        ("status = [\"9-5\"]\noutcome = \"done\"", "status: \"9-5\""),
        (
            "go = \"nowhere\"",
            "go: there is no call \"nowhere\"; there are \"ask\", \"create\", \"do\", \"find\"",
        ),
        ("outcome = \"accepted\"", "write go = \"CALL\""),
        (
            "outcome = \"accepted\"\nafter = \"5s\"",
            "write go = \"CALL\"",
        ),
        ("outcome = \"accepted\"\ngo = \"find\"", "after = \"30s\""),
        (
            "outcome = \"accepted\"\ngo = \"find\"\nafter = \"0s\"",
            "after = \"30s\"",
        ),
        ("outcome = \"confirm\"", "write outcome = \"rejected\""),
        ("go = \"find\"\noutcome = \"done\"", "only \"accepted\""),
        ("go = \"find\"\nafter = \"5s\"", "after: only"),
        ("outcome = \"great\"", "unknown variant"),
        ("outcome = \"done\"\nwhen = [{ at = \"x\" }]", "when.at: "),
        (
            "outcome = \"done\"\nwhen = [{ at = \"/x\", matches = \"(\" }]",
            "when.matches: ",
        ),
        (
            "outcome = \"done\"\nwhen = [{ at = \"/x\", equals = \"1\", absent = true }]",
            "write one of",
        ),
        ("outcome = \"done\"\ncapture = { a = \"b\" }", "capture.a: "),
        ("outcome = \"done\"\nkeep = { a = \"b\" }", "keep.a: "),
        (
            "outcome = \"rejected\"\nreference = { at = \"/item\" }",
            "reference: only with",
        ),
        (
            "outcome = \"missing_reference\"\nreference = { at = \"item\" }",
            "reference.at: ",
        ),
    ] {
        let wrong = compiled(rule).expect_err(rule);
        assert!(wrong.contains(said), "{rule}: {wrong}");
    }
}
