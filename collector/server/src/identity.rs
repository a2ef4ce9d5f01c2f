//! Who may do what: the certificate authority, one-use tokens, and what a certificate says.

mod allow;
mod ca;
mod peer;
pub mod tokens;

pub use allow::AllowList;
pub use ca::{Authority, AuthorityError, Issued};
pub use peer::{Peer, PeerIdentity};

pub(crate) use allow::{keep_fresh, refresh};
