//! A cell's value as text.

use std::fmt::Write as _;

use calamine::DataRef;

/// Whole numbers up to here are exact in a float.
const EXACT_MAX: f64 = 9_007_199_254_740_992.0;
const DAY_MS: i64 = 86_400_000;
/// From 1970-01-01 back to day 0 of the 1900 calendar, as it is from 1 March 1900 on.
const DAY_0_OF_1900: i64 = -25_569;
const DAY_0_OF_1904: i64 = -24_107;
/// The day that 1900 did not have.
const FEBRUARY_29: i64 = 60;
/// 31 December 9999, the last that Excel shows.
const LAST_DAY: i64 = 2_932_896;

/// Appends a value; or says why it is none, as the end of a sentence that begins with the cell. False where there is no value.
pub(super) fn put(
    value: &DataRef<'_>,
    formula: bool,
    is_1904: bool,
    out: &mut String,
) -> Result<bool, String> {
    match value {
        DataRef::Empty if formula => {
            return Err("has a formula without a value; open and save the workbook in Excel, or have values written".into());
        }
        DataRef::Empty => return Ok(false),
        DataRef::Int(number) => put_shown(out, number),
        DataRef::Float(number) => put_number(*number, out)?,
        DataRef::String(text) => out.push_str(text),
        DataRef::SharedString(text) => out.push_str(text),
        DataRef::Bool(true) => out.push_str("TRUE"),
        DataRef::Bool(false) => out.push_str("FALSE"),
        DataRef::DateTime(at) if at.is_duration() => put_duration(at.as_f64(), out)?,
        DataRef::DateTime(at) => put_time(at.as_f64(), is_1904, out)?,
        DataRef::DateTimeIso(text) | DataRef::DurationIso(text) => out.push_str(text),
        DataRef::Error(error) => {
            put_shown(out, error);
            return Err(format!("is {error}"));
        }
    }
    Ok(true)
}

fn put_shown(out: &mut String, shown: impl std::fmt::Display) {
    write!(out, "{shown}").expect("a string takes all");
}

fn put_number(number: f64, out: &mut String) -> Result<(), String> {
    if !number.is_finite() {
        return Err("is no number".into());
    }
    if number.fract() == 0.0 && number.abs() <= EXACT_MAX {
        put_shown(out, number as i64);
        return Ok(());
    }
    // 15 significant digits, of which Rust then writes no more than tell the float from its neighbours.
    let rounded: f64 = format!("{number:.14e}").parse().unwrap_or(number);
    put_shown(out, rounded);
    Ok(())
}

fn ms_of(days: f64) -> Option<i64> {
    let ms = (days * DAY_MS as f64).round();
    (ms.is_finite() && ms.abs() < EXACT_MAX).then_some(ms as i64)
}

fn put_duration(days: f64, out: &mut String) -> Result<(), String> {
    let ms = ms_of(days).ok_or("is no duration")?;
    if ms < 0 {
        out.push('-');
    }
    put_clock(ms.abs(), out);
    Ok(())
}

fn put_time(value: f64, is_1904: bool, out: &mut String) -> Result<(), String> {
    let none = || Err(format!("has a date's format, and {value} is none in it"));
    let Some(ms) = ms_of(value).filter(|ms| *ms >= 0) else {
        return none();
    };
    let (serial, ms) = (ms / DAY_MS, ms % DAY_MS);
    // A time of day alone is one on day 0, which only the 1904 calendar has.
    if serial == 0 && (ms > 0 || !is_1904) {
        put_clock(ms, out);
        return Ok(());
    }
    let day = match serial {
        _ if is_1904 => serial + DAY_0_OF_1904,
        FEBRUARY_29 => return none(),
        1..FEBRUARY_29 => serial + DAY_0_OF_1900 + 1,
        _ => serial + DAY_0_OF_1900,
    };
    if day > LAST_DAY {
        return none();
    }
    put_day(day, out);
    if ms > 0 {
        out.push('T');
        put_clock(ms, out);
    }
    Ok(())
}

fn put_clock(ms: i64, out: &mut String) {
    let (seconds, ms) = (ms / 1000, ms % 1000);
    let (hour, minute, second) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
    put_shown(out, format_args!("{hour:02}:{minute:02}:{second:02}"));
    if ms > 0 {
        put_shown(out, format_args!(".{ms:03}"));
    }
}

/// The Gregorian date of a day counted from 1970-01-01. Years begin in March here, so that a leap day is a year's last.
fn put_day(day: i64, out: &mut String) {
    let day = day + 719_468;
    let (era, in_era) = (day.div_euclid(146_097), day.rem_euclid(146_097));
    let year_of_era = (in_era - in_era / 1_460 + in_era / 36_524 - in_era / 146_096) / 365;
    let in_year = in_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let from_march = (5 * in_year + 2) / 153;
    let date = in_year - (153 * from_march + 2) / 5 + 1;
    let month = if from_march < 10 {
        from_march + 3
    } else {
        from_march - 9
    };
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    put_shown(out, format_args!("{year:04}-{month:02}-{date:02}"));
}
