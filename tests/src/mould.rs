//! Data of a new server, made once for all tests and copied by each: to make it takes a server's programs some seconds of syncs.

use std::fs;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::path::{Path, PathBuf};
use std::process::Command;

use rustix::fs::{FlockOperation, flock};

/// Puts a copy of the data at `to`, which is not there yet. `of`: what it is made with, so that other programs or settings make another one.
/// `make`: makes it in a folder that is not there yet, if nobody has; no server runs on it any more when it returns.
///
/// # Panics
/// Where it can't be made or copied.
pub(crate) fn cast(of: &[&str], to: &Path, make: impl FnOnce(&Path)) {
    let folder = folder();
    fs::create_dir_all(&folder).expect("a folder");
    let mut hash = DefaultHasher::new();
    of.hash(&mut hash);
    let mould = folder.join(format!("{:016x}", hash.finish()));
    // Tests are processes: one makes it, the others wait for that.
    let lock = fs::File::create(mould.with_extension("lock")).expect("a file");
    flock(&lock, FlockOperation::LockExclusive).expect("a lock");
    if !mould.exists() {
        let made = mould.with_extension("new");
        // Of a test that was killed meanwhile.
        let _ = fs::remove_dir_all(&made);
        make(&made);
        fs::rename(&made, &mould).expect("it is whole");
    }
    drop(lock);
    let copied = Command::new("cp")
        .args(["-a", "--sparse=always", "--reflink=auto"])
        .args([&mould, to])
        .status();
    assert!(copied.expect("cp").success());
}

/// Beside the program that runs, which goes with what was built.
fn folder() -> PathBuf {
    let program = std::env::current_exe().expect("a program");
    let beside = program.parent().expect("it stands in a folder");
    beside.join("servers")
}
