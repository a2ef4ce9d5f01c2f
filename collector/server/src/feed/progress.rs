//! How far a reader is in one flow: pure.

/// Offsets of one flow in one subscription; each is "through".
///
/// Events that the reader did not ask for are passed by without being sent. They are finished as soon as
/// everything that was sent before them is: else a reader of rare events would pin the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Progress {
    looked: u64,
    sent: u64,
    acked: u64,
    written: u64,
}

impl Progress {
    /// Begins after `through`.
    pub(super) fn after(through: u64) -> Self {
        Self {
            looked: through,
            sent: through,
            acked: through,
            written: through,
        }
    }

    /// The next offset to look at.
    pub(super) fn next(&self) -> u64 {
        self.looked + 1
    }

    /// Everything through `looked` was looked at; `sent` is the last of it that was sent, if any was.
    pub(super) fn look(&mut self, looked: u64, sent: Option<u64>) {
        self.looked = self.looked.max(looked);
        self.sent = self.sent.max(sent.unwrap_or(0));
    }

    /// The reader says that it finished through `offset`; `false` if that was never sent.
    pub(super) fn ack(&mut self, offset: u64) -> bool {
        self.acked = self.acked.max(offset.min(self.looked));
        offset <= self.looked
    }

    /// What is finished.
    pub(super) fn finished(&self) -> u64 {
        if self.acked >= self.sent {
            self.looked
        } else {
            self.acked
        }
    }

    /// Whether all that was sent is acked.
    pub(super) fn all_acked(&self) -> bool {
        self.acked >= self.sent
    }

    /// What the cursor on disk should become, where it differs; it counts as written.
    pub(super) fn take_unwritten(&mut self) -> Option<u64> {
        let finished = self.finished();
        (finished > self.written).then(|| {
            self.written = finished;
            finished
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_passed_by_is_finished_with_what_was_sent_before_it() {
        let mut progress = Progress::after(10);
        assert_eq!((progress.next(), progress.take_unwritten()), (11, None));
        progress.look(20, Some(15));
        assert_eq!(progress.finished(), 10);
        assert!(progress.ack(12));
        assert_eq!(progress.take_unwritten(), Some(12));
        assert!(progress.ack(15) && progress.all_acked());
        assert_eq!(progress.take_unwritten(), Some(20));
        progress.look(30, None);
        assert_eq!(
            (progress.take_unwritten(), progress.take_unwritten()),
            (Some(30), None)
        );
        assert!(!progress.ack(31), "nobody sent 31");
        assert_eq!(progress.finished(), 30);
    }
}
