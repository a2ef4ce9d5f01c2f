//! What servers are asked.

/// A column of a key, and whether its values are numbers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Key {
    pub(super) name: String,
    pub(super) kind: KeyKind,
}

/// How a value of a key is written in a question.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum KeyKind {
    Number,
    Text,
    /// With a zone behind it, which is the session's.
    Stamp,
    Bytes,
}

impl KeyKind {
    /// By the name of its type; `None`: its values can't be compared as they are ordered.
    pub(super) fn of(data_type: &str) -> Option<Self> {
        Some(match data_type {
            "tinyint" | "smallint" | "mediumint" | "int" | "bigint" | "decimal" | "year" => {
                Self::Number
            }
            "char" | "varchar" | "date" | "datetime" | "time" | "uuid" => Self::Text,
            "timestamp" => Self::Stamp,
            "binary" | "varbinary" => Self::Bytes,
            _ => return None,
        })
    }
}

/// A name as it stands in a statement.
pub(super) fn name(text: &str) -> String {
    format!("`{}`", text.replace('`', "``"))
}

/// A table's name with its schema.
pub(super) fn table(text: &str) -> String {
    match text.split_once('.') {
        Some((schema, table)) => format!("{}.{}", name(schema), name(table)),
        None => name(text),
    }
}

/// A text as it stands in a statement, whatever a setting makes of a backslash. It is compared as what it is compared with: the collation is that
/// column's.
pub(super) fn text(text: &str) -> String {
    format!("_utf8mb4 x'{}'", hex::encode(text))
}

fn split(table: &str) -> (String, String) {
    let (schema, table) = table.split_once('.').unwrap_or(("", table));
    (text(schema), text(table))
}

/// A table's columns with their types, in its order.
pub(super) fn columns(table: &str) -> String {
    let (schema, table) = split(table);
    format!(
        "SELECT COLUMN_NAME, LOWER(DATA_TYPE), COLUMN_TYPE, CHARACTER_OCTET_LENGTH, NUMERIC_PRECISION, NUMERIC_SCALE, DATETIME_PRECISION, COLUMN_KEY FROM information_schema.COLUMNS WHERE TABLE_SCHEMA = {schema} AND TABLE_NAME = {table} \
         AND BINARY TABLE_SCHEMA = BINARY {schema} AND BINARY TABLE_NAME = BINARY {table} ORDER BY ORDINAL_POSITION"
    )
}

/// The columns of its primary key, in its order; none if it holds but the beginning of one.
pub(super) fn key(table: &str) -> String {
    let (schema, table) = split(table);
    format!(
        "SELECT COLUMN_NAME FROM information_schema.STATISTICS WHERE TABLE_SCHEMA = {schema} AND TABLE_NAME = {table} AND INDEX_NAME = 'PRIMARY' \
         AND NOT EXISTS (SELECT 1 FROM information_schema.STATISTICS p WHERE p.TABLE_SCHEMA = {schema} AND p.TABLE_NAME = {table} AND p.INDEX_NAME = 'PRIMARY' AND p.SUB_PART IS NOT NULL) ORDER BY SEQ_IN_INDEX"
    )
}

/// What the values of a table's primary key are ordered by: type and collation of each column.
pub(super) fn key_kinds(table: &str) -> String {
    let (schema, table) = split(table);
    format!(
        "SELECT COLUMN_NAME, CONCAT_WS(' ', COLUMN_TYPE, COLLATION_NAME) FROM information_schema.COLUMNS WHERE TABLE_SCHEMA = {schema} AND TABLE_NAME = {table} AND COLUMN_KEY = 'PRI'"
    )
}

/// What keeps the table's rows, and whether it knows transactions: `YES` or `NO`.
pub(super) fn engine(table: &str) -> String {
    let (schema, table) = split(table);
    format!(
        "SELECT COALESCE(t.ENGINE, t.TABLE_TYPE), COALESCE(e.TRANSACTIONS, 'NO') FROM information_schema.TABLES t LEFT JOIN information_schema.ENGINES e ON e.ENGINE = t.ENGINE \
         WHERE t.TABLE_SCHEMA = {schema} AND t.TABLE_NAME = {table}"
    )
}

/// What it is: `BASE TABLE`, `SYSTEM VERSIONED`, ...
pub(super) fn kind(table: &str) -> String {
    let (schema, table) = split(table);
    format!(
        "SELECT TABLE_TYPE FROM information_schema.TABLES WHERE TABLE_SCHEMA = {schema} AND TABLE_NAME = {table}"
    )
}

/// Takes note of a table without its rows: until the transaction ends nobody else has its name.
pub(super) fn touch(of: &str) -> String {
    format!("SELECT 1 FROM {} LIMIT 0", table(of))
}

/// The statement that would make it: who may only read it is shown its foreign keys nowhere else.
pub(super) fn made_by(of: &str) -> String {
    format!("SHOW CREATE TABLE {}", table(of))
}

/// A table's rows in the order of its key, behind these values of it.
pub(super) fn rows<'c>(
    from: &str,
    columns: impl Iterator<Item = &'c str>,
    keys: &[Key],
    after: Option<&[String]>,
) -> String {
    let columns: Vec<_> = columns.map(name).collect();
    let mut sql = format!("SELECT {} FROM {}", columns.join(", "), table(from));
    if let Some(after) = after {
        // The server finds the place by the index only if each column is compared by itself.
        let values: Vec<_> = keys.iter().zip(after).collect();
        let alternatives = (0..values.len()).map(|last| {
            let equal = values[..last].iter();
            let equal =
                equal.map(|(key, value)| format!("{} = {}", name(&key.name), literal(key, value)));
            let (key, value) = values[last];
            let greater = format!("{} > {}", name(&key.name), literal(key, value));
            let all: Vec<_> = equal.chain([greater]).collect();
            format!("({})", all.join(" AND "))
        });
        let alternatives: Vec<_> = alternatives.collect();
        sql += &format!(" WHERE {}", alternatives.join(" OR "));
    }
    if !keys.is_empty() {
        let keys: Vec<_> = keys.iter().map(|key| name(&key.name)).collect();
        sql += &format!(" ORDER BY {}", keys.join(", "));
    }
    sql
}

fn literal(key: &Key, value: &str) -> String {
    let is_number = |value: &str| {
        value
            .bytes()
            .all(|letter| matches!(letter, b'0'..=b'9' | b'-' | b'.'))
    };
    match key.kind {
        KeyKind::Number if !value.is_empty() && is_number(value) => value.to_owned(),
        KeyKind::Bytes => format!("x'{}'", value.trim_start_matches("\\x")),
        KeyKind::Stamp => text(value.strip_suffix('Z').unwrap_or(value)),
        _ => text(value),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_asked_for_behind_a_key() {
        let key = |name: &str, kind| Key {
            name: name.into(),
            kind,
        };
        let keys = [key("n", KeyKind::Number), key("c`ode", KeyKind::Text)];
        let columns = || ["n", "c`ode"].into_iter();
        assert_eq!(
            rows("wms.stock", columns(), &[], None),
            "SELECT `n`, `c``ode` FROM `wms`.`stock`"
        );
        let after = ["7".to_owned(), "a'".to_owned()];
        assert_eq!(
            rows("wms.stock", columns(), &keys, Some(&after)),
            "SELECT `n`, `c``ode` FROM `wms`.`stock` WHERE (`n` > 7) OR (`n` = 7 AND `c``ode` > _utf8mb4 x'6127') ORDER BY `n`, `c``ode`"
        );
        let key = |kind| key("k", kind);
        for (kind, value, expected) in [
            (KeyKind::Number, "1; DROP", "_utf8mb4 x'313b2044524f50'"),
            (KeyKind::Bytes, "\\x00ff", "x'00ff'"),
            (KeyKind::Stamp, "1T2Z", "_utf8mb4 x'315432'"),
            (KeyKind::Text, "AZ", "_utf8mb4 x'415a'"),
        ] {
            assert_eq!(literal(&key(kind), value), expected);
        }
    }
}
