//! Numbers and names that must never be mixed up.

use std::fmt;
use std::sync::Arc;

macro_rules! number {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug, Default)]
        pub struct $name(pub u64);

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(&self.0, f)
            }
        }
    };
}

number! {
    /// An event's number in its flow and epoch, from 1, without gaps; given by the agent's buffer.
    Sequence
}
number! {
    /// An event's number in the collector's log of its flow, from 1, without gaps.
    Offset
}

/// A flow's full name: `site/flow`. Cheap to clone.
///
/// Both parts: 1 to 63 of `a-z`, `0-9`, `-`, `_`, beginning with a letter or digit.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct FlowName(Arc<str>);

impl FlowName {
    /// Joins site and flow; `None` if either is not a name as above.
    #[must_use]
    pub fn new(site: &str, flow: &str) -> Option<Self> {
        (is_name(site) && is_name(flow)).then(|| Self(format!("{site}/{flow}").into()))
    }

    /// Reads `site/flow`.
    #[must_use]
    pub fn parse(full: &str) -> Option<Self> {
        let (site, flow) = full.split_once('/')?;
        Self::new(site, flow)
    }

    /// The site's part.
    #[must_use]
    pub fn site(&self) -> &str {
        self.0.split_once('/').map_or("", |(site, _)| site)
    }

    /// The flow's part.
    #[must_use]
    pub fn flow(&self) -> &str {
        self.0.split_once('/').map_or("", |(_, flow)| flow)
    }

    /// `site/flow`.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Whether `name` may name a site, a flow, a target or a consumer.
#[must_use]
pub fn is_name(name: &str) -> bool {
    let tail = |byte: u8| {
        byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-' || byte == b'_'
    };
    (1..=63).contains(&name.len())
        && name.bytes().all(tail)
        && name.as_bytes()[0].is_ascii_alphanumeric()
}

impl fmt::Display for FlowName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for FlowName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flow_name_is_two_plain_names() {
        for (input, expected) in [
            ("north/shipments", true),
            ("north/ship-ments_2", true),
            ("7/1", true),
            ("north", false),
            ("north/", false),
            ("/x", false),
            ("north/a/b", false),
            ("North/a", false),
            ("north/-a", false),
            ("north/a b", false),
        ] {
            assert_eq!(FlowName::parse(input).is_some(), expected, "{input}");
        }
        let name = FlowName::parse("north/shipments").expect("a good name");
        assert_eq!((name.site(), name.flow()), ("north", "shipments"));
    }
}
