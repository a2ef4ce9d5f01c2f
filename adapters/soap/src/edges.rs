/// Where a test may kill the agent while it is called: see dray-edges.
pub const EDGES: &[&str] = &[
    // A call is appended, and its caller not answered.
    "soap.before_answer",
];
