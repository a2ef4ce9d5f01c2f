//! The `dray-collector` program.

use std::io::Write as _;
use std::path::Path;
use std::process::ExitCode;

use clap::Parser as _;
use dray_collector::cli::{Cli, Command};
use dray_collector::{Config, Failure, commands, logs};

fn main() -> ExitCode {
    #[cfg(feature = "failpoints")]
    if let Err(reason) = dray_edges::arm(dray_collector::EDGES) {
        eprintln!("dray-collector: {reason}");
        return ExitCode::FAILURE;
    }
    match start(Cli::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // Who reads stdout and stderr in one pipe may be gone by now.
            let _ = writeln!(std::io::stderr(), "dray-collector: {error:#}");
            error
                .downcast_ref::<Failure>()
                .map_or(ExitCode::FAILURE, |failure| failure.exit_code().into())
        }
    }
}

/// An operator must not be blind while a file is being edited.
fn read_to_ask(path: &Path) -> Result<Config, Failure> {
    let (config, wrong) = Config::read_to_ask(path)?;
    if wrong.is_some() {
        let _ = writeln!(
            std::io::stderr(),
            "dray-collector: {} has errors, which \"dray-collector check\" shows; asked is the collector that runs",
            path.display()
        );
    }
    Ok(config)
}

fn start(cli: Cli) -> anyhow::Result<()> {
    logs::start(cli.log).map_err(Failure::Failed)?;
    if let Command::Presets { command } = &cli.command {
        return Ok(commands::presets(command.as_ref(), &cli.config)?);
    }
    let config = match cli.command.only_asks() {
        true => read_to_ask(&cli.config)?,
        false => Config::read(&cli.config).map_err(Failure::Config)?,
    };
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()?;
    Ok(runtime.block_on(commands::run(cli.command, &config))?)
}
