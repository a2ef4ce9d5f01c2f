//! A field's options to its converter, and to what its value must be.

mod checks;

use jiff::fmt::temporal::DateTimeParser;
use toml::Spanned;

use crate::config::FieldConfig;
use crate::convert::check::Checks;
use crate::convert::date::DateRule;
use crate::convert::decimal::{DecimalRule, IMPLIED_DECIMALS_MAX};
use crate::convert::lookup::{Lookup, Otherwise};
use crate::convert::pattern::{Pattern, Read};
use crate::convert::timestamp::{TimeFormat, TimestampRule};
use crate::convert::zone::Zone;
use crate::convert::{integer, iso};
use crate::fields::{Options, Target};
use crate::nearest::{instead, nearest};
use crate::plan::{Constant, Convert, TextRule};

/// The options that go with any target.
const COMMON: [&str; 5] = ["from", "expr", "trim", "required", "default"];

/// The converter, the default and the checks. `None` if anything is wrong, which is noted then.
pub(crate) fn rule(
    options: &mut Options<'_, '_>,
    config: &FieldConfig,
    target: Target,
) -> Option<(Convert, Option<Constant>, Option<Box<Checks>>)> {
    let target = options.target(config, target)?;
    options.refuse_foreign(config, target);
    let convert = match target {
        Target::Text => Convert::Text(options.text(config)?),
        Target::Date => Convert::Date(options.date(config)?),
        Target::Decimal => Convert::Decimal(options.decimal(config)?),
        Target::Timestamp => Convert::Timestamp(Box::new(options.timestamp(config)?)),
        Target::Integer => Convert::Integer,
    };
    let default = match &config.default {
        Some(default) => Some(options.constant(default, target)?),
        None => None,
    };
    let checks = options.checks(config, default.as_ref());
    Some((convert, default, checks))
}

fn allowed(target: Target) -> &'static [&'static str] {
    match target {
        Target::Text => &[
            "lookup",
            "lookup_else",
            "min_length",
            "max_length",
            "min",
            "max",
            "one_of",
            "one_of_file",
            "pattern",
        ],
        Target::Date => &["type", "format"],
        Target::Decimal => &["implied_decimals", "decimal_comma", "min", "max"],
        Target::Timestamp => &["format", "zone"],
        Target::Integer => &["min", "max"],
    }
}

impl Options<'_, '_> {
    /// `type = "date"` makes a text a date.
    fn target(&mut self, config: &FieldConfig, target: Target) -> Option<Target> {
        let Some(kind) = &config.kind else {
            return Some(target);
        };
        match (kind.get_ref().as_str(), target) {
            ("date", Target::Text | Target::Date) => Some(Target::Date),
            ("date", _) => {
                self.refuse(
                    Some(kind.span()),
                    format!("is {}, not a date; delete type", target.noun()),
                );
                None
            }
            (other, _) => {
                let reason = format!(
                    "there is no type \"{other}\"; the only one to write is \"date\", for a text: numbers and times are known by their field"
                );
                self.refuse(Some(kind.span()), reason);
                None
            }
        }
    }

    fn refuse_foreign(&mut self, config: &FieldConfig, target: Target) {
        for (option, span) in config.set() {
            if COMMON.contains(&option) || allowed(target).contains(&option) {
                continue;
            }
            let way_out = match (option, target) {
                ("format", Target::Text) => "add type = \"date\" to read a date".to_owned(),
                ("lookup" | "lookup_else", _) => {
                    format!(
                        "lookup translates texts; translate it in the source, or with expr = \"...\", or delete {option}"
                    )
                }
                ("zone", Target::Date) => {
                    "a calendar date has no time zone; delete zone".to_owned()
                }
                _ => format!("delete {option}"),
            };
            let reason = format!(
                "is {}, for which {option} means nothing; {way_out}",
                target.noun()
            );
            self.refuse(span, reason);
        }
    }

    fn text(&mut self, config: &FieldConfig) -> Option<TextRule> {
        let otherwise = match config
            .lookup_else
            .as_ref()
            .map(|word| word.get_ref().as_str())
        {
            None | Some("fail") => Otherwise::Fail,
            Some("keep") => Otherwise::Keep,
            Some("default") if config.default.is_some() => Otherwise::Default,
            Some("default") => {
                self.refuse(
                    config.lookup_else.as_ref().map(Spanned::span),
                    "lookup_else = \"default\" needs a default; add default = \"...\"".into(),
                );
                return None;
            }
            Some(other) => {
                let reason = format!(
                    "lookup_else = \"{other}\" is not known; {}",
                    instead(other, ["fail", "keep", "default"])
                );
                self.refuse(config.lookup_else.as_ref().map(Spanned::span), reason);
                return None;
            }
        };
        let lookup = config.lookup.as_ref().map(|lookup| {
            let codes = lookup
                .get_ref()
                .iter()
                .map(|(code, text)| (code.as_str(), text.as_str()));
            Lookup::new(codes, otherwise)
        });
        if let (None, Some(word)) = (&lookup, &config.lookup_else) {
            self.refuse(
                Some(word.span()),
                "lookup_else without a lookup means nothing; add lookup = { CODE = \"text\" }"
                    .into(),
            );
        }
        if lookup.is_some()
            && config
                .lookup
                .as_ref()
                .is_some_and(|lookup| lookup.get_ref().is_empty())
        {
            self.refuse(
                config.lookup.as_ref().map(Spanned::span),
                "the lookup is empty; add lookup = { CODE = \"text\" }".into(),
            );
        }
        if let Some(max) = config.max_length.as_ref().filter(|max| *max.get_ref() == 0) {
            self.refuse(Some(max.span()), "max_length counts from 1".into());
        }
        Some(TextRule {
            lookup,
            max_length: config.max_length.as_ref().map(|max| *max.get_ref()),
        })
    }

    fn date(&mut self, config: &FieldConfig) -> Option<DateRule> {
        let Some(format) = &config.format else {
            if config.kind.is_some() {
                self.refuse(
                    config.kind.as_ref().map(Spanned::span),
                    "type = \"date\" needs how the source writes it; add format = \"%Y%m%d\" or \"iso8601\"".into(),
                );
                return None;
            }
            return Some(DateRule::Iso8601);
        };
        if format.get_ref() == "iso8601" {
            return Some(DateRule::Iso8601);
        }
        if matches!(format.get_ref().as_str(), "unix" | "unix_ms") {
            let reason = "a date cannot be told from seconds without a time zone; use expr, or a field that holds a time";
            self.refuse(Some(format.span()), reason.into());
            return None;
        }
        self.pattern(format).map(DateRule::Pattern)
    }

    fn decimal(&mut self, config: &FieldConfig) -> Option<DecimalRule> {
        let implied = config.implied_decimals.as_ref();
        if let Some(implied) = implied.filter(|implied| *implied.get_ref() > IMPLIED_DECIMALS_MAX) {
            let reason = format!(
                "implied_decimals = {} is too many, at most {IMPLIED_DECIMALS_MAX} fit",
                implied.get_ref()
            );
            self.refuse(Some(implied.span()), reason);
        }
        Some(DecimalRule {
            implied: implied.map(|implied| *implied.get_ref()),
            comma: config
                .decimal_comma
                .as_ref()
                .is_some_and(|comma| *comma.get_ref()),
        })
    }

    fn timestamp(&mut self, config: &FieldConfig) -> Option<TimestampRule> {
        let format = match &config.format {
            None => TimeFormat::Iso8601,
            Some(format) => match format.get_ref().as_str() {
                "iso8601" => TimeFormat::Iso8601,
                "unix" => TimeFormat::Unix,
                "unix_ms" => TimeFormat::UnixMs,
                _ => TimeFormat::Pattern(self.pattern(format)?),
            },
        };
        let zone = match &config.zone {
            Some(zone) if !format.takes_zone() => {
                let reason = format!(
                    "the format {} names the instant by itself; delete zone",
                    format.as_str()
                );
                self.refuse(Some(zone.span()), reason);
                None
            }
            Some(zone) => Some(self.zone(zone)?),
            None if matches!(format, TimeFormat::Pattern(_)) && format.takes_zone() => {
                let reason = format!(
                    "times as {} name no time zone; add the source's, e.g. zone = \"Europe/Berlin\" or \"UTC\"",
                    format.as_str()
                );
                self.refuse(config.format.as_ref().map(Spanned::span), reason);
                None
            }
            None => None,
        };
        Some(TimestampRule { format, zone })
    }

    fn pattern(&mut self, format: &Spanned<String>) -> Option<Pattern> {
        match Pattern::compile(format.get_ref()) {
            Ok(pattern) => Some(pattern),
            Err(reason) => {
                let reason = format!(
                    "format = \"{}\" cannot be used: {reason}; write it as for strptime, e.g. \"%Y-%m-%d %H:%M:%S\"",
                    format.get_ref()
                );
                self.refuse(Some(format.span()), reason);
                None
            }
        }
    }

    fn zone(&mut self, name: &Spanned<String>) -> Option<Zone> {
        let wanted = name.get_ref();
        if let Ok(zone) = DateTimeParser::new().parse_time_zone(wanted) {
            return Some(Zone::new(zone));
        }
        let known: Vec<String> = jiff::tz::db()
            .available()
            .map(|name| name.as_str().to_owned())
            .collect();
        let way_out = match nearest(wanted, known.iter().map(String::as_str)) {
            Some(near) => format!("did you mean \"{near}\"?"),
            None => "write for example \"Europe/Berlin\", \"UTC\" or \"+01:00\"".into(),
        };
        self.refuse(
            Some(name.span()),
            format!("zone = \"{wanted}\" is not known; {way_out}"),
        );
        None
    }

    fn constant(&mut self, default: &Spanned<String>, target: Target) -> Option<Constant> {
        let text = default.get_ref();
        let (constant, example) = match target {
            Target::Text => (Some(Constant::Text(text.clone())), "\"UNKNOWN\""),
            Target::Date => {
                let is_date = DateRule::Iso8601.text(text, &mut String::new()) == Ok(text.as_str());
                (
                    is_date.then(|| Constant::Text(text.clone())),
                    "\"2026-11-23\"",
                )
            }
            Target::Decimal => {
                let digits = DecimalRule::default()
                    .digits(text, &mut String::new())
                    .map(str::to_owned);
                (digits.ok().map(Constant::Digits), "\"0\"")
            }
            Target::Timestamp => match iso::time(text) {
                Ok(Read::Instant(micros)) => (Some(Constant::Micros(micros)), ""),
                _ => (None, "\"2026-11-23T07:15:00Z\""),
            },
            Target::Integer => (integer(text).map(Constant::Integer), "\"0\""),
        };
        let constant = constant.filter(|_| !text.is_empty());
        if constant.is_none() {
            let reason = format!(
                "default = \"{text}\" is not {}; write for example default = {example}",
                target.noun()
            );
            self.refuse(Some(default.span()), reason);
        }
        constant
    }
}
