//! `dray-agent suggest`: a flow for a file that nobody has described.
//!
//! ```text
//! first 256 KiB ──► what is it? ──► [flow.source] ──► first 1,000 records ──► their columns ──► [[flow.mapping]] ──► check, preview
//! ```
//!
//! The flow goes to the standard output, so that `dray-agent suggest FILE >> agent.toml` adds it; what comes of the sample goes to the
//! standard error. Nothing is printed that the configuration would not take. Nothing is moved or sent.

mod columns;
mod mapping;
mod names;
mod words;

use std::io::Write as _;
use std::path::{Path, PathBuf};

use dray_file_drop::{Proposal, propose};

use crate::cli::{PreviewArguments, SuggestArguments};
use crate::config::{Config, FlowConfig};
use crate::failure::Failure;
use crate::{out, preview};

/// Events shown when nothing else is said.
pub const SHOWN_DEFAULT: usize = 5;
/// Records whose columns are looked at.
const RECORDS_MAX: usize = 1_000;
/// Where a copybook is expected that was not named.
const COPYBOOKS: &str = "/etc/dray";

/// Runs the command.
///
/// # Errors
/// [`Failure`] where the file can't be read or told, or would be set aside whole.
pub fn command(wanted: &SuggestArguments) -> Result<(), Failure> {
    let mut proposal = propose(&wanted.file).map_err(Failure::Failed)?;
    if wanted.copybook.is_some() && proposal.told.kind == Some("copybook") {
        // Now that says how long a record is.
        proposal.told.record_bytes = None;
    }
    if proposal.told.kind.is_none() {
        return Err(Failure::Failed(words::nothing(
            &wanted.file,
            &proposal.told,
        )));
    }
    let copybook = Copybook::of(wanted, &proposal)?;
    let name = flow_name(&proposal);
    let source = |copybook: &Path| {
        proposal
            .source(&copybook.to_string_lossy())
            .unwrap_or_default()
    };
    let trial = |mappings: &str| {
        let text = words::flow(&name, &source(copybook.read_from()), mappings);
        load(&text)
    };
    let read = read(&trial(&mapping::of_any())?, &wanted.file);
    let mapped = match &read {
        Ok(records) => mapping::of(records),
        Err(_) => mapping::Mapped::of_any(),
    };
    let config = trial(&mapped.toml)?;
    let flow = words::flow(&name, &source(&copybook.shown), &mapped.toml);
    let about = words::about(
        &wanted.file,
        &proposal,
        &mapped.doubts,
        copybook.stand_in.as_deref(),
    );
    out::put(&format!("{about}{flow}"));
    if let Err(reason) = read {
        return Err(Failure::Failed(format!(
            "nothing can be shown yet: {reason}"
        )));
    }
    show(&config.flows[0], wanted)
}

fn show(flow: &FlowConfig, wanted: &SuggestArguments) -> Result<(), Failure> {
    let wanted = PreviewArguments {
        file: wanted.file.clone(),
        flow: None,
        json: false,
        limit: wanted.limit,
    };
    let shown = preview::look(flow, &wanted)?.text(flow, &wanted);
    let _ = std::io::stderr().write_all(format!("\n{shown}").as_bytes());
    Ok(())
}

/// What a person would paste is read as it would be: behind the first lines of a configuration.
fn load(flow: &str) -> Result<Config, Failure> {
    let head =
        "site = \"site\"\ndata_dir = \"/var/lib/dray-agent\"\ncollector = \"localhost:7443\"\n\n";
    let parsed = Config::parse(Path::new("what is proposed"), &format!("{head}{flow}"));
    parsed.map_err(|error| {
        Failure::Failed(format!(
            "our own proposal is no good configuration; please report it with the file: {error}"
        ))
    })
}

/// The first records by their types.
fn read(config: &Config, file: &Path) -> Result<Vec<columns::Records>, String> {
    let flow = &config.flows[0];
    let batches = flow.source.preview(&flow.name, file, RECORDS_MAX)?;
    Ok(columns::by_type(&batches))
}

/// From the pattern what a flow's name may have: `SHP_*.txt` is `shp`; else the format's kind.
fn flow_name(proposal: &Proposal) -> String {
    let stem = proposal
        .pattern
        .split(['.', '*'])
        .next()
        .unwrap_or_default();
    let plain = |letter: char| match letter {
        'a'..='z' | '0'..='9' | '-' | '_' => letter,
        _ => '-',
    };
    let name: String = stem
        .to_ascii_lowercase()
        .chars()
        .take(40)
        .map(plain)
        .collect();
    let name = name.trim_matches(['-', '_']);
    if name.is_empty() {
        proposal.told.kind.unwrap_or("files").into()
    } else {
        name.into()
    }
}

/// Where a mainframe's file is described.
struct Copybook {
    /// As the flow names it.
    shown: PathBuf,
    /// Until there is one: its text, and the file in which that stands as long as this command runs.
    stand_in: Option<String>,
    lent: Option<PathBuf>,
}

impl Copybook {
    fn of(wanted: &SuggestArguments, proposal: &Proposal) -> Result<Self, Failure> {
        if let Some(file) = &wanted.copybook {
            let shown = std::path::absolute(file)
                .map_err(|error| Failure::Failed(format!("{}: {error}", file.display())))?;
            return Ok(Self {
                shown,
                stand_in: None,
                lent: None,
            });
        }
        let stem = flow_name(proposal).to_ascii_uppercase();
        let shown = Path::new(COPYBOOKS).join(format!("{stem}.cpy"));
        let stand_in = proposal.told.copybook_stand_in();
        let lent = stand_in.as_ref().map(|text| lend(text)).transpose()?;
        Ok(Self {
            shown,
            stand_in,
            lent,
        })
    }

    fn read_from(&self) -> &Path {
        self.lent.as_ref().unwrap_or(&self.shown)
    }
}

impl Drop for Copybook {
    fn drop(&mut self) {
        if let Some(lent) = &self.lent {
            // It is ours, and in the folder for what may go.
            let _ = std::fs::remove_file(lent);
        }
    }
}

/// A new file: one that is there already is somebody else's.
fn lend(text: &str) -> Result<PathBuf, Failure> {
    let path = std::env::temp_dir().join(format!("dray-suggest-{}.cpy", std::process::id()));
    let made =
        std::fs::File::create_new(&path).and_then(|mut file| file.write_all(text.as_bytes()));
    made.map_err(|error| {
        Failure::Failed(format!(
            "{} can't be written: {error}; name the sender's copybook with --copybook FILE",
            path.display()
        ))
    })?;
    Ok(path)
}
