//! Rows of a table, each event once: PostgreSQL, MariaDB, MySQL, SQLite.
//!
//! A delivery is one transaction: its events' marks go into the table `dray_delivered` of the same database, then the rows
//! of those that had no mark are written. So a delivery whose reply was lost, or after which dray was killed, changes
//! nothing when it comes again: the marks say what is in. While the transaction of a killed process still hangs on the
//! server, its marks hold the new one up until it ended either way.
//!
//! What is kept is a mark an event, by its id: keys finish out of order, and a dead letter may be retried after later
//! events of its key, so neither one offset a flow nor one a key would do. Marks go away once the flow's cursor on disk is
//! [`KEPT_BEHIND`] past them; only those of retried dead letters stay, a row each, and one a flow that says up to where
//! marks went.
//!
//! What is replayed is written by key whatever its mark says. Where rows are only added, its mark rules: with one it is
//! in, without one it is not, and of what is so old that its mark went nobody knows: that is refused.
//!
//! A row that the database refuses fails its whole transaction, and the engine unrolls the delivery to find it.

mod dialect;
mod fault;
mod fit;
mod look;
mod marks;
mod measured;
mod mysql;
mod plan;
mod postgres;
mod session;
mod sqlite;
mod way;

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use dray_proto::{FlowName, Offset};
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::{Connector, Delivery, Exchange, KEPT_BYTES_MAX, Promise, Rendered, Told, Verdict};
use crate::columns::{self, Columns};
use crate::config::TargetConfig;
use crate::config::sql::Server;
use crate::outcome::Outcome;

use fit::Fit;
use plan::{Act, Plan};
use session::{Session, Text};
use way::Way;

/// How far behind a flow's cursor marks are kept: what a collector whose store was set back a little sends again.
const KEPT_BEHIND: u64 = 10_000;
/// Events between two looks for marks that may go.
const FORGET_EVERY: u64 = 10_000;
/// Flows whose marks go at once: within the time of one delivery.
const FORGOTTEN_AT_ONCE: usize = 100;
/// An unused session is not used again after this: firewalls forget, servers end what says nothing.
const IDLE_MAX: Duration = Duration::from_secs(30);

/// See the module.
#[derive(Debug)]
struct Sql {
    way: Way,
    target: String,
    columns: Columns,
    plan: Plan,
    timeout: Duration,
    sessions_max: usize,
    idle: Mutex<Vec<Session>>,
    /// What the table's columns ask; `None`: look first.
    fits: tokio::sync::Mutex<Option<Arc<Vec<Fit>>>>,
    /// Flows whose cursor moved since marks were last taken away.
    settled: Mutex<HashMap<FlowName, Offset>>,
    marked: AtomicU64,
}

/// An event of a delivery.
#[derive(Debug)]
struct Row {
    flow: String,
    id: String,
    offset: u64,
    again: bool,
    /// Written whatever its mark says, where rows are found by key: then a second time changes nothing.
    replayed: bool,
    is_delete: bool,
    values: Vec<Text>,
}

/// The table's columns, as they are configured.
pub(super) fn columns(config: &TargetConfig) -> Result<Columns, String> {
    let sql = config.sql.as_ref().ok_or("sql: its table is missing")?;
    let sources = sql.columns.iter();
    let sources = sources.map(|(column, source)| (column.as_str(), source.as_str()));
    Columns::compile("sql.columns", sources, &config.vars, &config.bodies)
}

/// The connector of a target; reads its secret and authorities.
pub(super) fn build(config: &TargetConfig) -> Result<Arc<dyn Connector>, String> {
    let sql = config.sql.as_ref().ok_or("sql: its table is missing")?;
    let columns = columns(config)?;
    Ok(Arc::new(Sql {
        way: Way::new(config, sql)?,
        target: config.name.clone(),
        columns,
        plan: Plan::new(sql),
        timeout: config.timeout,
        sessions_max: config.concurrency,
        idle: Mutex::default(),
        fits: tokio::sync::Mutex::default(),
        settled: Mutex::default(),
        // The first look is soon: who is started often would never look.
        marked: AtomicU64::new(FORGET_EVERY),
    }))
}

impl Sql {
    async fn tell(&self, delivery: &Delivery) -> Told {
        let rows = match self.rows(delivery) {
            Ok(rows) => rows,
            Err(outcome) => return outcome.into(),
        };
        let done = match timeout(self.timeout, self.put(&rows, delivery.in_doubt)).await {
            Ok(done) => done,
            Err(_) => Err(Outcome::Unknown(format!(
                "the database did not finish within {:?}",
                self.timeout
            ))),
        };
        let outcome = match done {
            Ok(()) => Outcome::Done,
            Err(outcome) => outcome,
        };
        if matches!(outcome, Outcome::Misconfigured(_)) {
            // Somebody mends the table: look at it again, and forget statements of its old columns.
            *self.fits.lock().await = None;
            self.idle().clear();
        }
        let exchange = outcome
            .concerns_events()
            .then(|| self.exchange(delivery, &outcome));
        Told {
            kept: std::collections::BTreeMap::new(),
            verdict: Verdict::All(outcome),
            has_begun: false,
            exchange,
        }
    }

    /// The delivery's events.
    fn rows(&self, delivery: &Delivery) -> Result<Vec<Row>, Outcome> {
        let row = |piece: &super::Piece| {
            let event = self.columns.read(&delivery.body[piece.json.clone()])?;
            Ok(Row {
                flow: event.flow(),
                id: piece.id.to_string(),
                offset: event.offset(),
                again: piece.again,
                replayed: piece.replayed,
                is_delete: event.is_delete(),
                values: self.columns.values(&event)?,
            })
        };
        let rows: Result<_, crate::body::Poison> = delivery.events.iter().map(row).collect();
        rows.map_err(|poison| Outcome::Poison(poison.0))
    }

    async fn put(&self, rows: &[Row], in_doubt: bool) -> Result<(), Outcome> {
        let mut session = self.begin().await?;
        let fits = match self.fits(&mut session).await {
            Ok(fits) => fits,
            Err(outcome) => return Err(outcome),
        };
        let written = match self.write(&mut session, rows, &fits, in_doubt).await {
            Ok(()) => session.end("COMMIT").await.map_err(unknown),
            Err(outcome) => {
                session.end("ROLLBACK").await.map_err(|_| outcome.clone())?;
                Err(outcome)
            }
        };
        if written.is_ok() {
            self.forget(&mut session, rows.len() as u64).await;
        }
        if !matches!(written, Err(Outcome::Unknown(_) | Outcome::Auth(_))) {
            self.keep(session);
        }
        written.map_err(|outcome| self.advise(outcome))
    }

    /// A session in a transaction. One that was idle may have ended meanwhile: then a new one is made.
    async fn begin(&self) -> Result<Session, Outcome> {
        loop {
            let Some(mut session) = self.idle().pop() else {
                break;
            };
            if session.used.elapsed() < IDLE_MAX && session.begin().await.is_ok() {
                return Ok(session);
            }
        }
        let mut session = Session::open(&self.way, self.timeout).await?;
        session.begin().await?;
        Ok(session)
    }

    fn idle(&self) -> std::sync::MutexGuard<'_, Vec<Session>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn keep(&self, mut session: Session) {
        session.used = Instant::now();
        let mut idle = self.idle();
        if idle.len() < self.sessions_max {
            idle.push(session);
        }
    }

    /// Looked at once, outside of the delivery's transaction: MariaDB ends one with each CREATE.
    async fn fits(&self, session: &mut Session) -> Result<Arc<Vec<Fit>>, Outcome> {
        let mut fits = self.fits.lock().await;
        if let Some(fits) = &*fits {
            return Ok(Arc::clone(fits));
        }
        session.end("ROLLBACK").await?;
        let found = Arc::new(look::look(session, &self.way.config, &self.plan).await?);
        session.begin().await?;
        *fits = Some(Arc::clone(&found));
        Ok(found)
    }

    /// Marks, and the rows of what had no mark.
    async fn write(
        &self,
        session: &mut Session,
        rows: &[Row],
        fits: &[Fit],
        in_doubt: bool,
    ) -> Result<(), Outcome> {
        let fresh = match self.plan.server {
            Server::Mariadb | Server::Mysql => self.mark_unseen(session, rows, in_doubt).await?,
            Server::Postgres | Server::Sqlite => self.mark(session, rows).await?,
        };
        let finds_rows = !self.plan.shape.key.is_empty();
        if !finds_rows {
            self.refuse_unknown(session, rows, &fresh).await?;
        }
        let mut acts: Vec<Act> = Vec::with_capacity(rows.len());
        for row in rows {
            let is_again = row.replayed && finds_rows;
            if is_again || fresh.contains(&(row.flow.clone(), row.id.clone())) {
                let act = self.plan.act(row.is_delete, row.values.clone(), fits);
                acts.push(act.map_err(Outcome::Rejected)?);
            }
        }
        for call in self.plan.calls(acts) {
            session.run(&call.sql, call.texts).await?;
        }
        Ok(())
    }

    /// Takes marks away that nobody asks for any more. Where that fails they stay for the next time.
    async fn forget(&self, session: &mut Session, more: u64) {
        if self.marked.fetch_add(more, Relaxed) + more < FORGET_EVERY {
            return;
        }
        let all = std::mem::take(&mut *self.settled());
        let mut settled: Vec<_> = all.into_iter().collect();
        if settled.is_empty() {
            return;
        }
        let rest = settled.split_off(settled.len().min(FORGOTTEN_AT_ONCE));
        if rest.is_empty() {
            self.marked.store(0, Relaxed);
        }
        for (flow, through) in rest {
            self.settled().entry(flow).or_insert(through);
        }
        if let Err(outcome) = self.forget_flows(session, settled).await {
            tracing::debug!(?outcome, "marks of delivered events stay");
            let _ = session.end("ROLLBACK").await;
        }
    }

    async fn forget_flows(
        &self,
        session: &mut Session,
        settled: Vec<(FlowName, Offset)>,
    ) -> Result<(), Outcome> {
        session.begin().await?;
        for (flow, through) in settled {
            let through = through.0.saturating_sub(KEPT_BEHIND);
            if through == 0 {
                continue;
            }
            let texts = [&self.target, flow.as_str(), &through.to_string()];
            let texts = || texts.map(|text| Some(text.to_owned())).to_vec();
            for sql in [dialect::forget, dialect::keep_forgotten] {
                session.run(&sql(self.plan.server), texts()).await?;
            }
        }
        session.end("COMMIT").await
    }

    fn settled(&self) -> std::sync::MutexGuard<'_, HashMap<FlowName, Offset>> {
        self.settled.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What somebody can do, beside the server's words.
    fn advise(&self, outcome: Outcome) -> Outcome {
        let Outcome::Misconfigured(said) = outcome else {
            return outcome;
        };
        let (table, who) = (&self.plan.shape.table, look::who(&self.way.config));
        let key: Vec<_> = self.way.config.key.iter().map(String::as_str).collect();
        let words = said.to_lowercase();
        let way_out = if words.contains("denied") || words.contains("42501") {
            format!(
                "GRANT SELECT, INSERT, UPDATE, DELETE ON {table} TO {who}; GRANT SELECT, INSERT, DELETE ON dray_delivered TO {who}"
            )
        } else if words.contains("42p10") || words.contains("on conflict clause") {
            format!(
                "no unique index is on the key: CREATE UNIQUE INDEX ON {table} ({})",
                key.join(", ")
            )
        } else {
            return Outcome::Misconfigured(said);
        };
        Outcome::Misconfigured(format!("{said}; {way_out}"))
    }

    fn exchange(&self, delivery: &Delivery, outcome: &Outcome) -> Exchange {
        let cut = |mut text: String| {
            text.truncate(text.floor_char_boundary(KEPT_BYTES_MAX));
            text
        };
        let statement = dialect::write(self.plan.server, &self.plan.shape, 1);
        let values = delivery.events.first().and_then(|piece| {
            let event = self.columns.read(&delivery.body[piece.json.clone()]).ok()?;
            self.columns.values(&event).ok()
        });
        let said = match outcome {
            Outcome::Rejected(said) | Outcome::Poison(said) => said.clone(),
            other => format!("{other:?}"),
        };
        let values = serde_json::to_string(&values.unwrap_or_default()).unwrap_or_default();
        Exchange {
            request: cut(format!("{statement}\n{values}")),
            answer: cut(said),
        }
    }
}

impl Sql {
    /// What one event would do to the table, its values as they are before the table's types are looked at.
    fn rendered(&self, delivery: &Delivery) -> Result<Rendered, Outcome> {
        let row = self.rows(delivery)?.remove(0);
        let shape = &self.plan.shape;
        let fits = vec![Fit::Any; shape.columns.len()];
        let act = self.plan.act(row.is_delete, row.values, &fits);
        let key = || {
            let key = shape.key.iter();
            key.map(|column| shape.columns[*column].as_str()).collect()
        };
        let (statement, names, values): (_, Vec<&str>, _) = match act.map_err(Outcome::Rejected)? {
            Act::Write(values) => (
                dialect::write(self.plan.server, shape, 1),
                shape.columns.iter().map(String::as_str).collect(),
                values,
            ),
            Act::Delete(values) => (dialect::delete(self.plan.server, shape), key(), values),
            Act::Skip => {
                return Ok(Rendered {
                    request: String::new(),
                    document: None,
                });
            }
        };
        let shown = serde_json::to_string(&values).unwrap_or_default();
        Ok(Rendered {
            request: format!("{statement}\n{shown}"),
            document: Some(columns::document(names, values)),
        })
    }
}

impl Connector for Sql {
    fn deliver(self: Arc<Self>, delivery: Delivery) -> Promise<'static, Told> {
        Box::pin(async move { self.tell(&delivery).await })
    }

    fn render(self: Arc<Self>, delivery: Delivery) -> Promise<'static, Result<Rendered, Outcome>> {
        Box::pin(std::future::ready(self.rendered(&delivery)))
    }

    fn settled(&self, through: &[(FlowName, Offset)]) {
        self.settled().extend(through.iter().cloned());
    }

    fn knock(&self, wait: Duration) -> Promise<'_, bool> {
        Box::pin(async move {
            let Some(server) = self.way.config.server() else {
                return true;
            };
            matches!(timeout(wait, TcpStream::connect(server)).await, Ok(Ok(_)))
        })
    }
}

/// Whatever went wrong with a COMMIT: it may be in.
fn unknown(outcome: Outcome) -> Outcome {
    match outcome {
        // Constraints that are checked at the end: the transaction is gone.
        Outcome::Rejected(_) => outcome,
        Outcome::Transient(said) | Outcome::Misconfigured(said) => Outcome::Unknown(said),
        other => other,
    }
}
