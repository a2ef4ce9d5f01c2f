//! SOAP 1.1 and 1.2: the envelope around a call's body, and what an answer means that holds a fault. Pure.
//!
//! | fault | outcome |
//! |---|---|
//! | `Client`, `Sender` (also `Client.Something`), and any code of the service's own | rejected: it speaks of the message |
//! | `Server`, `Receiver` | transient |
//! | `VersionMismatch`, `MustUnderstand`, `DataEncodingUnknown` | misconfigured |
//! | WS-Security's `FailedAuthentication`, `InvalidSecurity`, `InvalidSecurityToken`, `FailedCheck`, `SecurityTokenUnavailable` | auth |
//!
//! A fault counts where it may stand: in a 2xx, a 400 or a 500 (SOAP 1.1, 6.2; SOAP 1.2 part 2, 7.5.1.2). Elsewhere, and
//! where there is none, HTTP's own words do. But a 2xx with something that is no envelope is *unknown*: whatever says so,
//! a page of a sign-in or of something in between, it is not the service that took the message.

use ::http::header::{CONTENT_TYPE, HeaderName, HeaderValue};
use jiff::Timestamp;
use serde::Deserialize;

use crate::answer::{Answer, Place};
use crate::outcome::Outcome;

/// What stands in every envelope: where what says who is calling is put in.
pub(crate) const HEADER: &str = "<soap:Header>";

/// Where a fault stands.
const FAULT: &str = "/*[local-name()='Envelope']/*[local-name()='Body']/*[local-name()='Fault']";
/// Subcodes within subcodes, each more exact than the one around it: as deep as they are looked at.
const SUBCODES_MAX: usize = 4;

/// Which SOAP.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
pub enum Version {
    /// 1.1.
    #[default]
    #[serde(rename = "1.1")]
    V11,
    /// 1.2.
    #[serde(rename = "1.2")]
    V12,
}

impl Version {
    fn namespace(self) -> &'static str {
        match self {
            Self::V11 => "http://schemas.xmlsoap.org/soap/envelope/",
            Self::V12 => "http://www.w3.org/2003/05/soap-envelope",
        }
    }

    /// The whole message.
    #[must_use]
    pub fn envelope(self, header: &str, body: &str) -> Vec<u8> {
        format!(
            "<?xml version=\"1.0\" encoding=\"utf-8\"?><soap:Envelope xmlns:soap=\"{}\">{HEADER}{}</soap:Header><soap:Body>{}</soap:Body></soap:Envelope>",
            self.namespace(),
            header.trim(),
            body.trim()
        )
        .into_bytes()
    }

    /// The headers that name the message and what it is for; `None` where no header may hold the action.
    #[must_use]
    pub fn headers(self, action: &str) -> Option<Vec<(HeaderName, HeaderValue)>> {
        let action = action.trim();
        if action.contains('"') {
            return None;
        }
        Some(match self {
            Self::V11 => vec![
                (
                    CONTENT_TYPE,
                    HeaderValue::from_static("text/xml; charset=utf-8"),
                ),
                (
                    HeaderName::from_static("soapaction"),
                    HeaderValue::try_from(format!("\"{action}\"")).ok()?,
                ),
            ],
            Self::V12 => {
                let action = match action {
                    "" => String::new(),
                    action => format!("; action=\"{action}\""),
                };
                let kind = format!("application/soap+xml; charset=utf-8{action}");
                vec![(CONTENT_TYPE, HeaderValue::try_from(kind).ok()?)]
            }
        })
    }
}

/// What an answer means where no rule says it.
#[must_use]
pub fn outcome(answer: &Answer<'_>, now: Timestamp) -> Outcome {
    let may_hold_one = matches!(answer.status, 200..=299 | 400 | 500);
    let Some(fault) = may_hold_one.then(|| Fault::of(answer)).flatten() else {
        return match Outcome::of(answer, now) {
            Outcome::Done if !answer.body.trim_ascii().is_empty() && !is_envelope(answer) => {
                let said = "it is no SOAP envelope; where that means success, write a rule for it";
                Outcome::Unknown(answer.reason(Some(said)))
            }
            other => other,
        };
    };
    let reason = answer.reason(Some(&fault.words()));
    let named = |names: &[&str]| {
        fault
            .codes
            .iter()
            .any(|code| names.iter().any(|name| code == name))
    };
    if named(&[
        "FailedAuthentication",
        "InvalidSecurity",
        "InvalidSecurityToken",
        "FailedCheck",
        "SecurityTokenUnavailable",
    ]) {
        return Outcome::Auth(reason);
    }
    match fault.codes[0].as_str() {
        // It doesn't say whose fault it is.
        "" if answer.status >= 500 => Outcome::Transient(reason),
        "Server" | "Receiver" => Outcome::Transient(reason),
        "VersionMismatch" | "MustUnderstand" | "DataEncodingUnknown" => {
            Outcome::Misconfigured(reason)
        }
        _ => Outcome::Rejected(reason),
    }
}

fn is_envelope(answer: &Answer<'_>) -> bool {
    let body = "boolean(/*[local-name()='Envelope']/*[local-name()='Body'])";
    answer.value(&Place::XPath(body.into())).is_some()
}

/// What a fault says.
struct Fault {
    /// Without prefixes: the class, then what is more exact. At least one.
    codes: Vec<String>,
    text: String,
}

impl Fault {
    fn of(answer: &Answer<'_>) -> Option<Self> {
        let at = |path: &str| answer.value(&Place::XPath(format!("{FAULT}{path}")));
        let said = |first: Option<String>, second: &str| first.or_else(|| at(second));
        let code = said(
            at("/*[local-name()='faultcode']"),
            "/*[local-name()='Code']/*[local-name()='Value']",
        );
        // Without a code it is one where SOAP calls it so, and not the service.
        let of_soap = || {
            let of_soap = format!("boolean({FAULT}[namespace-uri()=namespace-uri(/*)])");
            answer.value(&Place::XPath(of_soap)).map(|_| String::new())
        };
        let code = code.or_else(of_soap)?;
        let local = |code: String| -> Vec<String> {
            let local = code.rsplit(':').next().unwrap_or("").trim();
            local.split('.').map(str::to_owned).collect()
        };
        let mut codes = local(code);
        let mut subcode = "/*[local-name()='Code']".to_owned();
        for _ in 0..SUBCODES_MAX {
            subcode.push_str("/*[local-name()='Subcode']");
            let more = at(&format!("{subcode}/*[local-name()='Value']"));
            codes.extend(more.into_iter().flat_map(local));
        }
        let text = said(
            at("/*[local-name()='faultstring']"),
            "/*[local-name()='Reason']/*[local-name()='Text']",
        );
        Some(Self {
            codes,
            text: text.unwrap_or_default(),
        })
    }

    fn words(&self) -> String {
        let codes = self.codes.join(".");
        match codes.as_str() {
            "" => self.text.clone(),
            _ => format!("{codes}: {}", self.text),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ::http::HeaderMap;

    fn old(code: &str) -> String {
        format!(
            "<s:Envelope xmlns:s=\"http://schemas.xmlsoap.org/soap/envelope/\"><s:Body><s:Fault><faultcode>{code}</faultcode>\
             <faultstring>the period is closed</faultstring></s:Fault></s:Body></s:Envelope>"
        )
    }

    fn new(code: &str, subcode: &str) -> String {
        let subcode = match subcode {
            "" => String::new(),
            code => format!("<e:Subcode><e:Value>{code}</e:Value></e:Subcode>"),
        };
        format!(
            "<e:Envelope xmlns:e=\"http://www.w3.org/2003/05/soap-envelope\"><e:Header/><e:Body><e:Fault><e:Code><e:Value>{code}</e:Value>{subcode}\
             </e:Code><e:Reason><e:Text xml:lang=\"en\">the period is closed</e:Text></e:Reason></e:Fault></e:Body></e:Envelope>"
        )
    }

    #[test]
    fn a_fault_means_what_its_code_says_where_a_fault_may_stand() {
        let ok = "<e:Envelope xmlns:e=\"http://www.w3.org/2003/05/soap-envelope\"><e:Body><Fault/></e:Body></e:Envelope>";
        let words = "the period is closed";
        for (status, body, expected) in [
            (500, old("s:Client"), "Rejected"),
            (500, old("s:Client.Validation"), "Rejected"),
            (500, old("app:PeriodClosed"), "Rejected"),
            (500, old("s:Server"), "Transient"),
            (200, old("s:Server"), "Transient"),
            (200, old("SOAP-ENV:Client"), "Rejected"),
            (500, old("wsse:FailedAuthentication"), "Auth"),
            (500, old("s:MustUnderstand"), "Misconfigured"),
            (400, new("e:Sender", ""), "Rejected"),
            (500, new("e:Receiver", ""), "Transient"),
            (400, new("e:Sender", "wsse:InvalidSecurity"), "Auth"),
            (500, new("e:VersionMismatch", ""), "Misconfigured"),
            // A fault where none belongs: the server in front says it.
            (503, old("s:Client"), "Transient"),
            (404, old("s:Server"), "Misconfigured"),
            (200, ok.to_owned(), "Done"),
            (202, String::new(), "Done"),
            (500, "<html>".to_owned(), "Transient"),
            // A 2xx that is no envelope is nobody's success.
            (200, "<html><p>Sign in".to_owned(), "Unknown"),
            (200, "<Envelope/>".to_owned(), "Unknown"),
            (200, "OK".to_owned(), "Unknown"),
            (200, " \r\n".to_owned(), "Done"),
            // A fault without its code is one.
            (
                200,
                old("s:Client").replace("faultcode", "code"),
                "Rejected",
            ),
            (
                500,
                old("s:Client").replace("faultcode", "code"),
                "Transient",
            ),
            (200, new("", ""), "Rejected"),
            // The code may stand deeper.
            (
                500,
                new(
                    "e:Sender",
                    "a:Invalid</e:Value><e:Subcode><e:Value>wsse:FailedCheck</e:Value></e:Subcode><e:Value>",
                ),
                "Auth",
            ),
            // More than is read of it.
            (
                200,
                old("s:Client").replace("</s:Fault></s:Body></s:Envelope>", "")
                    + &"<detail><at x='>'>a &amp; b</at>".repeat(9)
                    + "<more",
                "Rejected",
            ),
            (200, ok[..ok.len() - 3].to_owned(), "Done"),
            (200, format!("\u{feff}{}", old("s:Client")), "Rejected"),
        ] {
            let headers = HeaderMap::new();
            let answer = Answer::new(status, &headers, body.as_bytes());
            let found = outcome(&answer, Timestamp::UNIX_EPOCH);
            let said = format!("{found:?}");
            assert!(said.starts_with(expected), "{status} {body}: {said}");
            if body.contains(words) && expected == "Rejected" {
                assert!(said.contains(words), "{said}");
                assert!(!said.contains("Envelope"), "{said}");
            }
        }
    }

    #[test]
    fn a_fault_is_found_in_whatever_letters_and_beside_whatever_parts_it_comes() {
        let said = |kind: &'static str, body: &[u8]| {
            let mut headers = HeaderMap::new();
            headers.insert(CONTENT_TYPE, HeaderValue::from_static(kind));
            let answer = Answer::new(200, &headers, body);
            format!("{:?}", outcome(&answer, Timestamp::UNIX_EPOCH))
        };
        let fault = old("s:Client").replace("closed", "geschlossen: Köln");
        let (latin, ..) = encoding_rs::WINDOWS_1252.encode(&fault);
        let declared = [&b"<?xml version='1.0' encoding='ISO-8859-1'?>"[..], &latin].concat();
        let wide: Vec<u8> = format!("\u{feff}{fault}")
            .encode_utf16()
            .flat_map(u16::to_le_bytes)
            .collect();
        let parts = |envelope: &str| {
            let head = "--b\r\nContent-ID: <root@x>\r\nContent-Type: application/xop+xml\r\n\r\n";
            let file = b"\r\n--b\r\nContent-ID: <a@x>\r\n\r\n\xff\xfe\r\n--b--";
            [head.as_bytes(), envelope.as_bytes(), file].concat()
        };
        let related = "multipart/related; type=\"application/xop+xml\"; boundary=b";
        for (kind, body) in [
            ("text/xml; charset=ISO-8859-1", &latin[..]),
            ("text/xml; charset=\"windows-1252\"", &latin),
            ("text/xml", &declared),
            ("text/xml", &wide),
            ("text/xml; charset=utf-16", fault.as_bytes()),
            ("text/xml; charset=utf-16", &wide[2..]),
            (related, &parts(&fault)),
        ] {
            let said = said(kind, body);
            assert!(said.starts_with("Rejected"), "{kind}: {said}");
            assert!(said.contains("Köln"), "{kind}: {said}");
        }
        let good = "<e:Envelope xmlns:e=\"urn:e\"><e:Body/></e:Envelope>";
        assert_eq!(said(related, &parts(good)), "Done");
    }

    #[test]
    fn an_envelope_is_as_its_version_has_it() {
        let text = |version: Version| {
            String::from_utf8(version.envelope("", " <a xmlns=\"urn:a\"/> ")).expect("UTF-8")
        };
        assert!(text(Version::V11).contains("xmlns:soap=\"http://schemas.xmlsoap.org/soap/envelope/\"><soap:Header></soap:Header><soap:Body><a xmlns=\"urn:a\"/></soap:Body>"));
        assert!(text(Version::V12).contains("2003/05/soap-envelope"));
        let action = |version: Version, action: &str| {
            let headers = version.headers(action)?;
            Some(headers.last()?.1.to_str().ok()?.to_owned())
        };
        for (version, named, expected) in [
            (Version::V11, "urn:put", Some("\"urn:put\"")),
            (Version::V11, "", Some("\"\"")),
            (
                Version::V12,
                "urn:put",
                Some("application/soap+xml; charset=utf-8; action=\"urn:put\""),
            ),
            (
                Version::V12,
                "",
                Some("application/soap+xml; charset=utf-8"),
            ),
            (Version::V12, "a\"b", None),
            (Version::V11, "a\nb", None),
        ] {
            assert_eq!(action(version, named).as_deref(), expected, "{named:?}");
        }
    }
}
