/// Where a test may kill the agent inside its buffer: see dray-edges.
pub const EDGES: &[&str] = &[
    // A commit: nothing of it is written; sled has it; it is on stable storage; the witness says so.
    "buffer.before_write",
    "buffer.before_sync",
    "buffer.before_witness",
    "buffer.before_receipts",
    // A roll: the new generation stands under its temporary name; under its own; that lasts, and the witness does not know it.
    "buffer.before_rename",
    "buffer.before_folder_sync",
    "buffer.before_announcing",
    // Behind it: the old generation's marks are written; it is sealed.
    "buffer.before_summary",
    "buffer.sealed",
    // An acked generation: the witness does not name it any more; it is out of sight.
    "buffer.before_putting_away",
    "buffer.before_delete",
    // A new epoch: the old one is sealed; the new one is on stable storage.
    "buffer.before_epoch",
    "buffer.after_epoch",
];
