//! Templates are tried before there is an event, with one that has something in every field.

use super::{Fields, Templates, filters};
use crate::body::{self, Place, Writer};
use dray_proto::{FlowName, Offset, schema};

impl Templates {
    /// Looks at the names that the templates use, and tries each with a sample of each body of `bodies`; where none is
    /// named, with one of each until one works. A sample's texts are words, where an ERP may have digits: filters that
    /// read numbers and times take them for such.
    ///
    /// # Errors
    /// A sentence that begins with the setting.
    pub fn try_samples(&self, bodies: &[String]) -> Result<(), String> {
        for (name, template) in self.environment.templates() {
            self.known
                .check(template.undeclared_variables(true), bodies)
                .map_err(|reason| format!("{name}: {reason}"))?;
        }
        let trial = self.for_samples();
        let attempt = |body: &str| trial.try_sample(body);
        if !bodies.is_empty() {
            return bodies.iter().try_for_each(|name| attempt(name));
        }
        let mut tries = schema::BODIES.iter().map(|body| attempt(body.name));
        let first = tries.next().unwrap_or(Ok(()));
        if first.is_err() && !tries.any(|tried| tried.is_ok()) {
            return first;
        }
        Ok(())
    }

    /// The same, with filters that take a sample's texts for what they may be.
    #[must_use]
    fn for_samples(&self) -> Self {
        let mut trial = self.clone();
        filters::take_samples(&mut trial.environment);
        trial
    }

    /// What some of them make of a sample of a body, where they make anything.
    pub(crate) fn made_of_sample<'a>(
        &self,
        body: &str,
        names: impl Iterator<Item = &'a str>,
    ) -> Vec<(&'a str, String)> {
        let plain = sample_json(body).unwrap_or_default();
        let Ok(mut fields) = Fields::of(&plain) else {
            return Vec::new();
        };
        fields.keep(&self.known.sample_kept());
        let got = self.known.sample_captures();
        let trial = self.for_samples();
        let made = |name| Some((name, trial.render(name, &fields, &got).ok()?));
        names.filter_map(made).collect()
    }

    fn try_sample(&self, body: &str) -> Result<(), String> {
        let mut fields = Fields::of(&sample_json(body)?).map_err(|poison| poison.0)?;
        fields.keep(&self.known.sample_kept());
        let got = self.known.sample_captures();
        for (name, _) in self.environment.templates() {
            let tried = if self.json.iter().any(|json| json == name) {
                self.render_json(name, &fields, &got)
            } else if self.xml.iter().any(|xml| xml == name) {
                self.render_xml(name, &fields, &got)
            } else {
                self.render(name, &fields, &got)
            };
            tried.map_err(|poison| {
                let own = format!("{name}: ");
                let reason = poison.0.strip_prefix(&own).unwrap_or(&poison.0);
                format!("{name}: tried with a sample {body}, {reason}")
            })?;
        }
        Ok(())
    }
}

/// The default JSON of a sample of a body.
///
/// # Errors
/// A sentence.
fn sample_json(body: &str) -> Result<Vec<u8>, String> {
    let event = body::sample(body).ok_or_else(|| format!("there is no body {body:?}"))?;
    let flow = FlowName::new("site", "flow").ok_or("a name")?;
    let mut plain = Vec::new();
    Writer::default()
        .put(&mut plain, &Place::new(flow), Offset(1), &event)
        .map_err(|poison| poison.0)?;
    Ok(plain)
}
