//! `kind = "webhook"`.

use std::path::Path;

use dray_adapter::{Batch, Source};
use dray_proto::FlowName;
use dray_soap::webhook::WebhookConfig;

use super::{Configured, Share};
use crate::check::Finding;

impl Configured for WebhookConfig {
    fn faults(&self) -> Vec<(String, String)> {
        WebhookConfig::faults(self)
    }

    fn place(&self) -> String {
        let scheme = if self.tls.is_some() { "https" } else { "http" };
        format!("{scheme}://{}{}", self.listen, self.path)
    }

    fn share(&self) -> Option<Share> {
        None
    }

    fn check(&self, flow: &FlowName) -> Vec<Finding> {
        WebhookConfig::check(self, flow.as_str())
            .into_iter()
            .map(super::soap_finding)
            .collect()
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
        WebhookConfig::preview(self, flow.as_str(), file, records_max)
    }

    fn make(&self, flow: &FlowName, own: &Path) -> Result<Box<dyn Source>, String> {
        let source = WebhookConfig::make(self, flow.as_str())?;
        Ok(Box::new(source.with_own_folder(own.to_owned())))
    }
}
