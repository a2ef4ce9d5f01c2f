//! Texts of SQL, as each database reads them: names and values are put into them quoted.

use super::value::Kind;

/// Whose SQL it is.
#[cfg_attr(
    not(any(test, feature = "odbc")),
    expect(dead_code, reason = "ODBC alone reaches some")
)]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Dialect {
    Sqlite,
    Postgres,
    /// And MariaDB.
    Mysql,
    SqlServer,
    Oracle,
    Db2,
    /// What ODBC and the standard say.
    Other,
}

/// Rows that are asked for.
#[derive(Debug, Clone, Copy)]
pub(super) struct Select<'s> {
    /// A list, or `*`.
    pub(super) columns: &'s str,
    pub(super) from: &'s str,
    /// Empty: all.
    pub(super) filter: &'s str,
    /// Empty: in no order.
    pub(super) order: &'s str,
    /// So many at most.
    pub(super) rows: Option<usize>,
}

impl Dialect {
    /// By what an ODBC driver says of its database.
    #[cfg(any(test, feature = "odbc"))]
    pub(super) fn of(database: &str) -> Self {
        let lower = database.to_ascii_lowercase();
        let is = |name: &str| lower.contains(name);
        match () {
            () if is("postgres") => Self::Postgres,
            () if is("mysql") || is("mariadb") => Self::Mysql,
            () if is("sqlite") => Self::Sqlite,
            () if is("microsoft sql server") => Self::SqlServer,
            () if is("oracle") => Self::Oracle,
            () if is("db2") => Self::Db2,
            () => Self::Other,
        }
    }

    /// A column's name, as it is.
    pub(super) fn name(self, text: &str) -> String {
        let (open, close) = match self {
            Self::Mysql => ('`', '`'),
            Self::SqlServer => ('[', ']'),
            _ => ('"', '"'),
        };
        let doubled = text.replace(close, &format!("{close}{close}"));
        format!("{open}{doubled}{close}")
    }

    /// A table's name, with its schema if it has one.
    pub(super) fn table(self, text: &str) -> String {
        let parts: Vec<_> = text.split('.').map(|part| self.name(part)).collect();
        parts.join(".")
    }

    /// A value of a column that holds such.
    ///
    /// # Errors
    /// A sentence: it is none.
    pub(super) fn value(self, kind: Kind, text: &str) -> Result<String, String> {
        match kind {
            Kind::Integer | Kind::Decimal if is_number(text) => Ok(text.to_owned()),
            Kind::Integer | Kind::Decimal => Err(format!("\"{text}\" is no number")),
            Kind::Bytes => self.bytes(text),
            Kind::Time | Kind::TimeUtc => Ok(self.time(text)),
            _ => Ok(self.text(text)),
        }
    }

    fn text(self, text: &str) -> String {
        // A backslash is one or is not, as the server's sql_mode says.
        if self == Self::Mysql && text.contains('\\') {
            return format!("_utf8mb4 X'{}'", hex::encode(text));
        }
        // Without the N, SQL Server makes question marks of letters that its collation lacks; with it, an index on a varchar may be of no use.
        let national = match self {
            Self::SqlServer if !text.is_ascii() => "N",
            _ => "",
        };
        format!("{national}'{}'", text.replace('\'', "''"))
    }

    fn time(self, text: &str) -> String {
        match self {
            Self::Sqlite | Self::Postgres | Self::Mysql => self.text(text),
            Self::SqlServer => self.server_time(text),
            // ODBC's own notation, which a driver turns into its database's.
            _ => format!("{{ts {}}}", self.text(&text.replace('T', " "))),
        }
    }

    /// The T keeps a session's DATEFORMAT out of it. A text is made what the column is, and `datetime` takes three digits at most.
    fn server_time(self, text: &str) -> String {
        let text = self.text(&text.replacen(' ', "T", 1));
        match text.rsplit_once('.') {
            Some((_, digits)) if digits.len() > "123'".len() => {
                format!("CAST({text} AS datetime2(7))")
            }
            _ => text,
        }
    }

    fn bytes(self, text: &str) -> Result<String, String> {
        let digits = text.strip_prefix("\\x").unwrap_or(text);
        if hex::decode(digits).is_err() {
            return Err(format!("\"{text}\" are no bytes"));
        }
        Ok(match self {
            Self::Postgres => format!("'\\x{digits}'::bytea"),
            Self::SqlServer => format!("0x{digits}"),
            Self::Oracle => format!("HEXTORAW('{digits}')"),
            _ => format!("X'{digits}'"),
        })
    }

    /// Asks for rows.
    pub(super) fn select(self, wanted: &Select<'_>) -> String {
        let part = |word: &str, text: &str| match text {
            "" => String::new(),
            text => format!(" {word} {text}"),
        };
        let Select { columns, from, .. } = wanted;
        let (top, limit) = match (self, wanted.rows) {
            (_, None) => (String::new(), String::new()),
            (Self::SqlServer, Some(rows)) => (format!("TOP ({rows}) "), String::new()),
            (Self::Sqlite | Self::Postgres | Self::Mysql, Some(rows)) => {
                (String::new(), format!(" LIMIT {rows}"))
            }
            // Each has its own: the session stops reading.
            (Self::Other, Some(_)) => (String::new(), String::new()),
            // The standard's, which Oracle knows since 12c.
            (Self::Oracle | Self::Db2, Some(rows)) => {
                (String::new(), format!(" FETCH FIRST {rows} ROWS ONLY"))
            }
        };
        format!(
            "SELECT {top}{columns} FROM {from}{}{}{limit}",
            part("WHERE", wanted.filter),
            part("ORDER BY", wanted.order),
        )
    }

    /// Asks for the database's own clock: microseconds since 1970, in UTC.
    pub(super) fn clock(self) -> Option<&'static str> {
        match self {
            Self::Sqlite => {
                Some("SELECT CAST((julianday('now') - 2440587.5) * 86400000 AS INTEGER) * 1000")
            }
            Self::Postgres => {
                Some("SELECT (extract(epoch FROM clock_timestamp()) * 1000000)::bigint")
            }
            Self::Mysql => Some("SELECT CAST(UNIX_TIMESTAMP(NOW(6)) * 1000000 AS SIGNED)"),
            Self::SqlServer => {
                Some("SELECT DATEDIFF_BIG(MICROSECOND, '19700101', SYSUTCDATETIME())")
            }
            Self::Oracle => Some(
                "SELECT ROUND((CAST(SYS_EXTRACT_UTC(SYSTIMESTAMP) AS DATE) - DATE '1970-01-01') * 86400) * 1000000 FROM DUAL",
            ),
            Self::Db2 => Some(
                "SELECT (BIGINT(DAYS(CURRENT TIMESTAMP - CURRENT TIMEZONE)) - DAYS('1970-01-01')) * 86400000000 \
                 + BIGINT(MIDNIGHT_SECONDS(CURRENT TIMESTAMP - CURRENT TIMEZONE)) * 1000000 FROM SYSIBM.SYSDUMMY1",
            ),
            Self::Other => None,
        }
    }
}

fn is_number(text: &str) -> bool {
    let digits = text.strip_prefix('-').unwrap_or(text);
    let is_plain = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
    match digits.split_once('.') {
        Some((whole, rest)) => is_plain(whole) && is_plain(rest),
        None => is_plain(digits),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_put_into_sql_stays_what_it_is() {
        for (dialect, name, table) in [
            (Dialect::Postgres, "\"a\"\"b\"", "\"wms\".\"Stock\""),
            (Dialect::Mysql, "`a\"b`", "`wms`.`Stock`"),
            (Dialect::SqlServer, "[a\"b]", "[wms].[Stock]"),
        ] {
            assert_eq!(dialect.name("a\"b"), name);
            assert_eq!(dialect.table("wms.Stock"), table);
        }
        assert_eq!(Dialect::Mysql.name("a`b"), "`a``b`");
        assert_eq!(Dialect::SqlServer.name("a]b"), "[a]]b]");
    }

    #[test]
    fn a_value_is_written_as_its_column_wants_it() {
        let time = "2026-11-27T08:15:00";
        for (dialect, kind, text, expected) in [
            (Dialect::Sqlite, Kind::Integer, "-7", "-7"),
            (Dialect::Sqlite, Kind::Decimal, "7.50", "7.50"),
            (
                Dialect::Postgres,
                Kind::Text,
                "x' OR '1'='1",
                "'x'' OR ''1''=''1'",
            ),
            (Dialect::Postgres, Kind::Text, "a\\'b", "'a\\''b'"),
            (Dialect::Mysql, Kind::Text, "a\\'b", "_utf8mb4 X'615c2762'"),
            (
                Dialect::Postgres,
                Kind::Bytes,
                "\\x00ff",
                "'\\x00ff'::bytea",
            ),
            (Dialect::SqlServer, Kind::Bytes, "\\x00ff", "0x00ff"),
            (Dialect::Oracle, Kind::Bytes, "\\x00ff", "HEXTORAW('00ff')"),
            (Dialect::Mysql, Kind::Bytes, "\\x00ff", "X'00ff'"),
            (Dialect::Mysql, Kind::Time, time, "'2026-11-27T08:15:00'"),
            (
                Dialect::SqlServer,
                Kind::Time,
                "2026-11-27 08:15:00.123",
                "'2026-11-27T08:15:00.123'",
            ),
            (
                Dialect::SqlServer,
                Kind::Time,
                "2026-11-27T08:15:00.123456",
                "CAST('2026-11-27T08:15:00.123456' AS datetime2(7))",
            ),
            (Dialect::SqlServer, Kind::Text, "O'Neil", "'O''Neil'"),
            (Dialect::SqlServer, Kind::Text, "Kärcher", "N'Kärcher'"),
            (
                Dialect::Oracle,
                Kind::Time,
                time,
                "{ts '2026-11-27 08:15:00'}",
            ),
        ] {
            assert_eq!(
                dialect.value(kind, text),
                Ok(expected.into()),
                "{dialect:?} {text}"
            );
        }
        for text in ["1 OR 1=1", "", "-", "1.", "1e5", "0x1"] {
            assert!(
                Dialect::Sqlite.value(Kind::Integer, text).is_err(),
                "{text}"
            );
        }
        assert!(Dialect::Mysql.value(Kind::Bytes, "\\x0'").is_err());
    }

    #[test]
    fn rows_are_asked_for_as_each_database_wants_it() {
        let wanted = Select {
            columns: "*",
            from: "t",
            filter: "id > 7",
            order: "id",
            rows: Some(10),
        };
        for (database, expected) in [
            (
                "SQLite",
                "SELECT * FROM t WHERE id > 7 ORDER BY id LIMIT 10",
            ),
            (
                "MariaDB",
                "SELECT * FROM t WHERE id > 7 ORDER BY id LIMIT 10",
            ),
            (
                "Microsoft SQL Server",
                "SELECT TOP (10) * FROM t WHERE id > 7 ORDER BY id",
            ),
            (
                "Oracle",
                "SELECT * FROM t WHERE id > 7 ORDER BY id FETCH FIRST 10 ROWS ONLY",
            ),
            (
                "DB2/LINUXX8664",
                "SELECT * FROM t WHERE id > 7 ORDER BY id FETCH FIRST 10 ROWS ONLY",
            ),
        ] {
            assert_eq!(
                Dialect::of(database).select(&wanted),
                expected,
                "{database}"
            );
        }
        let all = Select {
            filter: "",
            order: "",
            rows: None,
            ..wanted
        };
        assert_eq!(Dialect::Oracle.select(&all), "SELECT * FROM t");
    }
}
