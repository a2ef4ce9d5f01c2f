//! A running target, from outside.

use std::future::Future;
use std::sync::Arc;

use dray_store::Store;
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;
use tracing::Instrument;

use crate::account::{Account, Accounts};
use crate::batch::Renderer;
use crate::config::TargetConfig;
use crate::connectors::{self, Connector};
use crate::engine::{Control, Engine, Parts, STOP_WAIT, guarded};
use crate::shadow::Shadow;
use crate::status::{Metrics, Shared, State};
use crate::template::Template;
use crate::vet::{Rules, Vetting};

/// Commands that may wait for the engine.
const CONTROLS_MAX: usize = 16;

/// The way to start one.
#[derive(Debug)]
pub struct Target;

impl Target {
    /// Checks the configuration, reads the secret and the CA, and starts the engine on the current runtime.
    ///
    /// # Errors
    /// A sentence: what is wrong with the configuration or its files.
    pub fn start(config: TargetConfig, store: Arc<dyn Store>) -> Result<TargetHandle, String> {
        Self::start_among(config, &Accounts::default(), store)
    }

    /// The same with the accounts that targets share.
    ///
    /// # Errors
    /// As [`Self::start`].
    pub fn start_among(
        config: TargetConfig,
        accounts: &Accounts,
        store: Arc<dyn Store>,
    ) -> Result<TargetHandle, String> {
        let mut config = config;
        if config.is_single() {
            config.batch = 1;
        }
        let (connector, renderer, account, rules) = prepare(&config, accounts)?;
        let shadow = shadow(&config, account.clone())?;
        let shared = Arc::new(Shared::new(&config.name));
        let (controls, received) = mpsc::channel(CONTROLS_MAX);
        let name = config.name.clone();
        let span = tracing::info_span!("target", name);
        let vetting = Vetting::new(&name, Arc::clone(&store), rules);
        let engine = Engine::new(
            config,
            store,
            Arc::clone(&shared),
            received,
            Parts {
                connector,
                renderer,
                shadow,
                vetting,
                account: account.clone(),
            },
        );
        let task = tokio::spawn(guarded(engine).instrument(span));
        Ok(TargetHandle {
            name,
            shared,
            controls,
            account,
            task: Some(task),
        })
    }

    /// What [`Self::start`] would refuse; connects to nothing.
    #[must_use]
    pub fn check(config: &TargetConfig, accounts: &Accounts) -> Vec<String> {
        let wrong = config.validate();
        if !wrong.is_empty() {
            return wrong;
        }
        match prepare(config, accounts) {
            Ok((_, _, account, _)) => shadow(config, account).err().into_iter().collect(),
            Err(wrong) => vec![wrong],
        }
    }
}

fn shadow(config: &TargetConfig, account: Option<Arc<Account>>) -> Result<Shadow, String> {
    Shadow::build(config, account).map_err(|reason| format!("target {:?}: {reason}", config.name))
}

type Prepared = (Arc<dyn Connector>, Renderer, Option<Arc<Account>>, Rules);

fn prepare(config: &TargetConfig, accounts: &Accounts) -> Result<Prepared, String> {
    if let Some(wrong) = config.validate().into_iter().next() {
        return Err(wrong);
    }
    let said = |reason: String| format!("target {:?}: {reason}", config.name);
    let account = accounts.of(&config.account).map_err(said)?;
    let connector = connectors::build(config, account.clone()).map_err(said)?;
    let renderer = if config.template.is_empty() {
        Renderer::Plan
    } else {
        let template = Template::compile(
            &config.template,
            &config.vars,
            &config.kept_names(),
            &config.bodies,
        )
        .map_err(said)?;
        Renderer::Template(Box::new(template))
    };
    let rules = Rules::compile(config, true).map_err(said)?;
    Ok((connector, renderer, account, rules))
}

/// A running target. Dropped without [`Self::stop`], it ends at once, as if killed: what was in flight is sent
/// again by the next start.
#[derive(Debug)]
pub struct TargetHandle {
    name: String,
    shared: Arc<Shared>,
    controls: mpsc::Sender<Control>,
    account: Option<Arc<Account>>,
    task: Option<JoinHandle<()>>,
}

impl TargetHandle {
    /// The target's name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// How it is doing: at most 50 ms old while something happens.
    #[must_use]
    pub fn status(&self) -> Metrics {
        let mut metrics = self.shared.snapshot();
        if let (State::Running, Some(why)) = (metrics.state, self.account_waits()) {
            metrics.state = State::Waiting;
            metrics.detail = format!(
                "its account waits: {why}; \"dray-collector target resume {}\" ends that",
                self.name
            );
        }
        metrics
    }

    /// Why its account lets nothing leave, and until when.
    #[must_use]
    pub fn account_waits(&self) -> Option<String> {
        let (until, why) = self.account.as_ref()?.paused()?;
        let until = until.strftime("%Y-%m-%d %H:%M:%SZ");
        Some(format!("{why} (until {until})"))
    }

    /// Waits until the figures are as asked for, or the engine ended; returns them.
    pub async fn wait_for(&self, enough: impl Fn(&Metrics) -> bool) -> Metrics {
        let mut changed = self.shared.changed.subscribe();
        loop {
            let metrics = self.status();
            if enough(&metrics)
                || metrics.state == crate::State::Stopped
                || changed.changed().await.is_err()
            {
                return metrics;
            }
        }
    }

    /// Stops sending until it is resumed, over restarts too. Requests in flight end as they do.
    ///
    /// # Errors
    /// A sentence: the store cannot write it down, or the engine ended.
    pub async fn pause(&self, why: &str) -> Result<(), String> {
        self.ask(|answer| Control::Pause(why.to_owned(), answer))
            .await
    }

    /// Lets a paused target go on; also ends a wait, its account's too.
    ///
    /// # Errors
    /// As [`Self::pause`].
    pub async fn resume(&self) -> Result<(), String> {
        if let Some(account) = &self.account {
            account.go_on();
        }
        self.ask(Control::Resume).await
    }

    /// Its exceptions were changed ([`crate::actions`]): look at them again.
    pub async fn wake(&self) {
        let _ = self.controls.send(Control::Wake).await;
    }

    /// Its replays were changed ([`crate::replay`]): look at them again.
    pub async fn look_at_replays(&self) {
        let _ = self.controls.send(Control::Replays).await;
    }

    /// Ends it: nothing new is sent, requests in flight get [`crate::engine::STOP_WAIT`], what came of them is written
    /// down.
    pub async fn stop(mut self) {
        let _ = self.controls.send(Control::Stop).await;
        if let Some(task) = &mut self.task {
            // Twice as long, for the last step; a store that does not answer must not hold up the process.
            let _ = tokio::time::timeout(STOP_WAIT * 2, task).await;
        }
    }

    /// Ends it at once, as if the process were killed; returns when its task has ended.
    pub async fn kill(mut self) {
        if let Some(task) = self.task.take() {
            task.abort();
            let _ = task.await;
        }
    }

    fn ask(
        &self,
        control: impl FnOnce(oneshot::Sender<Result<(), String>>) -> Control,
    ) -> impl Future<Output = Result<(), String>> {
        let (answer, answered) = oneshot::channel();
        let control = control(answer);
        let (controls, shared) = (self.controls.clone(), Arc::clone(&self.shared));
        async move {
            let ended = || match shared.snapshot().detail.as_str() {
                "" => "the target's engine has ended".to_owned(),
                why => format!("the target is stopped: {why}"),
            };
            controls.send(control).await.map_err(|_| ended())?;
            answered.await.map_err(|_| ended())?
        }
    }
}

impl Drop for TargetHandle {
    fn drop(&mut self) {
        if let Some(task) = &self.task {
            task.abort();
        }
    }
}
