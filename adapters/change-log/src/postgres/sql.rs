//! Texts of SQL: names and values are put into them quoted.

/// A name, as it is: `"Stock"`.
pub(super) fn name(text: &str) -> String {
    format!("\"{}\"", text.replace('"', "\"\""))
}

/// A value: `'O''Neill'`. The session has standard_conforming_strings, as every server since 9.1 has by default.
pub(super) fn value(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}

/// A table with its schema, written `public.stock`.
pub(super) fn table(text: &str) -> String {
    match text.split_once('.') {
        Some((schema, table)) => format!("{}.{}", name(schema), name(table)),
        None => name(text),
    }
}

/// What says all that is asked of a slot, in one row or none. Later versions have more columns.
pub(super) fn slot(slot: &str) -> String {
    format!(
        "SELECT plugin, database, confirmed_flush_lsn, wal_status, pg_catalog.to_jsonb(s) ->> 'invalidation_reason', pg_catalog.to_jsonb(s) ->> 'failover' \
         FROM pg_catalog.pg_replication_slots s WHERE slot_type = 'logical' AND slot_name = {}",
        value(slot)
    )
}

/// Makes a slot; its row is the place where it begins. `failover`: standbys have it too (since version 17).
pub(super) fn make_slot(slot: &str, failover: bool) -> String {
    let more = if failover { ", false, false, true" } else { "" };
    format!(
        "SELECT lsn FROM pg_catalog.pg_create_logical_replication_slot({}, 'pgoutput'{more})",
        value(slot)
    )
}

/// Lets standbys have a slot that is there. Of a replication session alone.
pub(super) fn let_standbys_have(slot: &str) -> String {
    format!("ALTER_REPLICATION_SLOT {} (FAILOVER true)", name(slot))
}

/// Which version a server is, as a number and in its words, and whether it is a standby: what all versions answer.
pub(super) const VERSION: &str = "SELECT current_setting('server_version_num'), current_setting('server_version'), pg_catalog.pg_is_in_recovery()";

/// Whether a server is a standby.
pub(super) const IS_STANDBY: &str = "SELECT pg_catalog.pg_is_in_recovery()";

/// What a server says of itself: version and settings; what standbys have of it, and where its log is written.
pub(super) const SERVER: &str = "SELECT current_setting('server_version_num'), current_setting('wal_level'), current_setting('max_slot_wal_keep_size'), \
     current_setting('synchronized_standby_slots', true), \
     (SELECT string_agg(slot_name, ', ' ORDER BY slot_name) FROM pg_catalog.pg_replication_slots WHERE slot_type = 'physical' AND NOT temporary AND active), \
     CASE WHEN NOT pg_catalog.pg_is_in_recovery() THEN pg_catalog.pg_current_wal_insert_lsn() END";

/// Where a server's log ends, as far as it is on its disk; NULL: it is a standby.
pub(super) const LOG_END: &str = "SELECT CASE WHEN NOT pg_catalog.pg_is_in_recovery() THEN pg_catalog.pg_current_wal_flush_lsn() END";

/// How much of its log the server keeps for a slot: bytes, what is said of that, bytes until the slot is lost, and the limit in MiB.
pub(super) fn kept(slot: &str) -> String {
    format!(
        "SELECT pg_catalog.pg_wal_lsn_diff(CASE WHEN pg_catalog.pg_is_in_recovery() THEN pg_catalog.pg_last_wal_replay_lsn() ELSE pg_catalog.pg_current_wal_lsn() END, restart_lsn)::bigint, \
         wal_status, safe_wal_size, (SELECT setting FROM pg_catalog.pg_settings WHERE name = 'max_slot_wal_keep_size') \
         FROM pg_catalog.pg_replication_slots WHERE slot_type = 'logical' AND slot_name = {}",
        value(slot)
    )
}

/// Drops a slot.
pub(super) fn drop_slot(slot: &str) -> String {
    format!(
        "SELECT pg_catalog.pg_drop_replication_slot({})",
        value(slot)
    )
}

/// Begins a transaction that sees one state of the database, and changes nothing.
pub(super) const BEGIN: &str = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY";
/// Rows come in the order of their places, from the first one on.
pub(super) const IN_ORDER: &str = "SET LOCAL synchronize_seqscans = off";
/// Whoever holds the table is not waited for.
pub(super) const WAIT_LITTLE: &str =
    "SET LOCAL lock_timeout = '5s'; SET LOCAL idle_in_transaction_session_timeout = '60s'";
/// What the transaction sees, and where the log ended just then; and how long a page of it is. NULL: the server is a standby. The order counts.
pub(super) const SIGHT: &str = "SELECT pg_catalog.pg_current_snapshot(), CASE WHEN NOT pg_catalog.pg_is_in_recovery() THEN pg_catalog.pg_current_wal_insert_lsn() END, pg_catalog.current_setting('wal_block_size')";
/// Transactions that have written and are open, also those whose commit is in the log and is not seen yet: each holds its own number until it is.
pub(super) const OPEN: &str = "SELECT DISTINCT transactionid FROM pg_catalog.pg_locks WHERE locktype = 'transactionid' AND mode = 'ExclusiveLock' AND granted";
/// Nothing was changed.
pub(super) const END: &str = "COMMIT";
/// The end of a part's rows.
pub(super) const CLOSE: &str = "CLOSE dray_load";

/// The transaction may wait for the flow, and each of its questions may take its time.
pub(super) const PATIENCE: &str = "SELECT pg_catalog.set_config(name, CASE name WHEN 'statement_timeout' THEN '570s' ELSE '0' END, true) FROM pg_catalog.pg_settings \
     WHERE name IN ('idle_in_transaction_session_timeout', 'statement_timeout', 'transaction_timeout')";

/// Makes a slot that goes with the session: the transaction sees from now on what was committed before the place in its second column.
pub(super) fn make_load_slot(slot: &str) -> String {
    format!(
        "CREATE_REPLICATION_SLOT {} TEMPORARY LOGICAL pgoutput USE_SNAPSHOT",
        name(slot)
    )
}

/// Keeps tables what they are until the transaction ends.
pub(super) fn lock<'t>(tables: impl Iterator<Item = &'t str>) -> String {
    let tables: Vec<_> = tables.map(table).collect();
    format!("LOCK TABLE {} IN ACCESS SHARE MODE", tables.join(", "))
}

/// Whether the role may read a table; NULL: there is none.
pub(super) fn may_read(text: &str) -> String {
    format!(
        "SELECT pg_catalog.has_table_privilege(pg_catalog.to_regclass({}), 'SELECT')",
        value(&table(text))
    )
}

/// Whether the role may create in the database, and whether it owns a table.
pub(super) fn may_publish(text: &str) -> String {
    format!(
        "SELECT pg_catalog.has_database_privilege(pg_catalog.current_database(), 'CREATE'), \
         (SELECT pg_catalog.pg_has_role(relowner, 'USAGE') FROM pg_catalog.pg_class WHERE oid = pg_catalog.to_regclass({}))",
        value(&table(text))
    )
}

/// Whether a publication tells of all changes, and whether it leaves out rows or columns of tables (which it can since version 15).
pub(super) fn publishes(publication: &str) -> String {
    format!(
        "SELECT p.pubinsert AND p.pubupdate AND p.pubdelete, EXISTS (SELECT FROM pg_catalog.pg_publication_rel r WHERE r.prpubid = p.oid \
         AND COALESCE(pg_catalog.to_jsonb(r) ->> 'prqual', pg_catalog.to_jsonb(r) ->> 'prattrs') IS NOT NULL) \
         FROM pg_catalog.pg_publication p WHERE p.pubname = {}",
        value(publication)
    )
}

/// A table's columns that the log tells of, in its order: the table's number, name, type, modifier, and whether the log tells old rows by it.
pub(super) fn columns(text: &str) -> String {
    format!(
        "SELECT a.attrelid, a.attname, a.atttypid, a.atttypmod, c.relreplident = 'f' OR EXISTS (SELECT FROM pg_catalog.pg_index i \
         WHERE i.indrelid = c.oid AND a.attnum = ANY ((i.indkey::int2[])[0:i.indnkeyatts - 1]) \
         AND CASE c.relreplident WHEN 'd' THEN i.indisprimary AND i.indimmediate WHEN 'i' THEN i.indisreplident END) \
         FROM pg_catalog.pg_attribute a JOIN pg_catalog.pg_class c ON c.oid = a.attrelid \
         WHERE a.attrelid = pg_catalog.to_regclass({}) AND a.attnum > 0 AND NOT a.attisdropped AND a.attgenerated = '' ORDER BY a.attnum",
        value(&table(text))
    )
}

/// That names are told with their schemas.
pub(super) const FULL_NAMES: &str = "SELECT pg_catalog.set_config('search_path', '', false)";

/// What types are called: number, modifier, and the type as it is written in a statement.
pub(super) fn kinds(types: &[(u32, i32)]) -> String {
    let rows: Vec<_> = types
        .iter()
        .map(|(oid, modifier)| format!("({oid}::oid, {modifier})"))
        .collect();
    format!(
        "SELECT t.oid, t.modifier, pg_catalog.format_type(t.oid, t.modifier) FROM (VALUES {}) t(oid, modifier)",
        rows.join(", ")
    )
}

/// Where a table's rows are, itself or its partitions: number, name, the file's number as the transaction sees it and as it is, whether it has
/// large values, and whether the role may read it.
pub(super) fn parts(text: &str) -> String {
    let table = value(&table(text));
    format!(
        "SELECT c.oid, n.nspname || '.' || c.relname, c.relfilenode, pg_catalog.pg_relation_filenode(c.oid), \
         c.reltoastrelid <> 0 AND pg_catalog.pg_relation_size(c.reltoastrelid) > 0, pg_catalog.has_table_privilege(c.oid, 'SELECT') \
         FROM (SELECT pg_catalog.to_regclass({table})::oid AS oid UNION SELECT relid FROM pg_catalog.pg_partition_tree(pg_catalog.to_regclass({table})) WHERE isleaf) p \
         JOIN pg_catalog.pg_class c ON c.oid = p.oid AND c.relkind = 'r' \
         JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace ORDER BY c.oid"
    )
}

/// What a table is, with a row for each column of the key that the log tells its rows by, in its order, and what its values are ordered by: type,
/// collation, and the version of that; NULL where it has none.
pub(super) fn row_key(text: &str) -> String {
    format!(
        "SELECT c.relkind, a.attname, pg_catalog.format_type(a.atttypid, a.atttypmod) \
         || COALESCE(' COLLATE ' || o.collnamespace::pg_catalog.regnamespace || '.' || o.collname, '') || COALESCE(' ' || pg_catalog.pg_collation_actual_version(o.oid), '') \
         FROM pg_catalog.pg_class c LEFT JOIN pg_catalog.pg_index i ON i.indrelid = c.oid AND i.indisvalid AND i.indimmediate \
         AND CASE c.relreplident WHEN 'i' THEN i.indisreplident ELSE i.indisprimary END \
         LEFT JOIN LATERAL pg_catalog.unnest((i.indkey::int2[])[0:i.indnkeyatts - 1]) WITH ORDINALITY k(number, place) ON true \
         LEFT JOIN pg_catalog.pg_attribute a ON a.attrelid = c.oid AND a.attnum = k.number LEFT JOIN pg_catalog.pg_collation o ON o.oid = a.attcollation \
         WHERE c.oid = pg_catalog.to_regclass({}) ORDER BY k.place",
        value(&table(text))
    )
}

/// So many of a table's rows behind this key (empty: from the first on), in its order: these columns; NULL in the place of `None`. `has_parts`:
/// its rows are its partitions'; of another table those are left out that inherit from it, which are not its own.
pub(super) fn rows_behind<'c>(
    of: &str,
    columns: impl Iterator<Item = Option<&'c str>>,
    key: &[String],
    after: &[&str],
    has_parts: bool,
    count: usize,
) -> String {
    let named = |column: Option<&str>| column.map_or_else(|| "NULL".to_owned(), name);
    let columns: Vec<_> = columns.map(named).collect();
    let key: Vec<_> = key.iter().map(|column| name(column)).collect();
    let key = key.join(", ");
    let after: Vec<_> = after.iter().map(|text| value(text)).collect();
    let behind = match after.is_empty() {
        true => String::new(),
        false => format!(" WHERE ({key}) > ({})", after.join(", ")),
    };
    let only = match has_parts {
        true => "",
        false => "ONLY ",
    };
    format!(
        "SELECT {} FROM {only}{}{behind} ORDER BY {key} LIMIT {count}",
        columns.join(", "),
        table(of)
    )
}

/// Begins to read a part's rows: their place, their writer's number, and these columns; NULL in the place of `None`.
pub(super) fn declare<'c>(
    part: &str,
    columns: impl Iterator<Item = Option<&'c str>>,
    after: Option<&str>,
) -> String {
    let named = |column: Option<&str>| column.map_or_else(|| "NULL".to_owned(), name);
    let columns: String = columns
        .map(|column| format!(", {}", named(column)))
        .collect();
    let behind = after.map_or(String::new(), |after| {
        format!(" WHERE ctid > {}::tid", value(after))
    });
    format!(
        "DECLARE dray_load NO SCROLL CURSOR FOR SELECT ctid, xmin{columns} FROM ONLY {}{behind}",
        table(part)
    )
}

/// The next rows.
pub(super) fn fetch(count: usize) -> String {
    format!("FETCH FORWARD {count} FROM dray_load")
}

/// The tables of a publication, a row each; a row of NULL where it has none.
pub(super) fn published(publication: &str) -> String {
    format!(
        "SELECT t.schemaname || '.' || t.tablename FROM pg_catalog.pg_publication p LEFT JOIN pg_catalog.pg_publication_tables t ON t.pubname = p.pubname WHERE p.pubname = {}",
        value(publication)
    )
}

/// The numbers of a publication and of its tables, and what it says of each: JSON, by name.
pub(super) fn told<'t>(publication: &str, tables: impl Iterator<Item = &'t str>) -> String {
    let tables: Vec<_> = tables
        .map(|name| {
            format!(
                "({}, pg_catalog.to_regclass({}))",
                value(name),
                value(&table(name))
            )
        })
        .collect();
    format!(
        "SELECT pg_catalog.jsonb_build_object('', p.oid::text || ' ' || p.pubinsert::text || p.pubupdate::text || p.pubdelete::text) || COALESCE(( \
         SELECT pg_catalog.jsonb_object_agg(t.name, t.class::oid::text || ' ' || COALESCE(pg_catalog.md5(pg_catalog.to_jsonb(r)::text), '')) \
         FROM (VALUES {}) AS t (name, class) LEFT JOIN pg_catalog.pg_publication_rel r ON r.prrelid = t.class AND r.prpubid = p.oid \
         WHERE t.class IS NOT NULL), '{{}}'::jsonb) FROM pg_catalog.pg_publication p WHERE p.pubname = {}",
        tables.join(", "),
        value(publication)
    )
}

/// Makes a publication of tables.
pub(super) fn make_publication<'t>(
    publication: &str,
    tables: impl Iterator<Item = &'t str>,
) -> String {
    let tables: Vec<_> = tables.map(table).collect();
    format!(
        "CREATE PUBLICATION {} FOR TABLE {} WITH (publish_via_partition_root = true)",
        name(publication),
        tables.join(", ")
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_put_into_sql_stays_what_it_is() {
        assert_eq!(name("a\"b"), "\"a\"\"b\"");
        assert_eq!(value("x' OR '1'='1"), "'x'' OR ''1''=''1'");
        for (failover, expected) in [
            (false, "'a''b', 'pgoutput')"),
            (true, "'a''b', 'pgoutput', false, false, true)"),
        ] {
            let made = make_slot("a'b", failover);
            assert!(made.ends_with(expected), "{made}");
        }
        assert_eq!(
            make_publication(
                "dray",
                ["public.Stock", "wms.a\"; DROP TABLE b; --"].into_iter()
            ),
            "CREATE PUBLICATION \"dray\" FOR TABLE \"public\".\"Stock\", \"wms\".\"a\"\"; DROP TABLE b; --\" WITH (publish_via_partition_root = true)"
        );
    }
}
