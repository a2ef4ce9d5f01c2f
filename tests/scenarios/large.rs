//! A file of any size takes the agent little memory.

use std::fs::File;
use std::io::{self, BufWriter, Write as _};
use std::path::Path;
use std::time::Duration;

use dray_tests::counter::Counter;
use dray_tests::families::{FAMILIES, number};
use dray_tests::site::Site;

use crate::{folder, soak, target_table};

/// 64 MiB above the 15 that the agent takes while it is idle (`make bench`).
const PEAK_BYTES_MAX: u64 = (64 + 15) * 1024 * 1024;
const LIMIT: Duration = Duration::from_secs(900);
/// Segments of a document.
const LINES: u64 = 1_000;
const ITEMS: u64 = 50_000;

#[test]
fn scenario_33_a_large_file_of_idocs_in_xml_takes_the_agent_little_memory() {
    let folder = folder("large");
    let counter = Counter::start().expect("a target");
    let family = FAMILIES.iter().find(|family| family.name == "idoc");
    let family = family.expect("it is one");
    let flow = family.flow(folder.path()).expect("a flow");
    let targets = target_table("erp", &counter.url(), "");
    let mut site = Site::lay_out(folder.path(), &[flow], &targets).expect("a folder");
    site.start_collector().expect("a collector");
    site.enrol().expect("an identity");
    site.start_agent().expect("an agent");
    let agent = site.agent.as_ref().expect("it runs");
    let bytes = if soak() { 1_000_000_000 } else { 20_000_000 };
    let drops = site.drops("idoc");
    let lines = write(&drops.join(".large"), family.code, bytes).expect("a file");
    std::fs::rename(drops.join(".large"), drops.join("large.xml")).expect("a rename");
    let arrived = counter.wait(lines, LIMIT);
    assert_eq!((arrived, counter.with(|counts| counts.repeats)), (lines, 0));
    crate::wait("the file is archived", || {
        drops.join("archive/large.xml").is_file()
    });
    let peak = agent.usage().expect("it lives").peak_bytes;
    println!("{lines} segments, {} MiB at most", peak >> 20);
    assert!(peak <= PEAK_BYTES_MAX, "{peak} bytes at most");
}

/// Documents in one file, until it has so many bytes; how many segments they have.
fn write(path: &Path, code: &str, bytes: u64) -> io::Result<u64> {
    let mut file = BufWriter::new(File::create(path)?);
    file.write_all(b"<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<ZMOVES>\n")?;
    let (mut written, mut lines) = (0, 0);
    while written < bytes {
        let document = lines / LINES + 1;
        let mut text = format!(
            "<IDOC BEGIN=\"1\"><EDI_DC40 SEGMENT=\"1\"><DOCNUM>{document:016}</DOCNUM></EDI_DC40>\n"
        );
        for n in lines..lines + LINES {
            text += &format!(
                "<Z1MOVE SEGMENT=\"1\"><MOVE_NO>{}</MOVE_NO><SKU>{code}-{:07}</SKU><REF>{:09}</REF></Z1MOVE>\n",
                number(code, n),
                n % ITEMS,
                n / ITEMS
            );
        }
        text += "</IDOC>\n";
        file.write_all(text.as_bytes())?;
        written += text.len() as u64;
        lines += LINES;
    }
    file.write_all(b"</ZMOVES>\n")?;
    file.flush()?;
    Ok(lines)
}
