//! Deflated bytes to bytes, counted and checked.

use flate2::{Crc, Decompress, FlushDecompress, Status};

/// Bytes that are handed over at once.
pub(super) const OUT_BYTES: usize = 64 * 1024;
/// Packed bytes that are looked at together, from one multiple in the file to the next. With it the unpacking takes the same steps
/// however the file is cut into windows, so that limits are met at the same byte.
const BLOCK_BYTES: u64 = 16 * 1024;

/// One deflate stream (RFC 1951) after the other.
#[derive(Debug)]
pub(super) struct Inflate {
    raw: Decompress,
    crc: Crc,
    /// Packed bytes of this stream.
    pub(super) packed: u64,
    /// Its bytes.
    pub(super) inflated: u64,
}

/// What a step came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Inflated {
    /// Bytes taken.
    pub(super) taken: usize,
    /// Whether the stream ended behind them.
    pub(super) ended: bool,
    /// Whether it goes on only with more bytes.
    pub(super) starved: bool,
}

/// The bytes are no deflate stream.
#[derive(Debug, Clone, Copy)]
pub(super) struct Damaged;

impl Default for Inflate {
    fn default() -> Self {
        Self {
            raw: Decompress::new(false),
            crc: Crc::new(),
            packed: 0,
            inflated: 0,
        }
    }
}

impl Inflate {
    /// A new stream begins.
    pub(super) fn reset(&mut self) {
        self.raw.reset(false);
        self.crc.reset();
        (self.packed, self.inflated) = (0, 0);
    }

    /// The CRC-32 of what was unpacked or passed through.
    pub(super) fn crc(&self) -> u32 {
        self.crc.sum()
    }

    /// Unpacks into `out`, which it fills anew. `at` is where in the file `input` begins; `end`: nothing follows it.
    pub(super) fn step(
        &mut self,
        input: &[u8],
        at: u64,
        end: bool,
        out: &mut Vec<u8>,
    ) -> Result<Inflated, Damaged> {
        out.clear();
        let block = usize::try_from(BLOCK_BYTES - at % BLOCK_BYTES).unwrap_or(usize::MAX);
        if input.len() < block && !end {
            return Ok(Inflated {
                taken: 0,
                ended: false,
                starved: true,
            });
        }
        out.resize(OUT_BYTES, 0);
        let (read, written) = (self.raw.total_in(), self.raw.total_out());
        let input = &input[..input.len().min(block)];
        let status = self.raw.decompress(input, out, FlushDecompress::None);
        let taken = (self.raw.total_in() - read) as usize;
        out.truncate((self.raw.total_out() - written) as usize);
        self.crc.update(out);
        self.packed += taken as u64;
        self.inflated += out.len() as u64;
        let status = status.map_err(|_| Damaged)?;
        Ok(Inflated {
            taken,
            ended: status == Status::StreamEnd,
            starved: taken == 0 && out.is_empty() && status != Status::StreamEnd,
        })
    }

    /// Passes bytes through that are not packed: at most `left` of them.
    pub(super) fn pass(&mut self, input: &[u8], left: u64, out: &mut Vec<u8>) -> usize {
        let left = usize::try_from(left).unwrap_or(usize::MAX);
        let taken = input.len().min(left).min(OUT_BYTES);
        out.clear();
        out.extend_from_slice(&input[..taken]);
        self.crc.update(out);
        self.packed += taken as u64;
        self.inflated += taken as u64;
        taken
    }
}
