/// Where a test may kill the collector while it delivers: see dray-edges.
pub const EDGES: &[&str] = &[
    // The target has answered; what came of it is about to be written; it is written, and no lane is open.
    "delivery.answered",
    "delivery.before_step",
    "delivery.after_step",
];
