//! Damage in a log file, while the store is open.

use std::collections::HashMap;

use dray_proto::FlowName;
use rusqlite::Connection;

use super::LogWriter;
use crate::api::Held;
use crate::sqlite::log_file::{self, rows};
use crate::sqlite::salvage;

impl LogWriter {
    /// Makes a damaged file anew, from what can be read of it.
    pub(super) fn mend(&mut self, number: u64, reason: &str) -> Result<(), String> {
        if !self.mended.insert(number) {
            return Err(format!(
                "log file {number} is damaged again: {reason}. Look at the disk"
            ));
        }
        let is_tail = number == self.number;
        if is_tail {
            // Nothing may be written to the file that goes away.
            self.connection = Connection::open_in_memory().map_err(|error| error.to_string())?;
        }
        let (folder, heads) = (self.shared.log_folder(), self.shared.lock().heads.clone());
        let kept = salvage::salvage(&folder, number, self.shared.id, &heads, reason);
        self.shared.readers.forget(number);
        if is_tail {
            self.open_tail(&heads).map_err(|error| error.to_string())?;
        } else if kept == Ok(false) {
            let mut log = self.shared.lock();
            log.files.retain(|file| file.number != number);
        }
        if kept.is_err() {
            self.mended.remove(&number);
        }
        kept.map(drop)
    }

    /// Opens the file that is written, and says in it how flows stand.
    fn open_tail(&mut self, heads: &HashMap<FlowName, Held>) -> rusqlite::Result<()> {
        let folder = self.shared.log_folder();
        self.connection = log_file::open_writer(&folder, self.number, self.shared.id, heads)?;
        for (flow, held) in heads {
            rows::put_head(&self.connection, flow, self.opened_at(flow), held)?;
        }
        Ok(())
    }
}
