//! What the C library's allocator is told, so that large buffers go back to the system when they are freed.
//!
//! A generation of the buffer takes tens of MiB while it is open, in pieces of 8 MiB and less. Once glibc has freed one such
//! piece, it keeps all of that size for itself (`M_MMAP_THRESHOLD` in mallopt(3) moves up by itself), in as many arenas
//! as there were threads: draining an outage of 5,000,000 events then held 240 MiB, and 73 MiB with a threshold that
//! stays. It is read from the environment when a program starts, and nowhere else without `unsafe`; so the agent starts
//! itself once more, in the same process.

#[cfg(all(target_os = "linux", target_env = "gnu"))]
const TUNABLES: &str = "GLIBC_TUNABLES";
/// From this size on, an allocation has its own mapping.
#[cfg(all(target_os = "linux", target_env = "gnu"))]
const THRESHOLD: &str = "glibc.malloc.mmap_threshold=524288";

/// Starts this program once more with the setting, under the same process id. Where that fails, or somebody has set the
/// allocator up already, it goes on as it is.
#[cfg(all(target_os = "linux", target_env = "gnu"))]
pub(crate) fn settle() {
    use std::os::unix::process::CommandExt;
    use std::{env, process::Command};

    let mut arguments = env::args_os();
    if env::var_os(TUNABLES).is_some() || env::var_os("MALLOC_MMAP_THRESHOLD_").is_some() {
        return;
    }
    let (Ok(program), Some(name)) = (env::current_exe(), arguments.next()) else {
        return;
    };
    // It returns only when it failed.
    let _ = Command::new(program)
        .arg0(name)
        .args(arguments)
        .env(TUNABLES, THRESHOLD)
        .exec();
}

/// Other allocators are left as they are.
#[cfg(not(all(target_os = "linux", target_env = "gnu")))]
pub(crate) fn settle() {}
