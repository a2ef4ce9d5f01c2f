//! `dray-agent load-again`: all rows of one table come once more, from a running agent, or that is taken back.

use tonic::Code;

use crate::admin;
use crate::cli::LoadAgainArguments;
use crate::config::Config;
use crate::failure::Failure;
use crate::preview::named;
use crate::status::unanswered;

/// Runs the command.
///
/// # Errors
/// [`Failure::Unreachable`] where no agent answers, [`Failure::Failed`] where it refuses.
pub fn command(config: &Config, wanted: &LoadAgainArguments) -> Result<(), Failure> {
    let flow = named(config, &wanted.flow)?.name.flow().to_owned();
    let table = &wanted.table;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    let runtime = runtime.map_err(|error| Failure::Failed(format!("no runtime: {error}")))?;
    let asked = runtime.block_on(admin::ask_load_again(
        &config.socket(),
        &flow,
        table,
        wanted.cancel,
    ));
    let reply = asked.map_err(|status| match status.code() {
        Code::FailedPrecondition | Code::NotFound => Failure::Failed(status.message().to_owned()),
        _ => unanswered(config, &status),
    })?;
    match (reply.stands, &*reply.detail) {
        (true, _) if wanted.cancel => println!(
            "The rows of {table} do not come again in flow \"{flow}\", but for those that did already."
        ),
        (true, _) => println!(
            "All rows of {table} come once more in flow \"{flow}\", whoever is killed. \"dray-agent status\" shows how far it is."
        ),
        (false, why) => {
            let why = match why {
                "" => String::new(),
                why => format!(" ({why})"),
            };
            println!(
                "It is only taken note of: the flow could not begin within a few seconds{why}. It does when it can; if the agent ends before \"dray-agent status\" shows it, ask again."
            );
        }
    }
    Ok(())
}
