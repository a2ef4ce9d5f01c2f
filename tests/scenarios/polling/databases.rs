//! The same table of movements in each database, and what its writers do there.

use std::ops::Range;
use std::path::PathBuf;

use dray_tests::{mariadb, postgres};
use rusqlite::Connection;
use tempfile::TempDir;

use crate::PATIENCE;

/// A database with a table `moved`.
pub(super) enum Database {
    Sqlite(PathBuf, Box<Connection>),
    Postgres(Box<postgres::Server>),
    Maria(Box<mariadb::Server>),
}

/// How the agent reads it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum By {
    ItsOwnDriver,
    Odbc,
}

impl Database {
    pub(super) fn sqlite(folder: &TempDir) -> Self {
        let file = folder.path().join("wms.db");
        let connection = Connection::open(&file).expect("a database");
        connection.busy_timeout(PATIENCE).expect("a limit");
        let made = Self::Sqlite(file, Box::new(connection));
        made.run("PRAGMA journal_mode = WAL");
        made.make("moved");
        made
    }

    pub(super) fn postgres() -> Self {
        let mut server = postgres::Server::start();
        server.sql("ALTER SYSTEM SET max_prepared_transactions = 64");
        server.crash();
        let made = Self::Postgres(Box::new(server));
        made.make("moved");
        made
    }

    pub(super) fn maria() -> Self {
        let made = Self::Maria(Box::new(mariadb::Server::start()));
        made.make("moved");
        made
    }

    /// Another one of the table.
    pub(super) fn make(&self, name: &str) {
        self.run(&match self {
            Self::Sqlite(..) => format!(
                "CREATE TABLE {name} (id INTEGER PRIMARY KEY, number TEXT NOT NULL, sku TEXT, quantity NUMERIC, state TEXT DEFAULT 'N', version INTEGER DEFAULT 1, changed_at TEXT DEFAULT CURRENT_TIMESTAMP)"
            ),
            Self::Postgres(_) => format!(
                "CREATE TABLE {name} (id bigint PRIMARY KEY, number text NOT NULL, sku text, quantity numeric(12,3), state text DEFAULT 'N', version integer DEFAULT 1, changed_at timestamptz DEFAULT clock_timestamp(), written_by xid8 DEFAULT pg_current_xact_id()); \
                 CREATE INDEX ON {name} (written_by, id); GRANT SELECT ON {name} TO dray"
            ),
            Self::Maria(_) => format!(
                "CREATE TABLE wms.{name} (id bigint PRIMARY KEY, number varchar(20) NOT NULL, sku varchar(20), quantity decimal(12,3), state char(1) DEFAULT 'N', version int DEFAULT 1, changed_at timestamp(6) DEFAULT current_timestamp(6))"
            ),
        });
    }

    /// Lets the agent's role mark and delete rows.
    pub(super) fn let_write(&self, name: &str) {
        match self {
            Self::Sqlite(..) => {}
            Self::Postgres(_) => {
                self.run(&format!("GRANT UPDATE (state), DELETE ON {name} TO dray"))
            }
            Self::Maria(_) => self.run(&format!(
                "GRANT UPDATE, DELETE ON wms.{name} TO dray@'127.0.0.1'"
            )),
        }
    }

    /// The time so many seconds ago, as SQL.
    pub(super) fn ago(&self, seconds: u64) -> String {
        match self {
            Self::Sqlite(..) => {
                format!("strftime('%Y-%m-%d %H:%M:%S', 'now', '-{seconds} seconds')")
            }
            Self::Postgres(_) => format!("now() - interval '{seconds} s'"),
            Self::Maria(_) => format!("now(6) - interval {seconds} second"),
        }
    }

    /// kill -9 of its server, and a start.
    pub(super) fn crash(&mut self) {
        match self {
            Self::Sqlite(..) => panic!("a file has no server"),
            Self::Postgres(server) => server.crash(),
            Self::Maria(server) => server.crash(),
        }
    }

    /// PostgreSQL's server.
    pub(super) fn server(&mut self) -> Option<&mut postgres::Server> {
        match self {
            Self::Postgres(server) => Some(server),
            _ => None,
        }
    }

    /// What its owner is told.
    pub(super) fn ask(&self, sql: &str) -> String {
        match self {
            Self::Sqlite(_, connection) => {
                let asked =
                    connection.query_row(sql, [], |row| row.get::<_, rusqlite::types::Value>(0));
                match asked.unwrap_or_else(|error| panic!("{sql}: {error}")) {
                    rusqlite::types::Value::Integer(number) => number.to_string(),
                    rusqlite::types::Value::Text(text) => text,
                    other => format!("{other:?}"),
                }
            }
            Self::Postgres(server) => server.sql(sql),
            Self::Maria(server) => server.sql(&format!("USE wms; {sql}")),
        }
    }

    pub(super) fn run(&self, sql: &str) {
        match self {
            Self::Sqlite(_, connection) => connection
                .execute_batch(sql)
                .unwrap_or_else(|error| panic!("{sql}: {error}")),
            _ => {
                self.ask(sql);
            }
        }
    }

    fn insert_sql(&self, table: &str, ids: &Range<u64>) -> String {
        let (first, last) = (ids.start, ids.end - 1);
        let (number, sku, numbers) = match self {
            Self::Sqlite(..) => (
                "printf('MV%010d', n)",
                "'SKU-' || (n % 97)",
                format!(
                    "(WITH RECURSIVE s(n) AS (SELECT {first} UNION ALL SELECT n + 1 FROM s WHERE n < {last}) SELECT n FROM s)"
                ),
            ),
            Self::Postgres(_) => (
                "'MV' || lpad(n::text, 10, '0')",
                "'SKU-' || n % 97",
                format!("generate_series({first}::bigint, {last}::bigint) AS s(n)"),
            ),
            Self::Maria(_) => (
                "CONCAT('MV', LPAD(n, 10, '0'))",
                "CONCAT('SKU-', n % 97)",
                format!("(SELECT seq AS n FROM wms.seq_{first}_to_{last}) s"),
            ),
        };
        format!(
            "INSERT INTO {table} (id, number, sku, quantity) SELECT n, {number}, {sku}, n % 1000 FROM {numbers}"
        )
    }

    /// Movements of these ids, in one transaction.
    pub(super) fn insert(&self, ids: Range<u64>) {
        self.insert_into("moved", ids);
    }

    pub(super) fn insert_into(&self, table: &str, ids: Range<u64>) {
        self.run(&self.insert_sql(table, &ids));
    }

    /// The same, committed later: [`Self::end`].
    pub(super) fn begin(&self, name: &str, sql: &str) {
        match self {
            Self::Sqlite(..) => panic!("a file has one writer"),
            Self::Postgres(_) => {
                self.run(&format!("BEGIN; {sql}; PREPARE TRANSACTION '{name}'"));
            }
            Self::Maria(_) => {
                self.run(&format!(
                    "XA START '{name}'; {sql}; XA END '{name}'; XA PREPARE '{name}'"
                ));
            }
        }
    }

    pub(super) fn begin_insert(&self, name: &str, ids: Range<u64>) {
        self.begin(name, &self.insert_sql("moved", &ids));
    }

    /// Commits it, or rolls it back.
    pub(super) fn end(&self, name: &str, commits: bool) {
        let verb = if commits { "COMMIT" } else { "ROLLBACK" };
        match self {
            Self::Maria(_) => self.run(&format!("XA {verb} '{name}'")),
            _ => self.run(&format!("{verb} PREPARED '{name}'")),
        }
    }

    /// The lines of a flow's source that reads the table, but for the mode.
    pub(super) fn source(&self, by: By) -> String {
        let (own, odbc) = match self {
            Self::Sqlite(file, _) => (
                format!("driver = \"sqlite\"\nfile = \"{}\"\n", file.display()),
                format!(
                    "connection = \"Driver=SQLite3;Database={}\"\n",
                    file.display()
                ),
            ),
            Self::Postgres(server) => with_server(
                &server.source(""),
                "kind = \"postgres\"\n",
                "driver = \"postgres\"\n",
                "Driver={PostgreSQL Unicode};Server=127.0.0.1;Database=wms;Port=",
            ),
            Self::Maria(server) => with_server(
                &server.source(""),
                "kind = \"mariadb\"\n",
                "driver = \"mysql\"\ndatabase = \"wms\"\n",
                "Driver={MariaDB Unicode};Server=127.0.0.1;Database=wms;Port=",
            ),
        };
        let driver = match by {
            By::ItsOwnDriver => own,
            By::Odbc => format!("driver = \"odbc\"\n{odbc}"),
        };
        format!("kind = \"sql\"\n{driver}every = \"50ms\"\n")
    }

    pub(super) fn moved(&self, by: By, mode: &str) -> String {
        self.reads(by, "moved", mode)
    }

    pub(super) fn reads(&self, by: By, table: &str, mode: &str) -> String {
        format!(
            "{}table = \"{table}\"\nid = \"id\"\n{mode}\n",
            self.source(by)
        )
    }
}

/// The source of a server's log made one of its table: by its own driver, and by ODBC.
pub(super) fn with_server(log: &str, kind: &str, driver: &str, odbc: &str) -> (String, String) {
    let (head, _) = log.split_once("[[").expect("tables");
    let head = head.replace(kind, "");
    let line = |name: &str| {
        let lines = head.lines();
        let found = { lines }.find(|line| line.starts_with(name));
        found.unwrap_or_default().to_owned()
    };
    let port = line("port").replace("port = ", "");
    (
        format!("{driver}{head}"),
        format!(
            "connection = \"{odbc}{port}\"\n{}\n{}\n",
            line("user"),
            line("password_file")
        ),
    )
}
