//! The commands.

use std::io::Write as _;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Parser, Subcommand};

use crate::config::{Config, DEFAULT_FILE};
use crate::failure::Failure;
use crate::logs::{self, LogFormat};
use crate::{
    check, enroll, heap, load_again, preview, redrive, run, soap_discover, status, suggest,
};

/// The agent beside a legacy system: takes what it drops and carries it to the collector.
#[derive(Debug, Parser)]
#[command(name = "dray-agent", version, after_help = EXIT_CODES)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
    /// The configuration.
    #[arg(long, global = true, value_name = "FILE", default_value = DEFAULT_FILE)]
    config: PathBuf,
    /// How log lines look; otherwise text on a terminal and JSON elsewhere. DRAY_LOG=debug says more.
    #[arg(long, global = true, value_enum, value_name = "FORMAT")]
    log: Option<LogFormat>,
}

const EXIT_CODES: &str = "Exit codes: 0 fine · 1 failed · 2 wrong usage · 69 the agent or the collector can't be reached · 78 the configuration is wrong";

#[derive(Debug, Subcommand)]
enum Command {
    /// Watch, buffer and send, until told to end (SIGTERM or Ctrl-C).
    Run,
    /// Is the configuration right, and is what it names there? Changes nothing.
    Check,
    /// Show which events a file would become, and which lines would not. Moves and sends nothing.
    Preview(PreviewArguments),
    /// Read again what was set aside, after a fix: files, or records of a file that was read. Without files it lists what
    /// could be.
    Redrive(RedriveArguments),
    /// Have all rows of one table come once more from a running flow that reads a change log, joined to what changes meanwhile.
    LoadAgain(LoadAgainArguments),
    /// Propose a flow for a file that nobody has described, and show what comes of the file.
    Suggest(SuggestArguments),
    /// Propose a flow for a service that a WSDL describes, and write the templates that it needs.
    SoapDiscover(SoapDiscoverArguments),
    /// Get this agent's certificate with a token from `dray-collector invite SITE`.
    Enroll {
        /// Begins with "dray1."; works once.
        token: String,
        /// As another agent than it is already: its flows are that one's until they are moved.
        #[arg(long)]
        again: bool,
    },
    /// Ask the running agent how it is.
    Status {
        /// One JSON object.
        #[arg(long)]
        json: bool,
    },
}

/// What `preview` is told.
#[derive(Debug, Args)]
pub struct PreviewArguments {
    /// A sample.
    pub file: PathBuf,
    /// The flow that reads it; otherwise the one whose pattern takes the file's name.
    #[arg(long)]
    pub flow: Option<String>,
    /// One JSON object an event.
    #[arg(long)]
    pub json: bool,
    /// Events to show, and dead letters, at most.
    #[arg(long, default_value_t = preview::SHOWN_DEFAULT, value_name = "EVENTS")]
    pub limit: usize,
}

/// What `suggest` is told.
#[derive(Debug, Args)]
pub struct SuggestArguments {
    /// A sample, packed or not.
    pub file: PathBuf,
    /// The sender's copybook, for a file of a mainframe.
    #[arg(long, value_name = "FILE")]
    pub copybook: Option<PathBuf>,
    /// Events to show, and dead letters, at most.
    #[arg(long, default_value_t = suggest::SHOWN_DEFAULT, value_name = "EVENTS")]
    pub limit: usize,
}

/// What `soap-discover` is told.
#[derive(Debug, Args)]
pub struct SoapDiscoverArguments {
    /// The description. What it imports is read from beside it, and never fetched.
    pub wsdl: PathBuf,
    /// Operations; otherwise all of the port, or its only one to ask.
    pub operations: Vec<String>,
    /// Be the endpoint that is described; otherwise the flow asks it.
    #[arg(long)]
    pub receive: bool,
    /// The port that is meant, where there are several.
    #[arg(long)]
    pub port: Option<String>,
    /// Where the templates are written; none that is there is overwritten.
    #[arg(long, default_value = ".", value_name = "FOLDER")]
    pub templates: PathBuf,
}

/// What `redrive` is told.
#[derive(Debug, Args)]
pub struct RedriveArguments {
    /// The flow that read it.
    pub flow: String,
    /// Files that are set aside; with --record, the one file that has the records.
    pub files: Vec<String>,
    /// All files of the flow that are set aside.
    #[arg(long)]
    pub all: bool,
    /// Records, as their dead letters name them: a line (12), the lines of a document (12-40), a number among the
    /// file's records (#5), or a dead letter's id.
    #[arg(long = "record", value_name = "N", num_args = 1..)]
    pub records: Vec<String>,
}

/// What `load-again` is told.
#[derive(Debug, Args)]
pub struct LoadAgainArguments {
    /// The flow that reads it.
    pub flow: String,
    /// The table as the flow names it: public.movement.
    pub table: String,
    /// Take it back: its rows do not come again, as far as they have not come yet.
    #[arg(long)]
    pub cancel: bool,
}

/// Does what the command line says.
#[must_use]
pub fn main() -> ExitCode {
    let arguments = Arguments::parse();
    match dispatch(arguments) {
        Ok(code) => code,
        Err(failure) => {
            // Who reads stdout and stderr in one pipe may be gone by now.
            let _ = writeln!(std::io::stderr(), "dray-agent: {failure}");
            failure.exit_code()
        }
    }
}

fn dispatch(arguments: Arguments) -> Result<ExitCode, Failure> {
    let fine = ExitCode::SUCCESS;
    let config = || Config::load(&arguments.config);
    match arguments.command {
        Command::Run => {
            heap::settle();
            logs::start(arguments.log);
            run::run(config()?).map(|()| fine)
        }
        Command::Check => Ok(check::command(&arguments.config)),
        Command::Preview(wanted) => preview::command(&config()?, &wanted).map(|()| fine),
        Command::Suggest(wanted) => suggest::command(&wanted).map(|()| fine),
        Command::SoapDiscover(wanted) => soap_discover::command(&wanted).map(|()| fine),
        Command::Redrive(wanted) => redrive::command(&config()?, &wanted).map(|()| fine),
        Command::LoadAgain(wanted) => load_again::command(&config()?, &wanted).map(|()| fine),
        Command::Enroll { token, again } => {
            enroll::command(&config()?, &token, again).map(|()| fine)
        }
        Command::Status { json } => status::command(&config()?, json).map(|()| fine),
    }
}
