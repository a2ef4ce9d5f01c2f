//! `check`: can the log be read, and what would be made for that?

use std::path::Path;

use tokio::runtime;

use super::config::PostgresConfig;
use super::look::{Found, look};
use super::session::Names;
use super::slot::{Course, course};
use super::sql;
use crate::policy::OnGap;
use crate::reader::Trouble;

/// What standbys need to have the slot (PostgreSQL's manual, "Replication Slot Synchronization").
const AT_STANDBYS: &str = "at each standby sync_replication_slots = on, hot_standby_feedback = on, a primary_slot_name, and in primary_conninfo a dbname";

/// What was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Looked {
    /// What is as it should be, in a sentence.
    pub fine: String,
    /// What works but should be otherwise.
    pub warnings: Vec<String>,
}

impl PostgresConfig {
    /// Asks the server and changes nothing there. `flow`: its name without the site's. `own`: its own folder, which need not be there.
    ///
    /// # Errors
    /// A sentence with the way out.
    pub fn preflight(&self, flow: &str, own: &Path) -> Result<Looked, String> {
        let names = Names::of(self, flow);
        let runtime = runtime::Builder::new_current_thread().enable_all().build();
        let runtime = runtime.map_err(|error| format!("the server can't be asked: {error}"))?;
        let reads_tables = self.first_load || self.on_gap == OnGap::LoadAgain;
        let found = runtime.block_on(look(self, &names, reads_tables, None));
        let found = found.map_err(|trouble| match trouble {
            Trouble::Passing(reason) | Trouble::Person(reason) => reason,
        })?;
        // The flow's position is not known here: what can be told is whether a flow could begin.
        match course(&names.slot, &self.database, None, &found.facts) {
            Course::Gap(gap) => return Err(gap.sentence),
            Course::Wrong(said) => return Err(said),
            Course::Make | Course::Begin(_) | Course::GoOn(_) => {}
        }
        if found.keeps_all && !self.unlimited_wal {
            return Err("the server's max_slot_wal_keep_size is -1: while the flow can't read, the log that is kept for it fills the server's disk, and then the database stands. \
                 Let the DBA run ALTER SYSTEM SET max_slot_wal_keep_size = '20GB'; and SELECT pg_reload_conf(); or write unlimited_wal = true"
                .into());
        }
        let begins = runtime.block_on(self.may_begin(&names, &found, own));
        begins.map_err(Trouble::into_words)?;
        let publication = match found.is_published {
            true => "is there",
            false => "will be made",
        };
        let slot = match &found.facts.slot {
            Some(slot) => format!("stands at {}", slot.confirmed),
            None => "will be made".to_owned(),
        };
        let fine = format!(
            "{}:{} answers; the publication {} {publication}, the replication slot {} {slot}",
            self.host, self.port, names.publication, names.slot
        );
        let warnings = self.of_standbys(&names, &found).into_iter().collect();
        Ok(Looked { fine, warnings })
    }

    /// What should be known before a standby takes over.
    fn of_standbys(&self, names: &Names, found: &Found) -> Option<String> {
        let Found { standbys, .. } = found;
        if !self.failover {
            return (found.can_fail_over && !standbys.is_empty()).then(|| {
                format!(
                    "the server has standbys (slots {standbys}): where one takes over, the flow's slot is not there, and the flow stops; write failover = true, and let the DBA set {AT_STANDBYS}, and here synchronized_standby_slots = '{standbys}' (those that may take over)"
                )
            });
        }
        if let (false, Some(false)) = (
            self.create,
            found.facts.slot.as_ref().map(|slot| slot.failover),
        ) {
            return Some(format!(
                "standbys don't have the slot {}: let the DBA run, over a replication connection (psql \"dbname={} replication=database\"): {}",
                names.slot,
                self.database,
                sql::let_standbys_have(&names.slot)
            ));
        }
        (!found.waits_for_standbys).then(|| {
            let way_out = match standbys.as_str() {
                "" => "let the DBA name there the slot of each standby that may take over".to_owned(),
                slots => format!(
                    "let the DBA name those of the standbys that may take over, and no others: of {slots}, ALTER SYSTEM SET synchronized_standby_slots = '{slots}'; and SELECT pg_reload_conf();"
                ),
            };
            format!(
                "synchronized_standby_slots is empty: the flow may have read what the standby that takes over does not have, and then it stops; {way_out}. The slot goes to the standbys only with {AT_STANDBYS}: whether they have that is not seen from here"
            )
        })
    }
}
