//! A buffer that answers when a test says so.

use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use dray_buffer::{
    Append, Buffer, BufferError, Depth, Loss, MarkState, MemoryBuffer, Receipt, Sequence, Space,
    StoredBlock,
};
use tokio::sync::watch;

/// A memory buffer whose appends are answered when the test says so, or fail.
pub(crate) struct Gate {
    pub(crate) inner: MemoryBuffer,
    pub(crate) open: Mutex<Option<Receiver<Result<(), BufferError>>>>,
    pub(crate) losses: Vec<Loss>,
}

impl Buffer for Gate {
    fn epoch(&self) -> u64 {
        self.inner.epoch()
    }

    fn begin_epoch(&self) -> Result<u64, BufferError> {
        self.inner.begin_epoch()
    }

    fn losses(&self) -> Vec<Loss> {
        self.losses.clone()
    }

    fn append(&self, append: Append) -> Receipt {
        let answer = self.inner.append(append);
        let gate = self.open.lock().expect("no panic").take();
        let Some(gate) = gate else { return answer };
        let (sender, receipt) = Receipt::new();
        std::thread::spawn(move || {
            let answer = gate
                .recv()
                .expect("the test decides")
                .and_then(|()| answer.wait());
            let _ = sender.send(answer);
        });
        receipt
    }

    fn read(
        &self,
        flow: &str,
        from: Sequence,
        bytes_max: usize,
    ) -> Result<Vec<StoredBlock>, BufferError> {
        self.inner.read(flow, from, bytes_max)
    }

    fn ack(&self, flow: &str, epoch: u64, through: Sequence) -> Result<Option<Bytes>, BufferError> {
        self.inner.ack(flow, epoch, through)
    }

    fn seen(&self, flow: &str, mark: &[u8]) -> MarkState {
        self.inner.seen(flow, mark)
    }

    fn position(&self, flow: &str) -> Option<Bytes> {
        self.inner.position(flow)
    }

    fn depth(&self, flow: &str) -> Depth {
        self.inner.depth(flow)
    }

    fn flows(&self) -> Vec<Arc<str>> {
        self.inner.flows()
    }

    fn space(&self) -> Space {
        Space {
            waiting: Some("the buffer is full; make room".into()),
            ..self.inner.space()
        }
    }

    fn watch(&self) -> watch::Receiver<u64> {
        self.inner.watch()
    }
}

pub(crate) fn gate() -> (Sender<Result<(), BufferError>>, Arc<dyn Buffer>) {
    let (open, gate) = channel();
    (
        open,
        Arc::new(Gate {
            inner: MemoryBuffer::new(),
            open: Mutex::new(Some(gate)),
            losses: Vec::new(),
        }),
    )
}
