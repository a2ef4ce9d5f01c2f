//! A file of SQLite.

use super::Server;

pub struct Sqlite(tempfile::TempDir);

impl Sqlite {
    pub fn make() -> Self {
        let made = Self(tempfile::tempdir().expect("a folder"));
        made.sql("PRAGMA journal_mode = WAL");
        made
    }

    pub fn file(&self) -> std::path::PathBuf {
        self.0.path().join("erp.db")
    }
}

impl Server for Sqlite {
    /// There is none: who writes is the target itself.
    fn crash(&mut self) {}

    fn sql(&self, sql: &str) -> String {
        use rusqlite::types::Value;
        let connection = rusqlite::Connection::open(self.file()).expect("a file");
        let wait = std::time::Duration::from_secs(20);
        connection.busy_timeout(wait).expect("a time");
        let mut statement = connection.prepare(sql).expect(sql);
        let columns = statement.column_count();
        let text = |value: Value| match value {
            Value::Text(text) => text,
            Value::Integer(number) => number.to_string(),
            Value::Real(number) => number.to_string(),
            Value::Null => String::new(),
            Value::Blob(bytes) => format!("{bytes:?}"),
        };
        let rows = statement.query_map([], |row| {
            let texts: Result<Vec<_>, _> = (0..columns).map(|at| row.get(at).map(text)).collect();
            Ok(texts?.join("|"))
        });
        let rows: Result<Vec<_>, _> = rows.expect(sql).collect();
        rows.expect(sql).join("\n")
    }

    fn hand_over(&self) {}

    /// A CHECK cannot be taken away: the table is made anew.
    fn widen(&self) {
        self.sql("CREATE TABLE wide (sku PRIMARY KEY, qty, moved_at, note)");
        self.sql("INSERT INTO wide SELECT * FROM stock");
        self.sql("DROP TABLE stock");
        self.sql("ALTER TABLE wide RENAME TO stock");
    }

    fn table(&self) -> String {
        format!(
            "[sql]\nserver = \"sqlite\"\nfile = \"{}\"\n",
            self.file().display()
        )
    }
}
