//! The way to the collector: TCP, then TLS 1.3, with sentences for what goes wrong.

use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use hyper_util::rt::TokioIo;
use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, ring};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{
    AlertDescription as Alert, CertificateError, ClientConfig, DigitallySignedStruct,
    RootCertStore, SignatureScheme,
};
use sha2::{Digest as _, Sha256};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tonic::transport::{Channel, Endpoint, Uri};

use crate::identity::Identity;

/// How long sent bytes may stay without an answer of the other machine.
const USER_TIMEOUT: Duration = Duration::from_secs(20);
/// HTTP/2 pings, also while nothing is sent: a dead link is found within the sum of both.
const PING_EVERY: Duration = Duration::from_secs(10);
const PING_TIMEOUT: Duration = Duration::from_secs(10);
/// Said of a server that leaves the handshake unanswered.
const SILENT: &str =
    "it accepts connections but says nothing: is it the right port, and is the collector well?";
/// Said of a server that ends the connection within the handshake.
const LEFT: &str = "it ended the connection before it was made: is it the right port?";
const STREAM_WINDOW: u32 = 4 * 1024 * 1024;
const CONNECTION_WINDOW: u32 = 8 * 1024 * 1024;

fn provider() -> Arc<CryptoProvider> {
    Arc::new(ring::default_provider())
}

/// TLS with the agent's certificate, trusting its collector's CA alone.
pub(crate) fn with_identity(identity: &Identity) -> Result<ClientConfig, String> {
    let mut roots = RootCertStore::empty();
    roots
        .add(identity.ca.clone())
        .map_err(|error| format!("the CA in identity.pem can't be trusted: {error}"))?;
    let mut config = ClientConfig::builder_with_provider(provider())
        .with_protocol_versions(&[&rustls::version::TLS13])
        .map_err(|error| error.to_string())?
        .with_root_certificates(roots)
        .with_client_auth_cert(identity.certificates.clone(), identity.key.clone_key())
        .map_err(|error| {
            format!("key and certificate in identity.pem don't belong together: {error}")
        })?;
    config.alpn_protocols = vec![b"h2".to_vec()];
    Ok(config)
}

/// TLS without a certificate, trusting the CA with this SHA-256.
pub(crate) fn with_pin(ca_sha256: [u8; 32]) -> Result<ClientConfig, String> {
    let mut config = ClientConfig::builder_with_provider(provider())
        .with_protocol_versions(&[&rustls::version::TLS13])
        .map_err(|error| error.to_string())?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(Pinned {
            ca_sha256,
            provider: provider(),
        }))
        .with_no_client_auth();
    config.alpn_protocols = vec![b"h2".to_vec()];
    Ok(config)
}

/// Trusts a chain whose CA has the pinned hash, and nothing else.
#[derive(Debug)]
struct Pinned {
    ca_sha256: [u8; 32],
    provider: Arc<CryptoProvider>,
}

impl ServerCertVerifier for Pinned {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        let pinned = |certificate: &&CertificateDer<'_>| {
            Sha256::digest(certificate.as_ref())[..] == self.ca_sha256
        };
        let ca = intermediates
            .iter()
            .find(pinned)
            .ok_or(CertificateError::UnknownIssuer)?;
        let mut roots = RootCertStore::empty();
        roots.add(ca.clone().into_owned())?;
        let verifier = WebPkiServerVerifier::builder_with_provider(
            Arc::new(roots),
            Arc::clone(&self.provider),
        )
        .build()
        .map_err(|error| rustls::Error::General(error.to_string()))?;
        verifier.verify_server_cert(end_entity, intermediates, server_name, ocsp_response, now)
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Err(rustls::Error::General("TLS 1.2 is not spoken".into()))
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        rustls::crypto::verify_tls13_signature(message, certificate, signature, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider
            .signature_verification_algorithms
            .supported_schemes()
    }
}

/// Connects to `host:port`; `patience` is for the connection, and again for its handshake.
///
/// # Errors
/// A sentence: what is wrong, and where to look.
pub(crate) async fn connect(
    collector: &str,
    config: ClientConfig,
    patience: Duration,
) -> Result<Channel, String> {
    let endpoint = Endpoint::from_shared(format!("http://{collector}"))
        .map_err(|_| format!("collector = \"{collector}\" is not HOST:PORT"))?
        .http2_keep_alive_interval(PING_EVERY)
        .keep_alive_timeout(PING_TIMEOUT)
        .keep_alive_while_idle(true)
        .initial_stream_window_size(STREAM_WINDOW)
        .initial_connection_window_size(CONNECTION_WINDOW);
    let connector = Connector {
        collector: collector.to_owned(),
        tls: TlsConnector::from(Arc::new(config)),
        patience,
    };
    endpoint
        .connect_with_connector(connector)
        .await
        .map_err(|error| sentence(collector, &error))
}

#[derive(Clone)]
struct Connector {
    collector: String,
    tls: TlsConnector,
    patience: Duration,
}

impl tower::Service<Uri> for Connector {
    type Response = TokioIo<TlsStream<TcpStream>>;
    type Error = io::Error;
    type Future = Pin<Box<dyn Future<Output = io::Result<Self::Response>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, _: Uri) -> Self::Future {
        let Self {
            collector,
            tls,
            patience,
        } = self.clone();
        Box::pin(async move {
            let timeout = || io::Error::from(io::ErrorKind::TimedOut);
            let stream = tokio::time::timeout(patience, TcpStream::connect(&collector))
                .await
                .map_err(|_| timeout())??;
            stream.set_nodelay(true)?;
            socket2::SockRef::from(&stream).set_tcp_user_timeout(Some(USER_TIMEOUT))?;
            let host = collector
                .rsplit_once(':')
                .map_or(collector.as_str(), |(host, _)| host);
            let host = host
                .trim_start_matches('[')
                .trim_end_matches(']')
                .to_owned();
            let name = ServerName::try_from(host).map_err(io::Error::other)?;
            let stream = tokio::time::timeout(patience, tls.connect(name, stream))
                .await
                .map_err(|_| io::Error::other(SILENT))?
                .map_err(|error| match error.kind() {
                    io::ErrorKind::UnexpectedEof
                    | io::ErrorKind::ConnectionReset
                    | io::ErrorKind::BrokenPipe => io::Error::other(LEFT),
                    _ => error,
                })?;
            Ok(TokioIo::new(stream))
        })
    }
}

/// Why the collector, or the way to it, ended a call.
pub(crate) fn status_sentence(collector: &str, status: &tonic::Status) -> String {
    use std::error::Error as _;
    match status.source() {
        Some(_) => sentence(collector, status),
        None => format!("{collector}: {}", status.message()),
    }
}

/// What went wrong on the way to the collector, for a person.
pub(crate) fn sentence(collector: &str, error: &(dyn std::error::Error + 'static)) -> String {
    let mut innermost = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        if let Some(found) = cause
            .downcast_ref::<io::Error>()
            .and_then(|error| io_sentence(collector, error))
        {
            return found;
        }
        innermost = cause.to_string();
        source = cause.source();
    }
    format!("{collector}: {}", told(&innermost))
}

/// What h2 0.4 says of a stream whose connection is gone: pings stayed unanswered, or it was closed.
const GONE: &str = "stream closed because of a broken pipe";
/// What rustls 0.23 says, with a link for programmers, of a connection that ended without a farewell.
const CUT: &str = "peer closed connection without sending TLS close_notify";

/// With TLS 1.3 the collector looks at our certificate after our handshake is done: its alert comes by
/// way of h2 0.4, which keeps of an I/O error only the text.
fn told(text: &str) -> String {
    if text == GONE || text.starts_with(CUT) {
        return "the connection was lost, or nothing came over it any more: is the network well?"
            .into();
    }
    CERTIFICATE_ALERTS
        .into_iter()
        .map(rustls::Error::AlertReceived)
        .find(|alert| alert.to_string() == text)
        .map_or_else(|| text.to_owned(), |alert| tls_sentence(&alert))
}

/// How a collector says that it does not accept our certificate.
const CERTIFICATE_ALERTS: [Alert; 6] = [
    Alert::CertificateExpired,
    Alert::UnknownCA,
    Alert::BadCertificate,
    Alert::DecryptError,
    Alert::CertificateUnknown,
    Alert::CertificateRequired,
];

fn io_sentence(collector: &str, error: &io::Error) -> Option<String> {
    if let Some(tls) = error
        .get_ref()
        .and_then(|inner| inner.downcast_ref::<rustls::Error>())
    {
        return Some(format!("{collector}: {}", tls_sentence(tls)));
    }
    let what = match error.kind() {
        io::ErrorKind::ConnectionRefused => {
            "nothing listens there: is the collector running, and is the port right?".into()
        }
        io::ErrorKind::TimedOut => "it does not answer: is a firewall in between?".to_owned(),
        _ if error.get_ref().is_some() || error.raw_os_error().is_some() => {
            told(&error.to_string())
        }
        _ => return None,
    };
    Some(format!("{collector}: {what}"))
}

fn tls_sentence(error: &rustls::Error) -> String {
    match error {
        rustls::Error::InvalidCertificate(cause) => match cause {
            CertificateError::Expired | CertificateError::ExpiredContext { .. } => {
                "its certificate has ended: restart the collector, which makes a new one; are both clocks right?".into()
            }
            CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => {
                "its certificate is not valid yet: are both clocks right?".into()
            }
            CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
                "its certificate is for other names: add this one to \"names\" in the collector's configuration".into()
            }
            CertificateError::UnknownIssuer | CertificateError::BadSignature => {
                "its certificate is not from the CA that this agent trusts: is it the right collector? Then enrol anew".into()
            }
            other => format!("its certificate is not accepted: {other}"),
        },
        rustls::Error::AlertReceived(Alert::CertificateExpired) => {
            "it says that this agent's certificate has ended: enrol anew with a new token".into()
        }
        rustls::Error::AlertReceived(
            Alert::UnknownCA | Alert::BadCertificate | Alert::DecryptError | Alert::CertificateUnknown | Alert::CertificateRequired,
        ) => "it does not accept this agent's certificate: was it enrolled at another collector? Then enrol anew".into(),
        rustls::Error::InvalidMessage(_) => "what answers there does not speak TLS: is it the right port?".into(),
        other => other.to_string(),
    }
}
