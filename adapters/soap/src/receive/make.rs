//! Makes an endpoint of its configuration.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use dray_formats::Format;
use dray_formats::xml::Xml;

use super::config::{AccountConfig, OperationConfig, TokenConfig};
use super::description::Description;
pub(crate) use super::found::{ELSEWHERE, IDLESS, Places, elsewhere};
use super::serve::Settings;
use super::soap::{Operation, Soap, answer_values, root};
use super::{Patience, Receiver, SoapReceiveConfig, Spoken, tls};
use crate::envelope::{Reader, Version, Wanted};
use crate::fault::enveloped;
use crate::fresh::Fresh;
use crate::secret;
use crate::security::{Account, Nonces, TokenRule};
use crate::template::Template;

impl SoapReceiveConfig {
    /// The source, not opened.
    ///
    /// # Errors
    /// A sentence: a file that it names can't be read, or holds something else.
    pub fn make(&self, flow: &str) -> Result<Receiver, String> {
        let settings = Settings {
            listen: self.listen,
            limits: self.limits.clone(),
            tls: self.tls.as_ref().map(tls::acceptors).transpose()?,
            folder: Arc::new(PathBuf::from(".")),
            patience: Patience::default(),
        };
        Ok(Receiver::new(
            flow,
            self.spoken()?,
            self.bad_records,
            settings,
        ))
    }

    pub(super) fn spoken(&self) -> Result<Spoken, String> {
        let dialect = self.dialect()?;
        let formats = self.operations.iter().map(|operation| {
            let xml = Xml::new(&operation.xml(self))?;
            Ok(Format::Xml(xml.of_type(&operation.name)))
        });
        Ok(Spoken {
            formats: formats.collect::<Result<_, String>>()?,
            may_be_empty: self.operations.iter().map(|one| one.may_be_empty).collect(),
            dialect: Arc::new(dialect),
        })
    }

    fn dialect(&self) -> Result<Soap, String> {
        let wanted = self.operations.iter().map(|operation| {
            let paths = operation.key.iter().map(|path| self.path(path));
            Ok(Wanted {
                root: Some(root(self, &operation.root)),
                paths: paths.collect::<Result<_, String>>()?,
            })
        });
        let scheme = if self.tls.is_some() { "https" } else { "http" };
        let description = self.wsdl.as_deref();
        let description =
            description.map(|file| Description::read(file, self.address.clone(), scheme));
        let operations = self.operations.iter().map(|one| self.operation(one));
        Ok(Soap {
            path: self.path.clone(),
            namespaces: self.uris(),
            wanted: wanted.collect::<Result<Vec<_>, String>>()?.into(),
            operations: operations.collect::<Result<_, String>>()?,
            basic: self.basic.as_ref().map(basic).transpose()?,
            token: self.username_token.as_ref().map(token).transpose()?,
            nonces: Mutex::new(Nonces::default()),
            description: description.transpose()?,
        })
    }

    fn operation(&self, operation: &OperationConfig) -> Result<Operation, String> {
        let response = operation.response.as_ref().map(|file| {
            let template = Template::new(&read(file)?, true);
            let tried = template.and_then(|template| {
                for id in [None, Some("ID")] {
                    let values = answer_values(&operation.name, 1, false, id, id);
                    is_content(&template.render(values)?)?;
                }
                Ok(template)
            });
            tried.map_err(|reason| format!("{}: {reason}", file.display()))
        });
        Ok(Operation {
            plain: self.plain_answer(operation),
            name: operation.name.clone(),
            root: root(self, &operation.root),
            action: operation.action.clone(),
            identity: operation.identity,
            one_way: operation.one_way,
            response: response.transpose()?,
            places: places(operation),
        })
    }

    /// `<PutMovementsResponse xmlns="urn:example:wms"/>`.
    fn plain_answer(&self, operation: &OperationConfig) -> String {
        let (prefix, name) = match operation.root.split_once(':') {
            Some((prefix, name)) => (prefix, name),
            None => ("", operation.root.as_str()),
        };
        match self.namespaces.get(prefix) {
            Some(uri) => {
                let uri = quick_xml::escape::escape(uri.as_str());
                format!("<{name}Response xmlns=\"{uri}\"/>")
            }
            None => format!("<{name}Response/>"),
        }
    }
}

fn places(operation: &OperationConfig) -> Places {
    let OperationConfig { name, root, .. } = operation;
    let record = operation.record.as_ref();
    let record = record.map_or_else(
        || format!("root = '{root}'"),
        |record| format!("record = '{record}'"),
    );
    Places {
        record: format!("{record} of operation {name}"),
        id: format!("key = '{}' of operation {name}", operation.key.join("', '")),
    }
}

/// Whether it may stand in a Body.
fn is_content(answer: &str) -> Result<(), String> {
    // On one line with what stands around it, so that its lines are counted as its file has them.
    let message = enveloped(Version::V11, answer).replacen('\n', "", 1);
    let read = Reader::new(&[], Arc::default()).whole(message.as_bytes());
    read.map(drop).map_err(|reason| {
        format!("what it makes can't stand in a Body, where the envelope is dray's: {reason}")
    })
}

pub(crate) fn read(file: &Path) -> Result<String, String> {
    fs::read_to_string(file).map_err(|error| format!("{} can't be read: {error}", file.display()))
}

/// Who calls by HTTP.
pub(crate) fn basic(config: &AccountConfig) -> Result<Fresh<Account>, String> {
    let AccountConfig {
        user,
        password_file,
    } = config.clone();
    Fresh::new([password_file.clone()], move || {
        secret::account("basic.password_file", &user, &password_file)
    })
}

/// Who calls by WS-Security.
fn token(config: &TokenConfig) -> Result<Fresh<TokenRule>, String> {
    let config = config.clone();
    let skew_us = i64::try_from(config.skew.as_micros()).unwrap_or(i64::MAX);
    Fresh::new([config.password_file.clone()], move || {
        let (user, file) = (&config.user, &config.password_file);
        Ok(TokenRule {
            account: secret::account("username_token.password_file", user, file)?,
            text: config.text,
            skew_us,
        })
    })
}
