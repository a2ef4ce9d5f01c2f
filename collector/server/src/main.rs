//! The `dray-collector` program.

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
            eprintln!("dray-collector: {error:#}");
            error
                .downcast_ref::<Failure>()
                .map_or(ExitCode::FAILURE, |failure| failure.exit_code().into())
        }
    }
}

fn start(cli: Cli) -> anyhow::Result<()> {
    logs::start(cli.log).map_err(Failure::Failed)?;
    if let Command::Presets { command } = &cli.command {
        return Ok(commands::presets(command.as_ref(), &cli.config)?);
    }
    let config = Config::read(&cli.config).map_err(Failure::Config)?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()?;
    Ok(runtime.block_on(commands::run(cli.command, &config))?)
}
