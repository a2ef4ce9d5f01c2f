//! A mapping as it is run: fields in ascending number, columns by slot, rules compiled.

use dray_adapter::Shape;
use dray_proto::v1::Operation;

use crate::convert::check::Checks;
use crate::convert::date::DateRule;
use crate::convert::decimal::DecimalRule;
use crate::convert::lookup::Lookup;
use crate::convert::timestamp::TimestampRule;
use crate::expression::Program;

/// One mapping.
#[derive(Debug)]
pub(crate) struct Plan {
    /// Its place in the flow's list: the last byte of its events' ids.
    pub(crate) output: u8,
    pub(crate) record_type: Option<String>,
    pub(crate) when: Option<Program>,
    pub(crate) key: Leaf,
    pub(crate) correlation_id: Option<Leaf>,
    /// The slot of the column by which the source says what happened.
    pub(crate) told: usize,
    pub(crate) operation: Operations,
    pub(crate) occurred_at: Option<Leaf>,
    pub(crate) body: BodyPlan,
}

impl Plan {
    /// Whether it takes records of this shape, conditions aside. A source that knows no types is
    /// taken by a `generic` mapping whatever name that gives its events.
    pub(crate) fn takes(&self, shape: &Shape) -> bool {
        match &self.record_type {
            None => true,
            Some(_) if self.body.generic.is_some() && shape.record_type.is_empty() => true,
            Some(wanted) => *wanted == shape.record_type,
        }
    }

    /// All its fields, those of the envelope too.
    pub(crate) fn leaves(&self) -> Vec<&Leaf> {
        fn of<'a>(steps: &'a [Step], leaves: &mut Vec<&'a Leaf>) {
            for step in steps {
                match step {
                    Step::Leaf(_, leaf) => leaves.push(leaf),
                    Step::Message { steps, .. } => of(steps, leaves),
                }
            }
        }
        let mut leaves = vec![&self.key];
        leaves.extend(&self.correlation_id);
        if let Operations::Leaf(leaf) = &self.operation {
            leaves.push(leaf);
        }
        leaves.extend(&self.occurred_at);
        of(&self.body.steps, &mut leaves);
        leaves
    }
}

/// The event's operation.
#[derive(Debug)]
pub(crate) enum Operations {
    /// What the source says; where it says nothing, `create`.
    Told,
    Fixed(Operation),
    Leaf(Leaf),
}

/// The event's body.
#[derive(Debug)]
pub(crate) struct BodyPlan {
    /// The field number in `Event`.
    pub(crate) number: u32,
    pub(crate) generic: Option<GenericPlan>,
    pub(crate) steps: Vec<Step>,
}

/// What only `generic` has.
#[derive(Debug)]
pub(crate) struct GenericPlan {
    /// The name to give; the record's own where there is none.
    pub(crate) record_type: Option<String>,
    /// Where all columns are wanted: the number of the map of fields, and the names that the
    /// mapping fills itself.
    pub(crate) all_columns: Option<(u32, Vec<String>)>,
}

/// One field, or a message of several. In ascending number.
#[derive(Debug)]
pub(crate) enum Step {
    Leaf(Place, Leaf),
    Message { number: u32, steps: Vec<Step> },
}

/// A field with a value.
#[derive(Debug)]
pub(crate) struct Leaf {
    /// As sentences name it, e.g. `line.quantity`.
    pub(crate) name: Box<str>,
    pub(crate) source: Source,
    pub(crate) trim: bool,
    pub(crate) required: bool,
    pub(crate) convert: Convert,
    /// What the converted value must be.
    pub(crate) checks: Option<Box<Checks>>,
    pub(crate) default: Option<Constant>,
}

/// Where the value goes.
#[derive(Debug)]
pub(crate) enum Place {
    Field(u32),
    /// A map's entry: its number and name.
    Entry(u32, Box<str>),
}

/// Where the value comes from.
#[derive(Debug)]
pub(crate) enum Source {
    /// A slot of [`crate::shapes::Columns`].
    Column(usize),
    Program(Box<Program>),
    /// The default is a constant.
    Nowhere,
}

/// What is done to the text.
#[derive(Debug)]
pub(crate) enum Convert {
    Text(TextRule),
    Date(DateRule),
    Decimal(DecimalRule),
    Timestamp(Box<TimestampRule>),
    Integer,
}

/// What a text must be or becomes.
#[derive(Debug, Default)]
pub(crate) struct TextRule {
    pub(crate) lookup: Option<Lookup>,
    /// In characters.
    pub(crate) max_length: Option<u32>,
}

/// A default, converted at load.
#[derive(Debug)]
pub(crate) enum Constant {
    Text(String),
    Digits(String),
    Micros(i64),
    Integer(u64),
}
