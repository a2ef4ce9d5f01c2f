//! What SQL Server itself says of a table's changes: change data capture and change tracking.
//!
//! Promises, of `cdc`: each change that the capture job wrote comes once and in order, as it was and as it is; of `change-tracking`: each row that
//! changed comes as it is when it is read. Changes that the server cleaned up before they were read are told, not passed over.
//!
//! Limits: what the capture job has not written yet can't be read. A first load and what comes behind it overlap: nothing is missing between the two, and
//! a change that is committed while the table is read may come as a row that was there and as a change.
//!
//! Untested on a real server: the same statements, but for quotes, `TOP` and literals of bytes, are run against tables and functions that look alike.

pub(super) mod cdc;
mod changes;
mod gap;
mod instance;
mod job;
mod key;
mod load;
mod look;
mod lsn;
mod parts;
mod stand;
mod statements;
mod tracked;
pub(super) mod tracking;

use super::config::Mode;
use super::dialect::Dialect;

pub(super) use stand::Stand;
pub(super) use tracking::Standing;

/// What nobody has tried.
const UNTESTED: &str =
    "reading SQL Server is untested on a real server: compare what arrives with the table";

/// Says so, where it is SQL Server that is read, or taken for it.
pub(super) fn untested(dialect: Dialect, mode: Mode) -> Option<&'static str> {
    (dialect == Dialect::SqlServer || mode.is_told()).then_some(UNTESTED)
}

#[cfg(test)]
mod tests {
    use super::super::config::SqlConfig;

    #[test]
    fn the_example_of_the_documentation_is_good() {
        let page = include_str!("../../../../docs/change-tables.md");
        let (_, section) = page.split_once("### cdc\n").expect("the section");
        let block = section
            .split("```")
            .find_map(|part| part.strip_prefix("toml\n"));
        let example: toml::Table = toml::from_str(block.expect("an example")).expect("TOML");
        let source = example["flow"][0]["source"].clone();
        let config: SqlConfig = source.try_into().expect("a source");
        assert_eq!(config.faults(), []);
    }
}
