//! `kind = "sql"`.

use std::path::Path;

use dray_adapter::{Batch, KnownShape, Source};
use dray_change_log::table::SqlConfig;
use dray_proto::FlowName;

use super::{Configured, Share};
use crate::check::Finding;
use crate::cli::RedriveArguments;

const NO_REDRIVE: &str = "rows of a table are not asked for a second time. After the cause is mended, give the flow another name: it then reads the table from its beginning (rows that were read come twice, with other ids). \
     What was marked or deleted when it was read (mark-processed, delete-after-read) stands in its dead letter alone, with its columns as they were (dray-collector dead-letters list): \
     set the row back to unread, or put it into the queue again";

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

    fn check(&self, _: &FlowName, _: &Path) -> Vec<Finding> {
        match self.preflight() {
            Ok(looked) => {
                let warnings = looked.warnings.into_iter().map(Finding::warning);
                let fine = Finding::fine(looked.fine);
                std::iter::once(fine).chain(warnings).collect()
            }
            Err(reason) => vec![Finding::wrong(reason)],
        }
    }

    fn known(&self) -> Result<Vec<KnownShape>, String> {
        self.known()
    }

    fn redrivable(&self, _: &Path) -> Result<Vec<(String, u64, String)>, String> {
        Err(NO_REDRIVE.into())
    }

    fn redrive(&self, _: &FlowName, _: &Path, _: &RedriveArguments) -> Result<Vec<String>, String> {
        Err(NO_REDRIVE.into())
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
