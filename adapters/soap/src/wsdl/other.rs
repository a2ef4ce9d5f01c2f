//! What a file is that is no WSDL, for who saved the wrong thing.

/// Bytes at the beginning that are looked at.
const LOOKED_AT: usize = 4 * 1024;
/// Where a WSDL usually is.
const WHERE: &str = "a service usually gives its WSDL at its own address with ?wsdl behind it, e.g. http://wms.local/service?wsdl: save that";

/// How files begin, as small letters without white space before them.
const BEGINNINGS: [(&str, &str); 8] = [
    ("<!doctype html", "a page of HTML"),
    ("<html", "a page of HTML"),
    ("{", "JSON"),
    ("[", "JSON"),
    ("%pdf", "a PDF"),
    ("pk\u{3}\u{4}", "packed (ZIP): unpack it"),
    ("openapi:", "a description in OpenAPI"),
    (
        "http/",
        "an answer of HTTP with its head: save the body alone",
    ),
];

/// What it is by its beginning, where that can't be a WSDL.
pub(super) fn kind(bytes: &[u8]) -> Option<&'static str> {
    if bytes.starts_with(&[0x1f, 0x8b]) {
        return Some("packed (gzip): unpack it");
    }
    let begin = String::from_utf8_lossy(&bytes[..bytes.len().min(LOOKED_AT)]).to_lowercase();
    let begin = begin.trim_start_matches(['\u{FEFF}', ' ', '\t', '\r', '\n']);
    if begin.is_empty() && bytes.len() <= LOOKED_AT {
        return Some("empty");
    }
    let mut beginnings = BEGINNINGS.iter();
    let found = beginnings.find(|(beginning, _)| begin.starts_with(beginning));
    found.map(|(_, what)| *what).or_else(|| {
        // Behind a declaration of XML a page is HTML all the same. What stands further on may be a comment of a WSDL.
        let (_, behind) = begin.strip_prefix("<?xml")?.split_once("?>")?;
        let is_page = behind.trim_start().starts_with("<!doctype html");
        is_page.then_some("a page of HTML")
    })
}

/// That a document is something else. `path`: from the WSDL's folder; the WSDL's own is empty.
pub(super) fn no_wsdl(path: &str, kind: &str) -> String {
    if path.is_empty() {
        format!("it is {kind}, and no WSDL; {WHERE}")
    } else {
        format!(
            "it is {kind}, and neither WSDL nor schema: save again what the WSDL's own address leads to by that name"
        )
    }
}

/// What an XML document is by its root element.
pub(super) fn of_root(name: &str) -> Option<&'static str> {
    match name {
        "schema" => Some("a schema (XSD), which says how messages look and not what can be called"),
        "Envelope" => Some("a SOAP message"),
        "application" => Some("a WADL, which describes calls without SOAP"),
        "html" => Some("a page of HTML"),
        _ => None,
    }
}
