//! `make bench`: the figures of the main job, on this machine, by real processes.

use std::fs::{self, File, OpenOptions};
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use clap::Parser;
use dray_tests::counter::Counter;
use dray_tests::daemon::Usage;
use dray_tests::drops::{self, drop_file, now_us};
use dray_tests::site::{FlowSpec, Site};
use dray_tests::target::Target;
use hdrhistogram::Histogram;

/// Measures throughput, latency, memory and idle cost of agent and collector.
#[derive(Parser)]
struct Arguments {
    /// Where to work; must not be a tmpfs.
    #[arg(long, default_value = "target/bench")]
    folder: PathBuf,
    /// Lines of the throughput run, over 20 files.
    #[arg(long, default_value_t = 2_000_000)]
    lines: u64,
    /// Different business keys.
    #[arg(long, default_value_t = 50_000)]
    keys: u64,
    /// Seconds of the latency run, at 1,000 lines/s in 10 files/s.
    #[arg(long, default_value_t = 30)]
    seconds: u64,
    /// How often the throughput run is made; the table gives each.
    #[arg(long, default_value_t = 1)]
    rounds: u32,
    /// Only this row: "throughput" or "latency".
    #[arg(long)]
    only: Option<String>,
}

fn main() -> anyhow::Result<()> {
    let arguments = Arguments::parse();
    fs::create_dir_all(&arguments.folder)?;
    let folder = arguments.folder.canonicalize()?;
    describe_machine(&folder)?;
    println!("\n| work | result | CPU µs/event agent + collector | peak MiB agent / collector |");
    println!("|---|---|---|---|");
    let wanted = |row: &str| arguments.only.as_deref().is_none_or(|only| only == row);
    if wanted("throughput") {
        for round in 0..arguments.rounds {
            throughput(&fresh(&folder, &format!("throughput-{round}"))?, &arguments)?;
        }
    }
    if wanted("latency") {
        latency(&fresh(&folder, "latency")?, arguments.seconds)?;
    }
    Ok(())
}

fn fresh(folder: &Path, name: &str) -> anyhow::Result<PathBuf> {
    let path = folder.join(name);
    let _ = fs::remove_dir_all(&path);
    fs::create_dir_all(&path)?;
    Ok(path)
}

/// Prints what the figures stand on, and refuses a file system without a disk.
fn describe_machine(folder: &Path) -> anyhow::Result<()> {
    let mounts = fs::read_to_string("/proc/mounts")?;
    let kind = mounts
        .lines()
        .filter_map(|line| {
            let mut words = line.split_whitespace().skip(1);
            Some((words.next()?, words.next()?))
        })
        .filter(|(place, _)| folder.starts_with(place))
        .max_by_key(|(place, _)| place.len())
        .map_or("unknown", |(_, kind)| kind);
    ensure!(
        kind != "tmpfs",
        "{} is a tmpfs: a sync costs nothing there; choose another --folder",
        folder.display()
    );
    let load = fs::read_to_string("/proc/loadavg")?;
    let cores = std::thread::available_parallelism()?;
    println!(
        "{cores} cores, {kind}, fdatasync of 64 KiB {:.2} ms (median of 50), load {}",
        sync_ms(folder)?,
        load.trim()
    );
    Ok(())
}

fn sync_ms(folder: &Path) -> anyhow::Result<f64> {
    let path = folder.join("sync-probe");
    let mut file: File = OpenOptions::new().create(true).append(true).open(&path)?;
    let mut times = Vec::new();
    for _ in 0..50 {
        let began = Instant::now();
        file.write_all(&[7; 64 * 1024])?;
        file.sync_data()?;
        times.push(began.elapsed());
    }
    fs::remove_file(path)?;
    times.sort();
    Ok(times[25].as_secs_f64() * 1e3)
}

/// The files are in the folder before the agent starts; the clock runs from its start to the last
/// event at the target.
fn throughput(folder: &Path, arguments: &Arguments) -> anyhow::Result<()> {
    let counter = Counter::start()?;
    let targets = format!(
        "[[target]]\nname = \"erp\"\nurl = \"{}\"\nbatch = 1000\nconcurrency = 4\n",
        counter.url()
    );
    let mut flow = FlowSpec::movements("movements");
    flow.source.push_str("ready = \"quiet\"\nquiet = \"0s\"\n");
    let mut site = Site::lay_out(folder, &[flow], &targets)?;
    let per_file = arguments.lines / 20;
    for file in 0..20 {
        let text = drops::movements(file * per_file, per_file, arguments.keys);
        drop_file(
            &site.drops("movements"),
            &format!("{file:04}.txt"),
            text.as_bytes(),
        )?;
    }
    site.start_collector()?;
    site.enrol()?;
    rustix::fs::sync();
    let began = Instant::now();
    site.start_agent()?;
    let arrived = counter.wait(per_file * 20, Duration::from_secs(600));
    let took = began.elapsed().as_secs_f64();
    let (agent, collector) = usages(&site)?;
    ensure!(
        arrived == per_file * 20,
        "{arrived} of {} arrived in ten minutes",
        per_file * 20
    );
    let (repeats, bytes) = counter.with(|counts| (counts.repeats, counts.bytes));
    println!(
        "| {} movements in 20 files | {:.0} events/s ({took:.2} s), {repeats} repeats, {} B of JSON an event | {} | {} |",
        arrived,
        arrived as f64 / took,
        bytes / arrived,
        cpu(&agent, &collector, arrived),
        peaks(&agent, &collector),
    );
    Ok(())
}

/// 10 files a second of 100 lines each; each line carries the time at which its file was written.
fn latency(folder: &Path, seconds: u64) -> anyhow::Result<()> {
    let target = Target::start(false)?;
    target.reference_is_time();
    let targets = format!(
        "[[target]]\nname = \"erp\"\nurl = \"{}\"\nbatch = 200\nconcurrency = 4\n",
        target.url()
    );
    let site = Site::start(folder, &[FlowSpec::movements("movements")], &targets)?;
    site.agent
        .as_ref()
        .context("it was started")?
        .wait_log("connected")?;
    // What is idle is measured first: both processes are up and connected.
    let idle = Duration::from_secs(10);
    let before = usages(&site)?;
    wait(idle);
    let after = usages(&site)?;
    let began = Instant::now();
    for file in 0..seconds * 10 {
        let jitter = Duration::from_micros(file * 7_919 % 20_000);
        wait((Duration::from_millis(file * 100) + jitter).saturating_sub(began.elapsed()));
        let now = now_us();
        let mut text = drops::MOVEMENT_COLUMNS.join("|") + "\n";
        for line in 0..100 {
            let n = file * 100 + line;
            drops::movement(&mut text, n, n % 50_000, now);
        }
        drop_file(
            &site.drops("movements"),
            &format!("{file:06}.txt"),
            text.as_bytes(),
        )?;
    }
    ensure!(
        target.wait(Duration::from_secs(60), |events| events >= seconds * 1_000),
        "not all lines arrived"
    );
    let mut histogram = Histogram::<u64>::new(3)?;
    for latency in target.latencies_us() {
        histogram.record(latency.max(1))?;
    }
    let ms = |quantile: f64| histogram.value_at_quantile(quantile) as f64 / 1e3;
    let (agent, collector) = usages(&site)?;
    println!(
        "| 1,000 lines/s in 10 files/s, {seconds} s | p50 {:.1} ms, p95 {:.1}, p99 {:.1}, max {:.1} | {} | {} |",
        ms(0.5),
        ms(0.95),
        ms(0.99),
        ms(1.0),
        cpu(&agent, &collector, seconds * 1_000),
        peaks(&agent, &collector),
    );
    println!(
        "| idle, 10 s | agent {:.2} % of a core, collector {:.2} % | | resident {:.0} / {:.0} |",
        (after.0.cpu_s - before.0.cpu_s) * 10.0,
        (after.1.cpu_s - before.1.cpu_s) * 10.0,
        mib(after.0.resident_bytes),
        mib(after.1.resident_bytes),
    );
    Ok(())
}

/// Lets time pass: the load's own clock.
#[expect(
    clippy::disallowed_methods,
    reason = "a load generator is made of waiting"
)]
fn wait(time: Duration) {
    std::thread::sleep(time);
}

fn usages(site: &Site) -> anyhow::Result<(Usage, Usage)> {
    let agent = site.agent.as_ref().context("it runs")?.usage()?;
    let collector = site.collector.as_ref().context("it runs")?.usage()?;
    Ok((agent, collector))
}

fn cpu(agent: &Usage, collector: &Usage, events: u64) -> String {
    let each = |usage: &Usage| usage.cpu_s * 1e6 / events as f64;
    format!("{:.2} + {:.2}", each(agent), each(collector))
}

fn peaks(agent: &Usage, collector: &Usage) -> String {
    format!(
        "{:.0} / {:.0}",
        mib(agent.peak_bytes),
        mib(collector.peak_bytes)
    )
}

fn mib(bytes: u64) -> f64 {
    bytes as f64 / 1_048_576.0
}
