//! What the figures stand on: machine, disk, and what else ran.

use std::fs::{self, File, OpenOptions};
use std::io::Write as _;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};

use crate::load::pause;

/// The machine in a few lines; refuses a file system without a disk.
pub(crate) fn describe(folder: &Path) -> anyhow::Result<String> {
    let kind = file_system(folder)?;
    ensure!(
        kind != "tmpfs" && kind != "ramfs",
        "{} is a {kind}: a sync costs nothing there; choose another --folder",
        folder.display()
    );
    let cpu = line_of("/proc/cpuinfo", "model name", ':')?;
    let memory: f64 = line_of("/proc/meminfo", "MemTotal", ':')?
        .trim_end_matches(" kB")
        .parse()?;
    let kernel = fs::read_to_string("/proc/sys/kernel/osrelease")?;
    let loads = fs::read_to_string("/proc/loadavg")?;
    Ok(format!(
        "{}: {cpu}, {} cores, {:.0} GiB; Linux {}; {kind}, fdatasync of 64 KiB {:.2} ms (median of 200); {}; dray {}.\n\
         Load before: {}; busiest others: {}.",
        said(&["date", "-u", "+%Y-%m-%d %H:%M UTC"]),
        std::thread::available_parallelism()?,
        memory / 1_048_576.0,
        kernel.trim(),
        sync_ms(folder)?,
        said(&["rustc", "--version"]),
        said(&["git", "describe", "--always", "--dirty"]),
        loads
            .split_whitespace()
            .take(3)
            .collect::<Vec<_>>()
            .join(" "),
        busiest()?,
    ))
}

fn line_of(path: &str, name: &str, separator: char) -> anyhow::Result<String> {
    let text = fs::read_to_string(path)?;
    let line = text.lines().find(|line| line.starts_with(name));
    let value = line.and_then(|line| line.split_once(separator));
    Ok(value.map_or("unknown".into(), |(_, value)| value.trim().to_owned()))
}

/// What a program prints, or "(no NAME)".
fn said(command: &[&str]) -> String {
    let output = Command::new(command[0]).args(&command[1..]).output();
    match output {
        Ok(output) if output.status.success() => {
            String::from_utf8_lossy(&output.stdout).trim().to_owned()
        }
        _ => format!("(no {})", command[0]),
    }
}

fn file_system(folder: &Path) -> anyhow::Result<String> {
    let mounts = fs::read_to_string("/proc/mounts")?;
    let kind = mounts
        .lines()
        .filter_map(|line| {
            let mut words = line.split_whitespace().skip(1);
            Some((words.next()?, words.next()?))
        })
        .filter(|(place, _)| folder.starts_with(place))
        .max_by_key(|(place, _)| place.len());
    Ok(kind.map_or("unknown", |(_, kind)| kind).to_owned())
}

/// Median milliseconds of an append of 64 KiB and its `fdatasync`.
fn sync_ms(folder: &Path) -> anyhow::Result<f64> {
    let path = folder.join("sync-probe");
    let mut file: File = OpenOptions::new().create(true).append(true).open(&path)?;
    let mut times = Vec::new();
    for _ in 0..200 {
        file.write_all(&[7; 64 * 1024])?;
        let began = Instant::now();
        file.sync_data()?;
        times.push(began.elapsed());
    }
    fs::remove_file(path)?;
    times.sort();
    Ok(times[100].as_secs_f64() * 1e3)
}

/// The five programs that use most CPU over a second, this one not among them.
fn busiest() -> anyhow::Result<String> {
    let before = ticks_by_process();
    pause(Duration::from_secs(1));
    let own = std::process::id();
    let mut used: Vec<(u64, String)> = ticks_by_process()
        .into_iter()
        .filter(|(pid, ..)| *pid != own)
        .map(|(pid, name, ticks)| {
            let was = before.iter().find(|(other, ..)| *other == pid);
            (ticks - was.map_or(0, |(.., ticks)| *ticks).min(ticks), name)
        })
        .filter(|(ticks, _)| *ticks > 0)
        .collect();
    used.sort();
    let shown: Vec<String> = used
        .iter()
        .rev()
        .take(5)
        .map(|(ticks, name)| format!("{name} {ticks} %"))
        .collect();
    Ok(if shown.is_empty() {
        "none".into()
    } else {
        shown.join(", ")
    })
}

/// Process, name, and ticks of CPU (100 a second) of all that run.
fn ticks_by_process() -> Vec<(u32, String, u64)> {
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    entries
        .filter_map(|entry| {
            let pid = entry.file_name().to_str()?.parse().ok()?;
            let stat = fs::read_to_string(entry.path().join("stat")).ok()?;
            let (head, tail) = stat.rsplit_once(')')?;
            let fields: Vec<&str> = tail.split_whitespace().collect();
            let ticks =
                fields.get(11)?.parse::<u64>().ok()? + fields.get(12)?.parse::<u64>().ok()?;
            Some((pid, head.split_once('(')?.1.to_owned(), ticks))
        })
        .collect()
}

/// Measures what everybody else used while a row ran.
#[derive(Debug)]
pub(crate) struct Others {
    began: Instant,
    machine: f64,
    own: f64,
}

impl Others {
    /// From now on.
    pub(crate) fn start() -> anyhow::Result<Self> {
        Ok(Self {
            began: Instant::now(),
            machine: machine_ticks()?,
            own: own_ticks()?,
        })
    }

    /// Cores used by others since. The row's daemons must have ended: they count as this program's.
    pub(crate) fn cores(&self) -> anyhow::Result<f64> {
        let used = machine_ticks()? - self.machine - (own_ticks()? - self.own);
        Ok((used / 100.0 / self.began.elapsed().as_secs_f64()).max(0.0))
    }
}

/// `/proc/stat`, first line: user, nice, system, idle, iowait, irq, softirq.
fn machine_ticks() -> anyhow::Result<f64> {
    let stat = fs::read_to_string("/proc/stat")?;
    let line = stat.lines().next().context("it has a first line")?;
    let ticks: Vec<f64> = line
        .split_whitespace()
        .skip(1)
        .map_while(|field| field.parse().ok())
        .collect();
    Ok([0, 1, 2, 5, 6].iter().filter_map(|at| ticks.get(*at)).sum())
}

/// This program's and its ended children's: utime, stime, cutime, cstime.
fn own_ticks() -> anyhow::Result<f64> {
    let stat = fs::read_to_string("/proc/self/stat")?;
    let fields = stat.rsplit_once(')').context("stat has a name")?.1;
    let fields: Vec<f64> = fields
        .split_whitespace()
        .skip(11)
        .take(4)
        .map_while(|field| field.parse().ok())
        .collect();
    Ok(fields.iter().sum())
}
