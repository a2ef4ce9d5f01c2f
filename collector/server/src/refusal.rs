//! Why a handshake failed, in words for whoever runs the collector.

use std::io;

use rustls::{AlertDescription as Alert, CertificateError, Error};

/// A sentence, and the way out.
pub(crate) fn sentence(error: &io::Error) -> String {
    let inner = error.get_ref().and_then(|inner| inner.downcast_ref());
    match inner {
        Some(Error::InvalidCertificate(cause)) => certificate(cause),
        Some(Error::AlertReceived(Alert::UnknownCA | Alert::BadCertificate | Alert::DecryptError)) => {
            "it trusts another CA than this collector's: if it belongs here, enrol it anew with a token of \"dray-collector invite SITE\"".into()
        }
        Some(Error::AlertReceived(Alert::CertificateExpired)) => {
            "for its clock, this collector's certificate has ended or is not valid yet: are both clocks right? Otherwise restart the collector, which makes a new one".into()
        }
        Some(Error::InvalidMessage(_)) => "it does not speak TLS: it is no agent, or something in between changes what is sent".into(),
        Some(other) => other.to_string(),
        None => error.to_string(),
    }
}

fn certificate(cause: &CertificateError) -> String {
    match cause {
        CertificateError::Expired | CertificateError::ExpiredContext { .. } => {
            "its certificate has ended: enrol it anew with a token of \"dray-collector invite SITE\"; are both clocks right?".into()
        }
        CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => {
            "its certificate is not valid yet: are both clocks right?".into()
        }
        CertificateError::UnknownIssuer | CertificateError::BadSignature => {
            "its certificate is not of this collector's CA: if it belongs here, enrol it anew with a token of \"dray-collector invite SITE\"".into()
        }
        other => format!("its certificate is not accepted: {other}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(error: Error, words: &str) {
        let said = sentence(&io::Error::other(error));
        assert!(said.contains(words), "{said}");
    }

    #[test]
    fn every_failed_handshake_has_a_sentence() {
        check(
            Error::InvalidCertificate(CertificateError::Expired),
            "has ended",
        );
        check(
            Error::InvalidCertificate(CertificateError::NotValidYet),
            "not valid yet",
        );
        check(
            Error::InvalidCertificate(CertificateError::UnknownIssuer),
            "not of this collector's CA",
        );
        check(
            Error::InvalidCertificate(CertificateError::BadEncoding),
            "not accepted",
        );
        check(Error::AlertReceived(Alert::UnknownCA), "trusts another CA");
        check(
            Error::AlertReceived(Alert::CertificateExpired),
            "clocks right",
        );
        check(
            Error::InvalidMessage(rustls::InvalidMessage::InvalidContentType),
            "does not speak TLS",
        );
    }

    #[test]
    fn a_lost_connection_is_told_as_the_system_tells_it() {
        let said = sentence(&io::Error::from_raw_os_error(104));
        assert!(said.contains("reset"), "{said}");
    }
}
