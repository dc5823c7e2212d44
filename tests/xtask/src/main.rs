//! `cargo xtask check`: rules of the repository that no compiler holds.

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

fn check() -> ExitCode {
    let checks: [(&str, fn() -> anyhow::Result<Vec<String>>); 2] = [
        ("crates depend on lower layers only", direction::violations),
        (
            "every endpoint has a policy rule and is described",
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
