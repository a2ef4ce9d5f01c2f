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

/// What says all that is asked of a slot, in one row or none.
pub(super) fn slot(slot: &str) -> String {
    format!(
        "SELECT plugin, database, confirmed_flush_lsn, wal_status FROM pg_catalog.pg_replication_slots WHERE slot_type = 'logical' AND slot_name = {}",
        value(slot)
    )
}

/// Makes a slot; its row is the place where it begins.
pub(super) fn make_slot(slot: &str) -> String {
    format!(
        "SELECT lsn FROM pg_catalog.pg_create_logical_replication_slot({}, 'pgoutput')",
        value(slot)
    )
}

/// Begins a transaction that sees one state of the database, and changes nothing.
pub(super) const BEGIN: &str = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY";
/// What the transaction sees.
pub(super) const SNAPSHOT: &str = "SELECT pg_catalog.pg_current_snapshot()";
/// Rows come in the order of their places, from the first one on.
pub(super) const IN_ORDER: &str = "SET LOCAL synchronize_seqscans = off";
/// The end of a part's rows.
pub(super) const CLOSE: &str = "CLOSE dray_load";

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

/// A table's columns that are published, in its order: the table's number, how it tells old rows, name, type, modifier, whether it tells rows
/// apart.
pub(super) fn columns(text: &str) -> String {
    format!(
        "SELECT c.oid, c.relreplident, a.attname, a.atttypid, a.atttypmod, c.relreplident = 'f' OR COALESCE(a.attnum = ANY(i.indkey), false) \
         FROM pg_catalog.pg_class c \
         JOIN pg_catalog.pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped AND a.attgenerated = '' \
         LEFT JOIN pg_catalog.pg_index i ON i.indrelid = c.oid AND CASE c.relreplident WHEN 'i' THEN i.indisreplident ELSE i.indisprimary END \
         WHERE c.oid = pg_catalog.to_regclass({}) ORDER BY a.attnum",
        value(&table(text))
    )
}

/// Where a table's rows are, itself or its partitions: name, the file's number as the transaction sees it and as it is, whether it has large
/// values.
pub(super) fn parts(text: &str) -> String {
    let table = value(&table(text));
    format!(
        "SELECT n.nspname || '.' || c.relname, c.relfilenode, pg_catalog.pg_relation_filenode(c.oid), c.reltoastrelid <> 0 AND pg_catalog.pg_relation_size(c.reltoastrelid) > 0 \
         FROM (SELECT pg_catalog.to_regclass({table})::oid AS oid UNION SELECT relid FROM pg_catalog.pg_partition_tree(pg_catalog.to_regclass({table})) WHERE isleaf) p \
         JOIN pg_catalog.pg_class c ON c.oid = p.oid AND c.relkind = 'r' \
         JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace ORDER BY 1"
    )
}

/// Begins to read a part's rows: their place, their writer's number, and these columns.
pub(super) fn declare<'c>(
    part: &str,
    columns: impl Iterator<Item = &'c str>,
    after: Option<&str>,
) -> String {
    let columns: String = columns
        .map(|column| format!(", {}", name(column)))
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

/// Makes a publication of tables.
pub(super) fn make_publication<'t>(
    publication: &str,
    tables: impl Iterator<Item = &'t str>,
) -> String {
    let tables: Vec<_> = tables.map(table).collect();
    format!(
        "CREATE PUBLICATION {} FOR TABLE {}",
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
        assert_eq!(
            make_publication(
                "dray",
                ["public.Stock", "wms.a\"; DROP TABLE b; --"].into_iter()
            ),
            "CREATE PUBLICATION \"dray\" FOR TABLE \"public\".\"Stock\", \"wms\".\"a\"\"; DROP TABLE b; --\""
        );
    }
}
