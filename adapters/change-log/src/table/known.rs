//! What records of the table will be like: for `check`.

use dray_adapter::KnownShape;
use tokio::runtime;

use super::config::{Mode, SqlConfig};
use super::records::Table;
use super::rights;
use super::session::Session;
use crate::reader::Trouble;

impl SqlConfig {
    /// Asks the database what the table's records will have.
    ///
    /// # Errors
    /// A sentence.
    pub fn known(&self) -> Result<Vec<KnownShape>, String> {
        let runtime = runtime::Builder::new_current_thread().enable_all().build();
        let runtime = runtime.map_err(|error| format!("the database can't be asked: {error}"))?;
        let known = runtime.block_on(self.ask_known());
        known.map(|one| vec![one]).map_err(Trouble::into_words)
    }

    async fn ask_known(&self) -> Result<KnownShape, Trouble> {
        let mut session = Session::open(self).await?;
        if self.mode.is_told() {
            return self.known_told(&mut session).await;
        }
        let dialect = session.dialect();
        let like = rights::like(dialect, &self.from(dialect));
        let page = rights::described(&mut session, self, &like).await?;
        let table = Table::new(self, &page).map_err(Trouble::Person)?;
        let is_unsaid = |name: &str| self.mode == Mode::FullCompare && name != self.id;
        let names = table.taken.iter().map(|column| column.name.clone());
        let unsaid_of_deleted = names.filter(|name| is_unsaid(name)).collect();
        Ok(KnownShape {
            shape: table.shape,
            unsaid_of_deleted,
            way_out: String::new(),
        })
    }
}
