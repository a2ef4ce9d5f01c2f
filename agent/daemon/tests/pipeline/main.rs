//! A flow's thread, from its source to the buffer and back.

mod files;
mod gate;
mod opened;
mod place;
mod script;
mod source;
mod stopped;
mod syncs;
