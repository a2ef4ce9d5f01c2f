//! What is missing or changed on disk is said, never passed over.

use std::fs;
use std::path::{Path, PathBuf};

use dray_buffer::conformance::{append, block};
use dray_buffer::{Buffer, BufferError, MarkState, Sequence, SledBuffer};

use crate::open;

/// The generations' folders, the oldest first.
fn folders(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).expect("a folder").flatten();
    let mut folders: Vec<PathBuf> = entries
        .map(|entry| entry.path())
        .filter(|path| path.to_string_lossy().contains("/g-"))
        .collect();
    folders.sort();
    folders
}

fn fill(folder: &Path, appends: usize) {
    let buffer = open(folder);
    for n in 0..appends {
        let made = append("a", vec![block(10, 20_000, "p")], &[&format!("m{n}")]);
        buffer.append(made).wait().expect("it fits");
    }
}

/// What of flow "a" the buffer of `appends` appends of 10 events still has and says to have lost: all must be one or
/// the other. How many events are left.
fn account(place: &Path, appends: u64, what: &str) -> u64 {
    account_of(open(place), place, appends, what)
}

/// The same of one that is open.
fn account_of(buffer: SledBuffer, place: &Path, appends: u64, what: &str) -> u64 {
    // A block that turns out to be damaged is mended behind the first read.
    let blocks = loop {
        let read = buffer.read("a", Sequence(1), usize::MAX);
        match read {
            Ok(blocks) => break blocks,
            Err(BufferError::Damaged(_)) => {
                let mut watch = buffer.watch();
                while buffer.losses().is_empty() && !watch.has_changed().expect("it lives") {
                    std::thread::yield_now();
                }
                watch.borrow_and_update();
            }
            Err(other) => panic!("{what}: {other}"),
        }
    };
    let payload = block(10, 20_000, "p").payload;
    let intact = blocks.iter().all(|stored| stored.block.payload == payload);
    assert!(intact, "{what}");
    let left = blocks.len() as u64 * 10;
    let epoch = buffer.epoch();
    assert!(blocks.iter().all(|stored| stored.epoch == epoch), "{what}");
    let next = buffer.depth("a").appended.0;
    assert_eq!(next, left, "{what}: numbered from 1 without a hole");
    let losses = buffer.losses();
    let count = |loss: &dray_buffer::Loss| loss.last.map(|last| last.0 + 1 - loss.first.0);
    let counted: Option<u64> = losses.iter().map(count).sum();
    match counted {
        Some(lost) => assert_eq!(left + lost, appends * 10, "{what}: {losses:?}"),
        None => assert!(left < appends * 10, "{what}: {losses:?}"),
    }
    let receipt = buffer.append(append("a", vec![block(10, 20_000, "p")], &[]));
    assert_eq!(
        receipt.wait().expect("it goes on").through,
        Sequence(left + 10),
        "{what}"
    );
    drop(buffer);
    let again = open(place);
    assert_eq!(
        again.depth("a").appended,
        Sequence(left + 10),
        "{what}: after a restart"
    );
    assert_eq!((again.epoch(), again.losses()), (epoch, losses), "{what}");
    left
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).expect("a folder");
    for entry in fs::read_dir(from).expect("a folder").flatten() {
        let to = to.join(entry.file_name());
        if entry.path().is_dir() {
            copy(&entry.path(), &to);
        } else {
            fs::copy(entry.path(), to).expect("a copy");
        }
    }
}

#[test]
fn a_missing_generation_is_told_by_its_numbers_wherever_it_stood() {
    let folder = tempfile::tempdir().expect("a folder");
    fill(folder.path(), 60);
    let all = folders(folder.path());
    assert!(all.len() > 3, "{all:?}");
    for gone in &all {
        let place = tempfile::tempdir().expect("a folder");
        copy(folder.path(), place.path());
        let name = gone.file_name().expect("a name");
        fs::remove_dir_all(place.path().join(name)).expect("it goes");
        let left = account(place.path(), 60, &name.to_string_lossy());
        assert!(left < 600 && left > 300, "{left}");
    }
}

#[test]
fn a_generation_that_somebody_deletes_is_told_while_the_buffer_is_open() {
    let folder = tempfile::tempdir().expect("a folder");
    fill(folder.path(), 60);
    let buffer = open(folder.path());
    fs::remove_dir_all(&folders(folder.path())[1]).expect("it goes");
    let left = account_of(buffer, folder.path(), 60, "deleted while open");
    assert!(left < 600 && left > 300, "{left}");
}

#[test]
fn nothing_is_answered_for_in_a_newest_generation_that_somebody_deleted() {
    let folder = tempfile::tempdir().expect("a folder");
    fill(folder.path(), 30);
    let buffer = open(folder.path());
    let newest = folders(folder.path()).pop().expect("one");
    fs::remove_dir_all(newest).expect("it goes");
    let receipt = buffer.append(append("a", vec![block(10, 20_000, "p")], &[]));
    let said = receipt
        .wait()
        .expect_err("it has no name any more")
        .to_string();
    assert!(
        said.contains("deleted") && said.contains("opened again"),
        "{said}"
    );
    drop(buffer);
    account(folder.path(), 30, "the newest deleted while open");
}

#[test]
fn files_of_a_lost_generation_are_read_again() {
    let folder = tempfile::tempdir().expect("a folder");
    fill(folder.path(), 60);
    let second = folders(folder.path()).remove(1);
    fs::remove_file(second.join("db")).expect("sled's file");
    let buffer = open(folder.path());
    let states: Vec<_> = (0..60)
        .map(|n| buffer.seen("a", format!("m{n}").as_bytes()))
        .collect();
    let new = states
        .iter()
        .filter(|state| **state == MarkState::New)
        .count() as u64;
    let left = buffer.depth("a").appended.0 / 10;
    // The first one behind the lost part is among the forgotten: for all that is known, it began in it.
    assert!(
        new > 5 && new + left == 61,
        "{new} forgotten, {left} blocks left"
    );
    let aside = folder.path().join("quarantine");
    assert_eq!(fs::read_dir(aside).expect("a folder").count(), 1);
}

#[test]
fn a_generation_that_cannot_be_opened_for_now_is_not_taken_for_damaged() {
    let folder = tempfile::tempdir().expect("a folder");
    fill(folder.path(), 60);
    let oldest = folders(folder.path()).remove(0);
    let (file, away) = (oldest.join("db"), folder.path().join("away"));
    let hinder = || {
        fs::rename(&file, &away).expect("it goes away");
        fs::create_dir(&file).expect("something that can't be opened");
    };
    let free = || {
        fs::remove_dir(&file).expect("it was made");
        fs::rename(&away, &file).expect("it comes back");
    };
    let buffer = open(folder.path());
    hinder();
    for _ in 0..3 {
        let read = buffer.read("a", Sequence(1), usize::MAX);
        assert!(matches!(read, Err(BufferError::Hindered(_))), "{read:?}");
    }
    free();
    let read = buffer
        .read("a", Sequence(1), usize::MAX)
        .expect("all of it");
    assert_eq!((read.len(), buffer.losses()), (60, Vec::new()));
    assert!(!folder.path().join("quarantine").exists());
}

/// A file of two appends, the first of which stands in a generation that is lost.
fn torn_file(folder: &Path) -> (PathBuf, &'static [u8]) {
    let buffer = open(folder);
    for _ in 0..3 {
        // Each fills a generation.
        let made = append("a", vec![block(10, 300_000, "in the file")], &[]);
        buffer.append(made).wait().expect("it fits");
    }
    let made = append("a", vec![block(10, 300_000, "end")], &["torn"]);
    buffer.append(made).wait().expect("it fits");
    let made = append("a", vec![block(10, 100, "next")], &["whole"]);
    buffer.append(made).wait().expect("it fits");
    (folders(folder).remove(1), b"torn")
}

#[test]
fn a_file_that_began_in_a_lost_generation_is_read_again() {
    let folder = tempfile::tempdir().expect("a folder");
    let (lost, torn) = torn_file(folder.path());
    fs::remove_dir_all(lost).expect("it goes");
    let buffer = open(folder.path());
    assert_eq!(buffer.losses().len(), 1, "{:?}", buffer.losses());
    assert_eq!(buffer.seen("a", torn), MarkState::New);
    assert_ne!(buffer.seen("a", b"whole"), MarkState::New);
    drop(buffer);
    // Whoever opened it has read the file again: nobody is told twice.
    let buffer = open(folder.path());
    assert_ne!(buffer.seen("a", torn), MarkState::New);
}

#[test]
fn a_file_that_began_in_a_generation_lost_while_open_is_read_again() {
    let folder = tempfile::tempdir().expect("a folder");
    let (lost, torn) = torn_file(folder.path());
    let buffer = open(folder.path());
    fs::remove_dir_all(lost).expect("it goes");
    let read = || buffer.read("a", Sequence(1), usize::MAX);
    assert!(matches!(read(), Err(BufferError::Damaged(_))));
    while read().is_err() {
        std::thread::yield_now();
    }
    assert_eq!(buffer.losses().len(), 1, "{:?}", buffer.losses());
    assert_eq!(buffer.seen("a", torn), MarkState::New);
    assert_ne!(buffer.seen("a", b"whole"), MarkState::New);
}

/// Flips one bit at each of `count` places in all files of a buffer that lie evenly.
fn flip(count: usize) {
    let folder = tempfile::tempdir().expect("a folder");
    fill(folder.path(), 30);
    let mut files = Vec::new();
    for generation in folders(folder.path()) {
        for entry in fs::read_dir(generation).expect("a folder").flatten() {
            if entry.path().is_file() {
                let bytes = fs::read(entry.path()).expect("a file");
                // What sled has set aside beyond its last write is zeros.
                let used = bytes
                    .iter()
                    .rposition(|byte| *byte != 0)
                    .map_or(0, |at| at + 1);
                let name = entry
                    .path()
                    .strip_prefix(folder.path())
                    .expect("below")
                    .to_owned();
                files.push((name, used));
            }
        }
    }
    let all: usize = files.iter().map(|(_, used)| used).sum();
    let (mut harmless, mut mended) = (0, 0);
    for n in 0..count {
        let mut at = all * n / count + n % 13;
        let found = files.iter().find(|(_, used)| {
            let here = at < *used;
            at -= if here { 0 } else { *used };
            here
        });
        let Some((name, _)) = found else { continue };
        let place = tempfile::tempdir().expect("a folder");
        copy(folder.path(), place.path());
        let file = place.path().join(name);
        let mut bytes = fs::read(&file).expect("a file");
        bytes[at] ^= 1 << (n % 8);
        fs::write(&file, bytes).expect("a file");
        let what = format!("{}, byte {at}, bit {}", name.display(), n % 8);
        let left = account(place.path(), 30, &what);
        match left {
            300 => harmless += 1,
            _ => mended += 1,
        }
    }
    assert!(
        mended > 0,
        "each of {count} flips is told or harmless, and {harmless} are"
    );
}

#[test]
fn a_flipped_bit_is_harmless_or_told_with_its_range() {
    flip(if std::env::var_os("DRAY_SOAK").is_some() {
        1_000
    } else {
        30
    });
}

#[test]
fn a_witness_that_is_old_torn_or_absent_keeps_nothing_closed() {
    let folder = tempfile::tempdir().expect("a folder");
    let witness = folder.path().join("witness");
    fill(folder.path(), 20);
    let old = fs::read(&witness).expect("a witness");
    let mut appended = 200;
    for said in [
        Some(old.clone()),
        Some(old[..20].to_vec()),
        Some(vec![0; 36]),
        None,
    ] {
        fill(folder.path(), 20);
        appended += 200;
        match said {
            Some(bytes) => fs::write(&witness, bytes).expect("a witness"),
            None => fs::remove_file(&witness).expect("a witness"),
        }
        assert_eq!(open(folder.path()).depth("a").appended, Sequence(appended));
        assert_eq!(fs::read(&witness).expect("said again").len(), 36);
    }
}

#[test]
fn without_generations_marks_are_forgotten_too() {
    let folder = tempfile::tempdir().expect("a folder");
    fill(folder.path(), 60);
    let epoch = open(folder.path()).epoch();
    for one in folders(folder.path()) {
        fs::remove_dir_all(one).expect("a folder");
    }
    let buffer = open(folder.path());
    assert_ne!(buffer.epoch(), epoch);
    assert_eq!(
        buffer.seen("a", b"m0"),
        MarkState::New,
        "its events are gone: the file must be read again"
    );
    assert!(buffer.flows().is_empty());
}

#[test]
fn a_full_generation_that_a_cut_left_without_its_summary_is_sealed_when_it_is_opened() {
    let folder = tempfile::tempdir().expect("a folder");
    fill(folder.path(), 60);
    let all = folders(folder.path());
    let full = &all[all.len() - 2];
    let name = full.file_name().expect("it has one").to_string_lossy();
    let marks = folder.path().join("marks").join(name.replace("g-", "m-"));
    for path in [&full.join("summary"), &marks] {
        fs::remove_file(path).expect("it was sealed");
    }
    let buffer = open(folder.path());
    assert!(buffer.losses().is_empty());
    let through = buffer.depth("a").appended;
    assert_eq!(through, Sequence(600), "nothing of it is missing");
    buffer.ack("a", buffer.epoch(), through).expect("an answer");
    drop(buffer);
    assert!(!full.exists(), "it went as others do");
    let buffer = open(folder.path());
    for n in 0..60 {
        let mark = format!("m{n}");
        assert_ne!(buffer.seen("a", mark.as_bytes()), MarkState::New, "{mark}");
    }
}

#[test]
fn a_generation_that_cannot_be_sealed_stops_the_buffer_and_is_sealed_at_the_next_opening() {
    let folder = tempfile::tempdir().expect("a folder");
    let buffer = open(folder.path());
    // Its marks can't be written there.
    let in_the_way = folder.path().join("marks/tmp-m-00000000000000000001");
    fs::create_dir(&in_the_way).expect("a folder");
    let mut answered = Sequence(0);
    let reason = (0..400).find_map(|n| {
        let made = append("a", vec![block(10, 20_000, "p")], &[&format!("m{n}")]);
        match buffer.append(made).wait() {
            Ok(appended) => answered = appended.through,
            Err(BufferError::Stopped { reason, .. }) => return Some(reason),
            Err(other) => panic!("{other}"),
        }
        None
    });
    let reason = reason.expect("it stops");
    assert!(reason.contains("marks"), "{reason}");
    drop(buffer);
    fs::remove_dir(&in_the_way).expect("a folder");
    let buffer = open(folder.path());
    assert_eq!(buffer.depth("a").appended, answered);
    assert!(buffer.losses().is_empty());
    assert_ne!(buffer.seen("a", b"m0"), MarkState::New);
    let full = &folders(folder.path())[0];
    assert!(full.join("summary").exists(), "it is sealed");
}
