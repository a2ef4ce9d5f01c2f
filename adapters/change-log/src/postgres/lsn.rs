//! How a place of the log is kept: `16/B374D848`, as PostgreSQL writes it.

use pgwire_replication::Lsn;

/// Where the log ends, as the stream says it: at the beginning of a page the server names the place behind the page's header (24 bytes, of a
/// file's first page 40), where nothing is written yet.
pub(super) fn without_header(end: Lsn, page: u64) -> Lsn {
    match end.as_u64().checked_rem(page) {
        Some(header @ (24 | 40)) => Lsn(end.as_u64() - header),
        _ => end,
    }
}

/// One that is there.
pub(super) mod written {
    use pgwire_replication::Lsn;
    use serde::{Deserialize as _, Deserializer, Serializer, de::Error as _};

    pub(in super::super) fn serialize<S: Serializer>(
        lsn: &Lsn,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        serializer.collect_str(lsn)
    }

    pub(in super::super) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Lsn, D::Error> {
        let text = String::deserialize(deserializer)?;
        Lsn::parse(&text).map_err(D::Error::custom)
    }
}

/// The same of what may be absent.
pub(super) mod written_if_any {
    use pgwire_replication::Lsn;
    use serde::{Deserializer, Serializer};

    use super::written;

    pub(in super::super) fn serialize<S: Serializer>(
        lsn: &Option<Lsn>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        match lsn {
            Some(lsn) => written::serialize(lsn, serializer),
            None => serializer.serialize_none(),
        }
    }

    pub(in super::super) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Option<Lsn>, D::Error> {
        written::deserialize(deserializer).map(Some)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_end_of_a_page_is_where_the_stream_says_it_is() {
        for (end, expected) in [
            (8_192 + 24, 8_192),
            (40, 0),
            (8_192 + 48, 8_192 + 48),
            (100, 100),
        ] {
            assert_eq!(without_header(Lsn(end), 8_192), Lsn(expected));
        }
    }
}
