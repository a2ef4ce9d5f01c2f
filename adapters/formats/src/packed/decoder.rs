//! Unpacks a window and drives the format's decoder with what comes out.

use super::gzip::Gzip;
use super::limits::Limits;
use super::zip::Zip;
use super::{Compression, Packing};
use crate::edi::Receipt;
use crate::format;
use crate::{Account, BadRecord, Decoded, FileFault, Format, GoodRecord, Sink, Window};

/// Said instead of going round for ever, should a format's decoder not finish a file.
const NOT_FINISHED: &str = "the file ends, and what is read of it does not";

/// A format in its packing. Makes a decoder for each pass over a file.
#[derive(Debug, Clone)]
pub struct Packed {
    format: Format,
    packing: Packing,
}

impl Format {
    /// This format in files that are packed so.
    #[must_use]
    pub fn packed(self, packing: Packing) -> Packed {
        Packed {
            format: self,
            packing,
        }
    }
}

impl Packed {
    /// A decoder for a file's beginning. Records and bad records whose ordinal is below `skip` are
    /// counted and not handed out: so a file is read on where an append ended.
    #[must_use]
    pub fn decoder(&self, skip: u64) -> Decoder {
        Decoder {
            unpacker: Unpacker::Unknown,
            limits: Limits::new(&self.packing),
            file: self.format.decoder(skip),
            format: self.format.clone(),
            packing: self.packing,
            skip,
            before: 0,
            account: Account::default(),
            told: Receipt::default(),
            name: String::new(),
            state: State::Between,
            unread: true,
            full: false,
            out: Vec::new(),
            given: 0,
            window: Window::default(),
        }
    }

    /// Keeps the names of a decoder's file, so that the next file with the same names shares them
    /// and nobody has to resolve them again.
    pub fn remember(&mut self, decoder: &Decoder) {
        self.format.remember(&decoder.file);
    }
}

/// Decodes one file. See [`Packed::decoder`].
#[derive(Debug)]
pub struct Decoder {
    unpacker: Unpacker,
    limits: Limits,
    format: Format,
    packing: Packing,
    skip: u64,
    /// The decoder of the file at hand, or of the last.
    file: format::Decoder,
    /// Records and bad records of files before.
    before: u64,
    /// What the files before say of themselves.
    account: Account,
    /// What is told of files before, where they are EDI.
    told: Receipt,
    /// Its name in an archive, else empty.
    name: String,
    state: State,
    /// Whether `file` has read nothing yet.
    unread: bool,
    /// Whether the sink was full when the window was last looked at: then it still holds what to look at.
    full: bool,
    /// Unpacked bytes; the first `given` are in the window.
    out: Vec<u8>,
    given: usize,
    window: Window,
}

/// Where it stands among the files.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// In none.
    Between,
    /// In one of which more comes.
    Within,
    /// All of it is unpacked.
    Ending,
}

#[derive(Debug)]
enum Unpacker {
    Unknown,
    Plain,
    Gzip(Box<Gzip>),
    Zip(Box<Zip>),
}

/// What one step of an unpacker came to.
#[derive(Debug)]
pub(super) struct Step {
    /// Bytes of the input that are done.
    pub(super) taken: usize,
    pub(super) found: Found,
}

/// What an unpacker found.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Found {
    /// It needs more bytes.
    More,
    /// Nothing to tell.
    Nothing,
    /// A file begins.
    File(String),
    /// Bytes of it.
    Bytes,
    /// It ends.
    FileEnd,
    /// Everything ends, the file at hand too.
    End,
}

impl Decoder {
    /// Decodes what it can of `window`, which begins with what the call before left; `end`: nothing
    /// follows. Stops early when `sink` is full: what was unpacked by then is handed out by the next calls, which may take nothing of the window.
    ///
    /// # Errors
    /// [`FileFault`] where the packing or the whole file in it can't be read, or what they say of themselves does not hold.
    pub fn decode<S: Sink>(
        &mut self,
        window: &[u8],
        end: bool,
        sink: &mut S,
    ) -> Result<Decoded, FileFault> {
        if !self.begin(window, end) {
            return Ok(Decoded {
                bytes: 0,
                done: false,
            });
        }
        if matches!(self.unpacker, Unpacker::Plain) {
            return self.decode_file(window, end, sink);
        }
        let mut at = 0;
        loop {
            let (bytes, done) = (at, false);
            if !self.hand_out(sink)? {
                return Ok(Decoded { bytes, done });
            }
            let step = self.unpack(&window[at..], end)?;
            at += step.taken;
            match step.found {
                Found::More => return Ok(Decoded { bytes: at, done }),
                Found::Nothing | Found::Bytes => {}
                Found::File(name) => self.open(name),
                Found::FileEnd => self.state = State::Ending,
                Found::End if self.state == State::Within => self.state = State::Ending,
                Found::End => {
                    return Ok(Decoded {
                        bytes: at,
                        done: true,
                    });
                }
            }
        }
    }

    /// The ordinal of the next record or bad record.
    #[must_use]
    pub fn ordinal(&self) -> u64 {
        self.before + self.file.ordinal()
    }

    /// What the file says of itself so far; of an archive, what its files do.
    #[must_use]
    pub fn account(&self) -> Account {
        let mut account = self.account.clone();
        account.extend(self.file.account());
        account
    }

    /// The interchanges and documents that were read so far, in all files of an archive; of EDI alone.
    #[must_use]
    pub fn receipt(&self) -> Option<Receipt> {
        let mut told = self.told.clone();
        told.extend(self.file.receipt()?);
        Some(told)
    }

    /// Whether it is known how the file is packed.
    fn begin(&mut self, window: &[u8], end: bool) -> bool {
        if !matches!(self.unpacker, Unpacker::Unknown) {
            return true;
        }
        let auto = self.packing.compression == Compression::Auto;
        if auto && window.len() < 4 && !end {
            return false;
        }
        self.unpacker = match self.packing.compression {
            Compression::None => Unpacker::Plain,
            Compression::Gzip => Unpacker::Gzip(Box::default()),
            Compression::Zip => Unpacker::Zip(Box::default()),
            Compression::Auto if window.starts_with(b"\x1F\x8B") => Unpacker::Gzip(Box::default()),
            Compression::Auto if is_zip(window) && !self.format.is_zip() => {
                Unpacker::Zip(Box::default())
            }
            Compression::Auto => Unpacker::Plain,
        };
        true
    }

    fn unpack(&mut self, input: &[u8], end: bool) -> Result<Step, FileFault> {
        self.given = 0;
        self.out.clear();
        match &mut self.unpacker {
            Unpacker::Gzip(gzip) => gzip.step(input, end, &mut self.limits, &mut self.out),
            Unpacker::Zip(zip) => zip.step(input, end, &mut self.limits, &mut self.out),
            Unpacker::Unknown | Unpacker::Plain => unreachable!("nothing is packed"),
        }
    }

    /// A file begins; the names of the one before it may be its own.
    fn open(&mut self, name: String) {
        if self.unread {
            self.unread = false;
        } else {
            self.before += self.file.ordinal();
            self.account.extend(self.file.account());
            if let Some(receipt) = self.file.receipt() {
                self.told.extend(receipt);
            }
            self.format.remember(&self.file);
            self.file = self.format.decoder(self.skip.saturating_sub(self.before));
        }
        self.window.clear();
        self.name = name;
        self.state = State::Within;
    }

    /// Decodes what is unpacked; false where the sink is full before that is done.
    fn hand_out<S: Sink>(&mut self, sink: &mut S) -> Result<bool, FileFault> {
        // What a full sink left in the window comes before anything more is unpacked.
        while self.full || self.state == State::Ending || self.given < self.out.len() {
            if !self.full && self.given < self.out.len() {
                let space = self.window.space();
                let count = space.len().min(self.out.len() - self.given);
                space[..count].copy_from_slice(&self.out[self.given..self.given + count]);
                self.window.filled(count);
                self.given += count;
            }
            let last = self.state == State::Ending && self.given == self.out.len();
            let window = std::mem::take(&mut self.window);
            let decoded = self.decode_file(window.bytes(), last, sink);
            self.window = window;
            let decoded = decoded?;
            self.window.take(decoded.bytes);
            self.full = sink.full() && !decoded.done;
            if decoded.done {
                self.state = State::Between;
            }
            if self.full {
                return Ok(false);
            }
            if last && !decoded.done && decoded.bytes == 0 {
                return Err(FileFault(said_in(&self.name, NOT_FINISHED)));
            }
        }
        Ok(true)
    }

    fn decode_file<S: Sink>(
        &mut self,
        window: &[u8],
        end: bool,
        sink: &mut S,
    ) -> Result<Decoded, FileFault> {
        let mut sink = InFile {
            sink,
            before: self.before,
            name: &self.name,
        };
        let decoded = self.file.decode(window, end, &mut sink);
        decoded.map_err(|FileFault(reason)| FileFault(said_in(&self.name, &reason)))
    }
}

/// What a file of an archive is decoded into: ordinals go on, and sentences name the file.
struct InFile<'a, S> {
    sink: &'a mut S,
    before: u64,
    name: &'a str,
}

impl<S: Sink> Sink for InFile<'_, S> {
    const FIELDS: bool = S::FIELDS;

    #[inline]
    fn full(&self) -> bool {
        self.sink.full()
    }

    #[inline]
    fn record(&mut self, record: &GoodRecord<'_>) {
        self.sink.record(&GoodRecord {
            ordinal: self.before + record.ordinal,
            ..*record
        });
    }

    fn reject(&mut self, bad: &BadRecord<'_>) {
        let reason = said_in(self.name, bad.reason);
        self.sink.reject(&BadRecord {
            ordinal: self.before + bad.ordinal,
            reason: &reason,
            ..*bad
        });
    }
}

fn said_in(name: &str, reason: &str) -> String {
    if name.is_empty() {
        return reason.to_owned();
    }
    format!("in {name}: {reason}")
}

/// A file's local header, or the end of an empty archive.
fn is_zip(bytes: &[u8]) -> bool {
    bytes.starts_with(b"PK\x03\x04") || bytes.starts_with(b"PK\x05\x06")
}
