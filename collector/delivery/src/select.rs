//! Which flows and bodies a target takes.

use dray_proto::{FlowName, is_name, schema};

/// Bodies that no target takes unless it names them: what the agents say of themselves is no business event.
const ONLY_CHOSEN: [&str; 5] = [
    "dead_letter",
    "file_report",
    "schema_change",
    "source_gap",
    "heartbeat",
];

/// A flow pattern: `site/flow`, `site/*`, `*/flow` or `*`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pattern {
    site: Option<String>,
    flow: Option<String>,
}

impl Pattern {
    /// Reads a pattern; `None` if it is none.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        if text == "*" {
            return Some(Self {
                site: None,
                flow: None,
            });
        }
        let (site, flow) = text.split_once('/')?;
        let part = |text: &str| match text {
            "*" => Some(None),
            name if is_name(name) => Some(Some(name.to_owned())),
            _ => None,
        };
        Some(Self {
            site: part(site)?,
            flow: part(flow)?,
        })
    }

    /// How exact it is: 3 names a flow, 2 a site, 1 a flow at every site, 0 nothing.
    #[must_use]
    pub fn exactness(&self) -> u8 {
        u8::from(self.site.is_some()) * 2 + u8::from(self.flow.is_some())
    }

    /// Whether the flow is meant.
    #[must_use]
    pub fn takes(&self, name: &FlowName) -> bool {
        self.site.as_ref().is_none_or(|site| site == name.site())
            && self.flow.as_ref().is_none_or(|flow| flow == name.flow())
    }
}

/// Flows and bodies.
#[derive(Debug, Clone)]
pub struct Selection {
    flows: Vec<Pattern>,
    /// Bit `n`: the body with the number `n` in `Event`. Numbers stay below 64 for a long time.
    bodies: u64,
    unknown: bool,
}

impl Selection {
    /// Of a validated configuration; what does not parse selects nothing.
    #[must_use]
    pub fn new(flows: &[String], bodies: &[String]) -> Self {
        let chosen = |name: &str| {
            if bodies.is_empty() {
                !ONLY_CHOSEN.contains(&name)
            } else {
                bodies.iter().any(|body| body == name)
            }
        };
        let bit = |number: u32| 1_u64.checked_shl(number).unwrap_or(0);
        Self {
            flows: if flows.is_empty() {
                vec![Pattern {
                    site: None,
                    flow: None,
                }]
            } else {
                flows
                    .iter()
                    .filter_map(|flow| Pattern::parse(flow))
                    .collect()
            },
            bodies: schema::BODIES
                .iter()
                .filter(|body| chosen(body.name))
                .fold(0, |bits, body| bits | bit(body.number)),
            unknown: bodies.is_empty(),
        }
    }

    /// Whether the flow is taken.
    #[must_use]
    pub fn takes_flow(&self, name: &FlowName) -> bool {
        self.flows.iter().any(|pattern| pattern.takes(name))
    }

    /// Whether a body with this number is taken; `None`: one that this version does not know, which is
    /// taken (and becomes a dead letter) only where all are.
    #[must_use]
    pub fn takes_body(&self, number: Option<u32>) -> bool {
        match number {
            Some(number) => number < 64 && self.bodies >> number & 1 == 1,
            None => self.unknown,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_take_whole_names_only() {
        let name = FlowName::parse("north/stock").expect("a name");
        for (pattern, expected) in [
            ("*", Some(true)),
            ("north/stock", Some(true)),
            ("north/*", Some(true)),
            ("*/stock", Some(true)),
            ("*/*", Some(true)),
            ("south/*", Some(false)),
            ("*/shipments", Some(false)),
            ("north/sto", Some(false)),
            ("north/st*", None),
            ("north", None),
            ("", None),
        ] {
            assert_eq!(
                Pattern::parse(pattern).map(|pattern| pattern.takes(&name)),
                expected,
                "{pattern}"
            );
        }
    }

    #[test]
    fn without_a_choice_all_bodies_but_what_agents_say_are_taken() {
        let number = |name| schema::body(name).map(|body| body.number);
        let all = Selection::new(&[], &[]);
        assert!(all.takes_body(number("shipment")) && all.takes_body(None));
        for name in ONLY_CHOSEN {
            assert!(number(name).is_some() && !all.takes_body(number(name)));
        }
        let chosen = Selection::new(&[], &["dead_letter".into()]);
        assert!(chosen.takes_body(number("dead_letter")));
        assert!(!chosen.takes_body(number("shipment")) && !chosen.takes_body(None));
    }
}
