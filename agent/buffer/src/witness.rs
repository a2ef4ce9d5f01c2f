//! What the buffer held last, said outside sled: sled takes a damaged end of its log for one that was
//! never written whole, and opens without it.
//!
//! ```text
//! witness: epoch u64 | oldest generation u64 | newest generation u64 | next number u64 | CRC-32C u32
//! ```
//! All little-endian, rewritten in place. The next number is written after each commit's sync and before its
//! answers, without a sync of its own: a process that is killed leaves it exact, a power cut may
//! leave an older one, which claims less and never too much. The generations are synced before one
//! goes and after one comes, as their names outlive the process.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::FileExt as _;
use std::path::Path;

const NAME: &str = "witness";
const BYTES: usize = 36;

/// What it says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Said {
    pub(crate) epoch: u64,
    /// The oldest generation's first number.
    pub(crate) oldest: u64,
    /// The newest generation's first number.
    pub(crate) newest: u64,
    /// The number after the last value that was answered for.
    pub(crate) next: u64,
}

impl Said {
    fn encode(self) -> [u8; BYTES] {
        let mut bytes = [0; BYTES];
        let numbers = [self.epoch, self.oldest, self.newest, self.next];
        for (to, number) in bytes.chunks_exact_mut(8).zip(numbers) {
            to.copy_from_slice(&number.to_le_bytes());
        }
        let crc = crc32c::crc32c(&bytes[..BYTES - 4]);
        bytes[BYTES - 4..].copy_from_slice(&crc.to_le_bytes());
        bytes
    }

    fn decode(bytes: [u8; BYTES]) -> Option<Self> {
        let mut numbers = [0; 4];
        for (number, from) in numbers.iter_mut().zip(bytes.chunks_exact(8)) {
            *number = u64::from_le_bytes(from.try_into().ok()?);
        }
        let [epoch, oldest, newest, next] = numbers;
        let said = Self {
            epoch,
            oldest,
            newest,
            next,
        };
        (said.encode() == bytes).then_some(said)
    }
}

/// The open file.
#[derive(Debug)]
pub(crate) struct Witness {
    file: File,
    pub(crate) said: Said,
}

impl Witness {
    /// What the file in `folder` says; `None` where there is none, or it was cut while it was written.
    pub(crate) fn read(folder: &Path) -> io::Result<Option<Said>> {
        let file = match File::open(folder.join(NAME)) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            file => file?,
        };
        let mut bytes = [0; BYTES];
        match file.read_exact_at(&mut bytes, 0) {
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Ok(None),
            read => read.map(|()| Said::decode(bytes)),
        }
    }

    /// Opens the file, says this, and makes it last.
    pub(crate) fn open(folder: &Path, said: Said) -> io::Result<Self> {
        let file = OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(false)
            .open(folder.join(NAME))?;
        let witness = Self { file, said };
        witness.write_synced()?;
        crate::folder::sync(folder)?;
        Ok(witness)
    }

    /// Everything below `next` is on stable storage.
    pub(crate) fn committed(&mut self, next: u64) -> io::Result<()> {
        self.said.next = next;
        self.file.write_all_at(&self.said.encode(), 0)
    }

    /// Changes what is said of generations, and makes it last.
    pub(crate) fn generations(&mut self, oldest: u64, newest: u64) -> io::Result<()> {
        self.said.oldest = oldest;
        self.said.newest = newest;
        self.write_synced()
    }

    /// Makes what was said last.
    pub(crate) fn sync(&self) -> io::Result<()> {
        self.file.sync_data()
    }

    fn write_synced(&self) -> io::Result<()> {
        self.file.write_all_at(&self.said.encode(), 0)?;
        self.sync()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_keeps_its_bytes() {
        let said = Said {
            epoch: 0x0807,
            oldest: 1,
            newest: 20,
            next: 33,
        };
        let mut expected = vec![7, 8, 0, 0, 0, 0, 0, 0];
        for number in [1, 20, 33] {
            expected.extend_from_slice(&[number, 0, 0, 0, 0, 0, 0, 0]);
        }
        let bytes = said.encode();
        assert_eq!(bytes[..32], expected);
        assert_eq!(bytes[32..], crc32c::crc32c(&expected).to_le_bytes());
    }

    #[test]
    fn what_was_said_is_read_again_and_half_of_it_is_not() {
        let folder = tempfile::tempdir().expect("a folder");
        assert_eq!(Witness::read(folder.path()).expect("a read"), None);
        let said = Said {
            epoch: 7,
            oldest: 1,
            newest: 20,
            next: 33,
        };
        let mut witness = Witness::open(folder.path(), said).expect("a file");
        witness.committed(40).expect("a write");
        let read = Witness::read(folder.path()).expect("a read");
        assert_eq!(read, Some(Said { next: 40, ..said }));
        for (bytes, at) in [(&[9_u8][..], 3), (&[0][..], 35)] {
            witness.file.write_all_at(bytes, at).expect("a write");
            assert_eq!(Witness::read(folder.path()).expect("a read"), None, "{at}");
            witness.committed(40).expect("a write");
        }
        witness.file.set_len(20).expect("it is cut");
        assert_eq!(Witness::read(folder.path()).expect("a read"), None);
    }
}
