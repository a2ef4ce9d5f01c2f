//! `kind = "soap-receive"`, `"soap-poll"` and `"webhook"`.

use std::net::SocketAddr;
use std::path::Path;

use dray_adapter::{Batch, Shape, Source};
use dray_proto::FlowName;
use dray_soap::Finding as Found;
use dray_soap::poll::SoapPollConfig;
use dray_soap::receive::SoapReceiveConfig;
use dray_soap::webhook::WebhookConfig;

use super::{Configured, Share};
use crate::check::Finding;

/// One of the three.
#[derive(Debug)]
pub(super) enum Soap {
    Receive(Box<SoapReceiveConfig>),
    Webhook(Box<WebhookConfig>),
    Poll(Box<SoapPollConfig>),
}

impl Configured for Soap {
    fn faults(&self) -> Vec<(String, String)> {
        match self {
            Self::Receive(config) => config.faults(),
            Self::Webhook(config) => config.faults(),
            Self::Poll(config) => config.faults(),
        }
    }

    fn place(&self) -> String {
        let (tls, listen, path) = match self {
            Self::Receive(config) => (&config.tls, config.listen, &config.path),
            Self::Webhook(config) => (&config.tls, config.listen, &config.path),
            Self::Poll(config) => return format!("{} every {:?}", config.url, config.every),
        };
        let scheme = if tls.is_some() { "https" } else { "http" };
        format!("{scheme}://{listen}{path}")
    }

    fn share(&self) -> Option<Share> {
        None
    }

    fn listens(&self) -> Option<SocketAddr> {
        match self {
            Self::Receive(config) => Some(config.listen),
            Self::Webhook(config) => Some(config.listen),
            Self::Poll(_) => None,
        }
    }

    fn check(&self, flow: &FlowName, _: &Path) -> Vec<Finding> {
        let found = match self {
            Self::Receive(config) => config.check(flow.as_str()),
            Self::Webhook(config) => config.check(flow.as_str()),
            Self::Poll(config) => config.check(),
        };
        let findings = found.into_iter().map(|found| match found {
            Found::Fine(sentence) => Finding::fine(sentence),
            Found::Warning(sentence) => Finding::warning(sentence),
            Found::Wrong(sentence) => Finding::wrong(sentence),
        });
        findings.collect()
    }

    fn shapes(&self) -> Vec<Shape> {
        match self {
            Self::Receive(config) => config.shapes(),
            Self::Webhook(config) => config.shapes(),
            Self::Poll(config) => config.shapes(),
        }
    }

    fn path(&self, record_type: &str, column: &str) -> Option<&str> {
        match self {
            Self::Receive(config) => config.path_of(record_type, column),
            Self::Webhook(config) => config.path_of(record_type, column),
            Self::Poll(config) => config.path_of(column),
        }
    }

    fn takes(&self, _: &str) -> bool {
        false
    }

    fn preview(
        &self,
        flow: &FlowName,
        file: &Path,
        records_max: usize,
    ) -> Result<Vec<Batch>, String> {
        match self {
            Self::Receive(config) => config.preview(flow.as_str(), file, records_max),
            Self::Webhook(config) => config.preview(flow.as_str(), file, records_max),
            Self::Poll(config) => config.preview(flow.as_str(), file, records_max),
        }
    }

    fn doubts(&self, flow: &FlowName, file: &Path) -> Vec<String> {
        match self {
            Self::Receive(_) => Vec::new(),
            Self::Webhook(config) => config.doubts(flow.as_str(), file),
            Self::Poll(config) => config.doubts(file),
        }
    }

    fn make(&self, flow: &FlowName, own: &Path) -> Result<Box<dyn Source>, String> {
        let own = own.to_owned();
        let receiver = match self {
            Self::Receive(config) => config.make(flow.as_str())?,
            Self::Webhook(config) => config.make(flow.as_str())?,
            Self::Poll(config) => return Ok(Box::new(config.make(flow.as_str(), own)?)),
        };
        Ok(Box::new(receiver.with_own_folder(own)))
    }
}
