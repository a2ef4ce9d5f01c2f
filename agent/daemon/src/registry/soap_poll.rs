//! `kind = "soap-poll"`.

use std::path::Path;

use dray_adapter::{Batch, Source};
use dray_proto::FlowName;
use dray_soap::poll::SoapPollConfig;

use super::{Configured, Share};
use crate::check::Finding;

impl Configured for SoapPollConfig {
    fn faults(&self) -> Vec<(String, String)> {
        SoapPollConfig::faults(self)
    }

    fn place(&self) -> String {
        format!("{} every {:?}", self.url, self.every)
    }

    fn share(&self) -> Option<Share> {
        None
    }

    fn check(&self, _: &FlowName) -> Vec<Finding> {
        SoapPollConfig::check(self)
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
        SoapPollConfig::preview(self, flow.as_str(), file, records_max)
    }

    fn make(&self, flow: &FlowName, own: &Path) -> Result<Box<dyn Source>, String> {
        let source = SoapPollConfig::make(self, flow.as_str(), own.to_owned())?;
        Ok(Box::new(source))
    }
}
