//! Files come with numbers, and go or wait.

use super::*;
use crate::sequence::SequenceConfig;

const MINUTE: i64 = 60_000_000;

fn keeper() -> Keeper {
    let config: SequenceConfig =
        toml::from_str("pattern = '(\\d+)'\ngap = \"hold\"\nhold_max = \"10min\"")
            .expect("a configuration");
    Keeper::new(Some(config.compile().expect("it compiles")))
}

fn look() -> Look {
    Look {
        bytes: 1,
        modified_us: 0,
        inode: 1,
        born_us: 0,
    }
}

/// A file whose name is its number.
fn come(keeper: &mut Keeper, name: &str, minute: i64) -> Admitted {
    let watch = keeper.watch().expect("it is watched");
    let account = dray_formats::Account::default();
    let numbers = watch.numbers(OsStr::new(name), 0, &account);
    keeper.admit(OsStr::new(name), look(), numbers, minute * MINUTE)
}

fn went() -> Admitted {
    Admitted::Go(String::new())
}

/// Which files are let go, in the order of their names.
fn released(keeper: &mut Keeper, minute: i64) -> Vec<String> {
    let names = keeper.release(minute * MINUTE).into_iter();
    let mut names: Vec<String> = names
        .map(|name| name.to_string_lossy().into_owned())
        .collect();
    names.sort();
    names
}

#[test]
fn a_notice_is_told_before_the_file_that_showed_the_gap_goes_on() {
    let mut keeper = keeper();
    assert_eq!(come(&mut keeper, "6", 0), went());
    assert_eq!(come(&mut keeper, "8", 0), Admitted::Wait);
    assert_eq!(released(&mut keeper, 0), [""; 0]);
    let told = keeper.tell().expect("it is told");
    assert!(told.sentence.contains("at most 10m"), "{}", told.sentence);
    assert_eq!((told.missing.from, told.missing.to), (7, 7));
    assert_eq!(keeper.tell(), None);
    assert_eq!(released(&mut keeper, 0), [""; 0], "it waits for 7");
    assert_eq!(
        come(&mut keeper, "7", 1),
        Admitted::Go("7 was missing, and came late".into())
    );
    assert_eq!(released(&mut keeper, 1), ["8"]);
    assert_eq!(come(&mut keeper, "8", 1), went());
    assert_eq!(keeper.sentence(), None);
}

#[test]
fn files_that_waited_in_vain_go_in_the_order_of_their_numbers_whichever_is_looked_at_first() {
    let mut keeper = keeper();
    come(&mut keeper, "6", 0);
    for name in ["10", "9", "8"] {
        assert_eq!(come(&mut keeper, name, 0), Admitted::Wait);
        while keeper.tell().is_some() {}
        assert_eq!(released(&mut keeper, 1), [""; 0]);
    }
    // 10 came first, so that 7 to 9 were missing; 8 and 9 then came.
    assert_eq!(keeper.state.missing().len(), 1);
    assert_eq!(
        come(&mut keeper, "9", 10),
        Admitted::Go(
            "it waited for 7 to 8, which did not come in time; 9 was missing, and came late".into()
        )
    );
    assert_eq!(
        come(&mut keeper, "8", 10),
        Admitted::Go(
            "it waited for 7, which did not come in time; 8 was missing, and came late".into()
        )
    );
    assert_eq!(released(&mut keeper, 10), ["10"]);
    let Admitted::Go(said) = come(&mut keeper, "10", 10) else {
        panic!("it goes")
    };
    assert_eq!(said, "it waited for 07 to 09, which did not come in time");
}

#[test]
fn waits_for_several_missing_numbers_do_not_add_up() {
    let mut keeper = keeper();
    for name in ["06", "08", "10", "12"] {
        come(&mut keeper, name, 0);
    }
    while keeper.tell().is_some() {}
    assert_eq!(released(&mut keeper, 9), [""; 0]);
    for (name, missing) in [("08", "07"), ("10", "09"), ("12", "11")] {
        assert_eq!(released(&mut keeper, 10), [name]);
        while come(&mut keeper, name, 10) == Admitted::Wait {
            assert!(keeper.tell().is_some(), "a gap is told before {name} goes");
            assert_eq!(released(&mut keeper, 10), [name]);
        }
        let waiting = keeper.waiting.keys().any(|other| other == name);
        assert!(!waiting, "{name} went, and had waited for {missing}");
    }
    assert_eq!(keeper.state.missing().len(), 3);
}

#[test]
fn a_file_that_changed_or_is_gone_waits_no_more() {
    let mut keeper = keeper();
    come(&mut keeper, "6", 0);
    come(&mut keeper, "8", 0);
    while keeper.tell().is_some() {}
    released(&mut keeper, 0);
    let name = OsStr::new("8");
    assert!(keeper.waits(name, look(), 0).is_some());
    let other = Look { bytes: 2, ..look() };
    assert_eq!(keeper.waits(name, other, 0), None);
    come(&mut keeper, "9", 0);
    assert_eq!(keeper.waiting.len(), 1);
    keeper.scanned(|_| false);
    assert!(keeper.waiting.is_empty() && keeper.here.is_empty());
}

#[test]
fn a_number_that_is_given_back_did_not_come() {
    let mut keeper = keeper();
    come(&mut keeper, "6", 0);
    let before = keeper.state.clone();
    assert_eq!(come(&mut keeper, "7", 0), went());
    keeper.undo(before);
    assert_eq!(come(&mut keeper, "7", 0), went(), "it is no repeat");
}
