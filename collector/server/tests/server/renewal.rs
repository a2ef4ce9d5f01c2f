use dray_collector::identity::{Authority, Peer};
use dray_proto::v1::uplink_client::UplinkClient;
use dray_proto::v1::{
    RenewReply, RenewRequest, SiteActRequest, SitesRequest, site_act_request::Act,
};
use tonic::{Code, Status};

use crate::blocks::block_of;
use crate::support::{Collector, Identity, Stream, request, soon};

const DAY_S: i64 = 24 * 3600;

async fn renew(
    collector: &Collector,
    identity: Option<&Identity>,
    csr: Vec<u8>,
) -> Result<RenewReply, Status> {
    let channel = collector.dial(identity).await.expect("TLS");
    let answer = soon(UplinkClient::new(channel).renew(RenewRequest { csr })).await;
    answer.map(tonic::Response::into_inner)
}

/// As if it had enrolled this many days ago: its key with a certificate of then.
fn enrolled_ago(collector: &Collector, identity: &Identity, days: i64) -> Identity {
    let ca = Authority::open(&collector.config().ca_dir()).expect("the CA");
    let then_s = now_s() - days * DAY_S;
    let issued = ca.sign_agent(&identity.request(), "north", &identity.agent, 90, then_s);
    identity.with(&issued.expect("signed").certificate_pem)
}

fn now_s() -> i64 {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    since.expect("after 1970").as_secs() as i64
}

#[tokio::test]
async fn a_renewed_certificate_is_of_the_same_agent_and_key_and_the_old_one_stays_good() {
    let collector = Collector::start().await;
    let enrolled = collector.enrol("north").await;
    let old = enrolled_ago(&collector, &enrolled, 70);
    let mut stream = Stream::open(&collector, &old, &["stock"])
        .await
        .expect("welcome");
    let reply = renew(&collector, Some(&old), old.request())
        .await
        .expect("renewed");
    stream.send(block_of("stock", 1, 2)).await;
    stream.acked("stock", 2).await;
    let new = old.with(&reply.certificate_pem);
    assert_ne!(new.chain, old.chain);
    let peer = |of: &Identity| Peer::of_certificate(&of.chain[0]).expect("an agent");
    assert_eq!(peer(&new), peer(&old));
    let mut admin = collector.admin().await;
    let sites = admin.sites(SitesRequest {}).await.expect("sites");
    let ends_s = sites.into_inner().sites[0].certificate_ends_s;
    assert!(ends_s >= now_s() + 89 * DAY_S, "{ends_s}");
    // Whichever of the two the agent's disk holds after a crash, also of the collector.
    let mut collector = collector;
    collector.restart().await;
    for (identity, first) in [(&new, 3), (&old, 4)] {
        let mut stream = Stream::open(&collector, identity, &["stock"])
            .await
            .expect("welcome");
        stream.send(block_of("stock", first, 1)).await;
        stream.acked("stock", first).await;
    }
}

#[tokio::test]
async fn nobody_gets_a_certificate_for_another_key_without_one_or_after_being_revoked() {
    let collector = Collector::start().await;
    let agent = collector.enrol("north").await;
    let (_, another) = request();
    let check = |answer: Result<RenewReply, Status>, code, words: &str| {
        let status = answer.expect_err(words);
        assert_eq!(status.code(), code);
        assert!(status.message().contains(words), "{}", status.message());
    };
    let answer = renew(&collector, Some(&agent), another).await;
    check(answer, Code::InvalidArgument, "another key");
    let answer = renew(&collector, Some(&agent), vec![0; 20]).await;
    check(answer, Code::InvalidArgument, "signing request is refused");
    let answer = renew(&collector, None, agent.request()).await;
    check(
        answer,
        Code::Unauthenticated,
        "an agent's certificate is needed",
    );
    let revoke = SiteActRequest {
        flow: String::new(),
        act: Act::Revoke as i32,
        agent: agent.agent.clone(),
    };
    collector
        .admin()
        .await
        .site_act(revoke)
        .await
        .expect("done");
    let answer = renew(&collector, Some(&agent), agent.request()).await;
    check(answer, Code::PermissionDenied, "is revoked");
}

#[tokio::test]
async fn a_certificate_that_has_ended_lets_nobody_in() {
    let collector = Collector::start().await;
    let agent = collector.enrol("north").await;
    let ended = enrolled_ago(&collector, &agent, 91);
    let Err(status) = Stream::open(&collector, &ended, &["stock"]).await else {
        panic!("it got in")
    };
    let said = format!("{status:?}");
    assert!(said.contains("CertificateExpired"), "{said}");
}
