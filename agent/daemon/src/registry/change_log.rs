//! `kind = "postgres"`.

use std::path::Path;

use dray_adapter::{Batch, Source};
use dray_change_log::postgres::PostgresConfig;
use dray_proto::FlowName;

use super::{Configured, Share};
use crate::check::Finding;

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

    fn check(&self, flow: &FlowName) -> Vec<Finding> {
        match self.preflight(flow.flow()) {
            Ok(sentence) => vec![Finding::fine(sentence)],
            Err(reason) => vec![Finding::wrong(reason)],
        }
    }

    fn takes(&self, _: &str) -> bool {
        false
    }

    fn preview(&self, _: &FlowName, _: &Path, _: usize) -> Result<Vec<Batch>, String> {
        Err("a database's log is no file: look at the flow with \"dray-collector tail\" once it runs".into())
    }

    fn make(&self, flow: &FlowName, own: &Path) -> Result<Box<dyn Source>, String> {
        Ok(self.make(flow.as_str(), own))
    }
}
