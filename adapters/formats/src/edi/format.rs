//! What both syntaxes are to those who read files: a format, compiled.

use std::marker::PhantomData;
use std::sync::Arc;

use super::{Decoder, EdiConfig, Plans, Syntax};

/// A syntax with its plans. Makes a decoder for each pass over a file.
#[derive(Debug)]
pub struct Edi<S> {
    plans: Arc<Plans>,
    syntax: PhantomData<fn() -> S>,
}

impl<S> Clone for Edi<S> {
    fn clone(&self) -> Self {
        Self {
            plans: Arc::clone(&self.plans),
            syntax: PhantomData,
        }
    }
}

impl<S: Syntax> Edi<S> {
    /// Whether the loops of this set are built in.
    pub(crate) fn is_known(set: &str) -> bool {
        S::SETS.iter().any(|known| known.set == set)
    }

    /// What is wrong with a configuration: the setting's path, and a sentence with the way out.
    #[must_use]
    pub fn faults(config: &EdiConfig) -> Vec<(String, String)> {
        config.compile::<S>().err().unwrap_or_default()
    }

    /// Compiles a format.
    ///
    /// # Errors
    /// The first of [`Self::faults`].
    pub fn new(config: &EdiConfig) -> Result<Self, String> {
        let first = |faults: Vec<(String, String)>| faults.into_iter().next().unwrap_or_default().1;
        Ok(Self {
            plans: Arc::new(config.compile::<S>().map_err(first)?),
            syntax: PhantomData,
        })
    }

    /// A decoder for a file's beginning. Records and bad documents whose ordinal is below `skip` are counted and not handed out.
    #[must_use]
    pub fn decoder(&self, skip: u64) -> Decoder<S> {
        Decoder::new(Arc::clone(&self.plans), S::default(), skip)
    }
}
