//! A certificate that is near its end is made anew while the agent sends.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::sync::Arc;

use dray_buffer::{Buffer as _, MemoryBuffer, Sequence};
use dray_uplink::{CertificateState, Identity};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use tonic::Status;

use crate::agent::{Agent, Told, chain_before, put};
use crate::certificates::{Ca, VALID, ends_in};
use crate::collector::Collector;

fn pem(folder: &Path) -> String {
    fs::read_to_string(folder.join("identity.pem")).unwrap()
}

fn key(pem: &str) -> &str {
    pem.split("-----BEGIN CERTIFICATE").next().unwrap()
}

fn failing(told: &Told) -> Option<String> {
    told.certificate.iter().find_map(|state| match state {
        CertificateState::Failing(why) => Some(why.clone()),
        CertificateState::Renewed { .. } => None,
    })
}

fn renewed(told: &Told) -> Option<i64> {
    told.certificate.iter().find_map(|state| match state {
        CertificateState::Renewed { ends_s } => Some(*ends_s),
        CertificateState::Failing(_) => None,
    })
}

#[tokio::test]
async fn a_certificate_near_its_end_is_renewed_written_and_shown_while_events_go_on() {
    let collector = Collector::start().await;
    collector.renews(|ca, csr| Ok(ca.answer(csr, "north", "a-1")));
    let folder = tempfile::tempdir().unwrap();
    let old = collector
        .ca
        .identity_until(folder.path(), ends_in(24 * 3600));
    let before = pem(folder.path());
    let buffer = Arc::new(MemoryBuffer::new());
    let agent = Agent::start_as(old.clone(), &collector.address, &buffer, &["a"]);
    let ends_s = agent.until("it is renewed", renewed).await;
    assert!(ends_s > old.ends_s);
    put(&buffer, "a", &[2, 3]).await;
    collector
        .until("both blocks in the second stream", |seen| {
            (seen.firsts(2, "a") == [1, 3]).then_some(())
        })
        .await;
    collector.ack("a", buffer.epoch(), 5).await;
    agent
        .until("all acked", |told| {
            (told.positions.last()?.1 == "a:5").then_some(())
        })
        .await;
    let after = pem(folder.path());
    let mode = fs::metadata(folder.path().join("identity.pem"))
        .unwrap()
        .permissions()
        .mode();
    assert_eq!(mode & 0o777, 0o600);
    assert_ne!(after, before);
    let keyed = |pem: &str| key(pem).split_whitespace().collect::<String>();
    assert_eq!(keyed(&after), keyed(&before), "the key stays");
    let read = Identity::load(folder.path()).unwrap().unwrap();
    assert_eq!(
        (read.ends_s, read.agent.as_str(), read.site.as_str()),
        (ends_s, "a-1", "north")
    );
    let shown: Vec<_> = collector.seen.borrow().certificates.clone();
    let own = |pem: &str| CertificateDer::from_pem_slice(pem.as_bytes()).unwrap();
    assert_eq!(shown, [own(&before).to_vec(), own(&after).to_vec()]);
    let told = agent.until("what was told", |told| Some(told.away().len()));
    assert_eq!(told.await, 0, "nobody was told that the collector is away");
    assert_eq!(agent.connections(), 2);
    agent.stop().await;
}

#[tokio::test]
async fn what_is_in_flight_when_the_certificate_is_renewed_is_sent_again_where_the_collector_says()
{
    let collector = Collector::start().await;
    let folder = tempfile::tempdir().unwrap();
    let identity = collector.ca.identity_until(folder.path(), ends_in(15));
    let buffer = Arc::new(MemoryBuffer::new());
    put(&buffer, "a", &[1, 2, 3]).await;
    let agent = Agent::start_as(identity, &collector.address, &buffer, &["a"]);
    collector
        .until("all blocks in the first stream", |seen| {
            (seen.firsts(1, "a") == [1, 2, 4]).then_some(())
        })
        .await;
    let why = agent.until("it cannot be renewed", failing).await;
    assert!(why.contains("too old to renew certificates"), "{why}");
    assert_eq!(agent.connections(), 1, "the connection goes on");
    collector.holds("a", buffer.epoch(), 2, chain_before(&buffer, "a", 2));
    collector.renews(|ca, csr| Ok(ca.answer(csr, "north", "a-1")));
    agent.until("it is renewed", renewed).await;
    collector
        .until("what was not held, in the second stream", |seen| {
            (seen.firsts(2, "a") == [2, 4]).then_some(())
        })
        .await;
    assert_eq!(buffer.depth("a").acked, Sequence(1));
    agent.stop().await;
}

#[tokio::test]
async fn an_answer_that_does_not_fit_is_told_and_the_old_identity_stays() {
    type Answer = fn(&Ca, &[u8]) -> Result<String, Status>;
    let table: [(Answer, &str); 5] = [
        (
            |_, _| Err(Status::permission_denied("agent a-1 is revoked; and so on")),
            "agent a-1 is revoked; and so on",
        ),
        (
            |_, _| Ok("nothing".into()),
            "the collector's answer is no certificate",
        ),
        (
            |ca, csr| Ok(ca.answer(csr, "north", "a-2")),
            "its certificate is for agent a-2 of site \"north\", not for this one",
        ),
        (
            |ca, _| {
                let folder = tempfile::tempdir().unwrap();
                ca.identity(folder.path(), VALID);
                let other = pem(folder.path());
                let end = "-----END CERTIFICATE-----";
                let from = other.find("-----BEGIN CERTIFICATE").unwrap();
                let to = from + other[from..].find(end).unwrap() + end.len();
                Ok(other[from..to].to_owned())
            },
            "key and certificate in identity.pem don't belong together",
        ),
        (
            |ca, csr| Ok(ca.answer_until(csr, "north", "a-1", ends_in(0) - 60)),
            "its certificate has ended already",
        ),
    ];
    for (answer, words) in table {
        let collector = Collector::start().await;
        collector.renews(answer);
        let folder = tempfile::tempdir().unwrap();
        let identity = collector
            .ca
            .identity_until(folder.path(), ends_in(24 * 3600));
        let before = pem(folder.path());
        let buffer = Arc::new(MemoryBuffer::new());
        let agent = Agent::start_as(identity, &collector.address, &buffer, &["a"]);
        let why = agent.until("it cannot be renewed", failing).await;
        assert!(why.contains(words), "{why}");
        put(&buffer, "a", &[1]).await;
        collector
            .until("sending goes on", |seen| {
                (seen.firsts(1, "a") == [1]).then_some(())
            })
            .await;
        assert_eq!(pem(folder.path()), before);
        agent.stop().await;
    }
}

#[tokio::test]
async fn an_identity_that_cannot_be_written_is_told_and_the_connection_stays() {
    let collector = Collector::start().await;
    collector.renews(|ca, csr| Ok(ca.answer(csr, "north", "a-1")));
    let folder = tempfile::tempdir().unwrap();
    let identity = collector
        .ca
        .identity_until(folder.path(), ends_in(24 * 3600));
    let before = pem(folder.path());
    // In the way of writing: a folder that isn't empty.
    fs::create_dir_all(folder.path().join(".identity.pem/in the way")).unwrap();
    let buffer = Arc::new(MemoryBuffer::new());
    let agent = Agent::start_as(identity, &collector.address, &buffer, &["a"]);
    let why = agent.until("it cannot be renewed", failing).await;
    assert!(why.contains("identity.pem"), "{why}");
    assert_eq!(pem(folder.path()), before);
    assert_eq!(agent.connections(), 1);
    agent.stop().await;
}
