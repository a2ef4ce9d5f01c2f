//! What is dropped, and how fast.

use std::fs::{self, File};
use std::io::{self, BufWriter, Write as _};
use std::path::Path;
use std::time::{Duration, Instant};

use dray_tests::drops::{self, drop_file};
use dray_tests::site::FlowSpec;

/// The flow of all rows: inventory movements, taken when they are renamed into the folder.
pub(crate) fn movements_flow() -> FlowSpec {
    FlowSpec::movements("movements")
}

/// The same for files that are there before the agent: they are taken at once.
pub(crate) fn waiting_flow() -> FlowSpec {
    let mut flow = movements_flow();
    flow.source.push_str("ready = \"quiet\"\nquiet = \"0s\"\n");
    flow
}

/// A target's table.
pub(crate) fn target(url: &str, batch: u32, more: &str) -> String {
    format!(
        "[[target]]\nname = \"erp\"\nurl = \"{url}\"\nbatch = {batch}\nconcurrency = 4\n{more}\n"
    )
}

/// Drops `lines` in files of `lines_a_file`, numbered from `first`.
pub(crate) fn drop_all(
    folder: &Path,
    first: u64,
    lines: u64,
    lines_a_file: u64,
    keys: u64,
) -> io::Result<()> {
    for from in (first..first + lines).step_by(lines_a_file as usize) {
        let text = drops::movements(from, lines_a_file.min(first + lines - from), keys);
        drop_file(folder, &format!("{from:010}.txt"), text.as_bytes())?;
    }
    Ok(())
}

/// Drops one file of at least `bytes`, never held in memory; the number of its lines.
pub(crate) fn drop_large(folder: &Path, bytes: u64, keys: u64) -> io::Result<u64> {
    let hidden = folder.join(".large.txt");
    let mut file = BufWriter::new(File::create(&hidden)?);
    writeln!(file, "{}", drops::MOVEMENT_COLUMNS.join("|"))?;
    let lines = bytes.div_ceil(148);
    let mut line = String::new();
    for n in 0..lines {
        line.clear();
        drops::movement(&mut line, n, n % keys, n / keys);
        file.write_all(line.as_bytes())?;
    }
    file.into_inner()?.sync_data()?;
    fs::rename(hidden, folder.join("large.txt"))?;
    Ok(lines)
}

/// Calls `drop(file)` ten times a second, at moments that do not fall together with anybody's clock, until it says
/// false.
pub(crate) fn ten_a_second(mut drop: impl FnMut(u64) -> io::Result<bool>) -> io::Result<()> {
    let began = Instant::now();
    for file in 0.. {
        let jitter = Duration::from_micros(file * 7_919 % 20_000);
        pause((Duration::from_millis(file * 100) + jitter).saturating_sub(began.elapsed()));
        if !drop(file)? {
            break;
        }
    }
    Ok(())
}

/// Lets time pass: the load's own clock.
#[expect(
    clippy::disallowed_methods,
    reason = "a load generator is made of waiting"
)]
pub(crate) fn pause(time: Duration) {
    std::thread::sleep(time);
}
