//! t
use super::Connector;
use crate::config::TargetConfig;
use std::sync::Arc;
pub(super) fn build(_: &TargetConfig) -> Result<Arc<dyn Connector>, String> {
    Err(String::new())
}
