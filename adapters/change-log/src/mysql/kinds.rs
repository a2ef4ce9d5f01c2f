//! Types in words, the same whether the log says them or the catalogue: `varchar(160 bytes)`, `decimal(12,3)`.

use super::cells::Kind;
use crate::schema::Described;

/// A column as the catalogue has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Catalogued {
    pub(super) name: String,
    /// `varchar`.
    pub(super) data_type: String,
    /// `varchar(40)`, `int(10) unsigned`.
    pub(super) column_type: String,
    /// The most bytes of a text.
    pub(super) bytes: Option<u64>,
    pub(super) precision: Option<u64>,
    pub(super) scale: Option<u64>,
    /// Digits of a second.
    pub(super) digits: Option<u64>,
    pub(super) is_key: bool,
}

impl Catalogued {
    pub(super) fn described(&self) -> Described {
        Described {
            name: self.name.clone(),
            kind: self.kind(),
            is_key: self.is_key,
        }
    }

    fn kind(&self) -> String {
        let name = &*self.data_type;
        let digits = |digits: Option<u64>| digits.unwrap_or_default();
        match name {
            "tinyint" | "smallint" | "mediumint" | "int" | "bigint" => {
                signed(name, self.column_type.contains("unsigned"))
            }
            "decimal" => format!("decimal({},{})", digits(self.precision), digits(self.scale)),
            "char" | "varchar" | "binary" | "varbinary" => sized(name, digits(self.bytes)),
            "time" | "datetime" | "timestamp" => timed(name, digits(self.digits)),
            "bit" => format!("bit({})", digits(self.precision)),
            "enum" | "set" => plain_labels(&self.column_type),
            "json" => "longtext".to_owned(),
            "point" | "linestring" | "polygon" | "multipoint" | "multilinestring"
            | "multipolygon" | "geometrycollection" => "geometry".to_owned(),
            other => other.to_owned(),
        }
    }
}

fn signed(name: &str, is_unsigned: bool) -> String {
    match is_unsigned {
        true => format!("{name} unsigned"),
        false => name.to_owned(),
    }
}

fn sized(name: &str, bytes: u64) -> String {
    format!("{name}({bytes} bytes)")
}

fn timed(name: &str, digits: u64) -> String {
    match digits {
        0 => name.to_owned(),
        digits => format!("{name}({digits})"),
    }
}

/// `enum('a','b')`, without what may stand behind it.
fn plain_labels(column_type: &str) -> String {
    let end = column_type
        .rfind(')')
        .map_or(column_type.len(), |at| at + 1);
    column_type[..end].to_owned()
}

/// Names of texts and of bytes by the number of bytes that say how long one is.
const TEXTS: [&str; 4] = ["tinytext", "text", "mediumtext", "longtext"];
const BLOBS: [&str; 4] = ["tinyblob", "blob", "mediumblob", "longblob"];

/// How a text or bytes are kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Keeping {
    /// Of fixed length.
    Fixed(u64),
    Varying(u64),
    /// Apart from the row: so many bytes say how long it is.
    Apart(usize),
    /// A point, a line, ...
    Shape,
}

/// A type of the log in words.
pub(super) fn of_log(kind: &Kind, keeping: Keeping) -> String {
    match kind {
        Kind::Integer { bytes, is_unsigned } => {
            let name = match bytes {
                1 => "tinyint",
                2 => "smallint",
                3 => "mediumint",
                4 => "int",
                _ => "bigint",
            };
            signed(name, *is_unsigned)
        }
        Kind::Float => "float".to_owned(),
        Kind::Double => "double".to_owned(),
        Kind::Decimal { precision, scale } => format!("decimal({precision},{scale})"),
        Kind::Year => "year".to_owned(),
        Kind::Date => "date".to_owned(),
        Kind::OldTime => "time".to_owned(),
        Kind::OldDatetime => "datetime".to_owned(),
        Kind::OldTimestamp => "timestamp".to_owned(),
        Kind::Time { digits } => timed("time", *digits as u64),
        Kind::Datetime { digits } => timed("datetime", *digits as u64),
        Kind::Timestamp { digits } => timed("timestamp", *digits as u64),
        Kind::Bit { bits } => format!("bit({bits})"),
        Kind::Enum { labels, .. } => labelled("enum", labels),
        Kind::Set { labels, .. } => labelled("set", labels),
        Kind::Text { .. } => kept(keeping, ["char", "varchar"], TEXTS),
        Kind::Binary { .. } => kept(keeping, ["binary", "varbinary"], BLOBS),
        Kind::Uuid => "uuid".to_owned(),
        Kind::Inet { bytes: 4 } => "inet4".to_owned(),
        Kind::Inet { .. } => "inet6".to_owned(),
        Kind::Unread { .. } | Kind::Unlabelled { .. } => {
            format!("one that {}", kind.unread().unwrap_or_default())
        }
    }
}

fn labelled(name: &str, labels: &[String]) -> String {
    let quoted = labels
        .iter()
        .map(|label| format!("'{}'", label.replace('\'', "''")));
    format!("{name}({})", quoted.collect::<Vec<_>>().join(","))
}

fn kept(keeping: Keeping, names: [&str; 2], apart: [&str; 4]) -> String {
    match keeping {
        Keeping::Fixed(bytes) => sized(names[0], bytes),
        Keeping::Varying(bytes) => sized(names[1], bytes),
        Keeping::Apart(bytes) => apart[bytes.clamp(1, 4) - 1].to_owned(),
        Keeping::Shape => "geometry".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::super::charset::Charset;
    use super::*;

    #[test]
    fn log_and_catalogue_say_the_same() {
        let text = || Kind::Text {
            length_bytes: 1,
            charset: Charset::Utf8,
        };
        let labels = vec!["it's".to_owned(), "b".to_owned()];
        let integer = Kind::Integer {
            bytes: 4,
            is_unsigned: true,
        };
        let none = Keeping::Fixed(0);
        for (kind, keeping, data_type, column_type, bytes, precision, scale) in [
            (
                integer,
                none,
                "int",
                "int(10) unsigned",
                None,
                Some(10),
                Some(0),
            ),
            (
                Kind::Decimal {
                    precision: 12,
                    scale: 3,
                },
                none,
                "decimal",
                "decimal(12,3)",
                None,
                Some(12),
                Some(3),
            ),
            (
                text(),
                Keeping::Varying(160),
                "varchar",
                "varchar(40)",
                Some(160),
                None,
                None,
            ),
            (
                text(),
                Keeping::Fixed(20),
                "char",
                "char(5)",
                Some(20),
                None,
                None,
            ),
            (
                text(),
                Keeping::Apart(2),
                "text",
                "text",
                Some(65_535),
                None,
                None,
            ),
            (
                text(),
                Keeping::Apart(4),
                "json",
                "json",
                Some(1),
                None,
                None,
            ),
            (
                Kind::Enum { bytes: 1, labels },
                none,
                "enum",
                "enum('it''s','b')",
                Some(4),
                None,
                None,
            ),
            (
                Kind::Bit { bits: 10 },
                none,
                "bit",
                "bit(10)",
                None,
                Some(10),
                None,
            ),
        ] {
            let catalogued = Catalogued {
                name: "a".into(),
                data_type: data_type.into(),
                column_type: column_type.into(),
                bytes,
                precision,
                scale,
                digits: None,
                is_key: false,
            };
            assert_eq!(of_log(&kind, keeping), catalogued.kind());
        }
    }
}
