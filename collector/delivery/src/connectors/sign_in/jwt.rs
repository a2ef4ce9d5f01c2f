//! Assertions: JSON Web Tokens (RFC 7519) that we sign with a private key (RFC 7515), for RFC 7523. Pure.
//!
//! ring signs, as it does for TLS: the crates that make JWTs bring a cryptography of their own, and what is left of
//! their work are three parts of base64.

use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::rand::SystemRandom;
use ring::rsa;
use ring::signature::{
    ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, RSA_PKCS1_SHA256, RSA_PSS_SHA256, RsaEncoding,
};
use rustls::pki_types::PrivateKeyDer;
use rustls::pki_types::pem::PemObject;
use serde_json::{Value, json};

use crate::config::Algorithm;

/// How long an assertion can be used; some servers take none that can longer.
pub(super) const LIVES_SECONDS: i64 = 300;

/// A private key.
pub(super) enum Key {
    Rsa(Box<rsa::KeyPair>, &'static dyn RsaEncoding),
    Ecdsa(Box<EcdsaKeyPair>),
}

impl Key {
    /// Of a PEM file. Blocks.
    ///
    /// # Errors
    /// A sentence.
    pub(super) fn read(path: &Path, algorithm: Algorithm) -> Result<Self, String> {
        let wrong = |reason: &str| format!("auth.assertion.key_file {}: {reason}", path.display());
        let key = PrivateKeyDer::from_pem_file(path).map_err(|error| wrong(&error.to_string()))?;
        let pair = match (&key, algorithm) {
            (PrivateKeyDer::Pkcs8(der), Algorithm::ES256) => {
                let der = der.secret_pkcs8_der();
                let random = SystemRandom::new();
                EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, der, &random)
                    .map(|pair| Self::Ecdsa(Box::new(pair)))
            }
            (PrivateKeyDer::Pkcs8(der), _) => rsa::KeyPair::from_pkcs8(der.secret_pkcs8_der())
                .map(|pair| Self::Rsa(Box::new(pair), encoding(algorithm))),
            (PrivateKeyDer::Pkcs1(der), Algorithm::RS256 | Algorithm::PS256) => {
                rsa::KeyPair::from_der(der.secret_pkcs1_der())
                    .map(|pair| Self::Rsa(Box::new(pair), encoding(algorithm)))
            }
            _ => return Err(wrong("write it as PKCS #8 (openssl pkcs8 -topk8 -nocrypt)")),
        };
        pair.map_err(|error| wrong(&format!("it is no key for {algorithm:?}: {error}")))
    }

    fn sign(&self, message: &[u8]) -> Option<Vec<u8>> {
        let random = SystemRandom::new();
        match self {
            Self::Rsa(pair, encoding) => {
                let mut signature = vec![0; pair.public().modulus_len()];
                pair.sign(*encoding, &random, message, &mut signature)
                    .ok()?;
                Some(signature)
            }
            Self::Ecdsa(pair) => Some(pair.sign(&random, message).ok()?.as_ref().to_vec()),
        }
    }

    /// The signed token; `None` where the system has no randomness.
    pub(super) fn token(&self, header: &Value, claims: &Value) -> Option<String> {
        let encoded = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
        let message = format!("{}.{}", encoded(header), encoded(claims));
        let signature = URL_SAFE_NO_PAD.encode(self.sign(message.as_bytes())?);
        Some(format!("{message}.{signature}"))
    }
}

fn encoding(algorithm: Algorithm) -> &'static dyn RsaEncoding {
    match algorithm {
        Algorithm::PS256 => &RSA_PSS_SHA256,
        Algorithm::RS256 | Algorithm::ES256 => &RSA_PKCS1_SHA256,
    }
}

/// The header; `key_id` and `thumbprint` where they are not empty.
pub(super) fn header(algorithm: Algorithm, key_id: &str, thumbprint: &str) -> Value {
    let mut header = json!({"typ": "JWT", "alg": format!("{algorithm:?}")});
    for (name, value) in [("kid", key_id), ("x5t", thumbprint)] {
        if !value.is_empty() {
            header[name] = value.into();
        }
    }
    header
}

#[cfg(test)]
mod tests {
    use super::*;
    use ring::signature::{ECDSA_P256_SHA256_FIXED, KeyPair as _, UnparsedPublicKey};

    fn parts(token: &str) -> [Vec<u8>; 3] {
        let decoded = |part: &str| URL_SAFE_NO_PAD.decode(part).expect("base64");
        let list: Vec<_> = token.split('.').map(decoded).collect();
        list.try_into().expect("three parts")
    }

    #[test]
    fn a_token_is_signed_by_the_files_key() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("key.pem");
        let made = rcgen::KeyPair::generate_for(&rcgen::PKCS_ECDSA_P256_SHA256).expect("a key");
        std::fs::write(&path, made.serialize_pem()).expect("a file");
        let key = Key::read(&path, Algorithm::ES256).expect("a key");
        let header = header(Algorithm::ES256, "k1", "");
        let token = key
            .token(&header, &json!({"iss": "dray"}))
            .expect("a token");
        let [head, claims, signature] = parts(&token);
        assert_eq!(head, br#"{"alg":"ES256","kid":"k1","typ":"JWT"}"#);
        assert_eq!(claims, br#"{"iss":"dray"}"#);
        let message = token.rsplit_once('.').expect("a signature").0;
        let Key::Ecdsa(pair) = &key else {
            panic!("not RSA")
        };
        UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, pair.public_key().as_ref())
            .verify(message.as_bytes(), &signature)
            .expect("the key's signature");
        assert!(
            Key::read(&path, Algorithm::RS256)
                .err()
                .expect("no RSA key")
                .contains("no key for RS256")
        );
        std::fs::write(&path, "no PEM").expect("a file");
        assert!(Key::read(&path, Algorithm::ES256).is_err());
    }
}
