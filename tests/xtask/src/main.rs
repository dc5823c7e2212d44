//! `cargo xtask check`: rules of the repository that no compiler holds.

#![allow(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a command speaks to its user"
)]

mod direction;
mod endpoints;
mod workspace;

use std::process::ExitCode;

fn main() -> ExitCode {
    let mut arguments = std::env::args().skip(1);
    match (arguments.next().as_deref(), arguments.next()) {
        (Some("check"), None) => check(),
        _ => {
            eprintln!("usage: cargo xtask check");
            ExitCode::from(2)
        }
    }
}

/// Gives one line for each breach.
type Rule = fn() -> anyhow::Result<Vec<String>>;

fn check() -> ExitCode {
    let checks: [(&str, Rule); 2] = [
        ("crates depend on lower layers only", direction::violations),
        (
            "every endpoint has a policy rule and is described, as generated",
            endpoints::violations,
        ),
    ];
    let mut is_good = true;
    for (rule, violations) in checks {
        match violations() {
            Ok(found) if found.is_empty() => println!("ok    {rule}"),
            Ok(found) => {
                is_good = false;
                println!("FAIL  {rule}");
                for violation in found {
                    println!("      {violation}");
                }
            }
            Err(error) => {
                is_good = false;
                println!("FAIL  {rule}: could not be checked: {error:#}");
            }
        }
    }
    if is_good {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}
