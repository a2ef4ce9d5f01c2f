//! When everything is opened again, in the same process: the buffer stopped, or a restored collector needs what stands on disk
//! but is acked.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use dray_buffer::hindrance_in;
use tokio::sync::watch;
use tokio::time::Instant;

/// The first wait before it, and the longest: a buffer that stops again at once must not keep a processor busy.
const WAIT_MIN: Duration = Duration::from_secs(1);
const WAIT_MAX: Duration = Duration::from_secs(30);
/// How often is looked whether the disk lets a buffer be opened.
const LOOK: Duration = Duration::from_secs(1);
/// What ran so long begins with the first wait again.
const LIVED: Duration = Duration::from_secs(600);

/// Asks for it. Clones ask for the same; the first reason counts.
#[derive(Debug, Clone)]
pub struct Again(Arc<watch::Sender<Option<String>>>);

impl Default for Again {
    fn default() -> Self {
        Self(Arc::new(watch::Sender::new(None)))
    }
}

impl Again {
    /// Everything is to be opened again.
    pub fn ask(&self, reason: &str) {
        self.0.send_if_modified(|asked| {
            let news = asked.is_none();
            asked.get_or_insert_with(|| reason.to_owned());
            news
        });
    }

    /// Waits until somebody asks; why.
    pub(crate) async fn asked(&self) -> String {
        let mut asked = self.0.subscribe();
        let reason = asked.wait_for(Option::is_some).await;
        // The sender is `self`.
        reason.map_or_else(
            |_| String::new(),
            |reason| reason.clone().unwrap_or_default(),
        )
    }
}

/// How long to wait before everything is opened again.
#[derive(Debug)]
pub(crate) struct Pause {
    wait: Duration,
    began: Instant,
}

impl Pause {
    pub(crate) fn new() -> Self {
        Self {
            wait: WAIT_MIN,
            began: Instant::now(),
        }
    }

    /// Waits its time, and until the disk lets a buffer be opened.
    pub(crate) async fn wait(&mut self, buffer: &Path) {
        if self.began.elapsed() >= LIVED {
            self.wait = WAIT_MIN;
        }
        tokio::time::sleep(self.wait).await;
        while let Some(hindrance) = hindrance_in(buffer) {
            tracing::debug!(hindrance, "the buffer can't be opened yet");
            tokio::time::sleep(LOOK).await;
        }
        self.wait = (self.wait * 2).min(WAIT_MAX);
        self.began = Instant::now();
    }
}
