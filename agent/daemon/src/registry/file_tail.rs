//! `kind = "file-tail"`.

use std::path::Path;

use dray_adapter::{Batch, Source};
use dray_file_drop::tail::{self, FileTail, FileTailConfig};
use dray_proto::FlowName;

use super::{Configured, Share, file_drop};
use crate::check::Finding;

impl Configured for FileTailConfig {
    fn faults(&self) -> Vec<(String, String)> {
        FileTailConfig::faults(self)
    }

    fn place(&self) -> String {
        format!("{}/{}", self.folder.display(), self.pattern)
    }

    fn share(&self) -> Option<Share> {
        Some(Share::new(
            &self.folder,
            &self.pattern,
            self.sample(),
            false,
        ))
    }

    fn check(&self, _: &FlowName, _: &Path) -> Vec<Finding> {
        let findings = FileTailConfig::check(self).into_iter();
        findings.map(file_drop::finding).collect()
    }

    fn path(&self, _: &str, column: &str) -> Option<&str> {
        self.format.path(column)
    }

    fn takes(&self, file_name: &str) -> bool {
        FileTailConfig::takes(self, file_name)
    }

    fn preview(
        &self,
        flow: &FlowName,
        file: &Path,
        records_max: usize,
    ) -> Result<Vec<Batch>, String> {
        tail::preview(flow.as_str(), self, file, records_max)
    }

    fn make(&self, flow: &FlowName, _: &Path) -> Result<Box<dyn Source>, String> {
        Ok(Box::new(FileTail::new(flow.as_str(), self.clone())?))
    }
}
