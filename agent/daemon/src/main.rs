//! The agent beside a legacy system; `cli.rs` has its commands.

fn main() -> std::process::ExitCode {
    dray_agent::cli::main()
}
