//! Values as their columns take them: no database may round or cut one without a word.

use jiff::Timestamp;

use crate::config::sql::Server;

/// What a column's type asks of a text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fit {
    /// A number with so many decimal places; integers have none.
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
            // The others read RFC 3339 by themselves.
            "datetime" | "timestamp" if is_mysql => Self::Moment,
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
            Self::Scale(scale) => number(value, usize::try_from(scale).unwrap_or(0)),
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

fn number(value: String, scale: usize) -> Result<String, String> {
    let Some((whole, places)) = value.split_once('.') else {
        return Ok(value);
    };
    let is_number = !whole.is_empty() && places.bytes().all(|byte| byte.is_ascii_digit());
    let needed = places.trim_end_matches('0');
    if !is_number || places.len() <= scale {
        return Ok(value);
    }
    if needed.len() > scale {
        return Err(format!(
            "{value:?} has {} decimal places, and its column keeps {scale}: nothing is rounded",
            needed.len()
        ));
    }
    match scale {
        0 => Ok(whole.to_owned()),
        _ => Ok(format!("{whole}.{}", &places[..scale])),
    }
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
    fn times_are_written_as_mariadb_reads_them() {
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
        check(Fit::Date, "2026-11-23T23:00:01Z", Some("2026-11-23"));
        check(Fit::Moment, "yesterday", Some("yesterday"));
        assert_eq!(Fit::of(Server::Mysql, "DATETIME", None), Fit::Moment);
        assert_eq!(Fit::of(Server::Postgres, "timestamp", None), Fit::Any);
        assert_eq!(Fit::of(Server::Mariadb, "double", Some(0)), Fit::Any);
        assert_eq!(Fit::of(Server::Mariadb, "int", Some(0)), Fit::Scale(0));
    }
}
