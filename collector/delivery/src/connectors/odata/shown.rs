//! What would be sent of an event whose flow is in shadow.

use bytes::Bytes;

use super::Odata;
use super::write::Step;
use crate::connectors::{Delivery, Rendered};
use crate::outcome::Outcome;

impl Odata {
    /// The request that writes its entity. Nothing is looked at, so what is made or changed is shown as if it were not
    /// there yet, and without the state that a change would name.
    ///
    /// # Errors
    /// *Poison*.
    pub(super) fn rendered(&self, delivery: &Delivery) -> Result<Rendered, Outcome> {
        let document = self.maker.document(&delivery.document())?;
        let act = self.manner.unlooked(&document).map_err(Outcome::Poison)?;
        let event = delivery.events[0].id;
        let request = self.maker.request(&Step::Write(act), &document, event);
        let shown = self.service.shown(&request, event);
        Ok(Rendered {
            request: shown.map_err(Outcome::Poison)?,
            document: Some(Bytes::from(document.body)),
        })
    }
}
