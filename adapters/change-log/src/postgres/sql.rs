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
