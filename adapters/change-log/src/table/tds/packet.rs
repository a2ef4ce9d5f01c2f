//! Packets of TDS, as far as TLS needs them: before a session is secured, its handshake travels in packets (MS-TDS 2.2.6.5 and 3.2.5.1).

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, ReadBuf};

/// What a packet is: a PRELOGIN, or TLS in its place.
pub(super) const PRELOGIN: u8 = 0x12;
/// An answer.
pub(super) const ANSWER: u8 = 0x04;
const HEADER_BYTES: usize = 8;
/// That no packet of the message follows.
const LAST: u8 = 1;
/// The largest packet before its size is agreed on.
const PACKET_BYTES_MAX: usize = 4_096;
/// A PRELOGIN, or a server's answer to it, has less.
const MESSAGE_BYTES_MAX: usize = 64 * 1024;

/// PRELOGIN's option for encryption, and the end of its options.
const ENCRYPTION: u8 = 1;
const END: u8 = 0xff;
/// What it says.
pub(super) const ENCRYPT_ON: u8 = 1;
pub(super) const NOT_SUPPORTED: u8 = 2;
pub(super) const REQUIRED: u8 = 3;

/// Asks for encryption: version, encryption, instance, thread, and no multiple active results.
const ASK: [u8; 39] = [
    0, 0, 26, 0, 6, ENCRYPTION, 0, 32, 0, 1, 2, 0, 33, 0, 1, 3, 0, 34, 0, 4, 4, 0, 38, 0, 1, END,
    0, 0, 0, 0, 0, 0, ENCRYPT_ON, 0, 0, 0, 0, 0, 0,
];

/// Asks for encryption.
pub(super) fn ask() -> Vec<u8> {
    message(PRELOGIN, &ASK)
}

/// A message in as many packets as it needs.
pub(super) fn message(kind: u8, payload: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(payload.len() + HEADER_BYTES);
    let mut parts = payload.chunks(PACKET_BYTES_MAX - HEADER_BYTES).peekable();
    while let Some(part) = parts.next() {
        let bytes = (part.len() + HEADER_BYTES) as u16;
        let status = if parts.peek().is_none() { LAST } else { 0 };
        out.extend([kind, status]);
        out.extend(bytes.to_be_bytes());
        out.extend([0; 4]);
        out.extend(part);
    }
    out
}

/// Where a PRELOGIN says what of encryption.
pub(super) fn encryption(payload: &[u8]) -> Option<usize> {
    let mut options = payload.chunks(5);
    let option = options.find(|option| matches!(option.first(), Some(&ENCRYPTION | &END)))?;
    match option {
        [ENCRYPTION, high, low, ..] => {
            let at = usize::from(u16::from_be_bytes([*high, *low]));
            (at < payload.len()).then_some(at)
        }
        _ => None,
    }
}

/// Reads a message: its kind, and what it holds.
pub(super) async fn read(stream: &mut (impl AsyncRead + Unpin)) -> io::Result<(u8, Vec<u8>)> {
    let mut payload = Vec::new();
    loop {
        let mut header = [0; HEADER_BYTES];
        stream.read_exact(&mut header).await?;
        let bytes = payload_bytes(&header)?;
        let start = payload.len();
        if start + bytes > MESSAGE_BYTES_MAX {
            return Err(wrong("a message is too long"));
        }
        payload.resize(start + bytes, 0);
        stream.read_exact(&mut payload[start..]).await?;
        if header[1] & LAST != 0 {
            return Ok((header[0], payload));
        }
    }
}

fn payload_bytes(header: &[u8; HEADER_BYTES]) -> io::Result<usize> {
    let bytes = usize::from(u16::from_be_bytes([header[2], header[3]]));
    let payload = bytes.checked_sub(HEADER_BYTES);
    payload.ok_or_else(|| wrong("a packet is shorter than its header"))
}

fn wrong(what: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, what.to_owned())
}

/// A connection on which a handshake travels in packets, and what follows does not.
#[derive(Debug)]
pub(super) struct Wrapped<S> {
    stream: S,
    is_wrapped: bool,
    /// Of the packet that comes: its header so far, and bytes behind it that are not read yet.
    header: Vec<u8>,
    left: usize,
    /// What is to be sent with the next flush, and what is on its way.
    out: Vec<u8>,
    packets: Vec<u8>,
}

impl<S> Wrapped<S> {
    pub(super) fn new(stream: S) -> Self {
        Self {
            stream,
            is_wrapped: true,
            header: Vec::with_capacity(HEADER_BYTES),
            left: 0,
            out: Vec::new(),
            packets: Vec::new(),
        }
    }

    /// The handshake is over.
    pub(super) fn bare(&mut self) {
        self.is_wrapped = false;
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Wrapped<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let inner = &mut *self;
        if !inner.is_wrapped {
            return Pin::new(&mut inner.stream).poll_read(cx, buf);
        }
        while inner.left == 0 {
            let mut header = [0; HEADER_BYTES];
            let mut part = ReadBuf::new(&mut header[inner.header.len()..]);
            ready!(Pin::new(&mut inner.stream).poll_read(cx, &mut part))?;
            if part.filled().is_empty() {
                return Poll::Ready(Ok(()));
            }
            inner.header.extend_from_slice(part.filled());
            if let Ok(header) = <&[u8; HEADER_BYTES]>::try_from(&*inner.header) {
                if header[0] != PRELOGIN {
                    return Poll::Ready(Err(wrong("the server broke off the handshake")));
                }
                inner.left = payload_bytes(header)?;
                inner.header.clear();
            }
        }
        let free = buf.initialize_unfilled();
        let most = inner.left.min(free.len());
        let mut part = ReadBuf::new(&mut free[..most]);
        ready!(Pin::new(&mut inner.stream).poll_read(cx, &mut part))?;
        let bytes = part.filled().len();
        buf.advance(bytes);
        inner.left -= bytes;
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Wrapped<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        if !self.is_wrapped {
            return Pin::new(&mut self.stream).poll_write(cx, bytes);
        }
        self.out.extend_from_slice(bytes);
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let inner = &mut *self;
        if inner.packets.is_empty() && !inner.out.is_empty() {
            inner.packets = message(PRELOGIN, &inner.out);
            inner.out.clear();
        }
        while !inner.packets.is_empty() {
            let sent = ready!(Pin::new(&mut inner.stream).poll_write(cx, &inner.packets))?;
            if sent == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            inner.packets.drain(..sent);
        }
        Pin::new(&mut inner.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_prelogin_says_what_it_asks_for() {
        assert_eq!(encryption(&ASK), Some(32));
        assert_eq!(ASK[32], ENCRYPT_ON);
        assert_eq!(ask()[..4], [PRELOGIN, LAST, 0, 47]);
        for payload in [
            &[][..],
            &[END],
            &[0, 0, 6, 0, 0, END],
            &[1, 0, 99, 0, 1, END],
        ] {
            assert_eq!(encryption(payload), None, "{payload:?}");
        }
    }

    #[tokio::test]
    async fn a_message_is_read_from_its_packets() {
        let payload: Vec<u8> = (0..10_000_u32).map(|number| number as u8).collect();
        let sent = message(ANSWER, &payload);
        assert_eq!(sent.len(), payload.len() + 3 * HEADER_BYTES);
        let told = read(&mut &*sent).await.expect("a message");
        assert_eq!(told, (ANSWER, payload));
        for bytes in [&sent[..20], &[4, 1, 0, 7, 0, 0, 0, 0]] {
            assert!(read(&mut &*bytes).await.is_err());
        }
        let endless = message(ANSWER, &vec![0; MESSAGE_BYTES_MAX + 1]);
        assert!(read(&mut &*endless).await.is_err());
    }
}
