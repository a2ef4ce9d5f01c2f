//! When everything is opened again: the buffer stopped, or a restored collector needs what stands on disk but is acked. The agent
//! then starts itself once more under its process id (see `heap.rs`), so that nothing of before stays open.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use dray_buffer::hindrance_in;
use tokio::sync::watch;

/// The wait before it: a buffer that stops again at once must not keep a processor busy.
const WAIT: Duration = Duration::from_secs(2);
/// How often is looked whether the disk lets a buffer be opened.
const LOOK: Duration = Duration::from_secs(1);

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

/// Waits a moment, and until the disk lets a buffer be opened; `say` is told why it does not yet.
pub(crate) async fn pause(buffer: &Path, say: impl Fn(String)) {
    tokio::time::sleep(WAIT).await;
    let mut said = String::new();
    while let Some(hindrance) = hindrance_in(buffer) {
        if hindrance != said {
            tracing::warn!(reason = hindrance, "the buffer can't be opened again yet");
            said.clone_from(&hindrance);
            say(format!("the buffer can't be opened again yet: {hindrance}"));
        }
        tokio::time::sleep(LOOK).await;
    }
}
