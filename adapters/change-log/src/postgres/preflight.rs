//! `check`: can the log be read, and what would be made for that?

use tokio::runtime;

use super::config::PostgresConfig;
use super::session::{Names, look};
use super::slot::{Course, course};
use crate::policy::OnGap;
use crate::reader::Trouble;

impl PostgresConfig {
    /// Asks the server and changes nothing there. `flow`: its name without the site's.
    ///
    /// # Errors
    /// A sentence with the way out.
    pub fn preflight(&self, flow: &str) -> Result<String, String> {
        let names = Names::of(self, flow);
        let runtime = runtime::Builder::new_current_thread().enable_all().build();
        let runtime = runtime.map_err(|error| format!("the server can't be asked: {error}"))?;
        let reads_tables = self.first_load || self.on_gap == OnGap::LoadAgain;
        let found = runtime.block_on(look(self, &names, reads_tables));
        let found = found.map_err(|trouble| match trouble {
            Trouble::Passing(reason) | Trouble::Person(reason) => reason,
        })?;
        // The flow's position is not known here: what can be told is whether a flow could begin.
        if let Course::Gap(_, said) | Course::Wrong(said) =
            course(&names.slot, &self.database, None, &found.facts)
        {
            return Err(said);
        }
        if found.keeps_all && !self.unlimited_wal {
            return Err("the server's max_slot_wal_keep_size is -1: while the flow can't read, the log that is kept for it fills the server's disk, and then the database stands. \
                 Let the DBA run ALTER SYSTEM SET max_slot_wal_keep_size = '20GB'; and SELECT pg_reload_conf(); or write unlimited_wal = true"
                .into());
        }
        let publication = match found.is_published {
            true => "is there",
            false => "will be made",
        };
        let slot = match &found.facts.slot {
            Some(slot) => format!("stands at {}", slot.confirmed),
            None => "will be made".to_owned(),
        };
        Ok(format!(
            "{}:{} answers; the publication {} {publication}, the replication slot {} {slot}",
            self.host, self.port, names.publication, names.slot
        ))
    }
}
