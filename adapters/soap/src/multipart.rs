//! Answers of several parts: a SOAP message whose binary values stand beside it (MTOM).
//!
//! ```text
//! Content-Type: multipart/related; type="application/xop+xml"; start="<root>"; boundary="b"
//!
//! --b
//! Content-ID: <root>
//!
//! <s:Envelope>…<Label><xop:Include href="cid:1%40x"/></Label>…            the root part
//! --b
//! Content-ID: <1@x>
//! Content-Transfer-Encoding: binary
//!
//! …                                                                       what is meant by cid:1%40x
//! --b--
//! ```
//! After RFC 2387 (multipart/related), RFC 2046 section 5.1 and XML-binary Optimized Packaging (W3C, 2005): each `xop:Include` is replaced
//! by the Base64 of its part, so that what is read afterwards is the message that was meant. Strict: what is not closed is refused.

mod layout;
mod xop;

use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use dray_formats::FileFault;

use crate::content::Content;

/// Parts of a message, at most.
pub(crate) const PARTS_MAX: usize = 1_000;
/// Bytes of a part's headers, at most.
pub(crate) const HEADERS_BYTES_MAX: usize = 16 * 1024;
/// Blanks behind a delimiter, at most: RFC 2046 lets gateways add some.
pub(crate) const PADDING_BYTES_MAX: usize = 1_000;
/// Letters of a boundary, at most: RFC 2046.
const BOUNDARY_MAX: usize = 70;

/// Why parts can't be read.
#[derive(Debug)]
pub(crate) enum Fault {
    /// They are wrong: a sentence.
    Wrong(String),
    /// They can't be kept; too large is one of the reasons.
    Disk(io::Error),
}

impl From<io::Error> for Fault {
    fn from(error: io::Error) -> Self {
        Self::Disk(error)
    }
}

impl From<FileFault> for Fault {
    fn from(FileFault(reason): FileFault) -> Self {
        Self::Wrong(reason)
    }
}

/// What a `Content-Type` of multipart/related says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Related {
    boundary: String,
    /// The root part's id; without it, the root is the first.
    start: Option<String>,
}

/// `None`: it is no message of several parts.
pub(crate) fn boundary(content_type: &str) -> Option<Related> {
    let (kind, parameters) = content_type.split_once(';')?;
    if !kind.trim().eq_ignore_ascii_case("multipart/related") {
        return None;
    }
    let (mut boundary, mut start) = (None, None);
    for (name, value) in parameters_of(parameters) {
        match name.to_ascii_lowercase().as_str() {
            "boundary" => boundary = Some(value),
            "start" => start = Some(bare(&value).to_owned()),
            _ => {}
        }
    }
    let boundary = boundary.filter(|text| (1..=BOUNDARY_MAX).contains(&text.len()))?;
    Some(Related { boundary, start })
}

/// `name=value; name="va;lue"`.
fn parameters_of(text: &str) -> Vec<(String, String)> {
    let (mut found, mut rest) = (Vec::new(), text);
    while let Some((name, after)) = rest.split_once('=') {
        let name = name.trim_matches([' ', '\t', ';']).to_owned();
        let after = after.trim_start();
        let (value, next) = match after.strip_prefix('"') {
            Some(quoted) => quoted.split_once('"').unwrap_or((quoted, "")),
            None => after.split_once(';').unwrap_or((after, "")),
        };
        found.push((name, value.trim().to_owned()));
        rest = next;
    }
    found
}

/// An id without its angle brackets.
fn bare(id: &str) -> &str {
    let id = id.trim();
    id.strip_prefix('<')
        .and_then(|id| id.strip_suffix('>'))
        .unwrap_or(id)
}

/// The message that parts make together.
pub(crate) fn joined(
    mut content: Content,
    related: &Related,
    bytes_max: u64,
    folder: &Arc<PathBuf>,
) -> Result<Content, Fault> {
    let parts = layout::parts(&mut content, &related.boundary)?;
    let root = match &related.start {
        None => 0,
        Some(start) => {
            let is_root = |part: &layout::PartAt| part.id.as_ref() == Some(start);
            parts
                .iter()
                .position(is_root)
                .ok_or_else(|| Fault::Wrong(format!("no part has the root's id {start}")))?
        }
    };
    xop::included(&mut content, &parts, root, bytes_max, folder)
}

#[cfg(test)]
mod tests;
