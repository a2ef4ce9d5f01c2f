//! A running agent answers on its socket and on its metrics page.

use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;

use bytes::Bytes;
use dray_adapter::{CallOutcome, Calls, Kept, KeptLog, LastCall};
use dray_agent::admin::{self, Socket};
use dray_agent::board::{Board, Who};
use dray_agent::flow_state::{FlowState, Health, now_us};
use dray_agent::metrics::Metrics;
use dray_agent::{metrics_server, status};
use dray_buffer::{Append, Buffer, MemoryBuffer, NewBlock, Sequence};
use dray_proto::FlowName;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::oneshot;

fn block(count: u32) -> NewBlock {
    let payload = Bytes::from_static(b"payload");
    NewBlock {
        count,
        first_captured_us: now_us() - 5_000_000,
        last_captured_us: now_us(),
        codec: 1,
        decoded_bytes: payload.len() as u32,
        crc32c: 0,
        dead_letters: 0,
        position: Bytes::new(),
        payload,
    }
}

/// Two flows: one waits with 7 of 10 events unsent, one is new.
async fn board() -> Arc<Board> {
    let buffer = Arc::new(MemoryBuffer::new());
    let blocks = vec![block(3), block(7)];
    let append = Append {
        flow: "stock".into(),
        blocks,
        position: Bytes::new(),
        marks: Vec::new(),
    };
    buffer.append(append).await.expect("an append");
    buffer
        .ack("stock", buffer.epoch(), Sequence(3))
        .expect("an ack");
    let metrics = Metrics::new().expect("metrics");
    let flow = |name: &str| {
        let name = FlowName::new("north", name).expect("a name");
        let counters = metrics.flow(&name);
        Arc::new(FlowState::new(name, counters))
    };
    let flows = vec![
        flow("stock"),
        flow("shipments"),
        Arc::new(called(&metrics)),
        Arc::new(kept(&metrics)),
    ];
    flows[0].metrics.dead_letters.inc();
    flows[0].set(
        Health::Waiting,
        "/srv/wms/out is gone; it is looked for again",
    );
    let who = Who {
        site: "north".into(),
        agent: "a-7f3c91".into(),
        collector: "collector.example:7443".into(),
        certificate_ends_s: 1_800_000_000,
    };
    Arc::new(Board::new(who, buffer, metrics, flows))
}

/// A flow for which a database keeps its log.
fn kept(metrics: &Metrics) -> FlowState {
    let name = FlowName::new("north", "orders").expect("a name");
    let kept = KeptLog::default();
    kept.set(Some(Kept {
        bytes: 3 << 30,
        left_bytes: Some(1 << 30),
        worry: "that is more than half of max_slot_wal_keep_size",
    }));
    let counters = metrics.flow(&name);
    FlowState::new(name, counters).with_kept_log(Some(Arc::new(kept)))
}

/// A flow that is called: stored twice, refused once.
fn called(metrics: &Metrics) -> FlowState {
    let name = FlowName::new("north", "calls").expect("a name");
    let calls = Calls::served();
    calls.count(CallOutcome::Stored);
    calls.count(CallOutcome::Stored);
    let refused = LastCall {
        at_us: 1_790_000_000_500_000,
        peer: Some([10, 1, 1, 7].into()),
        reason: "its key is missing or empty".into(),
    };
    calls.note(CallOutcome::Refused, refused);
    let counters = metrics.flow(&name);
    FlowState::new(name, counters).with_calls(Some(Arc::new(calls)))
}

#[tokio::test]
async fn status_is_answered_on_the_socket() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("admin.sock");
    // What a killed agent leaves behind.
    drop(std::os::unix::net::UnixListener::bind(&path).expect("a socket"));
    let board = board().await;
    let socket = Socket::bind(&path)
        .await
        .expect("it takes the place of a dead one");
    let mode = std::fs::metadata(&path)
        .expect("the socket")
        .permissions()
        .mode();
    assert_eq!(mode & 0o777, 0o600);
    assert!(Socket::bind(&path).await.is_err(), "one agent answers");
    let (stop, stopped) = oneshot::channel::<()>();
    let served = tokio::spawn(socket.serve(Arc::clone(&board), async { drop(stopped.await) }));

    board.connected();
    let answer = admin::ask_status(&path).await.expect("an answer");
    let flow = &answer.flows[0];
    assert_eq!((flow.appended, flow.acked, flow.dead_letters), (10, 3, 1));
    assert!(flow.oldest_unsent_ms >= 5_000, "{}", flow.oldest_unsent_ms);
    let shown = status::text(&answer);
    for words in [
        "agent        a-7f3c91 at site north, dray 0.",
        "collector    collector.example:7443, connected",
        "certificate  until 2027-01-15T08:00:00Z",
        "stock      waiting             10             3          7             1",
        "           /srv/wms/out is gone",
        "shipments  running              0             0          0             0              -",
        "           calls: 2 stored, 1 refused\n",
        "           the database keeps 3.0 GiB of its log for the flow, and drops it after 1.0 GiB more: that is more than half of max_slot_wal_keep_size\n",
        "           refused, last 2026-09-21T14:13:20Z from 10.1.1.7: its key is missing or empty\n",
    ] {
        assert!(shown.contains(words), "\"{words}\" is missing in\n{shown}");
    }
    let mut forged = answer.clone();
    forged.flows[0].detail = "gone\nstock2  running\u{1b}[2K\u{202e}".into();
    let shown = status::text(&forged);
    assert!(
        shown.contains("gone\\nstock2  running\\u{1b}[2K\\u{202e}\n"),
        "a folder's name is a line of its own or moves the cursor:\n{shown}"
    );
    board.disconnected("it refuses connections; is it started?".into());
    let answer = admin::ask_status(&path).await.expect("an answer");
    assert!(status::text(&answer).contains("not connected: it refuses connections"));

    stop.send(()).expect("it serves");
    served.await.expect("no panic").expect("a clean end");
    assert!(!path.exists(), "the socket goes with the agent");
    let nobody = admin::ask_status(&path).await.expect_err("nobody is there");
    assert_eq!(nobody.code(), tonic::Code::Unavailable, "{nobody:?}");
}

async fn get(address: std::net::SocketAddr, path: &str) -> String {
    let mut stream = TcpStream::connect(address).await.expect("it listens");
    stream
        .write_all(format!("GET {path} HTTP/1.0\r\n\r\n").as_bytes())
        .await
        .expect("a request");
    let mut page = String::new();
    stream.read_to_string(&mut page).await.expect("an answer");
    page
}

#[tokio::test]
async fn the_metrics_page_is_measured_when_it_is_asked_for() {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("an address");
    let board = board().await;
    let serving = tokio::spawn(metrics_server::serve(listener, Arc::clone(&board)));
    board.connected();
    board.disconnected("gone".into());
    board.connected();
    // Twice: what is counted elsewhere is taken over once.
    get(address, "/metrics").await;
    let page = get(address, "/metrics").await;
    for line in [
        "HTTP/1.0 200 OK",
        "content-type: text/plain; version=0.0.4; charset=utf-8",
        "dray_agent_backlog_events{flow=\"north/stock\"} 7",
        "dray_agent_backlog_events{flow=\"north/shipments\"} 0",
        "dray_agent_flow_health{flow=\"north/stock\"} 0.5",
        "dray_agent_flow_health{flow=\"north/shipments\"} 1",
        "dray_agent_oldest_unsent_seconds{flow=\"north/shipments\"} 0",
        "dray_agent_calls_total{flow=\"north/calls\",outcome=\"stored\"} 2",
        "dray_agent_calls_total{flow=\"north/calls\",outcome=\"refused\"} 1",
        "dray_agent_calls_total{flow=\"north/calls\",outcome=\"denied\"} 0",
        "dray_agent_source_log_kept_bytes{flow=\"north/orders\"} 3221225472",
        "dray_agent_source_log_left_bytes{flow=\"north/orders\"} 1073741824",
        "dray_agent_uplink_connected 1",
        "dray_agent_uplink_connects_total 2",
        "dray_agent_uplink_disconnects_total 1",
        "dray_agent_certificate_ends_timestamp_seconds 1800000000",
    ] {
        assert!(
            page.lines().any(|shown| shown.trim_end() == line),
            "{line} is missing in\n{page}"
        );
    }
    let elsewhere = get(address, "/").await;
    assert!(
        elsewhere.starts_with("HTTP/1.0 404") && elsewhere.contains("/metrics"),
        "{elsewhere}"
    );
    serving.abort();
}

fn config(folder: &Path) -> std::path::PathBuf {
    let path = folder.join("agent.toml");
    let shown = folder.display();
    let text = format!(
        "site = \"north\"\ndata_dir = \"{shown}/agent\"\ncollector = \"127.0.0.1:1\"\nmetrics = \"off\"\n\
         [[flow]]\nname = \"stock\"\n[flow.source]\nkind = \"file-drop\"\nfolder = \"{shown}/drops\"\npattern = \"*.txt\"\n\
         [flow.source.format]\nkind = \"csv\"\n[[flow.mapping]]\nbody = \"generic\"\nrecord_type = \"task\"\nkey = \"A\"\nall_columns = true\n"
    );
    std::fs::write(&path, text).expect("a file");
    path
}

fn command(config: &Path, arguments: &[&str]) -> (Option<i32>, String) {
    let output = Command::new(env!("CARGO_BIN_EXE_dray-agent"))
        .args(arguments)
        .arg("--config")
        .arg(config)
        .output()
        .expect("it starts");
    let said = String::from_utf8_lossy(&output.stdout).into_owned()
        + &String::from_utf8_lossy(&output.stderr);
    (output.status.code(), said)
}

#[test]
fn commands_without_an_agent_or_an_identity_say_what_to_do() {
    let folder = tempfile::tempdir().expect("a folder");
    let config = config(folder.path());
    let (code, said) = command(&config, &["status"]);
    assert_eq!(code, Some(69), "{said}");
    assert!(
        said.contains("no agent answers") && said.contains("dray-agent run"),
        "{said}"
    );
    let (code, said) = command(&config, &["run"]);
    assert_eq!(code, Some(78), "{said}");
    assert!(
        said.contains("invite north") && said.contains("dray-agent enroll TOKEN"),
        "{said}"
    );
    let (code, said) = command(&config, &["enroll", "dray1.nonsense"]);
    assert_eq!(code, Some(1), "{said}");
    assert!(said.contains("token"), "{said}");
    let (code, _) = command(&config, &["dance"]);
    assert_eq!(code, Some(2));
}

#[test]
fn a_pipe_that_is_closed_ends_a_command_without_a_word() {
    let folder = tempfile::tempdir().expect("a folder");
    let config = config(folder.path());
    std::fs::create_dir(folder.path().join("drops")).expect("a folder");
    let sample = folder.path().join("a.txt");
    std::fs::write(&sample, "A,B\n1,2\n").expect("a file");
    let sample = sample.to_str().expect("UTF-8");
    for arguments in [&["check"][..], &["preview", sample]] {
        let (reader, writer) = std::io::pipe().expect("a pipe");
        drop(reader);
        let output = Command::new(env!("CARGO_BIN_EXE_dray-agent"))
            .args(arguments)
            .arg("--config")
            .arg(&config)
            .stdout(writer)
            .output()
            .expect("it starts");
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(
            (output.status.code(), &*said),
            (Some(0), ""),
            "{arguments:?}"
        );
    }
}

#[test]
fn check_looks_at_what_the_configuration_names() {
    let folder = tempfile::tempdir().expect("a folder");
    let config = config(folder.path());
    let (code, said) = command(&config, &["check"]);
    assert_eq!(code, Some(78), "{said}");
    assert!(
        said.lines()
            .any(|line| line.starts_with("✗ flow \"stock\": ") && line.contains("drops")),
        "{said}"
    );
    std::fs::create_dir(folder.path().join("drops")).expect("a folder");
    let (code, said) = command(&config, &["check"]);
    assert_eq!(code, Some(0), "{said}");
    assert!(
        said.contains("! this agent has no certificate yet"),
        "{said}"
    );
    assert!(
        said.contains("! collector 127.0.0.1:1 can't be reached now"),
        "{said}"
    );
    assert!(
        said.lines().all(|line| line.starts_with(['✓', '!'])),
        "{said}"
    );
    assert!(
        !folder.path().join("agent").exists(),
        "check changes nothing"
    );
}
