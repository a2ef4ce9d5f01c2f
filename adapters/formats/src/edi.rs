//! What the two EDI syntaxes share.

/// What a look at a window found.
#[derive(Debug, PartialEq, Eq)]
pub enum Found {
    /// A segment that ends after so many bytes.
    Segment(usize),
    /// So many bytes that are none; more is needed.
    More(usize),
}

/// Line ends in these bytes.
pub(crate) fn lines(bytes: &[u8]) -> u64 {
    memchr::memchr_iter(b'\n', bytes).count() as u64
}

/// How many bytes of white space they begin with.
pub(crate) fn blank(bytes: &[u8]) -> usize {
    bytes
        .iter()
        .take_while(|byte| byte.is_ascii_whitespace())
        .count()
}
