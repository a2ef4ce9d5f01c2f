//! Whether an address stays where its template puts it: pure.

use percent_encoding::percent_decode_str;

/// Why not, if it doesn't: a value that leads out of its place sends the event, with our credentials, to another one.
///
/// A fragment is never sent: what follows the `#` would be left out without a word. A segment that is or holds a dot segment
/// (RFC 3986, 5.2.4) is one to a server that decodes it first, also where its slash is encoded.
pub(super) fn leads_out(address: &str) -> Option<&'static str> {
    if address.contains('#') {
        return Some(
            "has a \"#\", and what follows it would not be sent; a value with one needs the filter urlencode",
        );
    }
    let path = address.split('?').next().unwrap_or("");
    let path = path.split_once("://").map_or(path, |(_, rest)| rest);
    let is_dots = |segment: &str| {
        let decoded = percent_decode_str(segment).decode_utf8_lossy();
        let mut parts = decoded.split(['/', '\\']);
        parts.any(|part| matches!(part, "." | ".."))
    };
    path.split('/').any(is_dots).then_some(
        "has a part \".\" or \"..\", which leads to another place; what a value with one is to be called there, the template must say (the filter plain)",
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_with_dot_segments_or_a_fragment_leads_out_of_its_place() {
        for address in [
            "items/..",
            "items/.",
            "../items",
            "./items",
            "items/../../admin/del",
            "items/%2e%2E",
            "items/.%2e/x",
            "items/..%2F..%2Fadmin",
            "items/a%2f..",
            "items/..%5Cadmin",
            "items/..\\admin",
            "/api/v1/../x?y",
            "http://erp.example/../x",
            "items/a#frag",
            "items#",
            "items?q=a#b",
        ] {
            assert!(leads_out(address).is_some(), "{address}");
        }
        for address in [
            "",
            "items",
            "/items/a.b",
            "items/...",
            "items/..a",
            "items?q=../..",
            "items/%252e%252e",
            "Items('..')",
            "Items('a%2Fb')",
            "items/a%23b",
            "http://erp.example/x",
        ] {
            assert_eq!(leads_out(address), None, "{address}");
        }
    }
}
