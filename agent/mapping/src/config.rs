//! A mapping as it stands in the configuration. Names, kinds and formats are checked when it is
//! compiled, where a sentence can be made of what is wrong.

use std::collections::BTreeMap;
use std::fmt;
use std::ops::Range;

use serde::de::{IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};
use toml::Spanned;

/// One `[[flow.mapping]]`.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MappingConfig {
    /// The event's body, e.g. `shipment`.
    pub body: Spanned<String>,
    /// Which records it takes: an expression over `rec`.
    #[serde(default)]
    pub when: Option<Spanned<String>>,
    /// Only records of this type; of `generic`, the type that the event names.
    #[serde(default)]
    pub record_type: Option<Spanned<String>>,
    /// The business key that orders deliveries.
    pub key: Spanned<FieldConfig>,
    /// What ties events of one business case together.
    #[serde(default)]
    pub correlation_id: Option<Spanned<FieldConfig>>,
    /// Where nothing is said: what the source says of the record, and of one that says nothing, `create`.
    #[serde(default)]
    pub operation: Option<Spanned<OperationConfig>>,
    /// When it happened, if the source says so.
    #[serde(default)]
    pub occurred_at: Option<Spanned<FieldConfig>>,
    /// Of `generic`: every column of the record.
    #[serde(default)]
    pub all_columns: Option<Spanned<bool>>,
    /// The body's fields.
    #[serde(default)]
    pub fields: Fields,
}

/// `[flow.mapping.fields]`: field path to value; `"*"`, or `"*" = "*"` among others, stands for `all_columns = true`.
#[derive(Debug, Clone, Default)]
pub struct Fields {
    /// In the order of the names.
    pub named: BTreeMap<Spanned<String>, Spanned<FieldConfig>>,
    /// Whether `"*"` stands there.
    pub all_columns: bool,
}

/// `operation`: one for all records, or taken from each.
#[derive(Debug, Clone)]
pub enum OperationConfig {
    /// `create`, `update`, `delete` or `snapshot`.
    Fixed(String),
    /// Yields one of these words.
    Field(Box<FieldConfig>),
}

/// Where a value comes from and what is done to it. A text alone is a column's name.
#[derive(Debug, Clone, Default)]
pub struct FieldConfig {
    /// A column's name.
    pub from: Option<Spanned<String>>,
    /// An expression over `rec`; its result is read as text.
    pub expr: Option<Spanned<String>>,
    /// Whether white space around the text goes; it does.
    pub trim: Option<bool>,
    /// Whether an empty value is a failure.
    pub required: Option<bool>,
    /// Stands in for an empty value; alone, without `from`, it is a constant.
    pub default: Option<Spanned<String>>,
    /// Code to text.
    pub lookup: Option<Spanned<BTreeMap<String, String>>>,
    /// What becomes of codes that `lookup` does not have: `fail`, `keep` or `default`.
    pub lookup_else: Option<Spanned<String>>,
    /// How many of a whole number's last digits are decimals: 3 makes `12500` `12.500`.
    pub implied_decimals: Option<Spanned<u32>>,
    /// Whether `1.234,50` is meant by that.
    pub decimal_comma: Option<Spanned<bool>>,
    /// `date`: a calendar date, read with `format` and written as ISO 8601.
    pub kind: Option<Spanned<String>>,
    /// How a time or date is written: as for `strptime`, or `iso8601`, `unix`, `unix_ms`.
    pub format: Option<Spanned<String>>,
    /// The time zone of times that don't name one, e.g. `Europe/Berlin`.
    pub zone: Option<Spanned<String>>,
    /// The most characters that a text may have; more is a failure.
    pub max_length: Option<Spanned<u32>>,
    /// The fewest characters.
    pub min_length: Option<Spanned<u32>>,
    /// The least number; less is a failure.
    pub min: Option<Spanned<Bound>>,
    /// The largest number.
    pub max: Option<Spanned<Bound>>,
    /// The only values that there may be.
    pub one_of: Option<Spanned<Vec<String>>>,
    /// A file with these, a code a line.
    pub one_of_file: Option<Spanned<String>>,
    /// That file's text, or why it cannot be read: see [`MappingConfig::read_codes`].
    pub codes: Option<Result<String, String>>,
    /// A regular expression that the whole value matches.
    pub pattern: Option<Spanned<String>>,
    /// What stands below it: `line.quantity` without quotes is a table in TOML.
    pub below: Vec<(Spanned<String>, Spanned<FieldConfig>)>,
    /// Neither a column's name nor a table: what it is instead.
    pub odd: Option<&'static str>,
}

/// The options of a field, by their names in the configuration.
pub(crate) const OPTIONS: [&str; 19] = [
    "from",
    "expr",
    "trim",
    "required",
    "default",
    "lookup",
    "lookup_else",
    "implied_decimals",
    "decimal_comma",
    "type",
    "format",
    "zone",
    "max_length",
    "min_length",
    "min",
    "max",
    "one_of",
    "one_of_file",
    "pattern",
];

impl FieldConfig {
    /// The options that are set, as [`OPTIONS`] names them, with their places where known.
    pub(crate) fn set(&self) -> Vec<(&'static str, Option<Range<usize>>)> {
        fn at<T>(
            name: &'static str,
            option: &Option<Spanned<T>>,
        ) -> Option<(&'static str, Option<Range<usize>>)> {
            option.as_ref().map(|value| (name, Some(value.span())))
        }
        [
            at("from", &self.from),
            at("expr", &self.expr),
            self.trim.map(|_| ("trim", None)),
            self.required.map(|_| ("required", None)),
            at("default", &self.default),
            at("lookup", &self.lookup),
            at("lookup_else", &self.lookup_else),
            at("implied_decimals", &self.implied_decimals),
            at("decimal_comma", &self.decimal_comma),
            at("type", &self.kind),
            at("format", &self.format),
            at("zone", &self.zone),
            at("max_length", &self.max_length),
            at("min_length", &self.min_length),
            at("min", &self.min),
            at("max", &self.max),
            at("one_of", &self.one_of),
            at("one_of_file", &self.one_of_file),
            at("pattern", &self.pattern),
        ]
        .into_iter()
        .flatten()
        .collect()
    }

    fn odd(what: &'static str) -> Self {
        Self {
            odd: Some(what),
            ..Self::default()
        }
    }
}

/// A bound of a range: `"0.001"` or `5`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bound(pub String);

impl<'de> Deserialize<'de> for Bound {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Bounds;
        impl Visitor<'_> for Bounds {
            type Value = Bound;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a whole number, or a decimal in quotes such as \"0.001\"")
            }

            fn visit_str<E>(self, text: &str) -> Result<Bound, E> {
                Ok(Bound(text.to_owned()))
            }

            fn visit_i64<E>(self, number: i64) -> Result<Bound, E> {
                Ok(Bound(number.to_string()))
            }
        }
        deserializer.deserialize_any(Bounds)
    }
}

impl MappingConfig {
    /// Reads the files that fields name as their codes, by `read`; before the mapping is compiled.
    pub fn read_codes(&mut self, read: &dyn Fn(&str) -> Result<String, String>) {
        fn of(field: &mut FieldConfig, read: &dyn Fn(&str) -> Result<String, String>) {
            if let Some(file) = &field.one_of_file {
                field.codes = Some(read(file.get_ref()));
            }
            for (_, below) in &mut field.below {
                of(below.as_mut(), read);
            }
        }
        of(self.key.as_mut(), read);
        let envelope = [&mut self.correlation_id, &mut self.occurred_at];
        for field in envelope.into_iter().flatten() {
            of(field.as_mut(), read);
        }
        if let Some(OperationConfig::Field(field)) = self.operation.as_mut().map(Spanned::as_mut) {
            of(field, read);
        }
        for field in self.fields.named.values_mut() {
            of(field.as_mut(), read);
        }
    }
}

impl<'de> Deserialize<'de> for FieldConfig {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(FieldVisitor)
    }
}

struct FieldVisitor;

impl<'de> Visitor<'de> for FieldVisitor {
    type Value = FieldConfig;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a column's name or a table such as { from = \"COLUMN\" }")
    }

    // The text itself has no place of its own here; errors then name the field's.
    fn visit_str<E>(self, column: &str) -> Result<FieldConfig, E> {
        let from = Some(Spanned::new(0..0, column.to_owned()));
        Ok(FieldConfig {
            from,
            ..FieldConfig::default()
        })
    }

    fn visit_bool<E>(self, _: bool) -> Result<FieldConfig, E> {
        Ok(FieldConfig::odd("true or false"))
    }

    fn visit_i64<E>(self, _: i64) -> Result<FieldConfig, E> {
        Ok(FieldConfig::odd("a number"))
    }

    fn visit_f64<E>(self, _: f64) -> Result<FieldConfig, E> {
        Ok(FieldConfig::odd("a number"))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<FieldConfig, A::Error> {
        while items.next_element::<IgnoredAny>()?.is_some() {}
        Ok(FieldConfig::odd("a list"))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<FieldConfig, A::Error> {
        let mut field = FieldConfig::default();
        while let Some(name) = map.next_key::<Spanned<String>>()? {
            match name.get_ref().as_str() {
                "from" => field.from = Some(map.next_value()?),
                "expr" => field.expr = Some(map.next_value()?),
                "trim" => field.trim = Some(map.next_value()?),
                "required" => field.required = Some(map.next_value()?),
                "default" => field.default = Some(map.next_value()?),
                "lookup" => field.lookup = Some(map.next_value()?),
                "lookup_else" => field.lookup_else = Some(map.next_value()?),
                "implied_decimals" => field.implied_decimals = Some(map.next_value()?),
                "decimal_comma" => field.decimal_comma = Some(map.next_value()?),
                "type" => field.kind = Some(map.next_value()?),
                "format" => field.format = Some(map.next_value()?),
                "zone" => field.zone = Some(map.next_value()?),
                "max_length" => field.max_length = Some(map.next_value()?),
                "min_length" => field.min_length = Some(map.next_value()?),
                "min" => field.min = Some(map.next_value()?),
                "max" => field.max = Some(map.next_value()?),
                "one_of" => field.one_of = Some(map.next_value()?),
                "one_of_file" => field.one_of_file = Some(map.next_value()?),
                "pattern" => field.pattern = Some(map.next_value()?),
                _ => {
                    let below = map.next_value()?;
                    field.below.push((name, below));
                }
            }
        }
        Ok(field)
    }
}

impl<'de> Deserialize<'de> for OperationConfig {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Operations;
        impl<'de> Visitor<'de> for Operations {
            type Value = OperationConfig;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("\"create\", \"update\", \"delete\", \"snapshot\" or a table such as { from = \"COLUMN\" }")
            }

            fn visit_str<E>(self, name: &str) -> Result<OperationConfig, E> {
                Ok(OperationConfig::Fixed(name.to_owned()))
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<OperationConfig, A::Error> {
                Ok(OperationConfig::Field(Box::new(
                    FieldVisitor.visit_map(map)?,
                )))
            }
        }
        deserializer.deserialize_any(Operations)
    }
}

impl<'de> Deserialize<'de> for Fields {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Table;
        impl<'de> Visitor<'de> for Table {
            type Value = Fields;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a table of fields, or \"*\" for all columns of a generic record")
            }

            fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<Fields, E> {
                if text == "*" {
                    return Ok(Fields {
                        all_columns: true,
                        ..Fields::default()
                    });
                }
                Err(E::invalid_value(serde::de::Unexpected::Str(text), &self))
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Fields, A::Error> {
                let mut fields = Fields::default();
                while let Some((name, field)) =
                    map.next_entry::<Spanned<String>, Spanned<FieldConfig>>()?
                {
                    let column = field.get_ref().from.as_ref().map(Spanned::get_ref);
                    if name.get_ref() == "*" && column.is_some_and(|column| column == "*") {
                        fields.all_columns = true;
                    } else {
                        fields.named.insert(name, field);
                    }
                }
                Ok(fields)
            }
        }
        deserializer.deserialize_any(Table)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<MappingConfig, toml::de::Error> {
        toml::from_str(text)
    }

    #[test]
    fn a_mapping_is_read_with_the_places_of_its_fields() {
        let text = r#"
            body = "shipment"
            key = "SHIP_NO"
            operation = { from = "OP", lookup = { I = "create" } }
            [fields]
            shipment_number = { from = "SHIP_NO", required = true }
            "line.item_number" = "SKU"
            line.quantity = { from = "QTY", implied_decimals = 3 }
        "#;
        let config = parse(text).expect("a mapping");
        assert_eq!(config.body.get_ref(), "shipment");
        let (name, _) = config.fields.named.first_key_value().expect("fields");
        assert_eq!(
            (name.get_ref().as_str(), &text[name.span()]),
            ("line", "line")
        );
        let line = &config.fields.named["line"];
        let (below, quantity) = &line.get_ref().below[0];
        assert_eq!(
            (below.get_ref().as_str(), &text[below.span()]),
            ("quantity", "quantity")
        );
        assert_eq!(
            quantity
                .get_ref()
                .implied_decimals
                .as_ref()
                .map(|n| *n.get_ref()),
            Some(3)
        );
        let column = config.fields.named["line.item_number"].get_ref();
        assert_eq!(
            column.from.as_ref().map(|name| name.get_ref().as_str()),
            Some("SKU")
        );
    }

    #[test]
    fn what_serde_can_refuse_is_refused_with_its_place() {
        for (line, expected) in [
            ("bdy = \"shipment\"", "unknown field `bdy`"),
            ("when = 3", "invalid type: integer `3`, expected a string"),
            (
                "fields = \"all\"",
                "expected a table of fields, or \"*\" for all columns",
            ),
        ] {
            let text = format!("body = \"shipment\"\nkey = \"K\"\n{line}\n");
            let error = parse(&text).expect_err(line);
            assert!(error.message().contains(expected), "{}", error.message());
            assert!(
                error.span().is_some_and(|span| span.start >= 28),
                "{line}: {:?}",
                error.span()
            );
        }
        let error = parse("body = \"shipment\"").expect_err("no key");
        assert!(
            error.message().contains("missing field `key`"),
            "{}",
            error.message()
        );
    }

    #[test]
    fn a_star_stands_for_all_columns() {
        let config = parse("body = \"generic\"\nkey = \"K\"\nfields = \"*\"").expect("a mapping");
        assert!(config.fields.all_columns);
        let text = "body = \"generic\"\nkey = \"K\"\nfields = { \"*\" = \"*\", site = \"WH\" }";
        let config = parse(text).expect("a mapping");
        assert!(config.fields.all_columns && config.fields.named.len() == 1);
    }
}
