//! Who did what: a chain of hashes.

use sha2::{Digest, Sha256};

/// Something that was done or refused, for whoever asks later.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct AuditEntry {
    /// Given by the store, from 1, ascending; 0 in a new one.
    pub id: u64,
    /// When: microseconds since 1970-01-01T00:00:00Z.
    pub at_us: i64,
    /// Who: an agent's id, or "uid 991" for who asked over the local socket.
    pub actor: String,
    /// What, e.g. "revoke".
    pub action: String,
    /// To what, e.g. "north/shipments".
    pub subject: String,
    /// A sentence; may be empty.
    pub detail: String,
    /// Given by the store: [`AuditEntry::hash_after`]; empty in a new one, and in one that an older version kept.
    pub hash: Vec<u8>,
}

impl AuditEntry {
    /// SHA-256 over the hash of the entry before (empty for the first) and this entry's number, time and texts, each text
    /// with its length before it: whoever changes, takes out or adds an entry changes all hashes from there on.
    #[must_use]
    pub fn hash_after(&self, before: &[u8]) -> Vec<u8> {
        let mut hasher = Sha256::new();
        hasher.update(before);
        hasher.update(self.id.to_be_bytes());
        hasher.update(self.at_us.to_be_bytes());
        for text in [&self.actor, &self.action, &self.subject, &self.detail] {
            hasher.update((text.len() as u64).to_be_bytes());
            hasher.update(text);
        }
        hasher.finalize().to_vec()
    }

    /// The first of these entries, in order, whose hash is not what it must be after the one before it.
    #[must_use]
    pub fn first_broken(entries: &[Self]) -> Option<&Self> {
        let is_good = |pair: &[Self]| {
            let follows = pair[0].id + 1 == pair[1].id;
            // Those of an older version have none, and come before all that have one.
            (pair[0].hash.is_empty() && pair[1].hash.is_empty())
                || (follows && pair[1].hash == pair[1].hash_after(&pair[0].hash))
        };
        entries
            .windows(2)
            .find(|pair| !is_good(pair))
            .map(|pair| &pair[1])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chain(count: u64) -> Vec<AuditEntry> {
        let mut entries: Vec<AuditEntry> = Vec::new();
        for id in 1..=count {
            let mut entry = AuditEntry {
                id,
                detail: format!("entry {id}"),
                ..AuditEntry::default()
            };
            let before = entries.last().map_or(&[][..], |before| &before.hash);
            entry.hash = entry.hash_after(before);
            entries.push(entry);
        }
        entries
    }

    #[test]
    fn a_changed_entry_is_found_also_where_its_hash_was_taken_away() {
        let broken = |entries: &[AuditEntry]| AuditEntry::first_broken(entries).map(|one| one.id);
        assert_eq!(broken(&chain(4)), None);
        let mut entries = chain(4);
        entries[3].detail = "another".into();
        assert_eq!(broken(&entries), Some(4));
        entries[3].hash.clear();
        assert_eq!(broken(&entries), Some(4), "the newest, without a hash");
        let mut entries = chain(4);
        entries.remove(1);
        assert_eq!(broken(&entries), Some(3));
        // An older version wrote the first two.
        let mut entries = chain(4);
        entries[0].hash.clear();
        entries[1].hash.clear();
        entries[2].hash = entries[2].hash_after(&[]);
        entries[3].hash = entries[3].hash_after(&entries[2].hash.clone());
        assert_eq!(broken(&entries), None);
    }
}
