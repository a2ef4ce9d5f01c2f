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

/// Of appends that were committed together only the last has a position.
#[test]
fn of_a_long_row_in_which_few_have_a_position_enough_are_kept() {
    let mut ledger = Ledger::new(1);
    // At one in two of them every 64th block has none.
    for group in [2, 8, 64] {
        let mut last = 0;
        let flow = format!("f{group}");
        for number in 1..=5_000 {
            let mut entry = entry(number);
            if number % group != 1 % group {
                entry.position = Bytes::new();
            }
            ledger.push(&flow, entry).expect("the next one");
        }
        for (at, entry) in ledger.flows[&*flow].held.iter().enumerate() {
            if !entry.position.is_empty() {
                last = at;
            }
            let far = (POSITION_EVERY as usize) + group as usize;
            assert!(
                at - last <= far,
                "none from {last} to {at}, groups of {group}"
            );
        }
    }
}

#[test]
fn what_is_acked_is_known_whatever_becomes_of_its_generation() {
    let mut ledger = Ledger::new(1);
    let mark = |number: u64| marks::hash("f", &number.to_be_bytes());
    for number in 1..=4 {
        ledger.push("f", entry(number)).expect("the next one");
        ledger.note("f", &Bytes::new(), &[mark(number)], 1_000);
    }
    ledger.ack("f", Sequence(2));
    let seen =
        |ledger: &Ledger| [1, 2, 3, 4_u64].map(|number| ledger.seen("f", &number.to_be_bytes()));
    let (done, pending) = (MarkState::Done, MarkState::Pending);
    assert_eq!(seen(&ledger), [done, done, pending, pending]);
    ledger.lose(1..4, &HashSet::new());
    // The first behind the damage is not believed either: its file may have begun in it.
    assert_eq!(seen(&ledger), [done, done, MarkState::New, MarkState::New]);
}
