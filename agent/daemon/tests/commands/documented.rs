//! The page on formats holds: each flow of `docs/formats.md` makes of its sample the events that stand below it.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// A block of the page: what it is marked as, and its text.
fn blocks(section: &str) -> Vec<(&str, &str)> {
    let parts = section.split("\n```").collect::<Vec<_>>();
    let inside = parts.iter().skip(1).step_by(2);
    inside
        .map(|block| block.split_once('\n').expect("a block has lines"))
        .collect()
}

fn docs() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs")
}

/// The part of the page that has the examples.
fn page() -> String {
    let page = fs::read_to_string(docs().join("formats.md")).expect("the page");
    let examples = page.split_once("\n## Examples").expect("the examples").1;
    examples
        .split("\n## ")
        .next()
        .unwrap_or_default()
        .to_owned()
}

/// What `preview` says, run where the samples are.
fn preview(arguments: &[&str], config: &str) -> String {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("agent.toml");
    fs::write(&file, config).expect("a file");
    let output = Command::new(env!("CARGO_BIN_EXE_dray-agent"))
        .current_dir(docs().join("examples/files"))
        .arg("preview")
        .args(arguments)
        .arg("--config")
        .arg(&file)
        .output()
        .expect("it starts");
    let shown = String::from_utf8(output.stdout).expect("UTF-8");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{arguments:?}: {said}\n{config}");
    shown
}

#[test]
fn each_example_shows_what_preview_makes_of_its_sample() {
    let page = page();
    let mut sections = page.split("\n### ");
    let head = blocks(sections.next().expect("what stands before them"));
    let ("toml", head) = head[0] else {
        panic!("the first lines of a configuration: {head:?}");
    };
    let samples = docs().join("examples/files");
    let copybooks = format!(
        "{}/",
        samples.canonicalize().expect("the samples").display()
    );
    let (mut flow, mut seen) = ("", Vec::new());
    for section in sections {
        for (kind, text) in blocks(section) {
            match kind {
                "toml" => flow = text,
                "console" => {
                    let (command, shown) = text.split_once('\n').expect("what is shown");
                    let arguments = command
                        .strip_prefix("$ dray-agent preview ")
                        .expect("preview");
                    let arguments: Vec<&str> = arguments.split(' ').collect();
                    let config = format!("{head}\n\n{}", flow.replace("/etc/dray/", &copybooks));
                    let found = preview(&arguments, &config);
                    assert_eq!(found.trim_end(), shown, "{arguments:?}");
                    seen.push(arguments[0].to_owned());
                }
                _ => {}
            }
        }
    }
    let mut there: Vec<String> = fs::read_dir(&samples)
        .expect("the samples")
        .map(|entry| {
            entry
                .expect("an entry")
                .file_name()
                .to_string_lossy()
                .into_owned()
        })
        .filter(|name| !name.starts_with('.') && !name.ends_with(".cpy"))
        .collect();
    there.sort();
    seen.sort();
    assert_eq!(seen, there, "each sample has its example");
}

/// The worked endpoints of `docs/soap.md`, with the calls that stand below them.
#[test]
fn each_worked_endpoint_makes_events_of_its_call() {
    let page = fs::read_to_string(docs().join("soap.md")).expect("the page");
    let blocks = blocks(&page);
    let mut flows = 0;
    for (at, (kind, flow)) in blocks.iter().enumerate() {
        let is_endpoint = ["soap-receive", "webhook"]
            .iter()
            .any(|kind| flow.contains(&format!("kind = \"{kind}\"\nlisten")));
        if *kind != "toml" || !is_endpoint {
            continue;
        }
        let is_call = |(kind, text): &&(&str, &str)| {
            *kind == "json" || *kind == "xml" && text.contains("Envelope")
        };
        let (_, call) = blocks[at..].iter().find(is_call).expect("its call");
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("call");
        fs::write(&file, call).expect("a file");
        let head = "site = \"north\"\ndata_dir = \"/nowhere\"\ncollector = \"localhost:1\"";
        let file = file.display().to_string();
        let shown = preview(&[&file], &format!("{head}\n{flow}"));
        assert!(
            shown.contains("2 records → 2 events, 0 dead letters"),
            "{flow}\n{shown}"
        );
        flows += 1;
    }
    assert_eq!(flows, 2);
}

/// Lines of a sample may be cut on the page, and stand in its order.
#[test]
fn what_the_page_shows_of_a_sample_stands_in_it() {
    let page = page();
    let mut checked = 0;
    for section in page.split("\n### ").skip(1) {
        let blocks = blocks(section);
        let of = |wanted: &str| {
            blocks
                .iter()
                .find(|(kind, _)| *kind == wanted)
                .map(|(_, text)| *text)
        };
        let (Some(text), Some(console)) = (of("text"), of("console")) else {
            continue;
        };
        let command = console.lines().next().expect("a command");
        let sample = command.split(' ').nth(3).expect("a sample");
        let sample = match sample {
            "STOCK.dat" => "STOCK.cpy",
            // Packed: what it shows of the sample is in the events.
            "items.csv.gz" => continue,
            sample => sample,
        };
        let file = fs::read_to_string(docs().join("examples/files").join(sample)).expect(sample);
        assert_eq!(text.lines().count(), file.lines().count(), "{sample}");
        for (shown, line) in text.lines().zip(file.lines()) {
            assert!(line.starts_with(shown), "{sample}: {shown}");
        }
        checked += 1;
    }
    assert!(checked >= 10, "{checked}");
}
