//! SOAP both ways: an endpoint that a legacy system calls, and calls that ask one. And webhooks: the endpoint without the envelope.
//!
//! This crate promises that a call is answered with success only when its records are on this machine's stable storage, that a
//! caller's retry changes nothing where the call has an identity, and that a poll's watermark is kept with the records it was read from.
//! It refuses to know protobuf, the buffer and any other adapter, and it never fetches what a document names.

pub(crate) mod content;
mod edges;
pub mod envelope;
pub mod fault;
pub(crate) mod files;
pub(crate) mod fresh;
#[cfg(feature = "fuzzing")]
#[doc(hidden)]
pub mod fuzzing;
pub(crate) mod key;
pub(crate) mod measure;
pub(crate) mod multipart;
pub(crate) mod pem;
pub mod pick;
pub mod poll;
pub(crate) mod reading;
pub mod receive;
pub(crate) mod secret;
pub mod security;
pub mod template;
pub(crate) mod unpacking;
pub mod webhook;
pub mod wsdl;

pub use edges::EDGES;

/// What a check of a configuration found, as a sentence.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Finding {
    /// As it should be.
    Fine(String),
    /// It works, and somebody should know.
    Warning(String),
    /// It does not work.
    Wrong(String),
}

#[cfg(test)]
mod tests {
    use crate::poll::SoapPollConfig;
    use crate::receive::SoapReceiveConfig;
    use crate::webhook::WebhookConfig;

    #[test]
    fn the_examples_of_the_documentation_are_good() {
        let page = include_str!("../../../docs/soap.md");
        let blocks = page.split("```toml\n").skip(1);
        let mut kinds = Vec::new();
        for block in blocks.filter_map(|rest| rest.split("```").next()) {
            let page: toml::Table = toml::from_str(block).expect(block);
            let source = page["flow"][0]["source"].clone();
            let kind = source["kind"].as_str().expect("a kind").to_owned();
            let faults = match kind.as_str() {
                "soap-receive" => {
                    let config: SoapReceiveConfig = source.try_into().expect(block);
                    config.faults()
                }
                "soap-poll" => {
                    let config: SoapPollConfig = source.try_into().expect(block);
                    config.faults()
                }
                _ => {
                    let config: WebhookConfig = source.try_into().expect(block);
                    config.faults()
                }
            };
            assert_eq!(faults, [], "{block}");
            kinds.push(kind);
        }
        assert_eq!(kinds, ["soap-receive", "webhook", "soap-poll"]);
    }
}
