//! What a server's errors mean: that a part of its log is gone, that a right is missing, or that it is to be tried again.

use dray_adapter::GapReason;
use mysql_async::Error;

use super::config::MySqlConfig;
use super::session::{account, connect, server};
use crate::reader::Trouble;
use crate::words;

/// A server's error: what is asked of its log is not there.
const LOG_GONE: u16 = 1_236;

/// Whether it means that the log that comes next is not there: what happened, in words.
pub(super) fn gap(config: &MySqlConfig, error: &Error) -> Option<(GapReason, String)> {
    let Error::Server(said) = error else {
        return None;
    };
    if said.code != LOG_GONE {
        return None;
    }
    let says = |all: &[&str]| all.iter().any(|words| said.message.contains(words));
    let is_gone = says(&["purged", "too old", "Could not find first log file"]);
    // The same number tells of much that passes: a full disk, a packet that is too large, another reader of our number.
    if !is_gone && !says(&["not in the master's binlog", "diverged", "has more GTIDs"]) {
        return None;
    }
    let server = server(config);
    Some(match is_gone {
        true => (
            GapReason::LogDropped,
            format!(
                "the server {server} does not have the log any more that comes next ({})",
                said.message
            ),
        ),
        false => (
            GapReason::OtherServer,
            format!(
                "the server {server} has another log than before ({})",
                said.message
            ),
        ),
    })
}

/// What an error means. Who is refused may be let in later, so only what no time mends stops the flow.
pub(super) fn trouble(config: &MySqlConfig, error: &Error) -> Trouble {
    let server = server(config);
    let Error::Server(said) = error else {
        let said = words::of(&error.to_string());
        return Trouble::Passing(format!("the server {server}: {said}"));
    };
    let way_out = match said.code {
        // Access denied to a command, to a table, to columns; no such table; refused.
        1_227 => format!(
            "; let the DBA run GRANT REPLICATION SLAVE, BINLOG MONITOR ON *.* TO {THE_USER}; (MySQL: REPLICATION SLAVE, REPLICATION CLIENT)"
        ),
        1_142 | 1_143 => {
            let table = refused_table(&said.message);
            format!("; let the DBA run GRANT SELECT ON {table} TO {THE_USER};")
        }
        1_045 => "; look at user, password_file, from where the server lets the user in, and whether it wants TLS".to_owned(),
        _ => String::new(),
    };
    Trouble::Passing(format!("the server {server}: {}{way_out}", said.message))
}

/// Stands in what is said until the server was asked who it takes the flow for.
const THE_USER: &str = "the flow's user";

/// The same, with who the server takes the flow for where a GRANT must name that.
pub(super) async fn with_account(config: &MySqlConfig, trouble: Trouble) -> Trouble {
    let (Trouble::Passing(said) | Trouble::Person(said)) = &trouble;
    if !said.contains(THE_USER) {
        return trouble;
    }
    let asked = async {
        let mut conn = connect(config).await?;
        account(config, &mut conn).await
    };
    let Ok(account) = asked.await else {
        return trouble;
    };
    match trouble {
        Trouble::Passing(said) => Trouble::Passing(said.replace(THE_USER, &account)),
        Trouble::Person(said) => Trouble::Person(said.replace(THE_USER, &account)),
    }
}

/// The table that may not be read, by the server's words, as a GRANT names it: `... command denied to user ... for table `wms`.`stock``.
fn refused_table(said: &str) -> &str {
    let named = said.rsplit_once("table ").map(|(_, name)| name.trim());
    // Older servers leave out its schema.
    named
        .filter(|name| name.starts_with('`') && name.contains("`.`"))
        .unwrap_or("the table")
}

/// Whether it is said that a table may not be read: that does not pass by itself.
pub(super) fn is_refusal(said: &str) -> bool {
    said.contains("command denied to user")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_that_may_not_be_read_is_named_as_a_grant_names_it() {
        for (said, expected) in [
            (
                "SELECT command denied to user 'dray'@'127.0.0.1' for table `wms`.`stock`",
                "`wms`.`stock`",
            ),
            (
                "SELECT command denied to user 'dray'@'127.0.0.1' for column 'n' in table `wms`.`stock`",
                "`wms`.`stock`",
            ),
            (
                "SELECT command denied to user 'dray'@'127.0.0.1' for table 'stock'",
                "the table",
            ),
        ] {
            assert!(is_refusal(said));
            assert_eq!(refused_table(said), expected, "{said}");
        }
    }
}
