//! Numbers of files that are given out again.

use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

/// What statfs says of ext2 to ext4.
const EXT: i64 = 0xEF53;

pub(crate) fn inode(path: &Path) -> u64 {
    fs::metadata(path).expect("the file").ino()
}

/// Makes the file anew until it has this number. ext4 gives it out again at once, unless somebody else was faster; a file system that never
/// does makes a plain replacement of it.
pub(crate) fn make_with(old: u64, path: &Path, mut make: impl FnMut()) {
    let again = (0..100).any(|_| {
        fs::remove_file(path).expect("it was there");
        make();
        inode(path) == old
    });
    let parent = path.parent().expect("a folder");
    let kind = rustix::fs::statfs(parent).expect("a file system").f_type;
    assert!(again || kind as i64 != EXT, "ext4 gives numbers out again");
}
