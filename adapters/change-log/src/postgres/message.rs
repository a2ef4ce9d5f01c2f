//! pgoutput, the plugin that every PostgreSQL since 10 has: its messages within a transaction, protocol version 1.
//!
//! Layouts are those of the manual's page "Logical Replication Message Formats". Begin and Commit are read by the transport.

use super::message_bytes::{Reader, text};

/// How a table tells its old rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Identity {
    /// By the primary key.
    Default,
    /// Not at all: updates and deletes are refused by the server.
    Nothing,
    /// By all columns.
    Full,
    /// By a unique index.
    Index,
}

/// A column as a Relation message names it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Column {
    /// As the catalogue has it.
    pub(super) name: String,
    /// The type's number in `pg_type`.
    pub(super) type_oid: u32,
    /// The type's modifier; -1: none.
    pub(super) modifier: i32,
    /// Whether it is of the table's identity.
    pub(super) is_key: bool,
}

/// A table, as it was when the rows that follow were written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Relation {
    /// Its number in `pg_class`.
    pub(super) oid: u32,
    /// Its schema; pgoutput writes `pg_catalog` as an empty text.
    pub(super) schema: String,
    /// Its name.
    pub(super) name: String,
    /// How it tells old rows.
    pub(super) identity: Identity,
    /// Those that are published, in the table's order.
    pub(super) columns: Vec<Column>,
}

/// A column's value in a row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Cell<'m> {
    /// SQL NULL.
    Null,
    /// A large value that was not touched; it is not in the log.
    Unchanged,
    /// As the type writes it.
    Text(&'m str),
}

/// A row: its columns, not looked at yet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Tuple<'m> {
    count: u16,
    cells: &'m [u8],
}

/// What is said of a row before the change.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Old<'m> {
    /// Its identity's columns; the others are NULL in it, and are not known.
    Key(Tuple<'m>),
    /// All of it.
    Row(Tuple<'m>),
}

/// What happened.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Message<'m> {
    /// Rows of this table follow.
    Relation(Relation),
    /// A row is new.
    Insert { relation: u32, new: Tuple<'m> },
    /// A row is another. `old`: where its identity changed, or is all columns.
    Update {
        relation: u32,
        old: Option<Old<'m>>,
        new: Tuple<'m>,
    },
    /// A row is gone.
    Delete { relation: u32, old: Old<'m> },
    /// All rows of these tables are gone.
    Truncate { relations: Vec<u32> },
    /// Nothing that concerns rows: a type's name, an origin.
    Other,
}

impl<'m> Message<'m> {
    /// Whether a table is described by it.
    pub(super) fn is_relation(bytes: &[u8]) -> bool {
        bytes.first() == Some(&b'R')
    }

    /// Reads a message.
    ///
    /// # Errors
    /// A sentence: it is cut, or none that is known.
    pub(super) fn read(bytes: &'m [u8]) -> Result<Self, String> {
        let mut reader = Reader(bytes);
        let message = match reader.byte()? {
            b'R' => Self::Relation(relation(&mut reader)?),
            b'I' => Self::Insert {
                relation: reader.u32()?,
                new: reader.new_tuple()?,
            },
            b'U' => {
                let relation = reader.u32()?;
                let old = match reader.0.first() {
                    Some(b'N') => None,
                    _ => Some(reader.old()?),
                };
                Self::Update {
                    relation,
                    old,
                    new: reader.new_tuple()?,
                }
            }
            b'D' => Self::Delete {
                relation: reader.u32()?,
                old: reader.old()?,
            },
            b'T' => {
                let count = reader.u32()?;
                reader.byte()?;
                let relations = (0..count).map(|_| reader.u32()).collect::<Result<_, _>>()?;
                Self::Truncate { relations }
            }
            b'Y' | b'O' => return Ok(Self::Other),
            kind => {
                return Err(format!(
                    "a message of pgoutput begins with 0x{kind:02X}, which is none of protocol version 1"
                ));
            }
        };
        match reader.0 {
            [] => Ok(message),
            rest => Err(format!(
                "{} bytes stand behind a message of pgoutput",
                rest.len()
            )),
        }
    }
}

impl<'m> Tuple<'m> {
    /// Its columns in order.
    #[must_use]
    pub(super) fn cells(&self) -> Cells<'m> {
        Cells {
            left: self.count,
            reader: Reader(self.cells),
        }
    }
}

/// The columns of a row, one after the other. They were looked at when the message was read: nothing is wrong with them any more.
#[derive(Debug, Clone)]
pub(super) struct Cells<'m> {
    left: u16,
    reader: Reader<'m>,
}

impl<'m> Iterator for Cells<'m> {
    type Item = Cell<'m>;

    fn next(&mut self) -> Option<Cell<'m>> {
        self.left = self.left.checked_sub(1)?;
        self.reader.cell().ok()
    }
}

fn relation(reader: &mut Reader<'_>) -> Result<Relation, String> {
    let oid = reader.u32()?;
    let schema = reader.name()?;
    let name = reader.name()?;
    let identity = match reader.byte()? {
        b'd' => Identity::Default,
        b'n' => Identity::Nothing,
        b'f' => Identity::Full,
        b'i' => Identity::Index,
        other => {
            return Err(format!(
                "a table's identity is 0x{other:02X}, which is none"
            ));
        }
    };
    let count = reader.u16()?;
    let columns = (0..count)
        .map(|_| {
            let is_key = reader.byte()? & 1 == 1;
            Ok(Column {
                is_key,
                name: reader.name()?,
                type_oid: reader.u32()?,
                modifier: reader.u32()?.cast_signed(),
            })
        })
        .collect::<Result<_, String>>()?;
    Ok(Relation {
        oid,
        schema,
        name,
        identity,
        columns,
    })
}

impl<'m> Reader<'m> {
    fn new_tuple(&mut self) -> Result<Tuple<'m>, String> {
        match self.byte()? {
            b'N' => self.tuple(),
            other => Err(format!("0x{other:02X} stands where a new row begins")),
        }
    }

    fn old(&mut self) -> Result<Old<'m>, String> {
        match self.byte()? {
            b'K' => self.tuple().map(Old::Key),
            b'O' => self.tuple().map(Old::Row),
            other => Err(format!("0x{other:02X} stands where an old row begins")),
        }
    }

    fn tuple(&mut self) -> Result<Tuple<'m>, String> {
        let count = self.u16()?;
        let all = self.0;
        for _ in 0..count {
            self.cell()?;
        }
        let cells = &all[..all.len() - self.0.len()];
        Ok(Tuple { count, cells })
    }

    fn cell(&mut self) -> Result<Cell<'m>, String> {
        match self.byte()? {
            b'n' => Ok(Cell::Null),
            b'u' => Ok(Cell::Unchanged),
            b't' => {
                let length = self.u32()? as usize;
                text(self.take(length)?).map(Cell::Text)
            }
            other => Err(format!(
                "a column's value begins with 0x{other:02X}, which is none"
            )),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As a server of version 15 sent it for `create table public.stock (sku text primary key, qty numeric(10,2))`.
    fn relation_bytes() -> Vec<u8> {
        let mut bytes = b"R\x00\x00\x40\x0apublic\0stock\0d\x00\x02".to_vec();
        bytes.extend_from_slice(b"\x01sku\0\x00\x00\x00\x19\xff\xff\xff\xff");
        bytes.extend_from_slice(b"\x00qty\0\x00\x00\x06\xa4\x00\x0a\x00\x06");
        bytes
    }

    fn cells(tuple: Tuple<'_>) -> String {
        let shown = tuple.cells().map(|cell| match cell {
            Cell::Null => "NULL".to_owned(),
            Cell::Unchanged => "unchanged".to_owned(),
            Cell::Text(text) => format!("'{text}'"),
        });
        shown.collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn a_table_and_its_rows_are_read() {
        let bytes = relation_bytes();
        let Ok(Message::Relation(relation)) = Message::read(&bytes) else {
            panic!("a table");
        };
        assert_eq!(
            (relation.oid, &*relation.schema, &*relation.name),
            (16_394, "public", "stock")
        );
        assert_eq!(relation.identity, Identity::Default);
        let columns = relation.columns.iter();
        let columns: Vec<_> = columns
            .map(|one| (&*one.name, one.type_oid, one.modifier, one.is_key))
            .collect();
        assert_eq!(
            columns,
            [("sku", 25, -1, true), ("qty", 1_700, 655_366, false)]
        );

        let row = b"\x00\x02t\x00\x00\x00\x02A1t\x00\x00\x00\x042.50";
        let insert = [b"I\x00\x00\x40\x0aN".as_slice(), row].concat();
        let Ok(Message::Insert { relation, new }) = Message::read(&insert) else {
            panic!("a new row");
        };
        assert_eq!((relation, cells(new)), (16_394, "'A1' '2.50'".into()));

        let update = [
            b"U\x00\x00\x40\x0aK\x00\x02t\x00\x00\x00\x01Bn".as_slice(),
            b"N\x00\x02t\x00\x00\x00\x01Au",
        ]
        .concat();
        let Ok(Message::Update {
            old: Some(Old::Key(old)),
            new,
            ..
        }) = Message::read(&update)
        else {
            panic!("another row");
        };
        assert_eq!(
            (cells(old), cells(new)),
            ("'B' NULL".into(), "'A' unchanged".into())
        );

        let delete = [b"D\x00\x00\x40\x0aO".as_slice(), row].concat();
        let Ok(Message::Delete {
            old: Old::Row(old), ..
        }) = Message::read(&delete)
        else {
            panic!("a row that is gone");
        };
        assert_eq!(cells(old), "'A1' '2.50'");
        let truncate = b"T\x00\x00\x00\x02\x01\x00\x00\x00\x07\x00\x00\x00\x08";
        assert_eq!(
            Message::read(truncate),
            Ok(Message::Truncate {
                relations: vec![7, 8]
            })
        );
        assert_eq!(
            Message::read(b"Y\x00\x00\x00\x01a\0b\0"),
            Ok(Message::Other)
        );
    }

    #[test]
    fn what_is_cut_or_unknown_is_told_and_never_read_as_something_else() {
        let whole = relation_bytes();
        for cut in 0..whole.len() {
            assert!(Message::read(&whole[..cut]).is_err(), "{cut}");
        }
        let mut longer = whole;
        longer.push(0);
        for (bytes, expected) in [
            (longer.as_slice(), "1 bytes stand behind"),
            (b"", "cut"),
            (b"S\0", "0x53"),
            (b"I\0\0\0\x01O\0\0", "0x4F stands where a new row begins"),
            (b"I\0\0\0\x01N\0\x01b\0\0\0\x01x", "0x62"),
            (b"I\0\0\0\x01N\0\x01t\xff\xff\xff\xffx", "cut"),
            (b"I\0\0\0\x01N\0\x01t\0\0\0\x01\xff", "client_encoding"),
            (b"D\0\0\0\x01N\0\0", "0x4E stands where an old row begins"),
            (b"T\xff\xff\xff\xff\0\0\0\0\x01", "cut"),
        ] {
            let told = Message::read(bytes).expect_err(expected);
            assert!(told.contains(expected), "{told}");
        }
    }
}
