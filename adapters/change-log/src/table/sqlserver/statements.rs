//! What is asked of SQL Server. Each statement is T-SQL where the dialect is its; elsewhere tables and functions that look alike stand, and only
//! what no other database can read is written otherwise: `EXEC`, `CHANGETABLE` and `DATEDIFF`.

use super::super::dialect::Dialect;
use super::super::value::Kind;
use super::lsn::Lsn;

/// Columns of a change.
pub(super) const LSN: &str = "__$start_lsn";
/// The order of operations within a transaction, from the update of KB3030352 on: `__$seqval` is none where keys are moved.
pub(super) const COMMAND: &str = "__$command_id";
pub(super) const SEQVAL: &str = "__$seqval";
pub(super) const OPERATION: &str = "__$operation";
/// Before the names of what is known of a change.
pub(super) const ABOUT: &str = "__$";

/// Names of what is asked of a tracked row: no column of a table is called so.
pub(super) const VERSION: &str = "__dray_version";
pub(super) const OP: &str = "__dray_op";

/// Asks a dialect's text.
#[derive(Debug, Clone, Copy)]
pub(super) struct Statements(pub(super) Dialect);

impl Statements {
    fn text(self, text: &str) -> String {
        // A text is a value of every dialect.
        self.0.value(Kind::Text, text).unwrap_or_default()
    }

    pub(super) fn lsn(self, lsn: Lsn) -> String {
        // Digits are bytes.
        self.0.value(Kind::Bytes, &lsn.text()).unwrap_or_default()
    }

    /// The table as a function takes it.
    fn object(self, table: &str) -> String {
        format!("OBJECT_ID({})", self.text(&self.0.table(table)))
    }

    /// How far the capture job has come, and from where on changes are kept.
    pub(super) fn limits(self, capture: &str) -> String {
        format!(
            "SELECT sys.fn_cdc_get_max_lsn(), sys.fn_cdc_get_min_lsn({})",
            self.text(capture)
        )
    }

    /// All changes of an instance from one LSN through another: what stands behind FROM.
    pub(super) fn changes(self, capture: &str, from: Lsn, to: Lsn) -> String {
        format!(
            "cdc.{}({}, {}, {}) dray_changes",
            self.0.name(&format!("fn_cdc_get_all_changes_{capture}")),
            self.lsn(from),
            self.lsn(to),
            self.text("all update old")
        )
    }

    /// The table behind that function: it alone has the order of operations. Nothing is locked in it, as the function does not.
    pub(super) fn change_rows(self, capture: &str) -> String {
        let hint = match self.0 {
            Dialect::SqlServer => " WITH (NOLOCK)",
            _ => "",
        };
        format!("{} dray_changes{hint}", self.change_table(capture))
    }

    /// Its name.
    pub(super) fn change_table(self, capture: &str) -> String {
        let name = self.0.name(&format!("{capture}_CT"));
        format!("{}.{name}", self.0.name("cdc"))
    }

    /// Whether that table has the order of operations, and may be read.
    pub(super) fn has_commands(self, capture: &str) -> String {
        let table = self.text(&self.change_table(capture));
        format!(
            "SELECT COUNT(*) FROM sys.columns WHERE object_id = OBJECT_ID({table}) AND name = {} AND HAS_PERMS_BY_NAME({table}, 'OBJECT', 'SELECT') = 1",
            self.text(COMMAND)
        )
    }

    /// The table's columns that are computed.
    pub(super) fn computed(self, table: &str) -> String {
        format!(
            "SELECT name FROM sys.columns WHERE object_id = {} AND is_computed = 1",
            self.object(table)
        )
    }

    /// Whether the database captures.
    pub(super) fn captures(self) -> String {
        "SELECT is_cdc_enabled FROM sys.databases WHERE name = DB_NAME()".to_owned()
    }

    /// Whether the table is captured; no row: it is not there, or may not be seen.
    pub(super) fn captures_table(self, table: &str) -> String {
        format!(
            "SELECT is_tracked_by_cdc FROM sys.tables WHERE object_id = {}",
            self.object(table)
        )
    }

    /// The table's capture instances that the role may read.
    pub(super) fn instances(self, table: &str) -> String {
        let (schema, name) = split(table);
        let (schema, name) = (self.text(schema), self.text(name));
        match self.0 {
            Dialect::SqlServer => format!(
                "EXEC sys.sp_cdc_help_change_data_capture @source_schema = {schema}, @source_name = {name}"
            ),
            _ => format!("SELECT * FROM sys.sp_cdc_help_change_data_capture({schema}, {name})"),
        }
    }

    /// For how many seconds the capture job has written nothing; it writes something at least every five minutes.
    pub(super) fn silence(self) -> String {
        let last = "sys.fn_cdc_map_lsn_to_time(sys.fn_cdc_get_max_lsn())";
        match self.0 {
            Dialect::SqlServer => format!("SELECT DATEDIFF(SECOND, {last}, GETDATE())"),
            _ => format!("SELECT floor(extract(epoch FROM localtimestamp - {last}))::bigint"),
        }
    }

    /// Whether the database tracks; no row: it does not.
    pub(super) fn tracks(self) -> String {
        "SELECT COUNT(*) FROM sys.change_tracking_databases WHERE database_id = DB_ID()".to_owned()
    }

    /// Whether a transaction may see the database as it was when it began.
    pub(super) fn has_snapshots(self) -> String {
        "SELECT snapshot_isolation_state FROM sys.databases WHERE name = DB_NAME()".to_owned()
    }

    /// The newest version, and the oldest since which changes are kept.
    pub(super) fn versions(self, table: &str) -> String {
        format!(
            "SELECT CHANGE_TRACKING_CURRENT_VERSION(), CHANGE_TRACKING_MIN_VALID_VERSION({})",
            self.object(table)
        )
    }

    /// The columns of the primary key, in its order.
    pub(super) fn key(self, table: &str) -> String {
        format!(
            "SELECT c.name FROM sys.indexes i \
             JOIN sys.index_columns k ON k.object_id = i.object_id AND k.index_id = i.index_id \
             JOIN sys.columns c ON c.object_id = k.object_id AND c.column_id = k.column_id \
             WHERE i.is_primary_key = 1 AND i.object_id = {} ORDER BY k.key_ordinal",
            self.object(table)
        )
    }

    /// Rows that changed since a version, as they are: what stands between SELECT and FROM, and behind it.
    pub(super) fn tracked(self, table: &str, since: i64, key: &[String]) -> (String, String) {
        let names = key.iter().map(|name| self.0.name(name));
        let names: Vec<_> = names.collect();
        let mut columns = format!(
            "dray_changes.SYS_CHANGE_VERSION AS {}, dray_changes.SYS_CHANGE_OPERATION AS {}",
            self.0.name(VERSION),
            self.0.name(OP)
        );
        for (at, name) in names.iter().enumerate() {
            columns.push_str(&format!(
                ", dray_changes.{name} AS {}",
                self.0.name(&key_name(at))
            ));
        }
        columns.push_str(", dray_rows.*");
        let same = names.iter();
        let same = same.map(|name| format!("dray_rows.{name} = dray_changes.{name}"));
        let same: Vec<_> = same.collect();
        let quoted = self.0.table(table);
        let changed = match self.0 {
            Dialect::SqlServer => format!("CHANGETABLE(CHANGES {quoted}, {since})"),
            _ => format!(
                "sys.{}({since})",
                self.0.name(&format!("changes_{}", table.replace('.', "_")))
            ),
        };
        let from = format!(
            "{changed} dray_changes LEFT JOIN {quoted} dray_rows ON {}",
            same.join(" AND ")
        );
        (columns, from)
    }

    /// A transaction that sees the database as it is now, whatever is committed meanwhile.
    pub(super) fn begin_snapshot(self) -> &'static [&'static str] {
        match self.0 {
            Dialect::SqlServer => &[
                "SET TRANSACTION ISOLATION LEVEL SNAPSHOT",
                "BEGIN TRANSACTION",
            ],
            _ => &["BEGIN ISOLATION LEVEL REPEATABLE READ"],
        }
    }

    /// And its end. A session that was given up meanwhile has none.
    pub(super) fn end_snapshot(self) -> &'static str {
        match self.0 {
            Dialect::SqlServer => "IF @@TRANCOUNT > 0 COMMIT",
            _ => "COMMIT",
        }
    }
}

/// Of the key's columns, as they stand in a change.
pub(super) fn key_name(at: usize) -> String {
    format!("__dray_key{at}")
}

/// `dbo.stock`: schema and name.
pub(super) fn split(table: &str) -> (&str, &str) {
    table.split_once('.').unwrap_or(("dbo", table))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn statements_are_what_sql_server_reads_and_look_alikes_differ_in_little() {
        let (server, alike) = (
            Statements(Dialect::SqlServer),
            Statements(Dialect::Postgres),
        );
        let from = Lsn::read("0x00000027000000c00003").expect("a number");
        let to = from.next();
        let key = ["site".to_owned(), "Größe".to_owned()];
        let tracked = |statements: Statements| {
            let (columns, from) = statements.tracked("dbo.stock", 42, &key);
            format!("SELECT {columns} FROM {from}")
        };
        for (found, expected) in [
            (
                server.limits("dbo_stock"),
                "SELECT sys.fn_cdc_get_max_lsn(), sys.fn_cdc_get_min_lsn('dbo_stock')",
            ),
            (
                server.changes("dbo_stock", from, to),
                "cdc.[fn_cdc_get_all_changes_dbo_stock](0x00000027000000c00003, 0x00000027000000c00004, 'all update old') dray_changes",
            ),
            (
                alike.changes("dbo_stock", from, to),
                "cdc.\"fn_cdc_get_all_changes_dbo_stock\"('\\x00000027000000c00003'::bytea, '\\x00000027000000c00004'::bytea, 'all update old') dray_changes",
            ),
            (
                server.change_rows("dbo_stock"),
                "[cdc].[dbo_stock_CT] dray_changes WITH (NOLOCK)",
            ),
            (
                alike.change_rows("dbo_stock"),
                "\"cdc\".\"dbo_stock_CT\" dray_changes",
            ),
            (
                server.has_commands("dbo_stock"),
                "SELECT COUNT(*) FROM sys.columns WHERE object_id = OBJECT_ID('[cdc].[dbo_stock_CT]') AND name = '__$command_id' AND HAS_PERMS_BY_NAME('[cdc].[dbo_stock_CT]', 'OBJECT', 'SELECT') = 1",
            ),
            (
                server.computed("dbo.stock"),
                "SELECT name FROM sys.columns WHERE object_id = OBJECT_ID('[dbo].[stock]') AND is_computed = 1",
            ),
            (
                server.captures_table("dbo.stock"),
                "SELECT is_tracked_by_cdc FROM sys.tables WHERE object_id = OBJECT_ID('[dbo].[stock]')",
            ),
            (
                server.instances("dbo.stock"),
                "EXEC sys.sp_cdc_help_change_data_capture @source_schema = 'dbo', @source_name = 'stock'",
            ),
            (
                alike.instances("dbo.stock"),
                "SELECT * FROM sys.sp_cdc_help_change_data_capture('dbo', 'stock')",
            ),
            (
                server.silence(),
                "SELECT DATEDIFF(SECOND, sys.fn_cdc_map_lsn_to_time(sys.fn_cdc_get_max_lsn()), GETDATE())",
            ),
            (
                server.versions("dbo.Größen"),
                "SELECT CHANGE_TRACKING_CURRENT_VERSION(), CHANGE_TRACKING_MIN_VALID_VERSION(OBJECT_ID(N'[dbo].[Größen]'))",
            ),
            (
                tracked(server),
                "SELECT dray_changes.SYS_CHANGE_VERSION AS [__dray_version], dray_changes.SYS_CHANGE_OPERATION AS [__dray_op], \
                 dray_changes.[site] AS [__dray_key0], dray_changes.[Größe] AS [__dray_key1], dray_rows.* \
                 FROM CHANGETABLE(CHANGES [dbo].[stock], 42) dray_changes LEFT JOIN [dbo].[stock] dray_rows \
                 ON dray_rows.[site] = dray_changes.[site] AND dray_rows.[Größe] = dray_changes.[Größe]",
            ),
            (
                tracked(alike)
                    .split(" FROM ")
                    .nth(1)
                    .unwrap_or_default()
                    .to_owned(),
                "sys.\"changes_dbo_stock\"(42) dray_changes LEFT JOIN \"dbo\".\"stock\" dray_rows \
                 ON dray_rows.\"site\" = dray_changes.\"site\" AND dray_rows.\"Größe\" = dray_changes.\"Größe\"",
            ),
        ] {
            assert_eq!(found, expected);
        }
    }
}
