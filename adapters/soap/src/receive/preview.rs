//! `preview`: which records a sample message would become.

use std::fs::File;
use std::path::Path;
use std::sync::Arc;

use dray_adapter::{BATCH_RECORDS_MAX, Batch, IdScope, Origin, Position};
use dray_formats::Format;
use dray_formats::xml::Xml;

use super::SoapReceiveConfig;
use super::soap::root;
use crate::content::Content;
use crate::envelope::Reader;
use crate::reading::{Fault, Reading};

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
            Ok::<_, String>(Content::Spool(file))
        };
        let mut reader = Reader::new(&self.uris(), Arc::default());
        let read = open()?.read::<Fault>(&mut |window, end| Ok(reader.read(window, end)?));
        read.map_err(sentence)?;
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
        let scope = IdScope::of(&[flow.as_bytes(), b"preview"]);
        let mut reading = Reading::new(&format, open()?, scope, BATCH_RECORDS_MAX);
        let (mut batches, mut records, mut ends_unit) = (Vec::new(), 0, false);
        while !ends_unit && records < records_max {
            let (gather, last) = reading.next().map_err(sentence)?;
            ends_unit = last;
            records += gather.records.len();
            batches.push(Batch {
                origin: Origin {
                    scope,
                    file: "".into(),
                    message_id: envelope.message_id.clone().unwrap_or_default().into(),
                    change_position: "".into(),
                },
                records: gather.records,
                rejects: gather.rejects,
                marks: Vec::new(),
                position: Position::default(),
                captured_us: jiff::Timestamp::now().as_microsecond(),
                ends_unit,
                report: None,
            });
        }
        Ok(batches)
    }
}

fn sentence(fault: Fault) -> String {
    match fault {
        Fault::Call(reason) => reason,
        Fault::Disk(error) => error.to_string(),
    }
}
