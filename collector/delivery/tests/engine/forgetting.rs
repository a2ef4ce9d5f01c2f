//! Power that fails while events wait for others: whatever is on disk then, each arrives, in order.

use std::sync::Arc;

use crate::support::erp::Erp;
use crate::support::memory::Memory;
use crate::support::{append_as, append_block, block_of, event_with, flow, start, wait};
use dray_store::Store;

const LINES: &str =
    "batch = 3\n[[reference]]\nbody = \"shipment\"\nfield = \"line.item_number\"\nof = \"item\"";

#[tokio::test]
async fn power_that_fails_at_any_step_loses_no_wait_and_no_wake() {
    for keeps in [true, false] {
        let (store, erp) = (Memory::slow(), Erp::start().await);
        let shared: Arc<dyn Store> = Arc::clone(&store) as Arc<dyn Store>;
        let name = flow("north/shipments");
        // Two keys an item, three events a key.
        let events: Vec<_> = (0..60_u64)
            .map(|n| {
                let (key, item) = (format!("S{}", n % 20), format!("SKU-{}", n % 10));
                event_with(n + 1, &key, "shipment", &[(10, 2, &item)])
            })
            .collect();
        let block = block_of(&*shared, &name, &events);
        append_block(&shared, &name, block).await;
        for life in 0..20_u64 {
            let target = start(&shared, &erp.url(), LINES);
            if life % 2 == 1 {
                let item = format!("SKU-{}", life / 2);
                append_as(&shared, "north/items", "item", &[&item]).await;
            }
            // Somewhere within what this life does: nothing to wait for is the same in all of them.
            wait(&target, "something", |metrics| {
                metrics.requests > life / 2 || metrics.waiting > 0 || metrics.delivered > 0
            })
            .await;
            target.kill().await;
            store.crash(keeps);
        }
        let target = start(&shared, &erp.url(), LINES);
        wait(&target, "the end", |metrics| {
            (
                metrics.waiting,
                metrics.held,
                metrics.backlog,
                metrics.in_flight,
            ) == (0, 0, 0, 0)
                && (0..20).all(|key| erp.offsets(&format!("S{key}")).len() >= 3)
        })
        .await;
        for key in 0..20_u64 {
            let mut offsets = erp.offsets(&format!("S{key}"));
            offsets.dedup();
            let mut first: Vec<u64> = Vec::new();
            for offset in offsets {
                if !first.contains(&offset) {
                    first.push(offset);
                }
            }
            assert_eq!(
                first,
                [key + 1, key + 21, key + 41],
                "S{key}, keeps {keeps}"
            );
        }
    }
}
