//! Servers that do not answer, or not to the end.

use dray_tests::line::Line;

use super::databases::{By, Database};
use super::{MAPPING, arrived, numbers, site};
use crate::{folder, these_arrive_whole, wait};

/// The source's port, as its text has it.
fn port(source: &str) -> u16 {
    let at = ["\nport = ", "Port="];
    let found = at.iter().find_map(|name| source.split_once(name));
    let (_, rest) = found.expect("a port");
    let digits: String = rest.chars().take_while(char::is_ascii_digit).collect();
    digits.parse().expect("a number")
}

#[test]
fn a_server_that_stops_in_the_midst_of_an_answer_is_given_up_and_asked_again() {
    for table in [Database::postgres(), Database::maria()] {
        for by in [By::ItsOwnDriver, By::Odbc] {
            let folder = folder("silent");
            let name = format!("silent_{by:?}").to_lowercase();
            table.make(&name);
            let rows = 20_000;
            table.insert_into(&name, 1..rows + 1);
            let source = table.reads(by, &name, "mode = \"overlap\"\nanswer_max = \"5s\"");
            let server = port(&source);
            let line = Line::start(server).expect("a line");
            // So narrow that an answer is on its way at any time.
            line.limit(Some(300_000));
            let source = source.replace(&server.to_string(), &line.port().to_string());
            let (site, erp) = site(&source, MAPPING, &folder);
            arrived(&erp, 3_000, "a part");
            let before = line.connections();
            line.go_silent();
            let agent = site.agent.as_ref().expect("it runs");
            let said = agent.wait_log("did not answer within 5 s");
            said.expect("it is given up");
            // It is asked again, and hangs there: that is no going on.
            wait("it is asked again", || line.connections() > before);
            let told = site.agent_command(&["status"]).expect("it answers");
            let told = String::from_utf8_lossy(&told.stdout).into_owned();
            assert!(
                told.contains("waiting") && told.contains("did not answer within 5 s"),
                "{told}"
            );
            line.speak();
            line.limit(None);
            let what = format!("a silent server, {name}");
            these_arrive_whole(&site, &erp, &numbers(1..rows + 1), &what);
        }
    }
}

#[test]
fn a_statement_that_takes_too_long_is_given_up_by_the_server_itself() {
    for table in [Database::postgres(), Database::maria()] {
        let (seconds, slept, schema) = match table {
            Database::Maria(_) => ("double", "SLEEP(s) = 0", "wms."),
            _ => ("double precision", "pg_sleep(s)::text = ''", ""),
        };
        table.run(&format!("CREATE TABLE {schema}slow (s {seconds})"));
        if schema.is_empty() {
            table.run("GRANT SELECT ON slow TO dray");
        }
        for by in [By::ItsOwnDriver, By::Odbc] {
            let folder = folder("slow");
            let name = format!("slow_{by:?}").to_lowercase();
            table.make(&name);
            table.run(&format!(
                "DELETE FROM {schema}slow; INSERT INTO {schema}slow VALUES (60)"
            ));
            table.insert_into(&name, 1..4);
            let source = format!(
                "{}query = \"SELECT m.* FROM {name} m, slow WHERE {slept}\"\nrecord_type = \"moved\"\nid = \"id\"\nmode = \"overlap\"\nanswer_max = \"4s\"\n",
                table.source(by)
            );
            let (site, erp) = site(&source, MAPPING, &folder);
            let agent = site.agent.as_ref().expect("it runs");
            let expected = match table {
                Database::Maria(_) => "max_statement_time exceeded",
                _ => "canceling statement due to statement timeout",
            };
            agent.wait_log(expected).expect("the server says so");
            table.run(&format!("UPDATE {schema}slow SET s = 0"));
            these_arrive_whole(&site, &erp, &numbers(1..4), &name);
        }
    }
}
