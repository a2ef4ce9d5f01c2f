//! `dray-agent redrive`: what was set aside is read again, after a fix.
//!
//! The command leaves a request in the flow's own folder below the data folder; the flow takes it when it next looks,
//! or when the agent is started. So it does the same whether an agent runs or not.

use std::fmt::Write as _;
use std::os::unix::net::UnixStream;

use bytesize::ByteSize;

use crate::cli::RedriveArguments;
use crate::config::{Config, FlowConfig};
use crate::failure::Failure;
use crate::out;
use crate::preview::named;

/// Runs the command.
///
/// # Errors
/// [`Failure`] where there is no such flow, or what is named can't be read again.
pub fn command(config: &Config, wanted: &RedriveArguments) -> Result<(), Failure> {
    let flow = named(config, &wanted.flow)?;
    let own = config.source_dir(&flow.name);
    let is_asked = wanted.all || !wanted.files.is_empty() || !wanted.records.is_empty();
    let shown = if is_asked {
        let told = flow.source.redrive(&flow.name, &own, wanted);
        let told = told.map_err(Failure::Failed)?;
        let when = match UnixStream::connect(config.socket()) {
            Ok(_) => "The agent does it when it next looks.",
            Err(_) => "No agent runs: it is done when it is started.",
        };
        format!("{}\n{when}\n", told.join("\n"))
    } else {
        let files = flow.source.redrivable(&own).map_err(Failure::Failed)?;
        list(flow, &files)
    };
    out::put(&shown);
    Ok(())
}

fn list(flow: &FlowConfig, files: &[(String, u64, String)]) -> String {
    let name = flow.name.flow();
    if files.is_empty() {
        return format!("Nothing of flow \"{name}\" is set aside.\n");
    }
    let mut out = String::new();
    for (file, bytes, reason) in files {
        // Writing to a string never fails.
        let _ = writeln!(out, "{file}  {}", ByteSize(*bytes));
        if !reason.is_empty() {
            let _ = writeln!(out, "    {reason}");
        }
    }
    let _ = writeln!(
        out,
        "\n\"dray-agent redrive {name} FILE\" reads one of them again, \"--all\" all of them."
    );
    out
}
