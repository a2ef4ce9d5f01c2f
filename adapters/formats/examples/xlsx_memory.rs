//! How much memory and time a workbook takes: `xlsx_memory FILE`.

use std::io::Read as _;
use std::time::Instant;

use dray_formats::{Format, FormatConfig, Gather, Sink as _, Tally, Window};

fn memory(name: &str) -> String {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find(|line| line.starts_with(name));
    line.unwrap_or("?").to_owned()
}

fn main() {
    let path = std::env::args().nth(1).expect("a workbook");
    let config: FormatConfig = toml::from_str("kind = \"xlsx\"").expect("a format");
    let format = Format::new(&config, &|_| Err("no text is named".into())).expect("a format");
    println!("idle: {}", memory("VmRSS"));
    for pass in [1, 2] {
        let begun = Instant::now();
        let mut file = std::fs::File::open(&path).expect("a file");
        let (mut decoder, mut window) = (format.decoder(0), Window::default());
        let (mut tally, mut gather, mut batches) = (Tally::new(u64::MAX), Gather::default(), 0);
        loop {
            let decoded = if pass == 1 {
                decoder.decode(window.bytes(), false, &mut tally)
            } else {
                decoder.decode(window.bytes(), false, &mut gather)
            };
            window.take(decoded.expect("rows").bytes);
            let count = file.read(window.space()).expect("bytes");
            window.filled(count);
            if count == 0 {
                break;
            }
        }
        loop {
            let decoded = if pass == 1 {
                decoder.decode(window.bytes(), true, &mut tally)
            } else {
                decoder.decode(window.bytes(), true, &mut gather)
            };
            let decoded = decoded.expect("rows");
            window.take(decoded.bytes);
            if gather.full() {
                gather = Gather::default();
                batches += 1;
            }
            if decoded.done {
                break;
            }
        }
        println!(
            "pass {pass}: {} rows, {} bad, {batches} batches, {:?}, {}",
            decoder.ordinal(),
            tally.rejects,
            begun.elapsed(),
            memory("VmHWM")
        );
    }
}
