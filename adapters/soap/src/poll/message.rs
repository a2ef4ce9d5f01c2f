//! Writes a request: the envelope around a body's content, with the headers that are configured.
//!
//! WS-Security's UsernameToken profile 1.0: of a digest the nonce is 16 random bytes, new for each request, and the time is now.

use std::fmt::Write as _;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use jiff::{Timestamp, Unit};
use quick_xml::escape::escape;

use crate::envelope::{DIGEST, Version, WSA, WSSE, WSU};
use crate::security::{Account, digest};

const TEXT: &str = "http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-username-token-profile-1.0#PasswordText";
const BASE64: &str = "http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-soap-message-security-1.0#Base64Binary";

/// What stands in a request's header.
#[derive(Debug, Default)]
pub(super) struct Header<'a> {
    /// Who asks, and whether his password is sent as it is.
    pub(super) token: Option<(&'a Account, bool)>,
    /// How long the request holds.
    pub(super) timestamp: Option<Duration>,
    /// `wsa:Action` and `wsa:To`.
    pub(super) addressing: Option<(&'a str, &'a str)>,
}

/// A request. `random`: new for each.
pub(super) fn written(
    version: Version,
    header: &Header<'_>,
    content: &str,
    now: Timestamp,
    random: [u8; 16],
) -> String {
    let namespace = version.namespace();
    let mut out =
        format!("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<s:Envelope xmlns:s=\"{namespace}\">");
    let headers = headers(header, now, random);
    if !headers.is_empty() {
        out += &format!("<s:Header>{headers}</s:Header>");
    }
    out + &format!("<s:Body>{content}</s:Body></s:Envelope>")
}

fn headers(header: &Header<'_>, now: Timestamp, random: [u8; 16]) -> String {
    let mut out = String::new();
    // Writing to a string never fails.
    if let Some((action, to)) = header.addressing {
        let (action, to, id) = (escape(action), escape(to), uuid(random));
        let _ = write!(
            out,
            "<a:Action xmlns:a=\"{WSA}\" s:mustUnderstand=\"1\">{action}</a:Action><a:MessageID xmlns:a=\"{WSA}\">urn:uuid:{id}</a:MessageID><a:To xmlns:a=\"{WSA}\">{to}</a:To>"
        );
    }
    if header.token.is_none() && header.timestamp.is_none() {
        return out;
    }
    let created = seconds(now);
    let _ = write!(
        out,
        "<o:Security s:mustUnderstand=\"1\" xmlns:o=\"{WSSE}\" xmlns:u=\"{WSU}\">"
    );
    if let Some(holds) = header.timestamp {
        let expires = seconds(now.saturating_add(holds).unwrap_or(now));
        let _ = write!(
            out,
            "<u:Timestamp u:Id=\"_0\"><u:Created>{created}</u:Created><u:Expires>{expires}</u:Expires></u:Timestamp>"
        );
    }
    if let Some((account, as_text)) = header.token {
        let (kind, password) = match as_text {
            true => (TEXT, account.password.clone()),
            false => (DIGEST, digest(&random, &created, &account.password)),
        };
        let (user, password) = (escape(account.user.as_str()), escape(password.as_str()));
        let nonce = STANDARD.encode(random);
        let _ = write!(
            out,
            "<o:UsernameToken><o:Username>{user}</o:Username><o:Password Type=\"{kind}\">{password}</o:Password><o:Nonce EncodingType=\"{BASE64}\">{nonce}</o:Nonce><u:Created>{created}</u:Created></o:UsernameToken>"
        );
    }
    out + "</o:Security>"
}

/// A time with milliseconds: WCF and WSS4J read up to them.
fn seconds(time: Timestamp) -> String {
    let rounded = time.round(Unit::Millisecond).unwrap_or(time);
    format!("{rounded:.3}")
}

/// Of random bytes: version 4 of RFC 9562.
fn uuid(random: [u8; 16]) -> String {
    let mut number = u128::from_be_bytes(random);
    number = (number & !(0xF << 76)) | (0x4 << 76);
    number = (number & !(0x3 << 62)) | (0x2 << 62);
    let hex = format!("{number:032x}");
    format!(
        "{}-{}-{}-{}-{}",
        &hex[..8],
        &hex[8..12],
        &hex[12..16],
        &hex[16..20],
        &hex[20..]
    )
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::envelope::{Envelope, Reader};
    use crate::security::{Nonces, TokenRule, Use, timestamp, token};

    fn read(version: Version, header: &Header<'_>, now: Timestamp) -> Envelope {
        let text = written(version, header, "<Ask/>", now, [7; 16]);
        Reader::new(&[], Arc::default())
            .whole(text.as_bytes())
            .expect(&text)
    }

    #[test]
    fn what_is_written_is_let_in_by_who_checks_it() {
        let account = Account {
            user: "wms & co".into(),
            password: "s<3cret".into(),
        };
        let now: Timestamp = "2026-11-27T00:00:00.25Z".parse().expect("a time");
        for (version, as_text) in [
            (Version::V11, true),
            (Version::V11, false),
            (Version::V12, false),
        ] {
            let header = Header {
                token: Some((&account, as_text)),
                timestamp: Some(Duration::from_secs(300)),
                addressing: Some(("urn:a?b&c", "http://wms.local/")),
            };
            let found = read(version, &header, now);
            assert_eq!(found.version, Some(version));
            let rule = TokenRule {
                account: account.clone(),
                text: as_text,
                skew_us: 1,
            };
            let now_us = now.as_microsecond();
            assert_eq!(
                token(
                    &rule,
                    found.token.as_ref(),
                    [0; 32],
                    &mut Nonces::default(),
                    now_us
                ),
                Ok(Use::First)
            );
            let holds = found.timestamp.expect("a timestamp");
            assert_eq!(
                holds,
                (
                    "2026-11-27T00:00:00.250Z".into(),
                    "2026-11-27T00:05:00.250Z".into()
                )
            );
            assert_eq!(timestamp(&holds, now_us, 0), Ok(()));
            assert_eq!(found.action.as_deref(), Some("urn:a?b&c"));
            assert_eq!(
                found.message_id.as_deref(),
                Some("urn:uuid:07070707-0707-4707-8707-070707070707")
            );
            assert_eq!(found.not_understood, None);
        }
    }

    #[test]
    fn without_headers_there_is_no_header() {
        let text = written(
            Version::V12,
            &Header::default(),
            "<Ask/>",
            Timestamp::UNIX_EPOCH,
            [0; 16],
        );
        assert!(
            text.ends_with("envelope\"><s:Body><Ask/></s:Body></s:Envelope>"),
            "{text}"
        );
    }
}
