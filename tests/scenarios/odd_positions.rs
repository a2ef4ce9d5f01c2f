//! Flows whose position is of another kind of source.

use dray_tests::{mariadb, postgres};

use crate::{folder, target_table, these_arrive_whole};
use dray_tests::site::Site;
use dray_tests::target::Target;

use crate::logs::numbers;

#[test]
fn a_position_of_another_kind_of_source_stops_the_flow_in_words_and_is_kept() {
    let (maria, postgres) = (mariadb::Server::start(), postgres::Server::start());
    let folder = folder("other-kind");
    let erp = Target::start(false).expect("a target");
    let targets = target_table("erp", &erp.url(), "");
    let flow = postgres.flow();
    postgres.insert(0..100);
    let mut site = Site::start(folder.path(), &[flow], &targets).expect("a site");
    assert!(
        erp.wait(crate::PATIENCE, |events| events == 100),
        "they come"
    );
    let config = std::fs::read_to_string(site.agent_config()).expect("a file");
    let own = postgres.source("public.movement");
    assert!(config.contains(&own), "{config}");
    let (head, _) = own.split_once("[[").expect("tables");
    let asked = format!(
        "{}table = \"movement\"\nmode = \"overlap\"\nid = \"place\"\n",
        head.replace(
            "kind = \"postgres\"",
            "kind = \"sql\"\ndriver = \"postgres\""
        )
    );
    let drops = folder.path().join("drops");
    std::fs::create_dir_all(&drops).expect("a folder");
    let dropped = format!(
        "kind = \"file-drop\"\nfolder = \"{}\"\npattern = \"*.csv\"\nformat = {{ kind = \"csv\" }}\n",
        drops.display()
    );
    for (other, expected) in [
        (
            maria.source("wms.movement"),
            "is none of a MariaDB or MySQL change log",
        ),
        (asked, "is none of a table that is asked"),
        (dropped, "position"),
    ] {
        site.agent
            .as_mut()
            .expect("it runs")
            .terminate()
            .expect("it ends");
        let changed = config.replace(&own, &other);
        let changed = changed.replace("record_type = \"public.movement\"\n", "");
        std::fs::write(site.agent_config(), changed).expect("a file");
        site.start_agent().expect("an agent");
        let agent = site.agent.as_ref().expect("it runs");
        let told = agent.wait_log("the flow stopped").expect("it stops");
        assert!(
            told.contains(expected) && told.contains("another name"),
            "{told}"
        );
    }
    postgres.insert(100..200);
    site.agent
        .as_mut()
        .expect("it runs")
        .terminate()
        .expect("it ends");
    std::fs::write(site.agent_config(), config).expect("a file");
    site.start_agent().expect("an agent");
    these_arrive_whole(&site, &erp, &numbers(0..200), "a position was kept");
}
