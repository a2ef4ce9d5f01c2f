//! What the answer to a look holds, in each version's words: pure.

use ::http::HeaderValue;
use ::http::header::ETAG;
use serde_json::Value;

use super::key::Keys;
use crate::answer::Answer;
use crate::config::odata::Version;
use crate::outcome::Outcome;

/// How answers to looks are read.
pub(super) struct Looking<'a> {
    pub(super) keys: &'a Keys,
    pub(super) version: Version,
}

impl Looking<'_> {
    /// The entity in the answer to a look.
    pub(super) fn found(&self, answer: &Answer<'_>) -> Result<Option<Value>, Outcome> {
        let no_entity = || Outcome::Unknown(answer.reason(Some("the look's answer is no entity")));
        let json = answer.json().ok_or_else(no_entity)?;
        let inner = match self.version {
            Version::V2 => json.get("d").ok_or_else(no_entity)?,
            Version::V4 => json,
        };
        if !self.keys.finds() {
            let is_one = self.keys.are_in(inner);
            return is_one.then(|| Some(inner.clone())).ok_or_else(no_entity);
        }
        let list = match self.version {
            Version::V2 => inner.get("results").unwrap_or(inner),
            Version::V4 => inner.get("value").ok_or_else(no_entity)?,
        };
        match list.as_array().ok_or_else(no_entity)?.as_slice() {
            [] => Ok(None),
            [one] => Ok(Some(one.clone())),
            _ => Err(Outcome::Conflict(
                "more than one entity has what odata.find looks for; name properties that tell them apart"
                    .into(),
            )),
        }
    }

    /// In the body, as a look by filter has it there only; else the header.
    pub(super) fn etag(&self, entity: &Value, answer: &Answer<'_>) -> Option<String> {
        let place = match self.version {
            Version::V2 => "/__metadata/etag",
            Version::V4 => "/@odata.etag",
        };
        let short = entity.get("@etag").and_then(Value::as_str);
        let inner = entity.pointer(place).and_then(Value::as_str).or(short);
        // One that no header holds would be left out, and nothing held against the change.
        let is_held = |etag: &str| {
            let value = HeaderValue::from_str(etag);
            value.is_ok_and(|value| value.to_str().is_ok_and(|text| !text.is_empty()))
        };
        let header = || {
            let header = answer.headers.get(ETAG)?;
            Some(header.to_str().ok()?.to_owned())
        };
        match inner {
            Some(etag) => is_held(etag).then(|| etag.to_owned()),
            None if self.keys.finds() => None,
            None => header(),
        }
    }
}
