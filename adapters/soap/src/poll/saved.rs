//! An answer that was saved to a file: the message, the parts of one (MTOM), or either behind the head of HTTP, as `curl -i` writes it.

use std::fs::File;
use std::io::{self, Read, Seek as _, SeekFrom};
use std::path::Path;
use std::sync::Arc;

use flate2::read::GzDecoder;
use memchr::memmem::find;

use super::answer::Head;
use super::client::unpacking;
use super::service::Service;
use crate::content::{Collector, Content};

/// Bytes of a head, at most.
const HEAD_BYTES_MAX: u64 = 64 * 1024;
/// What a good answer's status is.
const OK: u16 = 200;
/// How a file of gzip begins (RFC 1952).
const GZIP: &[u8] = &[0x1f, 0x8b];

/// What stands before a body, as far as it matters.
#[derive(Debug, PartialEq, Eq)]
struct Begins {
    status: u16,
    content_type: String,
    /// Where the body is.
    body: usize,
}

/// The answer, and its `Content-Type`.
pub(super) fn open(file: &Path, service: &Service) -> Result<(Head, Content, String), String> {
    let unreadable = |error: io::Error| format!("{} can't be read: {error}", file.display());
    let mut opened = File::open(file).map_err(unreadable)?;
    let mut start = Vec::new();
    let read = opened.by_ref().take(HEAD_BYTES_MAX).read_to_end(&mut start);
    read.map_err(unreadable)?;
    let begins = begins(&start).ok_or_else(|| {
        format!(
            "{} begins as an answer of HTTP, and its head has no end: save it whole, or its body alone",
            file.display()
        )
    })?;
    let sought = opened.seek(SeekFrom::Start(begins.body as u64));
    sought.map_err(unreadable)?;
    let mut body: Box<dyn Read> = match start[begins.body..].starts_with(GZIP) {
        true => Box::new(GzDecoder::new(opened)),
        false => Box::new(opened),
    };
    let bytes_max = service.config.limits.message_bytes_max.as_u64();
    let mut collector = Collector::new(bytes_max, Arc::clone(&service.folder));
    let kept = io::copy(&mut body, &mut collector).and_then(|_| collector.finish());
    let content = kept.map_err(|error| unpacking(&error, service).reason)?;
    let head = Head {
        status: begins.status,
        ..Head::default()
    };
    Ok((head, content, begins.content_type))
}

/// `None`: a head that does not end.
fn begins(start: &[u8]) -> Option<Begins> {
    if !start.starts_with(b"HTTP/") {
        return Some(Begins {
            status: OK,
            content_type: of_parts(start).unwrap_or_default(),
            body: 0,
        });
    }
    let body = find(start, b"\r\n\r\n")? + 4;
    let head = String::from_utf8_lossy(&start[..body]);
    let status = head.split(' ').nth(1).and_then(|code| code.parse().ok());
    // An interim answer, behind which the real one comes.
    if let Some(100..200) = status {
        let mut next = begins(&start[body..])?;
        next.body += body;
        return Some(next);
    }
    let headers = head.lines().filter_map(|line| line.split_once(':'));
    let content_type = headers
        .filter(|(name, _)| name.eq_ignore_ascii_case("content-type"))
        .map(|(_, value)| value.trim().to_owned())
        .next();
    Some(Begins {
        status: status.unwrap_or(OK),
        content_type: content_type.unwrap_or_default(),
        body,
    })
}

/// The `Content-Type` that goes with parts: they begin with their delimiter.
fn of_parts(start: &[u8]) -> Option<String> {
    let line = start.trim_ascii_start().strip_prefix(b"--")?;
    let line = line.split(|byte| *byte == b'\n').next()?;
    let boundary = String::from_utf8_lossy(line.trim_ascii_end());
    Some(format!("multipart/related; boundary=\"{boundary}\""))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(start: &str, expected: Option<(u16, &str, &str)>) {
        let found = begins(start.as_bytes());
        let found = found.as_ref().map(|found| {
            let body = &start[found.body..];
            (found.status, found.content_type.as_str(), body)
        });
        assert_eq!(found, expected, "{start}");
    }

    #[test]
    fn a_saved_answer_says_what_it_is() {
        check("<a/>", Some((200, "", "<a/>")));
        check("", Some((200, "", "")));
        let parts = "\r\n--uuid:1 \r\nContent-ID: <a>\r\n\r\n<a/>";
        let related = "multipart/related; boundary=\"uuid:1\"";
        check(parts, Some((200, related, parts)));
        let head = "HTTP/1.1 500 Internal Server Error\r\ncontent-type:  text/xml\r\n\r\n";
        check(&format!("{head}<a/>"), Some((500, "text/xml", "<a/>")));
        let interim = format!("HTTP/1.1 100 Continue\r\n\r\n{head}<a/>");
        check(&interim, Some((500, "text/xml", "<a/>")));
        check("HTTP/1.1 200 OK\r\nServer: x\r\n", None);
    }
}
