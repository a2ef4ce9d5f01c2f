//! `make demo`: a warehouse, a collector and a toy ERP on one machine, in a minute.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use clap::Parser;
use dray_tests::drops::{self, drop_file, now_us};
use dray_tests::site::{FlowSpec, Site};
use dray_tests::target::Target;
use dray_tests::verdict::{self, Verdict};
use rand::RngExt as _;

const PATIENCE: Duration = Duration::from_secs(60);
const KILL_LINES: u64 = 200_000;
const KILL_FILES: u64 = 40;
const KILL_KEYS: u64 = 5_000;

/// Shows dray at work: drops, dead letters, latency, and what survives kill -9.
#[derive(Parser)]
struct Arguments {
    /// Where to work; made anew.
    #[arg(long, default_value = "target/demo")]
    folder: PathBuf,
    /// Leave everything running and say where to drop files.
    #[arg(long)]
    keep: bool,
}

fn main() -> anyhow::Result<()> {
    let arguments = Arguments::parse();
    let _ = fs::remove_dir_all(&arguments.folder);
    fs::create_dir_all(&arguments.folder)?;
    let folder = arguments.folder.canonicalize()?;

    heading("1. A collector, an enrolled agent and a toy ERP start on this machine");
    let erp = Target::start(true)?;
    let targets = format!(
        "[[target]]\nname = \"erp\"\nurl = \"{}\"\nbatch = 200\nconcurrency = 4\n",
        erp.url()
    );
    let mut site = Site::start(
        &folder,
        &[shipments(), movements(), FlowSpec::movements("rush")],
        &targets,
    )?;
    site.agent
        .as_ref()
        .context("it was started")?
        .wait_log("connected")?;
    println!("   collector   {}", site.collector_config().display());
    println!(
        "   agent       {}  (site \"north\", enrolled with a one-use token)",
        site.agent_config().display()
    );
    println!("   toy ERP     {}", erp.url());

    drops_and_dead_letters(&site, &erp)?;
    latency(&site, &erp)?;
    if arguments.keep {
        return keep(&site, &erp);
    }
    let verdict = kills(&mut site, &erp)?;
    ensure!(verdict.clean(), "this must never happen: {verdict}");
    println!("\nWhat to look at next: the two configuration files above, and README.md.");
    Ok(())
}

fn heading(text: &str) {
    println!("\n{text}");
}

/// Shipment confirmations as a warehouse system writes them: pipe-delimited, UTF-8, with a header.
fn shipments() -> FlowSpec {
    FlowSpec {
        name: "shipments".into(),
        source: "pattern = \"SHP_*.txt\"\n".into(),
        format: "kind = \"csv\"\ndelimiter = \"|\"\nheader = true\n".into(),
        mapping: r#"
[[flow.mapping]]
body = "shipment"
key = "SHIP_NO"
correlation_id = "ORDER_NO"
operation = "create"
occurred_at = { from = "SHIPPED", format = "%Y%m%d%H%M%S", zone = "Europe/Berlin" }
[flow.mapping.fields]
shipment_number = { from = "SHIP_NO", required = true }
order_number = { from = "ORDER_NO", required = true }
carrier = { expr = "rec.CARRIER | upper" }
tracking_number = "TRACKING"
shipped_at = { from = "SHIPPED", format = "%Y%m%d%H%M%S", zone = "Europe/Berlin" }
status = { from = "ST", lookup = { S = "SHIPPED", P = "PARTIAL" } }
"ship_to.city" = "CITY"
"line.item_number" = "SKU"
"line.quantity" = { from = "QTY", implied_decimals = 3 }
"line.unit" = "UOM"
"attributes.dock" = "DOCK"
"#
        .into(),
        timeliness: "urgent",
    }
}

/// Inventory movements of an older system: semicolons, no header, windows-1252.
fn movements() -> FlowSpec {
    FlowSpec {
        name: "stock".into(),
        source: "pattern = \"MOV*.csv\"\norder = \"number\"\n".into(),
        format: r#"kind = "csv"
delimiter = ";"
header = false
columns = ["NO", "SKU", "TEXT", "WH", "LOC", "QTY", "UOM", "REASON"]
encoding = "windows-1252"
"#
        .into(),
        mapping: r#"
[[flow.mapping]]
body = "inventory_movement"
key = { expr = "rec.WH ~ '/' ~ rec.SKU" }
operation = "create"
[flow.mapping.fields]
movement_number = { from = "NO", required = true }
item_number = "SKU"
warehouse = "WH"
location = "LOC"
quantity = { from = "QTY", decimal_comma = true }
unit = "UOM"
reason = "REASON"
"attributes.description" = "TEXT"
"#
        .into(),
        timeliness: "normal",
    }
}

const SHIPMENTS: &str = "\
SHIP_NO|ORDER_NO|CARRIER|TRACKING|SHIPPED|ST|CITY|SKU|QTY|UOM|DOCK
SHP-100234|SO-9981|dhl|00340434161094042557|20261123081500|S|Köln|SKU-77|12000|EA|D4
SHP-100235|SO-9982|ups|1Z999AA10123456784|20261123081730|P|Aachen|SKU-12|2500|KG|D4
SHP-100236|SO-9983|dhl|00340434161094042588|20261123082001|S|Liège|SKU-77|1O00|EA|D1
SHP-100237|SO-9984|gls
SHP-100238|SO-9985|gls|50341234567|20261123082500|X|Bonn|SKU-40|6000|EA|D2
SHP-100239|SO-9986|dpd|01476012345678|20261123083000|S|Düren|SKU-41|1000|EA|D2
";

fn stock_file() -> Vec<u8> {
    let mut bytes = Vec::new();
    for line in [
        &b"1001;SKU-77;Schl\xFCssel 8 mm;WH1;A-01-02;-4,000;EA;PICK"[..],
        b"1002;SKU-78;D\xFCbel 10 mm;WH1;A-01-03;1.200,000;EA;RECEIPT",
        b"1003;SKU-79;\"Winkel; verzinkt\";WH1;A-01-04;-1,000;EA;PICK",
        b"1004;SKU-80;Kabel\x00trommel;WH1;A-02-01;-2,500;M;PICK",
        b"1005;SKU-77;Schl\xFCssel 8 mm;WH1;A-01-02;-1,000;EA;PICK",
    ] {
        bytes.extend_from_slice(line);
        bytes.extend_from_slice(b"\r\n");
    }
    bytes
}

fn drops_and_dead_letters(site: &Site, erp: &Target) -> anyhow::Result<()> {
    heading("2. The warehouse drops two files, some of their lines broken");
    drop_file(
        &site.drops("shipments"),
        "SHP_20261123_0007.txt",
        SHIPMENTS.as_bytes(),
    )?;
    drop_file(&site.drops("stock"), "MOV0042.csv", &stock_file())?;
    println!("   SHP_20261123_0007.txt   6 shipment confirmations, pipe-delimited, UTF-8");
    println!("   MOV0042.csv             5 inventory movements, semicolons, windows-1252");
    ensure!(
        erp.wait(PATIENCE, |events| events >= 7),
        "only {} of 7 events reached the ERP",
        erp.events()
    );
    println!("\n   At the ERP, as JSON:");
    for number in ["SHP-100234", "1003"] {
        let document = erp
            .document(number)
            .with_context(|| format!("{number} is not at the ERP"))?;
        for line in serde_json::to_string_pretty(&document)?.lines() {
            println!("   {line}");
        }
    }
    let arrivals = erp.arrivals();
    let numbers: Vec<&str> = arrivals
        .iter()
        .map(|arrival| arrival.number.as_str())
        .collect();
    println!("\n   Arrived: {}", numbers.join(", "));
    println!("\n   What did not arrive, and why (dray-collector dead-letters list):");
    for line in dead_letters(site, 4)?.lines() {
        println!("   {line}");
    }
    Ok(())
}

/// The list, once it holds so many entries.
fn dead_letters(site: &Site, entries: usize) -> anyhow::Result<String> {
    let end = Instant::now() + PATIENCE;
    loop {
        let output = site.collector_command(&["dead-letters", "list"])?;
        let list = String::from_utf8(output.stdout)?;
        if list.lines().filter(|line| line.contains("north/")).count() >= entries {
            return Ok(list);
        }
        ensure!(
            Instant::now() < end,
            "{entries} dead letters were expected:\n{list}"
        );
    }
}

fn latency(site: &Site, erp: &Target) -> anyhow::Result<()> {
    heading("3. From the closed file to the ERP: 50 files of 20 lines, one each 50 ms");
    erp.reference_is_time();
    let before = erp.events();
    for file in 0..50_u64 {
        let now = now_us();
        let mut text = drops::MOVEMENT_COLUMNS.join("|") + "\n";
        for line in 0..20 {
            let n = 900_000_000 + file * 20 + line;
            drops::movement(&mut text, n, n % 500, now);
        }
        drop_file(
            &site.drops("rush"),
            &format!("T{file:04}.txt"),
            text.as_bytes(),
        )?;
        pace(Duration::from_millis(50));
    }
    ensure!(
        erp.wait(PATIENCE, |events| events >= before + 1_000),
        "not all of them arrived"
    );
    let mut times = erp.latencies_us();
    times.drain(..times.len() - 1_000);
    times.sort_unstable();
    let ms = |part: usize| times[times.len() * part / 100] as f64 / 1e3;
    println!("   1,000 lines: p50 {:.1} ms, p99 {:.1} ms", ms(50), ms(99));
    Ok(())
}

#[expect(
    clippy::disallowed_methods,
    reason = "the warehouse of the demo has a pace of its own"
)]
fn pace(time: Duration) {
    std::thread::sleep(time);
}

fn kills(site: &mut Site, erp: &Target) -> anyhow::Result<Verdict> {
    heading("4. 200,000 movements, and kill -9 of agent and collector in the middle");
    let before = erp.events();
    let per_file = KILL_LINES / KILL_FILES;
    let mut random = rand::rng();
    for file in 0..KILL_FILES {
        let text = drops::movements(file * per_file, per_file, KILL_KEYS);
        drop_file(
            &site.drops("rush"),
            &format!("{file:04}.txt"),
            text.as_bytes(),
        )?;
        if file % 8 != 4 {
            continue;
        }
        let reached = before + file * per_file / 2 + random.random_range(0..per_file);
        erp.wait(PATIENCE, |events| events >= reached);
        if file % 16 == 4 {
            site.agent.as_mut().context("it runs")?.kill()?;
            println!(
                "   kill -9 of the agent      ({} events at the ERP)",
                erp.events() - before
            );
            site.start_agent()?;
        } else {
            site.collector.as_mut().context("it runs")?.kill()?;
            println!(
                "   kill -9 of the collector  ({} events at the ERP)",
                erp.events() - before
            );
            site.start_collector()?;
        }
    }
    let sent = || (0..KILL_LINES).map(|n| format!("MV{n:010}"));
    let mut verdict = Verdict::default();
    let mut wanted = before + KILL_LINES;
    // Repeats under the same id count as events too: so look again until nothing is missing.
    while erp.wait(PATIENCE, |events| events >= wanted) {
        // Counted before the arrivals are looked at: what comes in between must not be waited for.
        wanted = erp.events() + 1;
        let arrivals = erp.arrivals();
        verdict = verdict::judge(
            sent(),
            arrivals
                .iter()
                .filter(|arrival| arrival.number.starts_with("MV0000")),
        );
        if verdict.lost == 0 {
            break;
        }
    }
    println!("\n   {verdict}");
    Ok(verdict)
}

fn keep(site: &Site, erp: &Target) -> anyhow::Result<()> {
    let show = |path: &Path| path.display().to_string();
    heading("Everything runs on. Drop files, or copies of these, here:");
    for flow in ["shipments", "stock", "rush"] {
        println!("   {}", show(&site.drops(flow)));
    }
    println!(
        "\nand look: dray-agent status --config {}",
        show(&site.agent_config())
    );
    println!(
        "          dray-collector tail --follow --config {}",
        show(&site.collector_config())
    );
    println!("Ctrl-C ends it.");
    let mut shown = erp.events();
    while erp.wait(Duration::from_secs(86_400), |events| events > shown) {
        shown = erp.events();
        println!("   {shown} events at the ERP");
    }
    Ok(())
}
