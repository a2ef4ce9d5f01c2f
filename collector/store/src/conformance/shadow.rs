//! Reports of targets in shadow.

use dray_proto::Offset;

use super::flow;
use crate::api::{
    Cursor, SHADOW_FIELDS_MAX, SHADOW_FIELDS_REST, SHADOW_ROWS_MAX, ShadowCount, ShadowNote,
    ShadowQuery, ShadowRow, Step, Store,
};

fn note(offset: u64, verdict: &str) -> ShadowNote {
    let fields = if verdict == "differs" {
        vec!["/name".to_owned()]
    } else {
        Vec::new()
    };
    ShadowNote {
        row: ShadowRow {
            offset: Offset(offset),
            key: format!("K{offset}"),
            verdict: verdict.into(),
            at_us: 7,
            request: "POST /".into(),
            detail: "{}".into(),
            ..ShadowRow::default()
        },
        counted: fields,
    }
}

fn step(target: &str, notes: Vec<ShadowNote>, through: u64) -> Step {
    let cursor = Cursor {
        through: Offset(through),
        ..Cursor::default()
    };
    Step {
        consumer: format!("target:{target}"),
        cursors: vec![(flow("x"), cursor)],
        shadow: notes.into_iter().map(|note| (flow("x"), note)).collect(),
        ..Step::default()
    }
}

fn count(what: &str, is_field: bool, count: u64) -> ShadowCount {
    ShadowCount {
        flow: flow("x"),
        what: what.into(),
        is_field,
        count,
    }
}

pub(super) fn each_offset_is_counted_once_and_the_report_is_bounded(store: &impl Store) {
    let take = |step: Step| store.step(step).wait().expect("it lives").expect("it fits");
    take(step("erp", vec![note(1, "same"), note(2, "differs")], 2));
    take(step("erp", vec![note(2, "differs"), note(3, "missing")], 3));
    take(step("lake", vec![note(1, "same")], 1));
    let counts = vec![
        count("differs", false, 1),
        count("missing", false, 1),
        count("same", false, 1),
        count("/name", true, 1),
    ];
    assert_eq!(store.shadow_counts("erp").expect("an answer"), counts);
    let ask = |verdicts: &[&str], after: u64, limit: usize| {
        let query = ShadowQuery {
            target: "erp".into(),
            flow: Some(flow("x")),
            verdicts: verdicts.iter().map(|&verdict| verdict.into()).collect(),
            after,
            limit,
        };
        let rows = store.shadow_rows(&query).expect("an answer");
        rows.into_iter()
            .map(|(_, row)| (row.offset.0, row.id))
            .collect::<Vec<_>>()
    };
    let all = ask(&[], 0, 9);
    assert_eq!(all.iter().map(|row| row.0).collect::<Vec<_>>(), [1, 2, 3]);
    assert_eq!(ask(&[], all[0].1, 1), all[1..2]);
    assert_eq!(ask(&["missing", "same"], 0, 9), [all[0], all[2]]);

    // Beyond the bound what says "same" goes first, and is still counted.
    let more = 4..SHADOW_ROWS_MAX + 4;
    take(step(
        "erp",
        more.map(|offset| note(offset, "same")).collect(),
        SHADOW_ROWS_MAX + 3,
    ));
    let kept = ask(&[], 0, usize::MAX);
    assert!(kept.len() as u64 <= SHADOW_ROWS_MAX && kept[..2] == all[1..]);
    let counted = store.shadow_counts("erp").expect("an answer");
    assert!(
        counted.contains(&count("same", false, SHADOW_ROWS_MAX + 1)),
        "{counted:?}"
    );

    // Names of fields that are data: the first are counted by name, and the rest together.
    let mut many = note(SHADOW_ROWS_MAX + 4, "differs");
    many.counted = (0..SHADOW_FIELDS_MAX + 50)
        .map(|number| format!("/items/{number:06}"))
        .chain(["/name".to_owned()])
        .collect();
    take(step("erp", vec![many], SHADOW_ROWS_MAX + 4));
    let counted = store.shadow_counts("erp").expect("an answer");
    let fields: Vec<_> = counted.iter().filter(|count| count.is_field).collect();
    assert_eq!(fields.len() as u64, SHADOW_FIELDS_MAX + 1);
    assert!(counted.contains(&count("/name", true, 2)), "{counted:?}");
    assert!(
        counted.contains(&count(SHADOW_FIELDS_REST, true, 51)),
        "{counted:?}"
    );

    store.clear_shadow("erp").expect("done");
    assert_eq!(
        (
            ask(&[], 0, 9),
            store.shadow_counts("erp").expect("an answer")
        ),
        (vec![], vec![])
    );
    store.detach("target:lake").expect("done");
    assert_eq!(store.shadow_counts("lake").expect("an answer"), []);
}
