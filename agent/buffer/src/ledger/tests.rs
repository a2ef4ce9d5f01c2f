use super::*;

fn entry(number: u64) -> Entry {
    Entry {
        number,
        first: Sequence(number),
        count: 1,
        payload_bytes: 1,
        chain: number - 1,
        chain_after: number,
        first_captured_us: 0,
        position: Bytes::copy_from_slice(&number.to_le_bytes()),
    }
}

#[test]
fn of_a_long_row_few_positions_are_kept_and_acks_tell_of_one_close_before() {
    const BLOCKS: u64 = 5_000;
    let mut ledger = Ledger::new(1);
    for number in 1..=BLOCKS {
        ledger.push("f", entry(number)).expect("the next one");
    }
    let kept = |ledger: &Ledger| {
        let held = ledger.flows["f"].held.iter();
        held.filter(|entry| !entry.position.is_empty()).count()
    };
    let most = POSITIONS_HELD + BLOCKS as usize / POSITION_EVERY as usize;
    assert!((POSITIONS_HELD..most).contains(&kept(&ledger)));
    let mut told = 0;
    // At the end of a row that stays long, as at that of one that ends.
    for acked in 1..=2 * BLOCKS {
        if acked <= BLOCKS {
            let next = entry(BLOCKS + acked);
            ledger.push("f", next).expect("the next one");
        }
        let (numbers, position) = ledger.ack("f", Sequence(acked));
        assert_eq!(numbers, [acked]);
        let position = position.expect("it moved");
        if !position.is_empty() {
            let position = u64::from_le_bytes(position[..].try_into().expect("8 bytes"));
            assert!(told < position && position <= acked);
            told = position;
        }
        assert!(
            acked - told < u64::from(POSITION_EVERY),
            "{told} at {acked}"
        );
    }
    assert_eq!(told, 2 * BLOCKS);
}
