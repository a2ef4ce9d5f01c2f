//! One table's rows once more, joined to a running stream. Of no particular database.
//!
//! Nothing is written, locked or kept open for it. The table is read chunk by chunk in the order of its key, beside the stream. A chunk is what one
//! moment of the database sees; it is kept in memory until the stream has passed all that this moment sees. Of what was committed later and was told
//! by then, the chunk's rows are stale: they are left out, as the stream has told them whole, or made what they are now, where it has told a
//! part. What is left is given as `read` at that place of the stream. So every row comes, and no reader ever sees an older state of a key after a
//! newer one.
//!
//! | file | what it does |
//! |---|---|
//! | `queue.rs` | which tables are wanted, and how far they are: a part of a place |
//! | `chunk.rs` | rows that one moment sees, and how many are asked for |
//! | `join.rs` | what becomes of a chunk while the stream goes on. Pure |
//! | `held.rs` | a chunk that waits for its place. Pure |
//! | `seen.rs` | what a change says of a table's keys. Pure |
//! | `given.rs` | what is left of it, as records. Pure |
//! | `stream.rs` | the stream and the database, as they are met here |
//! | `wishes.rs` | what is asked for, until it stands in a place |
//! | `waits.rs` | until when something is waited for, and what is said of that |
//! | `pace.rs` | how long is waited before something is tried again. Pure |
//! | `question.rs` | what is asked of a database, beside other work |
//! | `pump.rs` | when what is asked of the database |
//!
//! Limits: [`ASKED_MAX`] tables wait; a chunk has at most [`CHUNK_ROWS_MAX`] rows or about [`CHUNK_BYTES`] bytes; while it is being read, at most
//! [`join::FLIGHT_BYTES_MAX`] bytes of what the stream tells are kept, and then the stream waits. While it waits for its place, it may grow to
//! [`held::HELD_BYTES_MAX`] by what the stream tells, and lasts for [`waits::HELD_MAX`]; then it is read again.

mod chunk;
mod given;
mod held;
mod join;
mod pace;
mod pump;
mod question;
mod queue;
mod seen;
mod stream;
mod waits;
mod wishes;

pub(crate) use chunk::{CHUNK_ROWS_MAX, Chunk, Filling, READ, Size};
pub(crate) use join::{FLIGHT_TRANSACTIONS_MAX, Join, Track, View};
pub(crate) use pump::Pump;
pub(crate) use queue::{ASKED_MAX, Again, Key, Queue, stands_already};
pub(crate) use stream::{Chunks, Joined, Parts, Stands};
