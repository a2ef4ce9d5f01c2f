//! Templates that an operator writes: an event's JSON, an address, a header. minijinja, with fuel.
//!
//! A template sees what the default JSON holds (`id`, `key`, `data.line.quantity`, ...), the whole of it as `event`, the
//! target's own `vars.NAME`, and in a conversation what was captured as `got.NAME`. What an event lacks prints nothing and
//! may be looked into, so `{{ data.carrier | tojson }}` is `null` and `{{ data.line.quantity | default("0") }}` works
//! without a line; but a name that no event of the target can have is refused at load: it is a typing error. Slower
//! than the compiled plan by an order of magnitude.

pub(crate) mod filters;
mod names;
mod samples;
pub(crate) mod xml;

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};

use minijinja::value::Serde;
use minijinja::{AutoEscape, Environment, ErrorKind, UndefinedBehavior, Value};
use serde::de::IgnoredAny;

use crate::body::Poison;

/// Instructions that one event may use: some thousand fields, and the end of an endless loop.
pub const FUEL: u64 = 100_000;
/// More for each byte of the event's JSON: a filter takes about one for two bytes of a value, and a value may be used several times.
pub const FUEL_A_BYTE: u64 = 8;
/// So long a value never needs more than [`FUEL`].
const PLAIN_BYTES: usize = 16 * 1024;
/// Bytes that one template may make.
pub const OUTPUT_BYTES_MAX: usize = 32 * 1024 * 1024;
const NAME: &str = "template";

/// What a template sees of an event.
#[derive(Debug, Clone)]
pub struct Fields {
    named: BTreeMap<String, Value>,
    /// Of its JSON, and of what is kept of its key.
    bytes: usize,
}

impl Fields {
    /// Of an event's default JSON.
    ///
    /// # Errors
    /// [`Poison`] where it is no JSON object.
    pub fn of(plain: &[u8]) -> Result<Self, Poison> {
        let mut fields: BTreeMap<String, Value> = serde_json::from_slice(plain)
            .map_err(|error| Poison(format!("the event's JSON cannot be read: {error}")))?;
        fields.insert("event".into(), fields.clone().into());
        Ok(Self {
            named: fields,
            bytes: plain.len(),
        })
    }

    /// Adds what is kept of the event's key.
    pub fn keep(&mut self, kept: &BTreeMap<String, String>) {
        self.bytes += kept.values().map(String::len).sum::<usize>();
        self.named
            .insert("kept".into(), Value::from(Serde(kept.clone())));
    }
}

/// A target's compiled templates, by the settings that hold them.
#[derive(Debug, Clone)]
pub struct Templates {
    environment: Environment<'static>,
    vars: Value,
    known: names::Known,
    /// Those that must make JSON.
    json: Vec<String>,
    /// Those that must make XML.
    xml: Vec<String>,
}

impl Templates {
    /// None yet. `vars`: the target's own values.
    #[must_use]
    pub fn new(vars: &toml::Table) -> Self {
        Self {
            environment: environment(UndefinedBehavior::Chainable),
            vars: Value::from(Serde(vars)),
            known: names::Known::new(vars),
            json: Vec::new(),
            xml: Vec::new(),
        }
    }

    /// The same, and in what is added by [`Self::add_xml`] values are escaped.
    #[must_use]
    pub fn xml(vars: &toml::Table) -> Self {
        let mut templates = Self::new(vars);
        templates.environment.set_auto_escape_callback(|name| {
            match name.ends_with(".body") || name.ends_with(".header") {
                true => xml::escaping(),
                false => AutoEscape::None,
            }
        });
        templates
    }

    /// Compiles one that must make XML: its name ends with ".body" or ".header".
    ///
    /// # Errors
    /// A sentence.
    pub fn add_xml(&mut self, name: &str, source: &str) -> Result<String, String> {
        self.xml.push(name.to_owned());
        self.add(name, source)
    }

    /// Compiles one under the name of its setting, which is given back.
    ///
    /// # Errors
    /// A sentence.
    pub fn add(&mut self, name: &str, source: &str) -> Result<String, String> {
        self.environment
            .add_template_owned(name.to_owned(), source.to_owned())
            .map_err(|error| sentence(&error))?;
        Ok(name.to_owned())
    }

    /// Compiles one that must make JSON.
    ///
    /// # Errors
    /// A sentence.
    pub fn add_json(&mut self, name: &str, source: &str) -> Result<String, String> {
        self.json.push(name.to_owned());
        self.add(name, source)
    }

    /// Whether an event may have a dotted name; see the module.
    ///
    /// # Errors
    /// A sentence.
    pub(crate) fn check_name(&self, name: &str, bodies: &[String]) -> Result<(), String> {
        self.known.check([name.to_owned()].into(), bodies)
    }

    /// A name that rules capture: templates may use it as `got.NAME`.
    pub fn captures(&mut self, name: &str) {
        self.known.captures(name);
    }

    /// A name that rules keep: templates may use it as `kept.NAME`.
    pub fn keeps(&mut self, name: &str) {
        self.known.keeps(name);
    }

    /// What one makes of an event. `got`: what a conversation captured.
    ///
    /// # Errors
    /// [`Poison`] where it fails, uses up its fuel or makes too much.
    pub fn render(
        &self,
        name: &str,
        fields: &Fields,
        got: &BTreeMap<String, String>,
    ) -> Result<String, Poison> {
        let poison = |reason: String| Poison(format!("{name}: the template fails: {reason}"));
        let bytes = fields.bytes + got.values().map(String::len).sum::<usize>();
        let environment = self.fuelled(bytes);
        let template = environment
            .get_template(name)
            .map_err(|error| poison(sentence(&error)))?;
        let mut context = fields.named.clone();
        context.insert("vars".into(), self.vars.clone());
        context.insert("got".into(), Value::from(Serde(got)));
        let made = template
            .render(Value::from(context))
            .map_err(|error| poison(sentence(&error)))?;
        if made.len() > OUTPUT_BYTES_MAX {
            return Err(poison(format!(
                "it makes more than {OUTPUT_BYTES_MAX} bytes"
            )));
        }
        Ok(made)
    }

    /// With fuel for values of so many bytes.
    fn fuelled(&self, bytes: usize) -> Cow<'_, Environment<'static>> {
        if bytes <= PLAIN_BYTES {
            return Cow::Borrowed(&self.environment);
        }
        let mut environment = self.environment.clone();
        environment.set_fuel(Some(FUEL + bytes as u64 * FUEL_A_BYTE));
        Cow::Owned(environment)
    }

    /// The same of one that must make JSON.
    ///
    /// # Errors
    /// [`Poison`], also where it makes something else.
    pub fn render_json(
        &self,
        name: &str,
        fields: &Fields,
        got: &BTreeMap<String, String>,
    ) -> Result<String, Poison> {
        let made = self.render(name, fields, got)?;
        serde_json::from_str::<IgnoredAny>(&made).map_err(|error| {
            Poison(format!(
                "{name}: the template fails: it does not make JSON: {error}"
            ))
        })?;
        Ok(made)
    }

    /// The same of one that must make XML.
    ///
    /// # Errors
    /// [`Poison`], also where it makes something else.
    pub fn render_xml(
        &self,
        name: &str,
        fields: &Fields,
        got: &BTreeMap<String, String>,
    ) -> Result<String, Poison> {
        let made = self.render(name, fields, got)?;
        xml::check(&made)
            .map_err(|error| Poison(format!("{name}: the template fails: {error}")))?;
        Ok(made)
    }
}

/// The template of a request's events, one after the other.
#[derive(Debug)]
pub struct Template(Templates);

impl Template {
    /// Compiles it and tries it: see [`Templates::try_samples`]. `kept`: names that rules keep.
    ///
    /// # Errors
    /// A sentence: where it does not compile, or what it makes is not JSON.
    pub fn compile(
        source: &str,
        vars: &toml::Table,
        kept: &BTreeSet<String>,
        bodies: &[String],
    ) -> Result<Self, String> {
        let mut templates = Templates::new(vars);
        kept.iter().for_each(|name| templates.keeps(name));
        templates.add_json(NAME, source)?;
        let tried = templates.try_samples(bodies);
        tried.map_err(|said| match said.strip_prefix("template: ") {
            Some(reason) => reason.to_owned(),
            None => said,
        })?;
        Ok(Self(templates))
    }

    /// Appends the JSON of one event, whose default JSON is `plain`. `kept`: what is kept of its key.
    ///
    /// # Errors
    /// [`Poison`] where it fails, uses up its fuel, or makes something other than JSON.
    pub fn put(
        &self,
        out: &mut Vec<u8>,
        plain: &[u8],
        kept: &BTreeMap<String, String>,
    ) -> Result<(), Poison> {
        let mut fields = Fields::of(plain)?;
        fields.keep(kept);
        let made = self.0.render_json(NAME, &fields, &BTreeMap::new())?;
        out.extend_from_slice(made.trim().as_bytes());
        Ok(())
    }
}

/// With dray's filters and fuel.
pub(crate) fn environment(undefined: UndefinedBehavior) -> Environment<'static> {
    let mut environment = Environment::new();
    environment.set_auto_escape_callback(|_| AutoEscape::None);
    environment.set_undefined_behavior(undefined);
    environment.set_fuel(Some(FUEL));
    filters::add(&mut environment);
    xml::add(&mut environment);
    environment
}

pub(crate) fn sentence(error: &minijinja::Error) -> String {
    let at = error
        .line()
        .map(|line| format!(" in line {line} of the template"))
        .unwrap_or_default();
    let detail = error
        .detail()
        .map(|detail| format!(": {detail}"))
        .unwrap_or_default();
    let way_out = match error.kind() {
        ErrorKind::OutOfFuel => format!(
            "; it has {FUEL} steps and {FUEL_A_BYTE} more for each byte of the event: see that no loop goes on without end, or split it"
        ),
        _ => String::new(),
    };
    format!("{}{detail}{at}{way_out}", error.kind())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    const PLAIN: &[u8] = br#"{"id":"0a","key":"K\"1","type":"shipment","data":{"carrier":"DHL","line":{"quantity":"2.5"}}}"#;

    fn vars() -> toml::Table {
        toml::from_str("company = 3").expect("a table")
    }

    fn made(source: &str) -> Result<Value, String> {
        let template = Template::compile(source, &vars(), &BTreeSet::new(), &[])?;
        let mut out = Vec::new();
        template
            .put(&mut out, PLAIN, &BTreeMap::new())
            .map_err(|poison| poison.0)?;
        serde_json::from_slice(&out).map_err(|error| error.to_string())
    }

    #[test]
    fn a_template_sees_the_events_fields() {
        assert_eq!(
            made(
                "{\"no\": {{ key | tojson }}, \"qty\": {{ data.line.quantity | default(\"0\") }}, \"deep\": {{ data.ship_to.city | tojson }}, \"company\": {{ vars.company }}}\n"
            ),
            Ok(json!({"no": "K\"1", "qty": 2.5, "deep": null, "company": 3}))
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
                "tried with a sample item, the template fails: it does not make JSON",
            ),
            ("{% for x in range(100000) %}{{ x }}{% endfor %}", "fuel"),
            ("{{ key | nofilter }}", "unknown filter"),
            (
                "{\"q\": {{ data.line.quantty | tojson }}}",
                "no event of this target has \"data.line.quantty\"; bodies = ",
            ),
            ("{\"q\": {{ dta.line | tojson }}}", "there is no \"dta\""),
            (
                "{\"q\": {{ vars.firm | tojson }}}",
                "[vars] has no \"firm\"",
            ),
            ("{\"q\": {{ got.id | tojson }}}", "no rule captures \"id\""),
        ] {
            let error = made(source).expect_err(source);
            assert!(error.contains(said), "{source}: {error}");
        }
        assert!(
            Template::compile(
                "{\"q\": {{ data.line.quantity }}}",
                &vars(),
                &BTreeSet::new(),
                &["shipment".into()]
            )
            .is_ok()
        );
        for (field, said) in [
            ("data.line.quantity", "; item has item_number, "),
            ("data.itm", "; item has item_number, "),
        ] {
            let error = Template::compile(
                &format!("{{\"q\": {{{{ {field} }}}}}}"),
                &vars(),
                &BTreeSet::new(),
                &["item".into()],
            )
            .expect_err(field);
            assert!(error.contains(said), "{error}");
        }
        let error = Template::compile(
            "{{ data.line.quantty | tojson }}",
            &vars(),
            &BTreeSet::new(),
            &["shipment".into()],
        )
        .expect_err("misspelt");
        assert!(error.contains("; line has line_number, "), "{error}");
        assert!(
            Template::compile(
                "{\"q\": {{ data.line.quantity }}}",
                &vars(),
                &BTreeSet::new(),
                &[]
            )
            .is_ok()
        );
    }

    #[test]
    fn a_long_value_is_rendered_and_an_endless_loop_over_one_ends() {
        let compiled = |source: &str| Template::compile(source, &vars(), &BTreeSet::new(), &[]);
        let template = compiled("{\"a\": {{ key | tojson }}, \"b\": {{ key | upper | tojson }}}");
        let template = template.expect("a good one");
        for value in [
            "x".repeat(2_000_000),
            "\"".repeat(900_000),
            "é\n".repeat(500_000),
        ] {
            let plain = json!({"key": value, "data": {}}).to_string();
            let mut out = Vec::new();
            let put = template.put(&mut out, plain.as_bytes(), &BTreeMap::new());
            put.expect("it is rendered");
            let made: Value = serde_json::from_slice(&out).expect("JSON");
            assert_eq!(made["a"], json!(value));
        }
        let endless = "{\"a\": [{% for x in range(9) %}{% if key | length > 9 %}{% for y in range(99999) %}{% for z in range(99999) %}{% endfor %}{% endfor %}{% endif %}{% endfor %}]}";
        let plain = json!({"key": "x".repeat(100_000), "data": {}}).to_string();
        let mut out = Vec::new();
        let template = compiled(endless).expect("samples have short keys");
        let put = template.put(&mut out, plain.as_bytes(), &BTreeMap::new());
        let poison = put.expect_err("it has no end");
        assert!(poison.0.contains("100000 steps and 8 more"), "{poison}");
    }

    #[test]
    fn texts_that_may_be_digits_are_taken_for_such_at_load_and_read_as_they_are_later() {
        for value in [
            "data.line.line_number | number",
            "data.line.line_number | int + 10",
            "data.shipment_number[4:] | int",
            "data.customer_number | float",
            "(data.shipment_number | split('-'))[1] | number",
            "data.attributes.DUE | local('Europe/Berlin', '%Y')",
        ] {
            let source = format!("{{\"n\": {{{{ {value} }}}}}}");
            let tried = Template::compile(&source, &vars(), &BTreeSet::new(), &["shipment".into()]);
            assert!(tried.is_ok(), "{source}: {tried:?}");
        }
        let source = "{\"n\": {{ data.line.line_number | number }}}";
        let template = Template::compile(source, &vars(), &BTreeSet::new(), &[]).expect("good");
        let mut out = Vec::new();
        let mut put = |plain: &str| template.put(&mut out, plain.as_bytes(), &BTreeMap::new());
        assert!(put(r#"{"data":{"line":{"line_number":"007"}}}"#).is_ok());
        let poison = put(r#"{"data":{"line":{"line_number":"A7"}}}"#).expect_err("no digits");
        assert!(poison.0.contains("\"A7\" is not a number"), "{poison}");
        assert_eq!(out, b"{\"n\": 7}");
        for wrong in ["data.carrier", "data.carrier | local('Berlin', '%Y')"] {
            let source = format!("{{\"n\": {{{{ {wrong} }}}}}}");
            assert!(made(&source).is_err(), "{source}");
        }
    }

    #[test]
    fn an_event_that_the_template_cannot_render_is_poison() {
        let template = Template::compile(
            "{\"q\": {{ data.line.quantity }}}",
            &vars(),
            &BTreeSet::new(),
            &[],
        )
        .expect("good for shipments");
        let mut out = b"x".to_vec();
        let poison = template
            .put(&mut out, br#"{"data":{}}"#, &BTreeMap::new())
            .expect_err("no quantity");
        assert!(poison.0.contains("does not make JSON"), "{poison}");
        assert_eq!(out, b"x");
    }
}
