//! Reads a message from front to end, however it is cut into windows.

use std::collections::HashSet;
use std::sync::Arc;

use dray_formats::FileFault;
use dray_formats::xml::{Node, Start, Walk, unexplained};
use sha2::{Digest as _, Sha256};

use super::parts::{self, Part};
use super::{
    DIGEST, Envelope, IDS_MAX, NODES_MAX, SOAP_11, SOAP_12, UsernameToken, VALUE_BYTES_MAX, WSA,
    WSSE, WSU,
};
use crate::pick::{Path, Pick};

const ANONYMOUS: &str = "http://www.w3.org/2005/08/addressing/anonymous";
const NEXT_11: &str = "http://schemas.xmlsoap.org/soap/actor/next";
const ROLES_12: &str = "http://www.w3.org/2003/05/soap-envelope/role/";

/// Values that are wanted of a body, where its root element has this name; `None`: any.
#[derive(Debug, Clone)]
pub struct Wanted {
    /// Of the root element: the namespace's number in the list given, and the name.
    pub root: Option<(Option<usize>, String)>,
    /// From the root element.
    pub paths: Vec<Path>,
}

/// A message being read.
#[derive(Debug)]
pub struct Reader {
    walk: Walk,
    state: State,
}

#[derive(Debug)]
struct State {
    envelope: Envelope,
    wanted: Arc<[Wanted]>,
    picks: Vec<Pick>,
    open: Vec<Part>,
    text: String,
    seen_header: bool,
    seen_body: bool,
    /// The header at hand must be understood.
    must: bool,
    ids: HashSet<String>,
    nodes: u64,
    body: Sha256,
}

impl Reader {
    /// `namespaces`: of the operations, by whose numbers root elements and paths name them.
    #[must_use]
    pub fn new(namespaces: &[String], wanted: Arc<[Wanted]>) -> Self {
        Self {
            walk: Walk::new(numbered(namespaces)).passing_unknown(),
            state: State {
                envelope: Envelope::default(),
                wanted,
                picks: Vec::new(),
                open: Vec::new(),
                text: String::new(),
                seen_header: false,
                seen_body: false,
                must: false,
                ids: HashSet::new(),
                nodes: 0,
                body: Sha256::new(),
            },
        }
    }

    /// Reads what it can of `window`; how many bytes are done, and whether the message is.
    ///
    /// # Errors
    /// With the line: it is not well-formed, or no SOAP message.
    pub fn read(&mut self, window: &[u8], end: bool) -> Result<(usize, bool), FileFault> {
        let state = &mut self.state;
        let decoded = self
            .walk
            .decode(window, end, &mut |node, written| state.node(&node, written))?;
        Ok((decoded.bytes, decoded.done))
    }

    /// What it says, once it is done.
    ///
    /// # Errors
    /// A sentence: it lacks what a message has.
    pub fn finish(self) -> Result<Envelope, String> {
        let mut state = self.state;
        if !state.seen_body {
            return Err("the message has no Body".into());
        }
        state.envelope.body_sha256 = state.body.finalize().into();
        state.envelope.values = state.picks.into_iter().map(Pick::finish).collect();
        Ok(state.envelope)
    }

    /// Reads a message that is there whole.
    ///
    /// # Errors
    /// As [`Self::read`] and [`Self::finish`].
    pub fn whole(mut self, bytes: &[u8]) -> Result<Envelope, String> {
        let mut taken = 0;
        loop {
            let (more, done) = self
                .read(&bytes[taken..], true)
                .map_err(|FileFault(reason)| reason)?;
            if done {
                return self.finish();
            }
            taken += more;
        }
    }
}

/// The envelope's namespaces, then the operations'.
fn numbered(namespaces: &[String]) -> Arc<[String]> {
    let envelope = [SOAP_11, SOAP_12, WSSE, WSU, WSA].map(str::to_owned);
    envelope.iter().chain(namespaces).cloned().collect()
}

/// A number in the list that a reader was given.
pub(crate) fn own(namespace: Option<usize>) -> Option<usize> {
    namespace.and_then(|number| number.checked_sub(parts::OWN))
}

/// More of a value that is kept.
pub(crate) fn push_value(value: &mut String, text: &str) -> Result<(), String> {
    if value.len() + text.len() > VALUE_BYTES_MAX {
        return Err(format!(
            "a value that is looked at is longer than {VALUE_BYTES_MAX} bytes"
        ));
    }
    value.push_str(text);
    Ok(())
}

impl State {
    fn node(&mut self, node: &Node<'_>, written: &str) -> Result<(), String> {
        match node {
            Node::Start(start) => self.start(start)?,
            Node::Text(text) => self.text(text)?,
            Node::Unknown(name) => {
                let is_picked = self.picks.iter().any(Pick::is_gathering);
                self.unknown(name, is_picked)?;
            }
            Node::Passed | Node::End => {}
        }
        // The tag of Body itself is not of it: prefixes and ids may differ from one try to the next.
        if self.open.len() > 2 && self.open.get(1) == Some(&Part::Body) {
            self.body.update(written);
        }
        if matches!(node, Node::End) {
            self.end();
        }
        Ok(())
    }

    fn start(&mut self, start: &Start<'_>) -> Result<(), String> {
        self.nodes += 1;
        if self.nodes > NODES_MAX {
            return Err(format!("the message has more than {NODES_MAX} elements"));
        }
        self.no_id_twice(start)?;
        let (namespace, name) = start.name();
        let part = match self.open.last() {
            None => self.root(namespace, name)?,
            Some(above) => parts::below(*above, namespace, name),
        };
        let is_framing = matches!(name, "Envelope" | "Header" | "Body");
        let is_placed = matches!(part, Part::Envelope | Part::Header | Part::Body);
        if is_framing && !is_placed && parts::version(namespace).is_some() {
            return Err(format!(
                "{name} stands where none may: the envelope's elements have one place each"
            ));
        }
        match part {
            Part::Header | Part::Body => self.framing(part, namespace, name)?,
            Part::Root | Part::Fault => self.body_root(part, namespace, name)?,
            Part::Password => {
                let digest = start
                    .attributes()
                    .any(|at| at.name == "Type" && at.value == DIGEST);
                self.envelope.token.get_or_insert_default().digest = digest;
            }
            Part::Token => self.one_token()?,
            _ => {}
        }
        match self.open.last() {
            Some(Part::Envelope) if !is_placed => {
                return Err(format!(
                    "{name} stands in the envelope, where only Header and Body may"
                ));
            }
            Some(Part::Header) => self.header(start, part, name),
            Some(Part::Security) if !matches!(part, Part::Token | Part::Timestamp) => {
                self.unknown_security(name);
            }
            _ => {}
        }
        self.open.push(part);
        self.text.clear();
        let mut is_picked = false;
        if let Some(depth) = self.below_root() {
            for pick in &mut self.picks {
                is_picked |= pick.start(start, depth);
            }
        }
        let unknown = start.unknown();
        unknown.map_or(Ok(()), |name| self.unknown(name, is_picked))
    }

    /// A reference that nothing explains: below the body's root it is for who reads the records, as it makes one of them bad and not the message.
    fn unknown(&self, name: &str, is_picked: bool) -> Result<(), String> {
        match self.below_root() {
            Some(_) if !is_picked => Ok(()),
            _ => Err(unexplained(name)),
        }
    }

    /// How far below the body's root element the innermost one is.
    fn below_root(&self) -> Option<usize> {
        (self.open.get(2) == Some(&Part::Root)).then(|| self.open.len() - 3)
    }

    fn root(&mut self, namespace: Option<usize>, name: &str) -> Result<Part, String> {
        self.envelope.version = parts::version(namespace);
        if name != "Envelope" {
            return Err(format!(
                "the root element is {name}, and that of a SOAP message is Envelope"
            ));
        }
        if self.envelope.version.is_none() {
            return Err(format!(
                "the envelope's namespace is neither SOAP 1.1's ({SOAP_11}) nor SOAP 1.2's ({SOAP_12})"
            ));
        }
        Ok(Part::Envelope)
    }

    fn framing(&mut self, part: Part, namespace: Option<usize>, name: &str) -> Result<(), String> {
        if parts::version(namespace) != self.envelope.version {
            return Err(format!("{name} is of another SOAP than the envelope"));
        }
        let repeats = match part {
            Part::Header => self.seen_header || self.seen_body,
            _ => self.seen_body,
        };
        if repeats {
            return Err(format!("{name} stands twice, or behind the Body"));
        }
        match part {
            Part::Header => self.seen_header = true,
            _ => self.seen_body = true,
        }
        Ok(())
    }

    fn body_root(
        &mut self,
        part: Part,
        namespace: Option<usize>,
        name: &str,
    ) -> Result<(), String> {
        if self.envelope.root.is_some() || self.envelope.fault.is_some() {
            return Err(format!(
                "the Body holds {name} behind another element; it holds one"
            ));
        }
        if part == Part::Fault {
            self.envelope.fault = Some(super::ReadFault::default());
            return Ok(());
        }
        let root = (own(namespace), name.to_owned());
        let wanted = self.wanted.iter().find(|wanted| {
            wanted.root.as_ref().is_none_or(|(namespace, name)| {
                *name == root.1 && (namespace.is_none() || *namespace == root.0)
            })
        });
        self.picks = wanted.map_or_else(Vec::new, |wanted| {
            wanted.paths.iter().cloned().map(Pick::new).collect()
        });
        self.envelope.root = Some(root);
        Ok(())
    }

    fn one_token(&mut self) -> Result<(), String> {
        if self.envelope.token.is_some() {
            return Err("UsernameToken stands twice".into());
        }
        self.envelope.token = Some(UsernameToken::default());
        Ok(())
    }

    fn no_id_twice(&mut self, start: &Start<'_>) -> Result<(), String> {
        for at in start.attributes() {
            let is_id = (at.namespace == Some(parts::WSU) && at.name == "Id")
                || (at.prefix == "xml" && at.name == "id");
            if !is_id {
                continue;
            }
            if self.ids.len() == IDS_MAX {
                return Err(format!("more than {IDS_MAX} elements have an Id"));
            }
            let too_long = at.value.len() > VALUE_BYTES_MAX;
            if too_long || !self.ids.insert(at.value.clone().into_owned()) {
                return Err("an Id stands at two elements, or is too long".into());
            }
        }
        Ok(())
    }

    /// A header that must be understood, is meant for us, and is not known, is noted.
    fn header(&mut self, start: &Start<'_>, part: Part, name: &str) {
        let (mut must, mut ours) = (false, true);
        for at in start.attributes() {
            if parts::version(at.namespace).is_none() {
                continue;
            }
            match at.name {
                "mustUnderstand" => must = matches!(at.value.trim(), "1" | "true"),
                "actor" => ours = at.value.is_empty() || at.value == NEXT_11,
                "role" => {
                    let role = at.value.strip_prefix(ROLES_12);
                    ours = at.value.is_empty() || matches!(role, Some("next" | "ultimateReceiver"));
                }
                _ => {}
            }
        }
        if must && ours && part == Part::Other {
            self.envelope.not_understood.get_or_insert(name.to_owned());
        }
        self.must = must && ours;
    }

    /// What stands in a security header besides a token and a timestamp, e.g. a signature, is not checked here.
    fn unknown_security(&mut self, name: &str) {
        if self.must {
            self.envelope.not_understood.get_or_insert(name.to_owned());
        }
    }

    fn text(&mut self, text: &str) -> Result<(), String> {
        let is_kept = match self.open.last() {
            Some(
                Part::Username
                | Part::Password
                | Part::Nonce
                | Part::TokenCreated
                | Part::Created
                | Part::Expires
                | Part::MessageId
                | Part::Action
                | Part::ReplyAddress
                | Part::CodeValue
                | Part::SubcodeValue
                | Part::FaultText,
            ) => true,
            Some(Part::Envelope | Part::Header | Part::Body) => {
                if !text.trim_matches([' ', '\t', '\n', '\r']).is_empty() {
                    return Err("text stands between the envelope's elements".into());
                }
                false
            }
            _ => false,
        };
        if is_kept {
            push_value(&mut self.text, text)?;
        }
        self.picks.iter_mut().try_for_each(|pick| pick.text(text))
    }

    fn end(&mut self) {
        if let Some(depth) = self.below_root() {
            self.picks.iter_mut().for_each(|pick| pick.end(depth));
        }
        let Some(part) = self.open.pop() else {
            return;
        };
        let text = self.text.trim();
        let envelope = &mut self.envelope;
        let local = || text.rsplit(':').next().unwrap_or_default().to_owned();
        let text = || text.to_owned();
        match part {
            Part::Username => envelope.token.get_or_insert_default().username = text(),
            // A password's own white space is of it.
            Part::Password => {
                envelope.token.get_or_insert_default().password = self.text.clone();
            }
            Part::Nonce => envelope.token.get_or_insert_default().nonce = text(),
            Part::TokenCreated => envelope.token.get_or_insert_default().created = text(),
            Part::Created => envelope.timestamp.get_or_insert_default().0 = text(),
            Part::Expires => envelope.timestamp.get_or_insert_default().1 = text(),
            Part::MessageId => envelope.message_id = Some(text()).filter(|id| !id.is_empty()),
            Part::Action => envelope.action = Some(text()),
            Part::ReplyAddress => {
                envelope.reply_elsewhere = Some(text()).filter(|to| to != ANONYMOUS);
            }
            Part::CodeValue => envelope.fault.get_or_insert_default().code = local(),
            Part::SubcodeValue => envelope.fault.get_or_insert_default().subcode = local(),
            // Of several languages the first.
            Part::FaultText => {
                let fault = envelope.fault.get_or_insert_default();
                if fault.text.is_empty() {
                    fault.text = text();
                }
            }
            _ => return,
        }
        self.text.clear();
    }
}
