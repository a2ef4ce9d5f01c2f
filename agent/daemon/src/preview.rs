//! `dray-agent preview`: which events a sample would become, and which lines would not.
//!
//! The sample goes the real way (the source's own decoder, the flow's mapper, the block maker) up to
//! the blocks, which are opened again; nothing is moved, appended or sent, and neither a collector
//! nor an identity is needed.

mod unfound;

use std::fmt::Write as _;

use dray_buffer::NewBlock;
use dray_proto::block;

use crate::cli::PreviewArguments;
use crate::config::{Config, FlowConfig, Otherwise};
use crate::failure::Failure;
use crate::out;
use crate::render::Event;
use unfound::Unfound;

/// Events shown when nothing else is said.
pub const SHOWN_DEFAULT: usize = 20;
/// Bytes of a bad line that are shown.
const RAW_SHOWN: usize = 300;

/// Runs the command.
///
/// # Errors
/// [`Failure`] where no flow takes the file, or it can't be read.
pub fn command(config: &Config, wanted: &PreviewArguments) -> Result<(), Failure> {
    let flow = choose(config, wanted)?;
    let seen = look(flow, wanted)?;
    let shown = if wanted.json {
        seen.json()?
    } else {
        seen.text(flow, wanted)
    };
    out::put(&shown);
    for sentence in &seen.doubts {
        eprintln!("{sentence}");
    }
    Ok(())
}

/// The flow of this name, with or without its site.
pub(crate) fn named<'c>(config: &'c Config, name: &str) -> Result<&'c FlowConfig, Failure> {
    let names: Vec<&str> = config.flows.iter().map(|flow| flow.name.flow()).collect();
    let found = config
        .flows
        .iter()
        .find(|flow| flow.name.flow() == name || flow.name.as_str() == name);
    found.ok_or_else(|| {
        Failure::Failed(format!(
            "there is no flow \"{name}\" in {}; there are: {}",
            config.file.display(),
            names.join(", ")
        ))
    })
}

fn choose<'c>(config: &'c Config, wanted: &PreviewArguments) -> Result<&'c FlowConfig, Failure> {
    let names: Vec<&str> = config.flows.iter().map(|flow| flow.name.flow()).collect();
    if let Some(name) = &wanted.flow {
        return named(config, name);
    }
    let file_name = wanted
        .file
        .file_name()
        .unwrap_or_default()
        .to_string_lossy();
    let taking: Vec<&FlowConfig> = config
        .flows
        .iter()
        .filter(|flow| flow.source.takes(&file_name))
        .collect();
    match (taking.as_slice(), config.flows.as_slice()) {
        ([one], _) => Ok(one),
        ([], [one]) => Ok(one),
        ([], _) => Err(Failure::Failed(format!(
            "no flow takes a file called \"{file_name}\"; choose one with --flow: {}",
            names.join(", ")
        ))),
        (several, _) => {
            let names: Vec<&str> = several.iter().map(|flow| flow.name.flow()).collect();
            Err(Failure::Failed(format!(
                "several flows take \"{file_name}\"; choose one with --flow: {}",
                names.join(", ")
            )))
        }
    }
}

/// What the sample became.
#[derive(Default)]
pub(crate) struct Seen {
    /// The first events, and the first dead letters wherever they stand.
    shown: Vec<Event>,
    /// Records and rejects that were read.
    records: u64,
    events: u64,
    dead_letters: u64,
    skipped: u64,
    /// Whether the file was read to its end.
    whole: bool,
    /// A sentence for each column whose path found nothing, and what the source says of the file.
    doubts: Vec<String>,
}

pub(crate) fn look(flow: &FlowConfig, wanted: &PreviewArguments) -> Result<Seen, Failure> {
    let batches = flow
        .source
        .preview(&flow.name, &wanted.file, wanted.limit)
        .map_err(Failure::Failed)?;
    let mut maker = flow.maker().map_err(Failure::Failed)?;
    let mut seen = Seen::default();
    let mut dead_shown = 0;
    let mut unfound = Unfound::default();
    for batch in &batches {
        unfound.count(&batch.records);
        let made = maker.make(batch);
        seen.records += (batch.records.len() + batch.rejects.len()) as u64;
        seen.events += made.events - made.dead_letters;
        seen.dead_letters += made.dead_letters;
        seen.skipped += made.skipped;
        seen.whole = batch.ends_unit;
        for block in &made.blocks {
            for event in opened(block)? {
                let dead = event.dead_letter.is_some();
                if seen.shown.len() < wanted.limit || (dead && dead_shown < wanted.limit) {
                    dead_shown += usize::from(dead);
                    seen.shown.push(event);
                }
            }
        }
    }
    seen.doubts = unfound.sentences(&*flow.source);
    let of_source = flow.source.doubts(&flow.name, &wanted.file);
    seen.doubts.extend(of_source);
    Ok(seen)
}

fn opened(made: &NewBlock) -> Result<Vec<Event>, Failure> {
    let defect = |error: &dyn std::fmt::Display| {
        Failure::Failed(format!(
            "our own block does not open: {error}; please report it"
        ))
    };
    let mut decoded = Vec::new();
    block::open(
        &made.payload,
        i32::from(made.codec),
        made.decoded_bytes,
        &mut decoded,
    )
    .map_err(|error| defect(&error))?;
    let ranges = block::split(&decoded, made.count).map_err(|error| defect(&error))?;
    ranges
        .into_iter()
        .map(|range| {
            Event::of(&decoded[range.start as usize..range.end as usize])
                .map_err(|error| defect(&error))
        })
        .collect()
}

impl Seen {
    fn json(&self) -> Result<String, Failure> {
        let mut out = String::new();
        for event in &self.shown {
            let line = serde_json::to_string(&event.whole)
                .map_err(|error| Failure::Failed(error.to_string()))?;
            out.push_str(&line);
            out.push('\n');
        }
        Ok(out)
    }

    pub(crate) fn text(&self, flow: &FlowConfig, wanted: &PreviewArguments) -> String {
        let mut out = String::new();
        let file_name = wanted
            .file
            .file_name()
            .unwrap_or_default()
            .to_string_lossy();
        // Writing to a string never fails.
        let _ = writeln!(out, "{} as flow \"{}\"\n", wanted.file.display(), flow.name);
        for event in &self.shown {
            write_event(&mut out, event);
        }
        let _ = write!(
            out,
            "{} → {}, {}",
            counted(self.records, "record"),
            counted(self.events, "event"),
            counted(self.dead_letters, "dead letter")
        );
        if flow.otherwise == Otherwise::Skip {
            let _ = write!(out, ", {} skipped", self.skipped);
        }
        out.push_str(". Nothing was moved or sent.\n");
        let more = self.events + self.dead_letters - self.shown.len() as u64;
        if more > 0 {
            let _ = writeln!(
                out,
                "{more} more are not shown here; --limit {} shows more.",
                wanted.limit.saturating_mul(10)
            );
        }
        if !self.whole {
            let read = match self.records {
                1 => "record was".to_owned(),
                count => format!("{count} records were"),
            };
            let _ = writeln!(out, "The file goes on; only its first {read} read.");
        }
        let reads_files = flow.source.share().is_some();
        if reads_files && !flow.source.takes(&file_name) {
            let _ = writeln!(
                out,
                "Dropped under this name the file would not be taken: {}.",
                flow.source.place()
            );
        }
        out
    }
}

fn counted(count: u64, what: &str) -> String {
    format!("{count} {what}{}", if count == 1 { "" } else { "s" })
}

fn write_event(out: &mut String, event: &Event) {
    let line = if event.line > 0 {
        format!("line {}", event.line)
    } else {
        "-".into()
    };
    if let Some((stage, reason)) = &event.dead_letter {
        let _ = writeln!(out, "{line}  ✗ dead letter ({stage}): {reason}");
        for raw in shown_raw(&event.raw).lines() {
            let _ = writeln!(out, "      | {raw}");
        }
        out.push('\n');
        return;
    }
    let _ = writeln!(
        out,
        "{line}  {}  {}  key {}",
        event.body, event.operation, event.key
    );
    let width = event
        .flat
        .iter()
        .map(|(name, _)| name.len())
        .max()
        .unwrap_or(0);
    for (name, value) in &event.flat {
        let value: String = value.chars().map(printable).collect();
        let _ = writeln!(out, "      {name:width$}  {value}");
    }
    out.push('\n');
}

fn shown_raw(raw: &str) -> String {
    let shown: String = raw
        .trim_end()
        .chars()
        .take(RAW_SHOWN)
        .map(|letter| {
            if letter == '\n' {
                letter
            } else {
                printable(letter)
            }
        })
        .collect();
    if raw.trim_end().chars().nth(RAW_SHOWN).is_some() {
        shown + " …"
    } else {
        shown
    }
}

/// A terminal obeys control characters; a sample's are shown instead.
fn printable(letter: char) -> char {
    match letter {
        '\u{7F}' => '\u{2421}',
        '\0'..='\u{1F}' => char::from_u32(0x2400 + letter as u32).unwrap_or(' '),
        _ if dray_proto::shown::is_obeyed(letter) => char::REPLACEMENT_CHARACTER,
        _ => letter,
    }
}
