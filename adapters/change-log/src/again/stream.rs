//! The stream that chunks are joined to and the database that is asked for them, as they are met here.

use dray_adapter::IdScope;

use super::chunk::Chunk;
use super::join::{Join, Track};
use super::{Again, Key, Queue};
use crate::reader::{Place, Trouble};
use crate::watch::{Prints, Watch};

/// A database that is asked for chunks, over a connection of its own.
pub(crate) trait Chunks: Sized {
    /// What it says of what a question sees.
    type Sight;

    /// Why a question does not see yet all that the stream told, for the database's own people.
    const UNSEEN: &'static str;

    /// The same, with another connection.
    fn another(&self) -> Self;

    /// A table's key, and what the database sees now.
    ///
    /// # Errors
    /// [`Trouble::Person`]: the table can't be read again, and that does not pass by itself.
    async fn look(&mut self, table: &str) -> Result<(Key, Self::Sight), Trouble>;

    /// The next rows; none where the table's key is not the one that `again` has ([`Chunk::of_another_key`]).
    ///
    /// # Errors
    /// As of [`Self::look`].
    async fn read(&mut self, again: &Again) -> Result<(Chunk, Self::Sight), Trouble>;
}

/// A place that holds which tables are wanted again.
pub(crate) trait Stands: Place {
    fn wanted(&self) -> &Queue;

    fn wanted_mut(&mut self) -> &mut Queue;

    /// The shape of each table that was told last.
    fn schemas_mut(&mut self) -> &mut Prints;

    /// Rows are given here: what they say holds up to this place, also where no transaction ends.
    fn told_here(&mut self) {}

    /// The part of event ids that names a unit of the flow. `parts`: what tells it from the others.
    fn scope(&self, flow: &str, parts: &[&[u8]]) -> IdScope;
}

/// A stream that chunks are joined to.
pub(crate) trait Joined {
    type Place: Stands;
    type Track: Track<Place = Self::Place>;

    /// The tables that wait.
    fn queue(&self) -> &Queue;

    /// What may be touched between two transactions, no part of which is appended; `None` within one.
    fn between(&mut self) -> Option<Parts<'_, Self::Place, Self::Track>>;

    /// The table at hand on its way; `None`: none is.
    fn join(&mut self) -> &mut Option<Join<Self::Track>>;

    /// A track of what comes from now on.
    fn track(&self) -> Self::Track;
}

/// Parts of a stream.
pub(crate) struct Parts<'p, P, T: Track> {
    pub(crate) place: &'p mut P,
    pub(crate) watch: &'p mut Watch,
    pub(crate) join: &'p mut Option<Join<T>>,
}
