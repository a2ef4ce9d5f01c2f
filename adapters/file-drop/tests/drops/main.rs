//! Dropped files, in real folders: the suite of every source, and what goes wrong with files.

mod bad;
mod changing;
mod conforms;
mod folders;
mod formats;
mod kept;
mod mounts;
mod owners;
mod redriven;
mod reopened;
mod repeats;
mod second_copies;
mod support;
