//! Which element of a message is what.

use super::Version;

/// An element that the envelope gives a meaning.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Part {
    Envelope,
    Header,
    Body,
    Security,
    Token,
    Username,
    Password,
    Nonce,
    TokenCreated,
    Timestamp,
    Created,
    Expires,
    MessageId,
    Action,
    ReplyTo,
    ReplyAddress,
    /// A header that is known and says nothing here.
    Heeded,
    /// The body's root element.
    Root,
    Fault,
    Code,
    CodeValue,
    Subcode,
    SubcodeValue,
    Reason,
    FaultText,
    /// Anything else.
    Other,
}

/// The numbers of the namespaces that stand first in a reader's list.
pub(super) const SOAP_11: usize = 0;
pub(super) const SOAP_12: usize = 1;
pub(super) const WSSE: usize = 2;
pub(super) const WSU: usize = 3;
pub(super) const WSA: usize = 4;
pub(super) const OWN: usize = 5;

/// The SOAP whose namespace it is.
pub(super) fn version(namespace: Option<usize>) -> Option<Version> {
    match namespace {
        Some(SOAP_11) => Some(Version::V11),
        Some(SOAP_12) => Some(Version::V12),
        _ => None,
    }
}

/// What `name` is below `above`.
pub(super) fn below(above: Part, namespace: Option<usize>, name: &str) -> Part {
    let soap = version(namespace).is_some();
    match (above, namespace, name) {
        (Part::Envelope, _, "Header") if soap => Part::Header,
        (Part::Envelope, _, "Body") if soap => Part::Body,
        (Part::Header, Some(WSSE), "Security") => Part::Security,
        (Part::Header, Some(WSA), "MessageID") => Part::MessageId,
        (Part::Header, Some(WSA), "Action") => Part::Action,
        (Part::Header, Some(WSA), "ReplyTo") => Part::ReplyTo,
        (Part::Header, Some(WSA), "To" | "From" | "FaultTo" | "RelatesTo") => Part::Heeded,
        (Part::ReplyTo, Some(WSA), "Address") => Part::ReplyAddress,
        (Part::Security, Some(WSSE), "UsernameToken") => Part::Token,
        (Part::Security, Some(WSU), "Timestamp") => Part::Timestamp,
        (Part::Token, Some(WSSE), "Username") => Part::Username,
        (Part::Token, Some(WSSE), "Password") => Part::Password,
        (Part::Token, Some(WSSE), "Nonce") => Part::Nonce,
        (Part::Token, Some(WSU), "Created") => Part::TokenCreated,
        (Part::Timestamp, Some(WSU), "Created") => Part::Created,
        (Part::Timestamp, Some(WSU), "Expires") => Part::Expires,
        (Part::Body, _, "Fault") if soap => Part::Fault,
        (Part::Body, _, _) => Part::Root,
        // Of 1.1 without a namespace, of 1.2 with the envelope's.
        (Part::Fault, _, "faultcode") => Part::CodeValue,
        (Part::Fault, _, "faultstring") => Part::FaultText,
        (Part::Fault, _, "Code") if soap => Part::Code,
        (Part::Code, _, "Value") if soap => Part::CodeValue,
        (Part::Code, _, "Subcode") if soap => Part::Subcode,
        (Part::Subcode, _, "Value") if soap => Part::SubcodeValue,
        (Part::Fault, _, "Reason") if soap => Part::Reason,
        (Part::Reason, _, "Text") if soap => Part::FaultText,
        _ => Part::Other,
    }
}
