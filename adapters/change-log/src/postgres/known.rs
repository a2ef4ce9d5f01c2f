//! What records of the tables will be like, and whether what a flow needs at the server can be made: for `check`.

use std::path::Path;

use dray_adapter::KnownShape;
use pgwire_replication::Lsn;
use tokio::runtime;

use super::answer::{query, text};
use super::catalogue::relation;
use super::config::PostgresConfig;
use super::look::Found;
use super::session::{Names, connect};
use super::sql;
use super::table::Table;
use crate::policy::OnGap;
use crate::reader::Trouble;
use crate::shapes::Shapes;

impl PostgresConfig {
    /// Asks the server what the tables' records will have.
    ///
    /// # Errors
    /// A sentence.
    pub fn known(&self) -> Result<Vec<KnownShape>, String> {
        let runtime = runtime::Builder::new_current_thread().enable_all().build();
        let runtime = runtime.map_err(|error| format!("the server can't be asked: {error}"))?;
        let known = runtime.block_on(self.ask_known());
        known.map_err(Trouble::into_words)
    }

    async fn ask_known(&self) -> Result<Vec<KnownShape>, Trouble> {
        // Nothing is read from the slot.
        let mut client = connect(self, &Names::of(self, ""), Lsn::ZERO).await?;
        let mut known = Vec::new();
        for wanted in &self.tables {
            let rows = query(self, &mut client, &sql::columns(&wanted.name)).await?;
            let Some(relation) = relation(&wanted.name, &rows) else {
                continue;
            };
            let columns = relation.columns.iter();
            let unsaid = columns.filter(|column| !column.is_key);
            let unsaid_of_deleted = unsaid.map(|column| column.name.clone()).collect();
            let table = Table::new(relation, wanted.wanted()).map_err(Trouble::Person)?;
            known.push(KnownShape {
                shape: table.shape,
                unsaid_of_deleted,
                way_out: format!(
                    "let its owner run ALTER TABLE {} REPLICA IDENTITY FULL;",
                    sql::table(&wanted.name)
                ),
            });
        }
        Ok(known)
    }

    /// Whether publication and slot are there or can be made. `own`: the flow's folder.
    pub(super) async fn may_begin(
        &self,
        names: &Names,
        found: &Found,
        own: &Path,
    ) -> Result<(), Trouble> {
        let has_slot = found.facts.slot.is_some();
        if !has_slot && self.on_gap == OnGap::Stop && Shapes::is_kept_in(own) {
            return Err(Trouble::Person(format!(
                "the replication slot {} is gone, and the flow has read through it before: what changed since is gone with it, and the flow would stop; write on_gap = \"load-again\" or \"go-on\", or give the flow another name",
                names.slot
            )));
        }
        let tables = || self.tables.iter().map(|table| table.name.as_str());
        let publish = sql::make_publication(&names.publication, tables());
        if !self.create {
            let make = sql::make_slot(&names.slot, self.failover);
            return match (found.is_published, has_slot) {
                (true, true) => Ok(()),
                (true, false) => Err(Trouble::Person(format!(
                    "there is no replication slot {}: let the DBA run: {make};",
                    names.slot
                ))),
                (false, _) => Err(Trouble::Person(format!(
                    "there is neither a publication {} nor a replication slot {}: let the DBA run, in this order: {publish}; {make};",
                    names.publication, names.slot
                ))),
            };
        }
        if found.is_published {
            return Ok(());
        }
        let mut client = connect(self, names, Lsn::ZERO).await?;
        for table in tables() {
            let rows = query(self, &mut client, &sql::may_publish(table)).await?;
            let says = |at| rows.first().and_then(|row| text(row, at)) == Some("t");
            let lacks = match (says(0), says(1)) {
                (true, true) => continue,
                (false, _) => format!("may not create in the database {}", self.database),
                (true, false) => format!("does not own {table}"),
            };
            return Err(Trouble::Passing(format!(
                "the role {} {lacks}, so it can't make the publication {}: let the owner of the tables run: {publish};",
                self.user, names.publication
            )));
        }
        Ok(())
    }
}
