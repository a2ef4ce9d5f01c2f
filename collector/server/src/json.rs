//! Events as JSON for a person: delivery's own field plan.

use dray_delivery::body::{Place, Writer};
use dray_proto::{FlowName, Offset};
use serde_json::json;

/// The event as one line of JSON; what can't be read is said in it.
pub(crate) fn of_event(event: &[u8], site: &str, flow: &str, offset: u64) -> String {
    let unreadable = |reason: String| {
        json!({ "site": site, "flow": flow, "offset": offset, "error": reason }).to_string()
    };
    let Some(name) = FlowName::new(site, flow) else {
        return unreadable("its flow has no name".to_owned());
    };
    let mut out = Vec::with_capacity(512);
    match Writer::default().put(&mut out, &Place::new(name), Offset(offset), event) {
        Ok(()) => String::from_utf8(out).unwrap_or_else(|error| unreadable(error.to_string())),
        Err(poison) => unreadable(poison.to_string()),
    }
}
