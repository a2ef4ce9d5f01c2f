//! What the commands ask: `CollectorAdmin` over the local socket.

mod letters;
mod replays;
mod shadow;

use std::sync::Arc;

use dray_proto::FlowName;
use dray_proto::v1::collector_admin_server::CollectorAdmin;
use dray_proto::v1::{
    AcceptGapReply, AcceptGapRequest, AuditEntry, AuditReply, AuditRequest, CollectorStatus,
    CollectorStatusRequest, ConsumerActReply, ConsumerActRequest, ConsumerStatus,
    DeadLetterActReply, DeadLetterActRequest, DeadLettersReply, DeadLettersRequest, FlowStatus,
    InviteReply, InviteRequest, PlanReplayRequest, ReplayActReply, ReplayActRequest, ReplayEntry,
    ReplaysReply, ReplaysRequest, ShadowReply, ShadowRequest, SiteActReply, SiteActRequest,
    SiteStatus, SitesReply, SitesRequest, TargetActReply, TargetActRequest, consumer_act_request,
    dead_letter_act_request, site_act_request, target_act_request,
};
use dray_store::StoreError;
use tonic::{Request, Response, Status};

use crate::audit;
use crate::core::{Shared, ask, now_s};
use crate::gaps;
use crate::identity::tokens::{self, TOKEN_SECONDS};
use crate::sites;
use crate::targets;

/// Entries of the audit trail that one answer holds, at most.
const AUDIT_SHOWN_MAX: usize = 10_000;

/// Does something to its end, also where who asked is gone before: a target that was put away half would run no more, and one
/// whose dead letter was settled would not be told.
async fn to_its_end<T: Send + 'static>(
    work: impl Future<Output = Answer<T>> + Send + 'static,
) -> Answer<T> {
    let done = tokio::spawn(work).await;
    done.unwrap_or_else(|error| Err(Status::internal(error.to_string())))
}

/// The service.
pub(crate) struct Admin {
    shared: Arc<Shared>,
}

impl Admin {
    pub(crate) fn new(shared: Arc<Shared>) -> Self {
        Self { shared }
    }
}

type Answer<T> = Result<Response<T>, Status>;

#[tonic::async_trait]
impl CollectorAdmin for Admin {
    async fn status(&self, _: Request<CollectorStatusRequest>) -> Answer<CollectorStatus> {
        let shared = &self.shared;
        // A log that was lost does not know the flows that it lost.
        let mut names = shared.store.flows();
        names.extend(shared.gaps.flows());
        names.sort();
        names.dedup();
        let flows = names.into_iter().map(|flow| {
            let held = shared.store.held(&flow);
            FlowStatus {
                flow: flow.to_string(),
                newest_offset: held.newest_offset.0,
                connected: shared.uplinks.sends(&held.agent, &flow),
                last_captured_us: held.last_captured_us,
                gap: shared.gaps.sentence(&flow).unwrap_or_default(),
            }
        });
        let (log_bytes, log_bytes_max) = shared.store.log_bytes();
        let consumers = ask(&shared.store, targets::consumers)
            .await
            .map_err(failed)?;
        let mut all_targets = shared.targets.status().await;
        all_targets.extend(shared.targets.removed().await.map_err(failed)?);
        let agent_dead_letters = ask(&shared.store, |store| store.exception_count(Some("")))
            .await
            .map_err(failed)?;
        Ok(Response::new(CollectorStatus {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            log_bytes,
            log_bytes_max,
            flows: flows.collect(),
            targets: all_targets,
            consumers: consumers.into_iter().filter_map(feed_consumer).collect(),
            agent_dead_letters,
            flows_at_targets: shared.targets.flows().await,
        }))
    }

    async fn invite(&self, request: Request<InviteRequest>) -> Answer<InviteReply> {
        let actor = audit::actor(&request);
        let site = request.into_inner().site;
        if !dray_proto::is_name(&site) {
            return Err(Status::invalid_argument(format!(
                "\"{site}\" cannot name a site: use 1 to 63 of a-z, 0-9, - and _, beginning with a letter or digit"
            )));
        }
        let token = tokens::mint(self.shared.authority.pin());
        let (hash, ends_s) = (tokens::hash(&token.secret), now_s() + TOKEN_SECONDS);
        let noted = site.clone();
        ask(&self.shared.store, move |store| {
            store.add_token(&hash, &noted, ends_s)
        })
        .await
        .map_err(failed)?;
        tracing::info!(site, "an agent of this site is invited");
        audit::note(&self.shared, actor, "invite", &site, "").await;
        Ok(Response::new(InviteReply {
            token: token.to_string(),
            ends_s,
        }))
    }

    async fn sites(&self, _: Request<SitesRequest>) -> Answer<SitesReply> {
        let agents = ask(&self.shared.store, |store| store.agents())
            .await
            .map_err(failed)?;
        let mut sites: Vec<SiteStatus> = agents
            .into_iter()
            .map(|agent| SiteStatus {
                connected: self.shared.uplinks.is_taken(&agent.agent),
                site: agent.site,
                agent: agent.agent,
                revoked: agent.revoked,
                version: agent.version,
                certificate_ends_s: agent.certificate_ends_s,
                last_seen_s: agent.last_seen_s,
            })
            .collect();
        sites.sort_by(|a, b| (&a.site, &a.agent).cmp(&(&b.site, &b.agent)));
        Ok(Response::new(SitesReply { sites }))
    }

    async fn site_act(&self, request: Request<SiteActRequest>) -> Answer<SiteActReply> {
        let actor = audit::actor(&request);
        let request = request.into_inner();
        let agent = request.agent.clone();
        let (said, action, subject) = match request.act() {
            site_act_request::Act::Revoke => {
                let said = sites::revoke(&self.shared, request.agent).await?;
                (said, "revoke", agent)
            }
            site_act_request::Act::Move => {
                let flow = flow_name(&request.flow)?;
                let said = sites::move_flow(&self.shared, flow, request.agent).await?;
                (said, "move", request.flow)
            }
            site_act_request::Act::Unspecified => {
                return Err(Status::invalid_argument("no act was named"));
            }
        };
        audit::note(&self.shared, actor, action, subject, &said).await;
        Ok(Response::new(SiteActReply { said }))
    }

    async fn accept_gap(&self, request: Request<AcceptGapRequest>) -> Answer<AcceptGapReply> {
        let actor = audit::actor(&request);
        let flow = flow_name(&request.into_inner().flow)?;
        let said = gaps::accept(&self.shared, &flow)
            .await
            .map_err(Status::failed_precondition)?;
        audit::note(&self.shared, actor, "accept gap", flow.as_str(), &said).await;
        Ok(Response::new(AcceptGapReply { said }))
    }

    async fn dead_letters(&self, request: Request<DeadLettersRequest>) -> Answer<DeadLettersReply> {
        let mut reply = letters::list(&self.shared, request.into_inner()).await?;
        letters::name_owners(&self.shared, &mut reply.entries);
        Ok(Response::new(reply))
    }

    async fn dead_letter_act(
        &self,
        request: Request<DeadLetterActRequest>,
    ) -> Answer<DeadLetterActReply> {
        let actor = audit::actor(&request);
        let request = request.into_inner();
        let action = match request.act() {
            dead_letter_act_request::Act::Discard => "discard",
            dead_letter_act_request::Act::Approve => "approve",
            _ => "retry",
        };
        let Some(all) = letters::all_of(&request) else {
            // A few steps, and the target is told of them after the last.
            let shared = Arc::clone(&self.shared);
            let work = async move {
                letters::act(&shared, request, &actor)
                    .await
                    .map(Response::new)
            };
            return to_its_end(work).await;
        };
        // Many steps: whatever ends them in the middle, somebody asked for it.
        audit::note(&self.shared, &*actor, action, &all, "all of them").await;
        let reply = letters::act(&self.shared, request, &actor).await?;
        let done = format!("{} of them", reply.done);
        audit::note(&self.shared, actor, action, all, done).await;
        Ok(Response::new(reply))
    }

    async fn target_act(&self, request: Request<TargetActRequest>) -> Answer<TargetActReply> {
        let actor = audit::actor(&request);
        let request = request.into_inner();
        let (act, target) = (request.act(), request.target);
        let shared = Arc::clone(&self.shared);
        to_its_end(async move {
            let targets = &shared.targets;
            let (said, action) = match act {
                target_act_request::Act::Pause => (targets.pause(&target).await?, "pause"),
                target_act_request::Act::Resume => (targets.resume(&target).await?, "resume"),
                target_act_request::Act::Detach => (targets.detach(&target).await?, "detach"),
                target_act_request::Act::Unspecified => {
                    return Err(Status::invalid_argument("no act was named"));
                }
            };
            audit::note(&shared, actor, action, target, &said).await;
            Ok(Response::new(TargetActReply { said }))
        })
        .await
    }

    async fn audit(&self, request: Request<AuditRequest>) -> Answer<AuditReply> {
        let limit = match request.into_inner().limit {
            0 => 100,
            limit => (limit as usize).min(AUDIT_SHOWN_MAX),
        };
        let entries = ask(&self.shared.store, move |store| store.audit_entries(limit)).await;
        let entries = entries.map_err(failed)?;
        let broken = dray_store::AuditEntry::first_broken(&entries);
        let broken_id = broken.map_or(0, |entry| entry.id);
        let entries = entries.into_iter().map(|entry| AuditEntry {
            id: entry.id,
            at_us: entry.at_us,
            actor: entry.actor,
            action: entry.action,
            subject: entry.subject,
            detail: entry.detail,
            hash: hex::encode(entry.hash),
        });
        Ok(Response::new(AuditReply {
            entries: entries.collect(),
            broken_id,
        }))
    }

    async fn replays(&self, request: Request<ReplaysRequest>) -> Answer<ReplaysReply> {
        replays::list(&self.shared, request.into_inner())
            .await
            .map(Response::new)
    }

    async fn shadow(&self, request: Request<ShadowRequest>) -> Answer<ShadowReply> {
        let actor = audit::actor(&request);
        let request = request.into_inner();
        if request.clear {
            let target = request.target.clone();
            let reply = shadow::clear(&self.shared, request).await?;
            audit::note(&self.shared, actor, "clear shadow", target, "").await;
            return Ok(Response::new(reply));
        }
        shadow::report(&self.shared, request)
            .await
            .map(Response::new)
    }

    async fn plan_replay(&self, request: Request<PlanReplayRequest>) -> Answer<ReplayEntry> {
        let actor = audit::person(&request)?;
        replays::plan(&self.shared, request.into_inner(), &actor)
            .await
            .map(Response::new)
    }

    async fn replay_act(&self, request: Request<ReplayActRequest>) -> Answer<ReplayActReply> {
        let actor = audit::person(&request)?;
        replays::act(&self.shared, request.into_inner(), &actor)
            .await
            .map(|said| Response::new(ReplayActReply { said }))
    }

    async fn consumer_act(&self, request: Request<ConsumerActRequest>) -> Answer<ConsumerActReply> {
        let actor = audit::actor(&request);
        let request = request.into_inner();
        if request.act() != consumer_act_request::Act::Detach {
            return Err(Status::invalid_argument("no act was named"));
        }
        let name = request.consumer;
        if self.shared.readers.is_taken(&name) {
            return Err(Status::failed_precondition(format!(
                "consumer {name} is connected; stop its reader first"
            )));
        }
        let consumer = format!("feed:{name}");
        let known = consumer.clone();
        let detached = ask(&self.shared.store, move |store| {
            let known = store.consumers()?.contains(&known);
            if known {
                store.detach(&consumer)?;
            }
            Ok(known)
        });
        if detached.await.map_err(failed)? {
            tracing::info!(consumer = name, "a consumer is detached");
            audit::note(&self.shared, actor, "detach", &name, "").await;
            return Ok(Response::new(ConsumerActReply {
                said: format!("Consumer {name} is detached; it pins the log no longer."),
            }));
        }
        Err(Status::not_found(format!(
            "there is no consumer {name}; \"dray-collector status\" lists them"
        )))
    }
}

/// The feed's consumers under the names that readers gave; our own and the targets' are shown
/// elsewhere.
fn feed_consumer(consumer: ConsumerStatus) -> Option<ConsumerStatus> {
    let name = consumer.consumer.strip_prefix("feed:")?.to_owned();
    Some(ConsumerStatus {
        consumer: name,
        backlog: consumer.backlog,
    })
}

pub(crate) fn failed(error: StoreError) -> Status {
    Status::internal(error.to_string())
}

fn flow_name(name: &str) -> Result<FlowName, Status> {
    FlowName::parse(name).ok_or_else(|| {
        Status::invalid_argument(format!(
            "\"{name}\" is no flow: name its site, too, as in north/shipments"
        ))
    })
}
