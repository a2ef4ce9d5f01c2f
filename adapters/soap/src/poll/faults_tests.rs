use super::SoapPollConfig;

/// What every configuration needs.
const NEEDED: &str = "kind = 'soap-poll'\nurl = 'https://wms.local/movements'\nrequest = '/list.xml'\nroot = 'w:ListResponse'\nrecord = 'w:Movement'\nnamespaces = { w = 'urn:example:wms' }\nfields = { ID = 'w:Id', AT = 'w:MovedAt' }\n";

fn config(text: &str) -> SoapPollConfig {
    toml::from_str(text).unwrap_or_else(|error| panic!("{error}: {text}"))
}

/// The one fault of a configuration with these settings more.
fn check(more: &str, setting: &str, expected: &str) {
    let faults = config(&format!("{NEEDED}{more}")).faults();
    let said = faults
        .iter()
        .any(|(known, sentence)| known == setting && sentence.contains(expected));
    assert!(said, "{more}: {setting}: {expected}: {faults:?}");
}

#[test]
fn what_every_configuration_needs_is_enough() {
    let config = config(NEEDED);
    assert_eq!(config.faults(), []);
    assert_eq!((config.every.as_secs(), config.timeout.as_secs()), (60, 30));
    assert_eq!(config.limits.message_bytes_max.as_u64(), 64 * 1024 * 1024);
}

#[test]
fn the_whole_example_is_good() {
    let text = format!(
        "{NEEDED}soap = '1.2'\naction = 'urn:example:wms/ListMovements'\nevery = '5m'\ntimeout = '1m'\nkey = ['ID']\nempty = 'error'\naddressing = true\nusername_token = {{ user = 'a', password_file = '/b', text = true, timestamp = '5m' }}\nbasic = {{ user = 'a', password_file = '/b' }}\ntls = {{ ca = '/a', certificate = '/b', key = '/c' }}\nlimits = {{ message_bytes_max = '128MiB' }}\n[watermark]\ncolumn = 'AT'\nstart = '2026-01-01T00:00:00Z'\noverlap = '5m'\nlag = '10s'\nzone = 'Europe/Berlin'\nformat = '%Y-%m-%dT%H:%M:%S'\n[pages]\nby = 'token'\npath = 'w:NextPage'\nsize = 500\npages_max = 10000\n"
    );
    assert_eq!(config(&text).faults(), []);
}

#[test]
fn what_is_wrong_is_told_with_what_to_write() {
    for (more, setting, expected) in [
        ("every = '1ms'", "every", "between 1s and 24h"),
        ("timeout = '2h'", "timeout", "between 1s and 1h"),
        ("key = 'NO'", "key", "the columns of fields are ID, AT"),
        ("action = 'a\"b'", "action", "without quotes"),
        ("addressing = true", "addressing", "write action"),
        (
            "basic = { user = 'a', password_file = '/b' }\nbearer = { token_file = '/c' }",
            "bearer",
            "one of basic and bearer",
        ),
        ("tls = { key = '/a' }", "tls", "go together"),
        (
            "username_token = { user = 'a', password_file = '/b', timestamp = '0s' }",
            "username_token.timestamp",
            "5m",
        ),
        (
            "limits = { message_bytes_max = '1B' }",
            "limits.message_bytes_max",
            "1KiB",
        ),
        (
            "[watermark]\nstart = '0'",
            "watermark.column",
            "write one of column",
        ),
        (
            "[watermark]\nstart = '0'\ncolumn = 'ID'\nby_time = true",
            "watermark.column",
            "write one of column",
        ),
        (
            "[watermark]\ncolumn = 'ID'",
            "watermark.start",
            "the first watermark",
        ),
        (
            "[watermark]\ncolumn = 'NO'\nstart = '0'",
            "watermark.column",
            "the columns of fields are ID, AT",
        ),
        (
            "[watermark]\npath = 'x:No'\nstart = '0'",
            "watermark.path",
            "the prefix x is not explained",
        ),
        (
            "[watermark]\ncolumn = 'ID'\nstart = '0'\noverlap = '5m'",
            "watermark.type",
            "points in time",
        ),
        (
            "[watermark]\nby_time = true\nstart = '0'",
            "watermark.type",
            "points in time",
        ),
        (
            "[watermark]\ncolumn = 'ID'\nstart = 'x'\ntype = 'number'",
            "watermark.start",
            "not what type says",
        ),
        (
            "[watermark]\ncolumn = 'ID'\nstart = '2026-01-01T00:00:00Z'\nzone = 'Moon'",
            "watermark.format",
            "no time zone",
        ),
        (
            "[watermark]\ncolumn = 'ID'\nstart = '2026-01-01T00:00:00Z'\noverlap = '8d'",
            "watermark.overlap",
            "at most 7d",
        ),
        (
            "[pages]\nby = 'token'",
            "pages.path",
            "where the answer names the next page",
        ),
        (
            "[pages]\nby = 'number'\npath = 'w:Next'",
            "pages.path",
            "leave path out",
        ),
        (
            "[pages]\nby = 'number'\nsize = 0",
            "pages.size",
            "at least 1",
        ),
        (
            "[pages]\nby = 'number'\npages_max = 0",
            "pages.pages_max",
            "between 1",
        ),
    ] {
        check(more, setting, expected);
    }
}

#[test]
fn an_address_without_a_scheme_or_with_a_password_is_refused() {
    for (url, expected) in [
        ("wms.local/movements", "no address"),
        ("ftp://wms.local/", "http://"),
        ("https:///x", "no address"),
        ("https://a:b@wms.local/", "password_file"),
    ] {
        let faults = config(&NEEDED.replace("https://wms.local/movements", url)).faults();
        assert!(
            faults
                .iter()
                .any(|(setting, sentence)| setting == "url" && sentence.contains(expected)),
            "{url}: {faults:?}"
        );
    }
}

#[test]
fn a_request_that_can_not_be_made_is_told_before_it_is_sent() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("list.xml");
    let text = format!("{NEEDED}[watermark]\ncolumn = 'ID'\nstart = '0'\n[pages]\nby = 'number'\n");
    let config = config(&text.replace("/list.xml", &file.display().to_string()));
    let make = || config.make("site/flow", folder.path().into()).map(|_| ());
    assert!(make().expect_err("no file").contains("can't be read"));
    for (request, expected) in [
        ("<a>{{ watermark }}{{ page }}</a>", ""),
        (
            "<a>{{ watermark }}{{ page }}{{ page_size }}</a>",
            "page_size with its size",
        ),
        ("<a>{{ watermark }}", "line"),
        ("<a>{{ watermark }}{{ page }}", "line"),
        (
            "<a>{{ watermark }}{{ page }}</a><b/>",
            "behind another element",
        ),
        ("{# {{ watermark }}{{ page }} #}", "makes no element"),
        ("<a>{{ watermark }}</a>", "for every page"),
        ("<a>{{ page }}</a>", "for every watermark"),
    ] {
        std::fs::write(&file, request).expect("a file");
        match (make(), expected) {
            (Ok(()), "") => {}
            (Err(reason), expected) if !expected.is_empty() => {
                assert!(reason.contains(expected), "{request}: {reason}")
            }
            (made, _) => panic!("{request}: {made:?}"),
        }
    }
}
