//! Puts the parts into the message.

use std::collections::HashMap;
use std::io::{self, Read as _, Seek as _, SeekFrom, Write as _};
use std::ops::Range;
use std::path::PathBuf;
use std::sync::Arc;

use base64::engine::general_purpose::STANDARD;
use base64::write::EncoderWriter;
use dray_formats::Window;
use dray_formats::xml::{Node, Start, Walk};

use super::Fault;
use super::layout::{Encoding, PartAt};
use crate::content::{Collector, Content};

const XOP: &str = "http://www.w3.org/2004/08/xop/include";
const CHUNK_BYTES: usize = 64 * 1024;

/// The root part with each `xop:Include` replaced.
pub(super) fn included(
    content: &mut Content,
    parts: &[PartAt],
    root: usize,
    bytes_max: u64,
    folder: &Arc<PathBuf>,
) -> Result<Content, Fault> {
    let part = parts
        .get(root)
        .ok_or_else(|| Fault::Wrong("there is no part".into()))?;
    if part.encoding != Encoding::Binary {
        return Err(Fault::Wrong(
            "the root part is in Base64, which is not read".into(),
        ));
    }
    let ids = parts.iter().rev();
    let mut joiner = Joiner {
        // Of two with one id the first.
        parts: ids
            .filter_map(|part| Some((part.id.as_deref()?, part)))
            .collect(),
        collector: Collector::new(bytes_max, Arc::clone(folder)),
        begun: false,
        inside: 0,
        disk: None,
    };
    // Who reads the message judges them.
    let mut walk = Walk::new([XOP.to_owned()].into()).passing_unknown();
    let (mut window, mut at) = (Window::default(), part.bytes.start);
    loop {
        let end = at == part.bytes.end;
        let decoded = walk.decode(window.bytes(), end, &mut |node, written| {
            joiner.node(&node, written, content)
        });
        // Of the two the disk is why.
        if let Some(error) = joiner.disk.take() {
            return Err(error.into());
        }
        let decoded = decoded?;
        window.take(decoded.bytes);
        if decoded.done {
            return Ok(joiner.collector.finish()?);
        }
        if decoded.bytes == 0 && !end {
            let count = read_at(content, at..part.bytes.end, window.space())?;
            window.filled(count);
            at += count as u64;
        }
    }
}

struct Joiner<'p> {
    parts: HashMap<&'p str, &'p PartAt>,
    collector: Collector,
    /// What a message may begin with alone is behind.
    begun: bool,
    /// Elements that are open from an Include on.
    inside: usize,
    disk: Option<io::Error>,
}

impl<'p> Joiner<'p> {
    fn node(
        &mut self,
        node: &Node<'_>,
        written: &str,
        content: &mut Content,
    ) -> Result<(), String> {
        let is_first = !std::mem::replace(&mut self.begun, true);
        match node {
            Node::Start(start) if self.inside > 0 || start.name() == (Some(0), "Include") => {
                self.inside += 1;
                if self.inside > 1 {
                    return Ok(());
                }
                let part = self.part(start)?;
                let put = put(content, part, &mut self.collector);
                self.on_disk(put)
            }
            Node::End if self.inside > 0 => {
                self.inside -= 1;
                Ok(())
            }
            _ if self.inside > 0 => Ok(()),
            // It is in UTF-8 from here on, whatever it was. Of other instructions the first piece is their name.
            Node::Passed if is_first && is_declaration(written) => Ok(()),
            _ => {
                let put = self.collector.write_all(written.as_bytes());
                self.on_disk(put)
            }
        }
    }

    fn on_disk(&mut self, put: io::Result<()>) -> Result<(), String> {
        put.map_err(|error| {
            let reason = error.to_string();
            self.disk = Some(error);
            reason
        })
    }

    fn part(&self, start: &Start<'_>) -> Result<&'p PartAt, String> {
        let mut attributes = start.attributes();
        let href = attributes.find(|at| at.prefix.is_empty() && at.name == "href");
        let href = href.ok_or("an Include has no href")?.value.into_owned();
        let id = href
            .strip_prefix("cid:")
            .ok_or("an Include names something outside of the message")?;
        let id = unescaped(id);
        let found = self.parts.get(id.as_str()).copied();
        found.ok_or_else(|| format!("an Include names the part {id}, which is not there"))
    }
}

fn is_declaration(written: &str) -> bool {
    written.starts_with("<?xml") && written.ends_with("?>")
}

/// Replaces `%40` and the like: RFC 2392.
fn unescaped(text: &str) -> String {
    let mut bytes = Vec::new();
    let mut rest = text.as_bytes();
    while let Some((first, behind)) = rest.split_first() {
        let hex = behind.get(..2).filter(|_| *first == b'%');
        let hex = hex.and_then(|hex| u8::from_str_radix(std::str::from_utf8(hex).ok()?, 16).ok());
        bytes.push(hex.unwrap_or(*first));
        rest = if hex.is_some() { &behind[2..] } else { behind };
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

/// Writes a part as Base64.
fn put(content: &mut Content, part: &PartAt, to: &mut Collector) -> io::Result<()> {
    if part.encoding == Encoding::Base64 {
        return copy(content, &part.bytes, &mut |bytes| {
            let letters: Vec<u8> = bytes.iter().copied().filter(is_base64).collect();
            to.write_all(&letters)
        });
    }
    let mut encoder = EncoderWriter::new(to, &STANDARD);
    copy(content, &part.bytes, &mut |bytes| encoder.write_all(bytes))?;
    encoder.finish()?;
    Ok(())
}

fn is_base64(byte: &u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/' | b'=')
}

fn copy(
    content: &mut Content,
    range: &Range<u64>,
    to: &mut dyn FnMut(&[u8]) -> io::Result<()>,
) -> io::Result<()> {
    // A short part may be named very often.
    let length = usize::try_from(range.end - range.start).unwrap_or(usize::MAX);
    let mut chunk = vec![0; CHUNK_BYTES.min(length)];
    let mut at = range.start;
    while at < range.end {
        let count = read_at(content, at..range.end, &mut chunk)?;
        to(&chunk[..count])?;
        at += count as u64;
    }
    Ok(())
}

/// Reads from a place on. Never nothing.
fn read_at(content: &mut Content, range: Range<u64>, to: &mut [u8]) -> io::Result<usize> {
    let most = usize::try_from(range.end - range.start)
        .unwrap_or(usize::MAX)
        .min(to.len());
    let count = match content {
        Content::Memory(bytes) => {
            let from = usize::try_from(range.start)
                .unwrap_or(usize::MAX)
                .min(bytes.len());
            (&bytes[from..]).read(&mut to[..most])?
        }
        Content::Spool(file) => {
            file.seek(SeekFrom::Start(range.start))?;
            file.read(&mut to[..most])?
        }
    };
    if count == 0 {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    Ok(count)
}
