//! Connections and their bytes.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use rustix::net::sockopt;
use tokio::net::{TcpListener, TcpStream};

use super::{End, Shared};

/// Bytes that are carried at once.
const CHUNK: usize = 16 * 1024;
/// How often a second a narrow line carries something.
const TURNS_S: u64 = 20;

pub(super) async fn accept(listener: std::net::TcpListener, shared: Arc<Shared>) {
    let listener = TcpListener::from_std(listener).expect("a bound listener");
    while let Ok((client, _)) = listener.accept().await {
        let number = {
            let mut kept = shared.lock();
            kept.connections += 1;
            shared.changed.notify_all();
            kept.connections
        };
        tokio::spawn(connection(number, client, Arc::clone(&shared)));
    }
}

async fn connection(number: u64, client: TcpStream, shared: Arc<Shared>) {
    let mut orders = shared.orders.subscribe();
    if orders.wait_for(|orders| !orders.silent).await.is_err() {
        return;
    }
    let leads_to = shared.lock().leads_to;
    let Ok(server) = TcpStream::connect(leads_to).await else {
        return;
    };
    let _ = (client.set_nodelay(true), server.set_nodelay(true));
    let both = async {
        tokio::try_join!(
            carry(&client, &server, &shared),
            carry(&server, &client, &shared)
        )
    };
    tokio::select! {
        _ = both => {}
        _ = orders.wait_for(|orders| orders.end(number).is_some()) => {}
    }
    let end = orders.borrow().end(number);
    match end {
        Some(End::Reset) => {
            for stream in [&client, &server] {
                let _ = sockopt::set_socket_linger(stream, Some(Duration::ZERO));
            }
        }
        // Until it is reset, cut, or the test ends.
        Some(End::Silent) => {
            let _ = orders
                .wait_for(|orders| !matches!(orders.end(number), Some(End::Silent)))
                .await;
        }
        Some(End::Cut) | None => {}
    }
}

/// Carries one way until that way ends.
async fn carry(from: &TcpStream, to: &TcpStream, shared: &Shared) -> io::Result<()> {
    let mut bytes = vec![0; CHUNK];
    loop {
        from.readable().await?;
        // Looked at now: the line may have become narrow while nothing came.
        let bytes_s = shared.orders.borrow().bytes_s;
        let most = bytes_s.map_or(CHUNK, |bytes_s| {
            (bytes_s / TURNS_S).clamp(1, CHUNK as u64) as usize
        });
        let read = match from.try_read(&mut bytes[..most]) {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => continue,
            read => read?,
        };
        if read == 0 {
            return Ok(rustix::net::shutdown(to, rustix::net::Shutdown::Write)?);
        }
        let (passes, cut) = shared.pass(read);
        write(to, &bytes[..passes]).await?;
        if cut {
            shared.cut();
        }
        if let Some(bytes_s) = bytes_s {
            tokio::time::sleep(Duration::from_secs_f64(read as f64 / bytes_s as f64)).await;
        }
    }
}

async fn write(to: &TcpStream, mut bytes: &[u8]) -> io::Result<()> {
    while !bytes.is_empty() {
        to.writable().await?;
        match to.try_write(bytes) {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            written => bytes = &bytes[written?..],
        }
    }
    Ok(())
}
