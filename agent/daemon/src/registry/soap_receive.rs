//! `kind = "soap-receive"`.

use std::path::Path;

use dray_adapter::{Batch, Source};
use dray_proto::FlowName;
use dray_soap::receive::SoapReceiveConfig;

use super::{Configured, Share};
use crate::check::Finding;

impl Configured for SoapReceiveConfig {
    fn faults(&self) -> Vec<(String, String)> {
        SoapReceiveConfig::faults(self)
    }

    fn place(&self) -> String {
        let scheme = if self.tls.is_some() { "https" } else { "http" };
        format!("{scheme}://{}{}", self.listen, self.path)
    }

    fn share(&self) -> Option<Share> {
        None
    }

    fn check(&self, flow: &FlowName) -> Vec<Finding> {
        SoapReceiveConfig::check(self, flow.as_str())
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
        SoapReceiveConfig::preview(self, flow.as_str(), file, records_max)
    }

    fn make(&self, flow: &FlowName, own: &Path) -> Result<Box<dyn Source>, String> {
        let source = SoapReceiveConfig::make(self, flow.as_str())?;
        Ok(Box::new(source.with_own_folder(own.to_owned())))
    }
}
