//! The command line.

use std::path::PathBuf;

use clap::{Parser, Subcommand, ValueEnum};
use wugan_protocol::month::Month;

use crate::city::RECORDS_PER_PERSON;

/// Runs a whole federation on this machine: departments' nodes, matcher, aggregator and coordinator as processes of
/// their own, from records in files to certification decisions in files.
#[derive(Debug, Parser)]
#[command(version, after_help = EXAMPLES, args_conflicts_with_subcommands = true)]
pub struct Cli {
    /// One member's process; used by the demo itself.
    #[command(subcommand)]
    pub member: Option<MemberCommand>,
    /// What to run.
    #[command(flatten)]
    pub run: RunArgs,
}

/// What to run.
#[derive(Debug, clap::Args)]
pub struct RunArgs {
    /// People in the generated city.
    #[arg(long, value_name = "N", default_value_t = 5_000, value_parser = clap::value_parser!(u64).range(1..=5_000_000))]
    pub people: u64,
    /// Records in all departments together; 24 a person unless given.
    #[arg(long, value_name = "M")]
    pub records: Option<u64>,
    /// The same seed makes the same city.
    #[arg(long, value_name = "S", default_value_t = 1)]
    pub seed: u64,
    /// Folder for everything; a new one is made unless given.
    #[arg(long, value_name = "DIR")]
    pub out: Option<PathBuf>,
    /// Run on the city prepared in this folder instead of generating one.
    #[arg(long, value_name = "DIR", conflicts_with_all = ["people", "records", "seed"])]
    pub input: Option<PathBuf>,
    /// Monthly rounds; 2 when generating, 1 with --input.
    #[arg(long, value_name = "K", value_parser = clap::value_parser!(u32).range(1..=60))]
    pub rounds: Option<u32>,
    /// The first round's month.
    #[arg(long, value_name = "YYYY-MM", default_value = "2026-06")]
    pub month: Month,
    /// A department that is set up, but whose node is not started; may be repeated.
    #[arg(long, value_name = "NODE")]
    pub offline: Vec<String>,
    /// Synthetic persons with expected decisions, each at one matter, by which an auditor sees the pipeline work.
    #[arg(long, value_name = "N", default_value_t = 0, value_parser = clap::value_parser!(u16).range(0..=1_000))]
    pub canaries: u16,
}

/// The demo's own processes.
#[derive(Debug, Subcommand)]
pub enum MemberCommand {
    /// Runs one member.
    #[command(hide = true)]
    Member {
        /// Which program.
        program: Program,
        /// Its configuration file.
        config: PathBuf,
    },
}

/// A member's program.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Program {
    /// A department's node.
    Node,
    /// The matcher.
    Matcher,
    /// The aggregator.
    Aggregator,
    /// The coordinator.
    Coordinator,
}

impl RunArgs {
    /// Records to generate.
    pub fn records(&self) -> u64 {
        self.records.unwrap_or(self.people.saturating_mul(RECORDS_PER_PERSON))
    }

    /// Rounds to run.
    pub fn rounds(&self) -> u32 {
        self.rounds.unwrap_or(if self.input.is_some() { 1 } else { 2 })
    }
}

const EXAMPLES: &str = "\
Examples:
  wugan-demo
      5,000 people, 120,000 records, two monthly rounds, in a new folder
  wugan-demo --people 20000 --seed 7 --out city --offline justice --offline tax
      two departments do not take part: whatever they could have changed is deferred
  wugan-demo --input city --out again --month 2026-11
      the same on files that somebody else prepared
  wugan-demo --canaries 48 --out city
      with synthetic persons; then: wugan-audit verify city/coordinator/log --authority city/authority.pub --canaries city/canaries.list";
