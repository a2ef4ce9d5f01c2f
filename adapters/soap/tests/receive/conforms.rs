//! The suite that every source runs, its caller a client that tries until it is answered.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, mpsc};
use std::thread::JoinHandle;
use std::time::Duration;

use dray_adapter::Source;
use dray_adapter::conformance::{self, Place};

use crate::caller::{Caller, SOAP_11, TEXT_XML, enveloped, movements, shown};
use crate::endpoint::{Laid, lay_out_with};

/// Movements of each call; the third is of several batches, and waits in a file.
const CALLS: [usize; 4] = [1, 3, 900, 2];
const RECORDS_MAX: usize = 300;

struct Calls {
    laid: Laid,
    next: usize,
    calls: Option<mpsc::Sender<String>>,
    ends: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Calls {
    fn new() -> Self {
        let laid = lay_out_with("", RECORDS_MAX);
        let (calls, made) = mpsc::channel::<String>();
        let ends = Arc::new(AtomicBool::new(false));
        let (address, end) = (laid.address(), Arc::clone(&ends));
        let thread = std::thread::spawn(move || {
            for call in made {
                let answered = || {
                    let mut caller = Caller::new(address).ok()?;
                    let answer = caller.post("/wms", &[TEXT_XML], call.as_bytes()).ok()?;
                    assert!(
                        answer.status == 200 || answer.fault().1 == "Server",
                        "{answer:?}"
                    );
                    (answer.status == 200).then_some(())
                };
                while answered().is_none() && !end.load(Ordering::SeqCst) {
                    std::thread::park_timeout(Duration::from_millis(2));
                }
            }
        });
        Self {
            laid,
            next: 0,
            calls: Some(calls),
            ends,
            thread: Some(thread),
        }
    }
}

impl Place for Calls {
    fn source(&self) -> Box<dyn Source> {
        self.laid.source()
    }

    fn add(&mut self) -> Option<Vec<String>> {
        let count = *CALLS.get(self.next)?;
        let batch = format!("B{}", self.next);
        self.next += 1;
        let call = enveloped(SOAP_11, "", &movements(&batch, count));
        let calls = self.calls.as_ref().expect("until the end");
        calls.send(call).expect("the caller is there");
        Some(shown(&batch, count))
    }
}

impl Drop for Calls {
    fn drop(&mut self) {
        self.ends.store(true, Ordering::SeqCst);
        self.calls = None;
        if let Some(thread) = self.thread.take() {
            assert!(
                thread.join().is_ok() || std::thread::panicking(),
                "the caller panicked"
            );
        }
    }
}

#[test]
fn an_endpoint_conforms() {
    conformance::run(Calls::new);
}
