//! `kind = "sql"`.

use std::path::Path;

use dray_adapter::{Batch, Source};
use dray_change_log::table::SqlConfig;
use dray_proto::FlowName;

use super::{Configured, Share};
use crate::check::Finding;

impl Configured for SqlConfig {
    fn faults(&self) -> Vec<(String, String)> {
        self.faults()
    }

    fn place(&self) -> String {
        self.place()
    }

    fn share(&self) -> Option<Share> {
        None
    }

    fn check(&self, _: &FlowName) -> Vec<Finding> {
        match self.preflight() {
            Ok(looked) => {
                let warnings = looked.warnings.into_iter().map(Finding::warning);
                let fine = Finding::fine(looked.fine);
                std::iter::once(fine).chain(warnings).collect()
            }
            Err(reason) => vec![Finding::wrong(reason)],
        }
    }

    fn takes(&self, _: &str) -> bool {
        false
    }

    fn preview(&self, _: &FlowName, _: &Path, _: usize) -> Result<Vec<Batch>, String> {
        Err("a table is no file: look at the flow with \"dray-collector tail\" once it runs".into())
    }

    fn make(&self, flow: &FlowName, own: &Path) -> Result<Box<dyn Source>, String> {
        Ok(self.make(flow.as_str(), own))
    }
}
