//! How long callers are waited for.

use std::time::Duration;

/// How long a connection may do without what is due. Each has its reason beside its default.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Patience {
    /// For the head of its first request, whole.
    pub first: Duration,
    /// For its next request, and for that one's head to come.
    pub idle: Duration,
    /// For its caller to read what is answered.
    pub unread: Duration,
}

impl Default for Patience {
    fn default() -> Self {
        Self {
            // Whoever connects to call does so at once: who says nothing would hold a connection that others wait for.
            first: Duration::from_secs(10),
            // Callers that keep connections use them more often.
            idle: Duration::from_secs(60),
            // An answer is short: who takes none of it for so long is gone, or means harm.
            unread: Duration::from_secs(60),
        }
    }
}
