//! How values are written in records, whether they come from the log or from a table.

use std::fmt::Write as _;

use super::reading::bit;

pub(super) fn put_integer(out: &mut String, number: u64, bytes: usize, is_unsigned: bool) {
    let written = match is_unsigned {
        true => write!(out, "{number}"),
        false => {
            let unused = 64 - 8 * bytes as u32;
            write!(out, "{}", (number << unused) as i64 >> unused)
        }
    };
    written.expect("a text takes all");
}

/// The shortest number that is just this one; with an exponent where it is very large or very small.
pub(super) fn put_float(out: &mut String, number: f32) {
    let plain = number == 0.0 || (1e-4..1e6).contains(&number.abs());
    let written = match plain {
        true => write!(out, "{number}"),
        false => write!(out, "{number:e}"),
    };
    written.expect("a text takes all");
}

/// The same of a double one.
pub(super) fn put_double(out: &mut String, number: f64) {
    let plain = number == 0.0 || (1e-4..1e15).contains(&number.abs());
    let written = match plain {
        true => write!(out, "{number}"),
        false => write!(out, "{number:e}"),
    };
    written.expect("a text takes all");
}

pub(super) fn put_date(out: &mut String, year: u64, month: u64, day: u64) {
    write!(out, "{year:04}-{month:02}-{day:02}").expect("a text takes all");
}

/// Years from 1901; 0 is none.
pub(super) fn put_year(out: &mut String, year: u8) {
    let year = match year {
        0 => 0,
        year => 1_900 + u32::from(year),
    };
    write!(out, "{year:04}").expect("a text takes all");
}

/// `-838:59:59.5`: as many digits of a second as it has.
pub(super) fn put_time(
    out: &mut String,
    is_negative: bool,
    hours: u64,
    minutes: u64,
    seconds: u64,
    micros: u64,
) {
    if is_negative {
        out.push('-');
    }
    write!(out, "{hours:02}:{minutes:02}:{seconds:02}").expect("a text takes all");
    if micros > 0 {
        write!(out, ".{micros:06}").expect("a text takes all");
        out.truncate(out.trim_end_matches('0').len());
    }
}

/// Seconds since 1970 in UTC; 0 is the date that is none.
pub(super) fn put_timestamp(out: &mut String, seconds: u64, micros: u64) {
    if seconds == 0 {
        put_date(out, 0, 0, 0);
        out.push_str("T00:00:00");
        return;
    }
    let micros = i64::try_from(seconds * 1_000_000 + micros);
    let time = micros.map(jiff::Timestamp::from_microsecond);
    let time = time
        .expect("four bytes of seconds")
        .expect("they end in 2106");
    write!(out, "{time}").expect("a text takes all");
}

pub(super) fn put_bits(out: &mut String, value: u64, bits: usize) {
    write!(out, "{value:0bits$b}").expect("a text takes all");
}

pub(super) fn put_label(out: &mut String, number: u64, labels: &[String]) {
    // 0 is the empty text of a value that was none of them.
    let at = usize::try_from(number).ok().and_then(|n| n.checked_sub(1));
    if let Some(label) = at.and_then(|at| labels.get(at)) {
        out.push_str(label);
    }
}

pub(super) fn put_labels(out: &mut String, bits: &[u8], labels: &[String]) {
    let mut is_first = true;
    for (at, label) in labels.iter().enumerate() {
        if bit(bits, at) {
            if !is_first {
                out.push(',');
            }
            out.push_str(label);
            is_first = false;
        }
    }
}

/// `\x00ff`, as in the records of other databases.
pub(super) fn put_hex(out: &mut String, bytes: &[u8]) {
    out.push_str("\\x");
    out.push_str(&hex::encode(bytes));
}

/// A UUID; zeros at its end may be left out.
pub(super) fn put_uuid(out: &mut String, bytes: &[u8]) {
    let mut uuid = [0; 16];
    let length = bytes.len().min(16);
    uuid[..length].copy_from_slice(&bytes[..length]);
    for (at, byte) in uuid.iter().enumerate() {
        if matches!(at, 4 | 6 | 8 | 10) {
            out.push('-');
        }
        write!(out, "{byte:02x}").expect("a text takes all");
    }
}

pub(super) fn put_address(out: &mut String, bytes: &[u8]) {
    let written = match <[u8; 4]>::try_from(bytes) {
        Ok(four) => write!(out, "{}", std::net::Ipv4Addr::from(four)),
        Err(_) => {
            let mut sixteen = [0; 16];
            sixteen[..bytes.len().min(16)].copy_from_slice(&bytes[..bytes.len().min(16)]);
            write!(out, "{}", std::net::Ipv6Addr::from(sixteen))
        }
    };
    written.expect("a text takes all");
}
