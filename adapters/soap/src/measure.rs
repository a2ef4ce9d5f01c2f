//! Counts a message's records and their bytes, and keeps none of them.
//!
//! A value from around the records stands in each of them: a few hundred kilobytes with one long note above many records become
//! gigabytes of events. So a message is measured before anything of it is copied.

use bytesize::ByteSize;
use dray_formats::{BadRecord, GoodRecord, Sink, Tally};

/// Bytes of a message's records together, unless the message itself may be longer: at the rate at which records are appended the flow is
/// held up for about a second.
const RECORDS_BYTES_MAX: ByteSize = ByteSize::mib(64);

/// How much the records of a message may be together.
pub(crate) fn records_bytes_max(configured: Option<ByteSize>, message: ByteSize) -> ByteSize {
    configured.unwrap_or(RECORDS_BYTES_MAX.max(message))
}

/// What is said of a message whose records are more.
pub(crate) fn too_much(most: ByteSize) -> String {
    format!(
        "its records are more than {most} (limits.records_bytes_max), with what each takes from around it: fewer of them go in a message, or such a column is left out"
    )
}

/// Is full once there are too many bad records, or too many bytes.
///
/// `CELLS`: whether the decoder is to find the cells.
#[derive(Debug)]
pub(crate) struct Measure<const CELLS: bool> {
    tally: Tally,
    bytes: u64,
    bytes_max: u64,
}

impl<const CELLS: bool> Measure<CELLS> {
    pub(crate) fn new(rejects_max: u64, bytes_max: u64) -> Self {
        Self {
            tally: Tally::new(rejects_max),
            bytes: 0,
            bytes_max,
        }
    }

    /// What was counted; `None`: there are too many bytes.
    pub(crate) fn tally(self) -> Option<Tally> {
        (self.bytes <= self.bytes_max).then_some(self.tally)
    }
}

impl<const CELLS: bool> Sink for Measure<CELLS> {
    const FIELDS: bool = CELLS;

    fn full(&self) -> bool {
        self.tally.is_too_bad() || self.bytes > self.bytes_max
    }

    fn record(&mut self, record: &GoodRecord<'_>) {
        self.bytes += record.text.len() as u64;
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
        let mut measure = Measure::<true>::new(0, 10);
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
