//! A service on the loopback, that answers as a test wants.

use std::io::{BufRead as _, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener};
use std::sync::{Arc, Mutex};
use std::thread;

/// A request.
#[derive(Debug, Clone, Default)]
pub(in super::super) struct Asked {
    /// In small letters up to the colon.
    pub(in super::super) headers: Vec<String>,
    pub(in super::super) body: String,
}

impl Asked {
    pub(in super::super) fn header(&self, name: &str) -> Option<&str> {
        self.headers
            .iter()
            .find_map(|line| line.strip_prefix(name)?.strip_prefix(": "))
    }

    /// The text of the first element of this name.
    pub(in super::super) fn value(&self, name: &str) -> &str {
        let (open, close) = (format!("<{name}>"), format!("</{name}>"));
        let rest = self.body.split_once(&open).map_or("", |(_, rest)| rest);
        rest.split_once(&close).map_or("", |(value, _)| value)
    }
}

/// An answer.
#[derive(Debug, Clone)]
pub(in super::super) struct Served {
    pub(in super::super) status: u16,
    pub(in super::super) headers: Vec<(&'static str, String)>,
    pub(in super::super) body: Vec<u8>,
}

impl Served {
    pub(in super::super) fn new(status: u16, body: impl Into<Vec<u8>>) -> Self {
        Self {
            status,
            headers: vec![("Content-Type", "text/xml; charset=utf-8".into())],
            body: body.into(),
        }
    }

    /// With a header instead of one of that name.
    pub(in super::super) fn with(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.headers.retain(|(known, _)| *known != name);
        self.headers.push((name, value.into()));
        self
    }
}

type Answers = Box<dyn FnMut(&Asked) -> Served + Send>;

/// It answers until the test ends.
pub(in super::super) struct Service {
    scheme: &'static str,
    address: SocketAddr,
    asked: Arc<Mutex<Vec<Asked>>>,
}

impl Service {
    pub(in super::super) fn new(answers: impl FnMut(&Asked) -> Served + Send + 'static) -> Self {
        Self::start(None, Box::new(answers))
    }

    /// One that is reached by TLS alone.
    pub(in super::super) fn secure(tls: rustls::ServerConfig, answer: Served) -> Self {
        Self::start(Some(Arc::new(tls)), Box::new(move |_| answer.clone()))
    }

    fn start(tls: Option<Arc<rustls::ServerConfig>>, answers: Answers) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = listener.local_addr().expect("an address");
        let asked = Arc::<Mutex<Vec<Asked>>>::default();
        let scheme = if tls.is_some() { "https" } else { "http" };
        let kept = Arc::clone(&asked);
        let answers = Arc::new(Mutex::new(answers));
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (answers, kept, tls) = (Arc::clone(&answers), Arc::clone(&kept), tls.clone());
                thread::spawn(move || match tls {
                    None => serve(stream, &answers, &kept),
                    Some(tls) => {
                        let secured = rustls::ServerConnection::new(tls).expect("a connection");
                        serve(rustls::StreamOwned::new(secured, stream), &answers, &kept);
                    }
                });
            }
        });
        Self {
            scheme,
            address,
            asked,
        }
    }

    /// Answers these one after the other, and the last one for ever.
    pub(in super::super) fn one_by_one(answers: Vec<Served>) -> Self {
        let mut next = 0;
        Self::new(move |_| {
            next += 1;
            answers[(next - 1).min(answers.len() - 1)].clone()
        })
    }

    pub(in super::super) fn url(&self) -> String {
        format!("{}://{}/movements", self.scheme, self.address)
    }

    /// The requests so far.
    pub(in super::super) fn asked(&self) -> Vec<Asked> {
        self.asked.lock().expect("no panic").clone()
    }
}

fn serve(stream: impl Read + Write, answers: &Mutex<Answers>, kept: &Mutex<Vec<Asked>>) {
    let mut reader = BufReader::new(stream);
    while let Some(asked) = read(&mut reader) {
        kept.lock().expect("no panic").push(asked.clone());
        let served = answers.lock().expect("no panic")(&asked);
        if write(reader.get_mut(), &served).is_err() {
            return;
        }
    }
}

fn read(reader: &mut BufReader<impl Read>) -> Option<Asked> {
    let mut asked = Asked::default();
    let mut length = 0;
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line).ok()? == 0 {
            return None;
        }
        let line = line.trim_end();
        if line.is_empty() {
            break;
        }
        let (name, value) = line.split_once(": ").unwrap_or((line, ""));
        if name.eq_ignore_ascii_case("content-length") {
            length = value.parse().ok()?;
        }
        asked
            .headers
            .push(format!("{}: {value}", name.to_ascii_lowercase()));
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body).ok()?;
    asked.body = String::from_utf8(body).ok()?;
    Some(asked)
}

fn write(stream: &mut impl Write, served: &Served) -> std::io::Result<()> {
    let mut head = format!(
        "HTTP/1.1 {} X\r\nContent-Length: {}\r\n",
        served.status,
        served.body.len()
    );
    for (name, value) in &served.headers {
        head += &format!("{name}: {value}\r\n");
    }
    head += "\r\n";
    // In one piece: a second one would wait for the first one's acknowledgement.
    stream.write_all(&[head.as_bytes(), &served.body].concat())
}
