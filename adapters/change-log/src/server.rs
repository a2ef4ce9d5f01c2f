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

/// What is wrong with the way to it: the setting and a sentence.
pub(crate) fn faults(
    host: &str,
    tls: Option<&TlsConfig>,
    in_clear_text: bool,
) -> Option<(String, String)> {
    let fault = |setting: &str, sentence: String| Some((setting.to_owned(), sentence));
    match tls {
        Some(_) if host.starts_with('/') => fault("tls", "a socket has none; take it away".into()),
        None if !is_local(host) && !in_clear_text => fault(
            "host",
            format!(
                "\"{host}\" is another machine: add [flow.source.tls] with ca_file, or write in_clear_text = true where the network is trusted"
            ),
        ),
        _ => None,
    }
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
