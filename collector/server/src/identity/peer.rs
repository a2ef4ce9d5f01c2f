//! Who is at the other end, by certificate or by socket.

use sha2::{Digest, Sha256};
use x509_parser::prelude::{FromDer, GeneralName, ParsedExtension, X509Certificate};

/// An agent, as its certificate says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PeerIdentity {
    /// The site that it writes for.
    pub site: String,
    /// Its id, e.g. "a-7f3c91".
    pub agent: String,
    /// SHA-256 of the public key (SubjectPublicKeyInfo), hex.
    pub key_sha256: String,
}

/// The other end of a connection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Peer {
    /// It showed no certificate: it may enrol and nothing else.
    Unknown,
    /// An agent.
    Agent(PeerIdentity),
    /// A central team's reader.
    Reader(String),
    /// A process on this machine, over the Unix socket, root's or our own user's.
    Local,
}

/// How an agent's SPIFFE id reads.
#[must_use]
pub(super) fn agent_uri(site: &str, agent: &str) -> String {
    format!("spiffe://dray/site/{site}/agent/{agent}")
}

/// How a reader's SPIFFE id reads.
#[must_use]
pub(super) fn reader_uri(name: &str) -> String {
    format!("spiffe://dray/reader/{name}")
}

impl Peer {
    /// Reads a certificate that our CA signed; `None` if it names nobody that we know how to treat.
    #[must_use]
    pub fn of_certificate(der: &[u8]) -> Option<Self> {
        let (_, certificate) = X509Certificate::from_der(der).ok()?;
        let mut uris = certificate.extensions().iter().filter_map(|extension| {
            match extension.parsed_extension() {
                ParsedExtension::SubjectAlternativeName(names) => {
                    names.general_names.iter().find_map(|name| match name {
                        GeneralName::URI(uri) => Some(*uri),
                        _ => None,
                    })
                }
                _ => None,
            }
        });
        let path = uris.next()?.strip_prefix("spiffe://dray/")?;
        let parts: Vec<&str> = path.split('/').collect();
        match parts.as_slice() {
            ["site", site, "agent", agent]
                if dray_proto::is_name(site) && dray_proto::is_name(agent) =>
            {
                Some(Self::Agent(PeerIdentity {
                    site: (*site).to_owned(),
                    agent: (*agent).to_owned(),
                    key_sha256: hex::encode(Sha256::digest(certificate.public_key().raw)),
                }))
            }
            ["reader", name] if dray_proto::is_name(name) => Some(Self::Reader((*name).to_owned())),
            _ => None,
        }
    }
}
