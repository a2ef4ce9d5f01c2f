//! An SSH server that lets a password in, which OpenSSH's can do only for the machine's own users. Its SFTP is OpenSSH's.

use std::collections::HashMap;
use std::process::Stdio;
use std::sync::Arc;

use russh::keys::{HashAlg, PrivateKey};
use russh::server::{self, Auth, ChannelOpenHandle, Msg, Response, Session};
use russh::{Channel, ChannelId, MethodKind, MethodSet};
use tokio::net::TcpListener;
use tokio::sync::oneshot;

const SFTP: &str = "/usr/lib/openssh/sftp-server";
pub(crate) const PASSWORD: &str = "Grüße 7";

/// How it asks for the password.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Asks {
    Plainly,
    /// As PAM's servers do.
    ByQuestion,
}

pub(crate) struct PasswordServer {
    pub(crate) port: u16,
    pub(crate) host_key: String,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<std::thread::JoinHandle<()>>,
}

impl PasswordServer {
    /// `key`: a private key, as OpenSSH writes it.
    pub(crate) fn start(key: &str, asks: Asks) -> Self {
        let key = PrivateKey::from_openssh(key).expect("a key");
        let host_key = key.public_key().fingerprint(HashAlg::Sha256).to_string();
        let method = match asks {
            Asks::Plainly => MethodKind::Password,
            Asks::ByQuestion => MethodKind::KeyboardInteractive,
        };
        let config = Arc::new(server::Config {
            keys: vec![key],
            methods: MethodSet::from([method].as_slice()),
            ..server::Config::default()
        });
        let (ready, told) = std::sync::mpsc::channel();
        let (stop, stopped) = oneshot::channel();
        let thread = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()
                .expect("a runtime");
            runtime.block_on(async {
                let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
                ready
                    .send(listener.local_addr().expect("an address").port())
                    .expect("it is waited for");
                tokio::select! {
                    () = accept(listener, config) => {}
                    _ = stopped => {}
                }
            });
        });
        Self {
            port: told.recv().expect("a port"),
            host_key,
            stop: Some(stop),
            thread: Some(thread),
        }
    }
}

impl Drop for PasswordServer {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

async fn accept(listener: TcpListener, config: Arc<server::Config>) {
    loop {
        let (stream, _) = listener.accept().await.expect("a connection");
        let config = Arc::clone(&config);
        tokio::spawn(async move {
            if let Ok(session) = server::run_stream(config, stream, Login::default()).await {
                let _ = session.await;
            }
        });
    }
}

#[derive(Default)]
struct Login {
    channels: HashMap<ChannelId, Channel<Msg>>,
}

fn answer(is_it: bool) -> Auth {
    if is_it { Auth::Accept } else { Auth::reject() }
}

impl server::Handler for Login {
    type Error = russh::Error;

    async fn auth_password(&mut self, _: &str, password: &str) -> Result<Auth, Self::Error> {
        Ok(answer(password == PASSWORD))
    }

    async fn auth_keyboard_interactive<'a>(
        &'a mut self,
        _: &str,
        _: &str,
        response: Option<Response<'a>>,
    ) -> Result<Auth, Self::Error> {
        let Some(mut response) = response else {
            return Ok(Auth::Partial {
                name: "".into(),
                instructions: "".into(),
                prompts: vec![("Password: ".into(), false)].into(),
            });
        };
        Ok(answer(
            response.next().as_deref() == Some(PASSWORD.as_bytes()),
        ))
    }

    async fn channel_open_session(
        &mut self,
        channel: Channel<Msg>,
        reply: ChannelOpenHandle,
        _: &mut Session,
    ) -> Result<(), Self::Error> {
        self.channels.insert(channel.id(), channel);
        reply.accept().await;
        Ok(())
    }

    async fn subsystem_request(
        &mut self,
        id: ChannelId,
        _: &str,
        session: &mut Session,
    ) -> Result<(), Self::Error> {
        let channel = self.channels.remove(&id).expect("it was opened");
        session.channel_success(id)?;
        let mut sftp = tokio::process::Command::new(SFTP)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .unwrap_or_else(|error| panic!("{SFTP} is needed for this test ({error}); install it: apt-get install openssh-sftp-server"));
        tokio::spawn(async move {
            let (from, to) = (
                sftp.stdout.take().expect("a pipe"),
                sftp.stdin.take().expect("a pipe"),
            );
            let mut pipes = tokio::io::join(from, to);
            let mut stream = channel.into_stream();
            let _ = tokio::io::copy_bidirectional(&mut stream, &mut pipes).await;
            // It lives as long as its pipes.
            drop(sftp);
        });
        Ok(())
    }
}
