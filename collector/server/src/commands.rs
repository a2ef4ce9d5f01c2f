//! The commands: what a person asks a running collector, and how it is shown.

mod client;
mod dead_letters;
mod flows;
mod out;
mod presets;
mod replay;
mod shadow;
mod show;
mod tail;

use std::path::Path;

use dray_proto::FlowName;
use dray_proto::shown::lines;
use dray_proto::v1::consumer_act_request::Act as ConsumerActKind;
use dray_proto::v1::site_act_request::Act as SiteActKind;
use dray_proto::v1::target_act_request::Act as TargetActKind;
use dray_proto::v1::{
    AcceptGapRequest, AuditRequest, CollectorStatusRequest, ConsumerActRequest, InviteRequest,
    SiteActRequest, SitesRequest, TargetActRequest,
};

use crate::check::{self, Verdict};
use crate::cli::{Command, Consumer, Sites, Target};
use crate::config::Config;
use crate::core::now_s;
use crate::failure::Failure;
use crate::identity::Authority;
use client::{connect, said};
use out::say;

pub use presets::run as presets;

/// Runs one command and prints its answer.
///
/// # Errors
/// [`Failure`], a sentence with the way out.
pub async fn run(command: Command, config: &Config) -> Result<(), Failure> {
    match command {
        Command::Run => crate::run::until_signal(config.clone()).await,
        Command::Check => check(config).await,
        Command::Reader { name, out, days } => reader(config, &name, &out, days),
        Command::Tail(arguments) => tail::run(config, arguments).await,
        Command::Shadow(arguments) => shadow::run(config, arguments).await,
        Command::Flows { json } => flows::run(config, json).await,
        Command::DeadLetters { command } => dead_letters::run(config, command).await,
        Command::Replay { command } => replay::run(config, command).await,
        Command::Invite { site } => invite(config, site).await,
        Command::Sites {
            command: Some(Sites::Revoke { agent }),
        } => {
            let request = SiteActRequest {
                act: SiteActKind::Revoke as i32,
                agent,
                ..SiteActRequest::default()
            };
            site_act(config, request).await
        }
        Command::Sites {
            command: Some(Sites::Move { flow, to }),
        } => {
            let request = SiteActRequest {
                act: SiteActKind::Move as i32,
                agent: to,
                flow,
            };
            site_act(config, request).await
        }
        Command::Sites { .. } => {
            let reply = connect(config)
                .await?
                .sites(SitesRequest {})
                .await
                .map_err(said)?
                .into_inner();
            show::sites(&reply.sites);
            Ok(())
        }
        Command::Resume { flow, .. } => {
            let reply = connect(config)
                .await?
                .accept_gap(AcceptGapRequest { flow })
                .await
                .map_err(said)?
                .into_inner();
            say!("{}", lines(&reply.said));
            Ok(())
        }
        Command::Audit { limit, json } => {
            let answer = connect(config).await?.audit(AuditRequest { limit }).await;
            let reply = answer.map_err(said)?.into_inner();
            show::audit(&reply.entries, json);
            match reply.broken_id {
                0 => Ok(()),
                id => Err(Failure::Failed(format!(
                    "entry {id} does not follow from the one before it: somebody changed state.db, or took an entry out of it"
                ))),
            }
        }
        Command::Presets { .. } => Err(Failure::Failed(
            "presets are shown without a running collector".into(),
        )),
        Command::Status => {
            let status = connect(config)
                .await?
                .status(CollectorStatusRequest {})
                .await
                .map_err(said)?
                .into_inner();
            show::status(&status);
            Ok(())
        }
        Command::Target { command } => target(config, command).await,
        Command::Consumer {
            command: Consumer::Detach { name },
        } => {
            let request = ConsumerActRequest {
                act: ConsumerActKind::Detach as i32,
                consumer: name,
            };
            let reply = connect(config)
                .await?
                .consumer_act(request)
                .await
                .map_err(said)?
                .into_inner();
            say!("{}", lines(&reply.said));
            Ok(())
        }
    }
}

async fn site_act(config: &Config, request: SiteActRequest) -> Result<(), Failure> {
    let answer = connect(config).await?.site_act(request).await;
    say!("{}", lines(&answer.map_err(said)?.into_inner().said));
    Ok(())
}

async fn target(config: &Config, command: Target) -> Result<(), Failure> {
    let (act, target) = match command {
        Target::Pause { name } => (TargetActKind::Pause, name),
        Target::Resume { name } => (TargetActKind::Resume, name),
        Target::Detach { name } => (TargetActKind::Detach, name),
    };
    let request = TargetActRequest {
        act: act as i32,
        target,
    };
    let reply = connect(config)
        .await?
        .target_act(request)
        .await
        .map_err(said)?
        .into_inner();
    say!("{}", lines(&reply.said));
    Ok(())
}

async fn invite(config: &Config, site: String) -> Result<(), Failure> {
    let request = InviteRequest { site: site.clone() };
    let reply = connect(config)
        .await?
        .invite(request)
        .await
        .map_err(said)?
        .into_inner();
    // The token alone goes to stdout, so that a script can take it.
    say!("{}", reply.token);
    let ends = show::time_s(reply.ends_s);
    eprintln!("For one agent of site \"{site}\", once, until {ends}: dray-agent enroll TOKEN");
    Ok(())
}

/// The flows of the collector that runs with this configuration, as far as one does.
async fn sent(config: &Config) -> Option<Vec<FlowName>> {
    let mut client = connect(config).await.ok()?;
    let status = client.status(CollectorStatusRequest {}).await.ok()?;
    let flows = status.into_inner().flows.into_iter();
    Some(
        flows
            .filter_map(|flow| FlowName::parse(&flow.flow))
            .collect(),
    )
}

async fn check(config: &Config) -> Result<(), Failure> {
    let sent = sent(config).await.unwrap_or_default();
    let config = config.clone();
    let trials = tokio::task::spawn_blocking(move || check::try_all(&config, &sent));
    let findings = trials
        .await
        .map_err(|error| Failure::Failed(error.to_string()))?;
    for finding in &findings {
        let mark = match finding.verdict {
            Verdict::Fine => "✓",
            Verdict::Warning => "!",
            Verdict::Wrong => "✗",
        };
        let words = [mark, &finding.what, &finding.said];
        let words: Vec<_> = words.into_iter().filter(|word| !word.is_empty()).collect();
        say!("{}", words.join(" "));
    }
    let count = |verdict| {
        findings
            .iter()
            .filter(|finding| finding.verdict == verdict)
            .count()
    };
    match (count(Verdict::Wrong), count(Verdict::Warning)) {
        (0, 0) => say!("The configuration is fine."),
        (0, warnings) => say!("The configuration is fine, with {warnings} warning(s)."),
        (wrong, _) => {
            return Err(Failure::Setup(format!(
                "{wrong} thing(s) above must be put right before the collector can run"
            )));
        }
    }
    Ok(())
}

/// Signs with the CA's own files: whoever may read them may do so, whether the collector runs or not.
fn reader(config: &Config, name: &str, out: &Path, days: u32) -> Result<(), Failure> {
    if !dray_proto::is_name(name) {
        return Err(Failure::Failed(format!(
            "\"{name}\" cannot name a reader: use 1 to 63 of a-z, 0-9, - and _"
        )));
    }
    let authority = Authority::open(&config.ca_dir()).map_err(|error| {
        Failure::Failed(format!("{error}; the first \"dray-collector run\" makes the CA, and this command must run as its user"))
    })?;
    let (key, issued) = authority
        .reader(name, days, now_s())
        .map_err(|error| Failure::Failed(error.to_string()))?;
    let files = [
        (format!("{name}.key"), key.as_str(), 0o600),
        (
            format!("{name}.pem"),
            issued.certificate_pem.as_str(),
            0o644,
        ),
        ("ca.pem".to_owned(), authority.certificate_pem(), 0o644),
    ];
    for (file, content, mode) in files {
        let path = out.join(file);
        put(&path, content, mode)
            .map_err(|error| Failure::Failed(format!("{}: {error}", path.display())))?;
    }
    say!(
        "{name}.key, {name}.pem and ca.pem are in {}; the certificate ends {}",
        out.display(),
        show::time_s(issued.ends_s)
    );
    Ok(())
}

fn put(path: &Path, content: &str, mode: u32) -> std::io::Result<()> {
    use std::io::Write as _;
    use std::os::unix::fs::OpenOptionsExt as _;
    let mut file = std::fs::OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(mode)
        .open(path)?;
    file.write_all(content.as_bytes())
}
