//! A table's capture instance, and what is wrong where there is none that can be read.

use super::super::config::SqlConfig;
use super::super::dialect::Dialect;
use super::super::page::Page;
use super::super::session::Session;
use super::key::listed;
use super::load::is_shown;
use super::statements::{COMMAND, Statements, split};
use crate::reader::Trouble;

/// Instances of a table: the server makes two at most.
const INSTANCES_MAX: usize = 16;
/// Columns of a table, at most; sparse ones, of which there may be more, are not computed.
const COLUMNS_MAX: usize = 1_024;

/// What is captured.
#[derive(Debug)]
pub(super) struct Instance {
    /// The columns that are captured.
    pub(super) columns: Vec<String>,
    /// Those that tell rows apart.
    pub(super) key: Vec<String>,
    /// The table's other instances.
    pub(super) others: Vec<String>,
    /// The table's columns that are computed, of which NULL is captured.
    pub(super) computed: Vec<String>,
    /// The order of a transaction's operations is known.
    pub(super) has_commands: bool,
}

/// What an instance is made with.
#[derive(Debug)]
pub(super) struct Wanted<'c> {
    pub(super) capture: &'c str,
    pub(super) table: &'c str,
    user: &'c str,
}

impl<'c> Wanted<'c> {
    pub(super) fn of(config: &'c SqlConfig) -> Self {
        Self {
            capture: config.capture.as_deref().unwrap_or_default(),
            table: config.table.as_deref().unwrap_or_default(),
            user: config.user.as_deref().unwrap_or("the flow's user"),
        }
    }

    /// Makes the instance.
    fn enable_table(&self) -> String {
        let (schema, name) = split(self.table);
        let text = |text: &str| text.replace('\'', "''");
        format!(
            "EXEC sys.sp_cdc_enable_table @source_schema = N'{}', @source_name = N'{}', @capture_instance = N'{}', @role_name = NULL, @supports_net_changes = 0;",
            text(schema),
            text(name),
            text(self.capture)
        )
    }

    pub(super) fn grant(&self) -> String {
        format!(
            "GRANT SELECT ON {} TO {};",
            Dialect::SqlServer.table(self.table),
            Dialect::SqlServer.name(self.user)
        )
    }

    /// That nobody can say whether the database was restored.
    pub(super) fn unknown(&self) -> String {
        format!(
            "{} may not see the database's recovery fork, so a restored database that went on further than was read would not be noticed: let the DBA run GRANT VIEW ANY DATABASE TO {};",
            self.user,
            Dialect::SqlServer.name(self.user)
        )
    }

    /// Looks for it.
    ///
    /// # Errors
    /// A sentence with the statement that mends it.
    pub(super) async fn find(&self, session: &mut Session) -> Result<Instance, Trouble> {
        let statements = Statements(session.dialect());
        let Self {
            capture,
            table,
            user,
        } = self;
        let sql = statements.captures();
        if !is_on(session.ask(&sql, &sql, 1).await?.only()) {
            return Err(Trouble::Passing(format!(
                "change data capture is off in this database: let a sysadmin run there EXEC sys.sp_cdc_enable_db; and then {} (SQL Server Agent must run)",
                self.enable_table()
            )));
        }
        let sql = statements.captures_table(table);
        let is_captured = session.ask(&sql, &sql, 1).await?;
        match is_captured.only() {
            None => {
                return Err(Trouble::Passing(format!(
                    "{table} is not there, or {user} may not see it; write it with its schema, or let the DBA run {}",
                    self.grant()
                )));
            }
            captured if !is_on(captured) => {
                return Err(Trouble::Passing(format!(
                    "the changes of {table} are not captured: let the DBA run {}",
                    self.enable_table()
                )));
            }
            Some(_) => {}
        }
        let sql = statements.instances(table);
        let page = session.ask(&sql, &sql, INSTANCES_MAX).await?;
        let names = named(&page, "capture_instance")?;
        let Some(row) = names.iter().position(|name| name == capture) else {
            return Err(Trouble::Passing(match names.is_empty() {
                true => format!(
                    "{user} may read no capture instance of {table}: let the DBA run {} and, where the instance was made with @role_name, ALTER ROLE that role ADD MEMBER {}; or, if there is none, {}",
                    self.grant(),
                    Dialect::SqlServer.name(user),
                    self.enable_table()
                ),
                false => format!(
                    "{table} has no capture instance {capture} that {user} may read; it has {}: write one of them as capture, or let the DBA run {}",
                    names.join(", "),
                    self.enable_table()
                ),
            }));
        };
        let others = names.iter().filter(|name| name != capture).cloned();
        let sql = statements.computed(table);
        let told = session.ask(&sql, &sql, COLUMNS_MAX).await?;
        let computed = (0..told.rows()).filter_map(|row| told.get(row, 0));
        let sql = statements.has_commands(capture);
        let has_commands = session.ask(&sql, &sql, 1).await?;
        Ok(Instance {
            computed: computed.map(str::to_owned).collect(),
            has_commands: has_commands.only() == Some("1"),
            columns: listed(&named(&page, "captured_column_list")?[row]),
            key: listed(&named(&page, "index_column_list")?[row]),
            others: others.collect(),
        })
    }
}

impl Instance {
    /// The columns in whose order a first load reads the table.
    ///
    /// # Errors
    /// A sentence: there are none, or one is hidden.
    pub(super) fn order(&self, config: &SqlConfig) -> Result<Vec<String>, Trouble> {
        let key = match config.id.as_str() {
            "" => self.key.clone(),
            id => vec![id.to_owned()],
        };
        if key.is_empty() {
            return Err(Trouble::Person(format!(
                "{} has no primary key, in whose order its rows could be read first: write id = \"...\", a column that is unique and never NULL, or first_load = false",
                config.record_type()
            )));
        }
        is_shown(config, &key)?;
        Ok(key)
    }

    /// What is not as somebody might expect it.
    pub(super) fn remarks(&self, wanted: &Wanted<'_>) -> Vec<String> {
        let mut remarks = Vec::new();
        if !self.computed.is_empty() {
            remarks.push(format!(
                "{} has columns that are computed ({}), in whose place SQL Server captures NULL: records are without them; compute them from the others",
                wanted.table,
                self.computed.join(", ")
            ));
        }
        if !self.has_commands {
            let table = Statements(Dialect::SqlServer).change_table(wanted.capture);
            remarks.push(format!(
                "the order of operations in a transaction ({COMMAND}) can't be read, and where a statement moves keys of many rows a key may come before it goes: let the DBA run GRANT SELECT ON {table} TO {}; (servers without the update KB3030352 don't have that order)",
                Dialect::SqlServer.name(wanted.user)
            ));
        }
        remarks
    }

    /// That another one was made, as is done where the table's columns changed.
    pub(super) fn warning(&self, wanted: &Wanted<'_>) -> Option<String> {
        let other = self.others.first()?;
        Some(format!(
            "{} has a second capture instance, {other}: columns that were added since {} was made are in that one alone. To change over, make a flow with capture = \"{other}\" and first_load = false, end this one when it has read all, and let the DBA drop {}",
            wanted.table, wanted.capture, wanted.capture
        ))
    }
}

/// A column's texts.
fn named(page: &Page, name: &str) -> Result<Vec<String>, Trouble> {
    let at = page.columns.iter().position(|column| column.name == name);
    let at = at.ok_or_else(|| {
        Trouble::Passing(format!(
            "sys.sp_cdc_help_change_data_capture says nothing of {name}: the database is none that captures as SQL Server does"
        ))
    })?;
    let texts = (0..page.rows()).map(|row| page.get(row, at).unwrap_or_default().to_owned());
    Ok(texts.collect())
}

/// Whether a bit is set.
pub(super) fn is_on(text: Option<&str>) -> bool {
    matches!(text, Some("1" | "t" | "true"))
}
