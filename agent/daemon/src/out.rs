//! What a command prints. A reader that has seen enough, as `head` has, is no failure: the command goes on without a word.

use std::io::{ErrorKind, Write as _};

/// Prints as it is.
pub(crate) fn put(text: &str) {
    let mut out = std::io::stdout().lock();
    let printed = out.write_all(text.as_bytes()).and_then(|()| out.flush());
    if let Err(error) = printed
        && error.kind() != ErrorKind::BrokenPipe
    {
        // Half an answer must not be taken for a whole one.
        let _ = writeln!(std::io::stderr(), "dray-agent: stdout: {error}");
        std::process::exit(1);
    }
}
