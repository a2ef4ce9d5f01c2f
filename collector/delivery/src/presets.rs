//! Presets: what an ERP's conventions are, as configuration that lies beneath a target's own.
//!
//! `preset = "tryton/items"` in a `[[target]]` table lays the table `[target]` of a shipped file under it. The target's own
//! settings win, key by key, at any depth; a table that says another `kind` replaces the preset's whole; rules are the one
//! exception: those of the target come first, and the preset's follow. A preset may lie on another.
//!
//! ```toml
//! about = "Items become products: found by their code, then created or changed."
//! tested = "on Tryton 8.2"
//! [write]                               # what a target must say itself, and what it is
//! "vars.company" = "the id of the company, e.g. 1"
//! [target]
//! preset = "tryton/session"
//! bodies = ["item"]
//! ```
//! Which presets there are is a table in this file; a test holds it to the folder `presets/`. A name that ends in `.toml` is
//! a file of the user's own: see [`own`].

mod lay;
pub mod own;

use serde::Deserialize;
use serde::de::DeserializeOwned;
use std::collections::BTreeMap;
use std::path::Path;
use toml::Spanned;
use toml::de::DeTable;

pub use lay::{Missing, lay_under};
pub use own::Own;

/// Presets that lie on each other, at most: one that lies on itself ends there.
const DEPTH_MAX: usize = 5;

/// Each by its name, which is its file's.
const SHIPPED: [(&str, &str); 17] = [
    (
        "business-central/items",
        include_str!("../presets/business-central/items.toml"),
    ),
    ("cap/items", include_str!("../presets/cap/items.toml")),
    (
        "d365-fo/items",
        include_str!("../presets/d365-fo/items.toml"),
    ),
    ("fusion/items", include_str!("../presets/fusion/items.toml")),
    (
        "fusion/movements",
        include_str!("../presets/fusion/movements.toml"),
    ),
    (
        "netsuite/account",
        include_str!("../presets/netsuite/account.toml"),
    ),
    (
        "netsuite/items",
        include_str!("../presets/netsuite/items.toml"),
    ),
    (
        "netsuite/shipments",
        include_str!("../presets/netsuite/shipments.toml"),
    ),
    ("odoo/items", include_str!("../presets/odoo/items.toml")),
    (
        "s4hana/gateway",
        include_str!("../presets/s4hana/gateway.toml"),
    ),
    ("s4hana/items", include_str!("../presets/s4hana/items.toml")),
    (
        "s4hana/movements",
        include_str!("../presets/s4hana/movements.toml"),
    ),
    (
        "tryton/inventory",
        include_str!("../presets/tryton/inventory.toml"),
    ),
    ("tryton/items", include_str!("../presets/tryton/items.toml")),
    (
        "tryton/session",
        include_str!("../presets/tryton/session.toml"),
    ),
    (
        "tryton/shipment-lines",
        include_str!("../presets/tryton/shipment-lines.toml"),
    ),
    (
        "tryton/shipments",
        include_str!("../presets/tryton/shipments.toml"),
    ),
];

/// A preset's file.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Preset {
    /// What it does, in a sentence; all that are shipped say it.
    #[serde(default)]
    pub about: String,
    /// What it was tried on; all that are shipped say it.
    #[serde(default)]
    pub tested: String,
    /// What a target must say itself: dotted settings, and what to write.
    #[serde(default)]
    pub write: BTreeMap<String, String>,
    /// What lies beneath the target's own table.
    pub target: toml::Table,
}

impl Preset {
    /// Whether it is of use by itself; others only lie beneath these, and say of no event what becomes of it.
    #[must_use]
    pub fn stands_alone(&self) -> bool {
        self.target.contains_key("bodies")
    }
}

/// The names of all presets, in order.
pub fn names() -> impl Iterator<Item = &'static str> {
    SHIPPED.iter().map(|(name, _)| *name)
}

/// A preset's file.
#[must_use]
pub fn text(name: &str) -> Option<&'static str> {
    let at = SHIPPED
        .binary_search_by(|(known, _)| (*known).cmp(name))
        .ok()?;
    Some(SHIPPED[at].1)
}

/// A preset.
///
/// # Errors
/// A sentence: there is none of this name.
pub fn read(name: &str) -> Result<Preset, String> {
    let text = text(name).ok_or_else(|| unknown(name))?;
    toml::from_str(text).map_err(|error| format!("preset {name:?}: {error}"))
}

fn unknown(name: &str) -> String {
    let near = names()
        .find(|known| known.contains(name) || name.contains(known))
        .map(|known| format!(" {known:?}?"));
    format!(
        "there is no preset {name:?};{} \"dray-collector presets\" lists them",
        near.unwrap_or_default()
    )
}

/// What a text with `[[target]]` tables says once their presets lie beneath them. `folder`: where that text's file stands,
/// for presets that are files.
///
/// # Errors
/// A sentence.
pub fn merged<T: DeserializeOwned>(text: &str, folder: &Path) -> Result<T, String> {
    let own = Own::of(text, folder);
    let mut root = DeTable::parse(text).map_err(|error| error.to_string())?;
    if let Some(missing) = lay_under(root.get_mut(), &own).into_iter().next() {
        return Err(own.said(missing.at.start, &missing.to_string()));
    }
    of(root).map_err(|error| {
        let at = error.span().map_or(0, |span| span.start);
        own.said(at, error.to_string().trim())
    })
}

/// Reads a document.
///
/// # Errors
/// Those of TOML and of the type.
pub fn of<T: DeserializeOwned>(root: Spanned<DeTable<'_>>) -> Result<T, toml::de::Error> {
    T::deserialize(toml::Deserializer::from(root))
}

#[cfg(test)]
mod tests;
