use super::*;

fn block(payload: usize) -> Record {
    let block = NewBlock {
        count: 3,
        first_captured_us: -5,
        last_captured_us: 7,
        codec: 2,
        decoded_bytes: 99,
        crc32c: 5,
        dead_letters: 1,
        position: Bytes::from_static(b"here"),
        payload: Bytes::from(vec![9; payload]),
    };
    let chain_after = chain_after(4, 8, Sequence(11), &block);
    let block = StoredBlock {
        epoch: 8,
        first_sequence: Sequence(11),
        chain: 4,
        chain_after,
        block,
    };
    Record::Block {
        flow: "shipments".into(),
        block,
    }
}

fn summary_of(placed: &[&Placed]) -> Vec<u8> {
    let mut out = Vec::new();
    write_summary(&mut out, placed).expect("memory takes it");
    out
}

#[test]
fn records_of_any_length_come_back_from_their_values() {
    for payload in [0, 1, 65_000, 65_536, 70_000, 1_000_000] {
        let record = block(payload);
        let mut values = values(&record).into_iter();
        assert!(values.clone().all(|value| value.len() <= VALUE_BYTES_MAX));
        let count = values.len() as u64;
        let first = values.next().expect("a first value");
        let (back, used) = join(&first, || values.next()).expect("our own bytes");
        assert_eq!((format!("{back:?}"), used), (format!("{record:?}"), count));
    }
}

#[test]
fn cut_and_changed_bytes_are_damage() {
    let values = values(&block(70_000));
    assert!(join(&values[0], || None).is_err());
    assert!(join(&values[0], || Some(values[0].clone())).is_err());
    assert!(join(&[], || None).is_err());
    let placed = Placed {
        number: 1,
        values: 2,
        payload_bytes: 70_000,
        record: block(70_000),
    };
    let summary = summary_of(&[&placed, &placed]);
    assert_eq!(decode_summary(&summary).expect("our own").len(), 2);
    for cut in 0..summary.len() {
        assert!(decode_summary(&summary[..cut]).is_err(), "{cut}");
    }
    let mut flipped = summary;
    flipped[20] ^= 1;
    assert!(decode_summary(&flipped).is_err());
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// What stands on disks already: a change here is a new version of the layout, beside this one.
#[test]
fn records_and_summaries_keep_their_bytes() {
    let opening = Record::Opening {
        epoch: 8,
        flows: vec![Standing {
            flow: "shipments".into(),
            next: Sequence(11),
            chain: 4,
            position: Bytes::from_static(b"here"),
        }],
    };
    let note = Record::Note(Note {
        flow: "shipments".into(),
        through: Sequence(13),
        at_s: 1_790_000_000,
        position: Bytes::from_static(b"there"),
        marks: vec![[7; 16]],
    });
    let renewal = Record::Renewal(Renewal {
        epoch: 9,
        flows: vec![Renewed {
            standing: Standing {
                flow: "stock".into(),
                next: Sequence(4),
                chain: 5,
                position: Bytes::from_static(b"here"),
            },
            blocks: vec![Renumbered {
                number: 6,
                first: Sequence(1),
                chain: 0,
            }],
        }],
        losses: vec![Loss {
            flow: "stock".into(),
            epoch: 8,
            first: Sequence(11),
            last: Some(Sequence(13)),
        }],
    });
    for (record, expected) in [
        (
            renewal,
            "046e0000000900000000000000010000000500000073746f636b04000000000000000500000000000000040000006865726501000000060000000000000001000000000000000000000000000000010000000500000073746f636b08000000000000000b000000000000000d00000000000000",
        ),
        (Record::Lost, "0500000000"),
        (
            Record::Compacted(Compacted {
                epoch: 8,
                end: 12,
                flows: vec![Standing {
                    flow: "stock".into(),
                    next: Sequence(4),
                    chain: 5,
                    position: Bytes::from_static(b"here"),
                }],
            }),
            "063500000008000000000000000c00000000000000010000000500000073746f636b040000000000000005000000000000000400000068657265",
        ),
        (
            opening,
            "033100000008000000000000000100000009000000736869706d656e74730b0000000000000004000000000000000400000068657265",
        ),
        (
            block(3),
            "015d00000009000000736869706d656e747308000000000000000b0000000000000003000000fbffffffffffffff0700000000000000026300000005000000010000000400000000000000e96bb073298d5bf4040000006865726503000000090909",
        ),
        (
            note.clone(),
            "023a00000009000000736869706d656e74730d00000000000000803bb16a000000000500000074686572650100000007070707070707070707070707070707",
        ),
    ] {
        let values = values(&record);
        assert_eq!((values.len(), hex(&values[0]).as_str()), (1, expected));
    }
    let placed = Placed {
        number: 5,
        values: 1,
        payload_bytes: 0,
        record: note,
    };
    assert_eq!(
        hex(&summary_of(&[&placed])),
        "4452415953554d31010000000500000000000000010000000000000000000000023a00000009000000736869706d656e74730d00000000000000803bb16a0000000005000000746865726501000000070707070707070707070707070707075290c613"
    );
}

fn note(flow: &str) -> Record {
    Record::Note(Note {
        flow: flow.into(),
        through: Sequence(13),
        at_s: 1_790_000_000,
        position: Bytes::from_static(b"there"),
        marks: vec![[7; 16]],
    })
}

#[test]
fn a_commits_records_share_a_value_where_they_fit() {
    for (payload, notes, expected) in [
        (0, 1, (1, 2)),
        (64_000, 1, (1, 2)),
        (65_400, 1, (2, 2)),
        (65_536, 1, (3, 3)),
        (100, 0, (1, 1)),
        (100, 500, (1, 501)),
        (100, 2_000, (2_001, 2_001)),
    ] {
        let mut records = vec![block(payload)];
        records.extend((0..notes).map(|_| note("shipments")));
        let lent: Vec<_> = records.iter().map(Cow::Borrowed).collect();
        let (values, numbers) = commit_values(&lent);
        let shape = (values.len(), numbers);
        assert_eq!(shape, expected, "{payload} bytes, {notes} notes");
        let Some(members) = group(&values[0]) else {
            continue;
        };
        let members: Vec<_> = members.map(|one| one.expect("our own bytes")).collect();
        let back = members.iter().map(|member| join(member, || None));
        for (back, record) in back.zip(&records) {
            let (back, used) = back.expect("our own bytes");
            assert_eq!((format!("{back:?}"), used), (format!("{record:?}"), 1));
        }
        assert_eq!(members.len(), records.len());
    }
}

#[test]
fn a_group_keeps_its_bytes_and_a_cut_one_is_damage() {
    let (values, _) = commit_values(&[Cow::Owned(Record::Lost), Cow::Owned(note("f"))]);
    assert_eq!(
        hex(&values[0]),
        "0705000000000232000000\
         01000000660d00000000000000803bb16a000000000500000074686572650100000007070707070707070707070707070707"
            .replace(' ', "")
    );
    for cut in 1..values[0].len() {
        let members = group(&values[0][..cut]).expect("it says that it is a group");
        assert!(members.filter(Result::is_ok).count() < 2, "{cut}");
    }
    assert!(group(&values[0][1..]).is_none());
}
