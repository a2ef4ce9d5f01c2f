//! A database that was restored, and went on further than was read.

use dray_tests::site::Site;
use dray_tests::target::Target;

use super::super::{AS_IT_IS, fields, kill_agent, site};
use super::LookAlike;
use super::replay::text;
use crate::{folder, wait};

#[derive(Debug, Clone, Copy, PartialEq)]
enum Told {
    Captured,
    Tracked,
}

impl Told {
    fn source(self, alike: &LookAlike, rest: &str) -> String {
        match self {
            Self::Captured => alike.captured(&format!("first_load = false\n{rest}")),
            Self::Tracked => alike.tracked(&format!("first_load = false\n{rest}")),
        }
    }

    fn has_begun(self, site: &Site) {
        let agent = site.agent.as_ref().expect("it runs");
        let begun = match self {
            Self::Captured => "captured changes are read",
            Self::Tracked => "tracked changes are read",
        };
        agent.wait_log(begun).expect("it begins");
    }

    fn insert(self, alike: &LookAlike, id: u64) {
        match self {
            Self::Captured => alike.insert(id..id + 1),
            Self::Tracked => {
                alike.run(&format!("INSERT INTO dbo.held VALUES (1, {id}, 'HD', 1)"));
            }
        }
    }
}

/// The flow has read three rows; then another fork of the database has three more.
fn restored(by: Told, rest: &str) -> (tempfile::TempDir, LookAlike, Site, Target) {
    let folder = folder("told-restored");
    let alike = LookAlike::start();
    let (mut site, erp) = site(&by.source(&alike, rest), AS_IT_IS, &folder);
    by.has_begun(&site);
    for id in 1..4 {
        by.insert(&alike, id);
    }
    wait("what was there", || fields(&site).len() >= 3);
    kill_agent(&mut site);
    alike.run("UPDATE sys.database_recovery_status SET recovery_fork_guid = gen_random_uuid()");
    for id in 4..7 {
        by.insert(&alike, id);
    }
    site.start_agent().expect("an agent");
    (folder, alike, site, erp)
}

#[test]
fn a_database_that_was_restored_and_went_on_stops_the_flow_in_words() {
    for by in [Told::Captured, Told::Tracked] {
        let (_folder, _alike, site, _erp) = restored(by, "");
        let agent = site.agent.as_ref().expect("it runs");
        let said = agent.wait_log("the flow stopped").expect("it stops");
        for part in ["it was restored, or is another one", "on_gap = "] {
            assert!(said.contains(part), "{said}");
        }
        assert_eq!(fields(&site).len(), 3, "{by:?}");
    }
}

#[test]
fn behind_a_restore_a_flow_goes_on_as_it_is_told_to_and_says_so_once() {
    for by in [Told::Captured, Told::Tracked] {
        for (policy, course, loaded) in [("go-on", "went_on", 0), ("load-again", "loads_again", 6)]
        {
            let (_folder, alike, mut site, _erp) = restored(by, &format!("on_gap = \"{policy}\""));
            wait("the gap", || fields(&site).len() == 4 + loaded);
            let events = site.log_events().expect("the log");
            let gap = &events[3]["data"];
            assert_eq!(
                (text(gap, "reason"), text(gap, "course")),
                ("other_server".into(), course.into()),
                "{by:?}"
            );
            // The fork that it is now is known from here on.
            kill_agent(&mut site);
            by.insert(&alike, 9);
            site.start_agent().expect("an agent");
            wait("it goes on", || {
                fields(&site)
                    .last()
                    .is_some_and(|one| text(one, "id") == "9")
            });
            assert_eq!(fields(&site).len(), 5 + loaded, "{by:?} {policy}");
        }
    }
}

#[test]
fn a_delete_of_a_row_that_is_there_is_an_update() {
    let folder = folder("ct-kb");
    let alike = LookAlike::start();
    let source = Told::Tracked.source(&alike, "");
    let (site, _erp) = site(&source, AS_IT_IS, &folder);
    Told::Tracked.has_begun(&site);
    Told::Tracked.insert(&alike, 1);
    wait("a row", || fields(&site).len() == 1);
    // As servers tell some updates that have not the fix KB4135113.
    alike.run("ALTER TABLE dbo.held DISABLE TRIGGER track; UPDATE dbo.held SET quantity = 7; INSERT INTO sys.tracked VALUES (2, 'D', 1, 1); UPDATE sys.versions SET newest = 2");
    wait("a change", || fields(&site).len() == 2);
    let change = fields(&site).pop().expect("a change");
    assert_eq!(
        (text(&change, "_op"), text(&change, "quantity")),
        ("update".into(), "7.000".into())
    );
}
