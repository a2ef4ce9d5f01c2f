//! What of a target's table is most likely not meant. It hinders nothing: `check` warns of it.

use super::check::is_this_machine;
use super::{Auth, TargetConfig};
use crate::demands::DemandConfig;
use crate::field::{Holds, Path};

impl TargetConfig {
    /// A sentence each, which begins as those of [`Self::validate`]; only of a table in which nothing is wrong.
    #[must_use]
    pub fn doubts(&self) -> Vec<String> {
        let mut doubts = self.calls.doubts(&self.rules);
        if !self.calls.call.is_empty()
            && let Ok(program) = self.program()
        {
            doubts.extend(program.doubts(&self.bodies));
        }
        doubts.extend(self.demands.iter().enumerate().filter_map(of_demand));
        doubts.extend(self.of_secrets());
        doubts
            .iter()
            .map(|sentence| format!("target {:?}: {sentence}", self.name))
            .collect()
    }

    /// What says who we are, readable by everybody on the way.
    fn of_secrets(&self) -> Option<String> {
        let is_shown = !matches!(self.auth, Auth::None | Auth::Hmac(_) | Auth::OAuth1(_));
        let uri: http::Uri = self.url.parse().ok()?;
        let host = uri.host()?.trim_matches(['[', ']']);
        (is_shown && !is_this_machine(host) && uri.scheme_str() == Some("http")).then(|| {
            "url: a secret goes over http, where everybody on the way reads it; write https".into()
        })
    }
}

fn of_demand((index, demand): (usize, &DemandConfig)) -> Option<String> {
    let setting = match (&demand.min, &demand.max) {
        (Some(_), _) => "min",
        (None, Some(_)) => "max",
        (None, None) => return None,
    };
    let path = Path::parse(&demand.body, &demand.field).ok()?;
    matches!(path.holds(), Holds::Text).then(|| {
        format!(
            "demand {} ({}): {setting} is for numbers, and {} is a text: an event whose text is no decimal becomes a dead letter",
            index + 1,
            demand.field,
            demand.field
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(more: &str, expected: &[&str]) {
        let table = format!("name = \"erp\"\nbatch = 1\nbodies = [\"item\"]\n{more}");
        let config: TargetConfig = toml::from_str(&table).expect(more);
        assert_eq!(config.validate(), [""; 0], "{more}");
        let doubts = config.doubts();
        assert_eq!(doubts.len(), expected.len(), "{more}: {doubts:?}");
        for (doubt, said) in doubts.iter().zip(expected) {
            assert!(doubt.contains(said), "{more}: {doubt}");
        }
    }

    #[test]
    fn what_is_most_likely_not_meant_is_told_and_hinders_nothing() {
        let calls = |more: &str| {
            format!(
                "url = \"https://erp.example/\"\n[vars]\ncompany = \"one\"\n[calls]\nfirst = \"a\"\n\
                 [calls.call.a]\nrule = [{{ status = [\"200\"], go = \"b\" }}]\n[calls.call.b]\n{more}"
            )
        };
        check(&calls(""), &[]);
        check(
            &calls("[calls.call.prodct]\nurl = \"x\""),
            &["calls.call.prodct: it is never made"],
        );
        check(
            &calls(
                "body = '{\"n\": {{ vars.company | tojson }}, \"u\": {{ data.unit | number }}}'",
            ),
            &[],
        );
        check(
            &calls("body = '{\"n\": {{ vars.company }}}'"),
            &["calls.call.b.body: with a sample item it makes no JSON"],
        );
        let demand = |field: &str| {
            format!(
                "url = \"https://erp.example/\"\n[[demand]]\nbody = \"item\"\nfield = \"{field}\"\nmin = 1"
            )
        };
        check(
            &demand("description"),
            &["demand 1 (description): min is for numbers"],
        );
        let auth = "[auth]\nkind = \"bearer\"\ntoken_file = \"/t\"";
        for (url, expected) in [
            ("http://erp.example/", &["url: a secret goes over http"][..]),
            ("https://erp.example/", &[]),
            ("http://127.0.0.1:8000/", &[]),
            ("http://[::1]:8000/", &[]),
            ("http://localhost/", &[]),
        ] {
            check(&format!("url = \"{url}\"\n{auth}"), expected);
        }
    }
}
