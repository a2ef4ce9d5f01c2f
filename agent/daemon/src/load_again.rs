//! `dray-agent load-again`: all rows of one table come once more, from a running agent, or that is taken back.

use tonic::Code;

use crate::admin;
use crate::cli::LoadAgainArguments;
use crate::config::Config;
use crate::failure::Failure;
use crate::out;
use crate::preview::named;
use crate::status::unanswered;

/// Runs the command.
///
/// # Errors
/// [`Failure::Unreachable`] where no agent answers, [`Failure::Failed`] where it refuses.
pub fn command(config: &Config, wanted: &LoadAgainArguments) -> Result<(), Failure> {
    let flow = named(config, &wanted.flow)?.name.flow().to_owned();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    let runtime = runtime.map_err(|error| Failure::Failed(format!("no runtime: {error}")))?;
    let asked = runtime.block_on(admin::ask_load_again(
        &config.socket(),
        &flow,
        &wanted.table,
        wanted.cancel,
    ));
    let reply = asked.map_err(|status| match status.code() {
        Code::FailedPrecondition | Code::NotFound => Failure::Failed(status.message().to_owned()),
        _ => unanswered(config, &status),
    })?;
    let said = said(&flow, wanted, reply.stands, &reply.detail)?;
    out::put(&format!("{said}\n"));
    Ok(())
}

/// What becomes of a request. `stands`: it is on the agent's disk; if not, `why`, as far as that is known.
///
/// # Errors
/// [`Failure::Failed`] where it is not: who goes on then must not take it for done.
fn said(
    flow: &str,
    wanted: &LoadAgainArguments,
    stands: bool,
    why: &str,
) -> Result<String, Failure> {
    let table = &wanted.table;
    let why = match why {
        "" => String::new(),
        why => format!(" ({why})"),
    };
    match (stands, wanted.cancel) {
        (true, true) => Ok(format!(
            "The rows of {table} do not come again in flow \"{flow}\", but for those that did already."
        )),
        (true, false) => Ok(format!(
            "All rows of {table} come once more in flow \"{flow}\", whoever is killed. \"dray-agent status\" shows how far it is."
        )),
        (false, true) => Err(Failure::Failed(format!(
            "the rows of {table} are not taken back for good: the agent could not put that on its disk within a few seconds{why}. It does when it can; if it ends before, they come again: mend that and ask once more"
        ))),
        (false, false) => Err(Failure::Failed(format!(
            "it is only taken note of that the rows of {table} are to come once more: the flow could not begin within a few seconds{why}. It does when it can; if the agent ends before \"dray-agent status\" shows it, ask again"
        ))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_on_the_disk_is_a_failure() {
        let wanted = |cancel| LoadAgainArguments {
            flow: "movements".into(),
            table: "wms.stock".into(),
            cancel,
        };
        for (cancel, expected) in [
            (true, "are not taken back for good"),
            (false, "it is only taken note of"),
        ] {
            let wanted = wanted(cancel);
            assert!(said("movements", &wanted, true, "").is_ok());
            let told = said("movements", &wanted, false, "the disk is full");
            let Err(Failure::Failed(told)) = told else {
                panic!("{told:?}");
            };
            assert!(
                told.contains(expected) && told.contains("(the disk is full)"),
                "{told}"
            );
        }
    }
}
