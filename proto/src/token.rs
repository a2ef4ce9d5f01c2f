//! The invitation that an operator carries from the collector to an agent.

use std::fmt;
use std::str::FromStr;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use thiserror::Error;

/// How a token begins; another version would begin otherwise.
const PREFIX: &str = "dray1.";

/// A one-use secret and the pin of the CA that the agent is to trust.
///
/// ```text
/// "dray1." base64url(secret, 32 bytes ‖ SHA-256 of the CA certificate's DER, 32 bytes)
/// ```
/// Anybody who holds it may enrol one agent: it is shown once, and never logged.
#[derive(Clone, PartialEq, Eq)]
pub struct Token {
    /// Random; the collector keeps its SHA-256 only.
    pub secret: [u8; 32],
    /// SHA-256 of the CA certificate's DER.
    pub ca_sha256: [u8; 32],
}

impl Token {
    /// The secret as it travels in `EnrolRequest`: base64url without padding.
    #[must_use]
    pub fn secret_text(&self) -> String {
        URL_SAFE_NO_PAD.encode(self.secret)
    }

    /// Reads what [`Self::secret_text`] wrote; `None` for anything else.
    #[must_use]
    pub fn secret_of(text: &str) -> Option<[u8; 32]> {
        URL_SAFE_NO_PAD.decode(text).ok()?.try_into().ok()
    }
}

impl fmt::Display for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut bytes = [0; 64];
        bytes[..32].copy_from_slice(&self.secret);
        bytes[32..].copy_from_slice(&self.ca_sha256);
        write!(f, "{PREFIX}{}", URL_SAFE_NO_PAD.encode(bytes))
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token(secret)")
    }
}

/// A text that is no token.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error(
    "this is no token: it begins with \"dray1.\" and has 92 characters, as \"dray-collector invite SITE\" prints it; was all of it copied?"
)]
pub struct TokenError;

impl FromStr for Token {
    type Err = TokenError;

    fn from_str(text: &str) -> Result<Self, TokenError> {
        let encoded = text.trim().strip_prefix(PREFIX).ok_or(TokenError)?;
        let bytes = URL_SAFE_NO_PAD.decode(encoded).map_err(|_| TokenError)?;
        let (secret, ca_sha256) = bytes.split_at_checked(32).ok_or(TokenError)?;
        match (secret.try_into(), ca_sha256.try_into()) {
            (Ok(secret), Ok(ca_sha256)) => Ok(Self { secret, ca_sha256 }),
            _ => Err(TokenError),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_read_as_it_was_written_and_a_part_of_it_is_none() {
        let token = Token {
            secret: [0xFB; 32],
            ca_sha256: [7; 32],
        };
        let text = token.to_string();
        assert_eq!(text.len(), 92);
        assert_eq!(text.parse(), Ok(token.clone()));
        assert_eq!(format!(" {text}\n").parse(), Ok(token.clone()));
        assert_eq!(Token::secret_of(&token.secret_text()), Some([0xFB; 32]));
        for bad in [
            "",
            "dray1.",
            "dray2.AAAA",
            &text[1..],
            &text[..91],
            &text.replace("dray1.", "dray2."),
        ] {
            assert_eq!(bad.parse::<Token>(), Err(TokenError), "{bad}");
        }
        assert!(!format!("{token:?}").contains("fb"));
    }
}
