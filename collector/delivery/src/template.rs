//! One event's JSON by an operator's minijinja template.
//!
//! The template sees what the default JSON holds (`id`, `key`, `data.line.quantity`, ...), and the whole of it as `event`.
//! What is absent prints nothing and may be looked into, so `{{ data.carrier | tojson }}` is `null` and
//! `{{ data.line.quantity | default("0") }}` works without a line. Slower than the compiled plan by an order of
//! magnitude: the plan's JSON is read, rendered and checked.

use std::collections::BTreeMap;

use minijinja::{AutoEscape, Environment, UndefinedBehavior, Value};
use serde::de::IgnoredAny;

use crate::body::{self, Place, Poison, Writer};
use dray_proto::{FlowName, Offset, schema};

/// Instructions that one event may use: some thousand fields, and the end of an endless loop.
pub const FUEL: u64 = 100_000;
/// Bytes that one event's JSON may have.
pub const OUTPUT_BYTES_MAX: usize = 32 * 1024 * 1024;
const NAME: &str = "event";

/// A compiled template.
#[derive(Debug)]
pub struct Template {
    environment: Environment<'static>,
}

impl Template {
    /// Compiles it and tries it with a sample of each body of `bodies`; where none is named, with one of each
    /// until it makes JSON of one.
    ///
    /// # Errors
    /// A sentence: where it does not compile, or what it makes is not JSON.
    pub fn compile(source: &str, bodies: &[String]) -> Result<Self, String> {
        let mut environment = Environment::new();
        environment.set_auto_escape_callback(|_| AutoEscape::None);
        environment.set_undefined_behavior(UndefinedBehavior::Chainable);
        environment.set_fuel(Some(FUEL));
        environment
            .add_template_owned(NAME, source.to_owned())
            .map_err(|error| sentence(&error))?;
        let template = Self { environment };
        template.try_samples(bodies)?;
        Ok(template)
    }

    /// Appends the JSON of one event, whose default JSON is `plain`.
    ///
    /// # Errors
    /// [`Poison`] where it fails, uses up its fuel, or makes something other than JSON.
    pub fn put(&self, out: &mut Vec<u8>, plain: &[u8]) -> Result<(), Poison> {
        let poison = |reason: String| Poison(format!("the template fails: {reason}"));
        let mut context: BTreeMap<String, Value> =
            serde_json::from_slice(plain).map_err(|error| poison(error.to_string()))?;
        context.insert(NAME.into(), context.clone().into());
        let template = self
            .environment
            .get_template(NAME)
            .map_err(|error| poison(sentence(&error)))?;
        let made = template
            .render(Value::from(context))
            .map_err(|error| poison(sentence(&error)))?;
        if made.len() > OUTPUT_BYTES_MAX {
            return Err(poison(format!(
                "it makes more than {OUTPUT_BYTES_MAX} bytes"
            )));
        }
        serde_json::from_str::<IgnoredAny>(&made)
            .map_err(|error| poison(format!("it does not make JSON: {error}")))?;
        out.extend_from_slice(made.trim().as_bytes());
        Ok(())
    }

    fn try_samples(&self, bodies: &[String]) -> Result<(), String> {
        let attempt = |name: &str| {
            let event = body::sample(name).ok_or_else(|| format!("there is no body {name:?}"))?;
            let flow = FlowName::new("site", "flow").ok_or("a name")?;
            let mut plain = Vec::new();
            Writer::default()
                .put(&mut plain, &Place::new(flow), Offset(1), &event)
                .map_err(|poison| poison.0)?;
            self.put(&mut Vec::new(), &plain)
                .map_err(|poison| format!("tried with a sample {name}: {}", poison.0))
        };
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
}

fn sentence(error: &minijinja::Error) -> String {
    let at = error
        .line()
        .map(|line| format!(" in line {line}"))
        .unwrap_or_default();
    let detail = error
        .detail()
        .map(|detail| format!(": {detail}"))
        .unwrap_or_default();
    format!("{}{detail}{at}", error.kind())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    const PLAIN: &[u8] = br#"{"id":"0a","key":"K\"1","type":"shipment","data":{"carrier":"DHL","line":{"quantity":"2.5"}}}"#;

    fn made(source: &str) -> Result<Value, String> {
        let template = Template::compile(source, &[])?;
        let mut out = Vec::new();
        template.put(&mut out, PLAIN).map_err(|poison| poison.0)?;
        serde_json::from_slice(&out).map_err(|error| error.to_string())
    }

    #[test]
    fn a_template_sees_the_events_fields() {
        assert_eq!(
            made(
                "{\"no\": {{ key | tojson }}, \"qty\": {{ data.line.quantity | default(\"0\") }}, \"deep\": {{ data.a.b | tojson }}}\n"
            ),
            Ok(json!({"no": "K\"1", "qty": 2.5, "deep": null}))
        );
        assert_eq!(
            made("{{ event | tojson }}"),
            Ok(serde_json::from_slice(PLAIN).expect("JSON"))
        );
    }

    #[test]
    fn what_does_not_compile_or_make_json_is_refused_at_load() {
        for (source, said) in [
            ("{{ key", "syntax error"),
            (
                "{\"a\": {{ key }}}",
                "tried with a sample item: the template fails: it does not make JSON",
            ),
            ("{% for x in range(100000) %}{{ x }}{% endfor %}", "fuel"),
            ("{{ key | nofilter }}", "unknown filter"),
        ] {
            let error = made(source).expect_err(source);
            assert!(error.contains(said), "{source}: {error}");
        }
        assert!(
            Template::compile("{\"q\": {{ data.line.quantity }}}", &["shipment".into()]).is_ok()
        );
        assert!(Template::compile("{\"q\": {{ data.line.quantity }}}", &["item".into()]).is_err());
        assert!(Template::compile("{\"q\": {{ data.line.quantity }}}", &[]).is_ok());
    }

    #[test]
    fn an_event_that_the_template_cannot_render_is_poison() {
        let template = Template::compile("{\"q\": {{ data.line.quantity }}}", &[])
            .expect("good for shipments");
        let mut out = b"x".to_vec();
        let poison = template
            .put(&mut out, br#"{"data":{}}"#)
            .expect_err("no quantity");
        assert!(poison.0.contains("does not make JSON"), "{poison}");
        assert_eq!(out, b"x");
    }
}
