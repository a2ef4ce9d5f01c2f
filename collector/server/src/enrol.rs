//! The way in for an agent that has a token and no certificate yet.

use std::sync::Arc;

use dray_proto::v1::enrolment_server::Enrolment;
use dray_proto::v1::{EnrolReply, EnrolRequest};
use dray_store::Agent;
use tonic::{Request, Response, Status};

use crate::audit;
use crate::core::{Shared, ask, now_s};
use crate::identity::{self, AuthorityError, tokens};

/// The largest request: a signing request of 16 KiB and what stands around it.
pub(crate) const MESSAGE_BYTES_MAX: usize = 32 * 1024;

const NO_TOKEN: &str = "this token is not known here, was used, or has ended (it lives one hour); \"dray-collector invite SITE\" prints another";

/// The service.
pub(crate) struct EnrolService {
    shared: Arc<Shared>,
}

impl EnrolService {
    pub(crate) fn new(shared: Arc<Shared>) -> Self {
        Self { shared }
    }
}

#[tonic::async_trait]
impl Enrolment for EnrolService {
    async fn enrol(&self, request: Request<EnrolRequest>) -> Result<Response<EnrolReply>, Status> {
        let EnrolRequest { secret, csr } = request.into_inner();
        let (hash, now_s) = (
            tokens::hash_text(&secret).ok_or_else(|| Status::permission_denied(NO_TOKEN))?,
            now_s(),
        );
        let asked = hash.clone();
        let site = ask(&self.shared.store, move |store| {
            store.token_site(&asked, now_s)
        })
        .await;
        let site = site
            .map_err(failed)?
            .ok_or_else(|| Status::permission_denied(NO_TOKEN))?;

        let agent = format!("a-{}", hex::encode(rand::random::<[u8; 4]>()));
        let days = self.shared.certificate_days;
        let issued = self
            .shared
            .authority
            .sign_agent(&csr, &site, &agent, days, now_s)
            .map_err(|error| match error {
                AuthorityError::Request(_) => Status::invalid_argument(error.to_string()),
                _ => Status::internal(error.to_string()),
            })?;
        let record = Agent {
            agent: agent.clone(),
            site: site.clone(),
            key_sha256: issued.key_sha256,
            certificate_ends_s: issued.ends_s,
            revoked: false,
            last_seen_s: 0,
            version: String::new(),
        };
        // The token is used up and the agent known in one durable step, before the certificate leaves.
        let enrolled = ask(&self.shared.store, move |store| {
            store.enrol(&hash, now_s, record)
        })
        .await;
        enrolled
            .map_err(failed)?
            .ok_or_else(|| Status::permission_denied(NO_TOKEN))?;
        identity::refresh(&self.shared).await.map_err(failed)?;
        tracing::info!(site, agent, "an agent has enrolled");
        audit::note(&self.shared, &agent, "enrol", &site, "").await;
        let certificate_pem = issued.certificate_pem;
        let ca_pem = self.shared.authority.certificate_pem().to_owned();
        Ok(Response::new(EnrolReply {
            certificate_pem,
            ca_pem,
            site,
            agent,
        }))
    }
}

fn failed(error: dray_store::StoreError) -> Status {
    Status::unavailable(error.to_string())
}
