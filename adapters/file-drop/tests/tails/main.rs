//! Growing files, in real folders: the suite of every source, and what is done to logs.

mod conforms;
mod folders;
mod grows;
#[path = "../drops/inodes.rs"]
mod inodes;
mod killed;
mod many;
mod model;
mod mounts;
#[path = "../drops/namespace.rs"]
mod namespace;
mod replaced;
mod rescans;
mod rotates;
mod support;
