//! Where log lines go: stderr, for a person on a terminal and for a machine elsewhere.

use std::io::IsTerminal as _;

use tracing_subscriber::EnvFilter;

use crate::cli::LogFormat;

/// The variable that filters, e.g. `DRAY_LOG=debug` or `DRAY_LOG=info,dray_delivery=debug`.
pub const FILTER: &str = "DRAY_LOG";

/// Starts logging; once a process.
///
/// # Errors
/// A sentence, where `DRAY_LOG` can't be read or logging was started before.
pub fn start(format: Option<LogFormat>) -> Result<(), String> {
    let filter = match std::env::var(FILTER) {
        Ok(text) => EnvFilter::try_new(&text).map_err(|error| {
            format!("{FILTER}=\"{text}\" is no filter: {error}; write e.g. \"info\" or \"debug\"")
        })?,
        Err(_) => EnvFilter::new("info"),
    };
    let terminal = std::io::stderr().is_terminal();
    let subscriber = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr);
    let text = format.map_or(terminal, |format| format == LogFormat::Text);
    let started = if text {
        subscriber.with_ansi(terminal).with_target(false).try_init()
    } else {
        subscriber
            .json()
            .flatten_event(true)
            .with_current_span(true)
            .with_span_list(false)
            .try_init()
    };
    started.map_err(|error| format!("logging cannot start: {error}"))?;
    // What a panic says may quote what was being read, unless it is our own sentence; its place is enough.
    std::panic::set_hook(Box::new(|panic| {
        let at = panic.location().map(ToString::to_string);
        let said = panic.payload().downcast_ref::<&'static str>().copied();
        tracing::error!(at, said, "a part of the program failed; please report it");
    }));
    Ok(())
}
