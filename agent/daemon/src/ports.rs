//! Who listens where: an address and a port have one listener.

use std::net::{IpAddr, SocketAddr};

use crate::config::FlowConfig;

/// Why a flow can't listen where it is configured to: the agent does already, for its metrics or for another flow.
pub(crate) fn taken(
    flow: &FlowConfig,
    others: &[FlowConfig],
    metrics: Option<SocketAddr>,
) -> Option<String> {
    let listen = flow.source.listens()?;
    if let Some(metrics) = metrics.filter(|metrics| collide(*metrics, listen)) {
        return Some(format!(
            "listen = \"{listen}\" is where the agent's metrics are, {metrics}; give this flow another port, or write another one in metrics = \"...\", or \"off\""
        ));
    }
    others.iter().find_map(|other| {
        let theirs = other.source.listens()?;
        collide(theirs, listen).then(|| format!(
            "listen = \"{listen}\" is taken by flow \"{}\", which listens at {theirs}; give one of them another port, or put what is called here into that flow: one endpoint takes several operations or hooks",
            other.name.flow()
        ))
    })
}

/// Whether only one of two can be listened at. Port 0 stands for any that is free.
fn collide(one: SocketAddr, other: SocketAddr) -> bool {
    let (ours, theirs) = (one.ip().to_canonical(), other.ip().to_canonical());
    let is_same = ours == theirs || holds(ours, theirs) || holds(theirs, ours);
    one.port() == other.port() && one.port() != 0 && is_same
}

/// Whether who listens at `all` is reached by `one` too. On Linux `[::]` takes IPv4 as well (ipv6(7), IPV6_V6ONLY).
fn holds(all: IpAddr, one: IpAddr) -> bool {
    all.is_unspecified() && (all.is_ipv6() || one.is_ipv4())
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;
    use std::path::Path;

    use super::*;
    use crate::config::Config;

    fn at(text: &str) -> SocketAddr {
        text.parse().expect(text)
    }

    /// Whether both can be listened at. Somebody else may have the second one's port, but not five times.
    fn is_possible(one: IpAddr, other: IpAddr) -> bool {
        (0..5).any(|_| {
            let first = TcpListener::bind((one, 0)).expect("a free port");
            let port = first.local_addr().expect("an address").port();
            TcpListener::bind((other, port)).is_ok()
        })
    }

    #[test]
    fn addresses_collide_as_the_kernel_has_it() {
        for (one, other, expected) in [
            ("127.0.0.1", "127.0.0.1", true),
            ("127.0.0.1", "127.0.0.2", false),
            ("0.0.0.0", "127.0.0.1", true),
            ("::", "0.0.0.0", true),
            ("::", "127.0.0.1", true),
            ("::ffff:127.0.0.1", "127.0.0.1", true),
        ] {
            let (one, other): (IpAddr, IpAddr) =
                (one.parse().expect(one), other.parse().expect(other));
            for (one, other) in [(one, other), (other, one)] {
                let collides = collide((one, 8080).into(), (other, 8080).into());
                assert_eq!(collides, expected, "{one}, {other}");
                assert_eq!(is_possible(one, other), !expected, "{one}, {other}");
            }
        }
    }

    #[test]
    fn other_families_and_ports_do_not_collide() {
        for (one, other, expected) in [
            ("[::]:8080", "[::1]:8080", true),
            ("0.0.0.0:8080", "[::1]:8080", false),
            ("[::1]:8080", "127.0.0.1:8080", false),
            ("0.0.0.0:8080", "0.0.0.0:8081", false),
            ("127.0.0.1:0", "127.0.0.1:0", false),
        ] {
            assert_eq!(collide(at(one), at(other)), expected, "{one}, {other}");
            assert_eq!(collide(at(other), at(one)), expected, "{other}, {one}");
        }
    }

    /// Two endpoints, and where the metrics are.
    fn said(metrics: &str, calls: &str, hooks: &str) -> String {
        let mapping = "[[flow.mapping]]\nbody = \"generic\"\nkey = \"ID\"\nall_columns = true\n";
        let text = format!(
            "site = \"north\"\ndata_dir = \"/var/lib/dray-agent\"\ncollector = \"collector.example:7443\"\nmetrics = \"{metrics}\"
[[flow]]\nname = \"calls\"
[flow.source]\nkind = \"soap-receive\"\nlisten = \"{calls}\"
operation = [{{ name = \"Put\", root = \"Put\", fields = {{ ID = \"Id\" }} }}]\n{mapping}
[[flow]]\nname = \"hooks\"
[flow.source]\nkind = \"webhook\"\nlisten = \"{hooks}\"
hook = [{{ name = \"any\", format = {{ kind = \"json\", record = \"\", fields = {{ ID = \"id\" }} }} }}]\n{mapping}"
        );
        let parsed = Config::parse(Path::new("agent.toml"), &text);
        parsed
            .err()
            .map_or(String::new(), |error| error.to_string())
    }

    #[test]
    fn two_flows_or_the_metrics_at_one_port_are_refused_where_it_is_written() {
        assert_eq!(said("off", "0.0.0.0:8080", "0.0.0.0:8081"), "");
        let both = said("off", "0.0.0.0:8080", "127.0.0.1:8080");
        for words in [
            "agent.toml:20:",
            "flow \"hooks\": listen = \"127.0.0.1:8080\" is taken by flow \"calls\", which listens at 0.0.0.0:8080",
            "another port",
            "several operations or hooks",
        ] {
            assert!(both.contains(words), "{words}: {both}");
        }
        let metrics = said("127.0.0.1:9464", "0.0.0.0:9464", "0.0.0.0:8081");
        for words in [
            "agent.toml:9:",
            "flow \"calls\": listen = \"0.0.0.0:9464\" is where the agent's metrics are, 127.0.0.1:9464",
            "metrics = \"...\", or \"off\"",
        ] {
            assert!(metrics.contains(words), "{words}: {metrics}");
        }
    }
}
