//! WS-Security's UsernameToken (OASIS, UsernameToken Profile 1.1.1), as text or as a digest, in an envelope of ours.
//! Pure: nonce and time come in.
//!
//! It is put in as the message leaves: what a dead letter keeps of a request is the envelope without it.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use memchr::memmem;
use ring::digest;

use crate::calls::soap::HEADER;
use crate::config::PasswordAs;
use crate::template::xml::escape;

const SECEXT: &str =
    "http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-wssecurity-secext-1.0.xsd";
const UTILITY: &str =
    "http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-wssecurity-utility-1.0.xsd";
const TOKEN: &str =
    "http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-username-token-profile-1.0";
const BASE64: &str = "http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-soap-message-security-1.0#Base64Binary";

/// Who calls.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::connectors) struct Token {
    pub(super) user: String,
    pub(super) password: String,
    pub(super) sent_as: PasswordAs,
}

impl Token {
    /// The envelope with the token in its header; `None` where it is none of ours, or XML cannot hold a name or password.
    /// `created`: RFC 3339, UTC.
    pub(super) fn put(&self, envelope: &[u8], nonce: &[u8], created: &str) -> Option<Vec<u8>> {
        let at = memmem::find(envelope, HEADER.as_bytes())? + HEADER.len();
        let (mut user, mut password) = (String::new(), String::new());
        escape(&mut user, &self.user).ok()?;
        let kind = match self.sent_as {
            PasswordAs::Text => {
                escape(&mut password, &self.password).ok()?;
                "PasswordText"
            }
            PasswordAs::Digest => {
                password = self.digest(nonce, created);
                "PasswordDigest"
            }
        };
        let token = format!(
            "<wsse:Security xmlns:wsse=\"{SECEXT}\" xmlns:wsu=\"{UTILITY}\" soap:mustUnderstand=\"1\"><wsse:UsernameToken>\
             <wsse:Username>{user}</wsse:Username><wsse:Password Type=\"{TOKEN}#{kind}\">{password}</wsse:Password>\
             <wsse:Nonce EncodingType=\"{BASE64}\">{}</wsse:Nonce><wsu:Created>{created}</wsu:Created></wsse:UsernameToken></wsse:Security>",
            STANDARD.encode(nonce)
        );
        Some([&envelope[..at], token.as_bytes(), &envelope[at..]].concat())
    }

    /// Base64(SHA-1(nonce, created, password)).
    fn digest(&self, nonce: &[u8], created: &str) -> String {
        let mut hash = digest::Context::new(&digest::SHA1_FOR_LEGACY_USE_ONLY);
        for part in [nonce, created.as_bytes(), self.password.as_bytes()] {
            hash.update(part);
        }
        STANDARD.encode(hash.finish())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::calls::soap::Version;

    fn token(sent_as: PasswordAs) -> Token {
        Token {
            user: "A&B".into(),
            password: "p<w".into(),
            sent_as,
        }
    }

    #[test]
    fn the_token_stands_in_the_header_and_a_digest_holds_no_password() {
        let envelope = Version::V11.envelope("<h xmlns=\"urn:h\"/>", "<b/>");
        let made = |sent_as| {
            let made = token(sent_as).put(&envelope, b"0123456789abcdef", "2026-11-28T11:00:00Z");
            String::from_utf8(made.expect("an envelope")).expect("UTF-8")
        };
        let text = made(PasswordAs::Text);
        assert!(text.contains("<soap:Header><wsse:Security "), "{text}");
        assert!(text.contains("</wsse:Security><h xmlns"), "{text}");
        assert!(text.contains("<wsse:Username>A&amp;B<"), "{text}");
        assert!(text.contains("#PasswordText\">p&lt;w<"), "{text}");
        let digest = made(PasswordAs::Digest);
        assert!(!digest.contains("p&lt;w"), "{digest}");
        assert!(digest.contains(">MDEyMzQ1Njc4OWFiY2RlZg==<"), "{digest}");
        // As Python's hashlib has it.
        assert!(
            digest.contains(">LSKApLetmKMwtcidC4V7EEfu24M=<"),
            "{digest}"
        );
        assert!(sxd_document::parser::parse(&digest).is_ok());
        assert_eq!(token(PasswordAs::Text).put(b"<a/>", b"", ""), None);
    }
}
