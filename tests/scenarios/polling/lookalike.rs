//! What SQL Server says of changes, asked of tables and functions that look alike, by ODBC. It shows the agent's logic, and nothing of SQL Server.

mod captured;
mod checks;
mod order;
mod replay;
mod restored;
mod tracked;

use std::ops::Range;

use dray_tests::postgres;

use super::databases::with_server;

/// PostgreSQL with SQL Server's names.
struct LookAlike {
    server: postgres::Server,
}

impl LookAlike {
    fn start() -> Self {
        let server = postgres::Server::start();
        server.sql(include_str!("lookalike/server.sql"));
        Self { server }
    }

    fn run(&self, sql: &str) -> String {
        self.server.sql(sql)
    }

    fn source(&self, rest: &str) -> String {
        let (_, source) = with_server(
            &self.server.source(""),
            "kind = \"postgres\"\n",
            "",
            "Driver={PostgreSQL Unicode};Server=127.0.0.1;Database=wms;Port=",
        );
        format!("kind = \"sql\"\ndriver = \"odbc\"\n{source}every = \"50ms\"\n{rest}\n")
    }

    /// A flow's source that reads captured changes.
    fn captured(&self, rest: &str) -> String {
        self.source(&format!(
            "table = \"dbo.moved\"\nmode = \"cdc\"\ncapture = \"dbo_moved\"\n{rest}"
        ))
    }

    /// A flow's source that reads tracked changes.
    fn tracked(&self, rest: &str) -> String {
        self.source(&format!(
            "table = \"dbo.held\"\nmode = \"change-tracking\"\n{rest}"
        ))
    }

    /// Movements of these numbers, in one transaction: all have one LSN.
    fn insert(&self, ids: Range<u64>) {
        self.run(&format!(
            "INSERT INTO dbo.moved SELECT n, 'MV' || lpad(n::text, 10, '0'), 'SKU-' || n % 97, n % 1000 FROM generate_series({}::bigint, {}::bigint) n",
            ids.start,
            ids.end - 1
        ));
    }

    /// Lets the agent read the change table itself, and with it the order of operations.
    fn let_read_order(&self) {
        self.run("GRANT SELECT ON cdc.\"dbo_moved_CT\" TO dray");
    }

    /// Holds the capture job up where it stands, or lets it go on.
    fn hold(&self, is_held: bool) {
        let through = match is_held {
            true => "sys.fn_cdc_get_max_lsn()",
            false => "NULL",
        };
        self.run(&format!("UPDATE cdc.job SET through = {through}"));
    }
}
