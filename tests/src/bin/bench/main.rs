//! `make bench`: the figures of the design, on this machine, by real processes.
//!
//! Each row lays out a site of its own (agent, collector, target on the loopback, mutual TLS between them, every sync
//! made), works, and judges what it found against the design's goal. Nothing is skipped in silence: a row that fails or
//! misses its goal says so, and the program ends with 1.

mod answers;
mod backlog;
mod calls;
mod debezium;
mod decoders;
mod delivery;
mod fence;
mod formats;
mod idle;
mod kills;
mod large_file;
mod latency;
mod load;
mod machine;
mod mariadb;
mod outage;
mod polling;
mod postgres;
mod probe;
mod row;
mod small_files;
mod throughput;
mod whole_log;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::ensure;
use clap::Parser;

use crate::machine::Others;
use crate::row::Row;

/// Measures throughput, latency, recovery, memory and idle cost of agent and collector.
#[derive(Parser)]
pub(crate) struct Arguments {
    /// Where to work; must not be a tmpfs.
    #[arg(long, default_value = "target/bench")]
    folder: PathBuf,
    /// Only these rows: throughput, template, latency, kills, outage, backlog, idle, file, small-files, formats,
    /// calls, answers, large-answer, postgres, postgres-latency, mariadb, polling, single, lanes, reopened, dead-target;
    /// and debezium, which is made only if it is named.
    #[arg(long, value_delimiter = ',')]
    only: Vec<String>,
    /// How often the short rows (throughput, latency, calls, answers, postgres, postgres-latency, mariadb, polling) are made; the median round is shown.
    #[arg(long, default_value_t = 1)]
    rounds: usize,
    /// Where to write the table, as markdown.
    #[arg(long)]
    out: Option<PathBuf>,
    /// Lines of the throughput rows, over 20 files.
    #[arg(long, default_value_t = 2_000_000)]
    lines: u64,
    /// Different business keys.
    #[arg(long, default_value_t = 50_000)]
    keys: u64,
    /// Seconds of the latency and idle rows.
    #[arg(long, default_value_t = 30)]
    seconds: u64,
    /// Seconds that the target is away.
    #[arg(long, default_value_t = 60)]
    away: u64,
    /// Events of the outage of the collector.
    #[arg(long, default_value_t = 5_000_000)]
    backlog: u64,
    /// MiB of the large file.
    #[arg(long, default_value_t = 1_024)]
    large: u64,
    /// Small files in one folder.
    #[arg(long, default_value_t = 100_000)]
    files: u64,
    /// SOAP calls, as fast as they are answered.
    #[arg(long, default_value_t = 200_000)]
    calls: u64,
    /// Records of SOAP answers.
    #[arg(long, default_value_t = 500_000)]
    records: u64,
    /// Rows of a database's table, and changes of them.
    #[arg(long, default_value_t = 1_000_000)]
    rows: u64,
    /// Events that wait for a target that is away when the collector is killed.
    #[arg(long, default_value_t = 10_000_000)]
    waiting: u64,
    /// Keys of the row lanes.
    #[arg(long, default_value_t = 1_000_000)]
    lanes: u64,
    /// Keep the folders of the rows: logs, files and stores.
    #[arg(long)]
    keep: bool,
}

/// Does a row's work once, in a folder of its own.
type Work = fn(&Path, &Arguments) -> anyhow::Result<Row>;

/// Name, whether it is made in rounds, work.
const ROWS: [(&str, bool, Work); 22] = [
    ("throughput", true, throughput::by_plan),
    ("template", false, throughput::by_template),
    ("latency", true, latency::measure),
    ("kills", false, kills::measure),
    ("outage", false, outage::measure),
    ("backlog", false, backlog::measure),
    ("idle", false, idle::measure),
    ("file", false, large_file::measure),
    ("small-files", false, small_files::measure),
    ("formats", false, formats::measure),
    ("calls", true, calls::measure),
    ("answers", true, answers::measure),
    ("large-answer", false, answers::large),
    ("postgres", true, postgres::measure),
    ("postgres-latency", true, postgres::latency),
    ("mariadb", true, mariadb::measure),
    ("polling", true, polling::measure),
    ("single", true, delivery::single),
    ("lanes", false, delivery::lanes),
    ("reopened", false, delivery::reopened),
    ("dead-target", false, delivery::dead_target),
    ("debezium", false, debezium::measure),
];

/// Made only when they are asked for: another's program, by which ours are judged.
const ASKED: [&str; 1] = ["debezium"];

fn main() -> anyhow::Result<ExitCode> {
    let arguments = Arguments::parse();
    for name in &arguments.only {
        ensure!(
            ROWS.iter().any(|(row, ..)| row == name),
            "there is no row {name:?}; see --help"
        );
    }
    fs::create_dir_all(&arguments.folder)?;
    let folder = arguments.folder.canonicalize()?;
    let mut page = Page {
        out: arguments.out.clone(),
        ..Page::default()
    };
    page.line(&machine::describe(&folder)?)?;
    page.line(&format!("\n{}", row::HEAD))?;
    let mut all_met = true;
    for (name, in_rounds, work) in ROWS {
        let is_wanted = match arguments.only.is_empty() {
            true => !ASKED.contains(&name),
            false => arguments.only.iter().any(|only| only == name),
        };
        if !is_wanted {
            continue;
        }
        let rounds = if in_rounds { arguments.rounds } else { 1 };
        match median_round(&folder, name, rounds, work, &arguments) {
            Ok((row, others)) => {
                all_met &= !row.failed();
                page.line(&row.markdown(others))?;
            }
            Err(error) => {
                all_met = false;
                let error = format!("{error:#}")
                    .replace('\n', "<br>")
                    .replace('|', "\\|");
                page.line(&format!("| {name} | **failed: {error}** | | | | |"))?;
            }
        }
    }
    Ok(if all_met {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

/// Makes a row so often and returns the round in the middle, with the cores that others used in it. A round that fails
/// is the row's failure.
fn median_round(
    folder: &Path,
    name: &str,
    rounds: usize,
    work: Work,
    arguments: &Arguments,
) -> anyhow::Result<(Row, f64)> {
    let mut made = Vec::new();
    for _ in 0..rounds.max(1) {
        let folder = folder.join(name);
        let _ = fs::remove_dir_all(&folder);
        fs::create_dir_all(&folder)?;
        // What earlier work left for the disk is not this row's.
        rustix::fs::sync();
        let others = Others::start()?;
        let row = work(&folder, arguments)?;
        made.push((row, others.cores()?));
        if !arguments.keep {
            fs::remove_dir_all(&folder)?;
        }
    }
    made.sort_by(|(a, _), (b, _)| a.headline.total_cmp(&b.headline));
    let all: Vec<String> = made
        .iter()
        .map(|(row, _)| format!("{:.4}", row.headline))
        .collect();
    let (mut row, others) = made.swap_remove(made.len() / 2);
    if all.len() > 1 {
        row.say(format!("median of {}", all.len()));
        eprintln!("{name}: rounds by {}", all.join(", "));
    }
    Ok((row, others))
}

/// The table, on the terminal as it grows and in a file.
#[derive(Debug, Default)]
struct Page {
    out: Option<PathBuf>,
    text: String,
}

impl Page {
    fn line(&mut self, line: &str) -> anyhow::Result<()> {
        println!("{line}");
        self.text.push_str(line);
        self.text.push('\n');
        if let Some(out) = &self.out {
            fs::write(out, &self.text)?;
        }
        Ok(())
    }
}
