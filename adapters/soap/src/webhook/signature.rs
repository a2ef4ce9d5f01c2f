//! HMAC-SHA-256 over a body (RFC 2104), compared in constant time.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit as _, Mac as _};
use hyper::header::{HeaderMap, HeaderValue};
use sha2::Sha256;

use super::config::{Encoding, SignatureConfig};
use crate::content::Content;
use crate::security::Denied;

/// How calls are signed.
#[derive(Clone)]
pub(super) struct Signature {
    header: String,
    encoding: Encoding,
    prefix: String,
    time_header: Option<String>,
    skew_s: u64,
    mac: Hmac<Sha256>,
}

fn said<'h>(headers: &'h HeaderMap, name: &str) -> Option<&'h str> {
    headers
        .get(name)
        .map(HeaderValue::to_str)
        .and_then(Result::ok)
}

impl Signature {
    pub(super) fn new(config: &SignatureConfig, secret: &str) -> Result<Self, String> {
        let mac = Hmac::new_from_slice(secret.as_bytes()).map_err(|error| error.to_string())?;
        Ok(Self {
            header: config.header.clone(),
            encoding: config.encoding,
            prefix: config.prefix.clone(),
            time_header: config.time_header.clone(),
            skew_s: config.skew.as_secs(),
            mac,
        })
    }

    /// Whether the caller knows the secret. `Err(None)`: the body can't be read now.
    pub(super) fn holds(
        &self,
        headers: &HeaderMap,
        content: &mut Content,
        now_us: i64,
    ) -> Result<(), Option<Denied>> {
        let given = said(headers, &self.header).ok_or(Some(Denied::Missing))?;
        let given = given.strip_prefix(&self.prefix).unwrap_or_default().trim();
        let given = match self.encoding {
            Encoding::Hex => hex::decode(given).ok(),
            Encoding::Base64 => STANDARD.decode(given).ok(),
        };
        let given = given.ok_or(Some(Denied::Wrong))?;
        let mut mac = self.mac.clone();
        if let Some(header) = &self.time_header {
            let time = said(headers, header).ok_or(Some(Denied::Missing))?;
            let seconds: i64 = time.parse().map_err(|_| Some(Denied::Wrong))?;
            if (now_us / 1_000_000).abs_diff(seconds) > self.skew_s {
                return Err(Some(Denied::Stale));
            }
            mac.update(time.as_bytes());
            mac.update(b".");
        }
        let read = content.read::<std::io::Error>(&mut |window, end| {
            mac.update(window);
            Ok((window.len(), end && window.is_empty()))
        });
        read.and_then(|()| content.rewind()).map_err(|_| None)?;
        mac.verify_slice(&given).map_err(|_| Some(Denied::Wrong))
    }
}
