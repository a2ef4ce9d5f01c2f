//! A table of MariaDB, read whole, and then a backlog of changes of its rows.

use std::path::Path;

use dray_tests::mariadb::Server;

use crate::Arguments;
use crate::row::Row;
use crate::whole_log::{self, Goals, Steps, TRANSACTIONS};

const TABLE: &str = "CREATE TABLE wms.stock (id bigint PRIMARY KEY, sku varchar(40) NOT NULL, location varchar(20), lot varchar(20), quantity decimal(12,3), reserved decimal(12,3), status varchar(20), changed_at timestamp(3) NOT NULL, note varchar(80)) ENGINE = InnoDB";

/// Transactions of one call.
const CALL: usize = 100;

const GOALS: Goals = Goals {
    load: 300_000.0,
    load_us: 4.0,
    stream: 80_000.0,
    stream_us: 6.0,
};

pub(crate) fn measure(folder: &Path, arguments: &Arguments) -> anyhow::Result<Row> {
    let rows = arguments.rows;
    let mut server = Server::start();
    server.sql(&format!(
        "{TABLE}; INSERT INTO wms.stock SELECT seq, CONCAT('SKU-', LPAD(seq % 50000, 6, '0')), CONCAT('A-01-', seq % 97), CONCAT('L', seq % 1009), seq % 1000 + 0.5, seq % 7, 'AVAILABLE', \
         TIMESTAMP('2026-11-27 08:15:00') + INTERVAL seq * 1000 MICROSECOND, 'counted' FROM wms.seq_1_to_{rows}"
    ));
    let each = rows / TRANSACTIONS;
    let write = |server: &Server| {
        // Each statement is a transaction; a call takes some of them.
        let mut from = (0..TRANSACTIONS).map(|t| t * each).peekable();
        while from.peek().is_some() {
            let some = from.by_ref().take(CALL).map(|from| {
                format!(
                    "UPDATE wms.stock SET quantity = quantity + 1, changed_at = changed_at + INTERVAL 1 SECOND WHERE id > {from} AND id <= {}; ",
                    from + each
                )
            });
            server.sql(&some.collect::<String>());
        }
    };
    let steps = Steps {
        name: "MariaDB",
        flow: whole_log::flow(server.source("wms.stock"), "wms.stock"),
        stop: Server::stop,
        start: |server| server.start_again(&[]),
        write: &write,
        goals: GOALS,
    };
    whole_log::measure(folder, rows, &mut server, steps)
}
