//! What is said of a whole file once it is through. Pure.

use std::time::Duration;

use dray_adapter::{FileOutcome, FileReport, IDENTITIES_MAX};
use dray_formats::{Account, Identity, IdentityKind};

use crate::duplicates::Keys;
use crate::notice::now_us;
use crate::position::Content;
use crate::ready::Look;

/// What the first pass learned of a file besides its records.
#[derive(Debug, Clone)]
pub(crate) struct Facts {
    pub(crate) content: Content,
    pub(crate) look: Look,
    pub(crate) records: u64,
    pub(crate) bad_records: u64,
    pub(crate) account: Account,
    /// What names its documents, where that stands in columns.
    pub(crate) keys: Option<Keys>,
    /// How many of its documents were there before.
    pub(crate) duplicates: u64,
    /// How long the pass took.
    pub(crate) checked: Duration,
    /// When it was through, in microseconds since 1970-01-01T00:00:00Z.
    pub(crate) read_us: i64,
}

impl Facts {
    /// Of a file that is not there, or not as it was.
    pub(crate) fn of_gone(content: Content, look: Look, records: u64) -> Self {
        Self {
            content,
            look,
            records,
            bad_records: 0,
            account: Account::default(),
            keys: None,
            duplicates: 0,
            checked: Duration::ZERO,
            read_us: now_us(),
        }
    }

    /// The report of a file that ended so.
    pub(crate) fn report(&self, outcome: FileOutcome, reason: &str) -> Box<FileReport> {
        Box::new(FileReport {
            outcome,
            reason: reason.to_owned(),
            sha256: self.content.sha256,
            bytes: self.content.bytes,
            records: self.records,
            bad_records: self.bad_records,
            checks: self.account.checks.clone(),
            identities: named(&self.account.identities),
            identities_in_all: self.account.identities_in_all,
            duplicates: self.duplicates,
            modified_us: self.look.modified_us,
            read_us: self.read_us,
            checked_us: u64::try_from(self.checked.as_micros()).unwrap_or(u64::MAX),
        })
    }
}

/// `interchange`, `interchange.2`, ... and what each names.
fn named(identities: &[Identity]) -> Vec<(String, String)> {
    let mut counts = [0_u32; 2];
    let named = |one: &Identity| {
        let (at, kind) = match one.kind {
            IdentityKind::Interchange => (0, "interchange"),
            IdentityKind::Document => (1, "document"),
        };
        counts[at] += 1;
        let name = match counts[at] {
            1 => kind.to_owned(),
            count => format!("{kind}.{count}"),
        };
        (name, shown(one))
    };
    identities.iter().take(IDENTITIES_MAX).map(named).collect()
}

/// As a person reads it.
pub(crate) fn shown(identity: &Identity) -> String {
    match identity.parties.as_str() {
        "" => identity.number.clone(),
        parties => format!("{parties} {}", identity.number),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_names_a_file_is_numbered_and_bounded() {
        let identity = |kind, parties: &str, number: &str| Identity {
            kind,
            parties: parties.into(),
            number: number.into(),
        };
        let one = identity(IdentityKind::Interchange, "S>R", "9");
        let other = identity(IdentityKind::Document, "", "123");
        assert_eq!(
            named(&[one.clone(), other, one.clone()]),
            [
                ("interchange".to_owned(), "S>R 9".to_owned()),
                ("document".to_owned(), "123".to_owned()),
                ("interchange.2".to_owned(), "S>R 9".to_owned())
            ]
        );
        assert_eq!(named(&vec![one; 100]).len(), IDENTITIES_MAX);
    }
}
