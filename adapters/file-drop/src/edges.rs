/// Where a test may kill the agent while files move: see dray-edges.
pub const EDGES: &[&str] = &[
    // A folder's names are read, and its files are not looked at.
    "file_drop.before_looks",
    // A file is appended and not moved; moved, and neither folder synced; only the one that it came to.
    "file_drop.before_pending",
    "file_drop.before_folder_sync",
    "file_drop.between_folder_syncs",
    // A file is appended, and its sender not told; what he is told has not got its name; it has, and the folder is not synced.
    "file_drop.before_acknowledgement",
    "file_drop.before_acknowledgement_name",
    "file_drop.before_acknowledgement_sync",
    // Likewise where nothing moves: a file is appended and not in the ledger; it is.
    "file_drop.before_ledger",
    "file_drop.after_ledger",
    // Of several files that are appended, some are moved.
    "file_drop.between_moves",
    // What was set aside goes back, as was asked: some files do, all and not synced, and the request is still there.
    "file_drop.between_redrives",
    "file_drop.before_redrive_sync",
    "file_drop.before_request_removal",
    // A file is acked and not moved; others are; all are, and the folders not synced.
    "file_drop.before_archive",
    "file_drop.between_archive_moves",
    "file_drop.before_archive_sync",
    // Of a file on a server, some bytes are here; all, and the journal does not say so; it does, and the file has not landed;
    // it has, and the folder is not synced; it is, and the file there has not gone; it has, and the journal does not say so.
    "file_drop.sftp_in_download",
    "file_drop.sftp_before_journal",
    "file_drop.sftp_before_landing",
    "file_drop.sftp_before_landing_sync",
    "file_drop.sftp_before_remote",
    "file_drop.sftp_before_gone",
];
