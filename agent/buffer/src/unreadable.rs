//! Whether what can't be read is damaged, or only can't be read now.

use std::fmt;
use std::io;

use crate::layout::{Damage, NEWER};

/// How EIO is said, wherever it comes from: sled hands errors on as text. What a disk failed to write the kernel may go on to show,
/// so nothing is tried again after it.
pub(crate) const DISK_ERROR: &str = "(os error 5)";

/// Why a part of the buffer can't be read.
#[derive(Debug)]
pub(crate) enum Unreadable {
    /// It is not what was written: it is mended.
    Damaged(String),
    /// Nothing says that it is not whole: the system refuses, or does not answer. It is tried again.
    Failed(String),
    /// The copy of what can be read could not be written: that says nothing of what it was copied from.
    Unwritten(String),
}

impl Unreadable {
    /// What a record's bytes are not.
    pub(crate) fn of(what: Damage) -> Self {
        match what {
            NEWER => Self::Failed(what.into()),
            _ => Self::Damaged(format!("it is damaged: {what}")),
        }
    }

    /// A sentence.
    pub(crate) fn reason(&self) -> &str {
        match self {
            Self::Damaged(reason) | Self::Failed(reason) | Self::Unwritten(reason) => reason,
        }
    }

    /// The same of this place.
    pub(crate) fn at(self, place: impl fmt::Display) -> Self {
        match self {
            Self::Damaged(reason) => Self::Damaged(format!("{place}: {reason}")),
            Self::Failed(reason) => Self::Failed(format!("{place}: {reason}")),
            Self::Unwritten(reason) => Self::Unwritten(format!("{place}: {reason}")),
        }
    }

    /// Whether it may be that its sectors can't be read, now or ever.
    pub(crate) fn is_of_disk(&self) -> bool {
        matches!(self, Self::Failed(reason) if reason.contains(DISK_ERROR))
    }
}

impl From<String> for Unreadable {
    fn from(reason: String) -> Self {
        Self::Damaged(reason)
    }
}

impl From<&str> for Unreadable {
    fn from(reason: &str) -> Self {
        Self::Damaged(reason.into())
    }
}

impl From<io::Error> for Unreadable {
    fn from(error: io::Error) -> Self {
        Self::Failed(error.to_string())
    }
}

/// An error of the system is no damage, and neither is sled's lock; a file that ends too soon is.
impl From<sled::Error> for Unreadable {
    fn from(error: sled::Error) -> Self {
        let reason = error.to_string();
        match error {
            sled::Error::Io(cause) if cause.raw_os_error().is_some() => Self::Failed(reason),
            sled::Error::Io(_) if reason.contains("lock") => Self::Failed(reason),
            _ => Self::Damaged(reason),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn damage_is_told_from_what_the_system_refuses() {
        let io = |error: io::Error| Unreadable::from(sled::Error::Io(error));
        let is_damage = |unreadable: &Unreadable| matches!(unreadable, Unreadable::Damaged(_));
        for errno in [5, 11, 13, 24, 28] {
            let refused = io(io::Error::from_raw_os_error(errno));
            assert!(!is_damage(&refused), "{refused:?}");
            assert_eq!(refused.is_of_disk(), errno == 5, "{refused:?}");
        }
        assert!(!is_damage(&io(io::Error::other("could not acquire lock"))));
        let unwritten = Unreadable::Unwritten(io::Error::from_raw_os_error(5).to_string());
        assert!(
            !unwritten.at("a copy").is_of_disk(),
            "what it copies may be whole"
        );
        assert!(is_damage(&io(io::ErrorKind::UnexpectedEof.into())));
        let corrupt = sled::Error::Corruption { at: None, bt: () };
        assert!(is_damage(&corrupt.into()));
    }
}
