//! The command line.

use std::path::PathBuf;

use clap::{Parser, Subcommand, ValueEnum};

use crate::config::CONFIG_DEFAULT;

/// dray's collector: one log, many readers.
///
/// Exit codes: 0 fine; 1 failed; 2 usage; 69 the collector cannot be reached; 78 configuration.
#[derive(Debug, Parser)]
#[command(
    name = "dray-collector",
    version,
    about,
    long_about,
    max_term_width = 100
)]
pub struct Cli {
    /// The configuration file.
    #[arg(long, global = true, value_name = "FILE", default_value = CONFIG_DEFAULT)]
    pub config: PathBuf,
    /// How to log to stderr; by itself: text on a terminal, JSON elsewhere. DRAY_LOG filters.
    #[arg(long, global = true, value_enum)]
    pub log: Option<LogFormat>,
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// How log lines look.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum LogFormat {
    /// For a person.
    Text,
    /// One object a line.
    Json,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Run the collector until SIGTERM or SIGINT.
    Run,
    /// Check the configuration and try what it names.
    Check,
    /// Print a token with which one agent of a site may enrol; it lives one hour.
    Invite {
        /// The site, e.g. "north".
        site: String,
    },
    /// List the agents and their sites, or revoke one.
    Sites {
        /// What to do; without it they are listed.
        #[command(subcommand)]
        command: Option<Sites>,
    },
    /// Make a key and a certificate for a reader of the feed.
    Reader {
        /// The reader, e.g. "lakehouse"; its durable consumers are called so, or begin so.
        name: String,
        /// Where NAME.key, NAME.pem and ca.pem are put; it must be there.
        #[arg(long, default_value = ".", value_name = "FOLDER")]
        out: PathBuf,
        /// How long the certificate is valid.
        #[arg(long, default_value_t = 365, value_parser = clap::value_parser!(u32).range(1..=825))]
        days: u32,
    },
    /// Who did what, and what was refused to whom; the newest last.
    Audit {
        /// Show this many.
        #[arg(long, default_value_t = 100)]
        limit: u32,
        /// One JSON object a line.
        #[arg(long)]
        json: bool,
    },
    /// Let a flow go on that a gap has stopped: events that neither its agent nor the log has any more.
    Resume {
        /// The flow with its site, e.g. "north/shipments".
        flow: String,
        /// That they are missing is accepted; the log says so in their place.
        #[arg(long, required = true)]
        accept_gap: bool,
    },
    /// Print the events in the log.
    Tail(TailArgs),
    /// See and settle what could not go on.
    DeadLetters {
        /// What to do.
        #[command(subcommand)]
        command: DeadLetters,
    },
    /// Deliver events once more: planned by one person, approved by another.
    Replay {
        /// What to do.
        #[command(subcommand)]
        command: Replay,
    },
    /// Pause, resume or detach a target.
    Target {
        /// What to do.
        #[command(subcommand)]
        command: Target,
    },
    /// Forget a durable consumer.
    Consumer {
        /// What to do.
        #[command(subcommand)]
        command: Consumer,
    },
    /// Show what flows in shadow would have sent to a target, and how that compares with what it has.
    Shadow(ShadowArgs),
    /// Show what is agreed about flows, and where each stands at each target.
    Flows {
        /// One JSON object a line.
        #[arg(long)]
        json: bool,
    },
    /// List the presets that are shipped, show one, or show a target as it is with its preset.
    Presets {
        /// What to do; without it they are listed.
        #[command(subcommand)]
        command: Option<Presets>,
    },
    /// Show flows, targets and consumers.
    Status,
}

impl Command {
    /// Whether a collector that runs answers it: of the configuration it needs where the socket stands, and nothing else.
    #[must_use]
    pub fn only_asks(&self) -> bool {
        !matches!(
            self,
            Self::Run | Self::Check | Self::Reader { .. } | Self::Presets { .. }
        )
    }
}

/// `presets`.
#[derive(Debug, Clone, Subcommand)]
pub enum Presets {
    /// List them.
    List,
    /// Print a preset's file.
    Show {
        /// As in the list, e.g. "tryton/items".
        name: String,
    },
    /// Print a target's table of the configuration with its preset beneath it: what the collector goes by.
    Merged {
        /// The target.
        target: String,
    },
}

/// What `tail` prints.
#[derive(Debug, Clone, clap::Args)]
pub struct TailArgs {
    /// Only this flow: "north/shipments", "north/*" or "*/shipments". May be repeated.
    #[arg(long = "flow", value_name = "FLOW")]
    pub flows: Vec<String>,
    /// Only this body, e.g. "shipment". May be repeated.
    #[arg(long = "body", value_name = "BODY")]
    pub bodies: Vec<String>,
    /// Go on with what comes, until Ctrl-C.
    #[arg(long, short)]
    pub follow: bool,
    /// Begin with what comes from now on (with --follow).
    #[arg(long, conflicts_with = "since")]
    pub new: bool,
    /// Begin with what was captured since, e.g. "10m" or "2h" ago.
    #[arg(long, value_name = "AGO", value_parser = humantime::parse_duration)]
    pub since: Option<std::time::Duration>,
    /// Whole events as JSON, one a line.
    #[arg(long)]
    pub json: bool,
}

/// What `shadow` shows.
#[derive(Debug, Clone, clap::Args)]
pub struct ShadowArgs {
    /// The target.
    pub target: String,
    /// Only this flow, e.g. "north/shipments".
    #[arg(long)]
    pub flow: Option<String>,
    /// Only rows with this verdict: same, differs, missing, superseded, unread, poison, nothing or rendered. May be repeated.
    #[arg(long = "verdict", value_name = "VERDICT", value_parser = dray_delivery::shadow::Verdict::ALL.map(|verdict| verdict.as_str()))]
    pub verdicts: Vec<String>,
    /// All rows as CSV, a line a field that differs.
    #[arg(long, conflicts_with = "json")]
    pub csv: bool,
    /// All rows as JSON, an object a line, with the request as it would have been sent.
    #[arg(long)]
    pub json: bool,
    /// Begin the report anew.
    #[arg(long, conflicts_with_all = ["csv", "json", "flow", "verdicts"])]
    pub clear: bool,
}

/// `dead-letters`.
#[derive(Debug, Subcommand)]
pub enum DeadLetters {
    /// List them, newest last.
    List {
        /// Only this target's; "agents": only those that agents sent.
        #[arg(long)]
        target: Option<String>,
        /// At most this many.
        #[arg(long, default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..=10_000))]
        limit: u32,
    },
    /// Show one with its event.
    Show {
        /// As in the list.
        #[arg(value_parser = clap::value_parser!(u64).range(1..))]
        id: u64,
    },
    /// Deliver some again, then what is held behind them.
    Retry {
        /// As in the list; several may be named.
        #[arg(value_name = "ID", required_unless_present = "target", value_parser = clap::value_parser!(u64).range(1..))]
        ids: Vec<u64>,
        /// All of this target: its dead letters, and what waits for what the target has not got.
        #[arg(long, conflicts_with = "ids")]
        target: Option<String>,
        /// Of the target only those of this flow: "north/shipments", "north/*" or "*/shipments".
        #[arg(long, requires = "target", value_name = "FLOW")]
        flow: Option<String>,
        /// Also where a later event of the same key was delivered meanwhile.
        #[arg(long)]
        older: bool,
    },
    /// Agree to what a target asked about (state "confirm"), or have sent what waits for what the target has not got (state "awaits"): the events go on.
    Approve {
        /// As in the list; several may be named.
        #[arg(value_name = "ID", required_unless_present = "target", value_parser = clap::value_parser!(u64).range(1..))]
        ids: Vec<u64>,
        /// All of this target in one state.
        #[arg(long, conflicts_with = "ids", requires = "state")]
        target: Option<String>,
        /// Of the target only those of this flow: "north/shipments", "north/*" or "*/shipments".
        #[arg(long, requires = "target", value_name = "FLOW")]
        flow: Option<String>,
        /// Of the target those in this state.
        #[arg(long, requires = "target", value_parser = ["confirm", "awaits"])]
        state: Option<String>,
    },
    /// Give some up; what is held behind them goes on.
    Discard {
        /// As in the list; several may be named.
        #[arg(value_name = "ID", required_unless_present = "target", value_parser = clap::value_parser!(u64).range(1..))]
        ids: Vec<u64>,
        /// All of this target; "agents": all that agents sent.
        #[arg(long, conflicts_with = "ids")]
        target: Option<String>,
        /// Of the target only those of this flow: "north/shipments", "north/*" or "*/shipments".
        #[arg(long, requires = "target", value_name = "FLOW")]
        flow: Option<String>,
    },
}

/// `replay`.
#[derive(Debug, Subcommand)]
pub enum Replay {
    /// Select events that a target got, and show what would be sent; nothing is sent.
    Plan(PlanArgs),
    /// Plan to send a dead letter with other values than it has; the original is kept.
    Edit(EditArgs),
    /// List replays, newest last.
    List {
        /// Only this target's.
        #[arg(long)]
        target: Option<String>,
        /// At most this many.
        #[arg(long, default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..=1_000))]
        limit: u32,
    },
    /// Show one: what it selects, how far it is, what was not delivered.
    Show {
        /// As in the list.
        #[arg(value_parser = clap::value_parser!(u64).range(1..))]
        id: u64,
    },
    /// Agree to one that somebody else planned: it runs.
    Approve {
        /// As in the list.
        #[arg(value_parser = clap::value_parser!(u64).range(1..))]
        id: u64,
        /// The hash that `show` shows, or its first 12 digits at least.
        hash: String,
    },
    /// Stop one for now.
    Pause {
        /// As in the list.
        #[arg(value_parser = clap::value_parser!(u64).range(1..))]
        id: u64,
    },
    /// Let a paused one go on.
    Resume {
        /// As in the list.
        #[arg(value_parser = clap::value_parser!(u64).range(1..))]
        id: u64,
    },
    /// End one for good.
    Cancel {
        /// As in the list.
        #[arg(value_parser = clap::value_parser!(u64).range(1..))]
        id: u64,
    },
}

/// What `replay plan` selects.
#[derive(Debug, Clone, clap::Args)]
pub struct PlanArgs {
    /// The target that gets them once more.
    #[arg(long)]
    pub target: String,
    /// Only this flow: "north/shipments", "north/*" or "*/shipments". May be repeated.
    #[arg(long = "flow", value_name = "FLOW")]
    pub flows: Vec<String>,
    /// Only this body, e.g. "shipment". May be repeated.
    #[arg(long = "body", value_name = "BODY")]
    pub bodies: Vec<String>,
    /// Only this business key. May be repeated.
    #[arg(long = "key", value_name = "KEY")]
    pub keys: Vec<String>,
    /// Only from this offset on (with one --flow).
    #[arg(long, value_name = "OFFSET", default_value_t = 0)]
    pub from: u64,
    /// Only up to this offset (with one --flow).
    #[arg(long, value_name = "OFFSET", default_value_t = 0)]
    pub to: u64,
    /// Only what was captured at or after this, e.g. "2026-11-23T08:00:00Z".
    #[arg(long, value_name = "TIME")]
    pub since: Option<jiff::Timestamp>,
    /// Only what was captured before this.
    #[arg(long, value_name = "TIME")]
    pub until: Option<jiff::Timestamp>,
    /// The target's dead letters, instead of what it got.
    #[arg(long)]
    pub dead_letters: bool,
    /// How it is to run.
    #[command(flatten)]
    pub how: How,
}

/// What `replay edit` changes.
#[derive(Debug, Clone, clap::Args)]
pub struct EditArgs {
    /// The dead letter, as in `dead-letters list`.
    #[arg(value_parser = clap::value_parser!(u64).range(1..))]
    pub id: u64,
    /// A field within "data" and its new value, e.g. "line.quantity=5"; an empty value takes it out. May be repeated.
    #[arg(long = "set", value_name = "FIELD=VALUE", required = true, value_parser = change)]
    pub changes: Vec<(String, String)>,
    /// How it is to run.
    #[command(flatten)]
    pub how: How,
}

/// How a replay runs.
#[derive(Debug, Clone, clap::Args)]
pub struct How {
    /// Also where a later event of the same key was delivered: the target is put back to what is older.
    #[arg(long)]
    pub older: bool,
    /// Events a second, at most.
    #[arg(long, default_value_t = dray_delivery::replay::RATE_DEFAULT)]
    pub rate: u32,
    /// How long it can be approved.
    #[arg(long, value_name = "TIME", default_value = "24h", value_parser = humantime::parse_duration)]
    pub expires: std::time::Duration,
}

fn change(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((field, value)) if !field.is_empty() => Ok((field.to_owned(), value.to_owned())),
        _ => Err("write FIELD=VALUE".into()),
    }
}

/// `sites`.
#[derive(Debug, Subcommand)]
pub enum Sites {
    /// List them.
    List,
    /// Cut an agent off for good, e.g. when its machine was stolen.
    Revoke {
        /// The agent, as the list shows it, e.g. "a-3df78a6c".
        agent: String,
    },
    /// Have another agent of the site write a flow from now on, e.g. when the machine of the one before is gone.
    Move {
        /// The flow with its site, e.g. "north/shipments".
        flow: String,
        /// The agent that writes it from now on, as the list shows it.
        #[arg(long)]
        to: String,
    },
}

/// `target`.
#[derive(Debug, Subcommand)]
pub enum Target {
    /// Deliver nothing until resumed; the log keeps what waits. Survives restarts.
    Pause {
        /// The target.
        name: String,
    },
    /// Go on; ends a wait too, also that of its account.
    Resume {
        /// The target.
        name: String,
    },
    /// Forget the target's place and its dead letters, so that it pins the log no longer.
    Detach {
        /// The target.
        name: String,
    },
}

/// `consumer`.
#[derive(Debug, Subcommand)]
pub enum Consumer {
    /// Forget the consumer's place, so that it pins the log no longer.
    Detach {
        /// The consumer, as `status` shows it, e.g. "lakehouse".
        name: String,
    },
}
