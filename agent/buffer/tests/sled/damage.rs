//! What is missing or changed on disk is said, never passed over.

use std::fs;
use std::path::{Path, PathBuf};

use dray_buffer::conformance::{append, block};
use dray_buffer::{Buffer, BufferError, MarkState, Sequence, SledBuffer};

use crate::{open, small};

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

fn refusal(folder: &Path) -> String {
    match SledBuffer::open(small(folder)) {
        Err(BufferError::Stopped { reason, .. }) => reason,
        other => panic!("it was passed over: {other:?}"),
    }
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
fn a_missing_generation_is_said_wherever_it_stood() {
    let folder = tempfile::tempdir().expect("a folder");
    fill(folder.path(), 60);
    let all = folders(folder.path());
    assert!(all.len() > 3, "{all:?}");
    for gone in &all[1..] {
        let away = folder.path().join("away");
        fs::rename(gone, &away).expect("a rename");
        let reason = refusal(folder.path());
        assert!(
            reason.contains("missing") && reason.contains("g-"),
            "{reason}"
        );
        fs::rename(&away, gone).expect("a rename");
    }
    assert_eq!(open(folder.path()).depth("a").appended, Sequence(600));
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
fn a_generation_without_its_database_is_said_and_nothing_is_put_in_its_place() {
    let folder = tempfile::tempdir().expect("a folder");
    fill(folder.path(), 60);
    let newest = folders(folder.path()).pop().expect("one");
    fs::remove_file(newest.join("db")).expect("sled's file");
    refusal(folder.path());
    assert!(!newest.join("db").exists());
}

#[test]
fn a_flipped_byte_in_the_newest_generation_is_harmless_or_said() {
    let folder = tempfile::tempdir().expect("a folder");
    fill(folder.path(), 9);
    let name = folders(folder.path()).pop().expect("one");
    let name = name.file_name().expect("its name");
    let used = fs::read(folder.path().join(name).join("db")).expect("sled's file");
    let used = used.iter().rposition(|byte| *byte != 0).expect("some");
    let (mut harmless, mut said) = (0, 0);
    for at in (0..60).map(|n| used * n / 60 + 13) {
        let place = tempfile::tempdir().expect("a folder");
        copy(folder.path(), place.path());
        let db = place.path().join(name).join("db");
        let mut bytes = fs::read(&db).expect("sled's file");
        bytes[at] ^= 0x10;
        fs::write(&db, bytes).expect("sled's file");
        let Ok(buffer) = SledBuffer::open(small(place.path())) else {
            said += 1;
            continue;
        };
        match buffer.read("a", Sequence(1), usize::MAX) {
            Err(_) => said += 1,
            Ok(blocks) => {
                let intact = |stored: &dray_buffer::StoredBlock| {
                    stored.block.payload == block(10, 20_000, "p").payload
                };
                assert_eq!(
                    blocks.len(),
                    9,
                    "byte {at}: answered blocks are gone, silently"
                );
                assert!(blocks.iter().all(intact), "byte {at}");
                harmless += 1;
            }
        }
    }
    assert!(said > 0 && harmless + said == 60, "{harmless} {said}");
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
