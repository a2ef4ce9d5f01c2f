//! Numbers of files that are given out again.

use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

/// What statfs says of ext2 to ext4.
const EXT: i64 = 0xEF53;

/// Lives until one shows what it is to show: whether its file was made with the number of the one before it. ext4 gives a number out again at
/// once, unless somebody else was faster, and then that one may keep it. A file system that never does shows a plain replacement.
pub(crate) fn until_used_again(life: impl Fn() -> bool) {
    let again = (0..20).any(|_| life());
    let kind = rustix::fs::statfs(std::env::temp_dir())
        .expect("a file system")
        .f_type;
    assert!(again || kind as i64 != EXT, "ext4 gives numbers out again");
}

/// Makes the file anew, and says whether it has its old number.
pub(crate) fn make_again(path: &Path, make: impl FnOnce()) -> bool {
    let inode = || fs::metadata(path).expect("the file").ino();
    let old = inode();
    fs::remove_file(path).expect("it was there");
    make();
    inode() == old
}
