//! The beginning of what is packed, for who only wants to see what it is. That it ends in its middle is then no fault.

use super::Packing;
use super::decoder::{Found, Step};
use super::gzip::Gzip;
use super::limits::Limits;
use super::zip::Zip;
use crate::FileFault;

/// The first file's beginning.
#[derive(Debug, Default)]
pub(crate) struct Begun {
    /// Its bytes.
    pub(crate) bytes: Vec<u8>,
    /// Whether that are all.
    pub(crate) whole: bool,
    /// The names of the files that begin in what was looked at.
    pub(crate) names: Vec<String>,
    /// Why it did not get further, else empty.
    pub(crate) said: String,
}

/// Of a gzip file.
pub(crate) fn begin_gzip(file: &[u8], bytes_max: usize) -> Begun {
    let mut gzip = Gzip::default();
    begin(bytes_max, |at, limits, out| {
        gzip.step(&file[at..], true, limits, out)
    })
}

/// Of a zip archive.
pub(crate) fn begin_zip(file: &[u8], bytes_max: usize) -> Begun {
    let mut zip = Zip::default();
    begin(bytes_max, |at, limits, out| {
        zip.step(&file[at..], true, limits, out)
    })
}

fn begin(
    bytes_max: usize,
    mut step: impl FnMut(usize, &mut Limits, &mut Vec<u8>) -> Result<Step, FileFault>,
) -> Begun {
    let mut limits = Limits::new(&Packing {
        // Some way behind the first file, for the names of the next ones.
        inflated_bytes_max: 8 * bytes_max as u64,
        ..Packing::default()
    });
    let (mut begun, mut at, mut out) = (Begun::default(), 0, Vec::new());
    loop {
        match step(at, &mut limits, &mut out) {
            Err(FileFault(said)) => {
                begun.said = said;
                return begun;
            }
            Ok(step) => {
                at += step.taken;
                let first = begun.names.len() == 1;
                match step.found {
                    Found::File(name) => begun.names.push(name),
                    Found::Bytes if first => {
                        let room = bytes_max - begun.bytes.len();
                        begun.bytes.extend_from_slice(&out[..out.len().min(room)]);
                    }
                    Found::FileEnd if first => begun.whole = true,
                    Found::End => {
                        begun.whole |= first;
                        return begun;
                    }
                    Found::More => return begun,
                    Found::Bytes | Found::FileEnd | Found::Nothing => {}
                }
            }
        }
    }
}
