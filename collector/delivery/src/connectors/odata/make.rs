//! From an event to its entity, and from a step to its request.

use std::collections::BTreeMap;

use ::http::header::{ACCEPT, CONTENT_TYPE, IF_MATCH, IF_NONE_MATCH};
use ::http::{HeaderName, HeaderValue, Method};
use dray_proto::{EventId, schema};

use super::key;
use super::part::Request;
use super::write::{Act, Document, Step};
use crate::config::TargetConfig;
use crate::config::odata::{ChangeMethod, Decimals, OdataConfig, Version};
use crate::outcome::Outcome;
use crate::template::{Fields, Templates};

const ENTITY: &str = "odata.entity";
const BODY: &str = "odata.body";
const PREFER: HeaderName = HeaderName::from_static("prefer");

/// See the module.
#[derive(Debug)]
pub(super) struct Maker {
    templates: Templates,
    version: Version,
    /// Without a slash at its end.
    root: String,
    change: Method,
    content_type: HeaderValue,
    /// The header that carries the event's id.
    id_header: Option<HeaderName>,
    /// What the configuration says that each request has.
    headers: Vec<(HeaderName, HeaderValue)>,
}

impl Maker {
    pub(super) fn new(config: &TargetConfig, odata: &OdataConfig) -> Result<Self, String> {
        let mut templates = Templates::new(&config.vars);
        let said = |setting: &str, reason: String| format!("{setting}: {reason}");
        templates
            .add(ENTITY, &odata.entity)
            .map_err(|reason| said(ENTITY, reason))?;
        templates
            .add_json(BODY, &odata.body)
            .map_err(|reason| said(BODY, reason))?;
        templates.try_samples(&config.bodies)?;
        check_key(&templates, odata, &config.bodies)?;
        let headers = odata.headers.iter().map(|(name, value)| {
            let header = HeaderName::try_from(name.as_str()).ok();
            let value = HeaderValue::try_from(value).ok();
            let pair = header.zip(value);
            pair.ok_or_else(|| format!("odata.headers.{name}: it is no header"))
        });
        let id_header = (!config.id_header.is_empty())
            .then(|| HeaderName::try_from(config.id_header.as_str()))
            .transpose()
            .map_err(|_| format!("id_header: {:?} is no header", config.id_header))?;
        Ok(Self {
            templates,
            version: odata.version,
            root: config.url.trim_end_matches('/').to_owned(),
            change: match odata.method() {
                ChangeMethod::Put => Method::PUT,
                ChangeMethod::Patch => Method::PATCH,
                ChangeMethod::Merge => Method::from_bytes(b"MERGE").map_err(|_| "odata.method")?,
            },
            content_type: HeaderValue::from_static(match odata.decimals {
                Decimals::Strings => "application/json;IEEE754Compatible=true",
                Decimals::Numbers => "application/json",
            }),
            id_header,
            headers: headers.collect::<Result<_, _>>()?,
        })
    }

    pub(super) fn version(&self) -> Version {
        self.version
    }

    /// The address of a path below the service's root.
    pub(super) fn url(&self, path: &str) -> String {
        format!("{}/{path}", self.root)
    }

    /// Of the outer request of a $batch. A failed part of version 4 ends the others, unless it is told not to; and of
    /// version 2 behind CAP's adapter, which tells version 4 what it is told.
    pub(super) fn batch_headers(&self) -> Vec<(HeaderName, HeaderValue)> {
        let own = self.headers.iter().filter(|(name, _)| *name != PREFER);
        let mut headers: Vec<_> = own.cloned().collect();
        let goes_on = HeaderValue::from_static("odata.continue-on-error");
        headers.push((PREFER, goes_on));
        headers
    }

    /// The entity that an event makes, of its default JSON.
    ///
    /// # Errors
    /// *Poison*.
    pub(super) fn document(&self, json: &[u8]) -> Result<Document, Outcome> {
        let poison = |poison: crate::body::Poison| Outcome::Poison(poison.0);
        let fields = Fields::of(json).map_err(poison)?;
        let got = BTreeMap::new();
        let entity = self
            .templates
            .render(ENTITY, &fields, &got)
            .map_err(poison)?;
        let body = self
            .templates
            .render_json(BODY, &fields, &got)
            .map_err(poison)?;
        let value: serde_json::Value = serde_json::from_str(&body)
            .map_err(|error| Outcome::Poison(format!("{BODY}: {error}")))?;
        if !value.is_object() {
            return Err(Outcome::Poison(format!("{BODY}: it makes no object")));
        }
        let entity = entity.trim().trim_matches('/').to_owned();
        if entity.is_empty() {
            return Err(Outcome::Poison(format!("{ENTITY}: it makes no name")));
        }
        Ok(Document {
            entity,
            body: body.trim().to_owned(),
            value,
        })
    }

    /// The request of a step.
    pub(super) fn request(&self, step: &Step, document: &Document, event: EventId) -> Request {
        let mut request = Request {
            method: Method::GET,
            path: String::new(),
            headers: self.headers.clone(),
            body: None,
        };
        let json = HeaderValue::from_static("application/json");
        request.headers.push((ACCEPT, json));
        let act = match step {
            Step::Look(path) => {
                request.path.clone_from(path);
                return request;
            }
            Step::Write(act) => act,
            Step::Over(_) => return request,
        };
        match act {
            Act::Create => {
                request.method = Method::POST;
                request.path = key::set(&document.entity);
            }
            Act::Upsert { path, only_new } => {
                request.method = self.change.clone();
                request.path.clone_from(path);
                if *only_new {
                    let none = HeaderValue::from_static("*");
                    request.headers.push((IF_NONE_MATCH, none));
                }
            }
            Act::Change { path, if_match } => {
                request.method = self.change.clone();
                request.path.clone_from(path);
                let state = if_match.as_ref();
                let state = state.and_then(|state| HeaderValue::try_from(state).ok());
                request.headers.extend(state.map(|state| (IF_MATCH, state)));
            }
        }
        self.finish(&mut request, document, event);
        request
    }

    fn finish(&self, request: &mut Request, document: &Document, event: EventId) {
        let kind = self.content_type.clone();
        request.headers.push((CONTENT_TYPE, kind));
        let prefers = request.headers.iter().any(|(name, _)| *name == PREFER);
        if self.version == Version::V4 && !prefers {
            // What is there now need not come back.
            let minimal = HeaderValue::from_static("return=minimal");
            request.headers.push((PREFER, minimal));
        }
        if let Some(name) = &self.id_header
            && let Ok(id) = HeaderValue::try_from(event.to_string())
        {
            request.headers.push((name.clone(), id));
        }
        request.body = Some(document.body.clone());
    }
}

/// What an entity is looked up or addressed by must stand in the body: without it each event would be poison.
fn check_key(templates: &Templates, odata: &OdataConfig, bodies: &[String]) -> Result<(), String> {
    let (setting, names) = match odata.find.is_empty() {
        true => ("key", &odata.key),
        false => ("find", &odata.find),
    };
    let any = schema::BODIES.iter().map(|body| body.name);
    let named = bodies.iter().map(String::as_str);
    let taken: Vec<_> = match bodies.is_empty() {
        true => any.collect(),
        false => named.collect(),
    };
    let made = taken.into_iter().filter_map(|body| {
        let (_, made) = templates.made_of_sample(body, [BODY].into_iter()).pop()?;
        serde_json::from_str::<serde_json::Map<_, serde_json::Value>>(&made).ok()
    });
    let made: Vec<_> = made.collect();
    for name in names {
        if !made.is_empty() && !made.iter().any(|body| body.contains_key(name)) {
            let there: Vec<_> = made[0].keys().map(|name| format!("{name:?}")).collect();
            return Err(format!(
                "odata.{setting}: {name:?} is not in what odata.body makes, which has {}; put it there, or write one of these",
                there.join(", ")
            ));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn maker(more: &str) -> Maker {
        let config: TargetConfig = toml::from_str(&format!(
            "name = \"erp\"\nkind = \"odata\"\nurl = \"http://erp.example/root/\"\n[odata]\nentity = \"Items\"\n\
             body = '{{\"sku\": {{{{ key | tojson }}}}, \"qty\": 12.50}}'\nkey = [\"sku\"]\n{more}"
        ))
        .expect("it parses");
        let odata = config.odata.clone().expect("a table");
        Maker::new(&config, &odata).expect("good templates")
    }

    fn names(maker: &Maker, act: Act) -> (String, Vec<String>) {
        let document = maker.document(br#"{"key":"A"}"#).expect("a document");
        let event = EventId::new([7; 10], 1, 0);
        let request = maker.request(&Step::Write(act), &document, event);
        assert_eq!(
            request.body.as_deref(),
            Some("{\"sku\": \"A\", \"qty\": 12.50}")
        );
        let headers = request.headers.iter();
        let headers =
            headers.map(|(name, value)| format!("{name}: {}", value.to_str().expect("a text")));
        let line = format!("{} {}", request.method, request.path);
        (
            line,
            headers
                .filter(|header| !header.starts_with("idempotency-key"))
                .collect(),
        )
    }

    #[test]
    fn each_step_has_its_request() {
        let change = || Act::Change {
            path: "Items('A')".into(),
            if_match: Some("W/\"7\"".into()),
        };
        let (line, headers) = names(&maker("decimals = \"strings\""), change());
        assert_eq!(line, "PATCH Items('A')");
        assert_eq!(
            headers,
            [
                "accept: application/json",
                "if-match: W/\"7\"",
                "content-type: application/json;IEEE754Compatible=true",
                "prefer: return=minimal"
            ]
        );
        let old = maker("version = 2\nheaders = { sap-client = \"100\" }");
        let (line, headers) = names(&old, change());
        assert_eq!(line, "MERGE Items('A')");
        assert_eq!(
            headers,
            [
                "sap-client: 100",
                "accept: application/json",
                "if-match: W/\"7\"",
                "content-type: application/json"
            ]
        );
        let put = maker("method = \"PUT\"\nheaders = { Prefer = \"return=representation\" }");
        let upsert = Act::Upsert {
            path: "Items('A')".into(),
            only_new: true,
        };
        let (line, headers) = names(&put, upsert);
        assert_eq!(line, "PUT Items('A')");
        assert_eq!(
            headers,
            [
                "prefer: return=representation",
                "accept: application/json",
                "if-none-match: *",
                "content-type: application/json"
            ]
        );
        assert_eq!(names(&put, Act::Create).0, "POST Items");
        assert_eq!(put.url("$batch"), "http://erp.example/root/$batch");
        assert_eq!(
            put.batch_headers().len(),
            1,
            "its own preference is for parts"
        );
    }

    #[test]
    fn a_key_that_the_body_lacks_is_refused_at_load() {
        for (more, said) in [
            (
                "key = [\"SKU\"]",
                Some("odata.key: \"SKU\" is not in what odata.body makes, which has \"sku\""),
            ),
            (
                "key = [\"id\"]\nfind = [\"nr\"]\nwrite = \"create-or-patch\"",
                Some("odata.find: \"nr\""),
            ),
            (
                "key = [\"id\"]\nfind = [\"sku\"]\nwrite = \"create-or-patch\"",
                None,
            ),
            ("key = [\"sku\"]", None),
        ] {
            let config: TargetConfig = toml::from_str(&format!(
                "name = \"erp\"\nkind = \"odata\"\nurl = \"http://erp.example/root/\"\nbodies = [\"item\"]\n[odata]\nentity = \"Items\"\n\
                 body = '{{\"sku\": {{{{ key | tojson }}}}}}'\n{more}"
            ))
            .expect("it parses");
            let wrong = config.validate().pop().unwrap_or_default();
            match said {
                Some(said) => assert!(wrong.contains(said), "{more}: {wrong}"),
                None => assert_eq!(wrong, "", "{more}"),
            }
        }
    }

    #[test]
    fn what_makes_no_entity_is_poison() {
        let nameless = maker("").document(b"{}");
        assert!(nameless.is_ok(), "{nameless:?}");
        let mut no_set = maker("");
        no_set
            .templates
            .add(ENTITY, "{{ data.lot }}")
            .expect("it compiles");
        assert!(matches!(no_set.document(b"{}"), Err(Outcome::Poison(_))));
        let mut no_object = maker("");
        no_object
            .templates
            .add_json(BODY, "[1]")
            .expect("it compiles");
        assert!(matches!(no_object.document(b"{}"), Err(Outcome::Poison(_))));
        assert!(matches!(maker("").document(b"["), Err(Outcome::Poison(_))));
    }
}
