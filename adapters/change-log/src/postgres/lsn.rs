//! How a place of the log is kept: `16/B374D848`, as PostgreSQL writes it.

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
