//! `kind = "postgres"`, `kind = "mariadb"` and `kind = "mysql"`.

use std::path::Path;

use dray_adapter::{Batch, KnownShape, Source};
use dray_change_log::mysql::MySqlConfig;
use dray_change_log::postgres::PostgresConfig;
use dray_proto::FlowName;

use super::{Configured, Share};
use crate::check::Finding;
use crate::cli::RedriveArguments;

const NO_PREVIEW: &str =
    "a database's log is no file: look at the flow with \"dray-collector tail\" once it runs";

const NO_REDRIVE: &str = "a database's log is not read a second time. After the cause is mended, \"dray-agent load-again FLOW TABLE\" has all rows of a table come once more, as they are by then \
     (PostgreSQL and MariaDB); a row that was deleted meanwhile is gone at the source, and what failed of it stands in the dead letter (dray-collector dead-letters list)";

impl Configured for PostgresConfig {
    fn faults(&self) -> Vec<(String, String)> {
        self.faults()
    }

    fn place(&self) -> String {
        format!("postgres://{}:{}/{}", self.host, self.port, self.database)
    }

    fn share(&self) -> Option<Share> {
        None
    }

    fn check(&self, flow: &FlowName, own: &Path) -> Vec<Finding> {
        match self.preflight(flow.flow(), own) {
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
        Err(NO_PREVIEW.into())
    }

    fn make(&self, flow: &FlowName, own: &Path) -> Result<Box<dyn Source>, String> {
        Ok(self.make(flow.as_str(), own))
    }
}

impl Configured for MySqlConfig {
    fn faults(&self) -> Vec<(String, String)> {
        self.faults()
    }

    fn place(&self) -> String {
        match self.host.starts_with('/') {
            true => format!("{}://{}", self.kind, self.host),
            false => format!("{}://{}:{}", self.kind, self.host, self.port),
        }
    }

    fn share(&self) -> Option<Share> {
        None
    }

    fn check(&self, flow: &FlowName, _: &Path) -> Vec<Finding> {
        match self.preflight(flow.as_str()) {
            Ok(found) => {
                let notes = found.notes.into_iter().map(Finding::warning);
                [Finding::fine(found.fine)]
                    .into_iter()
                    .chain(notes)
                    .collect()
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
        Err(NO_PREVIEW.into())
    }

    fn make(&self, flow: &FlowName, own: &Path) -> Result<Box<dyn Source>, String> {
        Ok(self.make(flow.as_str(), own))
    }
}
