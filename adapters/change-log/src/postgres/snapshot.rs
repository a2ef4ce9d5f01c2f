//! What a snapshot of the server sees, told by the numbers of transactions.

/// A snapshot as `pg_current_snapshot()` writes it: `xmin:xmax:in progress`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Snapshot {
    /// All before it have ended.
    xmin: u64,
    /// It and all after it had not begun.
    pub(super) xmax: u64,
    /// Those between that had not ended, ascending.
    running: Vec<u64>,
}

/// Whether a row version was there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Sight {
    Seen,
    /// It was written later.
    Later,
    /// Its number is that of a later transaction and that of one four thousand million transactions before.
    Either,
}

/// Numbers in a row's header begin again after so many.
const NUMBERS: u64 = 1 << 32;
/// The first number of a transaction; those before it mean rows that everybody sees.
const FIRST: u64 = 3;

impl Snapshot {
    /// # Errors
    /// A sentence: it is none.
    pub(super) fn read(text: &str) -> Result<Self, String> {
        let parsed = || {
            let mut parts = text.splitn(3, ':');
            let xmin = parts.next()?.parse().ok()?;
            let xmax = parts.next()?.parse().ok()?;
            let numbers = parts.next()?.split(',').filter(|part| !part.is_empty());
            let running = numbers.map(str::parse).collect::<Result<Vec<_>, _>>();
            let mut running = running.ok()?;
            running.sort_unstable();
            Some(Self {
                xmin,
                xmax,
                running,
            })
        };
        parsed().ok_or_else(|| format!("\"{text}\" is no snapshot of a server"))
    }

    /// Whether it sees what a transaction did, by the number that the log has of it: one of the last two thousand million.
    pub(super) fn has(&self, transaction: u32) -> bool {
        let is_later = (transaction.wrapping_sub(self.xmax as u32) as i32) >= 0;
        let mut running = self.running.iter();
        !is_later && !running.any(|running| *running as u32 == transaction)
    }

    /// Whether it sees a row that `writer` wrote, which another snapshot sees that was taken when `now` was the next number.
    pub(super) fn sight(&self, writer: u32, now: u64) -> Sight {
        let last = now.saturating_sub(1);
        let ago = u64::from((last as u32).wrapping_sub(writer));
        // The newest transaction of that number.
        let Some(newest) = last.checked_sub(ago).filter(|newest| *newest >= FIRST) else {
            return Sight::Seen;
        };
        let is_seen = newest < self.xmin
            || (newest < self.xmax && self.running.binary_search(&newest).is_err());
        match newest {
            _ if u64::from(writer) < FIRST || is_seen => Sight::Seen,
            NUMBERS.. => Sight::Either,
            _ => Sight::Later,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_seen_whose_writers_had_ended() {
        let snapshot = Snapshot::read("100:110:100,104").expect("a snapshot");
        for (writer, expected) in [
            (1, Sight::Seen),
            (2, Sight::Seen),
            (99, Sight::Seen),
            (100, Sight::Later),
            (101, Sight::Seen),
            (104, Sight::Later),
            (109, Sight::Seen),
            (110, Sight::Later),
            (119, Sight::Later),
            // A transaction that a snapshot at 120 can't see: it is of before the first one, which is none.
            (120, Sight::Seen),
            (u32::MAX, Sight::Seen),
        ] {
            assert_eq!(snapshot.sight(writer, 120), expected, "{writer}");
        }
        let quiet = Snapshot::read("7:7:").expect("a snapshot");
        assert_eq!(quiet.sight(6, 8), Sight::Seen);
        assert_eq!(quiet.sight(7, 8), Sight::Later);
        for text in ["", "1:2", "1:2:x", "x:2:"] {
            assert!(Snapshot::read(text).is_err(), "{text}");
        }
    }

    #[test]
    fn transactions_of_the_log_are_seen_that_had_ended() {
        for base in [0, NUMBERS - 105, 5 * NUMBERS] {
            let text = format!("{}:{}:{}", base + 100, base + 110, base + 104);
            let snapshot = Snapshot::read(&text).expect("a snapshot");
            for (transaction, expected) in [
                (99, true),
                (104, false),
                (105, true),
                (109, true),
                (110, false),
                (5_000, false),
            ] {
                let number = (base + transaction) as u32;
                assert_eq!(snapshot.has(number), expected, "{base} + {transaction}");
            }
        }
    }

    #[test]
    fn numbers_that_began_again_are_told() {
        let base = 5 * NUMBERS;
        let text = format!("{}:{}:{}", base + 100, base + 110, base + 104);
        let snapshot = Snapshot::read(&text).expect("a snapshot");
        for (writer, expected) in [
            (2, Sight::Seen),
            (99, Sight::Seen),
            (104, Sight::Either),
            (109, Sight::Seen),
            (115, Sight::Either),
            // Of the round before, or of one before that.
            (130, Sight::Seen),
            (u32::MAX, Sight::Seen),
        ] {
            assert_eq!(snapshot.sight(writer, base + 120), expected, "{writer}");
        }
    }
}
