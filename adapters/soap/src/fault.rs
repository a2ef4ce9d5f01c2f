//! Faults as they are answered. They say what the caller can do, and nothing of the inside.

use quick_xml::escape::escape;

use crate::envelope::{Blame, Version};

/// What a fault says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// Whose.
    pub blame: Blame,
    /// A special code instead of Sender and Receiver.
    pub special: Option<Special>,
    /// For a person who looks into the caller's log.
    pub text: String,
}

/// Codes that SOAP has for itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Special {
    /// The envelope is of another SOAP.
    VersionMismatch,
    /// A header that must be understood is not.
    MustUnderstand,
}

impl Fault {
    /// The caller's.
    #[must_use]
    pub fn sender(text: impl Into<String>) -> Self {
        Self {
            blame: Blame::Sender,
            special: None,
            text: text.into(),
        }
    }

    /// Ours, for now.
    #[must_use]
    pub fn receiver(text: impl Into<String>) -> Self {
        Self {
            blame: Blame::Receiver,
            special: None,
            text: text.into(),
        }
    }

    /// The HTTP status of its answer. SOAP 1.1 over HTTP knows 500 alone (section 6.2 of its note); 1.2 answers 400 to what is the
    /// sender's (part 2, section 7.5.2).
    #[must_use]
    pub fn status(&self, version: Version) -> u16 {
        match (version, self.blame) {
            (Version::V12, Blame::Sender) if self.special.is_none() => 400,
            _ => 500,
        }
    }

    /// The answer.
    #[must_use]
    pub fn written(&self, version: Version) -> String {
        let text = escape(self.text.as_str());
        let code = match (self.special, version, self.blame) {
            (Some(Special::VersionMismatch), ..) => "VersionMismatch",
            (Some(Special::MustUnderstand), ..) => "MustUnderstand",
            (None, Version::V11, Blame::Sender) => "Client",
            (None, Version::V11, Blame::Receiver) => "Server",
            (None, Version::V12, Blame::Sender) => "Sender",
            (None, Version::V12, Blame::Receiver) => "Receiver",
        };
        let fault = match version {
            Version::V11 => {
                format!("<faultcode>s:{code}</faultcode><faultstring>{text}</faultstring>")
            }
            Version::V12 => format!(
                "<s:Code><s:Value>s:{code}</s:Value></s:Code><s:Reason><s:Text xml:lang=\"en\">{text}</s:Text></s:Reason>"
            ),
        };
        enveloped(version, &format!("<s:Fault>{fault}</s:Fault>"))
    }
}

/// A message around a body's content.
#[must_use]
pub fn enveloped(version: Version, content: &str) -> String {
    format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<s:Envelope xmlns:s=\"{}\"><s:Body>{content}</s:Body></s:Envelope>",
        version.namespace()
    )
}
