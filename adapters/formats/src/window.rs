//! The part of a file that a decoder looks at.

use crate::RECORD_BYTES_MAX;

/// A window's bytes at first: small enough for a processor's second cache, as a decoder goes over it
/// several times.
const WINDOW_BYTES: usize = 128 * 1024;
/// A window's bytes, at most: a decoder gets on with less than the longest record and a bit.
pub const WINDOW_BYTES_MAX: usize = RECORD_BYTES_MAX + WINDOW_BYTES;

/// Bytes that were read and not yet decoded. Its memory is used again.
#[derive(Debug, Default)]
pub struct Window {
    bytes: Vec<u8>,
    start: usize,
    end: usize,
}

impl Window {
    /// Forgets what it holds, keeps the memory.
    pub fn clear(&mut self) {
        self.start = 0;
        self.end = 0;
    }

    /// Where to read to: never empty.
    pub fn space(&mut self) -> &mut [u8] {
        if self.start > 0 {
            self.bytes.copy_within(self.start..self.end, 0);
            self.end -= self.start;
            self.start = 0;
        }
        if self.end == self.bytes.len() {
            debug_assert!(
                self.end < WINDOW_BYTES_MAX,
                "a decoder takes something of a full window"
            );
            let wanted = (2 * self.end).clamp(WINDOW_BYTES, WINDOW_BYTES_MAX.max(self.end + 1));
            self.bytes.resize(wanted, 0);
        }
        &mut self.bytes[self.end..]
    }

    /// So many bytes were read into [`Self::space`].
    pub fn filled(&mut self, count: usize) {
        self.end = (self.end + count).min(self.bytes.len());
    }

    /// What is not decoded yet.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        &self.bytes[self.start..self.end]
    }

    /// So many bytes are decoded.
    pub fn take(&mut self, count: usize) {
        self.start = (self.start + count).min(self.end);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_window_moves_on_and_grows_only_when_nothing_is_taken() {
        let mut window = Window::default();
        assert_eq!(window.space().len(), WINDOW_BYTES);
        window.space()[..3].copy_from_slice(b"abc");
        window.filled(3);
        window.take(2);
        assert_eq!(window.bytes(), b"c");
        let room = window.space().len();
        assert_eq!(room, WINDOW_BYTES - 1);
        window.filled(room);
        assert_eq!(window.space().len(), WINDOW_BYTES, "it doubled");
        window.clear();
        assert!(window.bytes().is_empty());
    }
}
