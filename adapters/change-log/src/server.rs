//! The way to a database's server.

use std::net::IpAddr;
use std::path::PathBuf;

use serde::Deserialize;

/// Whether nobody else can be on the way to it: a socket's folder, or this machine's own address.
pub(crate) fn is_local(host: &str) -> bool {
    let address = host.parse::<IpAddr>();
    host.starts_with('/')
        || host == "localhost"
        || address.is_ok_and(|address| address.is_loopback())
}

/// TLS to a server: it must have a certificate for its name that this authority signed.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TlsConfig {
    /// The authority's certificate, in PEM.
    pub ca_file: PathBuf,
    /// The name in the server's certificate, where it is not `host`.
    pub server_name: Option<String>,
}
