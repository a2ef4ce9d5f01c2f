//! What of a target's table is about what is known, demanded and kept.

use std::collections::BTreeSet;

use super::TargetConfig;
use crate::calls::rule::RuleConfig;
use crate::vet::Rules;

/// Names under which a target keeps values of a key, at most.
pub const KEPT_NAMES_MAX: usize = 20;

impl TargetConfig {
    /// The target's own rules and those of its calls.
    pub(crate) fn all_rules(&self) -> impl Iterator<Item = &RuleConfig> {
        let of_calls = self.calls.call.values().flat_map(|call| &call.rule);
        of_calls.chain(&self.rules)
    }

    /// The names that rules keep.
    pub(crate) fn kept_names(&self) -> BTreeSet<String> {
        let rules = self.all_rules();
        rules.flat_map(|rule| rule.keep.keys().cloned()).collect()
    }

    pub(super) fn check_remembered(&self, wrong: &mut Vec<String>) {
        let kept = self.kept_names();
        if kept.len() > KEPT_NAMES_MAX {
            wrong.push(format!("rule.keep: at most {KEPT_NAMES_MAX} names"));
        }
        if !kept.is_empty() && self.batch != 1 {
            wrong.push(
                "rule.keep: an answer about several events is nobody's; write batch = 1".into(),
            );
        }
        if !self.calls.first_kept.is_empty() && kept.is_empty() {
            wrong.push(
                "calls.first_kept: no rule keeps anything; write keep = { id = \"/id\" } in one"
                    .into(),
            );
        }
        wrong.extend(self.holds.wrong());
        wrong.extend(Rules::compile(self, false).err());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wrong(more: &str) -> Vec<String> {
        let table = format!("name = \"erp\"\nurl = \"http://erp.example/api\"\n{more}");
        let config: TargetConfig = toml::from_str(&table).expect(more);
        config.validate()
    }

    #[test]
    fn what_cannot_be_kept_demanded_or_waited_for_is_said_in_a_sentence() {
        let names: Vec<_> = (0..=KEPT_NAMES_MAX)
            .map(|name| format!("n{name} = \"/a\""))
            .collect();
        let keep = |names: &str| format!("[[rule]]\noutcome = \"done\"\nkeep = {{ {names} }}");
        let line =
            "[[reference]]\nbody = \"shipment\"\nfield = \"line.item_number\"\nof = \"item\"";
        for (more, said) in [
            (keep("id = \"/id\""), "rule.keep: an answer about several events"),
            (format!("batch = 1\n{}", keep(&names.join(", "))), "rule.keep: at most 20 names"),
            (
                "batch = 1\n[calls]\nfirst = \"a\"\nfirst_kept = \"a\"\n[calls.call.a]".into(),
                "calls.first_kept: no rule keeps anything",
            ),
            (
                "batch = 1\n[calls]\nfirst = \"a\"\n[calls.call.a]\nurl = \"x/{{ kept.id }}\"".into(),
                "no rule keeps \"id\"",
            ),
            ("[holds]\nask_first = \"0s\"".into(), "holds: ask_first"),
            (format!("bodies = [\"shipment\"]\n{line}"), "reference 1 (line.item_number): this target takes no item"),
            (
                "[[demand]]\nbody = \"item\"\nfield = \"unit\"".into(),
                "demand 1 (unit): it demands nothing",
            ),
            (
                "[[rule]]\noutcome = \"missing_reference\"\nreference = { of = \"itm\", at = \"/item\" }".into(),
                "of: there is no body \"itm\"",
            ),
        ] {
            let wrong = wrong(&more);
            assert_eq!(wrong.len(), 1, "{more}: {wrong:?}");
            assert!(wrong[0].contains(said), "{more}: {wrong:?}");
        }
        assert_eq!(wrong(line), [""; 0]);
        let rule =
            "[[demand]]\nbody = \"item\"\nfield = \"unit\"\none_of_file = \"/no/such/units\"";
        assert_eq!(wrong(rule), [""; 0], "no file is read here");
        let table = format!("name = \"erp\"\nurl = \"http://erp.example/api\"\n{rule}");
        let config: TargetConfig = toml::from_str(&table).expect("a table");
        let found = crate::Target::check(&config, &crate::account::Accounts::default());
        assert!(
            found[0].contains("demand 1 (unit): /no/such/units: "),
            "{found:?}"
        );
    }
}
