//! Records that are too long to be one.

use super::decoder::Decoder;
use crate::text::{Charset, Long};
use crate::{FileFault, RECORD_BYTES_MAX, Sink};

impl Decoder {
    /// The record at hand is too long; the names of the columns must not be.
    pub(super) fn begin_long<S: Sink>(
        &mut self,
        charset: Charset,
        rest: &[u8],
        end: bool,
        sink: &mut S,
    ) -> Result<usize, FileFault> {
        if self.shape.is_none() || self.skip_lines > 0 {
            return Err(FileFault(format!(
                "the header on line {} is longer than {RECORD_BYTES_MAX} bytes; is this a text file with line ends?",
                self.line
            )));
        }
        self.long = Some(Long::default());
        self.pass_long(charset, rest, end, sink)
    }

    /// Goes over a record that is too long, up to its line end; how many bytes, 0 where more are needed.
    pub(super) fn pass_long<S: Sink>(
        &mut self,
        charset: Charset,
        rest: &[u8],
        end: bool,
        sink: &mut S,
    ) -> Result<usize, FileFault> {
        let terminator = self.terminator.unwrap_or(b'\n');
        self.searched = 0;
        let Some(mut long) = self.long.take() else {
            return Ok(0);
        };
        let (bytes, ended) = long.pass(charset, terminator, rest, end);
        if ended {
            self.reject_long(long, sink)?;
        } else {
            self.long = Some(long);
        }
        Ok(bytes)
    }

    pub(super) fn reject_long<S: Sink>(
        &mut self,
        long: Long,
        sink: &mut S,
    ) -> Result<(), FileFault> {
        let (ordinal, line) = (self.ordinal, self.line);
        if let Some(tracker) = &mut self.tracker {
            tracker.bad(None, line, "it is too long", None)?;
        }
        self.ordinal += 1;
        self.line += 1;
        if self.shape.is_some() && ordinal >= self.skip {
            long.reject(ordinal, line, sink);
        }
        Ok(())
    }
}
