//! What is asked for at once: changes in the order in which they were made, and in parts that an index finds.
//!
//! The order within a transaction is that of its operations (`__$command_id`), which the change table alone has; where it may not be read, or the server is
//! older, that of `__$seqval`. A page that begins in the midst of a transaction is asked for by what is equal first: an index is entered by `a = 1 AND b >= 2`, and
//! `a > 1 OR a = 1 AND b >= 2` scans all that stands before. Pure.

use super::super::dialect::Dialect;
use super::lsn::Lsn;
use super::stand::{Row, Stand};
use super::statements::{COMMAND, LSN, OPERATION, SEQVAL, Statements};

/// Where changes are asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum By {
    /// The server's function, in the order of `__$seqval`.
    Function,
    /// The change table, in the order of operations.
    Table,
}

/// Changes that are asked for at once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Part {
    pub(super) by: By,
    pub(super) from: Lsn,
    pub(super) to: Lsn,
    /// What holds for them besides.
    pub(super) filter: String,
    /// None of these LSNs' changes stand behind it.
    pub(super) ends: bool,
}

/// The parts of what can be asked for, in their order: what is left of a transaction, and what comes behind it.
pub(super) fn parts(dialect: Dialect, stand: &Stand, to: Lsn, by: By) -> Vec<Part> {
    let part = |by, from, to, filter, ends| Part {
        by,
        from,
        to,
        filter,
        ends,
    };
    let lsn = stand.lsn;
    let mut parts = match &stand.row {
        None => Vec::new(),
        // It was begun in that order.
        Some(row @ Row { command: None, .. }) => {
            vec![part(By::Function, lsn, lsn, behind(dialect, row), true)]
        }
        Some(
            row @ Row {
                command: Some(at), ..
            },
        ) => {
            let command = dialect.name(COMMAND);
            let rest = format!("{command} = {at} AND {}", behind(dialect, row));
            vec![
                part(By::Table, lsn, lsn, rest, false),
                part(By::Table, lsn, lsn, format!("{command} > {at}"), true),
            ]
        }
    };
    if to > lsn {
        parts.push(part(by, lsn.next(), to, String::new(), true));
    }
    parts
}

/// Changes behind one of the same operation.
fn behind(dialect: Dialect, row: &Row) -> String {
    let [seqval, operation] = [SEQVAL, OPERATION].map(|name| dialect.name(name));
    let (at, done) = (Statements(dialect).lsn(row.seqval), row.operation);
    format!("{seqval} >= {at} AND ({seqval} > {at} OR {operation} > {done})")
}

impl Part {
    /// What stands behind FROM, WHERE and ORDER BY.
    pub(super) fn asked(&self, dialect: Dialect, capture: &str) -> (String, String, String) {
        let statements = Statements(dialect);
        let [start, command, seqval, operation] =
            [LSN, COMMAND, SEQVAL, OPERATION].map(|name| dialect.name(name));
        let (first, last) = (statements.lsn(self.from), statements.lsn(self.to));
        let bounds = match (self.from == self.to, self.by) {
            (true, _) => format!("{start} = {first}"),
            (false, By::Table) => format!("{start} >= {first} AND {start} <= {last}"),
            (false, By::Function) => String::new(),
        };
        let filters = [&*bounds, &*self.filter];
        let filters: Vec<_> = { filters }
            .into_iter()
            .filter(|one| !one.is_empty())
            .collect();
        let (from, order) = match self.by {
            By::Function => (
                statements.changes(capture, self.from, self.to),
                format!("{start}, {seqval}, {operation}"),
            ),
            By::Table => (
                statements.change_rows(capture),
                format!("{start}, {command}, {seqval}, {operation}"),
            ),
        };
        (from, filters.join(" AND "), order)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lsn(number: u8) -> Lsn {
        Lsn::read(&format!("0x{number:020x}")).expect("a number")
    }

    fn shown(row: Option<Option<i64>>, to: u8, by: By) -> Vec<String> {
        let stand = Stand {
            lsn: lsn(7),
            row: row.map(|command| Row {
                command,
                seqval: lsn(3),
                operation: 1,
                read: 1,
            }),
            load: None,
        };
        let dialect = Dialect::SqlServer;
        let parts = parts(dialect, &stand, lsn(to), by);
        let shown = parts.iter().map(|part| {
            let (from, filter, order) = part.asked(dialect, "dbo_stock");
            let end = if part.ends { "" } else { " ..." };
            format!("{from} WHERE {filter} ORDER BY {order}{end}")
        });
        let shown = shown.map(|sql| sql.replace("000000000000000000", "").replace("__$", ""));
        shown.collect()
    }

    #[test]
    fn an_index_finds_what_is_left_of_a_transaction_by_what_is_equal() {
        let rows = "[cdc].[dbo_stock_CT] dray_changes WITH (NOLOCK) WHERE";
        let order = "ORDER BY [start_lsn], [command_id], [seqval], [operation]";
        assert_eq!(
            shown(Some(Some(5)), 9, By::Table),
            [
                format!(
                    "{rows} [start_lsn] = 0x07 AND [command_id] = 5 AND [seqval] >= 0x03 AND ([seqval] > 0x03 OR [operation] > 1) {order} ..."
                ),
                format!("{rows} [start_lsn] = 0x07 AND [command_id] > 5 {order}"),
                format!("{rows} [start_lsn] >= 0x08 AND [start_lsn] <= 0x09 {order}"),
            ]
        );
    }

    #[test]
    fn a_transaction_is_read_to_its_end_in_the_order_in_which_it_was_begun() {
        let function = |from, to| {
            format!(
                "cdc.[fn_cdc_get_all_changes_dbo_stock](0x0{from}, 0x0{to}, 'all update old') dray_changes WHERE"
            )
        };
        let order = "ORDER BY [start_lsn], [seqval], [operation]";
        let found = shown(Some(None), 8, By::Table);
        assert_eq!(
            found[0],
            format!(
                "{} [start_lsn] = 0x07 AND [seqval] >= 0x03 AND ([seqval] > 0x03 OR [operation] > 1) {order}",
                function(7, 7)
            )
        );
        assert!(
            found[1].contains("CT] dray_changes WITH (NOLOCK) WHERE [start_lsn] = 0x08 ORDER BY")
        );
        assert_eq!(found.len(), 2);
        assert_eq!(
            shown(Some(None), 7, By::Table).len(),
            1,
            "nothing is behind it"
        );
        assert_eq!(
            shown(None, 9, By::Function),
            [format!("{}  {order}", function(8, 9))]
        );
    }
}
