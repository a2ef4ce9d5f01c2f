/// Where a test may kill the collector inside its store: see dray-edges.
pub const EDGES: &[&str] = &[
    // A group of appends: written and not committed; committed and not answered.
    "store.before_log_commit",
    "store.after_log_commit",
    // A new file of the log: it is there and empty; it knows the flows, and its folder is not synced; it lasts.
    "store.before_file_schema",
    "store.before_file_folder_sync",
    "store.after_file_folder_sync",
    // A file of the log that goes: forgotten and still there; its WAL is gone.
    "store.before_file_removal",
    "store.between_file_removals",
    // A group of steps: written and not committed; committed and not answered.
    "store.before_step_commit",
    "store.after_step_commit",
];
