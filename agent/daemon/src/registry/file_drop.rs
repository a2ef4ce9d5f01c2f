//! `kind = "file-drop"`.

use std::path::Path;

use dray_adapter::{Batch, Source};
use dray_file_drop::{FileDrop, FileDropConfig, Finding as Found, Wanted};
use dray_proto::FlowName;

use super::{Configured, Share};
use crate::check::Finding;
use crate::cli::RedriveArguments;

impl Configured for FileDropConfig {
    fn faults(&self) -> Vec<(String, String)> {
        FileDropConfig::faults(self)
    }

    fn place(&self) -> String {
        let here = format!("{}/{}", self.folder.display(), self.pattern);
        match &self.sftp {
            Some(sftp) => format!("{} to {here}", sftp.place()),
            None => here,
        }
    }

    fn share(&self) -> Option<Share> {
        Some(Share::new(
            &self.folder,
            &self.pattern,
            self.sample(),
            self.moves(),
        ))
    }

    fn check(&self, flow: &FlowName, _: &Path) -> Vec<Finding> {
        FileDropConfig::check_as(self, flow.as_str())
            .into_iter()
            .map(finding)
            .collect()
    }

    fn path(&self, _: &str, column: &str) -> Option<&str> {
        self.format.path(column)
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

    fn redrivable(&self, own: &Path) -> Result<Vec<(String, u64, String)>, String> {
        let files = FileDropConfig::redrivable(self, own)?.into_iter();
        Ok(files
            .map(|file| (file.name, file.bytes, file.reason))
            .collect())
    }

    fn redrive(
        &self,
        flow: &FlowName,
        own: &Path,
        wanted: &RedriveArguments,
    ) -> Result<Vec<String>, String> {
        let wanted = Wanted {
            files: wanted.files.clone(),
            all: wanted.all,
            records: wanted.records.clone(),
        };
        FileDropConfig::redrive(self, flow.as_str(), own, &wanted)
    }

    fn make(&self, flow: &FlowName, own: &Path) -> Result<Box<dyn Source>, String> {
        let source = FileDrop::new(flow.as_str(), self.clone())?;
        Ok(Box::new(source.with_own_folder(own.to_owned())))
    }
}

pub(super) fn finding(found: Found) -> Finding {
    match found {
        Found::Fine(sentence) => Finding::fine(sentence),
        Found::Warning(sentence) => Finding::warning(sentence),
        Found::Wrong(sentence) => Finding::wrong(sentence),
    }
}
