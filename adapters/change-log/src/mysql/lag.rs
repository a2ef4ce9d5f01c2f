//! How far behind the server a flow is, held against how long the server keeps its log. Pure.

/// Told when so much of that time is gone, and again when it was less than a quarter meanwhile.
const SHARE: u64 = 2;

/// MariaDB and MySQL: `FORMAT_DESCRIPTION_EVENT`.
const FORMAT_DESCRIPTION: u8 = 15;

#[derive(Debug)]
pub(super) struct Lag {
    /// After so many seconds a file of the log is dropped; 0: never.
    pub(super) kept_s: u64,
    is_told: bool,
}

impl Lag {
    pub(super) fn behind(kept_s: u64) -> Self {
        Self {
            kept_s,
            is_told: false,
        }
    }

    /// An event of this type came, written at `written_s` (seconds since 1970; 0: it is none of the log's own); by how many hours the flow
    /// is behind, if that is to be told. A file's description is sent anew at each connect, with the time at which the file was begun.
    pub(super) fn take(&mut self, now_us: i64, code: u8, written_s: u32) -> Option<u64> {
        if self.kept_s == 0 || written_s == 0 || code == FORMAT_DESCRIPTION {
            return None;
        }
        let behind_s = u64::try_from(now_us / 1_000_000 - i64::from(written_s)).unwrap_or(0);
        if behind_s < self.kept_s / (2 * SHARE) {
            self.is_told = false;
        }
        let is_news = behind_s > self.kept_s / SHARE && !self.is_told;
        self.is_told |= is_news;
        is_news.then_some(behind_s / 3_600)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flow_that_is_far_behind_is_told_once() {
        let mut lag = Lag::behind(48 * 3_600);
        let now_s: u32 = 1_764_000_000;
        for (behind_h, expected) in [
            (1, None),
            (24, None),
            (25, Some(25)),
            (40, None),
            (13, None),
            (30, None),
            (11, None),
            (26, Some(26)),
        ] {
            let told = lag.take(i64::from(now_s) * 1_000_000, 2, now_s - behind_h * 3_600);
            assert_eq!(told, expected, "{behind_h}");
        }
        assert_eq!(Lag::behind(48).take(i64::MAX, 2, 0), None);
        assert_eq!(Lag::behind(0).take(i64::MAX, 2, 7), None);
        assert_eq!(Lag::behind(48).take(i64::MAX, FORMAT_DESCRIPTION, 7), None);
    }
}
