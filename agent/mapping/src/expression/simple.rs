//! The expressions that nearly all mappings have, run without the engine: columns and texts joined
//! with `~`, the filters `upper`, `lower`, `trim` and `default('text')`, compared with `==`, `!=`,
//! `in [...]` and `not in [...]`, combined with `and`, `or`, `not` and brackets. A test over random
//! expressions holds the results to the engine's; what isn't in this list is the engine's to run.

use std::borrow::Cow;

use dray_adapter::Value as Cell;

use super::Input;
use super::rec::no_column;
use crate::convert::trimmed;
use crate::shapes::{Columns, NO_COLUMN};

/// A parsed expression.
#[derive(Debug)]
pub(super) enum Node {
    /// Which of the known columns, and its name.
    Column(usize, String),
    Literal(String),
    Filtered(Box<Node>, Filter),
    Joined(Vec<Node>),
    Equal(Box<Node>, Box<Node>),
    Within(Box<Node>, Vec<String>),
    Not(Box<Node>),
    And(Box<Node>, Box<Node>),
    Or(Box<Node>, Box<Node>),
}

#[derive(Debug)]
pub(super) enum Filter {
    Upper,
    Lower,
    Trim,
    Default(String),
}

impl Node {
    /// Whether it is a condition rather than a text.
    pub(super) fn is_test(&self) -> bool {
        !matches!(
            self,
            Self::Column(..) | Self::Literal(_) | Self::Filtered(..) | Self::Joined(_)
        )
    }

    /// Appends the text. `unchanged` is set when it rests on a value that wasn't sent.
    pub(super) fn text(
        &self,
        input: Input<'_>,
        unchanged: &mut bool,
        out: &mut String,
    ) -> Result<(), String> {
        match self {
            Self::Joined(parts) => parts
                .iter()
                .try_for_each(|part| part.text(input, unchanged, out)),
            Self::Literal(text) => {
                out.push_str(text);
                Ok(())
            }
            _ => {
                out.push_str(&self.value(input, unchanged)?);
                Ok(())
            }
        }
    }

    fn value<'a>(&'a self, input: Input<'a>, unchanged: &mut bool) -> Result<Cow<'a, str>, String> {
        match self {
            Self::Column(slot, name) => column(*slot, name, input, unchanged).map(Cow::Borrowed),
            Self::Literal(text) => Ok(Cow::Borrowed(text)),
            Self::Filtered(inner, filter) => Ok(filter.apply(inner.value(input, unchanged)?)),
            Self::Joined(_) => {
                let mut joined = String::new();
                self.text(input, unchanged, &mut joined)?;
                Ok(Cow::Owned(joined))
            }
            test => test
                .holds(input, unchanged)
                .map(|holds| if holds { "true" } else { "false" }.into()),
        }
    }

    /// Whether it is true.
    pub(super) fn holds(&self, input: Input<'_>, unchanged: &mut bool) -> Result<bool, String> {
        match self {
            Self::Equal(left, right) => {
                Ok(left.value(input, unchanged)? == right.value(input, unchanged)?)
            }
            Self::Within(inner, texts) => {
                let value = inner.value(input, unchanged)?;
                Ok(texts.iter().any(|text| *text == value))
            }
            Self::Not(inner) => Ok(!inner.holds(input, unchanged)?),
            Self::And(left, right) => {
                Ok(left.holds(input, unchanged)? && right.holds(input, unchanged)?)
            }
            Self::Or(left, right) => {
                Ok(left.holds(input, unchanged)? || right.holds(input, unchanged)?)
            }
            text => Ok(!text.value(input, unchanged)?.is_empty()),
        }
    }
}

#[inline]
fn column<'a>(
    slot: usize,
    name: &str,
    input: Input<'a>,
    unchanged: &mut bool,
) -> Result<&'a str, String> {
    let index = input.columns.get(slot).copied().unwrap_or(NO_COLUMN);
    if index == NO_COLUMN {
        let sentence = no_column(name, input.record.shape());
        return Err(format!("fails: undefined value: {sentence}"));
    }
    match input.record.value(index as usize) {
        Cell::Text(text) if input.trim => Ok(trimmed(text)),
        Cell::Text(text) => Ok(text),
        Cell::Unchanged => {
            *unchanged = true;
            Ok("")
        }
        _ => Ok(""),
    }
}

impl Filter {
    fn apply<'a>(&'a self, text: Cow<'a, str>) -> Cow<'a, str> {
        match self {
            Self::Upper => text.to_uppercase().into(),
            Self::Lower => text.to_lowercase().into(),
            Self::Trim => text.trim().to_owned().into(),
            Self::Default(other) if text.is_empty() => other.as_str().into(),
            Self::Default(_) => text,
        }
    }
}

/// Reads an expression that the engine has compiled already; `None` where it needs the engine.
pub(super) fn parse(source: &str, columns: &mut Columns) -> Option<Node> {
    let tokens = tokens(source)?;
    let mut parser = Parser {
        tokens: &tokens,
        columns,
    };
    let node = parser.or()?;
    parser.tokens.is_empty().then_some(node)
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Token<'a> {
    Name(&'a str),
    Text(&'a str),
    Sign(&'static str),
}

const SIGNS: [&str; 11] = ["==", "!=", "~", "|", "(", ")", "[", "]", ",", ".", "-"];

fn tokens(source: &str) -> Option<Vec<Token<'_>>> {
    let mut tokens = Vec::new();
    let mut rest = source.trim_start();
    while let Some(first) = rest.chars().next() {
        if first == '\'' || first == '"' {
            let (text, after) = rest[1..].split_once(first)?;
            // An escape: the engine knows what it means.
            if text.contains('\\') {
                return None;
            }
            tokens.push(Token::Text(text));
            rest = after;
        } else if first.is_ascii_alphabetic() || first == '_' {
            let end = rest
                .find(|c: char| !(c.is_ascii_alphanumeric() || c == '_'))
                .unwrap_or(rest.len());
            tokens.push(Token::Name(&rest[..end]));
            rest = &rest[end..];
        } else {
            let sign = SIGNS.iter().find(|sign| rest.starts_with(**sign))?;
            tokens.push(Token::Sign(sign));
            rest = &rest[sign.len()..];
        }
        rest = rest.trim_start();
    }
    Some(tokens)
}

/// Recursive descent in the engine's order of precedence. Every rule gives up with `None`.
struct Parser<'t, 'c> {
    tokens: &'t [Token<'t>],
    columns: &'c mut Columns,
}

impl<'t> Parser<'t, '_> {
    fn takes(&mut self, token: &Token<'_>) -> bool {
        let there = self.tokens.first() == Some(token);
        if there {
            self.tokens = &self.tokens[1..];
        }
        there
    }

    fn sign(&mut self, sign: &'static str) -> bool {
        self.takes(&Token::Sign(sign))
    }

    fn next(&mut self) -> Option<&'t Token<'t>> {
        let (first, rest) = self.tokens.split_first()?;
        self.tokens = rest;
        Some(first)
    }

    fn text(&mut self) -> Option<String> {
        match self.next()? {
            Token::Text(text) => Some((*text).to_owned()),
            _ => None,
        }
    }

    fn or(&mut self) -> Option<Node> {
        let mut left = self.and()?;
        while self.takes(&Token::Name("or")) {
            left = Node::Or(left.into(), self.and()?.into());
        }
        Some(left)
    }

    fn and(&mut self) -> Option<Node> {
        let mut left = self.not()?;
        while self.takes(&Token::Name("and")) {
            left = Node::And(left.into(), self.not()?.into());
        }
        Some(left)
    }

    fn not(&mut self) -> Option<Node> {
        if self.takes(&Token::Name("not")) {
            return Some(Node::Not(self.not()?.into()));
        }
        if self.sign("(") {
            let inner = self.or()?;
            let closed = self.sign(")");
            // A bracket is a condition's here: a text's would go on with an operator.
            let ends = match self.tokens.first() {
                None | Some(Token::Sign(")")) => true,
                Some(Token::Name(name)) => matches!(*name, "and" | "or"),
                Some(_) => false,
            };
            return (closed && ends).then_some(inner);
        }
        self.compared()
    }

    fn compared(&mut self) -> Option<Node> {
        let left = self.joined()?;
        let node = if self.sign("==") {
            Node::Equal(left.into(), self.joined()?.into())
        } else if self.sign("!=") {
            let equal = Node::Equal(left.into(), self.joined()?.into());
            Node::Not(equal.into())
        } else if self.takes(&Token::Name("in")) {
            Node::Within(left.into(), self.list()?)
        } else if self
            .tokens
            .starts_with(&[Token::Name("not"), Token::Name("in")])
        {
            self.tokens = &self.tokens[2..];
            let within = Node::Within(left.into(), self.list()?);
            Node::Not(within.into())
        } else {
            return Some(left);
        };
        // Comparisons in a chain are the engine's.
        let chained = matches!(
            self.tokens.first(),
            Some(Token::Sign("==" | "!=") | Token::Name("in" | "not" | "is" | "if"))
        );
        (!chained).then_some(node)
    }

    fn list(&mut self) -> Option<Vec<String>> {
        let close = if self.sign("[") {
            "]"
        } else if self.sign("(") {
            ")"
        } else {
            return None;
        };
        let mut texts = vec![self.text()?];
        while self.sign(",") {
            texts.push(self.text()?);
        }
        // `('A')` is a text in brackets, not a list.
        (self.sign(close) && (close == "]" || texts.len() > 1)).then_some(texts)
    }

    fn joined(&mut self) -> Option<Node> {
        let first = self.filtered()?;
        let mut parts = vec![first];
        while self.sign("~") {
            parts.push(self.filtered()?);
        }
        if parts.len() == 1 {
            parts.pop()
        } else {
            Some(Node::Joined(parts))
        }
    }

    fn filtered(&mut self) -> Option<Node> {
        let mut node = self.atom()?;
        while self.sign("|") {
            let Token::Name(name) = self.next()? else {
                return None;
            };
            let filter = match *name {
                "upper" => Filter::Upper,
                "lower" => Filter::Lower,
                "trim" => Filter::Trim,
                "default" | "d" if self.sign("(") => {
                    let other = self.text()?;
                    self.sign(")").then_some(Filter::Default(other))?
                }
                _ => return None,
            };
            // `upper()` and the like.
            if self.tokens.first() == Some(&Token::Sign("(")) {
                return None;
            }
            node = Node::Filtered(node.into(), filter);
        }
        Some(node)
    }

    fn atom(&mut self) -> Option<Node> {
        match self.next()? {
            Token::Text(text) => Some(Node::Literal((*text).to_owned())),
            Token::Name("rec") => {
                let name = if self.sign(".") {
                    match self.next()? {
                        Token::Name(name) => (*name).to_owned(),
                        _ => return None,
                    }
                } else if self.sign("[") {
                    let name = self.text()?;
                    self.sign("]").then_some(name)?
                } else {
                    return None;
                };
                // `rec.A.x`, `rec.A[0]` and `rec.A(...)`.
                if matches!(self.tokens.first(), Some(Token::Sign("." | "[" | "("))) {
                    return None;
                }
                Some(Node::Column(self.columns.slot(&name), name))
            }
            _ => None,
        }
    }
}
