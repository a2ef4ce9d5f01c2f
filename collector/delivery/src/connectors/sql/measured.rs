//! What PostgreSQL sends, up to a limit: its library makes room for a message of whatever length a server announces, also one
//! that we have not signed in at.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// Bytes of a message, at most: the longest that come are errors, with some KiB, and the kinds of a statement's 65,535
/// parameters, with four bytes each.
const MESSAGE_BYTES_MAX: usize = 1024 * 1024;
/// Bytes of all that answers one of our statements, at most: the longest tell of the columns of a table or the marks of a
/// delivery.
const ANSWER_BYTES_MAX: usize = 16 * 1024 * 1024;
/// A message's head: its kind, and its length without the kind.
const HEAD_BYTES: usize = 5;
/// The kind of the message with which each answer ends (ReadyForQuery).
const READY: u8 = b'Z';

/// See the module.
#[derive(Debug)]
pub(super) struct Measured<S> {
    stream: S,
    measure: Measure,
}

/// Where in what messages it is: pure.
#[derive(Debug, Default)]
struct Measure {
    head: [u8; HEAD_BYTES],
    /// Bytes of the head that came.
    had: usize,
    /// Bytes of the message's body that are to come.
    left: usize,
    /// Bytes of the answer so far.
    answer: usize,
}

impl<S> Measured<S> {
    pub(super) fn new(stream: S) -> Self {
        Self {
            stream,
            measure: Measure::default(),
        }
    }
}

impl Measure {
    fn take(&mut self, mut came: &[u8]) -> io::Result<()> {
        while let Some(byte) = came.first() {
            if self.left > 0 {
                let passed = self.left.min(came.len());
                (self.left, came) = (self.left - passed, &came[passed..]);
                continue;
            }
            self.head[self.had] = *byte;
            (self.had, came) = (self.had + 1, &came[1..]);
            if self.had == HEAD_BYTES {
                self.had = 0;
                self.begin()?;
            }
        }
        Ok(())
    }

    fn begin(&mut self) -> io::Result<()> {
        let [kind, length @ ..] = self.head;
        let length = u32::from_be_bytes(length) as usize;
        self.answer = match kind {
            READY => 0,
            _ => self.answer.saturating_add(length),
        };
        if length > MESSAGE_BYTES_MAX || self.answer > ANSWER_BYTES_MAX {
            tracing::warn!(length, "the database says more than is read of it");
            let said = format!(
                "it says more than is read: {length} bytes at once (at most {MESSAGE_BYTES_MAX}), or more than {ANSWER_BYTES_MAX} in all"
            );
            return Err(io::Error::new(io::ErrorKind::InvalidData, said));
        }
        // The length counts itself.
        self.left = length.saturating_sub(HEAD_BYTES - 1);
        Ok(())
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Measured<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        ready!(Pin::new(&mut self.stream).poll_read(context, buffer))?;
        Poll::Ready(self.measure.take(&buffer.filled()[before..]))
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Measured<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

    fn message(kind: u8, length: usize) -> Vec<u8> {
        let mut message = vec![kind];
        message.extend(u32::try_from(length).expect("a length").to_be_bytes());
        message
    }

    fn whole(kind: u8, body: usize) -> Vec<u8> {
        let mut message = message(kind, body + 4);
        message.resize(HEAD_BYTES + body, b'x');
        message
    }

    /// However it is cut.
    fn check(bytes: &[u8], is_good: bool) {
        for piece in [1, 3, 4096, usize::MAX] {
            let mut measure = Measure::default();
            let pieces = bytes.chunks(piece.min(bytes.len().max(1)));
            let taken: io::Result<Vec<()>> = pieces.map(|came| measure.take(came)).collect();
            assert_eq!(taken.is_ok(), is_good, "{} in {piece}", bytes.len());
        }
    }

    #[test]
    fn a_message_is_as_long_as_its_limit_and_an_answer_as_its_own() {
        check(
            &[whole(b'R', 0), whole(b'E', 5000), whole(b'Z', 1)].concat(),
            true,
        );
        check(&whole(b'D', MESSAGE_BYTES_MAX - 4), true);
        check(&message(b'D', MESSAGE_BYTES_MAX + 1), false);
        check(&message(b'E', 1_900_000_000), false);
        check(&message(b'E', 0), true);
        let row = whole(b'D', MESSAGE_BYTES_MAX / 2);
        let rows = |count: usize| row.repeat(count);
        let fit = ANSWER_BYTES_MAX / row.len();
        check(&rows(fit), true);
        check(&rows(fit + 2), false);
        check(&[rows(fit), whole(b'Z', 1), rows(fit)].concat(), true);
    }

    #[tokio::test]
    async fn what_is_announced_too_long_ends_the_connection_before_it_is_read() {
        let (near, mut far) = tokio::io::duplex(64);
        let mut near = Measured::new(near);
        far.write_all(&whole(b'Z', 1)).await.expect("it is taken");
        far.write_all(&message(b'N', 1_900_000_000))
            .await
            .expect("it is taken");
        let mut read = vec![0; 64];
        let error = near.read(&mut read).await.expect_err("it is too long");
        assert_eq!(error.kind(), io::ErrorKind::InvalidData);
    }
}
