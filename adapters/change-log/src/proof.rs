//! Why a server's TLS is not taken: what is wrong with it, and who mends it. Pure.

use std::io;

use rustls::{CertificateError, Error};

/// In a sentence. `name`: what the server must be called.
pub(crate) fn not_taken(server: &str, name: &str, error: &io::Error) -> String {
    let told = error.get_ref().and_then(|told| told.downcast_ref());
    match told {
        Some(Error::InvalidCertificate(why)) => {
            let said = not_proven(name, why);
            format!("the server {server} does not prove who it is: {said}")
        }
        Some(Error::PeerIncompatible(why)) => format!(
            "the server {server} has no TLS that the agent takes ({why:?}): let it offer TLS 1.2"
        ),
        Some(Error::AlertReceived(why)) => format!(
            "the server {server} refuses the agent's TLS ({why:?}): look at the versions of TLS that it allows, and whether it wants a client's certificate, which the agent has none of"
        ),
        Some(other) => format!("TLS with the server {server} failed: {other}"),
        None => format!(
            "the server {server} broke off in the midst of TLS: {error}; look at its log, and at what stands between"
        ),
    }
}

fn not_proven(name: &str, why: &CertificateError) -> String {
    match why {
        CertificateError::NotValidForNameContext { presented, .. } => {
            let names = match presented.is_empty() {
                true => "no name that counts (an alternative name of the subject)".to_owned(),
                false => presented.iter().map(|one| bare(one)).collect::<Vec<_>>().join(", "),
            };
            format!(
                "its certificate is not for {name}, but for {names}: write the name that it is for as server_name, or give the server another certificate"
            )
        }
        CertificateError::NotValidForName => format!(
            "its certificate is not for {name}: write the name that it is for as server_name, or give the server another certificate"
        ),
        CertificateError::UnknownIssuer => "nobody in ca_file signed its certificate: write the file of the authority that did; a certificate that a server makes by itself proves nothing".to_owned(),
        CertificateError::BadSignature => "its certificate names an authority of ca_file that has not signed it: write the file of the one that did".to_owned(),
        CertificateError::Expired | CertificateError::ExpiredContext { .. } => {
            "its certificate, or its authority's, has ended: give it a new one, or set this machine's clock".to_owned()
        }
        CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => {
            "its certificate is not valid yet: look at the clocks of both machines".to_owned()
        }
        other => format!("its certificate is not good: {other}"),
    }
}

/// A name as the library shows it: `DnsName("db.example")`.
fn bare(shown: &str) -> &str {
    shown.split('"').nth(1).unwrap_or(shown)
}

#[cfg(test)]
mod tests {
    use rustls::{AlertDescription, PeerIncompatible};

    use super::*;

    #[test]
    fn each_fault_is_told_with_what_mends_it() {
        let bad = |why| io::Error::new(io::ErrorKind::InvalidData, Error::InvalidCertificate(why));
        for (error, expected) in [
            (
                bad(CertificateError::NotValidForName),
                "is not for db: write the name",
            ),
            (
                bad(CertificateError::UnknownIssuer),
                "nobody in ca_file signed",
            ),
            (bad(CertificateError::Expired), "has ended"),
            (bad(CertificateError::NotValidYet), "the clocks of both"),
            (bad(CertificateError::Revoked), "is not good"),
            (
                io::Error::other(Error::PeerIncompatible(
                    PeerIncompatible::ServerDoesNotSupportTls12Or13,
                )),
                "let it offer TLS 1.2",
            ),
            (
                io::Error::other(Error::AlertReceived(AlertDescription::ProtocolVersion)),
                "refuses the agent's TLS (ProtocolVersion)",
            ),
            (
                io::Error::from(io::ErrorKind::UnexpectedEof),
                "broke off in the midst",
            ),
        ] {
            let told = not_taken("db:1433", "db", &error);
            assert!(told.contains(expected), "{told}");
        }
    }
}
