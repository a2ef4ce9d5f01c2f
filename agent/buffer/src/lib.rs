//! The agent's durable queue of blocks.
//!
//! This crate promises that what [`Buffer::append`] answered is on stable storage, that a flow's
//! events are numbered without gaps, and that nothing is dropped: when there is no room, append
//! waits. It is the one crate that knows sled, and the reasons for how it uses it stand in
//! [`sled_buffer`].
//!
//! It refuses to know protobuf, events and the network: a block is bytes with numbers beside it.
//!
//! Limits: see the constants in [`api`].

pub mod api;
mod compacting;
pub mod conformance;
mod databases;
mod edges;
mod folder;
mod generation;
mod layout;
mod ledger;
mod marks;
mod memory;
mod mending;
mod opening;
mod shared;
pub mod sled_buffer;
mod unreadable;
mod witness;
mod writer;

pub use api::{
    Append, Appended, Buffer, BufferError, Depth, Loss, MarkState, NewBlock, Receipt, Sequence,
    Space, StoredBlock,
};
pub use edges::EDGES;
pub use memory::MemoryBuffer;
pub use mending::hindrance_in;
pub use sled_buffer::{Options, SledBuffer};
