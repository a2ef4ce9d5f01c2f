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
    use std::env;
    if env::var_os(TUNABLES).is_some() || env::var_os("MALLOC_MMAP_THRESHOLD_").is_some() {
        return;
    }
    let _ = exec(&[(TUNABLES, THRESHOLD)]);
}

/// Starts this program once more, as it was started, under the same process id: nothing of what it held stays open. Returns
/// only when it failed, with the reason.
pub(crate) fn start_again() -> std::io::Error {
    exec(&[])
}

fn exec(environment: &[(&str, &str)]) -> std::io::Error {
    use std::os::unix::process::CommandExt as _;
    use std::{env, io, process::Command};

    let mut arguments = env::args_os();
    let Some(name) = arguments.next() else {
        return io::ErrorKind::InvalidInput.into();
    };
    let program = match env::current_exe() {
        // It was replaced since, by an update: the new one has the same name.
        Ok(program) if !program.exists() => name.clone().into(),
        Ok(program) => program,
        Err(error) => return error,
    };
    Command::new(program)
        .arg0(name)
        .args(arguments)
        .envs(environment.iter().copied())
        .exec()
}

/// Other allocators are left as they are.
#[cfg(not(all(target_os = "linux", target_env = "gnu")))]
pub(crate) fn settle() {}
