//! A SOAP message: which version it is, what its header asks for, and what its body holds.
//!
//! ```text
//! <s:Envelope xmlns:s="…">           the namespace says the version
//!   <s:Header>                       at most one, first
//!     <wsa:MessageID>…               WS-Addressing 1.0
//!     <wsse:Security>…               a UsernameToken, a Timestamp
//!   </s:Header>
//!   <s:Body>                         one, last
//!     <w:PutMovements>…              its root element says which operation is called; or a Fault
//!   </s:Body>
//! </s:Envelope>
//! ```
//! After SOAP 1.1 (W3C note), SOAP 1.2 part 1, WS-Security 1.0 with its UsernameToken profile, and WS-Addressing 1.0 (SOAP binding).
//! What is an element of the envelope stands at its place or nowhere: a second Body, or one that was moved aside, is refused, and so is an
//! `Id` that stands twice, as a check of the one and a reading of the other is how signed messages are forged.

pub(crate) mod namespace;
mod parts;
mod reader;
#[cfg(test)]
mod tests;

pub use reader::{Reader, Wanted};
pub(crate) use reader::{own, push_value};

/// Namespace of SOAP 1.1's envelope.
pub const SOAP_11: &str = "http://schemas.xmlsoap.org/soap/envelope/";
/// Namespace of SOAP 1.2's envelope.
pub const SOAP_12: &str = "http://www.w3.org/2003/05/soap-envelope";
/// Namespace of WS-Security's header.
pub const WSSE: &str =
    "http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-wssecurity-secext-1.0.xsd";
/// Namespace of its times and ids.
pub const WSU: &str =
    "http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-wssecurity-utility-1.0.xsd";
/// Namespace of WS-Addressing.
pub const WSA: &str = "http://www.w3.org/2005/08/addressing";
/// How a password's digest is told from the password.
pub const DIGEST: &str = "http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-username-token-profile-1.0#PasswordDigest";

/// Characters of a header's value or of a fault's text, at most.
pub const VALUE_BYTES_MAX: usize = 4 * 1024;
/// Ids of elements in a message, at most: each is kept, to see that none stands twice.
pub const IDS_MAX: usize = 10_000;
/// Elements of a message, at most.
pub const NODES_MAX: u64 = 10_000_000;

/// Which SOAP.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Version {
    /// `text/xml` and a SOAPAction header.
    V11,
    /// `application/soap+xml` with an action.
    V12,
}

impl Version {
    /// The namespace of its envelope.
    #[must_use]
    pub fn namespace(self) -> &'static str {
        match self {
            Self::V11 => SOAP_11,
            Self::V12 => SOAP_12,
        }
    }

    /// How its messages are sent.
    #[must_use]
    pub fn content_type(self) -> &'static str {
        match self {
            Self::V11 => "text/xml; charset=utf-8",
            Self::V12 => "application/soap+xml; charset=utf-8",
        }
    }
}

/// What a message says besides its records.
#[derive(Debug, Default)]
pub struct Envelope {
    /// Which SOAP; `None` until the root was seen.
    pub version: Option<Version>,
    /// The body's root element: its namespace's number in the list that [`Reader::new`] was given, and its name.
    pub root: Option<(Option<usize>, String)>,
    /// `wsa:MessageID`.
    pub message_id: Option<String>,
    /// `wsa:Action`.
    pub action: Option<String>,
    /// `wsa:ReplyTo`, where it is not the caller himself.
    pub reply_elsewhere: Option<String>,
    /// A header that must be understood, and is not.
    pub not_understood: Option<String>,
    /// Who the caller says that he is.
    pub token: Option<UsernameToken>,
    /// When the message was made and when it ends, as written.
    pub timestamp: Option<(String, String)>,
    /// What is answered instead of a result.
    pub fault: Option<ReadFault>,
    /// What was wanted of the body, in the order of [`Wanted`].
    pub values: Vec<Option<String>>,
    /// SHA-256 of the body as it is written.
    pub body_sha256: [u8; 32],
}

/// `wsse:UsernameToken`, as written.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct UsernameToken {
    /// Who.
    pub username: String,
    /// The password, or its digest.
    pub password: String,
    /// Whether it is the digest.
    pub digest: bool,
    /// Base64.
    pub nonce: String,
    /// An ISO 8601 time.
    pub created: String,
}

/// A fault that was answered.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct ReadFault {
    /// `Client.BadLimit`, without a prefix.
    pub code: String,
    /// Of SOAP 1.2.
    pub subcode: String,
    /// For a person.
    pub text: String,
}

/// Whose fault it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Blame {
    /// The message is wrong: sending it again changes nothing.
    Sender,
    /// It may pass by itself.
    Receiver,
}

impl ReadFault {
    /// Whose fault it is, by the first part of its code: `Client.BadLimit` of SOAP 1.1 is `Sender` of 1.2. What nobody knows may pass.
    #[must_use]
    pub fn blame(&self) -> Blame {
        match self.code.split('.').next().unwrap_or_default() {
            "Client" | "Sender" | "MustUnderstand" | "VersionMismatch" | "DataEncodingUnknown" => {
                Blame::Sender
            }
            _ => Blame::Receiver,
        }
    }
}
