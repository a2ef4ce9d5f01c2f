//! Zip archives, read forwards (PKWARE's APPNOTE 6.3, section 4.3).
//!
//! ```text
//! [local header, name, extra | data | [data descriptor]] ...
//! [directory header, name, extra, comment] ...             one for each file
//! [zip64 end record] [zip64 locator] end record, comment
//! ```
//!
//! A local header may leave lengths and CRC to a descriptor behind the data. That is fine for deflated data, which say themselves
//! where they end; stored data don't, and are refused then.

mod directory;
mod headers;

use super::decoder::{Found, Step};
use super::inflate::Inflate;
use super::limits::Limits;
use super::{ENTRIES_MAX, Packing};
use crate::FileFault;
use directory::Directory;
use headers::{DEFLATED, DescriptorFound, Local, STORED};

/// What a local header leaves to the descriptor.
const UNKNOWN: u64 = 0;

/// Unpacks an archive.
#[derive(Debug, Default)]
pub(super) struct Zip {
    inflate: Inflate,
    part: Part,
    entries: Vec<Entry>,
    directory: Directory,
    /// Where in the file the next byte stands.
    at: u64,
}

/// A file of the archive, or a folder.
#[derive(Debug)]
struct Entry {
    name: Vec<u8>,
    /// Where its local header stands.
    header_at: u64,
    crc: u32,
    packed: u64,
    inflated: u64,
    /// Whether the directory names it.
    listed: bool,
}

impl Entry {
    fn name(&self) -> String {
        String::from_utf8_lossy(&self.name).into_owned()
    }
}

#[derive(Debug, Clone, Copy, Default)]
enum Part {
    /// Between files, or in the directory.
    #[default]
    Header,
    Stored(Data),
    Deflated(Data),
    Descriptor(Data),
    /// Behind the end record.
    Padding,
}

/// What a file's local header says.
#[derive(Debug, Clone, Copy)]
struct Data {
    crc: u32,
    packed: u64,
    inflated: u64,
    described: bool,
    /// Whether anybody wants it.
    wanted: bool,
}

impl Zip {
    /// The next step; bytes of a file come in `out`.
    pub(super) fn step(
        &mut self,
        input: &[u8],
        end: bool,
        limits: &mut Limits,
        out: &mut Vec<u8>,
    ) -> Result<Step, FileFault> {
        let (taken, found) = match self.part {
            Part::Header => self.header(input, end)?,
            Part::Stored(data) => self.stored(data, input, end, limits, out)?,
            Part::Deflated(data) => self.deflated(data, input, end, limits, out)?,
            Part::Descriptor(data) => self.descriptor(data, input, end)?,
            Part::Padding => self.padding(input, end)?,
        };
        self.at += taken as u64;
        Ok(Step { taken, found })
    }

    fn header(&mut self, input: &[u8], end: bool) -> Result<(usize, Found), FileFault> {
        let Some(signature) = input.first_chunk::<4>() else {
            return self.more(end);
        };
        if *signature == headers::LOCAL && !self.directory.begun() {
            let local = Local::read(input).map_err(|reason| self.fault(&reason))?;
            return match local {
                Some(local) => self.file(&local),
                None => self.more(end),
            };
        }
        let read = self.directory.read(input, self.at, &mut self.entries);
        match read.map_err(|reason| self.fault(&reason))? {
            None => self.more(end),
            Some(taken) => {
                if self.directory.ended() {
                    self.part = Part::Padding;
                }
                Ok((taken, Found::Nothing))
            }
        }
    }

    fn file(&mut self, local: &Local<'_>) -> Result<(usize, Found), FileFault> {
        if self.entries.len() == ENTRIES_MAX {
            return Err(self.fault(&format!(
                "a further file; an archive may have {ENTRIES_MAX}"
            )));
        }
        if self.entries.iter().any(|entry| entry.name == local.name) {
            let name = String::from_utf8_lossy(local.name);
            return Err(self.fault(&format!("a second file that is called {name}")));
        }
        self.entries.push(Entry {
            name: local.name.to_vec(),
            header_at: self.at,
            crc: 0,
            packed: 0,
            inflated: 0,
            listed: false,
        });
        self.inflate.reset();
        let data = Data {
            crc: local.crc,
            packed: local.packed,
            inflated: local.inflated,
            described: local.described,
            wanted: local.is_wanted(),
        };
        let empty = local.is_folder() && local.packed == UNKNOWN;
        self.part = match local.method {
            DEFLATED => Part::Deflated(data),
            STORED if data.described && empty => Part::Descriptor(data),
            STORED if data.described => {
                let name = String::from_utf8_lossy(local.name);
                return Err(self.fault(&format!(
                    "{name}, which is stored and says only behind its data how long they are; have it deflated, or written to a file rather than to a pipe"
                )));
            }
            _ => Part::Stored(data),
        };
        let found = if data.wanted {
            Found::File(self.name())
        } else {
            Found::Nothing
        };
        Ok((local.bytes, found))
    }

    fn stored(
        &mut self,
        data: Data,
        input: &[u8],
        end: bool,
        limits: &mut Limits,
        out: &mut Vec<u8>,
    ) -> Result<(usize, Found), FileFault> {
        let left = data.packed - self.inflate.packed;
        if left == 0 {
            return self.finish(data);
        }
        if input.is_empty() {
            return self.more(end);
        }
        let taken = self.inflate.pass(input, left, out);
        limits.add(taken, self.at + taken as u64)?;
        Ok((taken, Self::bytes(data, out)))
    }

    fn deflated(
        &mut self,
        data: Data,
        input: &[u8],
        end: bool,
        limits: &mut Limits,
        out: &mut Vec<u8>,
    ) -> Result<(usize, Found), FileFault> {
        let Ok(inflated) = self.inflate.step(input, self.at, end, out) else {
            let reason = format!("damaged data of {}", self.name());
            return Err(self.fault(&reason));
        };
        if inflated.starved {
            return self.more(end);
        }
        limits.add(out.len(), self.at + inflated.taken as u64)?;
        if inflated.ended {
            self.part = if data.described {
                Part::Descriptor(data)
            } else {
                Part::Stored(Data {
                    packed: self.inflate.packed,
                    ..data
                })
            };
            if !data.described && data.packed != self.inflate.packed {
                return Err(self.disagree("packed bytes", data.packed, self.inflate.packed));
            }
        }
        Ok((inflated.taken, Self::bytes(data, out)))
    }

    fn bytes(data: Data, out: &mut Vec<u8>) -> Found {
        if data.wanted {
            return Found::Bytes;
        }
        out.clear();
        Found::Nothing
    }

    fn descriptor(
        &mut self,
        data: Data,
        input: &[u8],
        end: bool,
    ) -> Result<(usize, Found), FileFault> {
        let said = headers::descriptor(
            input,
            self.inflate.crc(),
            self.inflate.packed,
            self.inflate.inflated,
        );
        match said {
            DescriptorFound::More => self.more(end),
            DescriptorFound::Bytes(bytes) => {
                let found = self.finish(Data {
                    crc: self.inflate.crc(),
                    inflated: self.inflate.inflated,
                    ..data
                })?;
                Ok((bytes, found.1))
            }
            DescriptorFound::Other => {
                let reason = format!(
                    "a descriptor whose CRC or lengths the data of {} do not have: the file is damaged",
                    self.name()
                );
                Err(self.fault(&reason))
            }
        }
    }

    /// The file at hand ends: it must be what its header or its descriptor says.
    fn finish(&mut self, data: Data) -> Result<(usize, Found), FileFault> {
        if data.inflated != self.inflate.inflated {
            return Err(self.disagree("bytes", data.inflated, self.inflate.inflated));
        }
        if data.crc != self.inflate.crc() {
            let reason = format!(
                "the end of {}, whose data do not have its CRC: the file is damaged",
                self.name()
            );
            return Err(self.fault(&reason));
        }
        let (crc, packed, inflated) = (data.crc, self.inflate.packed, self.inflate.inflated);
        let entry = self.entries.last_mut().expect("its header was read");
        (entry.crc, entry.packed, entry.inflated) = (crc, packed, inflated);
        self.part = Part::Header;
        let found = if data.wanted {
            Found::FileEnd
        } else {
            Found::Nothing
        };
        Ok((0, found))
    }

    fn padding(&mut self, input: &[u8], end: bool) -> Result<(usize, Found), FileFault> {
        if let Some(at) = input.iter().position(|byte| *byte != 0) {
            self.at += at as u64;
            return Err(self.fault("something behind the archive's end"));
        }
        let found = match (end, input.is_empty()) {
            (true, true) => Found::End,
            (false, true) => Found::More,
            _ => Found::Nothing,
        };
        Ok((input.len(), found))
    }

    fn more(&self, end: bool) -> Result<(usize, Found), FileFault> {
        if end {
            return Err(FileFault(format!(
                "the zip archive ends in its middle, in or behind file {}: it is cut, or was still being written",
                self.entries.len()
            )));
        }
        Ok((0, Found::More))
    }

    /// The name of the file at hand.
    fn name(&self) -> String {
        self.entries.last().map(Entry::name).unwrap_or_default()
    }

    fn disagree(&self, what: &str, said: u64, found: u64) -> FileFault {
        let name = self.name();
        self.fault(&format!(
            "the end of {name}, whose header says {said} {what}, and there are {found}"
        ))
    }

    fn fault(&self, reason: &str) -> FileFault {
        FileFault(format!("zip: at byte {} stands {reason}", self.at + 1))
    }
}

/// Goes over a whole archive that somebody else will read: all that holds for an archive is checked. `look` is given each file's
/// name and bytes, part by part.
pub(crate) fn survey(
    archive: &[u8],
    inflated_bytes_max: u64,
    mut look: impl FnMut(&str, &[u8]) -> Result<(), String>,
) -> Result<(), FileFault> {
    let mut limits = Limits::new(&Packing {
        inflated_bytes_max,
        ..Packing::default()
    })
    .fixed();
    let (mut zip, mut at, mut out, mut name) = (Zip::default(), 0, Vec::new(), String::new());
    loop {
        let step = zip.step(&archive[at..], true, &mut limits, &mut out)?;
        at += step.taken;
        match step.found {
            Found::End => return Ok(()),
            Found::File(next) => name = next,
            Found::Bytes => look(&name, &out).map_err(FileFault)?,
            Found::More | Found::Nothing | Found::FileEnd => {}
        }
    }
}
