//! What has waited for too long: said once, and shown in `status` while it lasts.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};

use crate::position::shown;
use crate::source::FileDrop;

/// Alarms that are kept and said; of more, the status tells how many there are at least.
const ALARMS_MAX: usize = 1_000;

/// Sentences by the name of the file that they are about.
#[derive(Debug, Default)]
pub(crate) struct Alarms {
    told: BTreeMap<OsString, Told>,
    round: u64,
}

#[derive(Debug)]
struct Told {
    sentence: String,
    /// The scan in which it was so last.
    round: u64,
}

impl Alarms {
    /// It is so; whether that is new.
    pub(crate) fn tell(&mut self, name: &OsStr, sentence: String) -> bool {
        let round = self.round;
        if let Some(told) = self.told.get_mut(name) {
            told.round = round;
            let is_new = told.sentence != sentence;
            told.sentence = sentence;
            return is_new;
        }
        if self.told.len() >= ALARMS_MAX {
            return false;
        }
        self.told.insert(name.to_owned(), Told { sentence, round });
        true
    }

    /// It is so no longer.
    pub(crate) fn clear(&mut self, name: &OsStr) {
        self.told.remove(name);
    }

    /// A scan is over: what it did not tell is no longer so.
    pub(crate) fn scanned(&mut self) {
        let round = self.round;
        self.told.retain(|_, told| told.round == round);
        self.round += 1;
    }
}

impl FileDrop {
    /// Says it, unless it was said.
    pub(crate) fn alarm(&mut self, name: &OsStr, sentence: String) {
        if self.alarms.tell(name, sentence.clone()) {
            tracing::warn!(file = %self.config.folder.join(name).display(), reason = sentence, "a file waits for too long");
        }
    }

    /// What a person should know while there is nothing else to do, as one sentence.
    pub(crate) fn what_waits(&self) -> Option<String> {
        let troubles = self.troubles.iter();
        let alarms = self.alarms.told.iter();
        let mut all = troubles.chain(alarms.map(|(name, told)| (name, &told.sentence)));
        let (name, reason) = all.next()?;
        let more = match all.count() {
            0 => String::new(),
            count => format!(" (and {count} more)"),
        };
        Some(format!("{}: {reason}{more}", shown(name)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_lasts_is_said_once_and_what_is_over_is_forgotten() {
        let mut alarms = Alarms::default();
        let (a, b) = (OsStr::new("a"), OsStr::new("b"));
        assert!(alarms.tell(a, "late".into()));
        assert!(alarms.tell(b, "late".into()));
        alarms.scanned();
        assert!(!alarms.tell(a, "late".into()));
        alarms.scanned();
        assert!(alarms.tell(b, "late".into()), "it was over meanwhile");
        assert!(alarms.tell(a, "locked".into()), "it is something else now");
        alarms.clear(a);
        assert!(alarms.tell(a, "locked".into()));
        for number in 0..2 * ALARMS_MAX {
            alarms.tell(OsStr::new(&number.to_string()), "late".into());
        }
        assert_eq!(alarms.told.len(), ALARMS_MAX);
    }
}
