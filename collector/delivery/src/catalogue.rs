//! What is agreed about flows: who answers for one, how soon it is wanted, and whether its events are sent.
//!
//! ```toml
//! [[flow]]
//! name    = "*/shipments"              # "site/flow", "site/*", "*/flow" or "*"
//! owner   = "Warehouse integration"
//! class   = "urgent"
//! runbook = "https://wiki.example/shipments"
//! [[flow]]
//! name   = "north/shipments"
//! phases = { erp = "shadow" }          # at one target; `phase` is for all
//! ```
//! Each setting comes from the most exact name that has it, so that one site is promoted by one line.

use std::collections::{BTreeMap, HashSet};
use std::fmt;
use std::time::Duration;

use dray_proto::FlowName;
use serde::{Deserialize, Serialize};

use crate::budget::{Budget, Budgets};
use crate::select::Pattern;

/// `[[flow]]` tables, at most: some thousand sites, with exceptions.
pub const FLOWS_MAX: usize = 10_000;
/// Letters of an owner, a domain and a runbook: they stand in every dead letter and metric.
const WORDS_MAX: usize = 200;

/// One `[[flow]]` table.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FlowConfig {
    /// Which flows: `site/flow`, `site/*`, `*/flow` or `*`.
    pub name: String,
    /// Who answers for it.
    #[serde(default)]
    pub owner: String,
    /// What it belongs to in the business, e.g. "logistics".
    #[serde(default)]
    pub domain: String,
    /// How soon its events are wanted.
    #[serde(default)]
    pub class: Option<Timeliness>,
    /// In what time after its capture an event is promised to be delivered; none: the class's budget.
    #[serde(default, with = "humantime_serde::option")]
    pub sla: Option<Duration>,
    /// Where it stands what to do.
    #[serde(default)]
    pub runbook: String,
    /// What becomes of its events at every target.
    #[serde(default)]
    pub phase: Option<Phase>,
    /// The same at one target, by the target's name.
    #[serde(default)]
    pub phases: BTreeMap<String, Phase>,
}

/// How soon events are wanted: a flow's, and a target's where an account has less room than requests. The order is that of the account's
/// queues, which take 16, 4 and 1 turns.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Timeliness {
    /// Somebody waits for it.
    Urgent,
    /// Today.
    #[default]
    Normal,
    /// Tomorrow is early enough.
    Bulk,
}

impl Timeliness {
    /// "urgent", "normal" or "bulk".
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Urgent => "urgent",
            Self::Normal => "normal",
            Self::Bulk => "bulk",
        }
    }
}

/// What becomes of a flow's events at a target.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Phase {
    /// They are passed by: the old way delivers.
    Off,
    /// They are rendered and compared, and not sent.
    Shadow,
    /// They are sent, marked as those of a second way: the old one delivers too.
    Parallel,
    /// They are sent.
    #[default]
    Live,
    /// They are passed by again, from an offset that is written down: the old way goes on there.
    Rollback,
}

impl Phase {
    /// "off", "shadow", "parallel", "live" or "rollback".
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Off => "off",
            Self::Shadow => "shadow",
            Self::Parallel => "parallel",
            Self::Live => "live",
            Self::Rollback => "rollback",
        }
    }

    /// Whether the events are looked at.
    #[must_use]
    pub fn reads(self) -> bool {
        self.sends() || self == Self::Shadow
    }

    /// Whether the target gets them.
    #[must_use]
    pub fn sends(self) -> bool {
        matches!(self, Self::Parallel | Self::Live)
    }
}

impl fmt::Display for Phase {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.as_str())
    }
}

/// What holds for one flow.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Agreed {
    /// May be empty.
    pub owner: String,
    /// May be empty.
    pub domain: String,
    /// Its class.
    pub class: Timeliness,
    /// In what time after its capture an event is promised to be delivered.
    pub sla: Duration,
    /// May be empty.
    pub runbook: String,
}

/// All that is agreed.
#[derive(Debug, Clone, Default)]
pub struct Catalogue {
    /// The most exact first.
    flows: Vec<(Pattern, FlowConfig)>,
    budgets: Budgets,
}

impl Catalogue {
    /// Of validated tables; a name that is none matches nothing.
    #[must_use]
    pub fn new(flows: &[FlowConfig], budgets: &Budgets) -> Self {
        let mut flows: Vec<_> = flows
            .iter()
            .filter_map(|flow| Some((Pattern::parse(&flow.name)?, flow.clone())))
            .collect();
        flows.sort_by_key(|(pattern, _)| std::cmp::Reverse(pattern.exactness()));
        Self {
            flows,
            budgets: budgets.clone(),
        }
    }

    fn matching<'a>(&'a self, name: &'a FlowName) -> impl Iterator<Item = &'a FlowConfig> {
        let taken = move |(pattern, _): &&(Pattern, FlowConfig)| pattern.takes(name);
        self.flows.iter().filter(taken).map(|(_, flow)| flow)
    }

    /// What holds for a flow.
    #[must_use]
    pub fn of(&self, name: &FlowName) -> Agreed {
        let words = |of: fn(&FlowConfig) -> &String| {
            let said = self.matching(name).map(of).find(|words| !words.is_empty());
            said.cloned().unwrap_or_default()
        };
        let class = self.matching(name).find_map(|flow| flow.class);
        let class = class.unwrap_or_default();
        let sla = self.matching(name).find_map(|flow| flow.sla);
        Agreed {
            owner: words(|flow| &flow.owner),
            domain: words(|flow| &flow.domain),
            class,
            sla: sla.unwrap_or_else(|| self.budgets.of(class).deliver),
            runbook: words(|flow| &flow.runbook),
        }
    }

    /// What becomes of a flow's events at a target.
    #[must_use]
    pub fn phase(&self, name: &FlowName, target: &str) -> Phase {
        let said = |flow: &FlowConfig| flow.phases.get(target).copied().or(flow.phase);
        self.matching(name).find_map(said).unwrap_or_default()
    }

    /// What a class may take.
    #[must_use]
    pub fn budget(&self, class: Timeliness) -> Budget {
        self.budgets.of(class)
    }

    /// Whether any flow is in this phase at the target.
    #[must_use]
    pub fn may_have(&self, target: &str, phase: Phase) -> bool {
        self.flows
            .iter()
            .any(|(_, flow)| flow.phases.get(target).copied().or(flow.phase) == Some(phase))
    }
}

/// What is wrong with the tables: the index of one, its setting, and a sentence with the way out.
#[must_use]
pub fn validate(flows: &[FlowConfig], targets: &[&str]) -> Vec<(usize, &'static str, String)> {
    let mut wrong = Vec::new();
    let mut seen = HashSet::new();
    if flows.len() > FLOWS_MAX {
        wrong.push((FLOWS_MAX, "name", format!("at most {FLOWS_MAX} [[flow]] tables; a name like \"*/shipments\" stands for many flows")));
    }
    for (index, flow) in flows.iter().enumerate() {
        if Pattern::parse(&flow.name).is_none() {
            wrong.push((
                index,
                "name",
                format!(
                    "{:?} is none of \"site/flow\", \"site/*\", \"*/flow\" and \"*\"",
                    flow.name
                ),
            ));
        }
        if !seen.insert(&flow.name) {
            wrong.push((
                index,
                "name",
                format!(
                    "there are two [[flow]] tables for {:?}; put their settings into one",
                    flow.name
                ),
            ));
        }
        for (setting, words) in [
            ("owner", &flow.owner),
            ("domain", &flow.domain),
            ("runbook", &flow.runbook),
        ] {
            if words.chars().count() > WORDS_MAX || words.chars().any(char::is_control) {
                wrong.push((
                    index,
                    setting,
                    format!("write one line of at most {WORDS_MAX} letters"),
                ));
            }
        }
        if flow.sla.is_some_and(|sla| sla.is_zero()) {
            wrong.push((
                index,
                "sla",
                "write a time above zero, e.g. \"5m\"; without it the class's budget holds".into(),
            ));
        }
        for name in flow
            .phases
            .keys()
            .filter(|name| !targets.contains(&name.as_str()))
        {
            wrong.push((
                index,
                "phases",
                format!(
                    "there is no target {name:?}; there are {}",
                    targets.join(", ")
                ),
            ));
        }
    }
    wrong
}

#[cfg(test)]
mod tests {
    use super::*;

    fn catalogue(text: &str) -> Catalogue {
        #[derive(Deserialize)]
        struct File {
            flow: Vec<FlowConfig>,
        }
        let file: File = toml::from_str(text).expect("tables");
        assert_eq!(validate(&file.flow, &["erp", "lake"]), []);
        Catalogue::new(&file.flow, &Budgets::default())
    }

    #[test]
    fn each_setting_comes_from_the_most_exact_name_that_has_it() {
        let catalogue = catalogue(
            "[[flow]]\nname = \"*\"\nowner = \"nobody yet\"\nphase = \"off\"\n\
             [[flow]]\nname = \"*/shipments\"\nowner = \"wms\"\nclass = \"urgent\"\nrunbook = \"r\"\nphases = { lake = \"live\" }\n\
             [[flow]]\nname = \"north/*\"\ndomain = \"logistics\"\nsla = \"90s\"\n\
             [[flow]]\nname = \"north/shipments\"\nphases = { erp = \"shadow\" }\n",
        );
        let name = |text: &str| FlowName::parse(text).expect("a name");
        let north = catalogue.of(&name("north/shipments"));
        let expected = Agreed {
            owner: "wms".into(),
            domain: "logistics".into(),
            class: Timeliness::Urgent,
            sla: Duration::from_secs(90),
            runbook: "r".into(),
        };
        assert_eq!(north, expected);
        for (flow, target, phase) in [
            ("north/shipments", "erp", Phase::Shadow),
            ("north/shipments", "lake", Phase::Live),
            ("south/shipments", "lake", Phase::Live),
            ("south/shipments", "erp", Phase::Off),
            ("north/stock", "erp", Phase::Off),
        ] {
            assert_eq!(
                catalogue.phase(&name(flow), target),
                phase,
                "{flow} {target}"
            );
        }
        let south = catalogue.of(&name("south/stock"));
        assert_eq!(
            (south.owner.as_str(), south.class),
            ("nobody yet", Timeliness::Normal)
        );
        assert_eq!(south.sla, Budgets::default().of(Timeliness::Normal).deliver);
        let none = Catalogue::default();
        assert_eq!(none.phase(&name("a/b"), "erp"), Phase::Live);
    }

    #[test]
    fn what_is_wrong_is_said_with_the_setting_and_the_way_out() {
        let flow = |name: &str| FlowConfig {
            name: name.into(),
            ..FlowConfig::default()
        };
        let mut zero = flow("a/zero");
        zero.sla = Some(Duration::ZERO);
        let mut two_lines = flow("a/lines");
        two_lines.owner = "a\nb".into();
        let mut unknown = flow("a/unknown");
        unknown.phases.insert("erpp".into(), Phase::Off);
        let flows = [
            flow("a/b"),
            flow("a/b"),
            flow("shipments"),
            zero,
            two_lines,
            unknown,
        ];
        let said: Vec<_> = validate(&flows, &["erp"])
            .into_iter()
            .map(|(index, setting, _)| (index, setting))
            .collect();
        let expected = [
            (1, "name"),
            (2, "name"),
            (3, "sla"),
            (4, "owner"),
            (5, "phases"),
        ];
        assert_eq!(said, expected);
    }
}
