//! The real Tryton by its presets: items, inventories and shipments, once each, through kills of the collector and of Tryton.

mod lines;

use std::collections::BTreeMap;
use std::time::Duration;

use dray_tests::drops::drop_file;
use dray_tests::site::{FlowSpec, Site};
use dray_tests::tryton::{LOGIN, Tryton};
use rand::RngExt as _;
use rusqlite::Connection;

use crate::{folder, soak, wait};

/// Kills in each of the three parts: of the collector, then of Tryton, and so on.
fn kills() -> u64 {
    if soak() { 40 } else { 2 }
}

/// Documents in each part.
fn documents() -> u64 {
    if soak() { 200 } else { 6 }
}

fn flow(name: &str, mapping: &str) -> FlowSpec {
    FlowSpec {
        mapping: mapping.into(),
        ..FlowSpec::movements(name)
    }
}

fn flows() -> [FlowSpec; 3] {
    [
        flow(
            "items",
            "[[flow.mapping]]\nbody = \"item\"\nkey = \"SKU\"\n[flow.mapping.fields]\nitem_number = \"SKU\"\ndescription = \"NAME\"\n",
        ),
        flow(
            "stock",
            "[[flow.mapping]]\nbody = \"inventory_level\"\nkey = \"SKU\"\n[flow.mapping.fields]\nitem_number = \"SKU\"\nlocation = \"LOC\"\non_hand = \"QTY\"\n",
        ),
        flow(
            "shipments",
            "[[flow.mapping]]\nbody = \"shipment\"\nkey = \"SHIP\"\n[flow.mapping.fields]\nshipment_number = \"SHIP\"\ncustomer_number = \"CUST\"\nwarehouse = \"WH\"\n\
             \"line.item_number\" = \"SKU\"\n\"line.quantity\" = \"QTY\"\n",
        ),
    ]
}

/// `shipments`: the preset of those.
fn targets(tryton: &Tryton, shipments: &str) -> String {
    let mut text = String::new();
    for (name, preset, more) in [
        ("items", "tryton/items", ""),
        (
            "stock",
            "tryton/inventory",
            "[target.calls]\nverify_after = \"3s\"\n",
        ),
        (
            "shipments",
            shipments,
            "[target.calls]\nverify_after = \"3s\"\n",
        ),
    ] {
        text.push_str(&format!(
            "\n[[target]]\nname = \"{name}\"\npreset = \"{preset}\"\nflows = [\"north/{name}\"]\nurl = \"{}\"\n\
             [target.vars]\ncompany = 1\nwarehouse = \"WH\"\n[target.auth]\nuser = \"{}\"\npassword_file = {:?}\n\
             [target.retry]\nfirst = \"100ms\"\nmax = \"1s\"\n{more}",
            tryton.base(),
            LOGIN.0,
            tryton.password_file(),
        ));
    }
    text
}

/// One number of the database; while Tryton is at work in it, it may have to be asked again.
fn number(database: &Connection, sql: &str) -> u64 {
    let found: i64 = database
        .query_row(sql, [], |row| row.get(0))
        .unwrap_or_else(|error| panic!("{sql}: {error}"));
    found.unsigned_abs()
}

/// How often each document is there, by its name.
fn counts(database: &Connection, sql: &str) -> BTreeMap<String, u64> {
    let mut rows = database.prepare(sql).expect("SQL");
    let rows = rows.query_map([], |row| {
        Ok((row.get(0)?, row.get::<_, i64>(1)?.unsigned_abs()))
    });
    rows.expect("an answer")
        .collect::<Result<_, _>>()
        .expect("rows")
}

/// The ids of dead letters in a state, with their lines of the list.
fn letters(site: &Site, state: &str) -> Vec<(String, String)> {
    let listed = site
        .collector_command(&["dead-letters", "list", "--limit", "10000"])
        .expect("a list");
    let listed = String::from_utf8_lossy(&listed.stdout).into_owned();
    let found = listed.lines().filter_map(|line| {
        let mut words = line.split_whitespace();
        let (id, is) = (words.next()?, words.next()?);
        // Also where there are none, a line says so.
        let is_one = id.parse::<u64>().is_ok() && is == state;
        is_one.then(|| (id.to_owned(), line.to_owned()))
    });
    found.collect()
}

/// Answers all that is asked; how much that was.
fn agree(site: &Site) -> u64 {
    let asked = letters(site, "confirm");
    // A letter that was approved meanwhile is no longer one.
    let agreed = asked.iter().filter(|(id, _)| {
        let said = site.collector_command(&["dead-letters", "approve", id]);
        said.is_ok()
    });
    agreed.count() as u64
}

/// Kills the collector and Tryton by turns, each somewhere in the middle of what `reached` counts, and starts them again.
fn kill_by_turns(site: &mut Site, tryton: &mut Tryton, mut reached: impl FnMut(&Site) -> u64) {
    let (mut random, all) = (rand::rng(), documents());
    for kill in 0..kills() {
        let from = all * kill / (kills() + 1);
        wait("a moment to kill at", || reached(site) >= from);
        // Somewhere within the calls about a document.
        std::thread::park_timeout(Duration::from_millis(random.random_range(0..300)));
        if kill % 2 == 0 {
            let collector = site.collector.as_mut().expect("it runs");
            collector.kill().expect("a kill");
            site.start_collector().expect("a collector");
        } else {
            tryton.kill();
            tryton.start_again();
        }
    }
    wait("all of them", || reached(site) >= all);
}

/// Scenarios 22, 23 and 24, and lost replies of a real ERP.
#[test]
fn items_inventories_and_shipments_are_in_tryton_once_each_through_kills_of_both_sides() {
    let mut tryton = Tryton::start();
    let folder = folder("tryton");
    let site = Site::start(
        folder.path(),
        &flows(),
        &targets(&tryton, "tryton/shipments"),
    );
    let mut site = site.expect("a site");
    let database = tryton.database();
    let all = documents();
    let drop = |site: &Site, flow: &str, head: &str, line: &dyn Fn(u64) -> String| {
        let lines: String = (1..=all).map(line).collect();
        let text = format!("{head}\n{lines}");
        drop_file(&site.drops(flow), "1.txt", text.as_bytes()).expect("a drop");
    };

    drop(&site, "items", "SKU|NAME", &|n| {
        format!("SKU-{n}|Bolt {n}\n")
    });
    kill_by_turns(&mut site, &mut tryton, |_| {
        number(
            &database,
            "SELECT count(*) FROM product_product WHERE code LIKE 'SKU-%'",
        )
    });

    drop(&site, "stock", "SKU|LOC|QTY", &|n| {
        format!("SKU-{n}|STO|{}\n", n + 40)
    });
    let inventories = "SELECT count(*) FROM stock_inventory WHERE state = 'done'";
    kill_by_turns(&mut site, &mut tryton, |_| number(&database, inventories));

    drop(&site, "shipments", "SHIP|CUST|WH|SKU|QTY", &|n| {
        format!("SHP-{n}|C-1||SKU-{n}|{n}\n")
    });
    // Nobody agreed yet: Tryton asked about the first of them, and no shipment is beyond what was asked.
    wait("a warning", || !letters(&site, "confirm").is_empty());
    let (_, asked) = letters(&site, "confirm").remove(0);
    assert!(asked.contains("have no origin"), "{asked}");
    assert_eq!(
        number(
            &database,
            "SELECT count(*) FROM stock_shipment_out WHERE state IN ('packed', 'done')"
        ),
        0
    );
    let mut agreed: u64 = 0;
    kill_by_turns(&mut site, &mut tryton, |site| {
        agreed += agree(site);
        // All are made before the first is done: what was answered comes behind what is new.
        let shipments = |states: &str| {
            let sql = format!("SELECT count(*) FROM stock_shipment_out WHERE state IN ({states})");
            number(&database, &sql)
        };
        let made = number(&database, "SELECT count(*) FROM stock_shipment_out");
        (made + shipments("'packed', 'done'") + shipments("'done'")) / 3
    });
    wait("nothing is left", || letters(&site, "confirm").is_empty());

    let once = |name: &str| -> BTreeMap<String, u64> {
        (1..=all).map(|n| (format!("{name}-{n}"), 1)).collect()
    };
    assert_eq!(
        counts(
            &database,
            "SELECT code, count(*) FROM product_product GROUP BY code"
        ),
        once("SKU")
    );
    let lines = "SELECT p.code, count(*) FROM stock_inventory_line l JOIN product_product p ON l.product = p.id GROUP BY p.code";
    assert_eq!(
        counts(&database, lines),
        once("SKU"),
        "an inventory is doubled or missing"
    );
    assert_eq!(
        number(&database, "SELECT count(*) FROM stock_inventory"),
        all,
        "a draft was left"
    );
    assert_eq!(number(&database, inventories), all);
    assert_eq!(
        counts(
            &database,
            "SELECT reference, count(*) FROM stock_shipment_out GROUP BY reference"
        ),
        once("SHP")
    );
    let done = "SELECT count(*) FROM stock_shipment_out WHERE state = 'done'";
    assert_eq!(number(&database, done), all);
    // What is left of each item is what was counted, without what was shipped of it: each document took effect once.
    let moved = |condition: &str| {
        let sql = format!(
            "SELECT p.code, CAST(sum(m.internal_quantity) AS INTEGER) FROM stock_move m JOIN product_product p ON m.product = p.id \
             WHERE m.state = 'done' AND {condition} GROUP BY p.code"
        );
        counts(&database, &sql)
    };
    let location = |code: &str| format!("(SELECT id FROM stock_location WHERE code = '{code}')");
    let counted = moved(&format!("m.to_location = {}", location("STO")));
    let shipped = moved(&format!("m.to_location = {}", location("CUS")));
    for n in 1..=all {
        let code = format!("SKU-{n}");
        assert_eq!((counted[&code], shipped[&code]), (n + 40, n), "{code}");
    }
    println!(
        "{all} of each, {} kills, {agreed} warnings answered",
        3 * kills()
    );
    // Tryton asks at "pack" and at "do"; where a kill let an answer be given twice, the second stands for the next question.
    assert!(agreed > all, "{agreed}");
    assert!(letters(&site, "dead").is_empty());
}

/// Scenario 22: each answer is a 200, and none of them is taken for success.
#[test]
fn what_tryton_refuses_within_a_200_is_a_dead_letter_with_its_words() {
    let tryton = Tryton::start();
    let folder = folder("tryton-refuses");
    let site = Site::start(
        folder.path(),
        &flows(),
        &targets(&tryton, "tryton/shipments"),
    );
    let site = site.expect("a site");
    let database = tryton.database();
    let drop = |flow: &str, text: &str| {
        drop_file(&site.drops(flow), "1.txt", text.as_bytes()).expect("a drop");
    };
    drop("items", "SKU|NAME\nSKU-1|Bolt\n");
    wait("the item", || {
        number(
            &database,
            "SELECT count(*) FROM product_product WHERE code = 'SKU-1'",
        ) == 1
    });
    drop(
        "stock",
        "SKU|LOC|QTY\nSKU-1|STO|-5\nSKU-2|STO|5\nSKU-3|NOWHERE|5\n",
    );
    drop(
        "shipments",
        "SHIP|CUST|WH|SKU|QTY\nSHP-1|C-1||SKU-1|5\nSHP-2|C-9||SKU-1|5\nSHP-3|C-1|W9|SKU-1|5\nSHP-4|C-1||SKU-1|-5\n",
    );
    wait("all are told", || letters(&site, "dead").len() == 7);
    let told: Vec<String> = letters(&site, "dead")
        .into_iter()
        .map(|(_, line)| line)
        .collect();
    for words in [
        "\"Actual Quantity\"",
        "no product with the code of the event's item_number",
        "no product with the code",
        "too little stock in the warehouse",
        "no party with an address",
        "no warehouse with the code",
        "\"Quantity\"",
    ] {
        assert!(
            told.iter().any(|line| line.contains(words)),
            "{words}: {told:#?}"
        );
    }
    let shown = site
        .collector_command(&["dead-letters", "show", &letters(&site, "dead")[0].0])
        .expect("one");
    let shown = String::from_utf8_lossy(&shown.stdout).into_owned();
    assert!(shown.contains("rejected"), "{shown}");
    assert!(!shown.contains(LOGIN.1), "no secret stands in it");
    assert_eq!(
        number(
            &database,
            "SELECT count(*) FROM stock_inventory WHERE state = 'done'"
        ),
        0
    );
    assert_eq!(
        number(
            &database,
            "SELECT count(*) FROM stock_shipment_out WHERE state != 'waiting'"
        ),
        0
    );
}
