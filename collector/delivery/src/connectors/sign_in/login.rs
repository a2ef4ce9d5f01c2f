//! A call that signs in, and the headers that requests have after it. Pure.
//!
//! Its templates see `user`, `password` and `vars`, those of the headers also what the call's answer gave, as
//! `got.NAME`. A name that there isn't is refused at load.

use std::collections::BTreeMap;

use ::http::{HeaderName, HeaderValue, Method};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use jiff::Timestamp;
use minijinja::value::Serde;
use minijinja::{Environment, UndefinedBehavior, context};

use super::hidden::Hidden;
use super::secret::Secret;
use crate::answer::{Answer, Place};
use crate::calls::Ruling;
use crate::config::{SessionConfig, header_name};
use crate::outcome::Outcome;
use crate::template;

const URL: &str = "auth.login.url";
const BODY: &str = "auth.login.body";

/// A compiled sign-in.
#[derive(Debug)]
pub(super) struct Login {
    method: Method,
    /// Templates go by the names of their settings.
    headers: Vec<(HeaderName, String)>,
    worn: Vec<(HeaderName, String)>,
    capture: Vec<(String, Place)>,
    rules: Ruling,
    templates: Environment<'static>,
    user: String,
    vars: toml::Table,
}

/// What is sent.
#[derive(Debug)]
pub(super) struct Request {
    pub(super) method: Method,
    /// Relative to the target's.
    pub(super) url: String,
    pub(super) headers: Vec<(HeaderName, HeaderValue)>,
    pub(super) body: String,
}

/// Headers of requests.
pub(super) type Headers = Vec<(HeaderName, HeaderValue)>;

impl Login {
    /// Compiles it, and tries its templates.
    ///
    /// # Errors
    /// A sentence that begins with the setting.
    pub(super) fn compile(config: &SessionConfig, vars: &toml::Table) -> Result<Self, String> {
        let login = &config.login;
        let method = Method::from_bytes(login.method.as_bytes())
            .map_err(|_| format!("auth.login.method: {:?} is not a method", login.method))?;
        let mut templates = template::environment(UndefinedBehavior::Strict);
        let mut add = |setting: String, source: &String| {
            templates
                .add_template_owned(setting.clone(), source.clone())
                .map_err(|error| format!("{setting}: {}", template::sentence(&error)))?;
            Ok::<_, String>(setting)
        };
        add(URL.into(), &login.url)?;
        add(BODY.into(), &login.body)?;
        let mut named = |setting: &str, list: &BTreeMap<String, String>| {
            let each = list.iter().map(|(name, source)| {
                let key = header_name(setting, name)?;
                Ok((key, add(format!("{setting}.{name}"), source)?))
            });
            each.collect::<Result<Vec<_>, String>>()
        };
        let headers = named("auth.login.headers", &login.headers)?;
        let worn = named("auth.headers", &config.headers)?;
        let capture = login.capture.iter().map(|(name, at)| {
            let place = Place::parse(at);
            let place = place.map_err(|reason| format!("auth.login.capture.{name}: {reason}"))?;
            Ok((name.clone(), place))
        });
        if config.lifetime.is_some_and(|lives| lives.is_zero()) {
            return Err("auth.lifetime: write more than zero".into());
        }
        let compiled = Self {
            method,
            headers,
            worn,
            capture: capture.collect::<Result<_, String>>()?,
            rules: Ruling::compile(&login.rule).map_err(|reason| format!("auth.login.{reason}"))?,
            templates,
            user: config.user.clone(),
            vars: vars.clone(),
        };
        compiled.check_names()?;
        let sample = Secret("sample".into());
        compiled.request(&sample)?;
        let names = compiled.capture.iter().map(|(name, _)| name.clone());
        let got = names.map(|name| (name, "1".to_owned())).collect();
        compiled.headers(&compiled.worn, &sample, &got)?;
        Ok(compiled)
    }

    /// What there isn't prints nothing: a typing error would sign nobody in, ever.
    fn check_names(&self) -> Result<(), String> {
        for (setting, template) in self.templates.templates() {
            for name in template.undeclared_variables(true) {
                let (root, rest) = name.split_once('.').unwrap_or((&name, ""));
                let known = match root {
                    "user" | "password" => rest.is_empty(),
                    "vars" => self.vars.contains_key(rest.split('.').next().unwrap_or("")),
                    "got" => {
                        self.capture.iter().any(|(name, _)| name == rest)
                            && setting.starts_with("auth.headers.")
                    }
                    _ => false,
                };
                if !known {
                    return Err(format!(
                        "{setting}: there is no {name:?}; a sign-in has user, password, vars.NAME and, in auth.headers, got.NAME"
                    ));
                }
            }
        }
        Ok(())
    }

    /// The call.
    ///
    /// # Errors
    /// A sentence.
    pub(super) fn request(&self, password: &Secret) -> Result<Request, String> {
        let none = BTreeMap::new();
        Ok(Request {
            method: self.method.clone(),
            url: self.render(URL, password, &none)?.trim().to_owned(),
            headers: self.headers(&self.headers, password, &none)?,
            body: self.render(BODY, password, &none)?.trim().to_owned(),
        })
    }

    /// The headers that its answer makes, and what they were made of.
    ///
    /// # Errors
    /// The outcome of a sign-in; the password does not stand in it.
    pub(super) fn take(
        &self,
        password: &Secret,
        answer: &Answer<'_>,
        now: Timestamp,
    ) -> Result<(Headers, BTreeMap<String, String>), Outcome> {
        let (outcome, _) = self.rules.outcome(answer, now);
        if let Err(outcome) = super::good(outcome) {
            let hidden = self.hidden(password);
            return Err(super::map_reason(outcome, |said| hidden.masked(said)));
        }
        let mut got = BTreeMap::new();
        for (name, place) in &self.capture {
            // What did come is not quoted: it may be half a secret.
            let value = answer.value(place).ok_or_else(|| {
                Outcome::Auth(format!(
                    "sign-in: the target answered {} without auth.login.capture.{name}: it does not know {:?} or the password, or the place is another one",
                    answer.status, self.user
                ))
            })?;
            got.insert(name.clone(), value);
        }
        let headers = self.headers(&self.worn, password, &got);
        let headers =
            headers.map_err(|reason| Outcome::Misconfigured(format!("sign-in: {reason}")))?;
        Ok((headers, got))
    }

    /// The password, as the call may have sent it.
    fn hidden(&self, Secret(password): &Secret) -> Hidden {
        let pair = STANDARD.encode(format!("{}:{password}", self.user));
        Hidden::of([password, &pair, &STANDARD.encode(password)])
    }

    fn headers(
        &self,
        list: &[(HeaderName, String)],
        password: &Secret,
        got: &BTreeMap<String, String>,
    ) -> Result<Headers, String> {
        let each = list.iter().map(|(name, template)| {
            let value = self.render(template, password, got)?;
            let mut value = HeaderValue::try_from(value.trim())
                .map_err(|_| format!("{template} makes what no header may hold"))?;
            value.set_sensitive(true);
            Ok((name.clone(), value))
        });
        each.collect()
    }

    fn render(
        &self,
        name: &str,
        password: &Secret,
        got: &BTreeMap<String, String>,
    ) -> Result<String, String> {
        let wrong = |error: minijinja::Error| {
            // Its detail may quote a value, which may be the password.
            let said = template::sentence(&error);
            let said = format!("{name}: the template fails: {said}");
            self.hidden(password).masked(said)
        };
        let seen = context! {
            user => &self.user,
            password => &password.0,
            vars => minijinja::Value::from(Serde(&self.vars)),
            got => minijinja::Value::from(Serde(got)),
        };
        let template = self.templates.get_template(name).map_err(wrong)?;
        template.render(seen).map_err(wrong)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ::http::HeaderMap;

    const TRYTON: &str = r#"
user = "agent"
password_file = "/p"
headers = { Authorization = "Session {{ (user ~ ':' ~ got.uid ~ ':' ~ got.token) | base64 }}" }
[login]
url = "/{{ vars.database }}/rpc/"
body = '{"id":1,"method":"common.db.login","params":[{{ user | tojson }},{"password":{{ password | tojson }}}]}'
capture = { uid = "/result/0", token = "/result/1" }
rule = [{ when = [{ at = "/error" }], outcome = "auth", reason = "/error" }]
"#;

    fn compiled(text: &str) -> Result<Login, String> {
        let config = toml::from_str(text).map_err(|error| error.to_string())?;
        Login::compile(
            &config,
            &toml::from_str("database = \"erp\"").expect("a table"),
        )
    }

    fn password() -> Secret {
        Secret("it's \"secret\"".into())
    }

    #[test]
    fn trytons_login_is_a_call_and_a_header() {
        let login = compiled(TRYTON).expect("as in the manual");
        let request = login.request(&password()).expect("a request");
        assert_eq!(
            (request.method, request.url.as_str()),
            (Method::POST, "/erp/rpc/")
        );
        let sent: serde_json::Value = serde_json::from_str(&request.body).expect("JSON");
        assert_eq!(sent["params"][1]["password"], "it's \"secret\"");
        let headers = HeaderMap::new();
        let answer = Answer::new(200, &headers, br#"{"id":1,"result":[7,"t0k3n"]}"#);
        let (worn, got) = login
            .take(&password(), &answer, Timestamp::UNIX_EPOCH)
            .expect("signed in");
        assert_eq!(got["token"], "t0k3n");
        assert_eq!(worn[0].1, "Session YWdlbnQ6Nzp0MGszbg==");
        assert!(worn[0].1.is_sensitive());
    }

    #[test]
    fn an_answer_without_what_is_wanted_is_nobodys_session() {
        let login = compiled(TRYTON).expect("as in the manual");
        let headers = HeaderMap::new();
        for (status, body, said) in [
            (
                200,
                r#"{"id":1,"result":null}"#,
                "without auth.login.capture.token",
            ),
            (
                200,
                r#"{"id":1,"result":[7]}"#,
                "without auth.login.capture.token",
            ),
            (200, r#"{"error":"no it's \"secret\" here"}"#, "no *** here"),
            (401, "", "401 Unauthorized"),
        ] {
            let answer = Answer::new(status, &headers, body.as_bytes());
            match login.take(&password(), &answer, Timestamp::UNIX_EPOCH) {
                Err(Outcome::Auth(reason)) => assert!(reason.contains(said), "{reason}"),
                other => panic!("{body}: {other:?}"),
            }
        }
    }

    #[test]
    fn what_is_wrong_is_refused_at_load() {
        for (from, to, said) in [
            ("got.uid", "got.id", "auth.headers.Authorization: "),
            ("{{ user |", "{{ usr |", "auth.login.body: "),
            ("vars.database", "vars.db", "auth.login.url: "),
            ("/result/0", "result", "auth.login.capture.uid: "),
            (
                "outcome = \"auth\"",
                "outcome = \"nice\"",
                "unknown variant",
            ),
            (
                "user = \"agent\"",
                "user = \"agent\"\nlifetime = \"0s\"",
                "auth.lifetime: ",
            ),
        ] {
            let wrong = compiled(&TRYTON.replacen(from, to, 1)).expect_err(from);
            assert!(wrong.contains(said), "{from}: {wrong}");
        }
    }
}
