//! Broken configurations: each is answered with the file, the line and the way out.

use std::path::Path;

use dray_agent::config::Config;

const GOOD: &str = r#"site = "north"
data_dir = "/var/lib/dray-agent"
collector = "collector.example:7443"
metrics = "off"

[buffer]
bytes_max = "1GiB"

[[flow]]
name = "shipments"
timeliness = "urgent"
schema_version = 2
otherwise = "skip"

[flow.source]
kind = "file-drop"
folder = "/srv/wms/out"
pattern = "SHP_*.txt"
quiet = "2s"

[flow.source.format]
kind = "csv"
delimiter = "|"
header = true

[[flow.mapping]]
body = "shipment"
key = "SHIP_NO"
operation = "create"

[flow.mapping.fields]
shipment_number = { from = "SHIP_NO", required = true }
shipped_at = { from = "TS", format = "%Y%m%d%H%M%S", zone = "Europe/Berlin" }
"line.quantity" = { from = "QTY", implied_decimals = 3 }
"#;

/// A second flow, whole but for what a test replaces.
const SECOND: &str = r#"
[[flow]]
name = "stock"
[flow.source]
kind = "file-drop"
folder = "/srv/wms/stock"
pattern = "*.txt"
[flow.source.format]
kind = "csv"
[[flow.mapping]]
body = "inventory_level"
key = "SKU"
[flow.mapping.fields]
item_number = "SKU"
"#;

fn said(text: &str) -> String {
    match Config::parse(Path::new("agent.toml"), text) {
        Ok(_) => "(nothing is wrong)".into(),
        Err(error) => error.to_string(),
    }
}

/// `from` is replaced by `to`; the answer names the line that then holds `at`, and all `words`.
fn check(from: &str, to: &str, at: &str, words: &[&str]) {
    check_text(&replaced(GOOD, from, to), at, words);
}

fn replaced(text: &str, from: &str, to: &str) -> String {
    assert!(
        text.contains(from),
        "\"{from}\" is not in the configuration"
    );
    text.replacen(from, to, 1)
}

fn check_text(text: &str, at: &str, words: &[&str]) {
    let answer = said(text);
    let byte = text
        .rfind(at)
        .unwrap_or_else(|| panic!("\"{at}\" is not in the configuration"));
    let line = text[..byte].matches('\n').count() + 1;
    let place = format!("agent.toml:{line}:");
    assert!(answer.contains(&place), "{place} is not named:\n{answer}");
    for word in words {
        assert!(answer.contains(word), "\"{word}\" is missing:\n{answer}");
    }
}

/// Settings of the shipped example that are commented out with their default.
const DEFAULTS: [&str; 16] = [
    "metrics",
    "otherwise",
    "ready",
    "quiet",
    "order",
    "repeat",
    "bad_lines_max",
    "scan_every",
    "archive_days",
    "report",
    "sequence",
    "duplicates",
    "compression",
    "inflated_bytes_max",
    "quote",
    "encoding",
];

#[test]
fn the_good_one_is_good() {
    assert_eq!(said(GOOD), "(nothing is wrong)");
    assert_eq!(said(&format!("{GOOD}{SECOND}")), "(nothing is wrong)");
    assert_eq!(said(&GOOD.replace('\n', "\r\n")), "(nothing is wrong)");
}

#[test]
fn the_shipped_example_is_good_and_shows_the_defaults() {
    let example = include_str!("../../../../packaging/agent.toml");
    assert_eq!(said(example), "(nothing is wrong)");
    // The second flow, which stands there as a comment, is good too.
    let (head, commented) = example
        .split_once("\n# [[flow]]\n")
        .expect("a commented flow");
    let uncommented: String = commented
        .lines()
        .map(|line| {
            line.strip_prefix("# ")
                .filter(|line| line.contains('=') || line.starts_with('['))
                .unwrap_or("")
        })
        .collect::<Vec<_>>()
        .join("\n");
    assert_eq!(
        said(&format!("{head}\n[[flow]]\n{uncommented}\n")),
        "(nothing is wrong)"
    );
    // Settings that stand there with their default change nothing when they are made active.
    for line in head.lines().filter_map(|line| line.strip_prefix("# ")) {
        if let Some((name, _)) = line.split_once(" = ")
            && DEFAULTS.contains(&name)
        {
            let active = replaced(example, &format!("# {line}\n"), &format!("{line}\n"));
            assert_eq!(said(&active), "(nothing is wrong)", "{line}");
        }
    }
}

#[test]
fn what_stands_before_the_sections() {
    check(
        "site = \"north\"",
        "site = \"North Site\"",
        "North Site",
        &["not a name", "write for example \"north-site\""],
    );
    check(
        "site = \"north\"",
        "site = north",
        "site = north",
        &["not TOML", "quotes"],
    );
    check(
        "site = \"north\"\n",
        "",
        "data_dir",
        &["\"site\" is missing", "write site = \"north\""],
    );
    check(
        "site = ",
        "sites = ",
        "sites",
        &["unknown setting \"sites\"", "did you mean \"site\"?"],
    );
    check(
        "\"/var/lib/dray-agent\"",
        "\"data\"",
        "\"data\"",
        &["data_dir must begin with \"/\"", "/var/lib/dray-agent"],
    );
    let deep = format!("\"/{}\"", "deep/".repeat(30));
    check("\"/var/lib/dray-agent\"", &deep, "deep", &["shorter path"]);
    check(
        ":7443",
        "",
        "collector =",
        &["not a host and a port", "collector.example:7443"],
    );
    check(
        "collector.example:7443",
        "https://collector.example",
        "collector =",
        &["not a host and a port"],
    );
    check(
        "metrics = \"off\"",
        "metrics = \"9464\"",
        "metrics =",
        &["neither \"off\" nor an address", "127.0.0.1:9464"],
    );
    check(
        "metrics = \"off\"",
        "metrics = 9464",
        "metrics =",
        &["text in quotes", "write for example metrics ="],
    );
}

#[test]
fn the_buffer() {
    check(
        "1GiB",
        "1 Gigs",
        "bytes_max",
        &["bytes_max", "write for example bytes_max = \"4GiB\""],
    );
    check(
        "1GiB",
        "1MiB",
        "bytes_max",
        &["at least 256.0 MiB are needed"],
    );
    check(
        "bytes_max",
        "max_bytes",
        "max_bytes",
        &["unknown setting \"max_bytes\" in [buffer]", "bytes_max"],
    );
}

#[test]
fn a_flow_by_itself() {
    let prefix = "flow \"shipments\": ";
    check(
        "[[flow]]",
        "[[flows]]",
        "[[flows]]",
        &["unknown setting \"flows\"", "did you mean \"flow\"?"],
    );
    check(
        "[[flow]]",
        "[flow]",
        "[flow]",
        &["two brackets", "[[flow]]"],
    );
    check(
        "timeliness",
        "timelines",
        "timelines",
        &[prefix, "did you mean \"timeliness\"?"],
    );
    check(
        "\"urgent\"",
        "\"fast\"",
        "\"fast\"",
        &[
            prefix,
            "timeliness = \"fast\" is not known",
            "urgent, normal, bulk",
        ],
    );
    check(
        "schema_version = 2",
        "schema_version = 0",
        "schema_version",
        &[prefix, "counts from 1"],
    );
    check(
        "schema_version = 2",
        "schema_version = \"2\"",
        "schema_version",
        &[prefix, "whole number", "schema_version = 1"],
    );
    check(
        "\"skip\"",
        "\"drop\"",
        "otherwise",
        &[prefix, "dead-letter, skip"],
    );
    check(
        "name = \"shipments\"",
        "name = \"Shipments\"",
        "name =",
        &["not a name", "\"shipments\""],
    );
    check(
        "name = \"shipments\"\n",
        "",
        "[[flow]]",
        &[
            "\"name\" is missing in [flow]",
            "write name = \"shipments\"",
        ],
    );
    let mappings = GOOD.find("[[flow.mapping]]").expect("a mapping");
    check_text(
        &GOOD[..mappings],
        "[[flow]]",
        &[prefix, "no mapping", "[[flow.mapping]]"],
    );
    let source = GOOD.find("[flow.source]").expect("a source");
    let without_source = format!("{}{}", &GOOD[..source], &GOOD[mappings..]);
    check_text(
        &without_source,
        "[[flow]]",
        &[prefix, "no source", "[flow.source]"],
    );
    check(
        "[[flow.mapping]]",
        "[flow.mapping]",
        "[flow.mapping]",
        &[prefix, "[[flow.mapping]]"],
    );
}

#[test]
fn two_flows_that_are_in_each_others_way() {
    let both = format!("{GOOD}{SECOND}");
    check_text(
        &replaced(&both, "\"stock\"", "\"shipments\""),
        "name = \"shipments\"",
        &["flow 1 has this name already"],
    );
    for (folder, pattern, file) in [
        ("/srv/wms/out", "SHP_*.txt", "out/SHP_1.txt"),
        ("/srv/wms/out/", "SHP_*.txt", "out/SHP_1.txt"),
        ("/srv/wms/./out", "SHP_*.txt", "out/SHP_1.txt"),
        ("/srv/wms/out", "*.txt", "out/SHP_1.txt"),
        ("/srv/wms/out", "[A-S]*.txt", "out/SHP_1.txt"),
    ] {
        let other = replaced(&both, "/srv/wms/stock", folder);
        let other = replaced(&other, "\"*.txt\"", &format!("\"{pattern}\""));
        check_text(
            &other,
            "[flow.source]",
            &[
                "flow \"stock\"",
                file,
                "would be taken by flow \"shipments\" too",
                "different folders",
            ],
        );
    }
}

#[test]
fn two_flows_of_one_pattern_that_shows_no_name() {
    let both = format!("{GOOD}{SECOND}").replace("/srv/wms/stock", "/srv/wms/out");
    let both = both.replace("\"SHP_*.txt\"", "\"[A-S]*.txt\"");
    let both = both.replace("\"*.txt\"", "\"[A-S]*.txt\"");
    let words = ["flow \"stock\"", "out/[A-S]*.txt", "different folders"];
    check_text(&both, "[flow.source]", &words);
}

#[test]
fn two_flows_that_move_nothing_may_read_the_same_files() {
    let keep = "pattern = \"SHP_*.txt\"\nafter = \"keep\"";
    let both = format!("{GOOD}{SECOND}");
    let both = replaced(&both, "/srv/wms/stock", "/srv/wms/out");
    let both = replaced(&both, "pattern = \"SHP_*.txt\"", keep);
    check_text(&both, "[flow.source]", &["would be taken by flow"]);
    let both = replaced(
        &both,
        "pattern = \"*.txt\"",
        "pattern = \"*.txt\"\nafter = \"keep\"",
    );
    assert_eq!(said(&both), "(nothing is wrong)");
}

#[test]
fn two_flows_whose_folder_is_the_same_by_a_link() {
    let folder = tempfile::tempdir().expect("a folder");
    let at = |name: &str| folder.path().join(name).display().to_string();
    std::fs::create_dir(at("out")).expect("a folder");
    std::os::unix::fs::symlink(at("out"), at("link")).expect("a link");
    let both = format!("{GOOD}{SECOND}");
    let both = replaced(&both, "/srv/wms/out", &at("out"));
    let both = replaced(&both, "/srv/wms/stock", &at("link"));
    let file = folder.path().join("agent.toml");
    std::fs::write(&file, both).expect("a configuration");
    let config = Config::load(&file).expect("it is well written");
    let findings = dray_agent::check::look(&config);
    let words = "flow \"stock\": ";
    let found = findings.iter().find(|finding| {
        finding.sentence.starts_with(words)
            && finding
                .sentence
                .contains("would be taken by flow \"shipments\" too")
    });
    assert!(found.is_some(), "{findings:?}");
}

#[test]
fn a_source() {
    let prefix = "flow \"shipments\": ";
    check(
        "\"file-drop\"",
        "\"file-drp\"",
        "file-drp",
        &[prefix, "did you mean \"file-drop\"?"],
    );
    check(
        "kind = \"file-drop\"\n",
        "",
        "[flow.source]",
        &[prefix, "kind = \"file-drop\""],
    );
    check(
        "folder = \"/srv/wms/out\"\n",
        "",
        "[flow.source]",
        &[
            prefix,
            "\"folder\" is missing",
            "write folder = \"/srv/wms/out\"",
        ],
    );
    check(
        "quiet = ",
        "quite = ",
        "quite",
        &[
            prefix,
            "unknown setting \"quite\" in [flow.source]",
            "did you mean \"quiet\"?",
        ],
    );
    check(
        "quiet = \"2s\"",
        "quiet = 2",
        "quiet",
        &[prefix, "quiet: ", "write for example quiet = \"2s\""],
    );
    check(
        "quiet = \"2s\"",
        "quiet = \"two\"",
        "quiet",
        &[prefix, "write for example quiet = \"2s\""],
    );
    check(
        "quiet = \"2s\"",
        "ready = \"closed\"",
        "closed",
        &[prefix, "did you mean \"close\"?"],
    );
    check(
        "quiet = \"2s\"",
        "bad_lines_max = -1",
        "bad_lines_max",
        &[prefix, "bad_lines_max = 100"],
    );
    check("SHP_*.txt", "SHP_[.txt", "pattern", &[prefix, "SHP_["]);
    check("\"/srv/wms/out\"", "\"out\"", "folder", &[prefix, "folder"]);
}

#[test]
fn a_format() {
    let prefix = "flow \"shipments\": ";
    check("\"csv\"", "\"cvs\"", "cvs", &[prefix, "kind", "\"csv\""]);
    check(
        "delimiter = \"|\"",
        "delimiter = \"||\"",
        "delimiter",
        &[prefix, "delimiter"],
    );
    check(
        "delimiter = ",
        "delimeter = ",
        "delimeter",
        &[prefix, "did you mean \"delimiter\"?"],
    );
    check(
        "header = true",
        "encoding = \"latin9\"",
        "latin9",
        &[prefix, "iso-8859-1"],
    );
    check(
        "header = true",
        "header = false",
        "[flow.source.format]",
        &[prefix, "columns"],
    );
    check(
        "header = true",
        "header = \"yes\"",
        "header",
        &[prefix, "true or false"],
    );
}

#[test]
fn a_mapping() {
    let prefix = "flow \"shipments\": ";
    check(
        "\"shipment\"",
        "\"shipmnt\"",
        "shipmnt",
        &[prefix, "body", "shipment"],
    );
    check(
        "key = \"SHIP_NO\"\n",
        "",
        "[[flow.mapping]]",
        &[prefix, "\"key\" is missing", "write key = \"SHIP_NO\""],
    );
    check(
        "\"create\"",
        "\"insert\"",
        "insert",
        &[prefix, "operation", "create"],
    );
    check(
        "shipment_number =",
        "shipmnt_number =",
        "shipmnt_number",
        &[prefix, "shipment_number"],
    );
    check(
        "line.quantity",
        "line.quantitty",
        "line.quantitty",
        &[prefix, "quantity"],
    );
    check(
        "\"line.quantity\"",
        "\"line\"",
        "\"line\" =",
        &[prefix, "line"],
    );
    check(
        "implied_decimals = 3",
        "implied_decimals = \"3\"",
        "implied_decimals",
        &[prefix, "implied_decimals", "whole number"],
    );
    check(
        "implied_decimals = 3",
        "implied = 3",
        "implied = 3",
        &[
            prefix,
            "line.quantity: unknown option \"implied\"",
            "implied_decimals",
        ],
    );
    check(
        "Europe/Berlin",
        "Europe/Berln",
        "Berln",
        &[prefix, "Europe/Berln"],
    );
    check("%Y%m%d%H%M%S", "%Q", "%Q", &[prefix, "%Q"]);
    check(
        "key = \"SHIP_NO\"",
        "key = { expr = \"rec.SHIP_NO ~\" }",
        "expr =",
        &[prefix, "key"],
    );
    check(
        "operation = \"create\"",
        "when = \"rec.A ==\"",
        "when",
        &[prefix, "when"],
    );
}

#[test]
fn toml_itself() {
    check(
        "metrics = \"off\"",
        "site = \"south\"",
        "site = \"south\"",
        &["not TOML", "delete one"],
    );
    check(
        "metrics = \"off\"",
        "metrics = \"off",
        "metrics = \"off",
        &["not TOML"],
    );
    check("[buffer]", "[buffer", "[buffer", &["not TOML"]);
    let empty = said("");
    for word in [
        "agent.toml",
        "\"site\" is missing",
        "there is no flow",
        "[[flow]]",
    ] {
        assert!(empty.contains(word), "\"{word}\" is missing:\n{empty}");
    }
}

#[test]
fn all_mistakes_are_told_at_once_and_in_order() {
    let text = [
        ("site = \"north\"", "site = \"North\""),
        ("timeliness", "timelines"),
        ("quiet = \"2s\"", "quiet = 2"),
        ("delimiter = ", "delimeter = "),
        ("\"create\"", "\"insert\""),
        ("\"line.quantity\"", "\"line.quantitty\""),
    ]
    .iter()
    .fold(GOOD.to_owned(), |text, (from, to)| {
        replaced(&text, from, to)
    });
    let answer = said(&text);
    let lines: Vec<usize> = answer
        .lines()
        .filter_map(|line| {
            line.strip_prefix("agent.toml:")?
                .split(':')
                .next()?
                .parse()
                .ok()
        })
        .collect();
    assert_eq!(lines, [1, 11, 19, 23, 29, 34], "{answer}");
}

#[test]
fn a_file_that_cannot_be_read_is_named() {
    let folder = tempfile::tempdir().expect("a folder");
    let load = |name: &str| {
        Config::load(&folder.path().join(name))
            .expect_err("it is broken")
            .to_string()
    };
    let missing = load("agent.toml");
    assert!(
        missing.contains("agent.toml: cannot be read") && missing.contains("--config"),
        "{missing}"
    );
    std::fs::write(
        folder.path().join("latin1.toml"),
        b"site = \"north\"\n# gr\xFC\xDFe\n",
    )
    .expect("a file");
    let latin1 = load("latin1.toml");
    assert!(
        latin1.contains("latin1.toml:2:5: this is not UTF-8"),
        "{latin1}"
    );
}

#[test]
fn a_pattern_of_names_that_are_never_taken() {
    for (pattern, words) in [
        ("*.tmp", "1.tmp\" is never taken"),
        (".out*", "is never taken"),
        ("", "fits no file"),
    ] {
        check(
            "pattern = \"SHP_*.txt\"",
            &format!("pattern = \"{pattern}\""),
            "pattern = ",
            &[words],
        );
    }
}
