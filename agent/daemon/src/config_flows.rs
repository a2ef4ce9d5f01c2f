//! Reads a configuration's flows.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::ops::Range;
use std::path::Path;

use dray_mapping::{Mapper, MappingConfig};
use dray_proto::{FlowName, is_name};
use serde::Deserialize;
use serde::de::IgnoredAny;
use toml::Spanned;
use toml::de::DeValue;

use crate::advice;
use crate::config::{FLOWS_MAX, FlowConfig, Otherwise, Timeliness};
use crate::config_head::{TOP, not_a_name};
use crate::config_parts::{Part, Reader, Within, key_span, take};
use crate::ports;
use crate::registry::{self, Configured};

/// A flow's settings besides its source and mappings.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct FlowHead {
    name: Spanned<String>,
    #[serde(default)]
    timeliness: Timeliness,
    schema_version: Option<Spanned<u32>>,
    #[serde(default)]
    otherwise: Otherwise,
    #[expect(dead_code, reason = "named, so that a misspelt section finds its way")]
    source: Option<IgnoredAny>,
    #[expect(dead_code, reason = "named, so that a misspelt section finds its way")]
    mapping: Option<IgnoredAny>,
}

/// All flows; `None` if there is anything wrong with any. `metrics`: where the agent itself listens.
pub(crate) fn read_flows(
    reader: &mut Reader,
    flows: Option<(Range<usize>, Part<'_>)>,
    site: &str,
    metrics: Option<SocketAddr>,
) -> Option<Vec<FlowConfig>> {
    let Some((key, flows)) = flows else {
        let sentence = "there is no flow: nothing would be watched; add a [[flow]] with its [flow.source] and a [[flow.mapping]]";
        reader.note(None, TOP, sentence);
        return None;
    };
    let DeValue::Array(parts) = flows.into_inner() else {
        reader.note(
            Some(key),
            TOP,
            "a flow's section has two brackets, there may be several: write [[flow]]",
        );
        return None;
    };
    if parts.len() > FLOWS_MAX {
        let sentence = format!(
            "there are {} flows, one agent takes at most {FLOWS_MAX}; start a second agent for the others",
            parts.len()
        );
        reader.note(Some(key), TOP, &sentence);
        return None;
    }
    let mut names: HashMap<String, usize> = HashMap::new();
    let mut flows: Vec<FlowConfig> = Vec::new();
    let count = parts.len();
    for (index, part) in parts.into_iter().enumerate() {
        let name = part
            .get_ref()
            .get("name")
            .and_then(|name| name.get_ref().as_str());
        let prefix = name.map_or_else(
            || format!("flow {}: ", index + 1),
            |name| format!("flow \"{name}\": "),
        );
        if let Some(name) = name
            && let Some(first) = names.insert(name.to_owned(), index + 1)
        {
            let sentence =
                format!("flow {first} has this name already; each flow needs a name of its own");
            reader.note(
                Some(key_span(&part, &["name"])),
                Within {
                    prefix: &prefix,
                    section: "flow",
                },
                &sentence,
            );
        }
        let source_span = key_span(&part, &["source"]);
        let listen_span = key_span(&part, &["source", "listen"]);
        let Some(flow) = read_flow(reader, part, &prefix, site) else {
            continue;
        };
        let is_same = |folder: &Path, other: &Path| folder == other;
        let files = flows.iter().find_map(|other| shared(other, &flow, is_same));
        let port = ports::taken(&flow, &flows, metrics);
        let found = [(source_span, files), (listen_span, port)];
        let found = found
            .into_iter()
            .filter_map(|(span, said)| Some((span, said?)));
        for (span, sentence) in found {
            let within = Within {
                prefix: &prefix,
                section: "flow.source",
            };
            reader.note(Some(span), within, &sentence);
        }
        flows.push(flow);
    }
    (flows.len() == count).then_some(flows)
}

/// Why two flows can't be, where a file that both would take moves before the other one sees it. `is_same`: whether two folders are one.
pub(crate) fn shared(
    other: &FlowConfig,
    flow: &FlowConfig,
    is_same: impl Fn(&Path, &Path) -> bool,
) -> Option<String> {
    let (one, two) = (flow.source.share()?, other.source.share()?);
    let both = |name: &&String| flow.source.takes(name) && other.source.takes(name);
    if !(one.moves || two.moves) {
        return None;
    }
    let mut names = [&one.sample, &two.sample].into_iter().flatten();
    // Of a pattern that shows no name, only the same one is known to mean the same files.
    let same = (one.pattern == two.pattern).then_some(&one.pattern);
    let name = names.find(both).or(same)?;
    // Folders last: whoever compares them by what they are may have to wait for a share.
    is_same(&one.folder, &two.folder).then(|| format!(
        "\"{}\" would be taken by flow \"{}\" too, and only one of them would get each file; give them different folders or patterns",
        one.folder.join(name).display(),
        other.name.flow()
    ))
}

fn read_flow(reader: &mut Reader, part: Part<'_>, prefix: &str, site: &str) -> Option<FlowConfig> {
    let span = part.span();
    let within = Within {
        prefix,
        section: "flow",
    };
    let DeValue::Table(mut table) = part.into_inner() else {
        reader.note(Some(span), within, "a flow is a section: write [[flow]]");
        return None;
    };
    let source = take(&mut table, "source");
    let mappings = take(&mut table, "mapping");
    let head = Spanned::new(span.clone(), DeValue::Table(table));
    let head: Option<FlowHead> = reader.read(&head, within, &|value| FlowHead::deserialize(value));
    let source = read_source(reader, source, span.clone(), prefix);
    let mappings = read_mappings(reader, mappings, span, prefix);
    let head = head?;
    let name = FlowName::new(
        if is_name(site) { site } else { "site" },
        head.name.get_ref(),
    );
    if name.is_none() {
        reader.note(
            Some(head.name.span()),
            within,
            &not_a_name("name", head.name.get_ref()),
        );
    }
    let schema_version = head.schema_version.map_or(1, |version| {
        if *version.get_ref() == 0 {
            reader.note(
                Some(version.span()),
                within,
                "schema_version counts from 1; write schema_version = 1",
            );
        }
        version.into_inner()
    });
    Some(FlowConfig {
        name: name?,
        timeliness: head.timeliness,
        schema_version,
        otherwise: head.otherwise,
        source: source?,
        mappings: mappings?,
    })
}

fn read_source(
    reader: &mut Reader,
    source: Option<(Range<usize>, Part<'_>)>,
    flow: Range<usize>,
    prefix: &str,
) -> Option<Box<dyn Configured>> {
    let within = Within {
        prefix,
        section: "flow.source",
    };
    let kinds = registry::kinds();
    let Some((key, part)) = source else {
        reader.note(
            Some(flow),
            within,
            "it has no source; add a [flow.source] with kind = \"file-drop\"",
        );
        return None;
    };
    let kind = part.get_ref().get("kind");
    let Some(kind) = kind.and_then(|kind| kind.get_ref().as_str()) else {
        let sentence = format!(
            "\"kind\" is missing in [flow.source]; possible are {}: write kind = \"file-drop\"",
            kinds.join(", ")
        );
        reader.note(Some(key), within, &sentence);
        return None;
    };
    let Some(adapter) = registry::adapter(kind) else {
        let sentence = format!(
            "kind = \"{kind}\" is not known; {}",
            advice::instead(kind, &kinds)
        );
        reader.note(Some(key_span(&part, &["kind"])), within, &sentence);
        return None;
    };
    let configured = reader.read(&part, within, &|value| (adapter.read)(value))?;
    for (setting, sentence) in configured.faults() {
        let path: Vec<&str> = setting.split('.').collect();
        let name = path.last().copied().unwrap_or_default();
        reader.note(
            Some(key_span(&part, &path)),
            within,
            &format!("{name}: {sentence}"),
        );
    }
    Some(configured)
}

fn read_mappings(
    reader: &mut Reader,
    mappings: Option<(Range<usize>, Part<'_>)>,
    flow: Range<usize>,
    prefix: &str,
) -> Option<Vec<MappingConfig>> {
    let within = Within {
        prefix,
        section: "flow.mapping",
    };
    let Some((key, mappings)) = mappings else {
        reader.note(Some(flow), within, "it has no mapping, so its records would become nothing; add a [[flow.mapping]] with body and key");
        return None;
    };
    let DeValue::Array(parts) = mappings.into_inner() else {
        reader.note(
            Some(key),
            within,
            "a mapping's section has two brackets, there may be several: write [[flow.mapping]]",
        );
        return None;
    };
    let read: Vec<Option<MappingConfig>> = parts
        .iter()
        .map(|part| reader.read(part, within, &|value| MappingConfig::deserialize(value)))
        .collect();
    let mut whole: Vec<MappingConfig> = read.into_iter().collect::<Option<_>>()?;
    whole
        .iter_mut()
        .for_each(|mapping| mapping.read_codes(&codes));
    check_mappings(reader, &whole, &parts, within);
    Some(whole)
}

/// The text of a file of codes.
fn codes(file: &str) -> Result<String, String> {
    /// Of a file: a list may have so many codes, at 160 bytes a line.
    const BYTES_MAX: u64 = 16 * 1024 * 1024;
    let bytes = std::fs::metadata(file)
        .map_err(|error| format!("{error}; the agent's user must be able to read it"))?
        .len();
    if bytes > BYTES_MAX {
        return Err(format!(
            "it has {bytes} bytes, at most {BYTES_MAX} are read"
        ));
    }
    std::fs::read_to_string(file).map_err(|error| format!("{error}; write it in UTF-8"))
}

/// What only shows when the mappings are compiled: bodies, fields, expressions, formats.
fn check_mappings(
    reader: &mut Reader,
    mappings: &[MappingConfig],
    parts: &[Part<'_>],
    within: Within<'_>,
) {
    // The version goes with the events and decides nothing here.
    let Err(errors) = Mapper::compile(mappings, 1) else {
        return;
    };
    for error in errors {
        let span = error
            .span
            .or_else(|| parts.get(error.mapping).map(Part::span));
        let sentence = match &error.field {
            Some(field) => format!("{field}: {}", error.reason),
            None => error.reason,
        };
        reader.note(span, within, &sentence);
    }
}
