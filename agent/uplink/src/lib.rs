//! Blocks from the buffer to the collector, over gRPC with mutual TLS.
