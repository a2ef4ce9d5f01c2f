//! From the configuration to plans, with all that is wrong at once.

use std::ops::Range;

use dray_adapter::OPERATION_COLUMN;
use dray_proto::schema::{self, BODIES, Body, Message};
use toml::Spanned;

use crate::MAPPINGS_MAX;
use crate::config::{FieldConfig, MappingConfig, OperationConfig};
use crate::error::MappingError;
use crate::expression::Program;
use crate::fields::{self, Target};
use crate::nearest::instead;
use crate::plan::{BodyPlan, Constant, GenericPlan, Leaf, Operations, Plan, Source, Step};
use crate::shapes::Columns;
use crate::write::{OPERATIONS, operation_named};

/// The bodies that the agent makes itself.
const RESERVED: [&str; 5] = [
    "dead_letter",
    "file_report",
    "schema_change",
    "source_gap",
    "heartbeat",
];
/// The body with names of the source's own.
const GENERIC: &str = "generic";

/// Compiles a flow's mappings.
pub(crate) fn compile(
    configs: &[MappingConfig],
) -> Result<(Vec<Plan>, Columns), Vec<MappingError>> {
    let mut columns = Columns::default();
    let mut errors = Vec::new();
    let mut plans = Vec::new();
    for (mapping, config) in configs.iter().enumerate() {
        let mut compiler = Compiler {
            mapping,
            errors: &mut errors,
            columns: &mut columns,
        };
        match u8::try_from(mapping) {
            Ok(output) if mapping < MAPPINGS_MAX => plans.extend(compiler.plan(output, config)),
            _ => {
                let reason =
                    format!("a flow has at most {MAPPINGS_MAX} mappings; divide it into two flows");
                compiler.error(None, config.body.span(), reason);
                break;
            }
        }
    }
    if errors.is_empty() {
        Ok((plans, columns))
    } else {
        Err(errors)
    }
}

/// Compiles one mapping.
pub(crate) struct Compiler<'c> {
    mapping: usize,
    errors: &'c mut Vec<MappingError>,
    pub(crate) columns: &'c mut Columns,
}

impl Compiler<'_> {
    /// Notes what is wrong.
    pub(crate) fn error(&mut self, field: Option<&str>, span: Range<usize>, reason: String) {
        self.errors.push(MappingError {
            mapping: self.mapping,
            field: field.map(str::to_owned),
            reason,
            span: Some(span).filter(|span| !span.is_empty()),
        });
    }

    /// All parts are compiled even if one is wrong, so that each mistake is found.
    fn plan(&mut self, output: u8, config: &MappingConfig) -> Option<Plan> {
        let when = config.when.as_ref().map(|when| self.program("when", when));
        let key = self.key(&config.key);
        let correlation_id = self.envelope(
            "correlation_id",
            config.correlation_id.as_ref(),
            Target::Text,
        );
        let occurred_at = self.envelope(
            "occurred_at",
            config.occurred_at.as_ref(),
            Target::Timestamp,
        );
        let operation = self.operation(config.operation.as_ref());
        let body = self.body(config);
        Some(Plan {
            output,
            record_type: config
                .record_type
                .as_ref()
                .map(|name| name.get_ref().clone())
                .filter(|name| !name.is_empty()),
            when: transposed(when)?,
            key: key?,
            correlation_id: transposed(correlation_id)?,
            told: self.columns.slot(OPERATION_COLUMN),
            operation: operation?,
            occurred_at: transposed(occurred_at)?,
            body: body?,
        })
    }

    /// An expression.
    pub(crate) fn program(&mut self, field: &str, source: &Spanned<String>) -> Option<Program> {
        match Program::compile(source.get_ref(), self.columns) {
            Ok(program) => Some(program),
            Err(reason) => {
                let reason = format!(
                    "the expression {:?} is wrong: {reason}; columns are written rec.NAME, texts 'in quotes'",
                    source.get_ref()
                );
                self.error(Some(field), source.span(), reason);
                None
            }
        }
    }

    fn key(&mut self, config: &Spanned<FieldConfig>) -> Option<Leaf> {
        let leaf = fields::leaf(self, "key", config.span(), config.get_ref(), Target::Text)?;
        Some(Leaf {
            required: true,
            ..leaf
        })
    }

    fn envelope(
        &mut self,
        name: &str,
        config: Option<&Spanned<FieldConfig>>,
        target: Target,
    ) -> Option<Option<Leaf>> {
        config.map(|config| fields::leaf(self, name, config.span(), config.get_ref(), target))
    }

    fn operation(&mut self, config: Option<&Spanned<OperationConfig>>) -> Option<Operations> {
        let Some(config) = config else {
            return Some(Operations::Told);
        };
        let span = config.span();
        match config.get_ref() {
            OperationConfig::Fixed(name) => {
                let operation = operation_named(name);
                if operation.is_none() {
                    self.unknown_operation(name, span);
                }
                operation.map(Operations::Fixed)
            }
            OperationConfig::Field(field) => {
                let leaf = fields::leaf(self, "operation", span.clone(), field, Target::Text)?;
                let looked_up = field
                    .lookup
                    .iter()
                    .flat_map(|lookup| lookup.get_ref().values());
                let default = match &leaf.default {
                    Some(Constant::Text(text)) => Some(text),
                    _ => None,
                };
                let unknown = looked_up
                    .chain(default)
                    .find(|name| operation_named(name).is_none());
                if let Some(name) = unknown {
                    self.unknown_operation(name, span);
                    return None;
                }
                Some(Operations::Leaf(leaf))
            }
        }
    }

    fn unknown_operation(&mut self, name: &str, span: Range<usize>) {
        let names = OPERATIONS.map(|(name, _)| name);
        let reason = format!(
            "\"{name}\" is no operation; {}; from a column it is {{ from = \"COLUMN\", lookup = {{ I = \"create\" }} }}",
            instead(name, names)
        );
        self.error(Some("operation"), span, reason);
    }

    fn body(&mut self, config: &MappingConfig) -> Option<BodyPlan> {
        let body = self.body_named(&config.body)?;
        let all_columns = config
            .all_columns
            .as_ref()
            .is_some_and(|all| *all.get_ref())
            || config.fields.all_columns;
        if body.name == GENERIC {
            return self.generic(body, config, all_columns);
        }
        if all_columns {
            let span = config
                .all_columns
                .as_ref()
                .map_or_else(|| config.body.span(), Spanned::span);
            let reason = format!(
                "only a generic record can take all columns under their own names; map the fields of {}, or write body = \"{GENERIC}\"",
                body.name
            );
            self.error(Some("all_columns"), span, reason);
            return None;
        }
        let steps = fields::steps(self, body.name, body.message, &config.fields)?;
        if steps.is_empty() {
            self.no_fields(body, config);
            return None;
        }
        Some(BodyPlan {
            number: body.number,
            generic: None,
            steps,
        })
    }

    fn body_named(&mut self, name: &Spanned<String>) -> Option<&'static Body> {
        let wanted = name.get_ref();
        let reason = match schema::body(wanted) {
            Some(body) if !RESERVED.contains(&body.name) => return Some(body),
            Some(body) => format!(
                "{} is reserved: the agent makes these itself of records that cannot go on, and of whole files",
                body.name
            ),
            None => {
                let names: Vec<&str> = BODIES
                    .iter()
                    .map(|body| body.name)
                    .filter(|name| !RESERVED.contains(name))
                    .collect();
                format!(
                    "there is no body \"{wanted}\"; bodies are {}",
                    names.join(", ")
                )
            }
        };
        self.error(Some("body"), name.span(), reason);
        None
    }

    fn generic(
        &mut self,
        body: &'static Body,
        config: &MappingConfig,
        all_columns: bool,
    ) -> Option<BodyPlan> {
        let number = body.message.field("fields")?.number;
        let (steps, own): (Vec<Step>, Vec<String>) = fields::generic(self, number, &config.fields)?;
        if steps.is_empty() && !all_columns {
            self.no_fields(body, config);
            return None;
        }
        let generic = GenericPlan {
            record_type: config
                .record_type
                .as_ref()
                .map(|name| name.get_ref().clone())
                .filter(|name| !name.is_empty()),
            all_columns: all_columns.then_some((number, own)),
        };
        Some(BodyPlan {
            number: body.number,
            generic: Some(generic),
            steps,
        })
    }

    fn no_fields(&mut self, body: &Body, config: &MappingConfig) {
        let example = example_field(body.message);
        let reason = if body.name == GENERIC {
            "no field is mapped; write all_columns = true, or name some under [flow.mapping.fields]"
                .to_owned()
        } else {
            format!(
                "no field is mapped; add [flow.mapping.fields] with for example {example} = \"COLUMN\""
            )
        };
        self.error(Some("fields"), config.body.span(), reason);
    }
}

fn example_field(message: &Message) -> &'static str {
    message.fields.first().map_or("", |field| field.name)
}

/// `None` if a part that is there could not be compiled.
fn transposed<T>(part: Option<Option<T>>) -> Option<Option<T>> {
    match part {
        None => Some(None),
        Some(compiled) => compiled.map(Some),
    }
}

/// The columns that a leaf rests on.
pub(crate) fn columns_of<'a>(leaf: &'a Leaf, columns: &'a Columns) -> Vec<&'a str> {
    match &leaf.source {
        Source::Column(slot) => vec![columns.name(*slot)],
        Source::Program(program) => program.columns.iter().map(String::as_str).collect(),
        Source::Nowhere => Vec::new(),
    }
}
