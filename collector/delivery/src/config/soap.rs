//! `[target.soap]`.

use std::collections::BTreeMap;

use serde::Deserialize;

use super::{Auth, Kind, TargetConfig};
use crate::calls::soap::Version;
use crate::calls::{CallConfig, CallsConfig};

/// The call of a target that has no `[target.calls]`.
const CALL: &str = "send";

/// What all calls of a target of `kind = "soap"` have in common, and the one call where there are no others.
#[derive(Debug, Clone, PartialEq, Eq, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct SoapConfig {
    /// "1.1" or "1.2".
    pub version: Version,
    /// A template: `SOAPAction`, or 1.2's parameter `action`.
    pub action: String,
    /// A template of what stands in the envelope's Header; values are escaped.
    pub header: String,
    /// A template of what stands in its Body; values are escaped.
    pub body: String,
}

impl SoapConfig {
    /// The calls of a target without any: one.
    #[must_use]
    pub fn call(&self) -> CallsConfig {
        let call = CallConfig {
            reads: false,
            method: "POST".into(),
            url: String::new(),
            headers: BTreeMap::new(),
            action: self.action.clone(),
            body: Some(self.body.clone()),
            rule: Vec::new(),
        };
        CallsConfig {
            first: CALL.into(),
            call: [(CALL.to_owned(), call)].into(),
            ..CallsConfig::default()
        }
    }
}

impl TargetConfig {
    /// Whether each request is about one event, whatever `batch` says.
    #[must_use]
    pub fn is_single(&self) -> bool {
        matches!(self.kind, Kind::Soap | Kind::Webhook)
    }

    /// What kinds want that send requests of their own form.
    pub(super) fn check_forms(&self, wrong: &mut Vec<String>) {
        let name = self.kind.name();
        if self.is_single() && ![1, super::default_batch()].contains(&self.batch) {
            wrong.push(format!(
                "batch: kind = \"{name}\" sends one event a request; leave it out"
            ));
        }
        match self.kind {
            Kind::Soap => {
                if !self.template.is_empty() {
                    wrong.push("template: kind = \"soap\" has none; write soap.body".into());
                }
                let has_calls = !self.calls.call.is_empty();
                let has_body = self.soap.as_ref().is_some_and(|soap| !soap.body.is_empty());
                if self.soap.is_some() && has_calls == has_body {
                    wrong.push("soap.body: write what stands in the envelope's Body; with [target.calls], write it in each call instead".into());
                }
            }
            Kind::Webhook => {
                if !self.calls.call.is_empty() {
                    wrong.push("calls: kind = \"webhook\" has none; write kind = \"http\"".into());
                }
                if !matches!(self.auth, Auth::Hmac(_)) {
                    wrong.push("auth: a webhook is signed, so that its receiver knows whose it is: write [target.auth] with kind = \"hmac\" and secret_files, or kind = \"http\" for one without".into());
                }
            }
            _ => {}
        }
        if let Auth::Wsse(_) = self.auth
            && self.kind != Kind::Soap
        {
            wrong.push("auth: \"wsse\" stands in SOAP's envelope; write kind = \"soap\"".into());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wrong(more: &str) -> Vec<String> {
        let table = format!("name = \"erp\"\nurl = \"https://erp.example/ws\"\n{more}");
        let config: TargetConfig = toml::from_str(&table).expect(more);
        config.validate()
    }

    #[test]
    fn the_tables_of_the_manual_are_good() {
        for good in [
            "kind = \"soap\"\n[soap]\nbody = '<Put xmlns=\"urn:x\"><Key>{{ key }}</Key></Put>'",
            "kind = \"soap\"\n[soap]\nversion = \"1.2\"\naction = \"urn:{{ operation }}\"\nheader = '<a xmlns=\"urn:a\">{{ id }}</a>'\nbody = '<b>{{ key }}</b>'\n\
             [auth]\nkind = \"wsse\"\nuser = \"u\"\npassword_file = \"/p\"\npassword = \"digest\"",
            "kind = \"soap\"\n[soap]\n[calls]\nfirst = \"put\"\n[calls.call.put]\naction = \"urn:put\"\nbody = '<b>{{ key }}</b>'",
            "kind = \"webhook\"\n[auth]\nkind = \"hmac\"\nsecret_files = [\"/s\"]",
        ] {
            assert_eq!(wrong(good), [""; 0], "{good}");
        }
    }

    #[test]
    fn what_is_wrong_is_said_with_the_setting() {
        for (more, said) in [
            ("kind = \"soap\"", "needs a table [target.soap]"),
            ("kind = \"soap\"\n[soap]", "soap.body: write what stands"),
            ("[soap]\nbody = '<b/>'", "belongs to kind = \"soap\""),
            (
                "kind = \"soap\"\nbatch = 7\n[soap]\nbody = '<b/>'",
                "batch: kind = \"soap\"",
            ),
            (
                "kind = \"soap\"\n[soap]\nbody = '<b>{{ key }}'",
                "soap.body: tried with a sample item, the template fails: it does not make XML",
            ),
            (
                "kind = \"soap\"\n[soap]\nbody = '<x:b>{{ key }}</x:b>'",
                "it does not make XML",
            ),
            (
                "kind = \"soap\"\n[soap]\nbody = '<b>{{ ky }}</b>'",
                "there is no \"ky\"",
            ),
            (
                "kind = \"soap\"\n[soap]\n[calls]\nfirst = \"put\"\n[calls.call.put]\n",
                "calls.call.put.body: ",
            ),
            ("kind = \"webhook\"", "auth: a webhook is signed"),
            (
                "batch = 1\n[calls]\nfirst = \"a\"\n[calls.call.a]\naction = \"urn:a\"",
                "action: only kind = \"soap\"",
            ),
            (
                "batch = 1\n[auth]\nkind = \"wsse\"\nuser = \"u\"\npassword_file = \"/p\"",
                "write kind = \"soap\"",
            ),
        ] {
            let wrong = wrong(more);
            assert!(
                wrong.len() == 1 && wrong[0].contains(said),
                "{more}: {wrong:?}"
            );
        }
    }
}
