//! What records of the tables will be like: for `check`.

use dray_adapter::KnownShape;
use tokio::runtime;

use super::config::MySqlConfig;
use super::session::{columns, connect, first};
use crate::reader::Trouble;
use crate::rows::shape;

impl MySqlConfig {
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
        let mut conn = connect(self).await?;
        let image: String = first(self, &mut conn, "SELECT @@GLOBAL.binlog_row_image").await?;
        let mut known = Vec::new();
        for table in &self.tables {
            let found = columns(self, &mut conn, &table.name).await?;
            let names: Vec<_> = found.iter().map(|column| &*column.name).collect();
            let taken = table.wanted().of(&table.name, &names);
            let taken = taken.map_err(Trouble::Person)?;
            // A deleted row is told whole, or by its key alone.
            let is_unsaid = |is_key: bool| image == "MINIMAL" && !is_key;
            let unsaid = found.iter().filter(|column| is_unsaid(column.is_key));
            known.push(KnownShape {
                shape: shape(&table.name, &taken),
                unsaid_of_deleted: unsaid.map(|column| column.name.clone()).collect(),
                way_out: "let the DBA run SET GLOBAL binlog_row_image = 'FULL'; and write it into the configuration".into(),
            });
        }
        Ok(known)
    }
}
