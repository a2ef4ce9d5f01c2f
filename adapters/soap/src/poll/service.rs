//! A service as it is configured: how it is asked, and how its answers are read.

use std::fs;
use std::path::PathBuf;
use std::sync::Arc;

use dray_formats::Format;
use dray_formats::xml::Xml;
use hyper::Uri;
use jiff::Timestamp;
use minijinja::Value;

use super::SoapPollConfig;
use super::config::PagesBy;
use super::message::{Header, written};
use super::plan::Ask;
use super::secrets::Secrets;
use super::watermark::{Rule, TakenFrom, Window};
use crate::envelope::{Reader, Version, Wanted};
use crate::pick::Path;
use crate::template::Template;

/// Compiled.
#[derive(Debug)]
pub(super) struct Service {
    pub(super) config: SoapPollConfig,
    pub(super) url: Uri,
    pub(super) version: Version,
    pub(super) format: Format,
    pub(super) rule: Option<Rule>,
    /// Names and places of the key's columns.
    pub(super) key: Vec<(String, usize)>,
    pub(super) wanted: Arc<[Wanted]>,
    /// Which of the wanted values is the watermark, and which the token.
    pub(super) watermark: Option<usize>,
    pub(super) token: Option<usize>,
    /// Where long answers are kept.
    pub(super) folder: Arc<PathBuf>,
    template: Template,
}

impl Service {
    /// Reads the files that are named, and tries the request.
    pub(super) fn new(config: &SoapPollConfig, folder: PathBuf) -> Result<Self, String> {
        if let Some((setting, sentence)) = config.faults().into_iter().next() {
            return Err(format!("{setting}: {sentence}"));
        }
        let file = config.request.display();
        let text = fs::read_to_string(&config.request)
            .map_err(|error| format!("request {file} can't be read: {error}"))?;
        let of_file = |reason: String| format!("request {file}: {reason}");
        let mut service = Self {
            url: config
                .url
                .parse()
                .map_err(|_| "url: it is no address".to_owned())?,
            version: config.soap.into(),
            format: Format::Xml(Xml::new(&config.xml())?),
            rule: config.rule()?,
            key: config.keys(),
            wanted: Arc::default(),
            watermark: None,
            token: None,
            folder: Arc::new(folder),
            template: Template::new(&text, true).map_err(of_file)?,
            config: config.clone(),
        };
        service.want()?;
        service.try_request().map_err(of_file)?;
        Ok(service)
    }

    /// The values that are wanted of an answer besides its records.
    fn want(&mut self) -> Result<(), String> {
        let mut paths = Vec::new();
        let mut wanted = |text: Option<&String>| {
            let Some(text) = text else {
                return Ok(None);
            };
            paths.push(self.config.path(text)?);
            Ok::<_, String>(Some(paths.len() - 1))
        };
        let watermark = self.config.watermark.as_ref();
        self.watermark = wanted(watermark.and_then(|watermark| watermark.path.as_ref()))?;
        self.token = wanted(
            self.config
                .pages
                .as_ref()
                .and_then(|pages| pages.path.as_ref()),
        )?;
        self.wanted = [Wanted { root: None, paths }].into();
        Ok(())
    }

    /// The body's content for this page.
    pub(super) fn content(&self, ask: &Ask) -> Result<String, String> {
        self.template
            .render(values(ask))
            .map_err(|reason| reason + self.more_names())
    }

    /// The whole message.
    pub(super) fn message(
        &self,
        ask: &Ask,
        secrets: &Secrets,
        random: [u8; 16],
    ) -> Result<String, String> {
        let content = self.content(ask)?;
        let token = self.config.username_token.as_ref();
        let header = Header {
            token: secrets
                .token
                .as_ref()
                .map(|account| (account, token.is_some_and(|token| token.text))),
            timestamp: token.and_then(|token| token.timestamp),
            addressing: self
                .config
                .addressing
                .then_some((&self.config.action, &self.config.url)),
        };
        Ok(written(self.version, &header, &content, ask.now, random))
    }

    /// What a template could name besides, with other settings.
    fn more_names(&self) -> &'static str {
        let sized = self
            .config
            .pages
            .as_ref()
            .is_some_and(|pages| pages.size.is_some());
        match self.rule.is_some() && sized {
            true => "",
            false => {
                "; watermark, since and until come with [flow.source.watermark], page and token with [flow.source.pages], page_size with its size"
            }
        }
    }

    /// Whether a request can be made, is a message, and says what pages and watermarks need.
    fn try_request(&self) -> Result<(), String> {
        let ask = |page: u64, since: &str| Ask {
            window: self.rule.as_ref().map(|_| Window {
                since: format!("{since}-{page}"),
                until: "until".into(),
            }),
            page: self.config.pages.as_ref().map(|pages| (page, pages.size)),
            token: format!("token {page}"),
            now: Timestamp::UNIX_EPOCH,
        };
        let first = self.content(&ask(1, "a"))?;
        let message = written(
            self.version,
            &Header::default(),
            &first,
            Timestamp::UNIX_EPOCH,
            [0; 16],
        );
        // On one line with what stands around it, so that its lines are counted as its file has them.
        let message = message.replacen('\n', "", 1);
        let envelope = Reader::new(&[], Arc::default()).whole(message.as_bytes())?;
        if envelope.root.is_none() {
            return Err("it makes no element: write the body's content, e.g. <w:ListMovements xmlns:w=\"urn:example:wms\"/>".into());
        }
        if let Some(pages) = &self.config.pages {
            let mut second = ask(1, "a");
            let name = match pages.by {
                PagesBy::Token => {
                    second.token = "token 2".into();
                    "token"
                }
                PagesBy::Number => {
                    second.page = Some((2, pages.size));
                    "page"
                }
            };
            if self.content(&second)? == first {
                return Err(format!(
                    "it says the same for every page: put {{{{ {name} }}}} where the service expects it"
                ));
            }
        }
        if self.rule.is_some() && self.content(&ask(1, "b"))? == first {
            return Err("it says the same for every watermark: put {{ watermark }} where the service expects it".into());
        }
        Ok(())
    }

    /// Whether this is the configured root element.
    pub(super) fn is_root(&self, namespace: Option<usize>, name: &str) -> bool {
        let (prefix, wanted) = match self.config.root.split_once(':') {
            Some((prefix, name)) => (Some(prefix), name),
            None => (None, self.config.root.as_str()),
        };
        let uris = self.config.uris();
        let uri = prefix.and_then(|prefix| self.config.namespaces.get(prefix));
        wanted == name && (uri.is_none() || uri == namespace.and_then(|number| uris.get(number)))
    }
}

fn values(ask: &Ask) -> Value {
    let mut values = std::collections::BTreeMap::from([("now", Value::from(ask.now.to_string()))]);
    if let Some(window) = &ask.window {
        values.extend([
            ("watermark", Value::from(window.since.as_str())),
            ("since", Value::from(window.since.as_str())),
            ("until", Value::from(window.until.as_str())),
        ]);
    }
    if let Some((page, size)) = ask.page {
        values.extend([
            ("page", Value::from(page)),
            ("token", Value::from(ask.token.as_str())),
        ]);
        values.extend(size.map(|size| ("page_size", Value::from(size))));
    }
    Value::from(values)
}

impl SoapPollConfig {
    /// A path from an answer's root.
    pub(super) fn path(&self, text: &str) -> Result<Path, String> {
        Path::new(text, &self.namespaces)
    }

    /// How its watermarks work; `None`: it has none.
    pub(super) fn rule(&self) -> Result<Option<Rule>, String> {
        let Some(watermark) = &self.watermark else {
            return Ok(None);
        };
        let from = match (&watermark.column, &watermark.path) {
            (Some(column), _) => {
                let place = self
                    .column(column)
                    .ok_or("watermark.column: it is no column of fields")?;
                TakenFrom::Column(place)
            }
            (None, Some(_)) => TakenFrom::Answer,
            (None, None) => TakenFrom::Window,
        };
        Rule::new(watermark, from).map(Some)
    }

    fn keys(&self) -> Vec<(String, usize)> {
        let key = self.key.iter();
        key.filter_map(|name| Some((name.clone(), self.column(name)?)))
            .collect()
    }
}
