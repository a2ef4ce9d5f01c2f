//! The agent beside a legacy system.
