//! What a value of SQL Server is in a page, and by that in a record.

use std::fmt::Write as _;

use jiff::civil::{self, DateTime};
use jiff::{SignedDuration, Span};
use tiberius::{ColumnData, ColumnType};

use super::super::page::Page;
use super::super::value::{Kind, put_bytes};

/// `money` comes as a float, whose digits tell amounts below 2^51 ten-thousandths apart: 225,179,981,368.5248.
const MONEY_MAX: f64 = (1_u64 << 51) as f64;
/// Of a second, in which `datetime` counts.
const FRAGMENTS: u32 = 300;

/// What a column holds.
pub(super) fn kind(told: ColumnType) -> Kind {
    match told {
        ColumnType::Bit | ColumnType::Bitn => Kind::Boolean,
        ColumnType::Int1
        | ColumnType::Int2
        | ColumnType::Int4
        | ColumnType::Int8
        | ColumnType::Intn => Kind::Integer,
        ColumnType::Decimaln | ColumnType::Numericn | ColumnType::Money | ColumnType::Money4 => {
            Kind::Decimal
        }
        ColumnType::Datetime
        | ColumnType::Datetime4
        | ColumnType::Datetimen
        | ColumnType::Datetime2 => Kind::Time,
        ColumnType::Timen => Kind::DayTime,
        ColumnType::BigVarBin | ColumnType::BigBinary | ColumnType::Image | ColumnType::Udt => {
            Kind::Bytes
        }
        ColumnType::BigVarChar
        | ColumnType::BigChar
        | ColumnType::NVarchar
        | ColumnType::NChar
        | ColumnType::Text
        | ColumnType::NText => Kind::Text,
        _ => Kind::Other,
    }
}

/// Puts a value as the next cell.
pub(super) fn put(page: &mut Page, of: ColumnType, data: &ColumnData<'_>) {
    let is_money = matches!(of, ColumnType::Money | ColumnType::Money4);
    let mut text = String::new();
    match written(&mut text, is_money, data) {
        Some(true) => page.text(&text),
        Some(false) => page.lost(None),
        None => page.null(),
    }
}

/// Writes a value; whether it can be told exactly. `None`: NULL.
fn written(out: &mut String, is_money: bool, data: &ColumnData<'_>) -> Option<bool> {
    // Writing to a text does not fail.
    let _ = match data {
        ColumnData::U8(number) => write!(out, "{}", (*number)?),
        ColumnData::I16(number) => write!(out, "{}", (*number)?),
        ColumnData::I32(number) => write!(out, "{}", (*number)?),
        ColumnData::I64(number) => write!(out, "{}", (*number)?),
        ColumnData::Bit(bit) => write!(out, "{}", u8::from((*bit)?)),
        ColumnData::F64(number) if is_money => return Some(put_money(out, (*number)?)),
        ColumnData::F32(number) => return Some(put_float(out, &format!("{:?}", (*number)?))),
        ColumnData::F64(number) => return Some(put_float(out, &format!("{:?}", (*number)?))),
        ColumnData::String(text) => out.write_str(text.as_deref()?),
        ColumnData::Xml(xml) => write!(out, "{}", xml.as_deref()?),
        ColumnData::Guid(guid) => write!(out, "{}", (*guid)?),
        ColumnData::Binary(bytes) => {
            put_bytes(out, bytes.as_deref()?);
            Ok(())
        }
        ColumnData::Numeric(number) => {
            let number = (*number)?;
            put_decimal(out, number.value(), number.scale().into());
            Ok(())
        }
        ColumnData::DateTime(time) => {
            let time = (*time)?;
            let (seconds, rest) = (
                time.seconds_fragments() / FRAGMENTS,
                time.seconds_fragments() % FRAGMENTS,
            );
            // As the server itself shows it: .000, .003 and .007.
            let ms = (rest * 10 + 1) / 3;
            let at = plus(SINCE_1900, time.days().into(), seconds.into());
            return Some(put_time(out, at, u64::from(ms), 3));
        }
        ColumnData::SmallDateTime(time) => {
            let time = (*time)?;
            let seconds = i64::from(time.seconds_fragments()) * 60;
            let at = plus(SINCE_1900, time.days().into(), seconds);
            return Some(put_time(out, at, 0, 0));
        }
        ColumnData::Date(date) => {
            let at = plus(SINCE_1, (*date)?.days().into(), 0)?;
            write!(out, "{}", at.date())
        }
        ColumnData::Time(time) => {
            let (seconds, rest, scale) = parts(*time.as_ref()?);
            let at = plus(SINCE_1, 0, seconds)?;
            let _ = write!(out, "{}", at.time());
            put_fraction(out, rest, scale);
            Ok(())
        }
        ColumnData::DateTime2(time) => {
            let time = (*time)?;
            let (seconds, rest, scale) = parts(time.time());
            let at = plus(SINCE_1, time.date().days().into(), seconds);
            return Some(put_time(out, at, rest, scale));
        }
        ColumnData::DateTimeOffset(time) => {
            let time = (*time)?;
            let (seconds, rest, scale) = parts(time.datetime2().time());
            let minutes = i64::from(time.offset());
            // It comes in UTC, and its offset beside it.
            let days = time.datetime2().date().days();
            let at = plus(SINCE_1, days.into(), seconds + minutes * 60);
            let mut text = String::new();
            let is_told = put_time(&mut text, at, rest, scale);
            out.push_str(&text.replacen(' ', "T", 1));
            let sign = if minutes < 0 { '-' } else { '+' };
            let minutes = minutes.abs();
            let _ = write!(out, "{sign}{:02}:{:02}", minutes / 60, minutes % 60);
            return Some(is_told);
        }
    };
    Some(true)
}

const SINCE_1900: DateTime = civil::datetime(1900, 1, 1, 0, 0, 0, 0);
const SINCE_1: DateTime = civil::datetime(1, 1, 1, 0, 0, 0, 0);

fn plus(since: DateTime, days: i64, seconds: i64) -> Option<DateTime> {
    let day = since.checked_add(Span::new().try_days(days).ok()?).ok()?;
    // A span has one sign, and an offset another one than the days.
    day.checked_add(SignedDuration::from_secs(seconds)).ok()
}

/// Whole seconds, what is over in units of its scale, and that scale.
fn parts(time: tiberius::time::Time) -> (i64, u64, usize) {
    let unit = 10_u64.pow(u32::from(time.scale().min(7)));
    let seconds = time.increments() / unit;
    (
        i64::try_from(seconds).unwrap_or(i64::MAX),
        time.increments() % unit,
        time.scale().into(),
    )
}

fn put_time(out: &mut String, at: Option<DateTime>, rest: u64, scale: usize) -> bool {
    let Some(at) = at else {
        return false;
    };
    let _ = write!(out, "{} {}", at.date(), at.time());
    put_fraction(out, rest, scale);
    true
}

fn put_fraction(out: &mut String, rest: u64, scale: usize) {
    if scale > 0 {
        let _ = write!(out, ".{rest:0scale$}");
    }
}

/// With all its digits and its scale.
fn put_decimal(out: &mut String, value: i128, scale: usize) {
    let digits = format!("{:0width$}", value.unsigned_abs(), width = scale + 1);
    let (whole, rest) = digits.split_at(digits.len() - scale);
    if value < 0 {
        out.push('-');
    }
    out.push_str(whole);
    if scale > 0 {
        out.push('.');
        out.push_str(rest);
    }
}

/// Whether its digits can be told.
fn put_money(out: &mut String, amount: f64) -> bool {
    let units = (amount * 10_000.0).round();
    if units.abs() >= MONEY_MAX {
        return false;
    }
    put_decimal(out, units as i128, 4);
    true
}

/// With all digits that tell it from the next one, and without a point that says nothing.
fn put_float(out: &mut String, digits: &str) -> bool {
    out.push_str(digits.strip_suffix(".0").unwrap_or(digits));
    true
}

#[cfg(test)]
mod tests {
    use std::borrow::Cow;

    use tiberius::numeric::Numeric;
    use tiberius::time::{Date, DateTime, DateTime2, DateTimeOffset, SmallDateTime, Time};
    use tiberius::{Uuid, xml::XmlData};

    use super::super::super::page::{Cell, Column};
    use super::super::super::value;
    use super::*;

    /// As a record has it: `~` NULL, `!` lost.
    fn shown(of: ColumnType, data: &ColumnData<'_>) -> String {
        let kind = kind(of);
        let mut page = Page::new(vec![Column {
            name: "value".into(),
            kind,
        }]);
        put(&mut page, of, data);
        match page.cell(0, 0) {
            Cell::Text(text) => {
                let mut out = String::new();
                value::put(&mut out, kind, text);
                out
            }
            Cell::Null => "~".to_owned(),
            Cell::Unsaid | Cell::Lost(_) => "!".to_owned(),
        }
    }

    #[test]
    fn values_are_what_they_are_in_every_databases_records() {
        let guid = Uuid::from_u128(0x6f96_19ff_8b86_d011_b42d_00c0_4fc9_64ff);
        // 2026-11-27 is the 739,946th day, and the 46,351st since 1900.
        let (day, noon) = (Date::new(739_946), Time::new(297_000_000_000, 7));
        let half = Time::new(297_005, 1);
        for (of, data, expected) in [
            (ColumnType::Int1, ColumnData::U8(Some(255)), "255"),
            (ColumnType::Int2, ColumnData::I16(Some(-7)), "-7"),
            (ColumnType::Intn, ColumnData::I32(None), "~"),
            (
                ColumnType::Int8,
                ColumnData::I64(Some(i64::MIN)),
                "-9223372036854775808",
            ),
            (ColumnType::Bit, ColumnData::Bit(Some(true)), "true"),
            (ColumnType::Bitn, ColumnData::Bit(Some(false)), "false"),
            (ColumnType::Float8, ColumnData::F64(Some(0.1)), "0.1"),
            (ColumnType::Float8, ColumnData::F64(Some(7.0)), "7"),
            (ColumnType::Float8, ColumnData::F64(Some(1e-307)), "1e-307"),
            (ColumnType::Float4, ColumnData::F32(Some(0.1)), "0.1"),
            (ColumnType::Money, ColumnData::F64(Some(-7.5)), "-7.5000"),
            (
                ColumnType::Money,
                ColumnData::F64(Some(214_748_364_812_345.0 / 1e4)),
                "21474836481.2345",
            ),
            (ColumnType::Money, ColumnData::F64(Some(9.2e14)), "!"),
            (ColumnType::Money4, ColumnData::F64(None), "~"),
            (
                ColumnType::Decimaln,
                ColumnData::Numeric(Some(Numeric::new_with_scale(-50, 4))),
                "-0.0050",
            ),
            (
                ColumnType::Numericn,
                ColumnData::Numeric(Some(Numeric::new_with_scale(
                    12_345_678_901_234_567_890_123_456_789_012_345_678,
                    0,
                ))),
                "12345678901234567890123456789012345678",
            ),
            (
                ColumnType::NVarchar,
                ColumnData::String(Some(Cow::from("Kärcher €"))),
                "Kärcher €",
            ),
            (
                ColumnType::Xml,
                ColumnData::Xml(Some(Cow::Owned(XmlData::new("<a/>")))),
                "<a/>",
            ),
            (
                ColumnType::Guid,
                ColumnData::Guid(Some(guid)),
                "6f9619ff-8b86-d011-b42d-00c04fc964ff",
            ),
            // A rowversion is eight of them.
            (
                ColumnType::BigBinary,
                ColumnData::Binary(Some(Cow::from(&[0, 0, 0, 0, 0, 0, 7, 0xd1][..]))),
                "\\x00000000000007d1",
            ),
            (ColumnType::Daten, ColumnData::Date(Some(day)), "2026-11-27"),
            (
                ColumnType::Daten,
                ColumnData::Date(Some(Date::new(0))),
                "0001-01-01",
            ),
            (
                ColumnType::Timen,
                ColumnData::Time(Some(half)),
                "08:15:00.5",
            ),
            (
                ColumnType::Datetime2,
                ColumnData::DateTime2(Some(DateTime2::new(day, noon))),
                "2026-11-27T08:15:00",
            ),
            (
                ColumnType::Datetime2,
                ColumnData::DateTime2(Some(DateTime2::new(day, Time::new(297_001_234_567, 7)))),
                "2026-11-27T08:15:00.1234567",
            ),
            (
                ColumnType::Datetime,
                ColumnData::DateTime(Some(DateTime::new(46_351, 29_700 * 300 + 1))),
                "2026-11-27T08:15:00.003",
            ),
            (
                ColumnType::Datetimen,
                ColumnData::DateTime(Some(DateTime::new(-53_690, 299))),
                "1753-01-01T00:00:00.997",
            ),
            (
                ColumnType::Datetime4,
                ColumnData::SmallDateTime(Some(SmallDateTime::new(46_351, 495))),
                "2026-11-27T08:15:00",
            ),
            (
                ColumnType::DatetimeOffsetn,
                ColumnData::DateTimeOffset(Some(DateTimeOffset::new(
                    DateTime2::new(day, half),
                    -570,
                ))),
                "2026-11-26T22:45:00.5-09:30",
            ),
        ] {
            assert_eq!(shown(of, &data), expected, "{data:?}");
        }
    }
}
