use super::*;

fn check(more: &str, expected: &[&str]) {
    let config: TargetConfig = toml::from_str(&format!(
        "name = \"erp\"\nkind = \"odata\"\nurl = \"http://erp.example/odata\"\n[odata]\nentity = \"Items\"\nbody = '{{\"sku\": {{{{ key | tojson }}}}}}'\n{more}"
    ))
    .expect("it parses");
    let wrong = config.validate();
    assert_eq!(wrong.len(), expected.len(), "{more}: {wrong:?}");
    for (sentence, said) in wrong.iter().zip(expected) {
        assert!(sentence.contains(said), "{sentence}");
    }
}

#[test]
fn what_is_wrong_is_said_in_a_sentence_that_names_the_setting() {
    for (more, expected) in [
        ("key = [\"sku\"]", &[][..]),
        ("write = \"create\"\nfind = [\"sku\"]", &[]),
        ("", &["odata.key: write"]),
        ("key = [\"a b\"]", &["odata.key: \"a b\""]),
        ("key = [\"a\", \"a\"]", &["each once"]),
        (
            "key = [\"sku\"]\nkey_types = { b = \"guid\" }",
            &["odata.key_types.b"],
        ),
        ("key = [\"sku\"]\nfind = [\"b\"]", &["odata.find: "]),
        ("key = [\"sku\"]\nif_match = \"any\"", &["odata.if_match: "]),
        (
            "key = [\"sku\"]\nwrite = \"create\"\nmethod = \"PUT\"",
            &["odata.write: "],
        ),
        (
            "key = [\"sku\"]\nif_there = \"done\"",
            &["odata.if_there: "],
        ),
        ("key = [\"sku\"]\nsettle = \"11m\"", &["odata.settle: "]),
        ("key = [\"sku\"]\nmethod = \"MERGE\"", &["odata.method: "]),
        ("key = [\"sku\"]\nversion = 2\nmethod = \"MERGE\"", &[]),
        (
            "key = [\"sku\"]\nversion = 2\nbatch_format = \"json\"",
            &["odata.batch_format: "],
        ),
        (
            "key = [\"sku\"]\nversion = 2\ndecimals = \"strings\"",
            &["odata.decimals: "],
        ),
        ("key = [\"sku\"]\nheaders = { sap-client = \"100\" }", &[]),
        (
            "key = [\"sku\"]\nheaders = { If-Match = \"*\" }",
            &["odata.headers.If-Match"],
        ),
        // In a $batch it would be left out.
        (
            "key = [\"a\"]\nheaders = { x-site = \"Köln\" }",
            &["odata.headers.x-site"],
        ),
    ] {
        check(more, expected);
    }
    assert!(toml::from_str::<OdataConfig>("entity = \"a\"\nbody = \"b\"\nversion = 3").is_err());
    assert!(toml::from_str::<OdataConfig>("entity = \"a\"\nbody = \"b\"\ncolour = 3").is_err());
}

#[test]
fn each_version_has_its_own_ways() {
    let of = |version: &str| -> OdataConfig {
        toml::from_str(&format!(
            "entity = \"a\"\nbody = \"b\"\nversion = {version}"
        ))
        .expect("it parses")
    };
    assert_eq!(
        (of("2").method(), of("2").batch_format()),
        (ChangeMethod::Merge, BatchFormat::Multipart)
    );
    assert_eq!(
        (of("4").method(), of("4").batch_format()),
        (ChangeMethod::Patch, BatchFormat::Json)
    );
}
