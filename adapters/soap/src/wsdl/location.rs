//! Where a document lies that another one names: always below the WSDL's own folder, or nowhere.

/// `written` in the document `from` (empty: the WSDL itself), as a path from the WSDL's folder, with `/` between folders.
///
/// # Errors
/// A sentence: it leads to a server, or out of the folder.
pub(super) fn local(from: &str, written: &str) -> Result<String, String> {
    let refused = |why: &str| {
        Err(format!(
            "\"{}\" {why}: save that file beside the WSDL, and write its name alone as the location",
            written.escape_debug()
        ))
    };
    if written.contains(['?', '#']) {
        return refused("is asked of a server, and nothing is fetched");
    }
    let Some(plain) = decoded(written) else {
        return refused("is no name of a file");
    };
    // Tools on Windows write their own folders' separators.
    let plain = plain.replace('\\', "/");
    if plain.contains(':') {
        return refused("is not beside the WSDL, and nothing is fetched");
    }
    if plain.starts_with('/') {
        return refused("is an absolute path");
    }
    if plain.chars().any(char::is_control) {
        return refused("is no name of a file");
    }
    let folder = from.rsplit_once('/').map_or("", |(folder, _)| folder);
    let mut steps: Vec<&str> = folder.split('/').filter(|step| !step.is_empty()).collect();
    for step in plain.split('/') {
        match step {
            "" | "." => {}
            ".." => {
                if steps.pop().is_none() {
                    return refused("climbs out of the WSDL's folder");
                }
            }
            step => steps.push(step),
        }
    }
    if steps.is_empty() {
        return refused("is no name of a file");
    }
    Ok(steps.join("/"))
}

/// Whether it leads to a server: then a caller of ours can follow it, and we need not.
pub(super) fn is_remote(written: &str) -> bool {
    let lower = written.trim().to_ascii_lowercase();
    lower.starts_with("http://") || lower.starts_with("https://") || lower.starts_with("urn:")
}

/// A name as it may stand in the query of a URL. RFC 3986, section 2.3.
pub(super) fn encoded(name: &str) -> String {
    let mut out = String::new();
    for byte in name.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' | b'/' => {
                out.push(char::from(byte));
            }
            byte => out.push_str(&format!("%{byte:02X}")),
        }
    }
    out
}

/// With `%20` and its like as what they mean.
fn decoded(written: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(written.len());
    let mut rest = written.as_bytes();
    while let [first, after @ ..] = rest {
        rest = after;
        if *first != b'%' {
            bytes.push(*first);
            continue;
        }
        let digits = after
            .get(..2)
            .and_then(|two| std::str::from_utf8(two).ok())?;
        if !digits.bytes().all(|digit| digit.is_ascii_hexdigit()) {
            return None;
        }
        bytes.push(u8::from_str_radix(digits, 16).ok()?);
        rest = &after[2..];
    }
    String::from_utf8(bytes).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(from: &str, written: &str, expected: &str) {
        match local(from, written) {
            Ok(path) => assert_eq!(path, expected, "{from} {written}"),
            Err(why) => {
                assert!(why.contains(expected), "{from} {written}: {why}");
                assert!(why.contains("save that file beside the WSDL"), "{why}");
            }
        }
    }

    #[test]
    fn a_location_leads_to_a_file_below_the_wsdl_or_is_refused() {
        for (from, written, expected) in [
            ("", "types.xsd", "types.xsd"),
            ("", "./xsd/types.xsd", "xsd/types.xsd"),
            ("xsd/a.xsd", "b.xsd", "xsd/b.xsd"),
            ("xsd/a.xsd", "../c/b.xsd", "c/b.xsd"),
            ("", "xsd\\our%20types.xsd", "xsd/our types.xsd"),
            ("", "100%25.xsd", "100%.xsd"),
            ("", "http://wms.local/types.xsd", "nothing is fetched"),
            ("", "HTTPS://wms.local/a.xsd", "nothing is fetched"),
            ("", "file:///etc/passwd", "nothing is fetched"),
            ("", "C:\\wms\\types.xsd", "nothing is fetched"),
            ("", "%43%3a/types.xsd", "nothing is fetched"),
            ("", "a.xsd:stream", "nothing is fetched"),
            ("", "/etc/passwd", "an absolute path"),
            ("", "\\\\host\\share\\a.xsd", "an absolute path"),
            ("", "../types.xsd", "climbs out"),
            ("xsd/a.xsd", "../../types.xsd", "climbs out"),
            ("", "%2e%2e/types.xsd", "climbs out"),
            ("", "a/..\\..\\types.xsd", "climbs out"),
            ("", "types?xsd=1", "asked of a server"),
            ("", "types.xsd#part", "asked of a server"),
            ("", "a%00.xsd", "no name of a file"),
            ("", "a%zz.xsd", "no name of a file"),
            ("", "a%+1.xsd", "no name of a file"),
            ("", "a%", "no name of a file"),
            ("", "%ff.xsd", "no name of a file"),
            ("", "./", "no name of a file"),
            ("", "", "no name of a file"),
        ] {
            check(from, written, expected);
        }
    }

    #[test]
    fn a_name_in_a_query_is_encoded() {
        assert_eq!(
            encoded("xsd/our types&é.xsd"),
            "xsd/our%20types%26%C3%A9.xsd"
        );
    }
}
