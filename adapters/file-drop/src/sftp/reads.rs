//! Reads of one file, many under way: a server answers one at a time, and a long line would stand idle between them.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

use russh_sftp::client::RawSftpSession;
use russh_sftp::client::error::Error;
use russh_sftp::protocol::StatusCode;
use tokio::task::JoinHandle;

/// Bytes asked for at once: every server gives as many.
const READ_BYTES: u32 = 32 * 1024;
/// The least that is asked for, of a server that gives less.
const READ_BYTES_MIN: u32 = 4 * 1024;
/// Reads under way, as OpenSSH's own client has them: 2 MiB.
const UNDER_WAY_MAX: usize = 64;
/// Reads under way at first.
const UNDER_WAY_FIRST: usize = 8;
/// The part of the time for an answer that a read may take before fewer are under way: on a slow line each waits for
/// those before it.
const SLOW: u32 = 4;

/// What a read gives.
type Piece = Result<Vec<u8>, Error>;

/// The bytes of a file from one place to another, in order.
pub(crate) struct Reads {
    sftp: Arc<RawSftpSession>,
    handle: String,
    asked: VecDeque<Asked>,
    next: u64,
    end: u64,
    piece_bytes: u32,
    under_way_max: usize,
    timeout: Duration,
}

struct Asked {
    from: u64,
    bytes: u32,
    since: Instant,
    answer: JoinHandle<Piece>,
}

impl Drop for Asked {
    fn drop(&mut self) {
        self.answer.abort();
    }
}

impl Reads {
    /// `timeout`: how long an answer may take.
    pub(crate) fn new(
        sftp: Arc<RawSftpSession>,
        handle: String,
        (from, end): (u64, u64),
        timeout: Duration,
    ) -> Self {
        Self {
            sftp,
            handle,
            asked: VecDeque::new(),
            next: from,
            end,
            piece_bytes: READ_BYTES,
            under_way_max: UNDER_WAY_FIRST,
            timeout,
        }
    }

    /// The next bytes; `None` at the end, which may come early where the file is shorter.
    pub(crate) async fn next(&mut self) -> Result<Option<Vec<u8>>, Error> {
        self.ask();
        let Some(mut first) = self.asked.pop_front() else {
            return Ok(None);
        };
        let piece = (&mut first.answer).await;
        let piece = match piece.unwrap_or(Err(Error::UnexpectedPacket)) {
            Err(Error::Status(status)) if status.status_code == StatusCode::Eof => return Ok(None),
            piece => piece?,
        };
        self.under_way_max = match first.since.elapsed() > self.timeout / SLOW {
            true => (self.under_way_max / 2).max(1),
            false => (self.under_way_max + 1).min(UNDER_WAY_MAX),
        };
        let bytes = u32::try_from(piece.len()).unwrap_or(u32::MAX);
        if bytes > first.bytes || bytes == 0 {
            return Err(Error::UnexpectedPacket);
        }
        if bytes < first.bytes {
            // The server gives less at once: the rest is asked for anew.
            self.asked.clear();
            self.next = first.from + u64::from(bytes);
            self.piece_bytes = bytes.clamp(READ_BYTES_MIN, self.piece_bytes);
        }
        Ok(Some(piece))
    }

    fn ask(&mut self) {
        while self.asked.len() < self.under_way_max && self.next < self.end {
            let rest = u32::try_from(self.end - self.next).unwrap_or(u32::MAX);
            let (from, bytes) = (self.next, rest.min(self.piece_bytes));
            let (sftp, handle) = (Arc::clone(&self.sftp), self.handle.clone());
            let answer = tokio::spawn(async move {
                let data = sftp.read(handle, from, bytes).await?;
                Ok(data.data)
            });
            self.next += u64::from(bytes);
            self.asked.push_back(Asked {
                from,
                bytes,
                since: Instant::now(),
                answer,
            });
        }
    }
}
