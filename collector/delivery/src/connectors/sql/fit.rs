//! Values as their columns take them: no database may round or cut one without a word.

use jiff::Timestamp;

use crate::config::sql::Server;

/// What a column's type asks of a text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fit {
    /// A number with so many decimal places; integers have none, and PostgreSQL's may have less than none.
    Scale(i32),
    /// A date and a time, without a zone: ours are UTC.
    Moment,
    /// A date.
    Date,
    /// The database reads it and refuses what it cannot.
    Any,
}

impl Fit {
    /// Of a column's type as the catalogue names it, and the scale there.
    pub(super) fn of(server: Server, kind: &str, scale: Option<i32>) -> Self {
        let is_mysql = matches!(server, Server::Mariadb | Server::Mysql);
        match kind.to_ascii_lowercase().as_str() {
            // The others read RFC 3339 by themselves; but where PostgreSQL keeps no zone, it drops one without a word.
            "datetime" | "timestamp" if is_mysql => Self::Moment,
            "timestamp without time zone" => Self::Moment,
            "date" if is_mysql => Self::Date,
            // Binary floating point: its scale is none.
            "float" | "double" | "real" => Self::Any,
            _ => scale.map_or(Self::Any, Self::Scale),
        }
    }

    /// The value as it is sent.
    ///
    /// # Errors
    /// A sentence without the column's name: the column would not keep it whole.
    pub(super) fn value(self, value: String) -> Result<String, String> {
        match self {
            Self::Any => Ok(value),
            Self::Scale(scale) => number(value, scale),
            Self::Moment => Ok(moment(&value, "%Y-%m-%d %H:%M:%S%.f").unwrap_or(value)),
            Self::Date => Ok(moment(&value, "%Y-%m-%d").unwrap_or(value)),
        }
    }
}

/// A time of ours (RFC 3339) in another form; another text is the database's to read.
fn moment(value: &str, form: &str) -> Option<String> {
    let at: Timestamp = value.parse().ok()?;
    Some(
        jiff::tz::TimeZone::UTC
            .to_datetime(at)
            .strftime(form)
            .to_string(),
    )
}

fn number(value: String, scale: i32) -> Result<String, String> {
    let Some(needed) = places(value.trim()) else {
        return Ok(value);
    };
    if needed > i64::from(scale) {
        return Err(match scale {
            0.. => format!(
                "{value:?} has {needed} decimal places, and its column keeps {scale}: nothing is rounded"
            ),
            _ => format!(
                "{value:?} is no multiple of 10 to the power of {}, as its column keeps them: nothing is rounded",
                scale.unsigned_abs()
            ),
        });
    }
    let Some((whole, places)) = value.split_once('.') else {
        return Ok(value);
    };
    let kept = usize::try_from(scale).unwrap_or(0);
    // With zeros that an integer's column would not read.
    let is_plain = !whole.is_empty() && places.bytes().all(|byte| byte.is_ascii_digit());
    if !is_plain || places.len() <= kept {
        return Ok(value);
    }
    match kept {
        0 => Ok(whole.to_owned()),
        _ => Ok(format!("{whole}.{}", &places[..kept])),
    }
}

/// How many decimal places a number needs, less than none where it ends in zeros: `12.50` one, `5e-3` three, `1200` minus
/// two. `None`: it is no number, and the database says so.
fn places(text: &str) -> Option<i64> {
    let digits = text.strip_prefix(['-', '+']).unwrap_or(text);
    let (mantissa, exponent) = match digits.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => (mantissa, exponent.parse::<i64>().ok()?),
        None => (digits, 0),
    };
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let all = format!("{whole}{fraction}");
    if all.is_empty() || !all.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let significant = all.trim_end_matches('0');
    if significant.is_empty() {
        return Some(i64::MIN);
    }
    let zeros = all.len() - significant.len();
    Some((fraction.len() as i64 - zeros as i64).saturating_sub(exponent))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(fit: Fit, value: &str, expected: Option<&str>) {
        let made = fit.value(value.to_owned());
        assert_eq!(made.ok().as_deref(), expected, "{fit:?} {value}");
    }

    #[test]
    fn no_decimal_place_is_lost() {
        for (scale, value, expected) in [
            (3, "12.5", Some("12.5")),
            (1, "12.50", Some("12.5")),
            (0, "12.00", Some("12")),
            (0, "-3", Some("-3")),
            (0, "12.5", None),
            (2, "0.125", None),
            (0, "1.2.3", Some("1.2.3")),
            (0, "A.5x", Some("A.5x")),
            (2, "1.5e-2", None),
            (2, "5e-3", None),
            (3, "5e-3", Some("5e-3")),
            (0, "1.5e3", Some("1.5e3")),
            (2, ".125", None),
            (2, " 0.125 ", None),
            (2, "0e-9", Some("0e-9")),
            (-2, "1234", None),
            (-2, "1200.0", Some("1200")),
        ] {
            check(Fit::Scale(scale), value, expected);
        }
        check(
            Fit::Any,
            "0.12345678901234567890",
            Some("0.12345678901234567890"),
        );
    }

    #[test]
    fn times_are_written_in_utc_where_a_column_keeps_no_zone() {
        check(
            Fit::Moment,
            "2026-11-23T08:00:01.25Z",
            Some("2026-11-23 08:00:01.25"),
        );
        check(
            Fit::Moment,
            "2026-11-23T08:00:01Z",
            Some("2026-11-23 08:00:01"),
        );
        check(
            Fit::Moment,
            "2026-11-23T08:00:01+02:00",
            Some("2026-11-23 06:00:01"),
        );
        check(Fit::Date, "2026-11-23T23:00:01Z", Some("2026-11-23"));
        check(Fit::Moment, "yesterday", Some("yesterday"));
        assert_eq!(Fit::of(Server::Mysql, "DATETIME", None), Fit::Moment);
        let zoned = "timestamp with time zone";
        assert_eq!(Fit::of(Server::Postgres, zoned, None), Fit::Any);
        let bare = "timestamp without time zone";
        assert_eq!(Fit::of(Server::Postgres, bare, None), Fit::Moment);
        assert_eq!(Fit::of(Server::Mariadb, "double", Some(0)), Fit::Any);
        assert_eq!(Fit::of(Server::Mariadb, "int", Some(0)), Fit::Scale(0));
    }
}
