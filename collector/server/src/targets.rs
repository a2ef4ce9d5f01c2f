//! The targets that run, by name.

mod page;

use std::collections::BTreeMap;
use std::sync::Arc;

use dray_delivery::mask::Mask;
use dray_delivery::{
    AccountConfig, Accounts, FlowMetrics, Metrics, Target, TargetConfig, TargetHandle, actions,
    consumer,
};
use dray_proto::v1::{ConsumerStatus, FlowAtTarget, TargetStatus};
use dray_store::{Store, StoreError};
use tokio::sync::RwLock;
use tokio::task::JoinSet;
use tonic::Status;

use crate::admin::failed;
use crate::core::{ask, now_us};

/// The targets of the configuration.
pub(crate) struct Targets {
    store: Arc<dyn Store>,
    configs: BTreeMap<String, TargetConfig>,
    /// Of those that hide something.
    masks: BTreeMap<String, Mask>,
    accounts: Accounts,
    /// Written only where one is put away or started anew.
    running: RwLock<BTreeMap<String, TargetHandle>>,
}

impl Targets {
    /// Starts all of them; the error is a sentence.
    pub(crate) fn start(
        configs: &[TargetConfig],
        accounts: &[AccountConfig],
        store: Arc<dyn Store>,
    ) -> Result<Self, String> {
        let accounts = Accounts::new(accounts)?;
        let (mut running, mut masks) = (BTreeMap::new(), BTreeMap::new());
        for config in configs {
            running.insert(
                config.name.clone(),
                Target::start_among(config.clone(), &accounts, Arc::clone(&store))?,
            );
            if !config.mask.is_empty() {
                masks.insert(config.name.clone(), Mask::new(&config.mask)?);
            }
        }
        let configs = configs
            .iter()
            .map(|config| (config.name.clone(), config.clone()))
            .collect();
        Ok(Self {
            store,
            configs,
            masks,
            accounts,
            running: RwLock::new(running),
        })
    }

    /// What the commands show.
    pub(crate) async fn status(&self) -> Vec<TargetStatus> {
        let now_us = now_us();
        let status = |metrics: Metrics| TargetStatus {
            oldest_undelivered_ms: metrics
                .oldest_undelivered_us
                .map_or(0, |oldest| ((now_us - oldest) / 1_000).max(1) as u64),
            detail: match metrics.replay {
                _ if !metrics.detail.is_empty() => metrics.detail,
                (0, ..) => last(&metrics),
                (id, settled, total) => format!("replay {id}: {settled} of {total}"),
            },
            target: metrics.target,
            overdue: metrics.flows.iter().map(|flow| flow.overdue).sum(),
            breaker_since_us: metrics.broken.as_ref().map_or(0, |broken| broken.since_us),
            breaker_probes: metrics.broken.as_ref().map_or(0, |broken| broken.probes),
            breaker: metrics.broken.map_or(String::new(), |broken| broken.cause),
            state: metrics.state.as_str().to_owned(),
            delivered: metrics.delivered,
            backlog: metrics.backlog,
            dead: metrics.dead,
            held: metrics.held,
            waiting: metrics.waiting,
            missing_overdue: metrics.missing_overdue,
        };
        self.metrics().await.into_iter().map(status).collect()
    }

    /// Targets that are not in the configuration any more, and pin the log.
    pub(crate) async fn removed(&self) -> Result<Vec<TargetStatus>, StoreError> {
        let known: Vec<String> = self.configs.keys().cloned().collect();
        ask(&self.store, move |store| left_behind(store, &known)).await
    }

    /// Each flow at each target that takes it.
    pub(crate) async fn flows(&self) -> Vec<FlowAtTarget> {
        let metrics = self.metrics().await;
        let of = |target: &Metrics| {
            let name = target.target.clone();
            let flows = target.flows.clone();
            flows.into_iter().map(move |flow| at_target(&name, flow))
        };
        let mut flows: Vec<_> = metrics.iter().flat_map(of).collect();
        flows.sort_by(|a, b| (&a.flow, &a.target).cmp(&(&b.flow, &b.target)));
        flows
    }

    /// Whether the configuration has it.
    pub(crate) fn is_known(&self, name: &str) -> bool {
        self.configs.contains_key(name)
    }

    /// Appends Prometheus' text.
    pub(crate) async fn put_metrics(&self, out: &mut String) {
        page::put(out, &self.metrics().await);
    }

    /// Delivers nothing until resumed, restarts included.
    pub(crate) async fn pause(&self, name: &str) -> Result<String, Status> {
        let running = self.running.read().await;
        let handle = running.get(name).ok_or_else(|| unknown(name))?;
        handle
            .pause(&format!(
                "paused by an operator; \"dray-collector target resume {name}\" lets it go on"
            ))
            .await
            .map_err(Status::failed_precondition)?;
        Ok(format!(
            "Target {name} is paused; the log keeps what waits for it."
        ))
    }

    /// Goes on.
    pub(crate) async fn resume(&self, name: &str) -> Result<String, Status> {
        let running = self.running.read().await;
        let handle = running.get(name).ok_or_else(|| unknown(name))?;
        let account = handle.account_waits();
        handle.resume().await.map_err(Status::failed_precondition)?;
        let said = format!("Target {name} goes on.");
        Ok(match account {
            None => said,
            Some(why) => format!(
                "{said} Its account waited: {why}. That is ended, for all targets of the account."
            ),
        })
    }

    /// Forgets a target's place and its exceptions. One of the configuration stays paused until it is resumed.
    pub(crate) async fn detach(&self, name: &str) -> Result<String, Status> {
        let mut running = self.running.write().await;
        let config = self.configs.get(name);
        let detached = consumer(name);
        let known = ask(&self.store, move |store| {
            Ok(store.consumers()?.contains(&detached))
        })
        .await
        .map_err(failed)?;
        if config.is_none() && !known {
            return Err(unknown(name));
        }
        if let Some(handle) = running.remove(name) {
            handle.stop().await;
        }
        let detached = actions::detach(&self.store, name).await;
        // Whatever came of it, the target runs again, paused if it is detached.
        if let Some(config) = config {
            let handle =
                Target::start_among(config.clone(), &self.accounts, Arc::clone(&self.store))
                    .map_err(Status::failed_precondition)?;
            running.insert(name.to_owned(), handle);
        }
        detached.map_err(Status::internal)?;
        tracing::info!(target = name, "a target is detached");
        Ok(match config {
            Some(_) => format!(
                "Target {name} is detached and paused; it pins the log no longer. Take it out of the configuration, or \"dray-collector target resume {name}\" begins anew."
            ),
            None => format!("Target {name} is detached; it pins the log no longer."),
        })
    }

    /// A target of the configuration.
    pub(crate) fn config(&self, name: &str) -> Result<&TargetConfig, Status> {
        self.configs.get(name).ok_or_else(|| unknown(name))
    }

    /// A target's JSON without what its configuration hides.
    pub(crate) fn masked(&self, name: &str, json: &str) -> String {
        let mask = self.mask(name);
        mask.map_or_else(|| json.to_owned(), |mask| mask.json(json))
    }

    /// What a target's configuration hides, if anything.
    pub(crate) fn mask(&self, name: &str) -> Option<&Mask> {
        self.masks.get(name)
    }

    /// A change of a target's event without what its configuration hides.
    pub(crate) fn masked_change(&self, name: &str, change: &str) -> String {
        let mask = self.mask(name);
        mask.map_or_else(|| change.to_owned(), |mask| mask.change(change))
    }

    /// Its replays changed.
    pub(crate) async fn look_at_replays(&self, name: &str) {
        if let Some(handle) = self.running.read().await.get(name) {
            handle.look_at_replays().await;
        }
    }

    /// Its exceptions changed.
    pub(crate) async fn wake(&self, name: &str) {
        if let Some(handle) = self.running.read().await.get(name) {
            handle.wake().await;
        }
    }

    /// Lets deliveries in flight end, and stops.
    pub(crate) async fn stop(&self) {
        let mut stops = JoinSet::new();
        for handle in std::mem::take(&mut *self.running.write().await).into_values() {
            stops.spawn(handle.stop());
        }
        while stops.join_next().await.is_some() {}
    }

    async fn metrics(&self) -> Vec<Metrics> {
        self.running
            .read()
            .await
            .values()
            .map(TargetHandle::status)
            .collect()
    }
}

/// What is or was wrong with a target that runs.
fn last(metrics: &Metrics) -> String {
    let mut said = metrics.last_error.clone();
    if !said.is_empty() && metrics.last_error_us > 0 {
        let seconds = metrics.last_error_us.div_euclid(1_000_000);
        if let Ok(time) = jiff::Timestamp::from_second(seconds) {
            said += &time.strftime(" (%Y-%m-%d %H:%M:%SZ)").to_string();
        }
    }
    match metrics.failing {
        0 => said,
        failing => format!("{failing} event(s) failed and are tried again: {said}"),
    }
}

/// What a target that is not in the configuration any more leaves behind, which the log is kept for.
fn left_behind(store: &dyn Store, known: &[String]) -> Result<Vec<TargetStatus>, StoreError> {
    let mut left = Vec::new();
    for ConsumerStatus { consumer, backlog } in consumers(store)? {
        let Some(name) = dray_delivery::target_of(&consumer) else {
            continue;
        };
        if known.iter().any(|known| known == name) {
            continue;
        }
        left.push(TargetStatus {
            target: name.to_owned(),
            state: "removed".to_owned(),
            backlog,
            dead: store.exception_count(Some(name))?,
            detail: removed(name),
            ..TargetStatus::default()
        });
    }
    Ok(left)
}

/// The way out.
pub(crate) fn removed(name: &str) -> String {
    format!(
        "it is not in the configuration any more, and the log is kept for it: \"dray-collector target detach {name}\" lets it go"
    )
}

fn at_target(target: &str, flow: FlowMetrics) -> FlowAtTarget {
    let standing = flow.standing.as_ref();
    FlowAtTarget {
        flow: flow.flow.to_string(),
        target: target.to_owned(),
        phase: flow.phase.as_str().to_owned(),
        standing: standing.map_or(String::new(), dray_delivery::phase::Standing::sentence),
        since_us: standing.map_or(0, |standing| standing.since_us),
        class: flow.agreed.class.as_str().to_owned(),
        sla_ms: u64::try_from(flow.agreed.sla.as_millis()).unwrap_or(u64::MAX),
        owner: flow.agreed.owner.clone(),
        domain: flow.agreed.domain.clone(),
        runbook: flow.agreed.runbook.clone(),
        delivered: flow.delivered,
        backlog: flow.backlog,
        overdue: flow.overdue,
    }
}

fn unknown(name: &str) -> Status {
    Status::not_found(format!(
        "there is no target {name}; \"dray-collector status\" lists them"
    ))
}

/// All consumers that have a cursor, and how many events each has not finished.
pub(crate) fn consumers(store: &dyn Store) -> Result<Vec<ConsumerStatus>, StoreError> {
    let newest: Vec<_> = store
        .flows()
        .into_iter()
        .map(|flow| (store.held(&flow).newest_offset.0, flow))
        .collect();
    let mut found = Vec::new();
    for consumer in store.consumers()? {
        let cursors: BTreeMap<_, _> = store.cursors(&consumer)?.into_iter().collect();
        // A flow without a cursor may be none of the consumer's.
        let left = newest.iter().filter_map(|(newest, flow)| {
            let cursor = cursors.get(flow)?;
            Some(
                newest
                    .saturating_sub(cursor.through.0)
                    .saturating_sub(cursor.above.len()),
            )
        });
        let backlog = left.sum();
        found.push(ConsumerStatus { consumer, backlog });
    }
    Ok(found)
}
