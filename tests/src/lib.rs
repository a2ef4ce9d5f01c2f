//! A site in a box: scenarios, demo and bench over real processes.
