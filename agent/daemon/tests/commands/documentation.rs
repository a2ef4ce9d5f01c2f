//! Flows that the documentation shows.

use std::path::Path;

use dray_agent::config::Config;

const HEAD: &str = "site = \"north\"\ndata_dir = \"/var/lib/dray-agent\"\ncollector = \"collector.example:7443\"\n";

#[test]
fn the_flows_of_the_documentation_are_good() {
    let page = include_str!("../../../../docs/files.md");
    let flows: Vec<&str> = page
        .split("```toml flow\n")
        .skip(1)
        .filter_map(|rest| rest.split("```").next())
        .collect();
    assert!(!flows.is_empty());
    for flow in flows {
        let text = format!("{HEAD}{flow}");
        let config = Config::parse(Path::new("agent.toml"), &text);
        assert!(config.is_ok(), "{flow}\n{:?}", config.err());
    }
}
