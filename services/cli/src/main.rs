//! The program `workloadmgr`; everything it does is in the library of this crate.

fn main() -> std::process::ExitCode {
    services_cli::run(std::env::args_os().collect())
}
