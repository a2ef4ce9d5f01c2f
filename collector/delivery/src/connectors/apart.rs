//! Work on what is large, away from the threads that serve sockets: there it would hold up all targets.

/// So many bytes are read, searched and changed at once: a millisecond at most.
const AT_ONCE_BYTES: usize = 64 * 1024;

/// What work on so many bytes makes.
pub(super) async fn apart<T: Send + 'static>(
    bytes: usize,
    work: impl FnOnce() -> T + Send + 'static,
) -> T {
    if bytes <= AT_ONCE_BYTES {
        return work();
    }
    match tokio::task::spawn_blocking(work).await {
        Ok(made) => made,
        // A fault goes where it would have gone.
        Err(error) => std::panic::resume_unwind(error.into_panic()),
    }
}
