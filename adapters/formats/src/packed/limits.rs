//! What a packed file may come to.

use super::{Packing, RATIO_FREE_BYTES, RATIO_MAX};
use crate::FileFault;

/// Counts what is unpacked of a file.
#[derive(Debug)]
pub(super) struct Limits {
    inflated: u64,
    inflated_max: u64,
    /// What is said where it is passed.
    way_out: &'static str,
}

impl Limits {
    pub(super) fn new(packing: &Packing) -> Self {
        Self {
            inflated: 0,
            inflated_max: packing.inflated_bytes_max,
            way_out: "; if that is right, raise inflated_bytes_max",
        }
    }

    /// For a limit that is no setting.
    pub(super) fn fixed(self) -> Self {
        Self {
            way_out: ", the most that is possible",
            ..self
        }
    }

    /// So many more bytes came of the first `packed` bytes of the file.
    pub(super) fn add(&mut self, bytes: usize, packed: u64) -> Result<(), FileFault> {
        self.inflated += bytes as u64;
        if self.inflated > self.inflated_max {
            return Err(FileFault(format!(
                "unpacked it is larger than {} bytes{}",
                self.inflated_max, self.way_out
            )));
        }
        if self.inflated > RATIO_FREE_BYTES && self.inflated / RATIO_MAX > packed {
            return Err(FileFault(format!(
                "its first {packed} bytes unpack to {}, more than {RATIO_MAX} times as much: that is how a zip bomb looks, not a file of records",
                self.inflated
            )));
        }
        Ok(())
    }
}
