//! A field's options to what its value must be.

use dray_proto::decimal;
use toml::Spanned;

use crate::config::{Bound, FieldConfig};
use crate::convert::check::{Checks, Codes, whole};
use crate::fields::Options;
use crate::plan::Constant;

impl Options<'_, '_> {
    /// `None` where there is nothing to check.
    pub(super) fn checks(
        &mut self,
        config: &FieldConfig,
        default: Option<&Constant>,
    ) -> Option<Box<Checks>> {
        let checks = Checks {
            min: self.bound("min", config.min.as_ref()),
            max: self.bound("max", config.max.as_ref()),
            min_length: config.min_length.as_ref().map(|min| *min.get_ref()),
            one_of: self.codes(config),
            pattern: self.shape(config),
        };
        if let (Some(min), Some(max)) = (&checks.min, &checks.max)
            && decimal::compare(min, max).is_some_and(|order| order.is_gt())
        {
            let reason = format!("min = {min} is above max = {max}");
            self.refuse(config.min.as_ref().map(Spanned::span), reason);
        }
        if let (Some(min), Some(max)) = (&config.min_length, &config.max_length)
            && min.get_ref() > max.get_ref()
        {
            self.refuse(Some(min.span()), "min_length is above max_length".into());
        }
        if let Some(text) = default.and_then(text_of)
            && let Some(broken) = checks.broken(&text)
        {
            let reason = format!("default = \"{text}\" {broken}");
            self.refuse(config.default.as_ref().map(Spanned::span), reason);
        }
        (!checks.is_empty()).then(|| Box::new(checks))
    }

    fn bound(&mut self, setting: &str, bound: Option<&Spanned<Bound>>) -> Option<String> {
        let bound = bound?;
        let text = &bound.get_ref().0;
        if decimal::compare(text, "0").is_none() {
            let reason = format!(
                "{setting} = \"{text}\" is not a decimal number; write for example {setting} = \"0.001\""
            );
            self.refuse(Some(bound.span()), reason);
        }
        Some(text.clone())
    }

    fn codes(&mut self, config: &FieldConfig) -> Option<Codes> {
        match (&config.one_of, &config.one_of_file) {
            (Some(list), Some(_)) => {
                let reason = "has one_of and one_of_file; write one of them";
                self.refuse(Some(list.span()), reason.into());
                None
            }
            (Some(list), None) if list.get_ref().is_empty() => {
                let reason =
                    "one_of is empty, so that no value would do; write one_of = [\"EA\", \"CS\"]";
                self.refuse(Some(list.span()), reason.into());
                None
            }
            (Some(list), None) => Some(Codes::listed(list.get_ref())),
            (None, Some(file)) => {
                let codes = match config.codes.as_ref() {
                    Some(Ok(text)) => Codes::read(file.get_ref(), text),
                    Some(Err(reason)) => Err(format!("{}: {reason}", file.get_ref())),
                    None => Err(format!("{}: it was not read", file.get_ref())),
                };
                match codes {
                    Ok(codes) => Some(codes),
                    Err(reason) => {
                        self.refuse(Some(file.span()), format!("one_of_file: {reason}"));
                        None
                    }
                }
            }
            (None, None) => None,
        }
    }

    fn shape(&mut self, config: &FieldConfig) -> Option<(regex::Regex, String)> {
        let pattern = config.pattern.as_ref()?;
        match whole(pattern.get_ref()) {
            Ok(regex) => Some((regex, pattern.get_ref().clone())),
            Err(reason) => {
                let reason = format!(
                    "pattern = \"{}\" cannot be used: {reason}",
                    pattern.get_ref()
                );
                self.refuse(Some(pattern.span()), reason);
                None
            }
        }
    }
}

/// A default as checks see it; times have none.
fn text_of(default: &Constant) -> Option<String> {
    match default {
        Constant::Text(text) | Constant::Digits(text) => Some(text.clone()),
        Constant::Integer(value) => Some(value.to_string()),
        Constant::Micros(_) => None,
    }
}
