//! Growing files, in real folders: the suite of every source, and what is done to logs.

mod conforms;
mod folders;
mod grows;
mod killed;
mod many;
mod model;
mod replaced;
mod rescans;
mod rotates;
mod support;
