//! How many rows are asked for at once: fewer where they are large, and where an answer did not come.
//!
//! It outlives the sessions of a flow: a page that took too long would else be asked for again and again, as it was.

use std::sync::atomic::{AtomicUsize, Ordering};

use super::page::PAGE_BYTES_MAX;

/// Rows that are asked for at once.
const ROWS_MAX: usize = 2_000;
/// The same at first: a driver may hold a whole answer, and nobody knows yet how large a row is.
const ROWS_FIRST: usize = 128;
/// The same of rows that are large: the one that was read last, which `overlap` asks for again, and one more.
const ROWS_MIN: usize = 2;

/// Rows of the next page.
#[derive(Debug)]
pub(super) struct Pace {
    rows: AtomicUsize,
    /// Those of the largest page that did not come lately: up to half of it pages grow fast. Where rows are looked for long, two cost as much as 2,000.
    before: AtomicUsize,
}

impl Default for Pace {
    fn default() -> Self {
        Self {
            rows: AtomicUsize::new(ROWS_FIRST),
            before: AtomicUsize::new(0),
        }
    }
}

impl Pace {
    pub(super) fn rows(&self) -> usize {
        self.rows.load(Ordering::Relaxed)
    }

    /// A page of so many rows and bytes came: the next one is to be about as large as a page should be, and no more than twice as long; after
    /// a failure eight times, up to half of what failed.
    pub(super) fn came(&self, rows: usize, bytes: usize) {
        let fits = match bytes.checked_div(rows) {
            // Somewhat less, so that few pages are cut.
            Some(each) => PAGE_BYTES_MAX / 4 * 3 / each.max(1),
            None => ROWS_MAX,
        };
        let (asked, known) = (self.rows(), self.before.load(Ordering::Relaxed) / 2);
        let next = (8 * asked).min(known).max(2 * asked);
        if next >= known {
            self.before.store(0, Ordering::Relaxed);
        }
        let next = fits.min(next).clamp(ROWS_MIN, ROWS_MAX);
        self.rows.store(next, Ordering::Relaxed);
    }

    /// A page of so many rows did not come.
    pub(super) fn failed(&self, rows: usize) {
        let next = (rows / 4).clamp(ROWS_MIN, ROWS_MAX);
        self.rows.store(next, Ordering::Relaxed);
        self.before.fetch_max(rows, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_shrink_with_large_rows_and_failures_and_grow_again_step_by_step() {
        let pace = Pace::default();
        assert_eq!(pace.rows(), 128);
        for _ in 0..4 {
            pace.came(pace.rows(), pace.rows() * 100);
        }
        assert_eq!(pace.rows(), 2_000);
        pace.failed(2_000);
        assert_eq!(pace.rows(), 500);
        for _ in 0..9 {
            pace.failed(pace.rows());
        }
        assert_eq!(pace.rows(), 2, "one that is known, and the next");
        for expected in [16, 128, 1_000, 2_000] {
            pace.came(pace.rows(), pace.rows() * 100);
            assert_eq!(pace.rows(), expected, "fast to half of what failed");
        }
        for _ in 0..9 {
            pace.failed(pace.rows());
        }
        pace.came(0, 0);
        assert_eq!(pace.rows(), 16);
        pace.came(16, 16 * 262_144);
        assert_eq!(pace.rows(), 3);
        pace.came(3, 3 * 16 * 1024 * 1024);
        assert_eq!(pace.rows(), 2);
    }
}
