//! How many bytes may still come: the session's library holds a row whole, however large it is, and reads the rest of an answer before it asks anew.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// What is let through.
#[derive(Debug, Default)]
pub(super) struct Meter {
    left: AtomicUsize,
    is_over: AtomicBool,
}

impl Meter {
    /// So many bytes may come from now on.
    pub(super) fn allow(&self, bytes: usize) {
        self.left.store(bytes, Ordering::Relaxed);
        self.is_over.store(false, Ordering::Relaxed);
    }

    /// More would have come.
    pub(super) fn is_over(&self) -> bool {
        self.is_over.load(Ordering::Relaxed)
    }
}

/// A connection on which no more comes than is let through.
#[derive(Debug)]
pub(super) struct Metered<S> {
    pub(super) way: S,
    pub(super) meter: Arc<Meter>,
}

impl<S: AsyncRead + Unpin> AsyncRead for Metered<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let left = self.meter.left.load(Ordering::Relaxed);
        if left == 0 {
            self.meter.is_over.store(true, Ordering::Relaxed);
            return Poll::Ready(Err(io::Error::other("more comes than is taken")));
        }
        let before = buf.filled().len();
        let polled = Pin::new(&mut self.way).poll_read(cx, buf);
        let read = buf.filled().len() - before;
        self.meter
            .left
            .store(left.saturating_sub(read), Ordering::Relaxed);
        polled
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Metered<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.way).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.way).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.way).poll_shutdown(cx)
    }
}
