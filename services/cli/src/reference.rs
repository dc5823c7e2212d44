//! The text of `docs/CLI.md`, made from the grammar so that it cannot say anything else.

use clap::Command;

use crate::app;

const HEAD: &str = "\
# workloadmgr

What the program itself says (`workloadmgr help COMMAND`). Made from the command line's grammar;
`BACKSTAY_WRITE_EXPECTED=1 cargo nextest run -p services-cli reference` writes it anew; the same test
without the variable fails when it is stale.

Names or IDs are taken wherever a workload, a snapshot or a restore is asked for; a name that several
bear is refused with their IDs. Lists have capitalised columns, shows have the keys of the API.
In the formats `table`, `value` and `csv` a list or an object is written as Python would.
";

/// The whole page.
pub fn reference() -> String {
    let mut root = app::command();
    root.build();
    let mut page = format!("{HEAD}\n```text\n{}```\n", help_of(&mut root.clone()));
    for command in root
        .get_subcommands_mut()
        .filter(|command| command.get_name() != "help")
    {
        let name = command.get_name().to_owned();
        page.push_str(&format!(
            "\n## {name}\n\n```text\n{}```\n",
            help_of(command)
        ));
    }
    page
}

fn help_of(command: &mut Command) -> String {
    let text = command.clone().term_width(96).render_help().to_string();
    let lines: Vec<&str> = text.trim_end().lines().map(str::trim_end).collect();
    format!("{}\n", lines.join("\n"))
}
