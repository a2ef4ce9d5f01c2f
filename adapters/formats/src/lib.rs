//! Pure streaming decoders from bytes to records.
