//! An endpoint as callers see it: over real sockets, with the agent's side played.

mod caller;
mod calls;
mod conforms;
mod counted;
mod endpoint;
mod hostile;
mod long_values;
mod patience;
mod secure;
mod webhooks;
