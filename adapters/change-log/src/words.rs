//! What drivers say, in words that help.

/// What libraries say where a connection ended, and what else they say that nobody understands.
const SAID: [(&str, &str); 5] = [
    ("EOF while reading", ENDED),
    ("connection closed", ENDED),
    ("Connection reset by peer", ENDED),
    ("Broken pipe", ENDED),
    (
        "Client asked for SSL",
        "it has no TLS: let the DBA set ssl_cert, ssl_key and ssl_ca in its configuration and restart it, or take [flow.source.tls] away where the network is trusted, and write in_clear_text = true",
    ),
];
const ENDED: &str = "the server ended the connection";
/// Hints by parts of what drivers of ODBC say.
#[cfg(feature = "odbc")]
const HINTS: [(&str, &str); 4] = [
    ("password authentication failed", LOGIN),
    ("Access denied for user", LOGIN),
    ("28000", LOGIN),
    (
        "Can't open lib",
        "; the driver is not installed, or is called otherwise: odbcinst -q -d lists those that are",
    ),
];
#[cfg(feature = "odbc")]
const LOGIN: &str = "; look at user and password_file";

/// A driver's words, or plainer ones.
pub(crate) fn of(said: &str) -> String {
    let known = SAID.iter().find(|(part, _)| said.contains(part));
    known.map_or_else(|| one_line(said), |(_, plain)| (*plain).to_owned())
}

/// Whether PostgreSQL says that a value is no UTF-8 (`character_not_in_repertoire`): no time mends that.
pub(crate) fn is_no_utf_8(said: &str) -> bool {
    [
        "(22021)",
        "State: 22021",
        "invalid byte sequence for encoding \"UTF8\"",
    ]
    .iter()
    .any(|words| said.contains(words))
}

/// What is to be done with such a value of a table that is asked.
pub(crate) const NO_UTF_8: &str = "; a value is no UTF-8, which a database of the encoding SQL_ASCII takes: correct it in its table, or write a query that leaves its column out";

/// In one line: it stands in a column of `status`.
fn one_line(said: &str) -> String {
    let lines = said.lines().map(str::trim);
    let lines: Vec<_> = lines.filter(|line| !line.is_empty()).collect();
    lines.join(" ")
}

/// Of a driver of ODBC: one line, with a hint.
#[cfg(feature = "odbc")]
pub(crate) fn of_odbc(said: &str) -> String {
    let hint = HINTS.iter().find(|(part, _)| said.contains(part));
    let hint = hint.map_or("", |(_, hint)| hint);
    format!("{}{hint}", one_line(said))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_drivers_say_is_told_in_one_plain_line() {
        for (said, expected) in [
            ("I/O error: EOF while reading backend message header", ENDED),
            (
                "Input/output error: Input/output error: connection closed",
                ENDED,
            ),
            ("ERROR: a\n  DETAIL: b\n", "ERROR: a DETAIL: b"),
        ] {
            assert_eq!(of(said), expected);
        }
        let tls =
            of("Driver error: `Client asked for SSL but server does not have this capability'");
        assert!(tls.starts_with("it has no TLS"), "{tls}");
    }

    #[cfg(feature = "odbc")]
    #[test]
    fn what_odbc_says_has_a_hint() {
        let said = "ODBC emitted an error calling 'SQLDriverConnect':\nState: 28000, Native error: 1045, Message: Access denied for user 'dray'";
        assert_eq!(
            of_odbc(said),
            "ODBC emitted an error calling 'SQLDriverConnect': State: 28000, Native error: 1045, Message: Access denied for user 'dray'; look at user and password_file"
        );
    }
}
