//! The endpoint without an envelope, for what calls out by JSON or XML: a TMS, a shop, a carrier.
//!
//! It is served as calls over SOAP are ([`crate::receive`]): answered after the append, told from a retry by a header, by columns of its first
//! record or by its content. Who calls is told by a signature over the body, a key in a header, a password or a certificate.

mod config;
mod dialect;
mod make;
mod signature;

pub use config::{ApiKeyConfig, HookConfig, SignatureConfig, WebhookConfig, When};
