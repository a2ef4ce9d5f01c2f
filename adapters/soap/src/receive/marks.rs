//! By what a call is known that comes again.
//!
//! ```text
//! 'i' + SHA-256(id)                      a call of this id is whole
//! 'c' + SHA-256(id, content)             one of this content
//! 'p' + SHA-256(id, content, ordinal)    its records up to this one are appended
//! ```

use dray_adapter::Mark;
use dray_formats::Gather;
use sha2::{Digest as _, Sha256};

use super::Identity;

pub(super) fn id(identity: &Identity) -> Mark {
    mark(b'i', &[identity.id.as_bytes()])
}

pub(super) fn content(identity: &Identity) -> Mark {
    mark(b'c', &[identity.id.as_bytes(), &identity.content])
}

pub(super) fn part(identity: &Identity, gather: &Gather) -> Mark {
    let next = gather.next_ordinal().unwrap_or_default().to_be_bytes();
    mark(b'p', &[identity.id.as_bytes(), &identity.content, &next])
}

fn mark(tag: u8, parts: &[&[u8]]) -> Mark {
    let mut hash = Sha256::new();
    for part in parts {
        hash.update((part.len() as u64).to_le_bytes());
        hash.update(part);
    }
    Mark([&[tag][..], &hash.finalize()].concat())
}
