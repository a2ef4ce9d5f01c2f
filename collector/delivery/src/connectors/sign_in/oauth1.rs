//! OAuth 1 (RFC 5849) with HMAC-SHA256, which NetSuite calls token-based authentication. Pure: the nonce and the time
//! come in.
//!
//! What is signed are the method, the address and its query. A body is not: dray sends no forms to a target.

use ::http::{HeaderValue, Method, Uri};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use percent_encoding::{percent_decode_str, utf8_percent_encode};
use ring::hmac;

use super::secret::Secret;
use crate::template::RESERVED;

/// What signs requests.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::connectors) struct Keys {
    pub(super) consumer_key: String,
    pub(super) consumer_secret: Secret,
    pub(super) token: String,
    pub(super) token_secret: Secret,
    /// Empty: none.
    pub(super) realm: String,
}

impl Keys {
    /// The `Authorization` of a request (3.5.1). `seconds`: since 1970.
    pub(super) fn header(
        &self,
        method: &Method,
        uri: &Uri,
        nonce: &str,
        seconds: i64,
    ) -> Option<HeaderValue> {
        let seconds = seconds.to_string();
        let parameters = [
            ("oauth_consumer_key", self.consumer_key.as_str()),
            ("oauth_token", &self.token),
            ("oauth_signature_method", "HMAC-SHA256"),
            ("oauth_timestamp", &seconds),
            ("oauth_nonce", nonce),
            ("oauth_version", "1.0"),
        ];
        let mut all = query_of(uri);
        all.extend(parameters.map(|(name, value)| (name.to_owned(), value.to_owned())));
        let base = base_string(method, uri, &all)?;
        let key = format!(
            "{}&{}",
            encoded(&self.consumer_secret.0),
            encoded(&self.token_secret.0)
        );
        let key = hmac::Key::new(hmac::HMAC_SHA256, key.as_bytes());
        let signature = STANDARD.encode(hmac::sign(&key, base.as_bytes()));
        let mut said = String::from("OAuth ");
        if !self.realm.is_empty() {
            // A quoted text, not a parameter: it isn't percent-encoded, and not signed (3.4.1.3.1).
            said.push_str(&format!("realm=\"{}\", ", self.realm));
        }
        for (name, value) in parameters {
            said.push_str(&format!("{name}=\"{}\", ", encoded(value)));
        }
        said.push_str(&format!("oauth_signature=\"{}\"", encoded(&signature)));
        HeaderValue::try_from(said).ok()
    }
}

fn encoded(text: &str) -> String {
    utf8_percent_encode(text, RESERVED).to_string()
}

/// The query's parameters, decoded as a form's are (3.4.1.3.1).
fn query_of(uri: &Uri) -> Vec<(String, String)> {
    let decoded = |text: &str| {
        let spaced = text.replace('+', " ");
        percent_decode_str(&spaced).decode_utf8_lossy().into_owned()
    };
    let pairs = uri
        .query()
        .unwrap_or("")
        .split('&')
        .filter(|pair| !pair.is_empty());
    pairs
        .map(|pair| pair.split_once('=').unwrap_or((pair, "")))
        .map(|(name, value)| (decoded(name), decoded(value)))
        .collect()
}

/// 3.4.1.1; `parameters`: all but the signature and the realm.
fn base_string(method: &Method, uri: &Uri, parameters: &[(String, String)]) -> Option<String> {
    let scheme = uri.scheme_str()?.to_ascii_lowercase();
    let host = uri.host()?.to_ascii_lowercase();
    // 3.4.1.2: the scheme's own port is left out.
    let port = match uri.port_u16() {
        None => String::new(),
        Some(80) if scheme == "http" => String::new(),
        Some(443) if scheme == "https" => String::new(),
        Some(port) => format!(":{port}"),
    };
    let path = if uri.path().is_empty() {
        "/"
    } else {
        uri.path()
    };
    let mut pairs: Vec<_> = parameters
        .iter()
        .map(|(name, value)| (encoded(name), encoded(value)))
        .collect();
    pairs.sort();
    let pairs: Vec<_> = pairs
        .iter()
        .map(|(name, value)| format!("{name}={value}"))
        .collect();
    Some(format!(
        "{}&{}&{}",
        method.as_str().to_ascii_uppercase(),
        encoded(&format!("{scheme}://{host}{port}{path}")),
        encoded(&pairs.join("&"))
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pairs(list: &[(&str, &str)]) -> Vec<(String, String)> {
        let owned = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
        list.iter().map(owned).collect()
    }

    /// RFC 5849, 3.4.1.1 to 3.4.1.3.2, with the form's parameters.
    #[test]
    fn the_rfcs_base_string_comes_out() {
        let uri: Uri = "http://EXAMPLE.COM:80/request?b5=%3D%253D&a3=a&c%40=&a2=r%20b"
            .parse()
            .expect("an address");
        let mut all = query_of(&uri);
        all.extend(pairs(&[
            ("oauth_consumer_key", "9djdj82h48djs9d2"),
            ("oauth_token", "kkk9d7dh3k39sjv7"),
            ("oauth_signature_method", "HMAC-SHA1"),
            ("oauth_timestamp", "137131201"),
            ("oauth_nonce", "7d8f3e4a"),
            ("c2", ""),
            ("a3", "2 q"),
        ]));
        assert_eq!(
            base_string(&Method::POST, &uri, &all).as_deref(),
            Some(
                "POST&http%3A%2F%2Fexample.com%2Frequest&a2%3Dr%2520b%26a3%3D2%2520q%26a3%3Da%26b5%3D%253D%25253D%26c%2540%3D%26c2%3D%26oauth_consumer_key%3D9djdj82h48djs9d2%26oauth_nonce%3D7d8f3e4a%26oauth_signature_method%3DHMAC-SHA1%26oauth_timestamp%3D137131201%26oauth_token%3Dkkk9d7dh3k39sjv7"
            )
        );
    }

    /// 3.4.1.2.
    #[test]
    fn a_port_of_its_own_and_an_empty_path_are_signed() {
        for (uri, expected) in [
            (
                "https://www.example.net:8080/?q=1",
                "https%3A%2F%2Fwww.example.net%3A8080%2F",
            ),
            ("https://Example.net:443", "https%3A%2F%2Fexample.net%2F"),
            (
                "http://EXAMPLE.com:80/r%20v/X?id=123",
                "http%3A%2F%2Fexample.com%2Fr%2520v%2FX",
            ),
        ] {
            let parsed: Uri = uri.parse().expect("an address");
            let base = base_string(&Method::GET, &parsed, &[]);
            assert_eq!(base, Some(format!("GET&{expected}&")), "{uri}");
        }
        assert_eq!(
            encoded("Ladies + Gentlemen-._~☃"),
            "Ladies%20%2B%20Gentlemen-._~%E2%98%83"
        );
    }

    #[test]
    fn a_request_is_signed_as_another_implementation_signs_it() {
        let keys = Keys {
            consumer_key: "ck".into(),
            consumer_secret: Secret("c&s".into()),
            token: "tk".into(),
            token_secret: Secret("t s".into()),
            realm: "1234567_SB1".into(),
        };
        let uri = "https://1234567-sb1.restlets.api.netsuite.com/app/site/hosting/restlet.nl?script=6&deploy=1"
            .parse()
            .expect("an address");
        let header = keys.header(&Method::POST, &uri, "n0nce", 1_790_000_000);
        let said = header.expect("a header");
        assert_eq!(
            said.to_str().expect("text"),
            "OAuth realm=\"1234567_SB1\", oauth_consumer_key=\"ck\", oauth_token=\"tk\", oauth_signature_method=\"HMAC-SHA256\", oauth_timestamp=\"1790000000\", oauth_nonce=\"n0nce\", oauth_version=\"1.0\", oauth_signature=\"OfE3Fr0IS%2FFrVtdAcc8LdVHXvBV0bAqnSawiCn0oWQE%3D\""
        );
    }
}
