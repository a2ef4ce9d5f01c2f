//! What each kill leaves.

use super::*;
use dray_proto::EventId;

const NAME: &str = "{site}-{flow}-{number}";
const FLOW: &str = "north/moves";

fn layout() -> Layout {
    let config = toml::from_str("folder = \"/out\"\nformat = \"jsonl\"").expect("it parses");
    Layout::new(&config).expect("it compiles")
}

fn record(offset: u64, again: bool) -> Record {
    Record {
        flow: FLOW.into(),
        offset,
        id: EventId::new([3; 10], offset, 0),
        again,
        replayed: false,
        line: format!("{offset}\n").into(),
    }
}

fn publish(shelf: &Shelf, offsets: &[u64]) -> Result<(), Outcome> {
    let records: Vec<_> = offsets
        .iter()
        .map(|offset| record(*offset, false))
        .collect();
    shelf.publish(&layout(), NAME, FLOW, records.iter().collect())
}

/// Names in a folder, but for the lock.
fn names(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).expect("a folder");
    let mut names: Vec<_> = entries
        .map(|entry| {
            entry
                .expect("a name")
                .file_name()
                .to_string_lossy()
                .into_owned()
        })
        .filter(|name| name != "lock" && !name.starts_with(".dray"))
        .collect();
    names.sort();
    names
}

fn file(number: u64) -> String {
    format!("north-moves-{number:012}.jsonl")
}

#[test]
fn a_file_appears_whole_and_what_is_in_it_comes_in_no_other() {
    let folder = tempfile::tempdir().expect("a folder");
    let shelf = Shelf::new(folder.path(), "erp");
    publish(&shelf, &[5, 3]).expect("it writes");
    publish(&shelf, &[3, 4, 5]).expect("it writes");
    publish(&shelf, &[5]).expect("nothing to write");
    assert_eq!(names(folder.path()), [file(1), file(2)]);
    let read = |number| fs::read_to_string(folder.path().join(file(number))).expect("a file");
    assert_eq!((read(1).as_str(), read(2).as_str()), ("5\n3\n", "4\n"));
    // Also after a kill, and where somebody has taken the file.
    drop(shelf);
    fs::remove_file(folder.path().join(file(1))).expect("it is there");
    let shelf = Shelf::new(folder.path(), "erp");
    publish(&shelf, &[3, 4, 5]).expect("nothing to write");
    assert_eq!(names(folder.path()), [file(2)]);
}

#[test]
fn what_is_replayed_is_in_a_file_once_more_and_after_a_kill_in_no_third() {
    let folder = tempfile::tempdir().expect("a folder");
    let shelf = Shelf::new(folder.path(), "erp");
    publish(&shelf, &[1, 2]).expect("it writes");
    let replayed = |offset| Record {
        replayed: true,
        ..record(offset, false)
    };
    let replay = |shelf: &Shelf| {
        let records = [replayed(1), replayed(2)];
        shelf.publish(&layout(), NAME, FLOW, records.iter().collect())
    };
    replay(&shelf).expect("it writes");
    assert_eq!(names(folder.path()), [file(1), file(2)]);
    drop(shelf);
    let shelf = Shelf::new(folder.path(), "erp");
    replay(&shelf).expect("nothing to write");
    assert_eq!(names(folder.path()), [file(1), file(2)]);
}

#[test]
fn what_a_kill_left_is_thrown_away_or_finished() {
    let folder = tempfile::tempdir().expect("a folder");
    let own = folder.path().join(".dray-erp");
    fs::create_dir(&own).expect("a folder");
    let put = |name: String, text: &str| fs::write(own.join(name), text).expect("a file");
    // A part alone, a part whose list is torn, a part with its list.
    put(format!("{}.part", file(1)), "1\n");
    put(format!("{}.part", file(2)), "2\n");
    let two = Ids::of(&file(2), 2, FLOW, &[&record(2, false)]).text();
    put(format!("{}.ids", file(2)), &two[..two.len() - 2]);
    put(format!("{}.part", file(7)), "7\n");
    put(
        format!("{}.ids", file(7)),
        &Ids::of(&file(7), 7, FLOW, &[&record(7, false)]).text(),
    );
    let shelf = Shelf::new(folder.path(), "erp");
    publish(&shelf, &[7]).expect("it opens");
    assert_eq!(names(folder.path()), [file(7)]);
    assert_eq!(names(&own), [format!("{}.ids", file(7))]);
    publish(&shelf, &[1, 2, 7]).expect("it writes");
    assert_eq!(
        names(folder.path()),
        [file(7), file(8)],
        "the numbers go on"
    );
}

#[test]
fn lists_go_once_their_events_cannot_come_again() {
    let folder = tempfile::tempdir().expect("a folder");
    let own = folder.path().join(".dray-erp");
    let shelf = Shelf::new(folder.path(), "erp");
    publish(&shelf, &[1, 2]).expect("it writes");
    let again = record(3, true);
    shelf
        .publish(&layout(), NAME, FLOW, vec![&again])
        .expect("it writes");
    shelf.settled(&[(FlowName::parse(FLOW).expect("a name"), Offset(3))]);
    publish(&shelf, &[4]).expect("it writes");
    let list = |number| format!("{}.ids", file(number));
    assert_eq!(names(&own), [list(2), list(3)], "a dead letter's stays");
    shelf.settled(&[(FlowName::parse(FLOW).expect("a name"), Offset(4))]);
    publish(&shelf, &[1]).expect("it was over, and is new");
    assert_eq!(names(&own), [list(2), list(3), list(4)], "and the newest");
}

#[test]
fn a_file_of_the_same_name_is_not_touched() {
    let folder = tempfile::tempdir().expect("a folder");
    fs::write(folder.path().join(file(1)), "theirs").expect("a file");
    let shelf = Shelf::new(folder.path(), "erp");
    publish(&shelf, &[1]).expect("it writes");
    let beside = format!("north-moves-{:012}-2.jsonl", 1);
    assert_eq!(names(folder.path()), [beside, file(1)]);
    assert_eq!(
        fs::read(folder.path().join(file(1))).expect("a file"),
        b"theirs"
    );
}

#[test]
fn one_process_writes_and_a_folder_that_is_missing_is_said() {
    let folder = tempfile::tempdir().expect("a folder");
    let first = Shelf::new(folder.path(), "erp");
    publish(&first, &[1]).expect("it writes");
    let second = Shelf::new(folder.path(), "erp");
    assert!(matches!(publish(&second, &[2]), Err(Outcome::Transient(_))));
    drop(first);
    publish(&second, &[2]).expect("the lock is free");
    let absent = Shelf::new(&folder.path().join("absent"), "erp");
    assert!(matches!(
        publish(&absent, &[1]),
        Err(Outcome::Misconfigured(_))
    ));
}

#[test]
fn a_list_is_read_as_it_was_written_and_not_otherwise() {
    let ids = Ids::of("a b.csv", 3, FLOW, &[&record(9, true), &record(4, false)]);
    let replayed = Record {
        replayed: true,
        ..record(9, false)
    };
    let replayed = Ids::of("a", 3, FLOW, &[&replayed]);
    assert_eq!(Ids::parse(&replayed.text()), Some(replayed));
    let text = ids.text();
    assert_eq!(Ids::parse(&text), Some(ids));
    for end in 0..text.len() {
        assert_eq!(Ids::parse(&text[..end]), None, "cut at {end}");
    }
}
