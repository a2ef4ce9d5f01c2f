//! What is wrong with a configuration by itself.

use std::time::Duration;

use super::config::{Driver, Mode, SqlConfig};
use super::session::NO_ODBC;
use crate::server;

/// Between two questions, at least: each is a statement at somebody's database.
const EVERY_MIN: Duration = Duration::from_millis(50);
/// How long an answer may be waited for: in less no server answers surely, and nobody notices in more that it does not.
const ANSWER_LEAST: Duration = Duration::from_secs(1);
const ANSWER_MOST: Duration = Duration::from_secs(86_400);

impl SqlConfig {
    /// What is wrong with it by itself: the setting and a sentence.
    #[must_use]
    pub fn faults(&self) -> Vec<(String, String)> {
        let mut faults = Vec::new();
        let mut fault =
            |setting: &str, sentence: String| faults.push((setting.to_owned(), sentence));
        match (&self.table, &self.query) {
            (Some(_), Some(_)) => fault("query", "stands beside table; write one of them".into()),
            (None, None) => fault(
                "table",
                "is missing; write e.g. table = \"stock_change\"".into(),
            ),
            (None, Some(_)) if self.record_type.is_none() => fault(
                "record_type",
                "is missing: it names the records of query; write e.g. record_type = \"stock\""
                    .into(),
            ),
            _ => {}
        }
        for (setting, text) in [("table", &self.table), ("query", &self.query)] {
            if text.as_ref().is_some_and(|text| text.trim().is_empty()) {
                fault(setting, "is empty".into());
            }
        }
        if self.query.as_ref().is_some_and(|query| query.contains(';')) {
            fault(
                "query",
                "holds a semicolon; write one SELECT without it".into(),
            );
        }
        if self.id.is_empty() && !self.mode.is_told() {
            fault(
                "id",
                "is missing: it names the column that tells rows apart; write e.g. id = \"id\""
                    .into(),
            );
        }
        if self.every() < EVERY_MIN {
            fault("every", format!("is less than {EVERY_MIN:?}"));
        }
        if !(ANSWER_LEAST..=ANSWER_MOST).contains(&self.answer_max) {
            fault(
                "answer_max",
                format!("is not between {ANSWER_LEAST:?} and {ANSWER_MOST:?}"),
            );
        }
        if let Some(op) = &self.op
            && [&op.create, &op.update, &op.delete]
                .iter()
                .all(|codes| codes.is_empty())
        {
            fault(
                "op",
                "names no codes; write e.g. create = [\"I\"], update = [\"U\"], delete = [\"D\"]"
                    .into(),
            );
        }
        faults.extend(self.faults_of_mode());
        faults.extend(self.faults_of_told());
        faults.extend(self.faults_of_driver());
        faults
    }

    /// What each mode needs, and what says nothing in it.
    fn faults_of_mode(&self) -> Vec<(String, String)> {
        let mode = self.mode;
        let name = mode.name();
        let needed: [(&str, bool, Mode, &str); 3] = [
            (
                "transaction",
                self.transaction.is_some(),
                Mode::Fence,
                "transaction = \"written_by\", a column of the type xid8 with DEFAULT pg_current_xact_id()",
            ),
            (
                "changed",
                self.changed.is_some(),
                Mode::Timestamp,
                "changed = { column = \"changed_at\", lag = \"5s\" }",
            ),
            (
                "processed",
                self.processed.is_some(),
                Mode::MarkProcessed,
                "processed = { column = \"state\", unread = \"N\", done = \"P\" }",
            ),
        ];
        let mut faults = Vec::new();
        for (setting, is_there, of, example) in needed {
            match (is_there, mode == of) {
                (false, true) => {
                    let sentence =
                        format!("is missing: mode = \"{name}\" needs it; write e.g. {example}");
                    faults.push((setting.to_owned(), sentence));
                }
                (true, false) => {
                    let sentence = format!("says nothing where mode = \"{name}\"; leave it out");
                    faults.push((setting.to_owned(), sentence));
                }
                _ => {}
            }
        }
        let found_by = [
            Some(&self.id),
            self.version.as_ref(),
            self.transaction.as_ref(),
            self.changed.as_ref().map(|changed| &changed.column),
        ];
        for name in found_by.into_iter().flatten() {
            if self.mask.contains_key(name) {
                let sentence = format!(
                    "hides {name}, by which rows are found: it stands as it is in the flow's position, on the disk; let a query make another id"
                );
                faults.push(("mask".to_owned(), sentence));
            }
        }
        if mode.writes() && self.query.is_some() {
            let sentence =
                format!("can't be marked or deleted, as mode = \"{name}\" does; write table");
            faults.push(("query".to_owned(), sentence));
        }
        if mode == Mode::MarkProcessed
            && let Some(processed) = &self.processed
            && processed.unread.as_ref() == Some(&processed.done)
        {
            let sentence = "unread and done are the same: every row would come again and again";
            faults.push(("processed".to_owned(), sentence.to_owned()));
        }
        if self.accepted_timeline.is_some() && mode != Mode::Fence {
            let sentence = format!("says nothing where mode = \"{name}\"; leave it out");
            faults.push(("accepted_timeline".to_owned(), sentence));
        }
        if mode == Mode::Overlap && self.transaction_max < EVERY_MIN {
            let sentence = format!(
                "is less than {EVERY_MIN:?}; write how long a transaction may take, and more"
            );
            faults.push(("transaction_max".to_owned(), sentence));
        }
        faults
    }

    /// What the modes need in which SQL Server says what changed, and what says nothing in them or elsewhere.
    fn faults_of_told(&self) -> Vec<(String, String)> {
        let mut faults = Vec::new();
        let mut fault =
            |setting: &str, sentence: String| faults.push((setting.to_owned(), sentence));
        let (mode, name) = (self.mode, self.mode.name());
        if mode == Mode::Cdc && self.capture.as_deref().is_none_or(str::is_empty) {
            fault(
                "capture",
                "is missing: it names the capture instance; write e.g. capture = \"dbo_stock\""
                    .into(),
            );
        }
        if mode.is_told() {
            if !matches!(self.driver, Driver::SqlServer | Driver::Odbc) {
                let sentence = format!(
                    "\"{name}\" is SQL Server's: write driver = \"sqlserver\" or \"odbc\", or for another database its own kind or mode"
                );
                fault("mode", sentence);
            }
            if self
                .table
                .as_deref()
                .is_some_and(|table| table.split('.').count() != 2)
            {
                fault(
                    "table",
                    "is to be written with its schema, e.g. table = \"dbo.stock\"".into(),
                );
            }
        }
        let says_nothing = [
            ("capture", self.capture.is_some(), mode != Mode::Cdc),
            ("on_gap", self.on_gap.is_some(), !mode.is_told()),
            ("query", self.query.is_some(), mode.is_told()),
            ("op", self.op.is_some(), mode.is_told()),
            ("version", self.version.is_some(), mode.is_told()),
            ("id", !self.id.is_empty(), mode == Mode::ChangeTracking),
        ];
        for (setting, is_there, is_useless) in says_nothing {
            if is_there && is_useless {
                fault(
                    setting,
                    format!("says nothing where mode = \"{name}\"; leave it out"),
                );
            }
        }
        faults
    }

    fn faults_of_driver(&self) -> Vec<(String, String)> {
        let file = ("file", self.file.is_some());
        let host = ("host", self.host.is_some());
        let database = ("database", self.database.is_some());
        let user = ("user", self.user.is_some());
        let connection = ("connection", self.connection.is_some());
        let tls = ("tls", self.tls.is_some());
        let (needs, knows_not) = match self.driver {
            Driver::Sqlite => (vec![file], vec![host, database, user, connection, tls]),
            Driver::Postgres | Driver::Mysql | Driver::SqlServer => {
                (vec![host, database, user], vec![file, connection])
            }
            Driver::Odbc => (vec![connection], vec![file, host, tls]),
        };
        let mut faults = Vec::new();
        if self.driver == Driver::Odbc && cfg!(not(feature = "odbc")) {
            faults.push(("driver".to_owned(), NO_ODBC.to_owned()));
        }
        for (setting, is_there) in needs {
            if !is_there {
                let example = match setting {
                    "file" => "file = \"/var/lib/wms/wms.db\"",
                    "host" => "host = \"127.0.0.1\"",
                    "database" => "database = \"wms\"",
                    "user" => "user = \"dray\"",
                    _ => {
                        "connection = \"Driver={ODBC Driver 18 for SQL Server};Server=127.0.0.1;Database=wms\""
                    }
                };
                let sentence = format!("is missing; write e.g. {example}");
                faults.push((setting.to_owned(), sentence));
            }
        }
        for (setting, is_there) in knows_not {
            if is_there {
                let sentence = "says nothing to this driver; leave it out".to_owned();
                faults.push((setting.to_owned(), sentence));
            }
        }
        if let (Driver::Postgres | Driver::Mysql | Driver::SqlServer, Some(host)) =
            (self.driver, &self.host)
        {
            faults.extend(server::faults(host, self.tls.as_ref(), self.in_clear_text));
        }
        let is_secret = |text: &String| {
            let lower = text.to_ascii_lowercase().replace(' ', "");
            lower.contains("pwd=") || lower.contains("password=")
        };
        if self.connection.as_ref().is_some_and(is_secret) {
            let sentence =
                "holds a password; put it into the first line of a file and write password_file";
            faults.push(("connection".to_owned(), sentence.to_owned()));
        }
        faults
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn faults(text: &str) -> String {
        let config: SqlConfig = toml::from_str(&format!("kind = 'sql'\nid = 'id'\n{text}"))
            .unwrap_or_else(|error| panic!("{error}: {text}"));
        let faults = config.faults();
        let told: Vec<_> = faults
            .iter()
            .map(|(setting, said)| format!("{setting}: {said}"))
            .collect();
        told.join("; ")
    }

    #[test]
    fn what_is_wrong_by_itself_is_told_with_its_setting() {
        let sqlite = "driver = 'sqlite'\nfile = 'f'\n";
        let mysql = "driver = 'mysql'\ndatabase = 'wms'\nuser = 'dray'\n";
        let overlap = "table = 't'\nmode = 'overlap'\n";
        for (head, rest, expected) in [
            (sqlite, overlap, ""),
            (mysql, &*format!("host = '::1'\n{overlap}"), ""),
            (
                mysql,
                &*format!("host = 'db'\ntls = {{ ca_file = 'ca' }}\n{overlap}"),
                "",
            ),
            (
                mysql,
                &*format!("host = 'db'\n{overlap}"),
                "host: \"db\" is another machine",
            ),
            (mysql, overlap, "host: is missing"),
            (sqlite, "mode = 'overlap'\n", "table: is missing"),
            (
                sqlite,
                "query = 'SELECT 1'\nmode = 'overlap'\n",
                "record_type: is missing",
            ),
            (
                sqlite,
                "table = 't'\nmode = 'timestamp'\n",
                "changed: is missing",
            ),
            (
                sqlite,
                "table = 't'\nmode = 'fence'\n",
                "transaction: is missing",
            ),
            (
                sqlite,
                "table = 't'\nmode = 'mark-processed'\n",
                "processed: is missing",
            ),
            (
                sqlite,
                "table = 't'\nmode = 'overlap'\nprocessed = { column = 'c', done = 'P' }\n",
                "processed: says nothing",
            ),
            (
                sqlite,
                "table = 't'\nmode = 'mark-processed'\nprocessed = { column = 'c', unread = 'P', done = 'P' }\n",
                "processed: unread and done are the same",
            ),
            (
                sqlite,
                "query = 'SELECT 1'\nrecord_type = 't'\nmode = 'delete-after-read'\n",
                "query: can't be marked",
            ),
            #[cfg(feature = "odbc")]
            (
                "driver = 'odbc'\nconnection = 'DSN=wms;PWD=secret'\n",
                overlap,
                "connection: holds a password",
            ),
            #[cfg(not(feature = "odbc"))]
            (
                "driver = 'odbc'\nconnection = 'DSN=wms'\n",
                overlap,
                "driver: this agent was built without ODBC",
            ),
            (
                "driver = 'postgres'\nhost = 'db'\ndatabase = 'wms'\nuser = 'dray'\ntls = { ca_file = 'ca' }\n",
                overlap,
                "",
            ),
            (
                "driver = 'postgres'\nhost = '/run'\ndatabase = 'wms'\nuser = 'dray'\ntls = { ca_file = 'ca' }\n",
                overlap,
                "tls: a socket has none",
            ),
            (
                "driver = 'sqlserver'\nhost = 'db'\ndatabase = 'wms'\nuser = 'dray'\n",
                overlap,
                "host: \"db\" is another machine",
            ),
            (
                "driver = 'sqlserver'\nhost = '::1'\ndatabase = 'wms'\nuser = 'dray'\n",
                "table = 'dbo.t'\nmode = 'cdc'\ncapture = 'dbo_t'\non_gap = 'load-again'\n",
                "",
            ),
            (
                "driver = 'sqlserver'\nhost = '::1'\ndatabase = 'wms'\nuser = 'dray'\n",
                "table = 't'\nmode = 'cdc'\n",
                "capture: is missing: it names the capture instance; write e.g. capture = \"dbo_stock\"; table: is to be written with its schema",
            ),
            (
                "driver = 'sqlserver'\nhost = '::1'\ndatabase = 'wms'\nuser = 'dray'\n",
                "table = 'dbo.t'\nmode = 'change-tracking'\n",
                "id: says nothing",
            ),
            (
                sqlite,
                "table = 'dbo.t'\nmode = 'cdc'\ncapture = 'dbo_t'\n",
                "mode: \"cdc\" is SQL Server's",
            ),
            (
                sqlite,
                "table = 't'\nmode = 'overlap'\nanswer_max = '500ms'\n",
                "answer_max: is not between 1s and 86400s",
            ),
            (
                sqlite,
                "table = 't'\nmode = 'overlap'\non_gap = 'go-on'\n",
                "on_gap: says nothing",
            ),
        ] {
            let told = faults(&format!("{head}{rest}"));
            assert!(
                told.starts_with(expected) && told.is_empty() == expected.is_empty(),
                "{head}{rest}: {told}"
            );
        }
    }
}
