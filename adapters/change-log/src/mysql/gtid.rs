//! Which transactions a place has behind it, by their global numbers (GTID).

use std::collections::BTreeMap;
use std::fmt::{self, Display};

use super::event::Begin;

/// Transactions that are behind a place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Gtids {
    /// MariaDB: of each domain the last one, by server and number: `0-1-100,7-2-31`.
    Maria(BTreeMap<u32, (u32, u64)>),
    /// MySQL: of each source all, in ranges: `3e11fa47-71ca-11e1-9e33-c80aa9429562:1-5:11`.
    MySql(BTreeMap<String, Vec<(u64, u64)>>),
}

impl Gtids {
    /// As the servers write them. `is_maria`: what an empty text is.
    ///
    /// # Errors
    /// A sentence: it is none.
    pub(super) fn read(text: &str, is_maria: bool) -> Result<Self, String> {
        let parts = text
            .split(',')
            .map(str::trim)
            .filter(|part| !part.is_empty());
        let read = match is_maria {
            true => parts.map(maria).collect::<Option<_>>().map(Self::Maria),
            false => parts.map(mysql).collect::<Option<_>>().map(Self::MySql),
        };
        read.ok_or_else(|| format!("\"{text}\" is no list of transactions (GTID)"))
    }

    pub(super) fn is_maria(&self) -> bool {
        matches!(self, Self::Maria(_))
    }

    /// One more is behind it.
    ///
    /// # Errors
    /// A sentence: it has no number, or is of another kind of server.
    pub(super) fn add(&mut self, begin: &Begin) -> Result<(), String> {
        match (self, begin) {
            (
                Self::Maria(last),
                Begin::Maria {
                    domain,
                    server,
                    sequence,
                    ..
                },
            ) => {
                last.insert(*domain, (*server, *sequence));
                Ok(())
            }
            (Self::MySql(all), Begin::MySql { source, number }) => {
                add(all.entry(source.clone()).or_default(), *number);
                Ok(())
            }
            (_, Begin::Anonymous) => {
                Err("a transaction has no number (GTID): let the DBA set gtid_mode = ON".into())
            }
            _ => Err("the server is of another kind than before".into()),
        }
    }

    /// Whether all of `others` are behind it, too. Of MariaDB's only what is last in a domain is known: whether that is the same.
    pub(super) fn covers(&self, others: &Self) -> bool {
        match (self, others) {
            // Numbers of several servers don't compare: the log comes by just these.
            (Self::Maria(mine), Self::Maria(others)) => others
                .iter()
                .all(|(domain, last)| mine.get(domain) == Some(last)),
            (Self::MySql(mine), Self::MySql(others)) => others.iter().all(|(source, ranges)| {
                let mine = mine.get(source).map_or(&[][..], Vec::as_slice);
                ranges
                    .iter()
                    .all(|(first, last)| mine.iter().any(|(from, to)| from <= first && last <= to))
            }),
            _ => false,
        }
    }
}

impl Display for Gtids {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut comma = "";
        match self {
            Self::Maria(last) => {
                for (domain, (server, sequence)) in last {
                    write!(f, "{comma}{domain}-{server}-{sequence}")?;
                    comma = ",";
                }
            }
            Self::MySql(all) => {
                for (source, ranges) in all {
                    write!(f, "{comma}{source}")?;
                    comma = ",";
                    for (first, last) in ranges {
                        match first == last {
                            true => write!(f, ":{first}")?,
                            false => write!(f, ":{first}-{last}")?,
                        }
                    }
                }
            }
        }
        Ok(())
    }
}

impl Display for Begin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Maria {
                domain,
                server,
                sequence,
                ..
            } => write!(f, "{domain}-{server}-{sequence}"),
            Self::MySql { source, number } => write!(f, "{source}:{number}"),
            Self::Anonymous => f.write_str("anonymous"),
        }
    }
}

fn maria(part: &str) -> Option<(u32, (u32, u64))> {
    let mut numbers = part.splitn(3, '-');
    let domain = numbers.next()?.parse().ok()?;
    let server = numbers.next()?.parse().ok()?;
    Some((domain, (server, numbers.next()?.parse().ok()?)))
}

fn mysql(part: &str) -> Option<(String, Vec<(u64, u64)>)> {
    let (source, ranges) = part.split_once(':')?;
    let range = |range: &str| {
        let (first, last) = range.split_once('-').unwrap_or((range, range));
        Some((first.parse().ok()?, last.parse().ok()?))
    };
    let ranges: Option<Vec<_>> = ranges.split(':').map(range).collect();
    Some((source.to_ascii_lowercase(), ranges?))
}

/// Adds a number to ranges that ascend and don't touch.
fn add(ranges: &mut Vec<(u64, u64)>, number: u64) {
    let at = ranges.partition_point(|(_, last)| last.saturating_add(1) < number);
    match ranges.get_mut(at) {
        Some((first, last)) if *first <= number.saturating_add(1) => {
            (*first, *last) = ((*first).min(number), (*last).max(number));
            let end = *last;
            if let Some((next, next_last)) = ranges.get(at + 1).copied()
                && next <= end.saturating_add(1)
            {
                ranges[at].1 = next_last.max(end);
                ranges.remove(at + 1);
            }
        }
        _ => ranges.insert(at, (number, number)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SOURCE: &str = "3e11fa47-71ca-11e1-9e33-c80aa9429562";

    #[test]
    fn transactions_are_written_as_servers_write_them() {
        for (text, is_maria) in [
            ("", true),
            ("0-1-100", true),
            ("0-1-100,7-2-31", true),
            ("", false),
            ("3e11fa47-71ca-11e1-9e33-c80aa9429562:1-5:11:47-49", false),
        ] {
            let read = Gtids::read(text, is_maria).map(|gtids| gtids.to_string());
            assert_eq!(read, Ok(text.to_owned()));
        }
        for (text, is_maria) in [("7", true), ("0-1-x", true), ("a", false), ("a:x", false)] {
            assert!(Gtids::read(text, is_maria).is_err(), "{text}");
        }
    }

    #[test]
    fn what_is_added_is_behind_it() {
        let mut mine = Gtids::read("0-1-100", true).expect("a list");
        let end = Gtids::read("0-2-101,7-1-1", true).expect("a list");
        let begin = |domain, server, sequence| Begin::Maria {
            domain,
            server,
            sequence,
            stands_alone: false,
            is_prepared: false,
        };
        mine.add(&begin(0, 2, 101)).expect("it is one");
        assert!(!mine.covers(&end));
        mine.add(&begin(7, 1, 1)).expect("it is one");
        assert!(mine.covers(&end));
        assert_eq!(mine.to_string(), "0-2-101,7-1-1");
        let mysql = |number| Begin::MySql {
            source: SOURCE.into(),
            number,
        };
        mine.add(&mysql(1)).expect_err("it is of another kind");

        let mut ranges = Gtids::read("", false).expect("a list");
        for (number, expected) in [
            (5, "5"),
            (7, "5:7"),
            (1, "1:5:7"),
            (6, "1:5-7"),
            (6, "1:5-7"),
            (8, "1:5-8"),
        ] {
            ranges.add(&mysql(number)).expect("it is one");
            assert_eq!(ranges.to_string(), format!("{SOURCE}:{expected}"));
        }
        let covers = |text: &str| {
            ranges.covers(&Gtids::read(&format!("{SOURCE}:{text}"), false).expect("a list"))
        };
        assert!(covers("6-8") && covers("1") && !covers("4-6") && !covers("8-9"));
        ranges.add(&Begin::Anonymous).expect_err("it has no number");
    }
}
