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
pub(super) struct Pace(AtomicUsize);

impl Default for Pace {
    fn default() -> Self {
        Self(AtomicUsize::new(ROWS_FIRST))
    }
}

impl Pace {
    pub(super) fn rows(&self) -> usize {
        self.0.load(Ordering::Relaxed)
    }

    /// A page of so many rows and bytes came: the next one is to be about as large as a page should be, and no more than twice as long.
    pub(super) fn came(&self, rows: usize, bytes: usize) {
        let fits = match bytes.checked_div(rows) {
            // Somewhat less, so that few pages are cut.
            Some(each) => PAGE_BYTES_MAX / 4 * 3 / each.max(1),
            None => ROWS_MAX,
        };
        let next = fits.min(2 * self.rows());
        self.0
            .store(next.clamp(ROWS_MIN, ROWS_MAX), Ordering::Relaxed);
    }

    /// A page of so many rows did not come.
    pub(super) fn failed(&self, rows: usize) {
        self.0
            .store((rows / 4).clamp(ROWS_MIN, ROWS_MAX), Ordering::Relaxed);
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
        pace.came(2, 2 * 100);
        assert_eq!(pace.rows(), 4);
        pace.came(0, 0);
        assert_eq!(pace.rows(), 8);
        pace.came(8, 8 * 262_144);
        assert_eq!(pace.rows(), 3);
        pace.came(3, 3 * 16 * 1024 * 1024);
        assert_eq!(pace.rows(), 2);
    }
}
