//! What names are compared with: the keys, or a field, of events with one body.

use dray_proto::event::View;
use dray_proto::v1::Operation;
use dray_proto::{FlowName, schema};
use dray_store::Reference;

use super::{Elsewhere, ReferenceConfig, Seed};
use crate::field::Path;
use crate::select::Pattern;

/// Events that others name. Two rules that mean the same share one.
#[derive(Debug)]
pub(super) struct Source {
    /// What the store calls it: "item", "item.barcode", "item@north/*", "item at erp-items".
    pub(super) label: String,
    pub(super) body: u32,
    pub(super) by: Option<Path>,
    pub(super) flows: Vec<Pattern>,
    pub(super) seed: Seed,
    /// The target that gets them, and what that takes; `None`: this one.
    pub(super) at: Option<(String, Elsewhere)>,
}

/// What an event is called by sources, with the source's index among them: nothing, where it deletes or cannot be read.
pub(super) fn names<'a>(
    sources: impl Iterator<Item = &'a Source>,
    flow: &FlowName,
    event: &[u8],
) -> Vec<(usize, Reference)> {
    let Ok(view) = View::of(event) else {
        return Vec::new();
    };
    let Some((body, bytes)) = view
        .body
        .filter(|_| view.operation != Operation::Delete as i32)
    else {
        return Vec::new();
    };
    let mut learnt = Vec::new();
    for (index, source) in sources.enumerate() {
        let is_meant = source.body == body.number
            && (source.flows.is_empty() || source.flows.iter().any(|flow_of| flow_of.takes(flow)));
        if !is_meant {
            continue;
        }
        let mut learn = |name: &str| {
            let reference = Reference {
                of: source.label.clone(),
                name: name.to_owned(),
            };
            learnt.push((index, reference));
        };
        match &source.by {
            None => learn(view.key),
            Some(path) => {
                let values = path.values(bytes).unwrap_or_default();
                values.iter().for_each(|name| learn(name));
            }
        }
    }
    learnt
}

/// What a rule's names are compared with.
pub(super) fn source(config: &ReferenceConfig) -> Result<Source, String> {
    let body = body_named(&config.of)?;
    let by = match config.by.as_str() {
        "" => None,
        field => Some(Path::parse(&config.of, field).map_err(|reason| format!("by: {reason}"))?),
    };
    let flows: Vec<Pattern> = config
        .flows
        .iter()
        .map(|flow| {
            Pattern::parse(flow).ok_or_else(|| {
                format!(
                    "flows: {flow:?} is none of \"site/flow\", \"site/*\", \"*/flow\" and \"*\""
                )
            })
        })
        .collect::<Result<_, _>>()?;
    let mut label = config.of.clone();
    if by.is_some() {
        label = format!("{label}.{}", config.by);
    }
    if !config.flows.is_empty() {
        let mut flows = config.flows.clone();
        flows.sort();
        label = format!("{label}@{}", flows.join(","));
    }
    if !config.at.is_empty() {
        label = format!("{label} at {}", config.at);
    }
    let elsewhere = || config.elsewhere.clone().unwrap_or_default();
    Ok(Source {
        label,
        body,
        by,
        flows,
        seed: config.seed,
        at: (!config.at.is_empty()).then(|| (config.at.clone(), elsewhere())),
    })
}

pub(super) fn body_named(name: &str) -> Result<u32, String> {
    let body = schema::body(name).ok_or_else(|| format!("of: there is no body {name:?}"))?;
    Ok(body.number)
}
