//! Events of the binary log, as far as a source needs them. What is not known is never passed over, unless the server says that it may be.

use std::io::Read as _;

use flate2::read::ZlibDecoder;

use super::reading::{Reading, Short, bit_bytes};

/// Bytes of rows of one event, unpacked, at most: the server's own limit on a packet.
const UNPACKED_BYTES_MAX: u64 = 1 << 30;
/// Flags of MariaDB's transactions: a statement alone, and one that ends prepared.
const STANDS_ALONE: u8 = 1;
const PREPARED: u8 = 64;
/// The flag of events that a reader may pass over.
const IGNORABLE: u16 = 0x80;

/// An event.
#[derive(Debug)]
pub(super) enum Event<'e> {
    /// A transaction begins; its number.
    Begin(Begin),
    /// What a table is whose rows follow.
    Table(&'e [u8]),
    Rows(Rows<'e>),
    /// A statement.
    Statement {
        schema: String,
        text: String,
    },
    /// The transaction is committed.
    Commit,
    /// It is prepared, and may be rolled back later.
    Prepared,
    /// Something of the log is lost.
    Incident,
    /// The server lives and has nothing more.
    Heartbeat,
    /// Nothing for us.
    Other,
}

/// The beginning of a transaction, or of a statement that stands alone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Begin {
    /// MariaDB.
    Maria {
        domain: u32,
        server: u32,
        sequence: u64,
        /// No commit will come.
        stands_alone: bool,
        /// It ends prepared: whether it is committed is said later, if at all.
        is_prepared: bool,
    },
    /// MySQL: the source's UUID in plain hexadecimal digits with hyphens, and the number.
    MySql { source: String, number: u64 },
    /// MySQL without numbers.
    Anonymous,
}

/// What happened to rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Change {
    Write,
    Update,
    Delete,
}

/// Rows of one table.
#[derive(Debug)]
pub(super) struct Rows<'e> {
    pub(super) change: Change,
    pub(super) table: u64,
    pub(super) columns: usize,
    /// Columns that are there before the change; of a new row: after it.
    pub(super) present: &'e [u8],
    /// Of an update: those after it.
    pub(super) present_after: &'e [u8],
    pub(super) data: Data<'e>,
}

/// The rows themselves.
#[derive(Debug)]
pub(super) enum Data<'e> {
    Plain(&'e [u8]),
    Unpacked(Vec<u8>),
}

impl Data<'_> {
    pub(super) fn bytes(&self) -> &[u8] {
        match self {
            Self::Plain(bytes) => bytes,
            Self::Unpacked(bytes) => bytes,
        }
    }
}

impl<'e> Event<'e> {
    /// `code`: the event's type. `server`: who wrote it first.
    ///
    /// # Errors
    /// A sentence: it is not understood, and nothing after it can be.
    pub(super) fn read(code: u8, flags: u16, server: u32, bytes: &'e [u8]) -> Result<Self, String> {
        let mut event = Reading(bytes);
        let rows = |change, event, is_second, is_packed| {
            Rows::read(change, event, is_second, is_packed).map(Self::Rows)
        };
        Ok(match code {
            2 => statement(&mut event, false)?,
            165 => statement(&mut event, true)?,
            16 => Self::Commit,
            19 => Self::Table(bytes),
            23 => rows(Change::Write, event, false, false)?,
            24 => rows(Change::Update, event, false, false)?,
            25 => rows(Change::Delete, event, false, false)?,
            30 => rows(Change::Write, event, true, false)?,
            31 => rows(Change::Update, event, true, false)?,
            32 => rows(Change::Delete, event, true, false)?,
            166 => rows(Change::Write, event, false, true)?,
            167 => rows(Change::Update, event, false, true)?,
            168 => rows(Change::Delete, event, false, true)?,
            169 => rows(Change::Write, event, true, true)?,
            170 => rows(Change::Update, event, true, true)?,
            171 => rows(Change::Delete, event, true, true)?,
            26 => Self::Incident,
            27 | 41 => Self::Heartbeat,
            33 => Self::Begin(mysql_begin(&mut event)?),
            34 => Self::Begin(Begin::Anonymous),
            38 => Self::Prepared,
            162 => Self::Begin(maria_begin(&mut event, server)?),
            // Stop, rotation, format, comments, checkpoints, lists of numbers, the beginning of encryption.
            3 | 4 | 15 | 28 | 29 | 35 | 160 | 161 | 163 | 164 => Self::Other,
            _ if flags & IGNORABLE != 0 => Self::Other,
            39 => return Err("the server writes parts of JSON values into its log, which this version does not read: let the DBA run SET GLOBAL binlog_row_value_options = '';".into()),
            40 => return Err("the server packs transactions in its log, which this version does not read: let the DBA run SET GLOBAL binlog_transaction_compression = OFF;".into()),
            // Values of statements, and files that they load.
            5 | 13 | 14 | 17 | 18 => return Err(STATEMENTS.into()),
            other => return Err(format!("the log has an event of the unknown type {other}")),
        })
    }
}

/// What a log of statements is answered with.
pub(super) const STATEMENTS: &str = "the log holds a statement instead of the rows that it changed, so that what changed is not known: let the DBA run SET GLOBAL binlog_format = 'ROW'; \
     and look for sessions that set another binlog_format. No log says what that statement changed, so a restart stops here again: give the flow another name, which reads the tables from their beginning, \
     or let the DBA drop the log up to behind it (FLUSH BINARY LOGS; PURGE BINARY LOGS TO the newest file;), write on_gap = \"load-again\" and restart the agent: the flow says the gap, and all rows come again";

impl<'e> Rows<'e> {
    fn read(
        change: Change,
        mut event: Reading<'e>,
        is_second: bool,
        is_packed: bool,
    ) -> Result<Self, String> {
        let table = event.little(6)?;
        event.bytes(2)?;
        if is_second {
            let more = event.little(2)? as usize;
            event.bytes(more.checked_sub(2).ok_or(Short)?)?;
        }
        let columns = event.count()?;
        let present = event.bytes(bit_bytes(columns))?;
        let present_after = match change {
            Change::Update => event.bytes(bit_bytes(columns))?,
            _ => present,
        };
        Ok(Self {
            change,
            table,
            columns,
            present,
            present_after,
            data: match is_packed {
                true => Data::Unpacked(unpacked(event)?),
                false => Data::Plain(event.0),
            },
        })
    }
}

/// MariaDB's compressed bytes: a byte that tells how, how long they were, and a zlib stream.
fn unpacked(mut packed: Reading<'_>) -> Result<Vec<u8>, String> {
    let how = packed.byte()?;
    if how & 0xf0 != 0x80 {
        return Err("an event of the log is packed in an unknown way".into());
    }
    let length = packed.big(usize::from(how & 7))?;
    if length > UNPACKED_BYTES_MAX {
        return Err(format!("an event of the log has {length} bytes"));
    }
    let mut bytes = Vec::new();
    let read = ZlibDecoder::new(packed.0)
        .take(length)
        .read_to_end(&mut bytes);
    match read {
        Ok(read) if read as u64 == length => Ok(bytes),
        _ => Err("an event of the log can't be unpacked".into()),
    }
}

fn statement<'e>(event: &mut Reading<'e>, is_packed: bool) -> Result<Event<'e>, String> {
    // Thread and time.
    event.bytes(8)?;
    let schema_bytes = usize::from(event.byte()?);
    event.bytes(2)?;
    let about = event.little(2)? as usize;
    event.bytes(about)?;
    let schema = event.bytes(schema_bytes)?;
    event.byte()?;
    let text = match is_packed {
        true => unpacked(*event)?,
        false => event.0.to_vec(),
    };
    Ok(Event::Statement {
        schema: String::from_utf8_lossy(schema).into_owned(),
        text: String::from_utf8_lossy(&text).into_owned(),
    })
}

fn maria_begin(event: &mut Reading<'_>, server: u32) -> Result<Begin, Short> {
    let sequence = event.little(8)?;
    let domain = event.little(4)? as u32;
    let flags = event.byte()?;
    Ok(Begin::Maria {
        domain,
        server,
        sequence,
        stands_alone: flags & STANDS_ALONE != 0,
        is_prepared: flags & PREPARED != 0,
    })
}

fn mysql_begin(event: &mut Reading<'_>) -> Result<Begin, Short> {
    event.byte()?;
    let source = hex::encode(event.bytes(16)?);
    let number = event.little(8)?;
    let parts = [0..8, 8..12, 12..16, 16..20, 20..32].map(|part| &source[part]);
    Ok(Begin::MySql {
        source: parts.join("-"),
        number,
    })
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use flate2::Compression;
    use flate2::write::ZlibEncoder;

    use super::*;

    #[test]
    fn transactions_begin_with_their_numbers() {
        let maria = [7, 0, 0, 0, 0, 0, 0, 0, 3, 0, 0, 0, 1];
        let uuid = [
            0x3e, 0x11, 0xfa, 0x47, 0x71, 0xca, 0x11, 0xe1, 0x9e, 0x33, 0xc8, 0x0a, 0xa9, 0x42,
            0x95, 0x62,
        ];
        let mysql = [&[1][..], &uuid, &[9, 0, 0, 0, 0, 0, 0, 0]].concat();
        for (code, bytes, expected) in [
            (162, &maria[..], "3-1-7"),
            (33, &mysql, "3e11fa47-71ca-11e1-9e33-c80aa9429562:9"),
            (34, &mysql, "anonymous"),
        ] {
            match Event::read(code, 0, 1, bytes) {
                Ok(Event::Begin(begin)) => assert_eq!(begin.to_string(), expected),
                other => panic!("{other:?}"),
            }
        }
    }

    #[test]
    fn rows_are_read_plain_and_packed() {
        let mut packed = vec![0x81, 5];
        let mut encoder = ZlibEncoder::new(&mut packed, Compression::default());
        encoder.write_all(b"rows!").expect("memory");
        encoder.finish().expect("memory");
        let head = [9, 0, 0, 0, 0, 0, 1, 0];
        let plain = [&head[..], &[2, 3], b"rows!"].concat();
        let second = [&head[..], &[2, 0, 2, 3, 3], b"rows!"].concat();
        let packed = [&head[..], &[2, 3], &packed].concat();
        for (code, bytes, change) in [
            (23, &plain, Change::Write),
            (25, &plain, Change::Delete),
            (31, &second, Change::Update),
            (166, &packed, Change::Write),
            (168, &packed, Change::Delete),
        ] {
            let event = Event::read(code, 0, 1, bytes);
            let Ok(Event::Rows(rows)) = event else {
                panic!("{code}: {event:?}");
            };
            assert_eq!((rows.change, rows.table, rows.columns), (change, 9, 2));
            assert_eq!((rows.present, rows.data.bytes()), (&[3][..], &b"rows!"[..]));
        }
    }

    #[test]
    fn what_is_unknown_is_passed_over_only_if_the_server_says_so() {
        let read = |code, flags, bytes: &[u8]| Event::read(code, flags, 1, bytes).map(|_| ());
        assert_eq!(read(200, IGNORABLE, b""), Ok(()));
        assert_eq!(read(161, 0, b""), Ok(()));
        for (code, bytes, expected) in [
            (200, &b""[..], "unknown type 200"),
            (18, b"", "binlog_format"),
            (40, b"", "binlog_transaction_compression"),
            (23, b"\x01", "ends within"),
            (
                166,
                &[9, 0, 0, 0, 0, 0, 1, 0, 1, 1, 0x91, 5],
                "in an unknown way",
            ),
            (
                166,
                &[9, 0, 0, 0, 0, 0, 1, 0, 1, 1, 0x81, 5, 0],
                "can't be unpacked",
            ),
        ] {
            let told = read(code, 0, bytes).expect_err(expected);
            assert!(told.contains(expected), "{told}");
        }
    }
}
