//! Takes a body in as it comes, packed or not, for whoever receives one: within its limit on both sides of the packing.

use std::io::{self, ErrorKind, Write as _};

use flate2::write::MultiGzDecoder;

use crate::content::{Collector, Content};

/// A body on its way in.
pub(crate) enum Unpacking {
    /// It comes as it is.
    None(Collector),
    /// It is packed, in one member or several (RFC 1952, section 2.2).
    Gzip(Box<MultiGzDecoder<Collector>>),
}

impl Unpacking {
    /// `coding`: what `Content-Encoding` says. `None`: that is not unpacked here.
    pub(crate) fn new(coding: Option<&[u8]>, collector: Collector) -> Option<Self> {
        let is_gzip = |coding: &[u8]| {
            coding.eq_ignore_ascii_case(b"gzip") || coding.eq_ignore_ascii_case(b"x-gzip")
        };
        match coding {
            None | Some(b"" | b"identity") => Some(Self::None(collector)),
            Some(coding) if is_gzip(coding) => {
                Some(Self::Gzip(Box::new(MultiGzDecoder::new(collector))))
            }
            Some(_) => None,
        }
    }

    /// Whether a little of it may become much.
    pub(crate) fn is_packed(&self) -> bool {
        matches!(self, Self::Gzip(_))
    }

    /// Takes more of it.
    ///
    /// # Errors
    /// [`ErrorKind::FileTooLarge`] past the limit; what [`is_misread`] tells where it is not packed as it says; else the disk's.
    pub(crate) fn push(&mut self, data: &[u8]) -> io::Result<()> {
        match self {
            Self::None(collector) => collector.write_all(data),
            Self::Gzip(gzip) => gzip.write_all(data),
        }
    }

    /// It is whole.
    ///
    /// # Errors
    /// As [`Self::push`].
    pub(crate) fn finish(self) -> io::Result<Content> {
        match self {
            Self::None(collector) => collector.finish(),
            Self::Gzip(gzip) => gzip.finish()?.finish(),
        }
    }
}

/// Whether the body is not packed as it says.
pub(crate) fn is_misread(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        // What is behind the end of what is packed is not taken: nothing more can be written.
        ErrorKind::InvalidInput
            | ErrorKind::InvalidData
            | ErrorKind::UnexpectedEof
            | ErrorKind::WriteZero
    )
}
