//! One-use invitations: a secret that the store knows by its hash only, and the CA's pin.

use dray_proto::token::Token;
use sha2::{Digest as _, Sha256};

/// How long a token lives.
pub const TOKEN_SECONDS: i64 = 3600;

/// A fresh token with the CA's pin.
#[must_use]
pub fn mint(ca_sha256: [u8; 32]) -> Token {
    Token {
        secret: rand::random(),
        ca_sha256,
    }
}

/// What the store keeps of a token.
#[must_use]
pub fn hash(secret: &[u8; 32]) -> String {
    hex::encode(Sha256::digest(secret))
}

/// The same from the text that an agent sends; `None` where it can't be a secret.
#[must_use]
pub fn hash_text(secret: &str) -> Option<String> {
    Token::secret_of(secret).map(|secret| hash(&secret))
}
