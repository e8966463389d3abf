//! `wugan-keys`: makes, announces, shows and checks the keys of a federation's members.

use std::{
    io::Write,
    path::{Path, PathBuf},
    process::ExitCode,
    time::{SystemTime, UNIX_EPOCH},
};

use clap::{Args, Parser, Subcommand, builder::PossibleValuesParser, builder::TypedValueParser};
use wugan_keys::{
    Authority, Custody,
    card::Fingerprint,
    commands::{self, Change, FederationSummary, Finding, Problem},
    harden::harden,
    language,
};
use wugan_protocol::{
    hexes::Digest,
    manifest::Federation,
    month::Month,
    party::Role,
    text::{Failure, Say},
    texts,
};

fn main() -> ExitCode {
    let cli = Cli::parse();
    match harden().map_err(|error| Text::Harden { error }.into()).and_then(|()| run(cli.command)) {
        Ok(code) => code,
        Err(error) => {
            // Nothing is left to do when standard error is closed.
            let _ = writeln!(std::io::stderr(), "wugan-keys: {}", error.said(language()));
            ExitCode::FAILURE
        }
    }
}

/// Keys of a wugan federation: made, announced, shown, checked.
///
/// Every directory of secrets has a storage key: the file storage.key (mode 0600), or storage.key.age under a
/// passphrase, which is asked for on the terminal or read from the file that WUGAN_PASSPHRASE_FILE names, or
/// storage.key in systemd's CREDENTIALS_DIRECTORY. Results go to standard output, messages to standard error.
/// Exit codes: 0 done, 1 failed, 2 wrong usage.
#[derive(Parser)]
#[command(name = "wugan-keys", version, after_help = "Example:\n  wugan-keys identity new --help")]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// The key that signs federation manifests
    #[command(subcommand, after_help = "Example:\n  wugan-keys authority new --dir /media/authority --passphrase")]
    Authority(AuthorityCommand),
    /// The identities of a member's roles
    #[command(
        subcommand,
        after_help = "Example:\n  wugan-keys identity new --member civil_affairs --role node --dir /etc/wugan/keys"
    )]
    Identity(IdentityCommand),
    /// The OPRF keys of a source
    #[command(subcommand, after_help = "Example:\n  wugan-keys epoch new --help")]
    Epoch(EpochCommand),
    /// Federation manifests
    #[command(subcommand, after_help = "Example:\n  wugan-keys federation show --help")]
    Federation(FederationCommand),
    /// Synthetic persons that the authority issues, so that auditors see the whole pipeline working
    #[command(subcommand, after_help = "Example:\n  wugan-keys canaries issue --help")]
    Canaries(CanariesCommand),
    /// Opens everything in a directory and says what is wrong; exit code 1 if anything is
    #[command(after_help = "Example:\n  wugan-keys check --dir /etc/wugan/keys")]
    Check {
        /// Directory of secrets
        #[arg(long)]
        dir: PathBuf,
        /// JSON instead of lines
        #[arg(long)]
        json: bool,
    },
    /// Fingerprints of identity cards and of authority.pub, to compare by telephone
    #[command(after_help = "Example:\n  wugan-keys fingerprint cards/*.card.json authority.pub")]
    Fingerprint {
        /// Cards, or authority.pub
        #[arg(required = true)]
        files: Vec<PathBuf>,
        /// JSON instead of lines
        #[arg(long)]
        json: bool,
    },
}

#[derive(Subcommand)]
enum AuthorityCommand {
    /// Makes authority.key.age and authority.pub
    #[command(after_help = "Example:\n  wugan-keys authority new --dir /media/authority --passphrase")]
    New {
        #[command(flatten)]
        place: NewPlace,
    },
}

#[derive(Subcommand)]
enum IdentityCommand {
    /// Makes a role's identity, and the card for the authority
    #[command(after_help = "Examples:\n  wugan-keys identity new --member civil_affairs --role node --dir \
                      /etc/wugan/keys\n  wugan-keys identity new --member data_resources --role aggregator --dir \
                      /etc/wugan/keys --address aggregator.city.example:4433")]
    New {
        /// The member's id in the policy
        #[arg(long)]
        member: String,
        /// The role
        #[arg(long, value_parser = role())]
        role: Role,
        /// HOST:PORT where a server listens; not for nodes
        #[arg(long, default_value = "")]
        address: String,
        #[command(flatten)]
        place: NewPlace,
    },
}

#[derive(Subcommand)]
enum EpochCommand {
    /// Makes the first epoch's keys and their announcement; later epochs are the running node's
    #[command(
        after_help = "Example:\n  wugan-keys epoch new --member civil_affairs --dir /etc/wugan/keys --federation \
                      manifest.json --policy catalogue.toml --authority authority.pub"
    )]
    New {
        /// The member's id in the policy
        #[arg(long)]
        member: String,
        /// Directory of secrets
        #[arg(long)]
        dir: PathBuf,
        #[command(flatten)]
        federation: FederationFiles,
    },
}

#[derive(Subcommand)]
enum FederationCommand {
    /// Signs a manifest from a draft and the members' identity cards
    #[command(after_help = "Example:\n  wugan-keys federation sign --authority /media/authority --policy \
                      catalogue.toml --draft draft.toml --cards cards --out manifest.json\n\nA draft:\n  name = \
                      \"seed-city\"\n  version = 1\n  disclosures_per_month = 5\n\n  [owners.civil_affairs]\n  people = \
                      1000\n  newcomers = 10\n  months = 12\n  rows = { low_income = 1200 }\n\nquorum = N is optional; \
                      from version 2, previous = \"FILE\" names the signed manifest before.")]
    Sign {
        /// Directory of the authority's secrets
        #[arg(long)]
        authority: PathBuf,
        /// The agreed catalogue.toml
        #[arg(long)]
        policy: PathBuf,
        /// The draft
        #[arg(long)]
        draft: PathBuf,
        /// Directory of identity cards, whose fingerprints their operators confirmed
        #[arg(long)]
        cards: PathBuf,
        /// Where the signed manifest is written; it must not exist
        #[arg(long)]
        out: PathBuf,
    },
    /// Shows what the next version of the manifest changes, and confirms it here: this member's programs act on it from
    /// when on the log shows it
    #[command(after_help = CONFIRM_HELP)]
    Confirm {
        /// The signed manifest of the next version
        #[arg(value_name = "MANIFEST")]
        manifest: PathBuf,
        /// The catalogue.toml that it names
        #[arg(value_name = "CATALOGUE")]
        catalogue: PathBuf,
        #[command(flatten)]
        federation: FederationFiles,
        /// Folder of confirmed versions, as the programs' configuration names it; without it, `versions` beside the manifest
        /// of --federation
        #[arg(long, value_name = "DIR")]
        versions: Option<PathBuf>,
        /// Do not ask; for scripts
        #[arg(long)]
        yes: bool,
    },
    /// Verifies a manifest and shows it
    #[command(
        after_help = "Example:\n  wugan-keys federation show --federation manifest.json --policy catalogue.toml \
                      --authority authority.pub"
    )]
    Show {
        #[command(flatten)]
        federation: FederationFiles,
        /// JSON instead of lines
        #[arg(long)]
        json: bool,
    },
}

const CONFIRM_HELP: &str = "\
--federation and --policy name the first version, as in the programs' configuration. Compare the fingerprints that are shown
with what their owners tell you; the running program needs a restart only if it has stopped for lack of this version.

Example:
  wugan-keys federation confirm manifest-2.json catalogue-2.toml --federation manifest.json --policy catalogue.toml \
--authority authority.pub";

#[derive(Subcommand)]
enum CanariesCommand {
    /// Invents the persons of a plan; writes MEMBER.canaries for each member that has a part in it, and canaries.list
    /// for auditors
    #[command(
        after_help = "Example:\n  wugan-keys canaries issue --dir /media/authority --policy catalogue.toml --plan \
                      plan.toml --from 2026-11 --out canaries\n\nA plan:\n  [[canary]]\n  count = 5\n  channels = \
                      [\"bank_counter\", \"coach_ticket\"]\n  matters = [\"resident_pension\", \
                      \"old_age_allowance\"]\n\nEach canary is seen in these channels every month from --from on; the \
                      policy says what must be decided. The owners' limits in the federation manifest must leave \
                      room for them."
    )]
    Issue {
        /// Directory of the authority's secrets
        #[arg(long)]
        dir: PathBuf,
        /// The agreed catalogue.toml
        #[arg(long)]
        policy: PathBuf,
        /// The plan
        #[arg(long)]
        plan: PathBuf,
        /// The first month with these canaries
        #[arg(long, value_name = "YYYY-MM")]
        from: Month,
        /// Folder for the files; it is made if it does not exist
        #[arg(long)]
        out: PathBuf,
    },
}

#[derive(Args)]
struct NewPlace {
    /// Directory of secrets; it is made if it does not exist
    #[arg(long)]
    dir: PathBuf,
    /// Protect a new storage key with a passphrase
    #[arg(long)]
    passphrase: bool,
}

impl NewPlace {
    fn custody(&self) -> Custody {
        if self.passphrase { Custody::from_env().with_passphrase() } else { Custody::from_env() }
    }
}

#[derive(Args)]
struct FederationFiles {
    /// The signed federation manifest
    #[arg(long)]
    federation: PathBuf,
    /// The agreed catalogue.toml
    #[arg(long)]
    policy: PathBuf,
    /// The authority's public key
    #[arg(long)]
    authority: PathBuf,
}

const ROLES: [Role; 4] = [Role::Node, Role::Matcher, Role::Aggregator, Role::Coordinator];

fn role() -> impl TypedValueParser<Value = Role> {
    PossibleValuesParser::new(ROLES.map(Role::name))
        .try_map(|name| ROLES.into_iter().find(|role| role.name() == name).ok_or("no such role"))
}

fn run(command: Command) -> Result<ExitCode, Failure> {
    match command {
        Command::Authority(AuthorityCommand::New { place }) => {
            let key = commands::authority_new(&place.dir, &place.custody())?;
            say(&format!("{}  {}", Authority::public_path(&place.dir).display(), Fingerprint::of_authority(&key)))
        }
        Command::Identity(IdentityCommand::New { member, role, address, place }) => {
            let card = commands::identity_new(&place.dir, &member, role, &address, &place.custody())?;
            say(&format!("{}  {}", card.path(&place.dir).display(), card.fingerprint()?))
        }
        Command::Epoch(EpochCommand::New { member, dir, federation: files }) => {
            let FederationFiles { federation, policy, authority } = files;
            let custody = Custody::from_env();
            let signed = commands::epoch_new(&dir, &member, &federation, &policy, &authority, &custody, now()?)?;
            say(&format!("{}  {}", commands::announcement_path(&dir).display(), signed.hash()))
        }
        Command::Federation(command) => run_federation(command),
        Command::Canaries(CanariesCommand::Issue { dir, policy, plan, from, out }) => {
            let files = commands::canaries_issue(&dir, &policy, &plan, from, &out, &Custody::from_env())?;
            let names: Vec<String> = files.iter().map(|file| file.display().to_string()).collect();
            say(&names.join("\n"))
        }
        Command::Check { dir, json } => run_check(&dir, json),
        Command::Fingerprint { files, json } => run_fingerprint(&files, json),
    }
}

fn run_federation(command: FederationCommand) -> Result<ExitCode, Failure> {
    match command {
        FederationCommand::Sign { authority, policy, draft, cards, out } => {
            let custody = Custody::from_env();
            let federation = commands::federation_sign(&authority, &policy, &draft, &cards, &out, &custody, now()?)?;
            say(FederationSummary::of(&federation)?.said(language()).trim_end())
        }
        FederationCommand::Confirm { manifest, catalogue, federation: files, versions, yes } => {
            let FederationFiles { federation, policy, authority } = files;
            let versions = versions.unwrap_or_else(|| federation.with_file_name("versions"));
            let confirmed = commands::read_versions(&federation, &policy, &authority, &versions)?;
            let agreed = |next: &Federation, changes: &[Change]| agree(next, changes, yes);
            match commands::federation_confirm(confirmed, &versions, &manifest, &catalogue, agreed)? {
                Some(folder) => say(&folder.display().to_string()),
                None => Ok(ExitCode::FAILURE),
            }
        }
        FederationCommand::Show { federation: FederationFiles { federation, policy, authority }, json } => {
            let summary = FederationSummary::of(&commands::read_federation(&federation, &policy, &authority)?)?;
            if json { say(&to_json(&summary)?) } else { say(summary.said(language()).trim_end()) }
        }
    }
}

/// Shows what a version changes and asks, unless `yes`; whether the operator agrees.
fn agree(next: &Federation, changes: &[Change], yes: bool) -> std::io::Result<bool> {
    let language = language();
    let mut out = std::io::stderr();
    writeln!(out, "{}", Text::NextVersion { version: next.version(), hash: next.hash() }.said(language))?;
    changes.iter().try_for_each(|change| writeln!(out, "  {}", change.said(language)))?;
    if yes {
        return Ok(true);
    }
    write!(out, "{}", Text::Agree.said(language))?;
    let mut answer = String::new();
    std::io::stdin().read_line(&mut answer)?;
    Ok(answer.trim() == "yes")
}

fn run_check(dir: &Path, json: bool) -> Result<ExitCode, Failure> {
    let findings = commands::check(dir, &Custody::from_env())?;
    let good = findings.iter().all(|finding| finding.problem.is_none());
    if json {
        say(&to_json(&findings)?)?;
    } else {
        for Finding { file, problem } in findings {
            let text = match problem {
                None => Text::Fine { file },
                Some(problem) => Text::Wrong { file, problem },
            };
            say(&text.said(language()))?;
        }
    }
    Ok(if good { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn run_fingerprint(files: &[PathBuf], json: bool) -> Result<ExitCode, Failure> {
    let prints = files.iter().map(|file| commands::fingerprint(file)).collect::<Result<Vec<_>, _>>()?;
    if json {
        let objects: Vec<_> =
            prints.iter().map(|(of, print)| serde_json::json!({ "of": of, "fingerprint": print })).collect();
        return say(&to_json(&objects)?);
    }
    for (of, print) in prints {
        say(&format!("{print}  {of}"))?;
    }
    Ok(ExitCode::SUCCESS)
}

fn now() -> Result<u64, Text> {
    Ok(SystemTime::now().duration_since(UNIX_EPOCH).map_err(|_| Text::Clock)?.as_secs())
}

fn to_json(value: &impl serde::Serialize) -> Result<String, Text> {
    serde_json::to_string(value).map_err(|error| Text::Result { error: error.into() })
}

fn say(line: &str) -> Result<ExitCode, Failure> {
    writeln!(std::io::stdout(), "{line}").map_err(|error| Text::Result { error })?;
    Ok(ExitCode::SUCCESS)
}

texts! {
    /// What this program says besides its results.
    #[derive(Debug, thiserror::Error)]
    enum Text {
        Harden { error: std::io::Error } "cannot forbid core dumps: {error}" "无法禁止核心转储：{error}";
        Result { error: std::io::Error } "cannot write the result: {error}" "无法写出结果：{error}";
        Clock "the clock is before 1970" "系统时钟早于 1970 年";
        NextVersion { version: u32, hash: Digest }
            "version {version} of the federation manifest, {hash}, changes:"
            "联合体清单第 {version} 版（{hash}）的变更：";
        Agree "type yes to confirm it for this member: " "输入 yes 为本成员确认：";
        Fine { file: String } "{file}: ok" "{file}：正常";
        Wrong { file: String, problem: Problem } "{file}: {problem}" "{file}：{problem}";
    }
}
