//! Reads what a configuration says besides its flows.

use std::net::SocketAddr;
use std::path::PathBuf;

use bytesize::ByteSize;
use dray_proto::is_name;
use serde::Deserialize;
use serde::de::IgnoredAny;
use toml::Spanned;

use crate::config::{BUFFER_BYTES_MIN, DATA_DIR_BYTES_MAX};
use crate::config_parts::{Part, Reader, Within};

/// Outside of any section.
pub(crate) const TOP: Within<'static> = Within {
    prefix: "",
    section: "",
};

/// The settings that stand before the first section.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Head {
    site: Spanned<String>,
    data_dir: Spanned<PathBuf>,
    collector: Spanned<String>,
    metrics: Option<Spanned<String>>,
    #[expect(dead_code, reason = "named, so that a misspelt section finds its way")]
    buffer: Option<IgnoredAny>,
    #[expect(dead_code, reason = "named, so that a misspelt section finds its way")]
    flow: Option<IgnoredAny>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct BufferPart {
    #[serde(default = "buffer_bytes_max")]
    bytes_max: Spanned<ByteSize>,
}

fn buffer_bytes_max() -> Spanned<ByteSize> {
    Spanned::new(0..0, ByteSize::gib(4))
}

/// The same, checked.
#[derive(Debug)]
pub(crate) struct CheckedHead {
    pub(crate) site: String,
    pub(crate) data_dir: PathBuf,
    pub(crate) collector: String,
    pub(crate) metrics: Option<SocketAddr>,
}

/// Reads what stands before the first section, `buffer` and `flow` taken out.
pub(crate) fn read_head(reader: &mut Reader, part: &Part<'_>) -> Option<CheckedHead> {
    let head: Option<Head> = reader.read(part, TOP, &|value| Head::deserialize(value));
    head.map(|head| check_head(reader, head))
}

fn check_head(reader: &mut Reader, head: Head) -> CheckedHead {
    let site = head.site.get_ref();
    if !is_name(site) {
        reader.note(Some(head.site.span()), TOP, &not_a_name("site", site));
    }
    let data_dir = head.data_dir.get_ref();
    let length = data_dir.as_os_str().len();
    if !data_dir.is_absolute() {
        let sentence = "data_dir must begin with \"/\", or it would depend on where the agent is started; write for example data_dir = \"/var/lib/dray-agent\"";
        reader.note(Some(head.data_dir.span()), TOP, sentence);
    } else if length > DATA_DIR_BYTES_MAX {
        let sentence = format!(
            "data_dir has {length} bytes, at most {DATA_DIR_BYTES_MAX} fit before the name of a local socket; choose a shorter path, e.g. \"/var/lib/dray-agent\""
        );
        reader.note(Some(head.data_dir.span()), TOP, &sentence);
    }
    let collector = head.collector.get_ref();
    if !is_host_and_port(collector) {
        let sentence = format!(
            "collector = \"{collector}\" is not a host and a port; write for example collector = \"collector.example:7443\""
        );
        reader.note(Some(head.collector.span()), TOP, &sentence);
    }
    let metrics = read_metrics(reader, head.metrics);
    CheckedHead {
        site: head.site.into_inner(),
        data_dir: head.data_dir.into_inner(),
        collector: head.collector.into_inner(),
        metrics,
    }
}

/// Port 9464 is where exporters of this kind are expected.
fn default_metrics() -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], 9464))
}

fn read_metrics(reader: &mut Reader, metrics: Option<Spanned<String>>) -> Option<SocketAddr> {
    let Some(metrics) = metrics else {
        return Some(default_metrics());
    };
    let text = metrics.get_ref();
    let address = text.parse().ok();
    if address.is_none() && text != "off" {
        let sentence = format!(
            "metrics = \"{text}\" is neither \"off\" nor an address and a port; write for example metrics = \"127.0.0.1:9464\""
        );
        reader.note(Some(metrics.span()), TOP, &sentence);
    }
    address
}

/// What is wrong with a name, and one that would do.
pub(crate) fn not_a_name(what: &str, name: &str) -> String {
    format!(
        "{what} = \"{name}\" is not a name: 1 to 63 of a-z, 0-9, \"-\" and \"_\", beginning with a letter or digit; write for example \"{}\"",
        suggested_name(name)
    )
}

/// The nearest name that is allowed.
fn suggested_name(name: &str) -> String {
    let letter = |letter: char| {
        let letter = letter.to_ascii_lowercase();
        if letter.is_ascii_alphanumeric() {
            letter
        } else {
            '-'
        }
    };
    let made: String = name.chars().take(63).map(letter).collect();
    let made = made.trim_matches('-');
    if is_name(made) {
        made.to_owned()
    } else {
        "north".to_owned()
    }
}

fn is_host_and_port(text: &str) -> bool {
    let Some((host, port)) = text.rsplit_once(':') else {
        return false;
    };
    let bracketed = host.starts_with('[') && host.ends_with(']');
    let letters = |letter: char| letter.is_ascii_alphanumeric() || ".-_".contains(letter);
    let host_is_good = bracketed || (!host.is_empty() && host.chars().all(letters));
    host_is_good && port.parse::<u16>().is_ok_and(|port| port > 0)
}

/// Reads `[buffer]`: its cap in bytes.
pub(crate) fn read_buffer(reader: &mut Reader, part: Option<Part<'_>>) -> Option<u64> {
    let within = Within {
        prefix: "",
        section: "buffer",
    };
    let Some(part) = part else {
        return Some(buffer_bytes_max().get_ref().as_u64());
    };
    let buffer: BufferPart = reader.read(&part, within, &|value| BufferPart::deserialize(value))?;
    let bytes_max = buffer.bytes_max.get_ref().as_u64();
    if bytes_max < BUFFER_BYTES_MIN {
        let sentence = format!(
            "bytes_max is {bytes_max} bytes, at least {} are needed; write for example bytes_max = \"4GiB\"",
            ByteSize(BUFFER_BYTES_MIN)
        );
        reader.note(Some(buffer.bytes_max.span()), within, &sentence);
    }
    Some(bytes_max)
}
