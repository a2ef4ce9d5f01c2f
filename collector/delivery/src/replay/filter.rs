//! What somebody asks for.

use std::collections::HashSet;

use dray_proto::event::View;
use dray_proto::{FlowName, Offset, schema};
use serde::{Deserialize, Serialize};

use super::walk::Found;
use crate::body::Place;
use crate::catalogue::Phase;
use crate::config::TargetConfig;
use crate::mask::Mask;
use crate::select::{Pattern, Selection};

/// Keys that a filter names, at most.
const KEYS_MAX: usize = 10_000;

/// Which events of a target; what is not named does not matter.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Filter {
    /// `site/flow`, `site/*`, `*/flow`; none: all that the target takes.
    pub flows: Vec<String>,
    /// Record types, e.g. `shipment`; none: all that the target takes.
    pub bodies: Vec<String>,
    /// Business keys; none: all.
    pub keys: Vec<String>,
    /// The first offset; 0: the oldest. Only with one flow.
    pub from: u64,
    /// The last offset; 0: the newest. Only with one flow.
    pub to: u64,
    /// Captured at or after this, microseconds since 1970-01-01T00:00:00Z; 0: whenever.
    pub since_us: i64,
    /// Captured before this; 0: whenever.
    pub until_us: i64,
    /// Dead letters of the target, not events that were delivered.
    pub dead_letters: bool,
}

impl Filter {
    /// What is wrong with it, in a sentence.
    #[must_use]
    pub fn wrong(&self) -> Option<String> {
        if let Some(flow) = self
            .flows
            .iter()
            .find(|flow| Pattern::parse(flow).is_none())
        {
            return Some(format!(
                "--flow {flow:?} is none of \"site/flow\", \"site/*\", \"*/flow\" and \"*\""
            ));
        }
        if let Some(body) = self.bodies.iter().find(|body| schema::body(body).is_none()) {
            let known: Vec<_> = schema::BODIES.iter().map(|body| body.name).collect();
            return Some(format!(
                "--body {body:?} is not a body; there are {}",
                known.join(", ")
            ));
        }
        let one_flow = self.flows.len() == 1 && !self.flows[0].contains('*');
        if (self.from > 0 || self.to > 0) && !one_flow {
            return Some("offsets count within a flow: name one with --flow site/flow".into());
        }
        if self.to > 0 && self.to < self.from {
            return Some(format!("offset {} comes after {}", self.from, self.to));
        }
        if self.until_us != 0 && self.until_us <= self.since_us {
            return Some("--until must be later than --since".into());
        }
        (self.keys.len() > KEYS_MAX).then(|| format!("name at most {KEYS_MAX} keys"))
    }
}

/// A filter of a target, compiled.
#[derive(Debug)]
pub struct Picker {
    asked: Selection,
    target: Selection,
    keys: HashSet<String>,
    filter: Filter,
    /// What the target's plans do not show.
    mask: Mask,
}

impl Picker {
    /// Of a filter that is not [`Filter::wrong`].
    #[must_use]
    pub fn new(filter: &Filter, target: &TargetConfig) -> Self {
        Self {
            asked: Selection::new(&filter.flows, &filter.bodies),
            target: Selection::new(&target.flows, &target.bodies),
            keys: filter.keys.iter().cloned().collect(),
            filter: filter.clone(),
            // It was validated: what is wrong with it was said.
            mask: Mask::new(&target.mask).unwrap_or_default(),
        }
    }

    /// Whether events of this flow may be meant.
    #[must_use]
    pub fn takes_flow(&self, flow: &FlowName) -> bool {
        self.target.takes_flow(flow) && self.asked.takes_flow(flow)
    }

    /// Whether the target takes this event at all.
    #[must_use]
    pub fn is_targets(&self, view: &View<'_>) -> bool {
        self.target
            .takes_body(view.body.map(|(body, _)| body.number))
    }

    /// Whether this event of such a flow is meant.
    #[must_use]
    pub fn takes(&self, offset: Offset, view: &View<'_>) -> bool {
        let Filter {
            from,
            to,
            since_us,
            until_us,
            ..
        } = self.filter;
        let body = view.body.map(|(body, _)| body.number);
        offset.0 >= from
            && (to == 0 || offset.0 <= to)
            && view.captured_us >= since_us
            && (until_us == 0 || view.captured_us < until_us)
            && (self.filter.bodies.is_empty() || self.asked.takes_body(body))
            && (self.keys.is_empty() || self.keys.contains(view.key))
    }

    /// An event's key as it may be read.
    pub(super) fn shown_key(&self, flow: &FlowName, found: &Found<'_>, key: &str) -> String {
        let place = Place::marked(flow.clone(), Phase::default());
        let values = self.mask.of_event(&place, found.offset, found.event);
        values.key(key)
    }

    /// Whether nothing that was captured up to then is meant.
    #[must_use]
    pub fn is_before(&self, last_captured_us: i64) -> bool {
        last_captured_us < self.filter.since_us
    }

    /// The first offset that may be meant.
    #[must_use]
    pub fn first(&self) -> Offset {
        Offset(self.filter.from.max(1))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::body::sample;

    fn filter(more: impl FnOnce(&mut Filter)) -> Filter {
        let mut filter = Filter::default();
        more(&mut filter);
        filter
    }

    #[test]
    fn a_filter_that_cannot_be_meant_is_refused_in_a_sentence() {
        let one = || vec!["north/stock".to_owned()];
        for (filter, said) in [
            (Filter::default(), ""),
            (
                filter(|f| f.flows = vec!["north".into()]),
                "--flow \"north\"",
            ),
            (
                filter(|f| f.bodies = vec!["ship".into()]),
                "--body \"ship\"",
            ),
            (filter(|f| f.from = 3), "name one with --flow"),
            (
                filter(|f| (f.flows, f.to) = (vec!["north/*".into()], 3)),
                "name one with --flow",
            ),
            (filter(|f| (f.flows, f.from, f.to) = (one(), 3, 3)), ""),
            (
                filter(|f| (f.flows, f.from, f.to) = (one(), 4, 3)),
                "offset 4 comes after 3",
            ),
            (filter(|f| (f.since_us, f.until_us) = (5, 5)), "--until"),
        ] {
            let wrong = filter.wrong().unwrap_or_default();
            assert_eq!(wrong.is_empty(), said.is_empty(), "{filter:?}: {wrong}");
            assert!(wrong.contains(said), "{filter:?}: {wrong}");
        }
    }

    #[test]
    fn an_event_is_meant_where_everything_that_is_named_fits() {
        let target: TargetConfig = toml::from_str(
            "name = \"erp\"\nurl = \"http://erp.example/\"\nflows = [\"north/*\"]\nbodies = [\"shipment\"]",
        )
        .expect("a table");
        let event = sample("shipment").expect("a body");
        let view = View::of(&event).expect("an event");
        let at = view.captured_us;
        for (filter, expected) in [
            (Filter::default(), true),
            (
                filter(|f| f.keys = vec![view.key.into(), "other".into()]),
                true,
            ),
            (filter(|f| f.keys = vec!["other".into()]), false),
            (filter(|f| f.bodies = vec!["order".into()]), false),
            (filter(|f| f.bodies = vec!["shipment".into()]), true),
            (filter(|f| (f.from, f.to) = (7, 7)), true),
            (filter(|f| f.from = 8), false),
            (filter(|f| f.to = 6), false),
            (filter(|f| f.since_us = at), true),
            (filter(|f| f.since_us = at + 1), false),
            (filter(|f| f.until_us = at), false),
            (filter(|f| f.until_us = at + 1), true),
        ] {
            let picker = Picker::new(&filter, &target);
            assert_eq!(picker.takes(Offset(7), &view), expected, "{filter:?}");
        }
        let picker = Picker::new(&filter(|f| f.flows = vec!["*/stock".into()]), &target);
        for (flow, expected) in [
            ("north/stock", true),
            ("south/stock", false),
            ("north/x", false),
        ] {
            let flow = FlowName::parse(flow).expect("a name");
            assert_eq!(picker.takes_flow(&flow), expected, "{flow}");
        }
    }
}
