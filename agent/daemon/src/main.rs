//! The agent beside a legacy system; `cli.rs` has its commands.

fn main() -> std::process::ExitCode {
    #[cfg(feature = "failpoints")]
    if let Err(reason) = dray_edges::arm(dray_agent::EDGES) {
        eprintln!("dray-agent: {reason}");
        return std::process::ExitCode::FAILURE;
    }
    dray_agent::cli::main()
}
