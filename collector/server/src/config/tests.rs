use super::*;

const GOOD: &str = r#"data_dir = "/var/lib/dray-collector"
listen = "0.0.0.0:7443"
names = ["collector.example", "10.0.0.5", "::1"]
metrics = "127.0.0.1:9465"
[log]
bytes_max = "50GiB"
keep = "7d"
[[target]]
name = "erp"
url = "https://erp.example/api/events"
flows = ["north/shipments", "*/stock"]
bodies = ["shipment"]
batch = 200
timeout = "30s"
[target.auth]
kind = "bearer"
token_file = "/etc/dray/erp.token"
[target.retry]
first = "500ms"
max = "60s"
"#;

fn parse(text: &str) -> Result<Config, ConfigError> {
    Config::parse(Text::of(Path::new("collector.toml"), text))
}

#[test]
fn the_documented_configuration_is_read() {
    let config = parse(GOOD).expect("as in the manual");
    assert_eq!((config.names.len(), config.targets.len()), (3, 1));
    assert_eq!(config.log.keep, Duration::from_secs(7 * 24 * 3600));
    assert_eq!(config.log.bytes_max.as_u64(), 50 << 30);
    let shortest = parse("names = [\"c\"]").expect("the rest has defaults");
    assert_eq!(
        shortest.metrics,
        Some(SocketAddr::from(([127, 0, 0, 1], 9465)))
    );
    assert_eq!(
        parse("names = [\"c\"]\nmetrics = \"off\"")
            .expect("no metrics")
            .metrics,
        None
    );
}

/// Each: the line to replace in [`GOOD`], with what, the line that must be named, and words of the answer.
const BROKEN: [(&str, &str, usize, &[&str]); 35] = [
    (
        "[log]",
        "operators = [1001]\n[log]",
        5,
        &["cannot enter data_dir", "admin_socket = "],
    ),
    (
        "[log]",
        "admin_socket = \"admin.sock\"\n[log]",
        5,
        &["not an absolute path", "/run/dray-collector"],
    ),
    (
        "[log]",
        "operators = [1]\nadmin_socket = \"/var/lib/dray-collector/a\"\n[log]",
        6,
        &["cannot enter data_dir"],
    ),
    (
        "names = [\"collector.example\", \"10.0.0.5\", \"::1\"]",
        "",
        1,
        &["names is missing", "names = ["],
    ),
    (
        "\"10.0.0.5\"",
        "\"https://c:7443\"",
        3,
        &["neither a DNS name nor an IP", "without a port"],
    ),
    (
        "\"10.0.0.5\"",
        "\"10.0.0\"",
        3,
        &["neither a DNS name nor an IP"],
    ),
    (
        "listen = \"0.0.0.0:7443\"",
        "listen = \"7443\"",
        2,
        &["is not an address and a port", "0.0.0.0:7443"],
    ),
    (
        "listen = \"0.0.0.0:7443\"",
        "lisen = \"0.0.0.0:7443\"",
        2,
        &["unknown field `lisen`", "did you mean \"listen\"?"],
    ),
    (
        "metrics = \"127.0.0.1:9465\"",
        "metrics = \"0.0.0.0:7443\"",
        4,
        &["are both", "port of its own"],
    ),
    (
        "metrics = \"127.0.0.1:9465\"",
        "metrics = \"on\"",
        4,
        &["is not an address", "\"off\""],
    ),
    (
        "data_dir = \"/var/lib",
        "data_dir = \"var/lib",
        1,
        &["is not an absolute path", "whole path"],
    ),
    (
        "bytes_max = \"50GiB\"",
        "bytes_max = \"50 giga\"",
        6,
        &["way out", "50GiB"],
    ),
    (
        "bytes_max = \"50GiB\"",
        "bytes_max = \"1MiB\"",
        6,
        &["too small", "64MiB"],
    ),
    (
        "keep = \"7d\"",
        "keep = \"7 fortnights\"",
        7,
        &["way out", "\"7d\""],
    ),
    ("keep = \"7d\"", "keep = 7", 7, &["invalid type", "way out"]),
    ("keep = \"7d\"", "keep = \"7d", 7, &["way out"]),
    (
        "[log]",
        "[delivery]\nin_flight = \"1MiB\"\n[log]",
        6,
        &["is out of range", "128MiB"],
    ),
    (
        "[log]",
        "certificate_days = 4000\n[log]",
        5,
        &["out of range", "825"],
    ),
    (
        "name = \"erp\"",
        "name = \"ERP One\"",
        9,
        &["name: ", "a-z"],
    ),
    (
        "url = \"https://erp.example/api/events\"",
        "",
        8,
        &[
            "url: \"\" is not an address",
            "https://erp.example/api/events",
        ],
    ),
    (
        "url = \"https://erp.example/api/events\"",
        "url = \"erp.example\"",
        10,
        &["url: ", "http"],
    ),
    (
        "batch = 200",
        "bacth = 200",
        13,
        &["unknown field `bacth`", "did you mean \"batch\"?"],
    ),
    (
        "batch = 200",
        "batch = \"200\"",
        13,
        &["invalid type", "without quotes"],
    ),
    (
        "bodies = [\"shipment\"]",
        "bodies = [\"shipmint\"]",
        12,
        &["bodies: ", "there are"],
    ),
    (
        "kind = \"bearer\"",
        "kind = \"baerer\"",
        16,
        &["unknown variant `baerer`", "did you mean \"bearer\"?"],
    ),
    (
        "[target.retry]",
        "[[target]]\nname = \"erp\"\nurl = \"http://b/\"\n[target.retry]",
        19,
        &["two targets called \"erp\"", "each its own"],
    ),
    (
        "batch = 200",
        "account = \"netsuit\"",
        13,
        &["there is no account \"netsuit\"", "write an [[account]]"],
    ),
    (
        "token_file = \"/etc/dray/erp.token\"",
        "token_file = \"/t\"\ntoken = \"s3cret\"",
        15,
        &["unknown field `token`", "write token_file = "],
    ),
    (
        "[target.retry]",
        "[budgets.high]\nretry = \"1h\"\n[target.retry]",
        18,
        &["unknown field `high`", "urgent, normal, bulk"],
    ),
    (
        "[log]",
        "operators = [\"alice\"]\n[log]",
        5,
        &["\"alice\" is no uid", "id -u alice"],
    ),
    (
        "[target.retry]",
        "[[target.demand]]\nbody = \"shipment\"\nfield = \"line.quantity\"\nmin = 0.001\n[target.retry]",
        21,
        &["in quotes, as in \"0.001\"", "put the number in quotes"],
    ),
    (
        "[target.retry]",
        "[[target.rule]]\noutcome = \"done\"\n[[target.rule]]\noutcome = \"accepted\"\n[target.retry]",
        21,
        &["rule 2: outcome: what is \"accepted\"", "write go = "],
    ),
    (
        "[target.retry]",
        "[[target.rule]]\noutcome = \"accepteds\"\n[target.retry]",
        19,
        &["did you mean \"accepted\"?"],
    ),
    (
        "[target.retry]",
        "[[target.reference]]\nbody = \"shipment\"\nfield = \"line.item_number\"\nof = \"item\"\n[target.retry]",
        18,
        &["reference 1 (line.item_number): this target takes no item"],
    ),
    (
        "url = \"https://erp.example/api/events\"",
        "url = \"https://erp.example/\"\nkind = \"odata\"\n[target.odata]\nentity = \"A\"\nkey = [\"a\"]\nbody = '{\"a\": {{ data.lin | tojson }}}'\n[[target]]\nname = \"b\"\nurl = \"https://b.example/\"",
        15,
        &[
            "odata.body: no event of this target has \"data.lin\"",
            "bodies = ",
        ],
    ),
];

#[test]
fn each_broken_configuration_is_answered_with_file_line_and_way_out() {
    for (found, replaced, line, words) in BROKEN {
        assert!(GOOD.contains(found), "{found} is not in the good one");
        let said = parse(&GOOD.replacen(found, replaced, 1))
            .expect_err(replaced)
            .to_string();
        assert!(
            said.starts_with(&format!("collector.toml:{line}:")),
            "{replaced:?} is on line {line}, but:\n{said}"
        );
        for word in words {
            assert!(
                said.contains(word),
                "{replaced:?}: \"{word}\" is not said in:\n{said}"
            );
        }
    }
}

#[test]
fn all_that_is_wrong_is_said_at_once() {
    let text = GOOD
        .replace("\"10.0.0.5\"", "\"a b\"")
        .replace("50GiB", "1KiB")
        .replace("batch = 200", "batch = 0");
    let Err(ConfigError::Invalid(problems)) = parse(&text) else {
        panic!("three things are wrong")
    };
    assert_eq!(
        problems
            .iter()
            .map(|problem| problem.line)
            .collect::<Vec<_>>(),
        [3, 6, 13],
        "{problems:?}"
    );
}

#[test]
fn what_is_most_likely_not_meant_is_told_at_its_line() {
    let more = "batch = 1\nvars = { unit_pric = 1 }\n[target.calls]\nfirst = \"a\"\n[target.calls.call.a]\n[target.calls.call.b]\n";
    let config = parse(
        &GOOD
            .replace("batch = 200\n", "")
            .replace("[target.auth]", &format!("{more}[target.auth]")),
    );
    let config = config.expect("it hinders nothing");
    let doubts: Vec<_> = config
        .doubts
        .iter()
        .map(|doubt| (doubt.line, doubt.what.as_str()))
        .collect();
    assert_eq!(doubts.len(), 2, "{doubts:?}");
    assert_eq!(doubts[0].0, 19, "{doubts:?}");
    assert!(doubts[0].1.contains("calls.call.b: it is never made"));
    assert_eq!(doubts[1].0, 15, "{doubts:?}");
    assert!(doubts[1].1.contains("vars.unit_pric: no template"));
    assert_eq!(parse(GOOD).expect("good").doubts, []);
    let preset = "[[target]]\nname = \"t\"\npreset = \"tryton/items\"\nurl = \"https://t.example/erp/\"\nvars = { company = 1 }\nauth = { user = \"u\", password_file = \"/p\" }\n";
    let config = parse(&format!("{GOOD}{preset}")).expect("good");
    assert_eq!(
        config.doubts,
        [],
        "a preset has what others of its kind need"
    );
}

#[test]
fn a_file_that_is_not_there_says_how_to_name_another() {
    let said = Config::read(Path::new("/does/not/exist.toml"))
        .expect_err("no file")
        .to_string();
    assert!(
        said.contains("/does/not/exist.toml") && said.contains("--config"),
        "{said}"
    );
}

#[test]
fn what_targets_hold_in_memory_is_shared_evenly() {
    let targets = |count: usize| {
        let one = |number| format!("[[target]]\nname = \"t{number}\"\nurl = \"http://t/\"\n");
        let targets: String = (0..count).map(one).collect();
        let text = format!("names = [\"c\"]\n[delivery]\nin_flight = \"64MiB\"\n{targets}");
        parse(&text).expect("a good one").targets
    };
    for (count, window_mib) in [(1, 32), (2, 24), (16, 3)] {
        for target in targets(count) {
            assert_eq!(target.share.window_bytes, window_mib << 20, "of {count}");
        }
    }
}

#[test]
fn what_is_agreed_about_flows_reaches_every_target_and_what_is_wrong_is_said_at_its_place() {
    let good = format!(
        "{GOOD}[[flow]]\nname = \"*\"\nowner = \"wms\"\n[[flow]]\nname = \"north/shipments\"\nphases = {{ erp = \"shadow\" }}\n[budgets.bulk]\nretry = \"1h\"\n"
    );
    let config = parse(&good).expect("a good one");
    let flow = dray_proto::FlowName::parse("north/shipments").expect("a name");
    let catalogue = &config.targets[0].catalogue;
    assert_eq!(catalogue.phase(&flow, "erp"), dray_delivery::Phase::Shadow);
    assert_eq!(catalogue.of(&flow).owner, "wms");
    for (found, replaced, words) in [
        (
            "erp = \"shadow\"",
            "lake = \"shadow\"",
            "there is no target \"lake\"; there are erp",
        ),
        (
            "erp = \"shadow\"",
            "erp = \"shadw\"",
            "unknown variant `shadw`",
        ),
        ("name = \"*\"", "name = \"north\"", "none of \"site/flow\""),
        (
            "name = \"north/shipments\"",
            "name = \"*\"",
            "put their settings into one",
        ),
        (
            "retry = \"1h\"",
            "deliver = \"0s\"",
            "budgets.bulk.deliver: write a time above zero",
        ),
        ("[budgets.bulk]", "[budgets.slow]", "unknown field `slow`"),
    ] {
        let broken = good.replacen(found, replaced, 1);
        let said = parse(&broken).expect_err(replaced).to_string();
        assert!(said.contains(words), "{replaced}: {said}");
        // The last one: `*` stands twice where it is wrong.
        let lines = broken.lines().zip(1..);
        let meant = lines.filter(|(text, _)| text.contains(replaced)).last();
        let named = meant.expect("it is there").1;
        assert!(
            said.contains(&format!("collector.toml:{named}:")),
            "{replaced}: {said}"
        );
    }
}

/// Two targets with presets; the second says all that its preset wants.
const ON_PRESETS: &str = r#"names = ["c"]
[[target]]
name = "stock"
preset = "tryton/inventory"
url = "https://erp.example/erp/"
[[target]]
name = "items"
preset = "tryton/items"
url = "https://erp.example/erp/"
vars = { company = 1 }
[target.auth]
user = "dray"
password_file = "/etc/dray/tryton"
"#;

#[test]
fn a_preset_lies_beneath_its_target_and_problems_stand_where_the_file_has_them() {
    let said = |text: &str| parse(text).expect_err(text).to_string();
    let wrong = said(ON_PRESETS);
    assert!(wrong.contains("collector.toml:4:10: target \"stock\": auth.password_file: preset \"tryton/inventory\" needs it"), "{wrong}");
    assert!(wrong.contains("vars.company"), "{wrong}");
    assert!(!wrong.contains("\"items\""), "{wrong}");
    let (head, second) = ON_PRESETS.split_at(ON_PRESETS.rfind("[[target]]").expect("a second"));
    let good = format!("names = [\"c\"]\n{second}");
    let config = parse(&good).expect("all is said");
    assert_eq!(config.targets[0].bodies, ["item"]);
    assert!(config.targets[0].calls.call.contains_key("create"));
    let unknown = said(&head.replace("tryton/inventory", "tryton/inventry"));
    assert!(unknown.contains("4:10"), "{unknown}");
    assert!(unknown.contains("dray-collector presets"), "{unknown}");
    // What the file itself says wrong is told at its own line, whatever lies beneath.
    let typing = said(&good.replace("[target.auth]", "concurency = 3\n[target.auth]"));
    assert!(
        typing.contains("collector.toml:7:1: unknown field `concurency`"),
        "{typing}"
    );
    let range = said(&good.replace("[target.auth]", "concurrency = 99\n[target.auth]"));
    assert!(range.contains("collector.toml:7:"), "{range}");
    assert!(
        range.contains("beneath it lies preset \"tryton/items\""),
        "{range}"
    );
}

#[test]
fn what_is_wrong_in_a_preset_of_the_users_own_is_shown_in_its_file() {
    let folder = tempfile::tempdir().expect("a folder");
    let (file, preset) = (
        folder.path().join("c.toml"),
        folder.path().join("ours.toml"),
    );
    let text = "names = [\"c\"]\n[[target]]\nname = \"erp\"\npreset = \"ours.toml\"\nurl = \"https://erp.example/api/\"\n";
    std::fs::write(&file, text).expect("a file");
    let read = |ours: &str| {
        std::fs::write(&preset, ours).expect("a file");
        Config::read(&file).map_err(|error| error.to_string())
    };
    let good = "about = \"ours\"\n[target]\nbatch = 7\n";
    assert_eq!(read(good).expect("a good one").targets[0].batch, 7);
    let ours = preset.display();
    for (found, replaced, said) in [
        (
            "batch",
            "bacth",
            format!("{ours}:3:1: unknown field `bacth`"),
        ),
        (
            "batch",
            "bacth",
            "way out: did you mean \"batch\"?".to_owned(),
        ),
        (
            "about",
            "abuot",
            format!("{ours}:1:1: target \"erp\": unknown field `abuot`"),
        ),
        (
            "= 7",
            "= 0",
            format!("{ours}:3:9: target \"erp\": batch: write 1 to 10000"),
        ),
        (
            "7",
            "7\npreset = \"odo/items\"",
            format!("{ours}:4:10: target \"erp\": preset: there is no preset \"odo/items\""),
        ),
        ("7", "7\nconcurrency = ", format!("{ours}:4:")),
        (
            "[target]",
            "[write]\ntimeout = \"how long a call may take: timeout = \\\"10s\\\"\"\n[target]",
            format!(
                "{}:4:10: target \"erp\": timeout: preset \"ours.toml\" needs it",
                file.display()
            ),
        ),
    ] {
        let wrong = read(&good.replace(found, replaced)).expect_err(replaced);
        assert!(wrong.contains(&said), "{said}: {wrong}");
    }
    std::fs::remove_file(&preset).expect("it was there");
    let wrong = Config::read(&file).expect_err("none").to_string();
    assert!(
        wrong.starts_with(&format!("{}:4:10: ", file.display())),
        "{wrong}"
    );
    assert!(wrong.contains("way out: write where it stands"), "{wrong}");
}
