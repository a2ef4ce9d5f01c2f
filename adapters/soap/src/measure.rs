//! Counts a message's records and their bytes, and keeps none of them.
//!
//! A value from around the records stands in each of them: a few hundred kilobytes with one long note above many records become
//! gigabytes of events. So a message is measured before anything of it is copied.

use bytesize::ByteSize;
use dray_formats::{BadRecord, GoodRecord, Names, Sink, Tally};

/// Bytes of a message's records together, unless the message itself may be longer: at the rate at which records are appended the flow is
/// held up for about a second.
const RECORDS_BYTES_MAX: ByteSize = ByteSize::mib(64);

/// How much the records of a message may be together.
pub(crate) fn records_bytes_max(configured: Option<ByteSize>, message: ByteSize) -> ByteSize {
    configured.unwrap_or(RECORDS_BYTES_MAX.max(message))
}

/// How a caller is told so; the limit comes behind it.
const TOO_MUCH: &str = "its records are more than ";

/// What a caller is told whose records are more. Settings are nothing that he could change.
pub(crate) fn too_much(most: ByteSize) -> String {
    format!(
        "{TOO_MUCH}{most} together, with what each takes from around it: send fewer of them in a message"
    )
}

/// The same for the operator, who can change them; `None`: it is another reason.
pub(crate) fn for_the_operator(reason: &str) -> Option<String> {
    let is_too_much = reason.starts_with(TOO_MUCH);
    is_too_much.then(|| {
        format!(
            "{reason}, leave out the columns from around them, or raise limits.records_bytes_max"
        )
    })
}

/// What a record takes in any case: as one event of a few, ten million empty ones hold a flow up as much as long ones do.
const RECORD_BYTES: u64 = 64;

/// The bytes of records: their columns, what their columns' names have beyond 1 KiB, and 64 each.
#[derive(Debug, Default)]
pub(crate) struct Bytes {
    names: Names,
    pub(crate) all: u64,
}

impl Bytes {
    pub(crate) fn add(&mut self, record: &GoodRecord<'_>) {
        let bytes = record.text.len() + self.names.bytes(record.shape);
        self.all += RECORD_BYTES + bytes as u64;
    }
}

/// Is full once there are too many bad records, or too many bytes.
#[derive(Debug)]
pub(crate) struct Measure {
    tally: Tally,
    bytes: Bytes,
    bytes_max: u64,
}

impl Measure {
    pub(crate) fn new(rejects_max: u64, bytes_max: u64) -> Self {
        Self {
            tally: Tally::new(rejects_max),
            bytes: Bytes::default(),
            bytes_max,
        }
    }

    /// What was counted; `None`: there are too many bytes.
    pub(crate) fn tally(self) -> Option<Tally> {
        (self.bytes.all <= self.bytes_max).then_some(self.tally)
    }
}

impl Sink for Measure {
    // A record's text is what its columns take, also from around it: without them nothing is known of its length.
    const FIELDS: bool = true;

    fn full(&self) -> bool {
        self.tally.is_too_bad() || self.bytes.all > self.bytes_max
    }

    fn record(&mut self, record: &GoodRecord<'_>) {
        self.bytes.add(record);
        self.tally.record(record);
    }

    fn reject(&mut self, bad: &BadRecord<'_>) {
        self.tally.reject(bad);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use dray_adapter::Shape;

    use super::*;

    #[test]
    fn it_is_full_with_the_record_that_goes_past_the_limit() {
        let mut measure = Measure::new(0, 2 * (RECORD_BYTES + 5));
        let shape = Arc::new(Shape {
            record_type: String::new(),
            columns: Vec::new(),
        });
        let record = GoodRecord {
            shape: &shape,
            ordinal: 0,
            line: 1,
            text: "12345",
            raw: None,
            fields: &[],
        };
        for is_full in [false, false, true] {
            measure.record(&record);
            assert_eq!(measure.full(), is_full);
        }
        assert!(measure.tally().is_none());
    }

    #[test]
    fn the_operator_alone_learns_the_setting() {
        let reason = too_much(ByteSize::mib(2));
        assert!(!reason.contains("limits."), "{reason}");
        let told = for_the_operator(&reason).expect("it is that reason");
        assert!(
            told.starts_with(&reason) && told.ends_with("raise limits.records_bytes_max"),
            "{told}"
        );
        assert_eq!(for_the_operator("its key is missing"), None);
    }

    #[test]
    fn what_a_message_may_be_its_records_may_be_too() {
        let (small, large) = (ByteSize::mib(1), ByteSize::gib(1));
        assert_eq!(records_bytes_max(None, small), ByteSize::mib(64));
        assert_eq!(records_bytes_max(None, large), large);
        assert_eq!(
            records_bytes_max(Some(ByteSize::mib(2)), large),
            ByteSize::mib(2)
        );
    }
}
