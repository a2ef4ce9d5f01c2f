//! A collector in a folder of its own, agents that talk to it, and blocks to send.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use dray_collector::config::Text;
use dray_collector::{Config, Running, Stop};
use dray_proto::token::Token;
use dray_proto::v1::collector_admin_client::CollectorAdminClient;
use dray_proto::v1::enrolment_client::EnrolmentClient;
use dray_proto::v1::feed_client::FeedClient;
use dray_proto::v1::uplink_client::UplinkClient;
use dray_proto::v1::*;
use dray_store::Store;
use hyper_util::rt::TokioIo;
use rcgen::{CertificateParams, KeyPair};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use tokio::net::{TcpStream, UnixStream};
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::transport::{Channel, Endpoint};
use tonic::{Status, Streaming};

/// How long anything may take here.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

/// Fails the test rather than hanging it.
pub(crate) async fn soon<T>(what: impl Future<Output = T>) -> T {
    tokio::time::timeout(PATIENCE, what)
        .await
        .expect("it takes too long")
}

pub(crate) struct Collector {
    pub(crate) folder: tempfile::TempDir,
    pub(crate) running: Option<Running>,
    pub(crate) listen: SocketAddr,
    pub(crate) metrics: SocketAddr,
    stop: Option<Stop>,
    more: String,
}

impl Collector {
    pub(crate) async fn start() -> Self {
        Self::with("").await
    }

    /// With more lines of configuration.
    pub(crate) async fn with(more: &str) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let nowhere = SocketAddr::from(([0, 0, 0, 0], 0));
        let mut collector = Self {
            folder,
            running: None,
            listen: nowhere,
            metrics: nowhere,
            stop: None,
            more: more.to_owned(),
        };
        collector.up().await;
        collector
    }

    pub(crate) fn config(&self) -> Config {
        let text = format!(
            "data_dir = \"{}\"\nlisten = \"127.0.0.1:0\"\nmetrics = \"127.0.0.1:0\"\nnames = [\"127.0.0.1\"]\n{}",
            self.folder.path().join("data").display(),
            self.more
        );
        Config::parse(Text::of(Path::new("c.toml"), &text)).expect("a configuration")
    }

    async fn up(&mut self) {
        let mut wait = tokio::time::interval(Duration::from_millis(20));
        let (running, stop) = soon(async {
            loop {
                wait.tick().await;
                let (stop, stopping) = Stop::new();
                match Running::start(self.config(), stopping).await {
                    Ok(running) => return (running, stop),
                    // A question to the store that the one before asked may end after it.
                    Err(failure) if failure.to_string().contains("another dray-collector") => {}
                    Err(failure) => panic!("it does not start: {failure}"),
                }
            }
        })
        .await;
        self.listen = running.listen;
        self.metrics = running.metrics.expect("metrics are on");
        self.running = Some(running);
        self.stop = Some(stop);
    }

    pub(crate) async fn down(&mut self) {
        soon(self.told_to_stop().ended())
            .await
            .expect("it stops well");
    }

    pub(crate) fn told_to_stop(&mut self) -> Running {
        self.stop.take().expect("it runs").stop();
        self.running.take().expect("it runs")
    }

    pub(crate) async fn restart(&mut self) {
        self.down().await;
        self.up().await;
    }

    pub(crate) fn store(&self) -> Arc<dyn Store> {
        self.running.as_ref().expect("it runs").store()
    }

    /// The only agent, once it is noted that it was here.
    pub(crate) async fn seen(&self) -> dray_store::Agent {
        let (store, mut wait) = (
            self.store(),
            tokio::time::interval(Duration::from_millis(20)),
        );
        soon(async {
            loop {
                let agent = store.agents().expect("the store answers").remove(0);
                if agent.version == "0.1.0" && agent.last_seen_s > 0 {
                    return agent;
                }
                wait.tick().await;
            }
        })
        .await
    }

    async fn local(&self) -> Channel {
        let socket = self.config().admin_socket();
        let connector = tower::service_fn(move |_| {
            let socket = socket.clone();
            async move { Ok::<_, std::io::Error>(TokioIo::new(UnixStream::connect(socket).await?)) }
        });
        Endpoint::from_static("http://local")
            .connect_with_connector(connector)
            .await
            .expect("the socket answers")
    }

    pub(crate) async fn admin(&self) -> CollectorAdminClient<Channel> {
        CollectorAdminClient::new(self.local().await)
    }

    pub(crate) async fn local_feed(&self) -> FeedClient<Channel> {
        FeedClient::new(self.local().await)
    }

    pub(crate) async fn token(&self, site: &str) -> Token {
        let reply = self
            .admin()
            .await
            .invite(InviteRequest { site: site.into() })
            .await
            .expect("invited")
            .into_inner();
        reply.token.parse().expect("a token")
    }

    pub(crate) fn ca(&self) -> CertificateDer<'static> {
        CertificateDer::from_pem_file(self.config().ca_dir().join("ca.pem"))
            .expect("the CA's certificate")
    }

    /// A channel over TLS with this identity, or none.
    pub(crate) async fn dial(
        &self,
        identity: Option<&Identity>,
    ) -> Result<Channel, tonic::transport::Error> {
        let config = Arc::new(client_config(&self.ca(), identity));
        let address = self.listen;
        let connector = tower::service_fn(move |_| {
            let connector = tokio_rustls::TlsConnector::from(Arc::clone(&config));
            async move {
                let stream = TcpStream::connect(address).await?;
                let name = ServerName::from(address.ip());
                Ok::<_, std::io::Error>(TokioIo::new(connector.connect(name, stream).await?))
            }
        });
        Endpoint::from_static("http://collector")
            .connect_with_connector(connector)
            .await
    }

    /// Enrols an agent of a site, with a request that asks for more than it may have.
    pub(crate) async fn enrol(&self, site: &str) -> Identity {
        let token = self.token(site).await;
        let (key, csr) = request();
        let reply = self.try_enrol(&token, csr).await.expect("enrolled");
        assert_eq!(reply.site, site);
        Identity::new(&reply.certificate_pem, &key, reply.agent)
    }

    pub(crate) async fn try_enrol(
        &self,
        token: &Token,
        csr: Vec<u8>,
    ) -> Result<EnrolReply, Status> {
        let mut client =
            EnrolmentClient::new(self.dial(None).await.expect("TLS without a certificate"));
        let request = EnrolRequest {
            secret: token.secret_text(),
            csr,
        };
        Ok(client.enrol(request).await?.into_inner())
    }
}

pub(crate) struct Identity {
    pub(crate) chain: Vec<CertificateDer<'static>>,
    key: Vec<u8>,
    pub(crate) agent: String,
}

impl Identity {
    pub(crate) fn new(certificate_pem: &str, key: &KeyPair, agent: String) -> Self {
        let certificate = CertificateDer::from_pem_slice(certificate_pem.as_bytes()).expect("PEM");
        Self {
            chain: vec![certificate],
            key: key.serialize_der(),
            agent,
        }
    }
}

impl Identity {
    /// A signing request for its key, DER.
    pub(crate) fn request(&self) -> Vec<u8> {
        let key = KeyPair::try_from(self.key.as_slice()).expect("PKCS#8");
        let request = CertificateParams::default().serialize_request(&key);
        request.expect("a request").der().to_vec()
    }

    /// The same key with another certificate.
    pub(crate) fn with(&self, certificate_pem: &str) -> Self {
        let certificate = CertificateDer::from_pem_slice(certificate_pem.as_bytes()).expect("PEM");
        Self {
            chain: vec![certificate],
            key: self.key.clone(),
            agent: self.agent.clone(),
        }
    }
}

/// A key and a signing request that asks to be agent a-0 of site "south", and a CA.
pub(crate) fn request() -> (KeyPair, Vec<u8>) {
    let key = KeyPair::generate().expect("a key");
    let mut params = CertificateParams::default();
    let uri = "spiffe://dray/site/south/agent/a-0"
        .try_into()
        .expect("a URI");
    params.subject_alt_names = vec![rcgen::SanType::URI(uri)];
    params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    let csr = params
        .serialize_request(&key)
        .expect("a request")
        .der()
        .to_vec();
    (key, csr)
}

fn client_config(
    ca: &CertificateDer<'static>,
    identity: Option<&Identity>,
) -> rustls::ClientConfig {
    let mut roots = rustls::RootCertStore::empty();
    roots.add(ca.clone()).expect("a CA");
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = rustls::ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&rustls::version::TLS13])
        .expect("ring has TLS 1.3")
        .with_root_certificates(roots);
    let mut config = match identity {
        None => builder.with_no_client_auth(),
        Some(identity) => {
            let key = PrivateKeyDer::try_from(identity.key.clone()).expect("PKCS#8");
            builder
                .with_client_auth_cert(identity.chain.clone(), key)
                .expect("they belong together")
        }
    };
    config.alpn_protocols = vec![b"h2".to_vec()];
    config
}

/// An agent's stream after its Welcome.
pub(crate) struct Stream {
    up: mpsc::Sender<FromAgent>,
    down: Streaming<ToAgent>,
    pub(crate) welcome: Welcome,
}

impl Stream {
    pub(crate) async fn open(
        collector: &Collector,
        identity: &Identity,
        flows: &[&str],
    ) -> Result<Self, Status> {
        Self::open_speaking(1, collector, identity, flows).await
    }

    /// In this protocol.
    pub(crate) async fn open_speaking(
        protocol: u32,
        collector: &Collector,
        identity: &Identity,
        flows: &[&str],
    ) -> Result<Self, Status> {
        let channel = collector
            .dial(Some(identity))
            .await
            .map_err(|error| Status::unavailable(error.to_string()))?;
        let (up, requests) = mpsc::channel(64);
        let state = |flow: &&str| FlowState {
            flow: (*flow).into(),
            next_sequence: 1,
            oldest_sequence: 1,
            oldest_chain: 0,
            ..FlowState::default()
        };
        let hello = Hello {
            protocol,
            version: "0.1.0".into(),
            epoch: 7,
            flows: flows.iter().map(state).collect(),
        };
        up.send(FromAgent {
            message: Some(from_agent::Message::Hello(hello)),
        })
        .await
        .expect("it is open");
        let mut down = soon(UplinkClient::new(channel).stream(ReceiverStream::new(requests)))
            .await?
            .into_inner();
        let first = soon(down.message()).await?.and_then(|first| first.message);
        let Some(to_agent::Message::Welcome(welcome)) = first else {
            panic!("{first:?} is no Welcome")
        };
        Ok(Self { up, down, welcome })
    }

    pub(crate) async fn send(&self, block: Block) {
        // Where the collector has hung up, its answer says why.
        let _ = self
            .up
            .send(FromAgent {
                message: Some(from_agent::Message::Block(block)),
            })
            .await;
    }

    pub(crate) async fn answer(&mut self) -> Result<to_agent::Message, Status> {
        let answer = soon(self.down.message()).await?;
        Ok(answer.and_then(|answer| answer.message).expect("an answer"))
    }

    /// Reads acks until `through` is acked.
    pub(crate) async fn acked(&mut self, flow: &str, through: u64) {
        loop {
            match self.answer().await.expect("an ack") {
                to_agent::Message::Ack(ack) => {
                    assert_eq!((ack.flow.as_str(), ack.epoch), (flow, 7));
                    if ack.through >= through {
                        return assert_eq!(ack.through, through);
                    }
                }
                other => panic!("{other:?} is no ack"),
            }
        }
    }

    pub(crate) async fn refused(&mut self) -> (String, RefusalCause, String) {
        match self.answer().await.expect("a refusal") {
            to_agent::Message::Refusal(refusal) => {
                (refusal.flow.clone(), refusal.cause(), refusal.reason)
            }
            other => panic!("{other:?} is no refusal"),
        }
    }

    /// How the collector ended the stream.
    pub(crate) async fn ended(&mut self) -> Status {
        loop {
            match soon(self.down.message()).await {
                Ok(Some(_)) => {}
                Ok(None) => panic!("it ended without a word"),
                Err(status) => return status,
            }
        }
    }
}
