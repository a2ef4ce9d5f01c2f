/// Where a test may kill the agent while blocks are sent: see dray-edges.
pub const EDGES: &[&str] = &[
    // A block is handed to the connection.
    "uplink.sent",
    // An ack: nothing is done about it; the buffer is about to forget; it has forgotten, and the source does not know.
    "uplink.before_ack",
    "uplink.before_forgetting",
    "uplink.after_forgetting",
];
