//! The order of changes within a transaction, and columns that are computed.

use dray_tests::site::Site;

use super::super::{AS_IT_IS, fields, kill_agent, site};
use super::LookAlike;
use super::captured::has_begun;
use super::replay::{replay, text, told};
use crate::{folder, kill_one, wait};

fn table(alike: &LookAlike) -> super::replay::Rows {
    told(&alike.run("SELECT id || '|' || number FROM dbo.moved"))
}

fn made(site: &Site) -> super::replay::Rows {
    replay(&fields(site), &["id"], &["number"])
}

fn wait_for(site: &Site, id: &str) {
    wait("the last change", || {
        fields(site).last().is_some_and(|one| text(one, "id") == id)
    });
}

#[test]
fn keys_that_one_statement_moves_go_before_they_come_whoever_is_killed() {
    let folder = folder("cdc-moves");
    let alike = LookAlike::start();
    alike.let_read_order();
    let (mut site, _erp) = site(&alike.captured("first_load = false"), AS_IT_IS, &folder);
    has_begun(&site);
    alike.insert(1..3_001);
    wait("what was there", || fields(&site).len() >= 3_000);
    for part in 1..4 {
        // Many small operations before and behind the large one, all of one LSN.
        alike.run(&format!(
            "BEGIN; UPDATE dbo.moved SET quantity = {part} WHERE id = 7; UPDATE dbo.moved SET id = id + 1; \
             DO $$ BEGIN FOR n IN 1..300 LOOP UPDATE dbo.moved SET quantity = n WHERE id = 10; END LOOP; END $$; \
             UPDATE dbo.moved SET id = id + 1; COMMIT"
        ));
        kill_one(&mut site, 1.0);
        wait("a part", || fields(&site).len() > 3_000 + part * 8_000);
        kill_agent(&mut site);
        site.start_agent().expect("an agent");
    }
    alike.insert(90_000..90_001);
    wait_for(&site, "90000");
    let found = fields(&site);
    assert!(made(&site) == table(&alike), "the table is made");
    let changes =
        alike.run("SELECT count(*) FROM cdc.\"dbo_moved_CT\" WHERE \"__$operation\" <> 3");
    assert_eq!(found.len().to_string(), changes, "each change once");
    let positions: Vec<_> = found
        .iter()
        .map(|one| text(one, "_position") + &text(one, "_op"))
        .collect();
    assert!(positions.is_sorted(), "in the order of operations");
}

#[test]
fn a_large_transaction_is_not_looked_through_for_each_page() {
    let folder = folder("cdc-large-transaction");
    let alike = LookAlike::start();
    alike.let_read_order();
    let (mut site, _erp) = site(&alike.captured("first_load = false"), AS_IT_IS, &folder);
    has_begun(&site);
    alike.insert(50_000..50_001);
    wait("a change", || fields(&site).len() == 1);
    kill_agent(&mut site);
    let rows = 40_000;
    alike.insert(1..rows + 1);
    alike.run("ANALYZE; SELECT pg_stat_reset()");
    site.start_agent().expect("an agent");
    wait("all changes", || fields(&site).len() as u64 > rows);
    let looked = || {
        let looked = alike.run("SELECT seq_tup_read + coalesce(idx_tup_fetch, 0) FROM pg_stat_user_tables WHERE relname = 'dbo_moved_CT'");
        looked.parse::<u64>().expect("a number")
    };
    wait("what was looked at is counted", || looked() >= rows);
    // By twenty pages of which each begins anew it would be ten times all.
    assert!(looked() < 2 * rows, "{} rows were looked at", looked());
    assert_eq!(fields(&site).len() as u64, rows + 1, "each once");
}

#[test]
fn a_transaction_that_was_begun_without_the_order_of_operations_is_read_to_its_end() {
    let folder = folder("cdc-order-granted");
    let alike = LookAlike::start();
    let (mut site, _erp) = site(&alike.captured("first_load = false"), AS_IT_IS, &folder);
    has_begun(&site);
    alike.insert(1..8_001);
    wait("a part", || fields(&site).len() > 1_000);
    kill_agent(&mut site);
    alike.let_read_order();
    site.start_agent().expect("an agent");
    alike.insert(9_000..9_001);
    wait_for(&site, "9000");
    assert_eq!(fields(&site).len(), 8_001, "each once");
    assert!(made(&site) == table(&alike), "the table is made");
}

#[test]
fn computed_columns_are_left_out_and_told() {
    let folder = folder("cdc-computed");
    let alike = LookAlike::start();
    // SQL Server captures NULL of them.
    alike.run(
        "ALTER TABLE dbo.moved ADD COLUMN total numeric GENERATED ALWAYS AS (quantity * 2) STORED; GRANT SELECT ON dbo.moved TO dray; \
         INSERT INTO sys.columns VALUES (object_id('dbo.moved'), 5, 'total', 1); \
         UPDATE cdc.change_tables SET captured_column_list = '[id], [number], [sku], [quantity], [total]'; \
         ALTER TABLE cdc.\"dbo_moved_CT\" ADD COLUMN total numeric; ALTER TYPE cdc.moved_change ADD ATTRIBUTE total numeric CASCADE; \
         CREATE OR REPLACE FUNCTION cdc.fn_cdc_get_all_changes_dbo_moved(from_lsn bytea, to_lsn bytea, wanted text) RETURNS SETOF cdc.moved_change LANGUAGE sql SECURITY DEFINER AS $$ \
         SELECT c.\"__$start_lsn\", c.\"__$seqval\", c.\"__$operation\", c.\"__$update_mask\", c.id, c.number, c.sku, c.quantity, c.total FROM cdc.\"dbo_moved_CT\" c WHERE c.\"__$start_lsn\" BETWEEN from_lsn AND to_lsn $$",
    );
    alike.insert(1..3);
    let (site, _erp) = site(
        &alike.captured("without = [\"total\", \"sku\"]"),
        AS_IT_IS,
        &folder,
    );
    let agent = site.agent.as_ref().expect("it runs");
    let said = agent
        .wait_log("columns that are computed")
        .expect("it is told");
    assert!(said.contains("(total)"), "{said}");
    wait("what was there", || fields(&site).len() >= 2);
    alike.run("UPDATE dbo.moved SET quantity = 7 WHERE id = 1");
    wait("a change", || fields(&site).len() >= 3);
    for one in fields(&site) {
        assert!(
            one.get("total").is_none() && one.get("before.total").is_none(),
            "{one}"
        );
        assert!(one.get("quantity").is_some());
    }
}
