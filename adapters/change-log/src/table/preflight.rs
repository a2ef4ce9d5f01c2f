//! `check`: can the table be asked, and what does the role or the table lack?

use tokio::runtime;

use super::config::{Mode, SqlConfig};
use super::dialect::Dialect;
use super::page::Page;
use super::records::Table;
use super::rights;
use super::session::Session;
use super::sqlserver;
use super::value::Kind;
use crate::reader::Trouble;

/// What was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Looked {
    /// What is as it should be, in a sentence.
    pub fine: String,
    /// What works but should be otherwise.
    pub warnings: Vec<String>,
}

impl SqlConfig {
    /// Asks the database and changes nothing there.
    ///
    /// # Errors
    /// A sentence with the way out.
    pub fn preflight(&self) -> Result<Looked, String> {
        let runtime = runtime::Builder::new_current_thread().enable_all().build();
        let runtime = runtime.map_err(|error| format!("the database can't be asked: {error}"))?;
        let looked = runtime.block_on(self.look());
        looked.map_err(|trouble| match trouble {
            Trouble::Passing(reason) | Trouble::Person(reason) => reason,
        })
    }

    async fn look(&self) -> Result<Looked, Trouble> {
        let mut session = Session::open(self).await?;
        let mut looked = match self.mode.is_told() {
            true => self.look_told(&mut session).await?,
            false => self.look_at_table(&mut session).await?,
        };
        let untested = sqlserver::untested(session.dialect(), self.mode);
        looked.warnings.extend(untested.map(str::to_owned));
        Ok(looked)
    }

    async fn look_at_table(&self, session: &mut Session) -> Result<Looked, Trouble> {
        let dialect = session.dialect();
        let from = self.from(dialect);
        let like = rights::like(dialect, &from);
        let page = rights::described(session, self, &like).await?;
        let order = self.has_columns(dialect, &page).map_err(Trouble::Person)?;
        if let Some(nothing) = self.nothing(dialect) {
            rights::may_write(session, self, &nothing).await?;
        }
        let mut warnings = Vec::new();
        if let (Some(table), Some(sql)) = (&self.table, self.is_indexed(dialect, order)) {
            let indexed = session.ask(&sql, &sql, 1).await?;
            if indexed.only() == Some("0") {
                warnings.push(format!(
                    "{table} has no index that begins with {order}: each question is a scan of the whole table; let the DBA run CREATE INDEX {} ON {from} ({});",
                    dialect.name(&format!("dray_{order}")),
                    dialect.name(order)
                ));
            }
        }
        Ok(Looked {
            fine: format!(
                "{} can be read, with mode = \"{}\"",
                self.place(),
                self.mode.name()
            ),
            warnings,
        })
    }

    /// Whether all columns are there that are named; the one by which rows are found.
    fn has_columns(&self, dialect: Dialect, page: &Page) -> Result<&str, String> {
        Table::new(self, page)?;
        let id = page.place("id", &self.id)?;
        if let Some(version) = &self.version {
            page.place("version", version)?;
        }
        let mut order = self.id.as_str();
        match self.mode {
            Mode::Overlap => {
                let kind = page.columns[id].kind;
                if !matches!(kind, Kind::Integer | Kind::Decimal | Kind::Other) {
                    return Err(format!(
                        "mode = \"overlap\" needs an id that is a whole number, and {} is none",
                        self.id
                    ));
                }
            }
            Mode::Fence => {
                order = self.transaction.as_deref().unwrap_or_default();
                let at = page.place("transaction", order)?;
                if dialect.oldest(page.columns[at].kind).is_none() {
                    return Err("mode = \"fence\" needs PostgreSQL, or SQL Server with a rowversion column; write mode = \"overlap\"".into());
                }
            }
            Mode::MarkProcessed => {
                order = self.processed.as_ref().map_or("", |one| &one.column);
                page.place("processed.column", order)?;
            }
            Mode::Timestamp => {
                order = self.changed.as_ref().map_or("", |one| &one.column);
                page.place("changed.column", order)?;
            }
            Mode::DeleteAfterRead | Mode::FullCompare | Mode::Cdc | Mode::ChangeTracking => {}
        }
        Ok(order)
    }

    /// A change of no rows that needs the same rights as the mode does.
    fn nothing(&self, dialect: Dialect) -> Option<String> {
        let from = self.from(dialect);
        match (self.mode, &self.processed) {
            (Mode::MarkProcessed, Some(processed)) => {
                let name = dialect.name(&processed.column);
                Some(format!("UPDATE {from} SET {name} = {name} WHERE 1 = 0"))
            }
            (Mode::DeleteAfterRead, _) => Some(format!("DELETE FROM {from} WHERE 1 = 0")),
            _ => None,
        }
    }

    /// Asks how many indexes begin with a column, where it is known how.
    fn is_indexed(&self, dialect: Dialect, column: &str) -> Option<String> {
        let table = self.table.as_deref()?;
        let text = |text: &str| dialect.value(Kind::Text, text).ok();
        let name = text(column)?;
        let bare = text(table.rsplit('.').next().unwrap_or(table))?;
        match dialect {
            Dialect::Sqlite => Some(format!(
                "SELECT (SELECT COUNT(*) FROM pragma_index_list({bare}) l, pragma_index_info(l.name) i WHERE i.seqno = 0 AND i.name = {name}) \
                 + (SELECT COUNT(*) FROM pragma_table_info({bare}) WHERE name = {name} AND pk = 1 AND upper(type) = 'INTEGER')"
            )),
            Dialect::Postgres => Some(format!(
                "SELECT COUNT(*) FROM pg_catalog.pg_index i JOIN pg_catalog.pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = i.indkey[0] \
                 WHERE i.indisvalid AND i.indrelid = pg_catalog.to_regclass({}) AND a.attname = {name}",
                text(&dialect.table(table))?
            )),
            Dialect::Mysql => Some(format!(
                "SELECT COUNT(*) FROM information_schema.statistics WHERE table_schema = DATABASE() AND table_name = {bare} AND column_name = {name} AND seq_in_index = 1"
            )),
            Dialect::SqlServer => Some(format!(
                "SELECT COUNT(*) FROM sys.index_columns k JOIN sys.columns c ON c.object_id = k.object_id AND c.column_id = k.column_id \
                 WHERE k.key_ordinal = 1 AND k.object_id = OBJECT_ID({}) AND c.name = {name}",
                text(&dialect.table(table))?
            )),
            Dialect::Oracle | Dialect::Db2 | Dialect::Other => None,
        }
    }
}
