//! `check`: whether the server says what changed, and what its DBA runs where it does not.

use dray_adapter::KnownShape;

use super::super::config::{Mode, SqlConfig};
use super::super::dialect::{Dialect, Select};
use super::super::identity::Identity;
use super::super::page::{Column, Page};
use super::super::preflight::Looked;
use super::super::records::Table;
use super::super::rights;
use super::super::session::Session;
use super::super::value::Kind;
use super::changes::captured;
use super::instance::{Instance, Wanted};
use super::job::silent;
use super::load::is_shown;
use super::lsn::Lsn;
use super::statements::Statements;
use super::tracked::table;
use crate::reader::Trouble;

impl SqlConfig {
    /// Asks the server, and changes nothing there.
    pub(in super::super) async fn look_told(
        &self,
        session: &mut Session,
    ) -> Result<Looked, Trouble> {
        let mut warnings = match self.mode {
            Mode::Cdc => self.look_at_captured(session).await?,
            _ => self.look_at_tracked(session).await?,
        };
        if Identity::of(session, self).await?.is_unknown() {
            warnings.push(Wanted::of(self).unknown());
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

    /// Change data capture; what works but should be otherwise.
    async fn look_at_captured(&self, session: &mut Session) -> Result<Vec<String>, Trouble> {
        let wanted = Wanted::of(self);
        let instance = wanted.find(session).await?;
        if self.first_load {
            self.may_load(session).await?;
            instance.order(self)?;
        }
        self.may_read(session, &wanted).await?;
        self.knows(&instance)?;
        let sql = Statements(session.dialect()).silence();
        let silence = session.ask(&sql, &sql, 1).await?;
        let warnings = [instance.warning(&wanted), silent(silence.only())];
        let warnings = warnings.into_iter().flatten();
        Ok(warnings.chain(instance.remarks(&wanted)).collect())
    }

    /// Change tracking; what works but should be otherwise.
    async fn look_at_tracked(&self, session: &mut Session) -> Result<Vec<String>, Trouble> {
        tracked(self, session).await?;
        self.may_load(session).await?;
        let sql = Statements(session.dialect()).has_snapshots();
        if session.ask(&sql, &sql, 1).await?.only() == Some("1") {
            return Ok(Vec::new());
        }
        let database = self.database.as_deref().unwrap_or("CURRENT");
        Ok(vec![format!(
            "the database allows no snapshots: a row that changes while it is read comes twice; let the DBA run ALTER DATABASE {} SET ALLOW_SNAPSHOT_ISOLATION ON;",
            Dialect::SqlServer.name(database)
        )])
    }

    /// Whether the table itself may be read.
    async fn may_load(&self, session: &mut Session) -> Result<(), Trouble> {
        let like = rights::like(session.dialect(), &self.from(session.dialect()));
        rights::described(session, self, &like).await.map(drop)
    }

    /// What records of changes have.
    pub(in super::super) async fn known_told(
        &self,
        session: &mut Session,
    ) -> Result<KnownShape, Trouble> {
        if self.mode == Mode::Cdc {
            let instance = Wanted::of(self).find(session).await?;
            let table = self.knows(&instance)?;
            return Ok(KnownShape {
                shape: table.shape,
                unsaid_of_deleted: Vec::new(),
                way_out: String::new(),
            });
        }
        let key = tracked(self, session).await?;
        let like = rights::like(session.dialect(), &self.from(session.dialect()));
        let page = rights::described(session, self, &like).await?;
        let table = table(self, &page, 0).map_err(Trouble::Person)?;
        let names = table.taken.iter().map(|column| column.name.clone());
        Ok(KnownShape {
            unsaid_of_deleted: names.filter(|name| !key.contains(name)).collect(),
            shape: table.shape,
            way_out: "write mode = \"cdc\", which has deleted rows whole".to_owned(),
        })
    }

    /// The columns that are captured, if those that are named are among them.
    fn knows(&self, instance: &Instance) -> Result<Table, Trouble> {
        let columns = instance.columns.iter().map(|name| Column {
            name: name.clone(),
            kind: Kind::Other,
        });
        let table = captured(self, &Page::new(columns.collect()), &instance.computed);
        table.map_err(Trouble::Person)
    }

    /// Asks for the newest change, if there is one.
    async fn may_read(&self, session: &mut Session, wanted: &Wanted<'_>) -> Result<(), Trouble> {
        let statements = Statements(session.dialect());
        let sql = statements.limits(wanted.capture);
        let page = session.ask(&sql, &sql, 1).await?;
        let lsn = |at| match page.rows() {
            0 => None,
            _ => page.get(0, at).and_then(Lsn::read),
        };
        let (Some(newest), Some(oldest)) = (lsn(0), lsn(1)) else {
            return Ok(());
        };
        if newest < oldest {
            return Ok(());
        }
        let sql = session.dialect().select(&Select {
            columns: "*",
            from: &statements.changes(wanted.capture, newest, newest),
            filter: "",
            order: "",
            rows: Some(1),
        });
        match session.ask(&sql, &sql, 1).await {
            Err(Trouble::Passing(said)) => Err(Trouble::Passing(format!(
                "{said}; let the DBA run {}",
                wanted.grant()
            ))),
            asked => asked.map(drop),
        }
    }
}

/// The key of a table that is tracked.
///
/// # Errors
/// A sentence with the statement that mends it.
pub(super) async fn tracked(
    config: &SqlConfig,
    session: &mut Session,
) -> Result<Vec<String>, Trouble> {
    let statements = Statements(session.dialect());
    let table = config.table.as_deref().unwrap_or_default();
    let sql = statements.tracks();
    let tracks = session.ask(&sql, &sql, 1).await?;
    if matches!(tracks.only(), None | Some("0")) {
        let database = config.database.as_deref().unwrap_or("CURRENT");
        return Err(Trouble::Passing(format!(
            "change tracking is off in this database: let the DBA run ALTER DATABASE {} SET CHANGE_TRACKING = ON (CHANGE_RETENTION = 7 DAYS, AUTO_CLEANUP = ON); and then ALTER TABLE {} ENABLE CHANGE_TRACKING;",
            Dialect::SqlServer.name(database),
            Dialect::SqlServer.table(table)
        )));
    }
    let sql = statements.versions(table);
    let page = session.ask(&sql, &sql, 1).await?;
    if page.rows() == 0 || page.get(0, 1).is_none() {
        return Err(not_tracked(config));
    }
    let sql = statements.key(table);
    let page = session.ask(&sql, &sql, 32).await?;
    let names = (0..page.rows()).filter_map(|row| page.get(row, 0));
    let names: Vec<_> = names.map(str::to_owned).collect();
    if names.is_empty() {
        return Err(Trouble::Passing(format!(
            "{table} has no primary key that may be seen; change tracking needs one: let the DBA run {}",
            Wanted::of(config).grant()
        )));
    }
    is_shown(config, &names)?;
    Ok(names)
}

/// That the table's changes are not tracked, or may not be seen.
pub(super) fn not_tracked(config: &SqlConfig) -> Trouble {
    let wanted = Wanted::of(config);
    let table = Dialect::SqlServer.table(wanted.table);
    let user = config.user.as_deref().unwrap_or("the flow's user");
    Trouble::Passing(format!(
        "the changes of {} are not tracked, or may not be seen: let the DBA run ALTER TABLE {table} ENABLE CHANGE_TRACKING; GRANT VIEW CHANGE TRACKING ON {table} TO {}; {}",
        wanted.table,
        Dialect::SqlServer.name(user),
        wanted.grant()
    ))
}
