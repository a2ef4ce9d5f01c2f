//! A body's fields: paths to numbers, options to rules.

use std::collections::BTreeMap;
use std::iter::Peekable;
use std::ops::Range;

use dray_proto::schema::{Kind, Message};
use toml::Spanned;

use crate::compile::Compiler;
use crate::config::{FieldConfig, Fields, OPTIONS};
use crate::nearest::{instead, nearest};
use crate::plan::{Leaf, Place, Source, Step};
use crate::rules;

/// What a field holds, as far as its options go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Target {
    Text,
    /// A text that `event.proto` calls an ISO 8601 date.
    Date,
    Decimal,
    Timestamp,
    Integer,
}

impl Target {
    pub(crate) fn noun(self) -> &'static str {
        match self {
            Self::Text => "a text",
            Self::Date => "a date",
            Self::Decimal => "a decimal number",
            Self::Timestamp => "a time",
            Self::Integer => "a whole number",
        }
    }
}

/// Leaves by their numbers from the body down and, in a map, their name.
type Placed = BTreeMap<(Vec<u32>, String), Leaf>;

/// The steps of a canonical body. `None` if anything is wrong, which is noted then.
pub(crate) fn steps(
    compiler: &mut Compiler<'_>,
    body: &str,
    message: &'static Message,
    fields: &Fields,
) -> Option<Vec<Step>> {
    let mut placing = Placing {
        compiler,
        body,
        placed: Placed::new(),
        whole: true,
    };
    for (name, config) in &fields.named {
        let path = Path {
            full: name.get_ref().clone(),
            numbers: Vec::new(),
            span: name.span(),
        };
        placing.place(message, path, name.get_ref(), config);
    }
    let Placing { placed, whole, .. } = placing;
    whole.then(|| tree(&mut placed.into_iter().peekable(), &[]))
}

/// The steps of a generic body, whose fields have the names that the mapping gives, and those names.
pub(crate) fn generic(
    compiler: &mut Compiler<'_>,
    number: u32,
    fields: &Fields,
) -> Option<(Vec<Step>, Vec<String>)> {
    let mut placing = Placing {
        compiler,
        body: "generic",
        placed: Placed::new(),
        whole: true,
    };
    for (name, config) in &fields.named {
        let path = Path {
            full: name.get_ref().clone(),
            numbers: vec![number],
            span: name.span(),
        };
        placing.entry(path, name.get_ref(), config);
    }
    let Placing { placed, whole, .. } = placing;
    let own = placed.keys().map(|(_, name)| name.clone()).collect();
    whole.then(|| (tree(&mut placed.into_iter().peekable(), &[]), own))
}

/// Groups sorted leaves under the messages that their numbers lead through.
fn tree(
    placed: &mut Peekable<impl Iterator<Item = ((Vec<u32>, String), Leaf)>>,
    prefix: &[u32],
) -> Vec<Step> {
    let mut steps = Vec::new();
    while let Some(((numbers, _), _)) = placed.peek() {
        if !numbers.starts_with(prefix) {
            break;
        }
        let below = numbers[..=prefix.len()].to_vec();
        let number = below[prefix.len()];
        if numbers.len() > below.len() {
            steps.push(Step::Message {
                number,
                steps: tree(placed, &below),
            });
        } else if let Some(((_, name), leaf)) = placed.next() {
            let place = if name.is_empty() {
                Place::Field(number)
            } else {
                Place::Entry(number, name.into())
            };
            steps.push(Step::Leaf(place, leaf));
        }
    }
    steps
}

struct Placing<'p, 'c> {
    compiler: &'p mut Compiler<'c>,
    body: &'p str,
    placed: Placed,
    whole: bool,
}

/// A field on the way to its place.
#[derive(Clone)]
struct Path {
    /// As the configuration names it, from the body down.
    full: String,
    /// Of the messages gone through.
    numbers: Vec<u32>,
    span: Range<usize>,
}

impl Path {
    fn below(&self, name: &Spanned<String>) -> Self {
        Self {
            full: format!("{}.{}", self.full, name.get_ref()),
            span: name.span(),
            ..self.clone()
        }
    }

    fn through(mut self, number: u32) -> Self {
        self.numbers.push(number);
        self
    }
}

impl Placing<'_, '_> {
    fn refuse(&mut self, path: &Path, reason: String) {
        self.compiler
            .error(Some(&path.full), path.span.clone(), reason);
        self.whole = false;
    }

    /// `rest` is what is left of the path, below `message`.
    fn place(
        &mut self,
        message: &'static Message,
        path: Path,
        rest: &str,
        config: &Spanned<FieldConfig>,
    ) {
        let (name, rest) = rest
            .split_once('.')
            .map_or((rest, None), |(name, rest)| (name, Some(rest)));
        let Some(field) = message.field(name) else {
            return self.unknown(message, &path, name);
        };
        let target = match (field.kind, rest) {
            (Kind::Message(inner), Some(rest)) => {
                return self.place(inner, path.through(field.number), rest, config);
            }
            (Kind::Message(inner), None) => {
                if self.is_group(
                    &path,
                    config,
                    inner.fields.first().map_or("", |field| field.name),
                ) {
                    for (name, config) in &config.get_ref().below {
                        self.place(
                            inner,
                            path.below(name).through(field.number),
                            name.get_ref(),
                            config,
                        );
                    }
                }
                return;
            }
            (Kind::TextMap, Some(rest)) => {
                return self.entry(path.through(field.number), rest, config);
            }
            (Kind::TextMap, None) => {
                if self.is_group(&path, config, "dock") {
                    for (name, config) in &config.get_ref().below {
                        self.entry(
                            path.below(name).through(field.number),
                            name.get_ref(),
                            config,
                        );
                    }
                }
                return;
            }
            (Kind::Bytes | Kind::Enum(_) | Kind::Messages(_) | Kind::Texts, _) => {
                return self.refuse(&path, "is not for mapping".into());
            }
            (Kind::Text, None) if name.ends_with("_date") => Target::Date,
            (Kind::Text, None) => Target::Text,
            (Kind::Decimal, None) => Target::Decimal,
            (Kind::Timestamp, None) => Target::Timestamp,
            (Kind::Integer, None) => Target::Integer,
            (_, Some(_)) => {
                let reason = format!(
                    "{name} is a value of its own, nothing stands below it; write {name} = \"COLUMN\""
                );
                return self.refuse(&path, reason);
            }
        };
        self.leaf(path.through(field.number), "", target, config);
    }

    /// An entry of the map whose number the path ends with.
    fn entry(&mut self, path: Path, name: &str, config: &Spanned<FieldConfig>) {
        if name.is_empty() {
            return self.refuse(&path, "the name is empty; name the field".into());
        }
        let below = &config.get_ref().below;
        if below.is_empty() || !config.get_ref().set().is_empty() {
            return self.leaf(path, name, Target::Text, config);
        }
        for (last, config) in below {
            let full = format!("{name}.{}", last.get_ref());
            self.entry(path.below(last), &full, config);
        }
    }

    fn leaf(&mut self, path: Path, entry: &str, target: Target, config: &Spanned<FieldConfig>) {
        let leaf = leaf(
            self.compiler,
            &path.full,
            path.span.clone(),
            config.get_ref(),
            target,
        );
        let Some(leaf) = leaf else {
            self.whole = false;
            return;
        };
        let place = (path.numbers.clone(), entry.to_owned());
        if self.placed.insert(place, leaf).is_some() {
            self.refuse(
                &path,
                "stands twice in this mapping; delete one of the two".into(),
            );
        }
    }

    /// Whether a table holds fields rather than options, which a message or a map cannot have.
    fn is_group(&mut self, path: &Path, config: &Spanned<FieldConfig>, example: &str) -> bool {
        let config = config.get_ref();
        let is_group = config.set().is_empty() && config.odd.is_none() && !config.below.is_empty();
        if !is_group {
            let reason = format!(
                "{} holds several fields; name one of them: \"{}.{example}\" = \"COLUMN\"",
                path.full, path.full
            );
            self.refuse(path, reason);
        }
        is_group
    }

    fn unknown(&mut self, message: &'static Message, path: &Path, name: &str) {
        let names = message.fields.iter().map(|field| field.name);
        let within = match path.full.rsplit_once('.') {
            Some((group, _)) if !path.numbers.is_empty() => group,
            _ => self.body,
        };
        let has_attributes = message.field("attributes").is_some();
        let mut reason = format!(
            "{within} has no field \"{name}\"; {}",
            instead(name, names.clone())
        );
        if has_attributes && nearest(name, names).is_none() {
            reason.push_str(&format!(
                "; what has no field of its own is mapped as \"attributes.{name}\""
            ));
        }
        self.refuse(path, reason);
    }
}

/// Compiles a field's source and options. `None` if anything is wrong, which is noted then.
pub(crate) fn leaf(
    compiler: &mut Compiler<'_>,
    name: &str,
    span: Range<usize>,
    config: &FieldConfig,
    target: Target,
) -> Option<Leaf> {
    let mut options = Options {
        compiler,
        name,
        span,
        whole: true,
    };
    options.refuse_odd(config);
    let source = options.source(config);
    let rule = rules::rule(&mut options, config, target);
    if !options.whole {
        return None;
    }
    let (convert, default, checks) = rule?;
    if matches!(source, Some(Source::Nowhere)) && default.is_none() {
        let reason = format!(
            "says neither where its value comes from nor what it is; write {name} = \"COLUMN\", {{ expr = \"...\" }} or {{ default = \"...\" }}"
        );
        options.refuse(None, reason);
        return None;
    }
    Some(Leaf {
        name: name.into(),
        source: source?,
        trim: config.trim.unwrap_or(true),
        required: config.required.unwrap_or(false),
        convert,
        checks,
        default,
    })
}

/// A field whose options are compiled.
pub(crate) struct Options<'o, 'c> {
    pub(crate) compiler: &'o mut Compiler<'c>,
    pub(crate) name: &'o str,
    span: Range<usize>,
    whole: bool,
}

impl Options<'_, '_> {
    /// Notes what is wrong, at the option's place or else the field's.
    pub(crate) fn refuse(&mut self, span: Option<Range<usize>>, reason: String) {
        let span = span
            .filter(|span| !span.is_empty())
            .unwrap_or_else(|| self.span.clone());
        self.compiler.error(Some(self.name), span, reason);
        self.whole = false;
    }

    fn refuse_odd(&mut self, config: &FieldConfig) {
        if let Some(what) = config.odd {
            let reason = format!(
                "is {what}, and a column's name or a table is needed: {} = \"COLUMN\"; a fixed value is {{ default = \"...\" }}",
                self.name
            );
            self.refuse(None, reason);
        }
        for (option, _) in &config.below {
            let reason = format!(
                "unknown option \"{}\"; {}",
                option.get_ref(),
                instead(option.get_ref(), OPTIONS)
            );
            self.refuse(Some(option.span()), reason);
        }
    }

    fn source(&mut self, config: &FieldConfig) -> Option<Source> {
        match (&config.from, &config.expr) {
            (Some(from), Some(_)) => {
                self.refuse(
                    Some(from.span()),
                    "has both from and expr; one of them is the value's source: delete the other"
                        .into(),
                );
                None
            }
            (Some(from), None) if from.get_ref().is_empty() => {
                self.refuse(
                    Some(from.span()),
                    "the column's name is empty; name one of the record's columns".into(),
                );
                None
            }
            (Some(from), None) => Some(Source::Column(self.compiler.columns.slot(from.get_ref()))),
            (None, Some(expr)) => {
                let program = self.compiler.program(self.name, expr);
                self.whole &= program.is_some();
                program.map(|program| Source::Program(Box::new(program)))
            }
            (None, None) => Some(Source::Nowhere),
        }
    }
}
