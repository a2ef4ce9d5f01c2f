//! A decoder that goes on in a file's middle.
//!
//! A format's decoder begins at a file's beginning: there it learns the byte order mark, the line ends and the names of the
//! columns. To go on at a place it is shown the beginning up to the first record, which was sent before, and then the bytes
//! from that place on; ordinals and lines are put right on the way out.

use dray_formats::{BadRecord, Decoded, Decoder, FileFault, Format, GoodRecord, Sink};

/// A decoder, and what its numbers lack.
#[derive(Debug)]
pub(super) struct Lines {
    decoder: Decoder,
    ordinals_before: u64,
    lines_before: u64,
}

impl Lines {
    pub(super) fn new(format: &Format) -> Self {
        Self {
            decoder: format.decoder(0),
            ordinals_before: 0,
            lines_before: 0,
        }
    }

    /// Shows it the file's beginning; whether it has learnt all there is to learn, which is so at the first record.
    pub(super) fn learn(&mut self, window: &[u8]) -> Result<(usize, bool), FileFault> {
        let mut first = First(false);
        let decoded = self.decoder.decode(window, false, &mut first)?;
        Ok((decoded.bytes, first.0))
    }

    /// From here on the bytes are those whose first record has these numbers.
    pub(super) fn go_on_at(&mut self, ordinal: u64, line: u64) {
        self.ordinals_before = ordinal.saturating_sub(self.decoder.ordinal());
        self.lines_before = line.saturating_sub(self.decoder.at_line());
    }

    /// Decodes whole lines: the file never ends.
    pub(super) fn decode<S: Sink>(
        &mut self,
        window: &[u8],
        sink: &mut S,
    ) -> Result<Decoded, FileFault> {
        let mut sink = Shifted {
            sink,
            ordinals: self.ordinals_before,
            lines: self.lines_before,
        };
        self.decoder.decode(window, false, &mut sink)
    }

    pub(super) fn decoder(&self) -> &Decoder {
        &self.decoder
    }

    /// Of the next record.
    pub(super) fn ordinal(&self) -> u64 {
        self.ordinals_before + self.decoder.ordinal()
    }

    /// Of the next record.
    pub(super) fn line(&self) -> u64 {
        self.lines_before + self.decoder.at_line()
    }

    /// Bytes taken of a record that has not ended.
    pub(super) fn held_bytes(&self) -> u64 {
        self.decoder.held_bytes()
    }
}

/// Is full after one record.
struct First(bool);

impl Sink for First {
    const FIELDS: bool = false;

    fn full(&self) -> bool {
        self.0
    }

    fn record(&mut self, _: &GoodRecord<'_>) {
        self.0 = true;
    }

    fn reject(&mut self, _: &BadRecord<'_>) {
        self.0 = true;
    }
}

/// Takes everything and keeps nothing.
pub(super) struct Nowhere;

impl Sink for Nowhere {
    const FIELDS: bool = false;

    fn full(&self) -> bool {
        false
    }

    fn record(&mut self, _: &GoodRecord<'_>) {}

    fn reject(&mut self, _: &BadRecord<'_>) {}
}

struct Shifted<'a, S> {
    sink: &'a mut S,
    ordinals: u64,
    lines: u64,
}

impl<S: Sink> Sink for Shifted<'_, S> {
    const FIELDS: bool = S::FIELDS;

    #[inline]
    fn full(&self) -> bool {
        self.sink.full()
    }

    #[inline]
    fn record(&mut self, record: &GoodRecord<'_>) {
        self.sink.record(&GoodRecord {
            ordinal: self.ordinals + record.ordinal,
            line: self.lines + record.line,
            ..*record
        });
    }

    fn reject(&mut self, bad: &BadRecord<'_>) {
        self.sink.reject(&BadRecord {
            ordinal: self.ordinals + bad.ordinal,
            line: self.lines + bad.line,
            ..*bad
        });
    }
}
