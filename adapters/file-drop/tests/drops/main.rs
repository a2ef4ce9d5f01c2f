//! Dropped files, in real folders: the suite of every source, and what goes wrong with files.

mod acknowledged;
mod answered;
mod bad;
mod changing;
mod companions;
mod conforms;
mod duplicates;
mod folders;
mod formats;
mod heard;
mod inodes;
mod kept;
mod mounts;
mod namespace;
mod owners;
mod password_server;
mod pickup;
mod pickup_broken;
#[cfg(feature = "failpoints")]
mod pickup_deaths;
mod readiness;
mod redriven;
mod reopened;
mod repeats;
mod reports;
mod second_copies;
mod sequences;
mod server;
mod support;
mod telling;
