//! Shipments of several lines: each line is an event, all of them one shipment.

use std::collections::BTreeMap;

use dray_tests::drops::drop_file;
use dray_tests::site::Site;
use dray_tests::tryton::Tryton;

use super::{
    agree, counts, documents, flow, flows, kill_by_turns, kills, letters, number, targets,
};
use crate::{folder, wait};

/// Lines of a shipment. Two of them are the same but for their number.
const LINES: u64 = 3;
/// What is there of each item.
const STOCK: u64 = 1_000_000;

const PAGE: &str = include_str!("../../../docs/presets/tryton.md");

/// The mapping that the page shows: records without an item end a shipment.
fn mapping() -> &'static str {
    let mut blocks = PAGE.split("```toml\n").skip(1);
    let block = blocks.find(|block| block.starts_with("[[flow.mapping]]"));
    block
        .and_then(|block| block.split("```").next())
        .expect("a mapping")
}

const HEAD: &str = "SHIP|CUST|LINE|SKU|QTY|LINES\n";

/// Shipment `n`: every other one says how many lines it has, the others end with a record of their own.
fn shipment(n: u64) -> String {
    let lines = if n.is_multiple_of(2) {
        LINES.to_string()
    } else {
        String::new()
    };
    let mut text = String::new();
    for (line, sku) in [(1, "SKU-1"), (2, "SKU-2"), (3, "SKU-1")] {
        text.push_str(&format!("SHP-{n}|C-1|{line}|{sku}|{n}|{lines}\n"));
    }
    if !n.is_multiple_of(2) {
        text.push_str(&format!("SHP-{n}|C-1||||\n"));
    }
    text
}

/// Drops a file of shipments' lines.
fn drop_lines(site: &Site, name: &str, lines: &str) {
    let text = format!("{HEAD}{lines}");
    drop_file(&site.drops("shipments"), name, text.as_bytes()).expect("a drop");
}

/// Two items, with stock.
fn stock_up(site: &Site, database: &rusqlite::Connection) {
    let drop = |flow: &str, text: &str| {
        drop_file(&site.drops(flow), "1.txt", text.as_bytes()).expect("a drop");
    };
    drop("items", "SKU|NAME\nSKU-1|Bolt\nSKU-2|Nut\n");
    let items = "SELECT count(*) FROM product_product WHERE code LIKE 'SKU-%'";
    wait("the items", || number(database, items) == 2);
    drop(
        "stock",
        &format!("SKU|LOC|QTY\nSKU-1|STO|{STOCK}\nSKU-2|STO|{STOCK}\n"),
    );
    let inventories = "SELECT count(*) FROM stock_inventory WHERE state = 'done'";
    wait("their stock", || number(database, inventories) == 2);
}

/// What was shipped of an item with each shipment, by its reference.
fn shipped(database: &rusqlite::Connection, sku: &str) -> BTreeMap<String, u64> {
    let sql = format!(
        "SELECT s.reference, CAST(sum(m.internal_quantity) AS INTEGER) FROM stock_move m JOIN product_product p ON m.product = p.id \
         JOIN stock_shipment_out s ON m.shipment = 'stock.shipment.out,' || s.id \
         WHERE m.state = 'done' AND p.code = '{sku}' AND m.to_location = (SELECT id FROM stock_location WHERE code = 'CUS') GROUP BY s.reference"
    );
    counts(database, &sql)
}

/// `on_reject`: of the shipments' target.
fn start(name: &str, tryton: &Tryton, on_reject: &str) -> (tempfile::TempDir, Site) {
    let folder = folder(name);
    let [items, stock, _] = flows();
    let flows = [items, stock, flow("shipments", mapping())];
    let named = "name = \"shipments\"\n";
    let targets = targets(tryton, "tryton/shipment-lines")
        .replace(named, &format!("{named}on_reject = \"{on_reject}\"\n"));
    let site = Site::start(folder.path(), &flows, &targets);
    (folder, site.expect("a site"))
}

#[test]
fn the_lines_of_a_shipment_become_one_shipment_in_tryton_through_kills_of_both_sides() {
    let mut tryton = Tryton::start();
    let (_folder, mut site) = start("tryton-lines", &tryton, "hold");
    let database = tryton.database();
    stock_up(&site, &database);
    let all = documents();
    let lines: String = (1..=all).map(shipment).collect();
    drop_lines(&site, "1.txt", &lines);
    let done = "SELECT count(*) FROM stock_shipment_out WHERE state = 'done'";
    let notes = "SELECT count(*) FROM ir_note WHERE message LIKE 'dray % after %'";
    let mut agreed: u64 = 0;
    kill_by_turns(&mut site, &mut tryton, |site| {
        agreed += agree(site);
        // Half of the work is to gather lines: all that are first come before all that are second. A kill may leave a line two notes.
        let gathered = number(&database, notes).min(all * LINES);
        (gathered + number(&database, done) * LINES) / (2 * LINES)
    });
    wait("nothing is left", || letters(&site, "confirm").is_empty());
    let each = |count: &dyn Fn(u64) -> u64| -> BTreeMap<String, u64> {
        (1..=all).map(|n| (format!("SHP-{n}"), count(n))).collect()
    };
    let shipments = "SELECT reference, count(*) FROM stock_shipment_out GROUP BY reference";
    assert_eq!(counts(&database, shipments), each(&|_| 1));
    assert_eq!(
        shipped(&database, "SKU-1"),
        each(&|n| 2 * n),
        "a line is doubled or missing"
    );
    assert_eq!(
        shipped(&database, "SKU-2"),
        each(&|n| n),
        "a line is doubled or missing"
    );
    assert!(letters(&site, "dead").is_empty());
    println!(
        "{all} shipments of {LINES} lines, {} kills, {agreed} warnings answered",
        kills()
    );
    assert!(agreed > all, "{agreed}");
}

#[test]
fn a_line_that_comes_late_and_an_end_without_lines_are_dead_letters_that_say_so() {
    let tryton = Tryton::start();
    let (_folder, site) = start("tryton-late", &tryton, "hold");
    let database = tryton.database();
    stock_up(&site, &database);
    drop_lines(
        &site,
        "1.txt",
        &(shipment(2) + "SHP-5|C-1||||\nSHP-7|C-1|1|SKU-1|1|2\n"),
    );
    let done = "SELECT count(*) FROM stock_shipment_out WHERE state = 'done'";
    wait("the whole one", || {
        agree(&site);
        number(&database, done) == 1
    });
    wait("the end is told", || letters(&site, "dead").len() == 1);
    drop_lines(&site, "2.txt", "SHP-2|C-1|4|SKU-2|9|3\n");
    wait("both are told", || letters(&site, "dead").len() == 2);
    let told: Vec<String> = letters(&site, "dead")
        .into_iter()
        .map(|(_, line)| line)
        .collect();
    for words in [
        "Tryton has none of its lines",
        "no draft in Tryton any more",
    ] {
        assert!(
            told.iter().any(|line| line.contains(words)),
            "{words}: {told:#?}"
        );
    }
    assert_eq!(
        shipped(&database, "SKU-2"),
        [("SHP-2".to_owned(), 2)].into()
    );
    // One whose lines aren't all there is a draft with those that are.
    let drafts = "SELECT s.reference, count(*) FROM stock_shipment_out s JOIN stock_move m ON m.shipment = 'stock.shipment.out,' || s.id WHERE s.state = 'draft' GROUP BY s.reference";
    wait("the other's first line", || {
        counts(&database, drafts) == [("SHP-7".to_owned(), 1)].into()
    });
}

#[test]
fn a_line_that_tryton_refused_and_others_went_past_is_added_when_it_is_retried() {
    let tryton = Tryton::start();
    let (_folder, site) = start("tryton-past", &tryton, "park");
    let database = tryton.database();
    stock_up(&site, &database);
    // It refuses the move, of which a note tells already.
    let refuse = "CREATE TRIGGER refusing BEFORE INSERT ON stock_move WHEN NEW.quantity = 77 BEGIN SELECT RAISE(ABORT, 'not now'); END";
    database.execute_batch(refuse).expect("a trigger");
    let lines = [("SKU-1", 77), ("SKU-1", 5), ("SKU-2", 5)];
    let lines = (1..)
        .zip(lines)
        .map(|(line, (sku, quantity))| format!("SHP-1|C-1|{line}|{sku}|{quantity}|{LINES}\n"));
    drop_lines(&site, "1.txt", &lines.collect::<String>());
    let moves = "SELECT count(*) FROM stock_move m JOIN stock_shipment_out s ON m.shipment = 'stock.shipment.out,' || s.id WHERE s.state = 'draft'";
    wait("the others", || number(&database, moves) == LINES - 1);
    wait("it is told", || letters(&site, "overtaken").len() == 1);
    database
        .execute_batch("DROP TRIGGER refusing")
        .expect("it is there");
    let (id, _) = letters(&site, "overtaken").remove(0);
    site.collector_command(&["dead-letters", "retry", &id, "--older"])
        .expect("a retry");
    let done = "SELECT count(*) FROM stock_shipment_out WHERE state = 'done'";
    wait("the shipment", || {
        agree(&site);
        number(&database, done) == 1
    });
    assert_eq!(
        shipped(&database, "SKU-1"),
        [("SHP-1".to_owned(), 82)].into()
    );
    assert_eq!(
        shipped(&database, "SKU-2"),
        [("SHP-1".to_owned(), 5)].into()
    );
    let notes = "SELECT count(*) FROM ir_note WHERE message LIKE 'dray % after %'";
    assert_eq!(
        number(&database, notes),
        LINES + 1,
        "the refused one has two"
    );
}
