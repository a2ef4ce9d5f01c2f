//! Values of a row that a server answers a prepared statement with, as records hold them.

use mysql_async::consts::{ColumnFlags, ColumnType};
use mysql_async::{Column, Value};

use super::texts::{put_bits, put_date, put_double, put_float, put_hex, put_time};

/// The collation of bytes.
const BINARY: u16 = 63;

/// Puts a value behind what is there.
///
/// # Errors
/// What is wrong with it.
pub(super) fn put(out: &mut String, column: &Column, value: &Value) -> Result<(), &'static str> {
    match value {
        Value::NULL => {}
        Value::Int(number) => match column.column_type() {
            ColumnType::MYSQL_TYPE_YEAR => out.push_str(&format!("{number:04}")),
            _ => out.push_str(&number.to_string()),
        },
        Value::UInt(number) => match column.column_type() {
            ColumnType::MYSQL_TYPE_YEAR => out.push_str(&format!("{number:04}")),
            _ => out.push_str(&number.to_string()),
        },
        Value::Float(number) => put_float(out, *number),
        Value::Double(number) => put_double(out, *number),
        Value::Date(year, month, day, hour, minute, second, micros) => {
            put_date(out, u64::from(*year), u64::from(*month), u64::from(*day));
            let kind = column.column_type();
            if !matches!(
                kind,
                ColumnType::MYSQL_TYPE_DATE | ColumnType::MYSQL_TYPE_NEWDATE
            ) {
                out.push('T');
                let (hour, minute) = (u64::from(*hour), u64::from(*minute));
                put_time(
                    out,
                    false,
                    hour,
                    minute,
                    u64::from(*second),
                    u64::from(*micros),
                );
            }
            let is_stamp = matches!(
                kind,
                ColumnType::MYSQL_TYPE_TIMESTAMP | ColumnType::MYSQL_TYPE_TIMESTAMP2
            );
            // The date that is none has no zone.
            if is_stamp && *year > 0 {
                out.push('Z');
            }
        }
        Value::Time(is_negative, days, hours, minutes, seconds, micros) => {
            let hours = u64::from(*days) * 24 + u64::from(*hours);
            put_time(
                out,
                *is_negative,
                hours,
                u64::from(*minutes),
                u64::from(*seconds),
                u64::from(*micros),
            );
        }
        Value::Bytes(bytes) => return put_bytes(out, column, bytes),
    }
    Ok(())
}

fn put_bytes(out: &mut String, column: &Column, bytes: &[u8]) -> Result<(), &'static str> {
    let is_labelled = column
        .flags()
        .intersects(ColumnFlags::ENUM_FLAG | ColumnFlags::SET_FLAG);
    match column.column_type() {
        ColumnType::MYSQL_TYPE_BIT => {
            let value = bytes
                .iter()
                .fold(0_u64, |all, byte| all << 8 | u64::from(*byte));
            put_bits(out, value, column.column_length() as usize);
            return Ok(());
        }
        ColumnType::MYSQL_TYPE_GEOMETRY => {
            put_hex(out, bytes);
            return Ok(());
        }
        ColumnType::MYSQL_TYPE_NEWDECIMAL | ColumnType::MYSQL_TYPE_DECIMAL => {}
        _ if column.character_set() == BINARY && !is_labelled => {
            put_hex(out, bytes);
            return Ok(());
        }
        _ => {}
    }
    let text = std::str::from_utf8(bytes).map_err(|_| "is no UTF-8")?;
    out.push_str(text);
    Ok(())
}
