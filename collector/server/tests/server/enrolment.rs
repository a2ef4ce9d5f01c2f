use dray_collector::identity::{Peer, PeerIdentity};
use dray_proto::token::Token;
use tonic::Code;

use crate::support::{Collector, request};

#[tokio::test]
async fn a_token_is_good_for_one_agent_of_its_site_whatever_the_request_asks_for() {
    let collector = Collector::start().await;
    let agent = collector.enrol("north").await;
    let Some(Peer::Agent(PeerIdentity {
        site, agent: id, ..
    })) = Peer::of_certificate(&agent.chain[0])
    else {
        panic!("the certificate names no agent");
    };
    assert_eq!(
        (site.as_str(), id.as_str()),
        ("north", agent.agent.as_str())
    );
    let known = collector.store().agents().expect("the store answers");
    assert_eq!((known.len(), known[0].agent.as_str()), (1, id.as_str()));
}

#[tokio::test]
async fn a_used_or_unknown_token_is_refused_with_the_way_to_another() {
    let collector = Collector::start().await;
    let token = collector.token("north").await;
    collector
        .try_enrol(&token, request().1)
        .await
        .expect("the first time");
    let unknown = Token {
        secret: [1; 32],
        ca_sha256: token.ca_sha256,
    };
    for token in [token, unknown] {
        let status = collector
            .try_enrol(&token, request().1)
            .await
            .expect_err("refused");
        assert_eq!(status.code(), Code::PermissionDenied);
        assert!(
            status.message().contains("dray-collector invite"),
            "{}",
            status.message()
        );
    }
    assert_eq!(
        collector.store().agents().expect("the store answers").len(),
        1
    );
}

#[tokio::test]
async fn a_bad_signing_request_does_not_use_the_token_up() {
    let collector = Collector::start().await;
    let token = collector.token("north").await;
    let status = collector
        .try_enrol(&token, b"not a request".to_vec())
        .await
        .expect_err("refused");
    assert_eq!(status.code(), Code::InvalidArgument);
    collector
        .try_enrol(&token, request().1)
        .await
        .expect("the token is still good");
}

#[tokio::test]
async fn a_token_pins_the_ca_that_the_server_shows() {
    let collector = Collector::start().await;
    let token = collector.token("north").await;
    let ca =
        dray_collector::identity::Authority::open(&collector.config().ca_dir()).expect("the CA");
    assert_eq!(token.ca_sha256, ca.pin());
}
