/// Where a test may kill the agent while files move: see dray-edges.
pub const EDGES: &[&str] = &[
    // A file is appended and not moved; moved, and neither folder synced; only the one that it came to.
    "file_drop.before_pending",
    "file_drop.before_folder_sync",
    "file_drop.between_folder_syncs",
    // Of several files that are appended, some are moved.
    "file_drop.between_moves",
    // A file is acked and not moved; others are; all are, and the folders not synced.
    "file_drop.before_archive",
    "file_drop.between_archive_moves",
    "file_drop.before_archive_sync",
];
