//! The body of a file's report.

use dray_adapter::FileReport;
use dray_proto::wire;

use crate::dead_letter::cut;

/// The numbers of `FileReport`; a test compares with prost.
pub(crate) fn put(out: &mut Vec<u8>, report: &FileReport) {
    wire::put_integer(out, 1, report.outcome as u64);
    wire::put_text(out, 2, cut(&report.reason));
    wire::put_bytes(out, 3, &report.sha256);
    wire::put_integer(out, 4, report.bytes);
    wire::put_integer(out, 5, report.records);
    wire::put_integer(out, 6, report.bad_records);
    for check in &report.checks.first {
        wire::put_entry(out, 7, &check.name, &check.expected);
    }
    for check in &report.checks.first {
        wire::put_entry(out, 8, &check.name, &check.found);
    }
    wire::put_integer(out, 9, report.checks.made);
    for (name, identity) in &report.identities {
        wire::put_entry(out, 10, name, identity);
    }
    wire::put_integer(out, 11, report.identities_in_all);
    wire::put_integer(out, 12, report.duplicates);
    wire::put_timestamp(out, 13, report.modified_us);
    wire::put_timestamp(out, 14, report.read_us);
    wire::put_integer(out, 15, report.checked_us);
}

#[cfg(test)]
mod tests {
    use dray_adapter::{FileCheck, FileChecks, FileOutcome, IdScope, Origin, Reported};
    use dray_proto::EventId;
    use dray_proto::v1::{self, Operation, event::Body};
    use prost::Message as _;

    use crate::mapper::Mapper;

    use super::*;

    fn report() -> FileReport {
        FileReport {
            outcome: FileOutcome::SetAside,
            reason: "line 9: LINES of the T record says 7, but there are 6 D records".into(),
            sha256: [7; 32],
            bytes: 1_480,
            records: 6,
            bad_records: 1,
            checks: FileChecks {
                first: vec![FileCheck {
                    name: "LINES of T, line 9".into(),
                    expected: "7".into(),
                    found: "6".into(),
                }],
                made: 70,
            },
            identities: vec![("interchange".into(), "SENDER>RECEIVER 000000905".into())],
            identities_in_all: 1,
            duplicates: 2,
            modified_us: 1_700_000_000_000_005,
            read_us: 1_700_000_001_000_000,
            checked_us: 1_250,
        }
    }

    fn written(report: &FileReport) -> Vec<u8> {
        let mapper = Mapper::compile(&[], 3).unwrap_or_else(|errors| panic!("{errors:?}"));
        let origin = Origin {
            scope: IdScope([1; 10]),
            file: "SHP_7.txt".into(),
            message_id: "".into(),
            change_position: "".into(),
        };
        let reported = Reported::of_file(6, report.clone());
        mapper.report(&origin, 1_700_000_002_000_000, &reported)
    }

    /// Once landed, these bytes stand in logs: they may be added to, never changed.
    const GOLDEN: &str = "0a1001010101010101010101fffffffffdfe12095348505f372e747874200132060882e2cfaa063803420b0a095348505f37\
        2e747874f201e4010802123f6c696e6520393a204c494e4553206f66207468652054207265636f7264207361797320372c20\
        6275742074686572652061726520362044207265636f7264731a200707070707070707070707070707070707070707070707\
        07070707070707070720c80b280630013a170a124c494e4553206f6620542c206c696e65203912013742170a124c494e4553\
        206f6620542c206c696e652039120136484652280a0b696e7465726368616e6765121953454e4445523e5245434549564552\
        20303030303030393035580160026a090880e2cfaa0610882772060881e2cfaa0678e209";

    #[test]
    fn a_report_is_written_as_prost_writes_it() {
        let time = |seconds, nanos| Some(prost_types::Timestamp { seconds, nanos });
        let one = |value: &str| [("LINES of T, line 9".to_owned(), value.to_owned())].into();
        let expected = v1::Event {
            id: EventId::new([1; 10], (1 << 40) - 3, 254)
                .as_bytes()
                .to_vec(),
            key: "SHP_7.txt".into(),
            operation: Operation::Create as i32,
            captured_at: time(1_700_000_002, 0),
            schema_version: 3,
            provenance: Some(v1::Provenance {
                file: "SHP_7.txt".into(),
                ..Default::default()
            }),
            body: Some(Body::FileReport(v1::FileReport {
                outcome: v1::FileOutcome::SetAside as i32,
                reason: report().reason,
                sha256: vec![7; 32],
                bytes: 1_480,
                records: 6,
                bad_records: 1,
                expected: one("7"),
                found: one("6"),
                checks: 70,
                identities: [(
                    "interchange".to_owned(),
                    "SENDER>RECEIVER 000000905".to_owned(),
                )]
                .into(),
                identities_in_all: 1,
                duplicates: 2,
                modified_at: time(1_700_000_000, 5_000),
                read_at: time(1_700_000_001, 0),
                checked_us: 1_250,
            })),
            ..Default::default()
        };
        let bytes = written(&report());
        assert_eq!(hex::encode(&bytes), hex::encode(expected.encode_to_vec()));
        assert_eq!(hex::encode(&bytes), GOLDEN);
    }

    #[test]
    fn a_file_that_is_set_aside_and_later_sent_has_two_reports() {
        let sent = FileReport {
            outcome: FileOutcome::Sent,
            ..report()
        };
        assert_ne!(written(&sent)[..18], written(&report())[..18]);
        assert_eq!(written(&sent), written(&sent), "and each is the same again");
    }
}
