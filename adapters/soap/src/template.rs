//! Texts with holes, as an operator writes them: requests, answers.
//!
//! minijinja, with fuel; what is filled in is escaped for XML. A name that nothing stands for is an error.

use minijinja::{AutoEscape, Environment, UndefinedBehavior, Value};

/// Instructions that one rendering may use, and the end of an endless loop.
pub const FUEL: u64 = 100_000;
/// Bytes of what is made, at most.
pub const OUTPUT_BYTES_MAX: usize = 16 * 1024 * 1024;
const NAME: &str = "message";

/// A compiled template.
#[derive(Debug)]
pub struct Template(Environment<'static>);

impl Template {
    /// Compiles it. `xml`: whether what is filled in is escaped for XML; otherwise it is JSON.
    ///
    /// # Errors
    /// A sentence with the line.
    pub fn new(source: &str, xml: bool) -> Result<Self, String> {
        let mut environment = Environment::new();
        environment.set_auto_escape_callback(move |_| match xml {
            true => AutoEscape::Html,
            false => AutoEscape::Json,
        });
        environment.set_undefined_behavior(UndefinedBehavior::Strict);
        environment.set_fuel(Some(FUEL));
        environment
            .add_template_owned(NAME, source.to_owned())
            .map_err(|error| sentence(&error))?;
        Ok(Self(environment))
    }

    /// Fills it in.
    ///
    /// # Errors
    /// A sentence.
    pub fn render(&self, values: Value) -> Result<String, String> {
        let template = self
            .0
            .get_template(NAME)
            .map_err(|error| sentence(&error))?;
        let made = template.render(values).map_err(|error| sentence(&error))?;
        if made.len() > OUTPUT_BYTES_MAX {
            return Err(format!(
                "the template makes more than {OUTPUT_BYTES_MAX} bytes"
            ));
        }
        Ok(made)
    }
}

fn sentence(error: &minijinja::Error) -> String {
    let line = error
        .line()
        .map_or_else(String::new, |line| format!("line {line}: "));
    let detail = error
        .detail()
        .map_or_else(String::new, |detail| format!(": {detail}"));
    format!("{line}{}{detail}", error.kind())
}
