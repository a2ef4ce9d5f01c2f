//! What the collector held of each flow when this epoch began. What stood before that, only the collector has: a log that was
//! restored to a time before it lacks events that no sequence of this epoch tells of.
//!
//! ```text
//! past    the epoch, hex
//!         a line a flow: its name, a tab, the collector's epoch then, hex, a tab, its next sequence in that
//! ```
//! It is written before the first block of the epoch goes out.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::io;
use std::path::PathBuf;

use crate::whole;

/// Where the collector stood in a flow: its epoch, and the next sequence in that.
pub(crate) type Stood = (u64, u64);

/// The file, as it is.
#[derive(Debug)]
pub(crate) struct Past {
    file: PathBuf,
    epoch: u64,
    flows: BTreeMap<String, Stood>,
}

impl Past {
    /// One that can't be read says nothing: then a log that was restored is found out by sequences alone.
    pub(crate) fn read(file: PathBuf) -> Self {
        let text = match fs::read_to_string(&file) {
            Ok(text) => text,
            Err(error) => {
                if error.kind() != io::ErrorKind::NotFound {
                    tracing::warn!(file = %file.display(), %error, "what the collector held when this epoch began can't be read");
                }
                String::new()
            }
        };
        let mut lines = text.lines();
        let epoch = lines.next().and_then(hex).unwrap_or(0);
        let flows = lines.filter_map(|line| {
            let (flow, stood) = line.split_once('\t')?;
            let (of, next) = stood.split_once('\t')?;
            Some((flow.to_owned(), (hex(of)?, next.parse().ok()?)))
        });
        Self {
            flows: flows.collect(),
            epoch,
            file,
        }
    }

    /// Where the collector stood when this epoch began; `None` where that is not known.
    pub(crate) fn get(&self, epoch: u64, flow: &str) -> Option<Stood> {
        let stood = self.flows.get(flow).copied();
        stood.filter(|_| self.epoch == epoch)
    }

    /// Notes it for flows that are not known yet; on stable storage once this returns.
    ///
    /// # Errors
    /// Nothing is noted then.
    pub(crate) fn note(&mut self, epoch: u64, news: &[(&str, Stood)]) -> io::Result<()> {
        if news.is_empty() {
            return Ok(());
        }
        let mut flows = match self.epoch == epoch {
            true => self.flows.clone(),
            false => BTreeMap::new(),
        };
        for (flow, stood) in news {
            flows.entry((*flow).to_owned()).or_insert(*stood);
        }
        if (epoch, &flows) == (self.epoch, &self.flows) {
            return Ok(());
        }
        let mut text = format!("{epoch:016x}\n");
        for (flow, (of, next)) in &flows {
            // Writing to a string can't fail.
            let _ = writeln!(text, "{flow}\t{of:016x}\t{next}");
        }
        whole::write(&self.file, &text)?;
        (self.epoch, self.flows) = (epoch, flows);
        Ok(())
    }
}

fn hex(text: &str) -> Option<u64> {
    u64::from_str_radix(text, 16).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_stood_first_in_an_epoch_is_kept_over_a_restart() {
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("past");
        let mut past = Past::read(file.clone());
        assert_eq!(past.get(7, "a"), None);
        past.note(7, &[("a", (5, 101)), ("b", (0, 1))])
            .expect("room");
        past.note(7, &[("a", (6, 1))]).expect("room");
        let mut past = Past::read(file.clone());
        assert_eq!(past.get(7, "a"), Some((5, 101)));
        assert_eq!(past.get(7, "b"), Some((0, 1)));
        assert_eq!(past.get(8, "a"), None, "of another epoch");
        past.note(8, &[("a", (7, 3))]).expect("room");
        let past = Past::read(file);
        assert_eq!((past.get(8, "a"), past.get(8, "b")), (Some((7, 3)), None));
    }

    #[test]
    fn a_damaged_one_says_nothing() {
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("past");
        fs::write(&file, b"0000000000000007\na\tzz\t1\nb\nc\t5\t2").expect("a file");
        let past = Past::read(file);
        assert_eq!((past.get(7, "a"), past.get(7, "b")), (None, None));
        assert_eq!(past.get(7, "c"), Some((5, 2)));
    }
}
