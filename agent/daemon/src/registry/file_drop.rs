//! `kind = "file-drop"`.

use std::path::Path;

use dray_adapter::{Batch, Source};
use dray_file_drop::{FileDrop, FileDropConfig, Finding as Found};
use dray_proto::FlowName;

use super::Configured;
use crate::check::Finding;

impl Configured for FileDropConfig {
    fn faults(&self) -> Vec<(String, String)> {
        FileDropConfig::faults(self)
    }

    fn place(&self) -> String {
        format!("{}/{}", self.folder.display(), self.pattern)
    }

    fn check(&self, flow: &FlowName) -> Vec<Finding> {
        FileDropConfig::check_as(self, flow.as_str())
            .into_iter()
            .map(finding)
            .collect()
    }

    fn takes(&self, file_name: &str) -> bool {
        FileDropConfig::takes(self, file_name)
    }

    fn preview(
        &self,
        flow: &FlowName,
        file: &Path,
        records_max: usize,
    ) -> Result<Vec<Batch>, String> {
        dray_file_drop::preview(flow.as_str(), self, file, records_max)
    }

    fn make(&self, flow: &FlowName) -> Result<Box<dyn Source>, String> {
        Ok(Box::new(FileDrop::new(flow.as_str(), self.clone())?))
    }
}

pub(super) fn finding(found: Found) -> Finding {
    match found {
        Found::Fine(sentence) => Finding::fine(sentence),
        Found::Warning(sentence) => Finding::warning(sentence),
        Found::Wrong(sentence) => Finding::wrong(sentence),
    }
}
