//! `preview`: which records a sample message would become.

use std::fs::File;
use std::path::Path;
use std::sync::Arc;

use dray_adapter::Batch;
use dray_formats::Format;
use dray_formats::xml::Xml;

use super::SoapReceiveConfig;
use super::soap::root;
use crate::content::Content;
use crate::envelope::Reader;
use crate::reading::{Fault, sample};

impl SoapReceiveConfig {
    /// Reads a message's first records, at least `records_max` of them if there are.
    ///
    /// # Errors
    /// A sentence: the file can't be read, is no message, or calls no operation of these.
    pub fn preview(
        &self,
        flow: &str,
        file: &Path,
        records_max: usize,
    ) -> Result<Vec<Batch>, String> {
        let open = || {
            let file = File::open(file).map_err(|error| error.to_string())?;
            Ok::<_, String>(Content::Spool(Box::new(file)))
        };
        let mut reader = Reader::new(&self.uris(), Arc::default());
        let read = open()?.read::<Fault>(&mut |window, end| Ok(reader.read(window, end)?));
        read.map_err(Fault::sentence)?;
        let envelope = reader.finish()?;
        let (namespace, name) = envelope.root.ok_or("the message's Body is empty")?;
        let found = self.operations.iter().find(|operation| {
            let (wanted, local) = root(self, &operation.root);
            local == name && (wanted.is_none() || wanted == namespace)
        });
        let operation = found.ok_or_else(|| {
            format!("no operation takes {name}, in the namespace that it has in this message")
        })?;
        let format = Format::Xml(Xml::new(&operation.xml(self))?.of_type(&operation.name));
        let id = envelope.message_id.unwrap_or_default();
        sample(&format, open()?, flow, &id, records_max).map_err(Fault::sentence)
    }
}
