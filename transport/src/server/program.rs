//! The command line that the servers' programs share.

use std::{
    io,
    path::{Path, PathBuf},
    process::ExitCode,
};

use clap::{Command, CommandFactory as _, FromArgMatches as _, Parser};
use wugan_keys::language;

use crate::{
    check::{self, Finding},
    harden::logging,
    program::program,
    shell::ServiceError,
};

/// What a server's program is called, and what it does with its configuration file.
pub struct Program {
    /// As it is installed, such as `wugan-matcher`.
    pub name: &'static str,
    /// What it is, in one sentence.
    pub about: &'static str,
    /// Serves until SIGTERM.
    pub run: fn(&Path) -> Result<(), ServiceError>,
    /// Tries the configuration.
    pub check: fn(&Path) -> Result<Vec<Finding>, ServiceError>,
}

impl Program {
    /// The whole `main`.
    pub fn main(&self) -> ExitCode {
        let cli = Cli::from_arg_matches(&self.command().get_matches()).unwrap_or_else(|error| error.exit());
        program(self.name, || match cli {
            Cli::Run { config, json } => {
                logging(json);
                (self.run)(&config)?;
                Ok(true)
            }
            Cli::Check { config, json } => {
                Ok(check::print(&(self.check)(&config)?, json, language(), &mut io::stdout())?)
            }
        })
    }

    fn command(&self) -> Command {
        let short = self.name.trim_start_matches("wugan-");
        let example = |what: &str| format!("Example:\n  {} {what} --config /etc/wugan/{short}.toml", self.name);
        let command = Cli::command().name(self.name).about(self.about).after_help(example("run"));
        let with_example = |command: Command| {
            let example = example(command.get_name());
            command.after_help(example)
        };
        command.mut_subcommands(with_example)
    }
}

#[derive(Parser)]
#[command(version)]
enum Cli {
    /// Serve until SIGTERM.
    Run {
        /// The configuration file.
        #[arg(long, value_name = "FILE")]
        config: PathBuf,
        /// Log as JSON objects, one a line.
        #[arg(long)]
        json: bool,
    },
    /// Try a configuration; changes nothing.
    Check {
        /// The configuration file.
        #[arg(long, value_name = "FILE")]
        config: PathBuf,
        /// Print one JSON object a line.
        #[arg(long)]
        json: bool,
    },
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    const PROGRAM: Program = Program {
        name: "wugan-matcher",
        about: "The matcher: compares tags without seeing rows",
        run: |_| Ok(()),
        check: |_| Ok(Vec::new()),
    };

    #[test]
    fn the_command_line_is_in_order_and_each_help_has_its_example() {
        let mut command = PROGRAM.command();
        command.clone().debug_assert();
        let help = command.render_long_help().to_string();
        assert!(help.starts_with(PROGRAM.about), "{help}");
        assert!(help.contains("\nUsage: wugan-matcher <COMMAND>\n"), "{help}");
        assert!(help.contains("\nExample:\n  wugan-matcher run --config /etc/wugan/matcher.toml\n"), "{help}");
        for name in ["run", "check"] {
            let help = command.find_subcommand_mut(name).unwrap().render_long_help().to_string();
            assert!(help.contains(&format!("  wugan-matcher {name} --config /etc/wugan/matcher.toml\n")), "{help}");
        }
    }

    #[test]
    fn the_command_line_is_read() {
        let read = |line: &str| {
            let matches = PROGRAM.command().try_get_matches_from(line.split(' ')).map_err(|error| error.exit_code())?;
            Cli::from_arg_matches(&matches).map_err(|error| error.exit_code())
        };
        let run = read("wugan-matcher run --config a.toml --json");
        assert!(matches!(run, Ok(Cli::Run { config, json: true }) if config == Path::new("a.toml")));
        let check = read("wugan-matcher check --config a.toml");
        assert!(matches!(check, Ok(Cli::Check { config, json: false }) if config == Path::new("a.toml")));
        assert!(matches!(read("wugan-matcher --version"), Err(0)));
        for wrong in ["wugan-matcher", "wugan-matcher run", "wugan-matcher serve --config a.toml"] {
            assert!(matches!(read(wrong), Err(2)), "{wrong}");
        }
    }
}
