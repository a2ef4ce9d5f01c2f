//! What a source says besides records becomes events of its own.

use dray_adapter::{GapReport, Heartbeat, Origin, Report, Reported, SchemaReport};
use dray_proto::event::number;
use dray_proto::v1::Operation;
use dray_proto::{EventId, schema, wire};

use crate::dead_letter::cut;
use crate::file_report;
use crate::mapper::Mapper;
use crate::write::{Head, put_tail};

/// The last byte of a report's id; mappings have those before it, and dead letters the next.
const OUTPUT: u8 = 254;

impl Mapper {
    /// The event of a report. What is read again gives the same id each time.
    #[must_use]
    pub fn report(&self, origin: &Origin, captured_us: i64, reported: &Reported) -> Vec<u8> {
        let mut out = Vec::with_capacity(512);
        let id = EventId::new(origin.scope.0, reported.ordinal, OUTPUT);
        let (body, key, record_type) = match &reported.report {
            Report::File(_) => ("file_report", &*origin.file, ""),
            Report::Schema(report) => ("schema_change", &*report.table, &*report.table),
            Report::Gap(_) => ("source_gap", "source_gap", ""),
            Report::Heartbeat(_) => ("heartbeat", "heartbeat", ""),
        };
        wire::put_bytes(&mut out, number::ID, id.as_bytes());
        match key {
            "" => wire::put_text(&mut out, number::KEY, &id.to_string()),
            key => wire::put_text(&mut out, number::KEY, key),
        }
        wire::put_integer(&mut out, number::OPERATION, Operation::Create as u64);
        let head = Head {
            origin,
            captured_us,
            schema_version: self.schema_version,
        };
        put_tail(head, 0, record_type, &mut out);
        let number = schema::body(body).expect("event.proto has it").number;
        wire::put_message(&mut out, number, |out| match &reported.report {
            Report::File(report) => file_report::put(out, report),
            Report::Schema(report) => put_schema(out, report),
            Report::Gap(report) => put_gap(out, report),
            Report::Heartbeat(heartbeat) => put_heartbeat(out, heartbeat),
        });
        out
    }
}

/// The numbers of `SchemaChange`; a test compares with prost, here and below.
fn put_schema(out: &mut Vec<u8>, report: &SchemaReport) {
    wire::put_text(out, 1, report.database);
    wire::put_text(out, 2, &report.table);
    wire::put_integer(out, 3, report.seen as u64);
    wire::put_text(out, 4, &report.fingerprint);
    for column in &report.columns {
        wire::put_message(out, 5, |out| {
            wire::put_text(out, 1, &column.name);
            wire::put_text(out, 2, &column.kind);
            wire::put_integer(out, 3, u64::from(column.key));
        });
    }
    for difference in &report.differences {
        wire::put_message(out, 6, |out| {
            wire::put_integer(out, 1, difference.class as u64);
            wire::put_text(out, 2, &difference.column);
            wire::put_text(out, 3, cut(&difference.sentence));
        });
    }
}

/// The numbers of `SourceGap`.
fn put_gap(out: &mut Vec<u8>, report: &GapReport) {
    wire::put_text(out, 1, report.database);
    wire::put_integer(out, 2, report.reason as u64);
    wire::put_text(out, 3, &report.from);
    wire::put_text(out, 4, &report.to);
    wire::put_text(out, 5, cut(&report.sentence));
    wire::put_integer(out, 6, report.course as u64);
}

/// The numbers of `Heartbeat`.
fn put_heartbeat(out: &mut Vec<u8>, heartbeat: &Heartbeat) {
    wire::put_text(out, 1, heartbeat.database);
    wire::put_text(out, 2, &heartbeat.position);
    wire::put_timestamp(out, 3, heartbeat.heard_us);
    wire::put_text(out, 4, &heartbeat.end);
    wire::put_integer(out, 5, heartbeat.behind_bytes);
}

#[cfg(test)]
mod tests {
    use dray_adapter::{
        GapCourse, GapReason, IdScope, SchemaClass, SchemaColumn, SchemaDifference, SchemaSeen,
    };
    use dray_proto::v1::{self, event::Body};
    use prost::Message as _;

    use super::*;

    fn check(ordinal: u64, report: Report, key: &str, record_type: &str, body: Body, golden: &str) {
        let mapper = Mapper::compile(&[], 3).unwrap_or_else(|errors| panic!("{errors:?}"));
        let origin = Origin {
            scope: IdScope([1; 10]),
            file: "".into(),
            message_id: "".into(),
            change_position: "0/16B3748".into(),
        };
        let reported = Reported {
            after: 0,
            ordinal,
            report,
        };
        let expected = v1::Event {
            id: EventId::new([1; 10], ordinal, 254).as_bytes().to_vec(),
            key: key.into(),
            operation: Operation::Create as i32,
            captured_at: Some(prost_types::Timestamp {
                seconds: 1_700_000_002,
                nanos: 0,
            }),
            schema_version: 3,
            provenance: Some(v1::Provenance {
                change_position: "0/16B3748".into(),
                record_type: record_type.into(),
                ..Default::default()
            }),
            body: Some(body),
            ..Default::default()
        };
        let bytes = mapper.report(&origin, 1_700_000_002_000_000, &reported);
        assert_eq!(hex::encode(&bytes), hex::encode(expected.encode_to_vec()));
        assert_eq!(hex::encode(&bytes), golden);
    }

    // Once landed, these bytes stand in logs: they may be added to, never changed.

    #[test]
    fn a_schema_change_is_written_as_prost_writes_it() {
        let column = |name: &str, kind: &str, key| SchemaColumn {
            name: name.into(),
            kind: kind.into(),
            key,
        };
        let report = SchemaReport {
            database: "postgres",
            table: "public.stock".into(),
            seen: SchemaSeen::Changed,
            fingerprint: "07".repeat(32),
            columns: vec![column("sku", "text", 1), column("lot", "numeric(12,3)", 0)],
            differences: vec![SchemaDifference {
                class: SchemaClass::Added,
                column: "lot".into(),
                sentence: "column lot was added".into(),
            }],
        };
        let column = |name: &str, kind: &str, key| v1::SchemaColumn {
            name: name.into(),
            r#type: kind.into(),
            key,
        };
        let body = Body::SchemaChange(v1::SchemaChange {
            database: "postgres".into(),
            table: "public.stock".into(),
            seen: v1::SchemaSeen::Changed as i32,
            fingerprint: "07".repeat(32),
            columns: vec![column("sku", "text", 1), column("lot", "numeric(12,3)", 0)],
            differences: vec![v1::SchemaDifference {
                class: v1::SchemaClass::Added as i32,
                column: "lot".into(),
                sentence: "column lot was added".into(),
            }],
        });
        let table = "public.stock";
        check(
            5,
            Report::Schema(report),
            table,
            table,
            body,
            "0a10010101010101010101010000000005fe120c7075626c69632e73746f636b200132060882e2cfaa06380342192209302f\
            313642333734382a0c7075626c69632e73746f636bfa01a0010a08706f737467726573120c7075626c69632e73746f636b18\
            0222403037303730373037303730373037303730373037303730373037303730373037303730373037303730373037303730\
            37303730373037303730373037303730372a0d0a03736b7512047465787418012a140a036c6f74120d6e756d657269632831\
            322c3329321d080112036c6f741a14636f6c756d6e206c6f7420776173206164646564",
        );
    }

    #[test]
    fn a_gap_is_written_as_prost_writes_it() {
        let report = GapReport {
            database: "postgres",
            reason: GapReason::LogDropped,
            from: "0/16B3748".into(),
            to: "0/2000000".into(),
            sentence: "the server dropped the log".into(),
            course: GapCourse::LoadsAgain,
        };
        let body = Body::SourceGap(v1::SourceGap {
            database: "postgres".into(),
            reason: v1::GapReason::LogDropped as i32,
            from: "0/16B3748".into(),
            to: "0/2000000".into(),
            sentence: "the server dropped the log".into(),
            course: v1::GapCourse::LoadsAgain as i32,
        });
        check(
            0,
            Report::Gap(report),
            "source_gap",
            "",
            body,
            "0a10010101010101010101010000000000fe120a736f757263655f676170200132060882e2cfaa063803420b2209302f3136\
            42333734388202400a08706f73746772657310031a09302f313642333734382209302f323030303030302a1a746865207365\
            727665722064726f7070656420746865206c6f673002",
        );
    }

    #[test]
    fn a_heartbeat_is_written_as_prost_writes_it() {
        let report = Heartbeat {
            database: "postgres",
            position: "0/16B3748".into(),
            heard_us: 1_700_000_001_000_000,
            end: "0/16B3800".into(),
            behind_bytes: 184,
        };
        let body = Body::Heartbeat(v1::Heartbeat {
            database: "postgres".into(),
            position: "0/16B3748".into(),
            heard_at: Some(prost_types::Timestamp {
                seconds: 1_700_000_001,
                nanos: 0,
            }),
            end: "0/16B3800".into(),
            behind_bytes: 184,
        });
        check(
            0,
            Report::Heartbeat(report),
            "heartbeat",
            "",
            body,
            "0a10010101010101010101010000000000fe1209686561727462656174200132060882e2cfaa063803420b2209302f313642\
            333734388a022b0a08706f7374677265731209302f313642333734381a060881e2cfaa062209302f3136423338303028b801",
        );
    }
}
