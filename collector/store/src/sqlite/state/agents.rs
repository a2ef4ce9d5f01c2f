//! Who may send: one-use tokens, and the agents that used one.

use rusqlite::{Connection, OptionalExtension as _, params};

use super::State;
use super::audit::begin;
use crate::api::{Agent, StoreError};

impl State {
    pub(crate) fn add_token(
        &self,
        secret_sha256: &str,
        site: &str,
        ends_s: i64,
    ) -> Result<(), StoreError> {
        self.ask(|connection| {
            connection.execute(
                "INSERT INTO token VALUES (?1, ?2, ?3)",
                params![secret_sha256, site, ends_s],
            )
        })
        .map(drop)
    }

    pub(crate) fn token_site(
        &self,
        secret_sha256: &str,
        now_s: i64,
    ) -> Result<Option<String>, StoreError> {
        self.ask(|connection| token_site(connection, secret_sha256, now_s))
    }

    pub(crate) fn enrol(
        &self,
        secret_sha256: &str,
        now_s: i64,
        mut agent: Agent,
    ) -> Result<Option<Agent>, StoreError> {
        self.ask(|connection| {
            let transaction = begin(connection)?;
            let Some(site) = token_site(&transaction, secret_sha256, now_s)? else {
                return Ok(None);
            };
            transaction.execute(
                "DELETE FROM token WHERE secret_sha256 = ?1 OR ends_s <= ?2",
                params![secret_sha256, now_s],
            )?;
            agent.site = site;
            put_agent(&transaction, &agent)?;
            transaction.commit()?;
            Ok(Some(agent))
        })
    }

    pub(crate) fn agents(&self) -> Result<Vec<Agent>, StoreError> {
        self.ask(|connection| {
            let mut statement = connection.prepare_cached(
                "SELECT agent, site, key_sha256, certificate_ends_s, revoked, last_seen_s, version FROM agent ORDER BY site, agent",
            )?;
            let rows = statement.query_map([], |row| {
                Ok(Agent {
                    agent: row.get(0)?,
                    site: row.get(1)?,
                    key_sha256: row.get(2)?,
                    certificate_ends_s: row.get(3)?,
                    revoked: row.get(4)?,
                    last_seen_s: row.get(5)?,
                    version: row.get(6)?,
                })
            })?;
            rows.collect()
        })
    }

    pub(crate) fn saw_agent(
        &self,
        agent: &str,
        last_seen_s: i64,
        version: Option<&str>,
    ) -> Result<(), StoreError> {
        self.ask(|connection| {
            connection
                .prepare_cached("UPDATE agent SET last_seen_s = ?2, version = coalesce(?3, version) WHERE agent = ?1")?
                .execute(params![agent, last_seen_s, version])
        })
        .map(drop)
    }

    pub(crate) fn renew_agent(
        &self,
        agent: &str,
        key_sha256: &str,
        ends_s: i64,
    ) -> Result<bool, StoreError> {
        self.ask(|connection| {
            connection.execute(
                "UPDATE agent SET certificate_ends_s = ?3 WHERE agent = ?1 AND key_sha256 = ?2 AND revoked = 0",
                params![agent, key_sha256, ends_s],
            )
        })
        .map(|changed| changed > 0)
    }

    pub(crate) fn revoke_agent(&self, agent: &str) -> Result<bool, StoreError> {
        self.ask(|connection| {
            connection.execute("UPDATE agent SET revoked = 1 WHERE agent = ?1", [agent])
        })
        .map(|changed| changed > 0)
    }
}

fn token_site(
    connection: &Connection,
    secret_sha256: &str,
    now_s: i64,
) -> rusqlite::Result<Option<String>> {
    connection
        .prepare_cached("SELECT site FROM token WHERE secret_sha256 = ?1 AND ends_s > ?2")?
        .query_row(params![secret_sha256, now_s], |row| row.get(0))
        .optional()
}

fn put_agent(connection: &Connection, agent: &Agent) -> rusqlite::Result<()> {
    let mut statement = connection
        .prepare_cached("INSERT OR REPLACE INTO agent VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)")?;
    statement.execute(params![
        agent.agent,
        agent.site,
        agent.key_sha256,
        agent.certificate_ends_s,
        agent.revoked,
        agent.last_seen_s,
        agent.version
    ])?;
    Ok(())
}
