//! What a table is, as the log says it before the rows of each statement.
//!
//! Layout: MySQL's `Table_map_event`, with the optional metadata of `binlog_row_metadata = FULL`.

use std::collections::HashMap;

use super::cells::Kind;
use super::charset::Charset;
use super::kinds::{self, Catalogued, Keeping};
use super::metadata::Said;
use super::reading::{Reading, Short, bit_bytes};
use crate::schema::Described;

/// Character sets by the numbers of their collations.
pub(super) type Charsets = HashMap<u64, Charset>;

/// The collation of bytes.
pub(super) const BINARY: u64 = 63;

/// Digits of a second, at most.
const DIGITS_MAX: u8 = 6;
/// Columns of a table, at most: MySQL's own limit is 4,096.
const COLUMNS_MAX: usize = 4_096;

/// A table, as an event describes it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct TableMap {
    pub(super) id: u64,
    /// `schema.table`.
    pub(super) name: String,
    /// `None`: the event does not name them.
    pub(super) columns: Option<Vec<Column>>,
    /// The event itself, which comes again before each statement.
    pub(super) bytes: Vec<u8>,
}

/// A column of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Column {
    pub(super) name: String,
    pub(super) kind: Kind,
    pub(super) keeping: Keeping,
    pub(super) is_key: bool,
}

impl Column {
    pub(super) fn described(&self) -> Described {
        Described {
            name: self.name.clone(),
            kind: kinds::of_log(&self.kind, self.keeping),
            is_key: self.is_key,
        }
    }
}

/// The number and the name of a table, which is all that is needed of one that is not read.
pub(super) fn names(bytes: &[u8]) -> Result<(u64, String), Short> {
    head(&mut Reading(bytes))
}

fn head(event: &mut Reading<'_>) -> Result<(u64, String), Short> {
    let id = event.little(6)?;
    event.bytes(2)?;
    let mut name = || {
        let length = event.byte()?;
        let name = event.bytes(usize::from(length))?;
        event.byte()?;
        std::str::from_utf8(name).map_err(|_| Short)
    };
    let (schema, table) = (name()?, name()?);
    Ok((id, format!("{schema}.{table}")))
}

impl TableMap {
    /// # Errors
    /// A sentence: the event is not understood.
    pub(super) fn read(bytes: &[u8], charsets: &Charsets) -> Result<Self, String> {
        let mut event = Reading(bytes);
        let (id, name) = head(&mut event)?;
        let count = event.count()?;
        if count > COLUMNS_MAX {
            return Err(format!("{name} has {count} columns"));
        }
        let types = event.bytes(count)?;
        let mut about = Reading(event.counted()?);
        let mut plain = Vec::with_capacity(count);
        for code in types {
            plain.push(Plain::read(*code, &mut about)?);
        }
        // Which may be NULL: rows say it themselves.
        event.bytes(bit_bytes(count))?;
        let said = Said::read(event)?;
        let columns = said.names.is_some().then(|| said.columns(plain, charsets));
        Ok(Self {
            id,
            name,
            columns,
            bytes: bytes.to_vec(),
        })
    }
}

/// A type as the first part of the event has it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Plain {
    pub(super) code: u8,
    low: u8,
    high: u8,
}

/// Numbers of types.
pub(super) mod code {
    pub(in crate::mysql) const TINY: u8 = 1;
    pub(in crate::mysql) const SHORT: u8 = 2;
    pub(in crate::mysql) const LONG: u8 = 3;
    pub(in crate::mysql) const FLOAT: u8 = 4;
    pub(in crate::mysql) const DOUBLE: u8 = 5;
    pub(in crate::mysql) const OLD_TIMESTAMP: u8 = 7;
    pub(in crate::mysql) const LONGLONG: u8 = 8;
    pub(in crate::mysql) const INT24: u8 = 9;
    pub(in crate::mysql) const DATE: u8 = 10;
    pub(in crate::mysql) const OLD_TIME: u8 = 11;
    pub(in crate::mysql) const OLD_DATETIME: u8 = 12;
    pub(in crate::mysql) const YEAR: u8 = 13;
    pub(in crate::mysql) const NEWDATE: u8 = 14;
    pub(in crate::mysql) const VARCHAR: u8 = 15;
    pub(in crate::mysql) const BIT: u8 = 16;
    pub(in crate::mysql) const TIMESTAMP: u8 = 17;
    pub(in crate::mysql) const DATETIME: u8 = 18;
    pub(in crate::mysql) const TIME: u8 = 19;
    /// MariaDB's compressed columns.
    pub(in crate::mysql) const BLOB_COMPRESSED: u8 = 140;
    pub(in crate::mysql) const VARCHAR_COMPRESSED: u8 = 141;
    /// MySQL.
    pub(in crate::mysql) const VECTOR: u8 = 242;
    pub(in crate::mysql) const JSON: u8 = 245;
    pub(in crate::mysql) const DECIMAL: u8 = 246;
    pub(in crate::mysql) const ENUM: u8 = 247;
    pub(in crate::mysql) const SET: u8 = 248;
    pub(in crate::mysql) const BLOB: u8 = 252;
    pub(in crate::mysql) const VAR_STRING: u8 = 253;
    pub(in crate::mysql) const STRING: u8 = 254;
    pub(in crate::mysql) const GEOMETRY: u8 = 255;
}

impl Plain {
    fn read(code: u8, about: &mut Reading<'_>) -> Result<Self, String> {
        let size = match code {
            code::TINY | code::SHORT | code::LONG | code::LONGLONG | code::INT24 | code::YEAR => 0,
            code::DATE | code::NEWDATE | code::OLD_TIME | code::OLD_DATETIME => 0,
            code::OLD_TIMESTAMP => 0,
            code::FLOAT | code::DOUBLE | code::TIMESTAMP | code::DATETIME | code::TIME => 1,
            code::BLOB | code::GEOMETRY | code::JSON | code::VECTOR | code::BLOB_COMPRESSED => 1,
            code::VARCHAR | code::VAR_STRING | code::STRING | code::VARCHAR_COMPRESSED => 2,
            code::BIT | code::DECIMAL | code::ENUM | code::SET => 2,
            other => return Err(format!("the log has a column of the unknown type {other}")),
        };
        let bytes = about.bytes(size)?;
        let byte = |at: usize| bytes.get(at).copied().unwrap_or_default();
        let plain = Self {
            code,
            low: byte(0),
            high: byte(1),
        };
        let is_time = matches!(code, code::TIMESTAMP | code::DATETIME | code::TIME);
        if is_time && plain.low > DIGITS_MAX {
            return Err(format!("the log has a time of {} digits", plain.low));
        }
        // Of texts of fixed length the first byte is the type itself; two of its bits may belong to the length.
        Ok(match (code, plain.low) {
            (code::STRING, real @ (code::ENUM | code::SET)) => Self {
                code: real,
                ..plain
            },
            _ => plain,
        })
    }

    pub(super) fn is_number(self) -> bool {
        matches!(
            self.code,
            code::TINY
                | code::SHORT
                | code::INT24
                | code::LONG
                | code::LONGLONG
                | code::DECIMAL
                | code::FLOAT
                | code::DOUBLE
                | code::YEAR
        )
    }

    pub(super) fn is_text(self) -> bool {
        matches!(
            self.code,
            code::VARCHAR
                | code::VAR_STRING
                | code::STRING
                | code::BLOB
                | code::VARCHAR_COMPRESSED
                | code::BLOB_COMPRESSED
        )
    }

    /// The most bytes of a value of fixed or varying length.
    fn length(self) -> usize {
        let (low, high) = (usize::from(self.low), usize::from(self.high));
        match self.code {
            code::STRING => high | ((low & 0x30) ^ 0x30) << 4,
            _ => low | high << 8,
        }
    }

    fn length_bytes(self) -> usize {
        match self.code {
            code::BLOB | code::GEOMETRY | code::JSON | code::VECTOR | code::BLOB_COMPRESSED => {
                usize::from(self.low)
            }
            _ if self.length() > 255 => 2,
            _ => 1,
        }
    }

    pub(super) fn keeping(self) -> Keeping {
        match self.code {
            code::STRING => Keeping::Fixed(self.length() as u64),
            code::BLOB => Keeping::Apart(self.length_bytes()),
            code::GEOMETRY => Keeping::Shape,
            _ => Keeping::Varying(self.length() as u64),
        }
    }

    /// `charset`: `None` of bytes. `labels`: `None` where they are not known.
    pub(super) fn kind(
        self,
        is_unsigned: bool,
        charset: Option<Charset>,
        labels: Option<Vec<String>>,
    ) -> Kind {
        let (low, high) = (usize::from(self.low), usize::from(self.high));
        let integer = |bytes| Kind::Integer { bytes, is_unsigned };
        let length_bytes = self.length_bytes();
        match self.code {
            code::TINY => integer(1),
            code::SHORT => integer(2),
            code::INT24 => integer(3),
            code::LONG => integer(4),
            code::LONGLONG => integer(8),
            code::FLOAT => Kind::Float,
            code::DOUBLE => Kind::Double,
            code::DECIMAL => Kind::Decimal {
                precision: low,
                scale: high,
            },
            code::YEAR => Kind::Year,
            code::DATE | code::NEWDATE => Kind::Date,
            code::OLD_TIME => Kind::OldTime,
            code::OLD_DATETIME => Kind::OldDatetime,
            code::OLD_TIMESTAMP => Kind::OldTimestamp,
            code::TIME => Kind::Time { digits: low },
            code::DATETIME => Kind::Datetime { digits: low },
            code::TIMESTAMP => Kind::Timestamp { digits: low },
            code::BIT => Kind::Bit {
                bits: low + 8 * high,
            },
            code::ENUM | code::SET => match labels {
                None => Kind::Unlabelled { bytes: high },
                Some(labels) if self.code == code::ENUM => Kind::Enum {
                    bytes: high,
                    labels,
                },
                Some(labels) => Kind::Set {
                    bytes: high,
                    labels,
                },
            },
            code::JSON => Kind::Unread {
                length_bytes,
                why: "is of MySQL's type JSON, which this version does not read",
            },
            code::VARCHAR_COMPRESSED | code::BLOB_COMPRESSED => Kind::Unread {
                length_bytes,
                why: "is a compressed column, which this version does not read",
            },
            _ => match charset {
                Some(charset) => Kind::Text {
                    length_bytes,
                    charset,
                },
                None => Kind::Binary {
                    length_bytes,
                    pad: match self.code {
                        code::STRING => self.length(),
                        _ => 0,
                    },
                },
            },
        }
    }
}

impl TableMap {
    /// Whether it has columns of bytes, which may be something else: the log shows UUIDs and addresses as bytes.
    pub(super) fn has_bytes(&self) -> bool {
        let columns = self.columns.iter().flatten();
        let mut kinds = columns.map(|column| &column.kind);
        kinds.any(|kind| matches!(kind, Kind::Binary { pad: 4 | 16, .. }))
    }

    /// What the catalogue says of their types, by their names.
    pub(super) fn tell_types(&mut self, catalogued: &[Catalogued]) {
        for column in self.columns.iter_mut().flatten() {
            if !matches!(column.kind, Kind::Binary { pad: 4 | 16, .. }) {
                continue;
            }
            let known = catalogued.iter().find(|one| one.name == column.name);
            match known.map(|one| &*one.data_type) {
                Some("uuid") => column.kind = Kind::Uuid,
                Some("inet6") => column.kind = Kind::Inet { bytes: 16 },
                Some("inet4") => column.kind = Kind::Inet { bytes: 4 },
                _ => {}
            }
        }
    }
}
