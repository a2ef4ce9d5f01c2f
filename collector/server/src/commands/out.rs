//! What a command prints. A reader that has seen enough, as `head` has, is no failure: the command goes on without a word.

use std::fmt::Arguments;
use std::io::{Error, ErrorKind, Write as _};

use crate::failure::Failure;

/// Prints a line.
macro_rules! say {
    ($($text:tt)*) => {
        $crate::commands::out::put(format_args!("{}\n", format_args!($($text)*)))
    };
}
pub(super) use say;

/// Prints as it is.
pub(super) fn put(text: Arguments<'_>) {
    let mut out = std::io::stdout().lock();
    let printed = out.write_fmt(text).and_then(|()| out.flush());
    if let Err(failure) = printed.or_else(unless_nobody_reads) {
        // Half an answer must not be taken for a whole one.
        let _ = writeln!(std::io::stderr(), "dray-collector: {failure}");
        std::process::exit(i32::from(failure.exit_code()));
    }
}

/// What it means that something could not be printed.
///
/// # Errors
/// [`Failure::Failed`], unless it is only that nobody reads any more.
pub(super) fn unless_nobody_reads(error: Error) -> Result<(), Failure> {
    match error.kind() {
        ErrorKind::BrokenPipe => Ok(()),
        _ => Err(Failure::Failed(format!("stdout: {error}"))),
    }
}
