//! Certificates and keys in files of PEM. Sentences name the setting and the file.

use std::path::Path;

use jiff::{SignedDuration, Timestamp};
use rustls::RootCertStore;
use rustls::pki_types::pem::{Error, PemObject as _};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use x509_parser::prelude::{FromDer as _, X509Certificate};
use x509_parser::time::ASN1Time;

use crate::Finding;

/// A certificate that ends sooner is worth a word.
const SOON: SignedDuration = SignedDuration::from_hours(14 * 24);

/// A certificate, and those that lead to its CA.
pub(crate) fn certificates(
    setting: &str,
    file: &Path,
) -> Result<Vec<CertificateDer<'static>>, String> {
    let read = CertificateDer::pem_file_iter(file).and_then(Iterator::collect);
    let chain: Vec<_> = read.map_err(|error| unreadable(setting, file, "certificate", &error))?;
    if chain.is_empty() {
        return Err(format!(
            "{setting} {} holds no certificate in PEM",
            file.display()
        ));
    }
    Ok(chain)
}

/// What a check says of how long a file's certificates are good, of the first that is not, or not for long. `put`: what becomes of a new one
/// that is put there.
pub(crate) fn ending(setting: &str, file: &Path, now: Timestamp, put: &str) -> Option<Finding> {
    let chain = certificates(setting, file).ok()?;
    let told = chain.iter().enumerate().find_map(|(at, one)| {
        let (_, read) = X509Certificate::from_der(one).ok()?;
        let seconds = |time: ASN1Time| Timestamp::from_second(time.timestamp()).ok();
        let begins = seconds(read.validity().not_before)?;
        let ends = seconds(read.validity().not_after)?;
        let which = match at {
            0 => String::new(),
            at => format!(", certificate {} of it,", at + 1),
        };
        let named = format!("{setting} {}{which}", file.display());
        if begins > now {
            Some(format!(
                "{named} is good from {begins} on; is this machine's clock right?"
            ))
        } else if ends <= now {
            Some(format!("{named} ended at {ends}; {put}"))
        } else {
            (ends.duration_since(now) < SOON)
                .then(|| format!("{named} ends at {ends}: soon; {put}"))
        }
    });
    told.map(Finding::Warning)
}

/// A private key.
pub(crate) fn private_key(setting: &str, file: &Path) -> Result<PrivateKeyDer<'static>, String> {
    PrivateKeyDer::from_pem_file(file)
        .map_err(|error| unreadable(setting, file, "private key", &error))
}

/// Adds a file's certificates to those that are trusted.
pub(crate) fn trust(roots: &mut RootCertStore, setting: &str, file: &Path) -> Result<(), String> {
    for certificate in certificates(setting, file)? {
        let added = roots.add(certificate);
        added.map_err(|error| format!("{setting} {}: {error}", file.display()))?;
    }
    Ok(())
}

/// Why a certificate can't be shown with a key.
pub(crate) fn mismatch(certificate: &Path, key: &Path, error: &rustls::Error) -> String {
    format!(
        "tls.certificate {} and tls.key {} do not go together: {error}",
        certificate.display(),
        key.display()
    )
}

fn unreadable(setting: &str, file: &Path, what: &str, error: &Error) -> String {
    format!(
        "{setting} {}: no {what} can be read from it: {error}",
        file.display()
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_certificate_that_is_not_good_now_or_not_for_long_is_told() {
        let key = rcgen::KeyPair::generate().expect("a key");
        let mut params = rcgen::CertificateParams::new(["wms".to_owned()]).expect("a name");
        params.not_before = rcgen::date_time_ymd(2026, 3, 1);
        params.not_after = rcgen::date_time_ymd(2026, 6, 1);
        let file = tempfile::NamedTempFile::new().expect("a file");
        let pem = params.self_signed(&key).expect("a certificate").pem();
        params.not_after = rcgen::date_time_ymd(2030, 1, 1);
        let longer = params.self_signed(&key).expect("a certificate").pem();
        for (chain, which) in [(pem.clone(), ""), (longer + &pem, ", certificate 2 of it,")] {
            std::fs::write(file.path(), chain).expect("a file");
            for (now, expected) in [
                (
                    "2026-02-28T00:00:00Z",
                    "is good from 2026-03-01T00:00:00Z on",
                ),
                ("2026-03-01T00:00:00Z", ""),
                ("2026-05-18T00:00:00Z", ""),
                (
                    "2026-05-18T00:00:01Z",
                    "ends at 2026-06-01T00:00:00Z: soon; put one there",
                ),
                (
                    "2026-06-01T00:00:00Z",
                    "ended at 2026-06-01T00:00:00Z; put one there",
                ),
            ] {
                let now_at = now.parse().expect(now);
                let found = ending("tls.certificate", file.path(), now_at, "put one there");
                let said = match found {
                    Some(Finding::Warning(said)) => said,
                    other => {
                        assert_eq!((other, expected), (None, ""), "{now}");
                        continue;
                    }
                };
                // What begins later is told of the first that does.
                let which = if expected.starts_with("is good") {
                    ""
                } else {
                    which
                };
                let named = format!("tls.certificate {}{which} ", file.path().display());
                let said = said.strip_prefix(&named).expect(&named);
                assert!(said.starts_with(expected), "{now}: {said}");
            }
        }
    }
}
