//! The options that choose a cloud and log in, each with its environment variables.

use std::env;

use clap::builder::FalseyValueParser;
use clap::parser::ValueSource;
use clap::{Arg, ArgAction, ArgMatches};

/// Heading of these options in `--help`.
const HEADING: &str = "Cloud and login";

/// One option: its name, other spellings, its variables (the first is shown in `--help`), help.
struct CloudOption {
    name: &'static str,
    alias: Option<&'static str>,
    variables: &'static [&'static str],
    help: &'static str,
}

const fn option(
    name: &'static str,
    variables: &'static [&'static str],
    help: &'static str,
) -> CloudOption {
    CloudOption {
        name,
        alias: None,
        variables,
        help,
    }
}

const fn renamed(
    name: &'static str,
    alias: &'static str,
    variables: &'static [&'static str],
    help: &'static str,
) -> CloudOption {
    CloudOption {
        name,
        alias: Some(alias),
        variables,
        help,
    }
}

const OPTIONS: &[CloudOption] = &[
    option("os-cloud", &["OS_CLOUD"], "Name of a cloud in clouds.yaml"),
    option(
        "os-auth-url",
        &["OS_AUTH_URL"],
        "URL of Keystone, as http://controller:5000/v3",
    ),
    option(
        "os-auth-type",
        &["OS_AUTH_TYPE"],
        "password, token or v3applicationcredential [default: by what is given]",
    ),
    option("os-username", &["OS_USERNAME"], "Name of the user"),
    option(
        "os-user-id",
        &["OS_USER_ID"],
        "ID of the user, instead of name and domain",
    ),
    option(
        "os-password",
        &["OS_PASSWORD"],
        "Password (rather in the environment: ps shows options)",
    ),
    option(
        "os-user-domain-name",
        &["OS_USER_DOMAIN_NAME"],
        "Domain of the user, by name [default: the domain with ID default]",
    ),
    option(
        "os-user-domain-id",
        &["OS_USER_DOMAIN_ID"],
        "Domain of the user, by ID",
    ),
    renamed(
        "os-project-name",
        "os-tenant-name",
        &["OS_PROJECT_NAME", "OS_TENANT_NAME"],
        "Project to work in, by name",
    ),
    renamed(
        "os-project-id",
        "os-tenant-id",
        &["OS_PROJECT_ID", "OS_TENANT_ID"],
        "Project to work in, by ID",
    ),
    option(
        "os-project-domain-name",
        &["OS_PROJECT_DOMAIN_NAME"],
        "Domain of the project, by name [default: the domain with ID default]",
    ),
    option(
        "os-project-domain-id",
        &["OS_PROJECT_DOMAIN_ID"],
        "Domain of the project, by ID",
    ),
    option(
        "os-token",
        &["OS_TOKEN"],
        "A Keystone token, instead of a password",
    ),
    option(
        "os-application-credential-id",
        &["OS_APPLICATION_CREDENTIAL_ID"],
        "ID of an application credential, instead of a password",
    ),
    option(
        "os-application-credential-name",
        &["OS_APPLICATION_CREDENTIAL_NAME"],
        "Name of an application credential; needs the user, too",
    ),
    option(
        "os-application-credential-secret",
        &["OS_APPLICATION_CREDENTIAL_SECRET"],
        "Secret of the application credential",
    ),
    option(
        "os-region-name",
        &["OS_REGION_NAME"],
        "Region of the endpoint [default: any]",
    ),
    renamed(
        "os-interface",
        "os-endpoint-type",
        &["OS_INTERFACE", "OS_ENDPOINT_TYPE"],
        "public, internal or admin endpoint (also publicURL and so on) [default: public]",
    ),
    option(
        "os-cacert",
        &["OS_CACERT"],
        "File with the CA certificates (PEM) to trust for HTTPS",
    ),
];

/// These options for clap, to be given before or after the command.
pub(crate) fn cloud_arguments() -> Vec<Arg> {
    let mut arguments: Vec<Arg> = OPTIONS.iter().map(argument).collect();
    arguments.push(
        Arg::new("insecure")
            .long("insecure")
            .env("OS_INSECURE")
            .hide_env_values(true)
            .action(ArgAction::SetTrue)
            .value_parser(FalseyValueParser::new())
            .global(true)
            .help_heading(HEADING)
            .help("Do not check the certificates of HTTPS servers"),
    );
    arguments
}

fn argument(option: &CloudOption) -> Arg {
    let mut argument = Arg::new(option.name)
        .long(option.name)
        .value_name("VALUE")
        .global(true)
        .hide_env_values(true)
        .help_heading(HEADING)
        .help(option.help);
    if let Some(variable) = option.variables.first() {
        argument = argument.env(variable);
    }
    if let Some(alias) = option.alias {
        argument = argument.alias(alias);
    }
    argument
}

/// What was given, in the order of precedence: option, then environment. A named cloud is not mixed
/// with the environment: half of one login and half of another is what nobody wants.
pub(crate) struct CloudOptions<'a> {
    matches: &'a ArgMatches,
}

impl<'a> CloudOptions<'a> {
    pub(crate) fn new(matches: &'a ArgMatches) -> Self {
        Self { matches }
    }

    /// The cloud of `clouds.yaml`, if one is named.
    pub(crate) fn cloud(&self) -> Option<&'a str> {
        self.value("os-cloud")
    }

    /// The value of an option, or of its variables where these count.
    pub(crate) fn get(&self, name: &str) -> Option<String> {
        if self.counts(name) {
            self.value(name)
                .map(str::to_owned)
                .or_else(|| self.other_variable(name))
        } else {
            None
        }
    }

    /// `--insecure`.
    pub(crate) fn insecure(&self) -> bool {
        self.counts("insecure") && self.matches.get_flag("insecure")
    }

    /// The environment counts only where no cloud is named.
    fn counts(&self, name: &str) -> bool {
        self.matches.value_source(name) == Some(ValueSource::CommandLine) || self.cloud().is_none()
    }

    fn value(&self, name: &str) -> Option<&'a str> {
        let value = self.matches.get_one::<String>(name)?;
        (!value.is_empty()).then_some(value)
    }

    fn other_variable(&self, name: &str) -> Option<String> {
        if self.cloud().is_some() {
            return None;
        }
        let option = OPTIONS.iter().find(|option| option.name == name)?;
        option
            .variables
            .iter()
            .skip(1)
            .find_map(|variable| env::var(variable).ok())
    }
}
