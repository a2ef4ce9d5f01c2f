//! SQL Server's columns of one byte a letter (`varchar`, `char`): a value that is compared with one must be one itself, or the column is converted, row by row, and
//! its index is of no use. Which letters there are is the column's collation.

use std::collections::BTreeMap;

use super::config::SqlConfig;
use super::dialect::Dialect;
use super::page::{Column, Page};
use super::session::Session;
use super::value::Kind;
use crate::reader::Trouble;

/// Columns that are looked at; a key beyond them is compared as `nvarchar`, which finds the same, and slowly.
const COLUMNS_MAX: usize = 1_024;

/// Collations by the columns' names.
#[derive(Debug, Default)]
pub(super) struct Collations(BTreeMap<String, String>);

impl Collations {
    /// Those of the flow's table; none of another database, or of a query.
    pub(super) async fn of(session: &mut Session, config: &SqlConfig) -> Result<Self, Trouble> {
        let dialect = session.dialect();
        let (Dialect::SqlServer, Some(table)) = (dialect, &config.table) else {
            return Ok(Self::default());
        };
        let sql = asked(dialect, table);
        Ok(Self::told(&session.ask(&sql, &sql, COLUMNS_MAX).await?))
    }

    fn told(page: &Page) -> Self {
        let told = (0..page.rows()).map(|row| (page.get(row, 0), page.get(row, 1)));
        let told = told.filter_map(|(name, collation)| Some((name?.to_owned(), collation?)));
        // A collation stands in SQL as it is.
        let is_name = |text: &str| {
            text.bytes()
                .all(|one| one.is_ascii_alphanumeric() || one == b'_')
        };
        let told = told.filter(|(_, collation)| is_name(collation));
        Self(told.map(|(name, one)| (name, one.to_owned())).collect())
    }

    /// A value of such a column, as SQL; `None`: it is written as everywhere.
    pub(super) fn value(&self, column: &Column, text: &str) -> Option<String> {
        let collation = self.0.get(&column.name)?;
        // Other letters than these need nothing: they are the same in every collation.
        if text.is_ascii() || column.kind != Kind::Text {
            return None;
        }
        let text = Dialect::SqlServer.value(Kind::Text, text).ok()?;
        Some(format!("CAST({text} COLLATE {collation} AS varchar(8000))"))
    }
}

/// The types are `varchar` and `char`.
fn asked(dialect: Dialect, table: &str) -> String {
    let name = dialect.value(Kind::Text, &dialect.table(table));
    format!(
        "SELECT name, collation_name FROM sys.columns WHERE object_id = OBJECT_ID({}) AND system_type_id IN (167, 175)",
        name.unwrap_or_default()
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_of_a_varchar_is_one_in_its_collation() {
        let column = |name: &str, kind| Column {
            name: name.into(),
            kind,
        };
        let mut page = Page::new(vec![
            column("name", Kind::Text),
            column("collation_name", Kind::Text),
        ]);
        for text in ["sku", "Latin1_General_CI_AS", "odd", "x'; DROP", "n"] {
            page.text(text);
        }
        page.null();
        let collations = Collations::told(&page);
        for (name, kind, text, expected) in [
            (
                "sku",
                Kind::Text,
                "Kärcher",
                Some("CAST(N'Kärcher' COLLATE Latin1_General_CI_AS AS varchar(8000))"),
            ),
            ("sku", Kind::Text, "O'Neil", None),
            ("odd", Kind::Text, "Kärcher", None),
            ("n", Kind::Text, "Kärcher", None),
            ("other", Kind::Text, "Kärcher", None),
            ("sku", Kind::Other, "Kärcher", None),
        ] {
            let value = collations.value(&column(name, kind), text);
            assert_eq!(value.as_deref(), expected, "{name} {text}");
        }
        assert_eq!(
            asked(Dialect::SqlServer, "dbo.Größen"),
            "SELECT name, collation_name FROM sys.columns WHERE object_id = OBJECT_ID(N'[dbo].[Größen]') AND system_type_id IN (167, 175)"
        );
    }
}
