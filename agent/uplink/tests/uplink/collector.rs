//! A collector that keeps what it is sent and answers as the test says.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use dray_proto::v1::enrolment_server::{Enrolment, EnrolmentServer};
use dray_proto::v1::uplink_server::{Uplink, UplinkServer};
use dray_proto::v1::{
    Ack, Block, EnrolReply, EnrolRequest, FromAgent, Held, Hello, Refusal, RefusalCause,
    RenewReply, RenewRequest, ToAgent, Welcome, from_agent, to_agent,
};
use tokio::io::{AsyncRead, AsyncWrite, DuplexStream};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{mpsc, watch};
use tokio_rustls::TlsAcceptor;
use tokio_stream::wrappers::ReceiverStream;
use tonic::transport::Server;
use tonic::{Request, Response, Status, Streaming};

use crate::agent::until;
use crate::certificates::{Ca, VALID};

/// Bytes between a connection and the server.
const PIPE_BYTES: usize = 64 * 1024;
/// The largest message of the tests.
const MESSAGE_BYTES_MAX: usize = 20 * 1024 * 1024;

/// What was seen so far.
#[derive(Default)]
pub(crate) struct Seen {
    pub(crate) connections: usize,
    pub(crate) hellos: Vec<Hello>,
    /// With the stream (from 1) that each came in.
    pub(crate) blocks: Vec<(usize, Block)>,
    pub(crate) secrets: Vec<String>,
    /// Signing requests, DER.
    pub(crate) requests: Vec<Vec<u8>>,
    /// The certificate of each connection, DER; empty where there was none.
    pub(crate) certificates: Vec<Vec<u8>>,
}

impl Seen {
    /// First sequences of a flow's blocks, as they came in this stream.
    pub(crate) fn firsts(&self, stream: usize, flow: &str) -> Vec<u64> {
        let headers = self.blocks.iter().filter(|(of, _)| *of == stream);
        headers
            .filter_map(|(_, block)| block.header.as_ref())
            .filter(|header| header.flow == flow)
            .map(|header| header.first_sequence)
            .collect()
    }
}

type Down = mpsc::Sender<Result<ToAgent, Status>>;

/// What the service does.
#[derive(Default)]
struct Answers {
    /// By flow; others are held as by a collector that never saw them.
    held: HashMap<String, Held>,
    /// Never says Welcome.
    mute: bool,
    /// Ends each stream so, instead of a Welcome.
    ends: Option<Status>,
    /// The protocol of each Welcome, where it is not 1.
    protocol: Option<u32>,
    /// Acks each block as it comes.
    acks: bool,
    down: Option<Down>,
    /// Each connection goes on while its sender lives.
    lines: Vec<mpsc::Sender<()>>,
    enrols: Option<Result<(), Status>>,
    /// The certificate, for the signing request; without this it knows no renewal.
    renews: Option<Renews>,
}

/// What renewing answers: PEM, for a signing request.
type Renews = Box<dyn Fn(&Ca, &[u8]) -> Result<String, Status> + Send>;

#[derive(Clone)]
struct Service {
    ca: Arc<Ca>,
    seen: watch::Sender<Seen>,
    answers: Arc<Mutex<Answers>>,
}

pub(crate) struct Collector {
    /// `localhost:port`.
    pub(crate) address: String,
    pub(crate) ca: Arc<Ca>,
    pub(crate) seen: watch::Receiver<Seen>,
    service: Service,
}

impl Collector {
    /// Listens as "localhost" with a certificate that is good.
    pub(crate) async fn start() -> Self {
        let ca = Ca::new("ours");
        let door = ca.door("localhost", VALID);
        Self::start_with(ca, Some(door)).await
    }

    /// Without a door it does not speak TLS.
    pub(crate) async fn start_with(ca: Ca, door: Option<TlsAcceptor>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = format!("localhost:{}", listener.local_addr().unwrap().port());
        let (seen, watching) = watch::channel(Seen::default());
        let service = Service {
            ca: Arc::new(ca),
            seen,
            answers: Arc::default(),
        };
        let (incoming, connections) = mpsc::channel(1);
        tokio::spawn(accept(listener, door, service.clone(), incoming));
        let uplink =
            UplinkServer::new(service.clone()).max_decoding_message_size(MESSAGE_BYTES_MAX);
        let server = Server::builder()
            .add_service(uplink)
            .add_service(EnrolmentServer::new(service.clone()));
        tokio::spawn(server.serve_with_incoming(ReceiverStream::new(connections)));
        Self {
            address,
            ca: Arc::clone(&service.ca),
            seen: watching,
            service,
        }
    }

    fn answers(&self) -> std::sync::MutexGuard<'_, Answers> {
        self.service.answers.lock().unwrap()
    }

    /// Holds this flow up to before `next` of `epoch`.
    pub(crate) fn holds(&self, flow: &str, epoch: u64, next_sequence: u64, chain: u64) {
        self.holds_also(flow, epoch, next_sequence, chain, "", false);
    }

    /// The same, up to this position, and the agent's epoch before that one or not.
    pub(crate) fn holds_also(
        &self,
        flow: &str,
        epoch: u64,
        next_sequence: u64,
        chain: u64,
        position: &'static str,
        knows_epoch: bool,
    ) {
        let held = Held {
            flow: flow.into(),
            epoch,
            next_sequence,
            chain,
            position: position.into(),
            knows_epoch,
            lacks_earlier: false,
        };
        self.answers().held.insert(flow.into(), held);
    }

    pub(crate) fn welcomes(&self, welcomes: bool) {
        self.answers().mute = !welcomes;
    }

    pub(crate) fn ends_with(&self, status: Option<Status>) {
        self.answers().ends = status;
    }

    pub(crate) fn speaks(&self, protocol: u32) {
        self.answers().protocol = Some(protocol);
    }

    pub(crate) fn acks_each(&self) {
        self.answers().acks = true;
    }

    pub(crate) fn enrols(&self, answer: Result<(), Status>) {
        self.answers().enrols = Some(answer);
    }

    pub(crate) fn renews(
        &self,
        answer: impl Fn(&Ca, &[u8]) -> Result<String, Status> + Send + 'static,
    ) {
        self.answers().renews = Some(Box::new(answer));
    }

    /// In the newest stream.
    pub(crate) async fn ack(&self, flow: &str, epoch: u64, through: u64) {
        self.say(ack(flow, epoch, through)).await;
    }

    pub(crate) async fn refuse(&self, flow: &str, cause: RefusalCause, reason: &str) {
        let refusal = Refusal {
            flow: flow.into(),
            cause: cause.into(),
            reason: reason.into(),
        };
        self.say(Ok(to_agent(to_agent::Message::Refusal(refusal))))
            .await;
    }

    /// Ends the newest stream with this status.
    pub(crate) async fn end(&self, status: Status) {
        self.say(Err(status)).await;
        self.answers().down = None;
    }

    async fn say(&self, answer: Result<ToAgent, Status>) {
        let down = self.answers().down.clone().expect("a stream");
        down.send(answer).await.unwrap();
    }

    /// Cuts every connection, without a word.
    pub(crate) fn cut(&self) {
        self.answers().lines.clear();
    }

    /// Waits until what was seen is as the test wants it.
    pub(crate) async fn until<T>(&self, what: &str, want: impl Fn(&Seen) -> Option<T>) -> T {
        until(&self.seen, what, want).await
    }
}

async fn accept(
    listener: TcpListener,
    door: Option<TlsAcceptor>,
    service: Service,
    incoming: mpsc::Sender<std::io::Result<DuplexStream>>,
) {
    while let Ok((stream, _)) = listener.accept().await {
        service.seen.send_modify(|seen| seen.connections += 1);
        let (alive, line) = mpsc::channel(1);
        service.answers.lock().unwrap().lines.push(alive);
        let (incoming, door, service) = (incoming.clone(), door.clone(), service.clone());
        tokio::spawn(async move {
            match door {
                None => carry(stream, line, incoming).await,
                Some(door) => {
                    if let Ok(stream) = door.accept::<TcpStream>(stream).await {
                        let shown = stream.get_ref().1.peer_certificates();
                        let shown = shown.map_or(Vec::new(), |chain| chain[0].to_vec());
                        service
                            .seen
                            .send_modify(|seen| seen.certificates.push(shown));
                        carry(stream, line, incoming).await;
                    }
                }
            }
        });
    }
}

async fn carry(
    mut stream: impl AsyncRead + AsyncWrite + Unpin,
    mut line: mpsc::Receiver<()>,
    incoming: mpsc::Sender<std::io::Result<DuplexStream>>,
) {
    let (mut here, there) = tokio::io::duplex(PIPE_BYTES);
    incoming.send(Ok(there)).await.unwrap();
    tokio::select! {
        _ = tokio::io::copy_bidirectional(&mut stream, &mut here) => {}
        _ = line.recv() => {}
    }
}

fn to_agent(message: to_agent::Message) -> ToAgent {
    ToAgent {
        message: Some(message),
    }
}

fn ack(flow: &str, epoch: u64, through: u64) -> Result<ToAgent, Status> {
    let flow = flow.into();
    Ok(to_agent(to_agent::Message::Ack(Ack {
        flow,
        epoch,
        through,
    })))
}

#[tonic::async_trait]
impl Uplink for Service {
    type StreamStream = ReceiverStream<Result<ToAgent, Status>>;

    async fn stream(
        &self,
        request: Request<Streaming<FromAgent>>,
    ) -> Result<Response<Self::StreamStream>, Status> {
        let inbound = request.into_inner();
        let (down, answers) = mpsc::channel(1024);
        let service = self.clone();
        tokio::spawn(async move {
            let gone = down.clone();
            tokio::select! {
                () = service.listen(inbound, down) => {}
                () = gone.closed() => {}
            }
        });
        Ok(Response::new(ReceiverStream::new(answers)))
    }

    async fn renew(&self, request: Request<RenewRequest>) -> Result<Response<RenewReply>, Status> {
        let csr = request.into_inner().csr;
        self.seen
            .send_modify(|seen| seen.requests.push(csr.clone()));
        let certificate = match &self.answers.lock().unwrap().renews {
            None => Err(Status::unimplemented("")),
            Some(answer) => answer(&self.ca, &csr),
        };
        Ok(Response::new(RenewReply {
            certificate_pem: certificate?,
            ca_pem: self.ca.pem.clone(),
        }))
    }
}

impl Service {
    async fn listen(&self, mut inbound: Streaming<FromAgent>, down: Down) {
        let mut stream = 0;
        while let Ok(Some(FromAgent { message })) = inbound.message().await {
            match message.expect("the agent says something") {
                from_agent::Message::Hello(hello) => {
                    self.welcome(&down, &hello).await;
                    self.seen.send_modify(|seen| {
                        seen.hellos.push(hello);
                        stream = seen.hellos.len();
                    });
                }
                from_agent::Message::Block(block) => self.keep(&down, stream, block).await,
            }
        }
    }

    async fn welcome(&self, down: &Down, hello: &Hello) {
        let answer = {
            let mut answers = self.answers.lock().unwrap();
            if answers.mute {
                answers.down = Some(down.clone());
                return;
            }
            match answers.ends.clone() {
                Some(status) => Err(status),
                None => {
                    answers.down = Some(down.clone());
                    Ok(to_agent(to_agent::Message::Welcome(answers.welcome(hello))))
                }
            }
        };
        let _ = down.send(answer).await;
    }

    async fn keep(&self, down: &Down, stream: usize, block: Block) {
        let header = block.header.clone().unwrap();
        self.seen
            .send_modify(|seen| seen.blocks.push((stream, block)));
        let acks = self.answers.lock().unwrap().acks;
        if acks {
            let through = header.first_sequence + u64::from(header.count) - 1;
            let _ = down.send(ack(&header.flow, header.epoch, through)).await;
        }
    }
}

impl Answers {
    fn welcome(&self, hello: &Hello) -> Welcome {
        let held = |flow: &String| {
            let none = Held {
                flow: flow.clone(),
                next_sequence: 1,
                ..Held::default()
            };
            self.held.get(flow).cloned().unwrap_or(none)
        };
        Welcome {
            protocol: self.protocol.unwrap_or(1),
            version: "test".into(),
            incarnation: 1,
            flows: hello.flows.iter().map(|state| held(&state.flow)).collect(),
        }
    }
}

#[tonic::async_trait]
impl Enrolment for Service {
    async fn enrol(&self, request: Request<EnrolRequest>) -> Result<Response<EnrolReply>, Status> {
        let EnrolRequest { secret, csr } = request.into_inner();
        self.seen.send_modify(|seen| {
            seen.secrets.push(secret);
            seen.requests.push(csr.clone());
        });
        let answer = self.answers.lock().unwrap().enrols.clone();
        answer.expect("the test says what enrolling answers")?;
        Ok(Response::new(EnrolReply {
            certificate_pem: self.ca.answer(&csr, "north", "a-7"),
            ca_pem: self.ca.pem.clone(),
            site: "north".into(),
            agent: "a-7".into(),
        }))
    }
}
