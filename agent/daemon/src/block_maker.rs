//! A source's batches become blocks. Pure: no clock, no disk, no thread.
//!
//! Small batches that wait for the same append share a block: a call or a file of one record costs a block of its own (a key on
//! this disk, a message on the wire, a row in the collector's log) only where nothing else waits.
//!
//! **Which position a block carries.** All blocks of an append are written together, with the position of its last
//! batch; but on the wire and in the collector's log they are blocks by themselves, and when this
//! machine's disk is lost the agent resumes at the newest position that the collector holds. A
//! position ahead of what was sent would lose records. So only the *last* block of an append carries
//! its position; those before it carry none, which says that the flow stands where it stood:
//! the whole append is read again, and what was held already is dropped by its id.

use bytes::Bytes;
use dray_adapter::{Batch, IdScope, Origin, Position, RecordView, Reject, Reported};
use dray_buffer::api::APPEND_BYTES_MAX;
use dray_buffer::{Loss, NewBlock};
use dray_mapping::{Letter, Mapper};
use dray_proto::block::{Builder, Encoded};
use dray_proto::v1::DeadLetterStage;

use crate::config::Otherwise;

/// What batches became.
#[derive(Debug, Default)]
pub struct Made {
    /// In order; none when the batch holds nothing, or nothing but what is skipped.
    pub blocks: Vec<NewBlock>,
    /// Events in them, dead letters and reports among them.
    pub events: u64,
    /// Dead letters in them.
    pub dead_letters: u64,
    /// Records that no mapping took and that the flow is to skip.
    pub skipped: u64,
    /// The blocks' payloads together.
    pub bytes: usize,
}

impl Made {
    /// Why the buffer would refuse it, with the way out; `None` if it won't.
    #[must_use]
    pub fn too_large(&self, last: &str) -> Option<String> {
        (self.bytes > APPEND_BYTES_MAX).then(|| {
            format!(
                "the mappings make {} bytes of what was read together up to \"{last}\", at most {APPEND_BYTES_MAX} can be kept together; \
                 map fewer columns, or give the flow fewer mappings",
                self.bytes
            )
        })
    }
}

/// Makes blocks of one flow's batches, in order.
#[derive(Debug)]
pub struct BlockMaker {
    mapper: Mapper,
    otherwise: Otherwise,
    closing: Closing,
    /// Of what is added.
    skipped: u64,
}

impl BlockMaker {
    /// One with nothing under way.
    #[must_use]
    pub fn new(mapper: Mapper, otherwise: Otherwise) -> Self {
        Self {
            mapper,
            otherwise,
            closing: Closing::default(),
            skipped: 0,
        }
    }

    /// The blocks of one batch by itself.
    pub fn make(&mut self, batch: &Batch) -> Made {
        self.add(batch);
        self.take(&batch.position)
    }

    /// Adds all events of a batch to those that are not taken yet.
    pub fn add(&mut self, batch: &Batch) {
        let mut rejects = batch.rejects.iter().peekable();
        let mut reports = batch.reports.iter().peekable();
        for (index, record) in batch.records.iter().enumerate() {
            while let Some(reject) = rejects.next_if(|reject| reject.after <= index) {
                self.reject(batch, reject);
            }
            while let Some(reported) = reports.next_if(|reported| reported.after <= index) {
                self.report(batch, reported);
            }
            self.record(batch, record);
        }
        for reject in rejects {
            self.reject(batch, reject);
        }
        for reported in reports {
            self.report(batch, reported);
        }
    }

    /// The blocks of all batches that were added; `after`: the position after the last of them.
    pub fn take(&mut self, after: &Position) -> Made {
        self.closing.close();
        let mut made = Made {
            blocks: self.positioned(&after.0),
            skipped: std::mem::take(&mut self.skipped),
            ..Made::default()
        };
        for block in &made.blocks {
            made.events += u64::from(block.count);
            made.dead_letters += u64::from(block.dead_letters);
            made.bytes += block.payload.len();
        }
        made
    }

    /// Forgets what was added and not taken: it is read again.
    pub fn forget(&mut self) {
        self.take(&Position::default());
    }

    fn record(&mut self, batch: &Batch, record: RecordView<'_>) {
        let captured_us = batch.captured_us;
        let closing = &mut self.closing;
        let mapped = self
            .mapper
            .map(&batch.origin, captured_us, record, &mut |event| {
                closing.push(event, captured_us, false);
            });
        let (stage, reason) = match mapped {
            Ok(0) if self.otherwise == Otherwise::Skip => {
                self.skipped += 1;
                return;
            }
            Ok(0) => (DeadLetterStage::Map, no_mapping(&record)),
            Ok(_) => return,
            Err(failure) => (failure.stage, failure.reason),
        };
        let letter =
            self.mapper
                .dead_letter_of_record(&batch.origin, captured_us, record, stage, &reason);
        self.closing.push(&letter, captured_us, true);
    }

    fn reject(&mut self, batch: &Batch, reject: &Reject) {
        let letter = self
            .mapper
            .dead_letter_of_reject(&batch.origin, batch.captured_us, reject);
        self.closing.push(&letter, batch.captured_us, true);
    }

    fn report(&mut self, batch: &Batch, reported: &Reported) {
        let event = self
            .mapper
            .report(&batch.origin, batch.captured_us, reported);
        self.closing.push(&event, batch.captured_us, false);
    }

    /// What tells the centre of events that the disk lost: a dead letter where the flow stands.
    pub fn lost(&mut self, flow: &str, loss: &Loss, captured_us: i64) -> Vec<NewBlock> {
        let (epoch, first) = (loss.epoch.to_be_bytes(), loss.first.0.to_be_bytes());
        let origin = Origin {
            scope: IdScope::of(&[b"lost", flow.as_bytes(), &epoch, &first]),
            file: "".into(),
            message_id: "".into(),
            change_position: "".into(),
        };
        let reason = format!(
            "{loss}: the agent's disk lost them before it was known here that the collector has them. What the log does not hold is read \
             again where the source still has it"
        );
        let letter = Letter {
            ordinal: 0,
            line: 0,
            record_type: "",
            stage: DeadLetterStage::Gap,
            reason: &reason,
            raw: &[],
            raw_bytes: 0,
            raw_sha256: None,
            record: None,
        };
        let event = self.mapper.dead_letter(&origin, captured_us, &letter);
        self.closing.push(&event, captured_us, true);
        self.closing.close();
        self.positioned(&Bytes::new())
    }

    /// Takes the closed blocks, the last one with this position.
    fn positioned(&mut self, after: &Bytes) -> Vec<NewBlock> {
        let closed = std::mem::take(&mut self.closing.closed);
        let mut blocks: Vec<NewBlock> = closed.into_iter().map(new_block).collect();
        if let Some(last) = blocks.last_mut() {
            last.position.clone_from(after);
        }
        blocks
    }
}

fn no_mapping(record: &RecordView<'_>) -> String {
    let record_type = &record.shape().record_type;
    let of_type = if record_type.is_empty() {
        String::new()
    } else {
        format!(" of type \"{record_type}\"")
    };
    format!(
        "no mapping takes this record{of_type}; add a [[flow.mapping]] for it, or set otherwise = \"skip\""
    )
}

/// A builder and the blocks that it closed.
#[derive(Debug, Default)]
struct Closing {
    builder: Builder,
    closed: Vec<Encoded>,
}

impl Closing {
    fn push(&mut self, event: &[u8], captured_us: i64, dead_letter: bool) {
        if !self.builder.takes(event.len()) {
            self.close();
        }
        if dead_letter {
            self.builder.push_dead_letter(event, captured_us);
        } else {
            self.builder.push(event, captured_us);
        }
    }

    fn close(&mut self) {
        self.closed.extend(self.builder.close());
    }
}

fn new_block(encoded: Encoded) -> NewBlock {
    NewBlock {
        count: encoded.count,
        first_captured_us: encoded.first_captured_us,
        last_captured_us: encoded.last_captured_us,
        codec: encoded.codec as u8,
        decoded_bytes: encoded.decoded_bytes,
        crc32c: encoded.crc32c,
        dead_letters: encoded.dead_letters,
        position: Bytes::new(),
        payload: encoded.payload,
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use dray_adapter::{
        FileChecks, FileOutcome, FileReport, Heartbeat, IdScope, Origin, Position, RawAt, Records,
        RejectStage, Report, Shape,
    };
    use dray_mapping::MappingConfig;
    use dray_proto::block::{self, EVENTS_MAX};
    use dray_proto::event::View;

    use super::*;

    fn maker(otherwise: Otherwise) -> BlockMaker {
        let mapping: MappingConfig = toml::from_str(
            "body = \"inventory_movement\"\nkey = \"SKU\"\nwhen = \"rec.QTY != '0'\"\n\
             [fields]\nitem_number = \"SKU\"\nquantity = \"QTY\"\n",
        )
        .expect("a mapping");
        let mapper = Mapper::compile(&[mapping], 1).expect("it compiles");
        BlockMaker::new(mapper, otherwise)
    }

    /// A batch of lines `SKU|QTY`; one that begins with "!" is a reject.
    fn batch(lines: &[&str]) -> Batch {
        let columns = vec!["SKU".to_owned(), "QTY".to_owned()];
        let shape = Arc::new(Shape {
            record_type: String::new(),
            columns,
        });
        let mut records = Records::default();
        let mut rejects = Vec::new();
        for (ordinal, line) in (0_u64..).zip(lines) {
            if line.starts_with('!') {
                rejects.push(reject(records.len(), ordinal, line));
                continue;
            }
            let text = records.push_text(line);
            records.begin(&shape, ordinal, ordinal + 1, RawAt::Text(text));
            let bar = line.find('|').expect("two columns");
            records.cell(text.part(0, bar));
            records.cell(text.part(bar + 1, line.len()));
        }
        Batch {
            origin: Origin {
                scope: IdScope::of(&[b"a unit"]),
                file: "a.txt".into(),
                message_id: "".into(),
                change_position: "".into(),
            },
            records,
            rejects,
            marks: Vec::new(),
            position: Position(Bytes::from_static(b"after")),
            captured_us: 1_700_000_000_000_000,
            ends_unit: true,
            reports: Vec::new(),
        }
    }

    fn reject(after: usize, ordinal: u64, line: &str) -> Reject {
        Reject {
            after,
            ordinal,
            line: ordinal + 1,
            stage: RejectStage::Decode,
            reason: "1 column, 2 are needed".into(),
            raw: line.as_bytes().to_vec(),
            raw_bytes: line.len() as u64,
            raw_sha256: None,
        }
    }

    /// Each event's body, and the key of those that are no dead letter, in order.
    fn events(made: &Made) -> Vec<String> {
        let mut events = Vec::new();
        for block in &made.blocks {
            let mut decoded = Vec::new();
            block::check_crc(&block.payload, block.crc32c).expect("our own CRC");
            block::open(
                &block.payload,
                i32::from(block.codec),
                block.decoded_bytes,
                &mut decoded,
            )
            .expect("our own block");
            for range in block::split(&decoded, block.count).expect("our own events") {
                let event = View::of(&decoded[range.start as usize..range.end as usize])
                    .expect("our own event");
                let body = event.body.expect("a body").0.name;
                events.push(if body == "dead_letter" {
                    body.to_owned()
                } else {
                    format!("{body} {}", event.key)
                });
            }
        }
        events
    }

    fn check(otherwise: Otherwise, lines: &[&str], expected: &[&str], skipped: u64) {
        let made = maker(otherwise).make(&batch(lines));
        assert_eq!(events(&made), expected, "{lines:?}");
        let dead = expected
            .iter()
            .filter(|event| event.starts_with("dead_letter"))
            .count() as u64;
        assert_eq!(
            (made.events, made.dead_letters, made.skipped),
            (expected.len() as u64, dead, skipped),
            "{lines:?}"
        );
        assert!(
            made.blocks
                .iter()
                .all(|block| block.first_captured_us == 1_700_000_000_000_000)
        );
    }

    #[test]
    fn records_rejects_and_failures_keep_their_order() {
        let dead = "dead_letter";
        let [a, b] = ["inventory_movement A", "inventory_movement B"];
        let letter = Otherwise::DeadLetter;
        check(letter, &[], &[], 0);
        check(letter, &["A|1", "B|2"], &[a, b], 0);
        check(letter, &["!x"], &[dead], 0);
        check(
            letter,
            &["!x", "A|1", "!y", "!z", "B|2", "!w"],
            &[dead, a, dead, dead, b, dead],
            0,
        );
        check(letter, &["A|1", "B|1O", "B|2"], &[a, dead, b], 0);
        check(letter, &["A|1", "|5", "B|2"], &[a, dead, b], 0);
        check(letter, &["A|1", "C|0", "B|2"], &[a, dead, b], 0);
        check(
            Otherwise::Skip,
            &["A|1", "C|0", "!x", "B|2"],
            &[a, dead, b],
            1,
        );
        check(Otherwise::Skip, &["C|0"], &[], 1);
    }

    #[test]
    fn a_files_report_is_the_last_event_of_its_last_batch() {
        let report = FileReport {
            outcome: FileOutcome::Sent,
            reason: String::new(),
            sha256: [0; 32],
            bytes: 8,
            records: 2,
            bad_records: 1,
            checks: FileChecks::default(),
            identities: Vec::new(),
            identities_in_all: 0,
            duplicates: 0,
            modified_us: 0,
            read_us: 0,
            checked_us: 0,
        };
        let batch = Batch {
            reports: vec![Reported::of_file(1, report)],
            ..batch(&["A|1", "!x"])
        };
        let made = maker(Otherwise::DeadLetter).make(&batch);
        let expected = ["inventory_movement A", "dead_letter", "file_report a.txt"];
        assert_eq!(events(&made), expected);
        assert_eq!((made.events, made.dead_letters), (3, 1));
        assert_eq!(made.blocks.len(), 1, "in the same append");
    }

    #[test]
    fn what_is_said_before_a_record_comes_before_it_and_behind_what_is_none() {
        let said = |after| Reported {
            after,
            ordinal: 0,
            report: Report::Heartbeat(Heartbeat {
                database: "postgres",
                position: "0/7".into(),
                heard_us: 0,
                end: String::new(),
                behind_bytes: 0,
            }),
        };
        let batch = Batch {
            reports: vec![said(0), said(1), said(2)],
            ..batch(&["A|1", "!x", "B|2"])
        };
        let made = maker(Otherwise::DeadLetter).make(&batch);
        let beat = "heartbeat heartbeat";
        let [a, b] = ["inventory_movement A", "inventory_movement B"];
        assert_eq!(events(&made), [beat, a, "dead_letter", beat, b, beat]);
    }

    #[test]
    fn only_the_last_block_of_a_batch_carries_its_position() {
        let mut maker = maker(Otherwise::DeadLetter);
        let lines = vec!["A|1"; 2 * EVENTS_MAX as usize + 1];
        let positions = |made: &Made| -> Vec<Bytes> {
            made.blocks
                .iter()
                .map(|block| block.position.clone())
                .collect()
        };
        let made = maker.make(&batch(&lines));
        assert!(made.blocks.len() >= 3, "{}", made.blocks.len());
        assert_eq!(made.events, 2 * u64::from(EVENTS_MAX) + 1);
        let (last, before) = positions(&made)
            .split_last()
            .map(|(last, before)| (last.clone(), before.to_vec()))
            .expect("blocks");
        assert_eq!(last, "after");
        assert!(
            before.iter().all(|position| position.is_empty()),
            "{before:?}"
        );
        assert!(maker.make(&batch(&[])).blocks.is_empty());
    }

    #[test]
    fn batches_that_are_taken_together_share_a_block_and_what_is_forgotten_is_in_none() {
        let mut maker = maker(Otherwise::Skip);
        maker.add(&batch(&["Z|9", "Z|0"]));
        maker.forget();
        maker.add(&batch(&["A|1", "Z|0"]));
        maker.add(&batch(&["B|2"]));
        let made = maker.take(&Position(Bytes::from_static(b"after both")));
        let expected = ["inventory_movement A", "inventory_movement B"];
        assert_eq!(events(&made), expected);
        assert_eq!((made.blocks.len(), made.events, made.skipped), (1, 2, 1));
        assert_eq!(made.blocks[0].position, "after both");
    }

    #[test]
    fn a_batch_that_no_append_can_hold_is_told_with_the_way_out() {
        let made = Made {
            bytes: APPEND_BYTES_MAX + 1,
            ..Made::default()
        };
        let sentence = made.too_large("a.txt").expect("a sentence");
        assert!(
            sentence.contains("a.txt") && sentence.contains("map fewer columns"),
            "{sentence}"
        );
        assert_eq!(Made::default().too_large("a.txt"), None);
    }
}
