//! The built `wugan-keys`: a whole federation set up from the command line, and every refusal with its exit code.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::{
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::Command,
};

use wugan_keys::{
    Custody, PartyKeys,
    commands::{read_canaries, read_federation, read_policy},
};
use wugan_protocol::{
    envelope::{Signer, Unverified},
    party::Role,
    statement::Statement,
};

struct Run {
    code: i32,
    stdout: String,
    stderr: String,
}

/// Runs a command line (split at spaces; `DIR` stands for the directory).
fn run(dir: &Path, line: &str) -> Run {
    run_with(dir, line, &[])
}

fn run_with(dir: &Path, line: &str, env: &[(&str, &str)]) -> Run {
    let dir = dir.to_str().unwrap();
    let output = Command::new(env!("CARGO_BIN_EXE_wugan-keys"))
        .args(line.split(' ').filter(|word| !word.is_empty()).map(|word| word.replace("DIR", dir)))
        .env_remove("CREDENTIALS_DIRECTORY")
        .env_remove("WUGAN_PASSPHRASE_FILE")
        .env("LC_ALL", "C")
        .stdin(std::process::Stdio::null())
        .envs(env.iter().copied())
        .output()
        .unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    Run { code: output.status.code().unwrap(), stdout: text(output.stdout), stderr: text(output.stderr) }
}

fn done(dir: &Path, line: &str) -> String {
    let run = run(dir, line);
    assert_eq!(run.code, 0, "{line}: {}", run.stderr);
    assert_eq!(run.stderr, "", "{line}");
    run.stdout
}

/// Fails with code 1, nothing on stdout, and a message that contains `why`.
fn fails(dir: &Path, line: &str, why: &str) {
    let run = run(dir, line);
    assert_eq!((run.code, run.stdout.as_str()), (1, ""), "{line}");
    assert!(run.stderr.starts_with("wugan-keys: "), "{line}: {}", run.stderr);
    assert_eq!(run.stderr.matches(why).count(), 1, "{line}: {}", run.stderr);
}

const PARTIES: [(&str, &str); 9] = [
    ("registry", "node"),
    ("hospital", "node"),
    ("bank", "node"),
    ("office", "node"),
    ("office", "coordinator"),
    ("welfare", "node"),
    ("data", "node"),
    ("data", "aggregator"),
    ("watch", "matcher"),
];
const SIGN: &str = "federation sign --authority DIR/authority --policy DIR/catalogue.toml --draft DIR/draft.toml \
                    --cards DIR/cards --out DIR/manifest.json";
const FILES: &str =
    "--federation DIR/manifest.json --policy DIR/catalogue.toml --authority DIR/authority/authority.pub";

/// Authority, identities and collected cards; nothing signed yet.
fn city() -> tempfile::TempDir {
    let city = tempfile::tempdir().unwrap();
    let dir = city.path();
    let source = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/city");
    for file in ["catalogue.toml", "draft.toml"] {
        std::fs::copy(source.join(file), dir.join(file)).unwrap();
    }
    std::fs::create_dir(dir.join("cards")).unwrap();
    done(dir, "authority new --dir DIR/authority");
    for (member, role) in PARTIES {
        let address = if role == "node" { "" } else { "--address server.example:4433" };
        done(dir, &format!("identity new --member {member} --role {role} --dir DIR/{member} {address}"));
        let card = format!("{member}-{role}.card.json");
        std::fs::copy(dir.join(member).join(&card), dir.join("cards").join(&card)).unwrap();
    }
    city
}

#[test]
fn a_federation_is_set_up_from_the_command_line() {
    let city = city();
    let dir = city.path();
    let signed = done(dir, SIGN);
    assert_eq!(signed, done(dir, &format!("federation show {FILES}")));
    assert!(signed.contains("federation   test-city\nversion      1\n"));

    let announced = done(dir, &format!("epoch new --member registry --dir DIR/registry {FILES}"));
    assert!(announced.contains("announcement-1.json"));
    let paths = ["manifest.json", "catalogue.toml", "authority/authority.pub"].map(|file| dir.join(file));
    let federation = read_federation(&paths[0], &paths[1], &paths[2]).unwrap();
    let keys = PartyKeys::open_with(&dir.join("registry"), Role::Node, &Custody::key_files()).unwrap();
    let entry = std::fs::read(dir.join("registry/announcement-1.json")).unwrap();
    let entry = Unverified::read(&entry).unwrap().verify(&keys.identity.public_key()).unwrap();
    assert_eq!((entry.body().head.seq, entry.body().head.prev), (0, None));
    assert_eq!(entry.body().head.federation, Some(federation.hash()));
    let Statement::KeyEpoch(epoch) = &entry.body().statement else { panic!("another statement") };
    assert_eq!((epoch.epoch, epoch.key.0), (1, *keys.epochs[&1].key().public().as_bytes()));

    for (member, _) in PARTIES {
        let checked = done(dir, &format!("check --dir DIR/{member}"));
        assert!(checked.lines().all(|line| line.ends_with(": ok")), "{checked}");
    }
    assert!(done(dir, "check --dir DIR/registry").contains("epoch-1.age: ok"));
}

#[test]
fn secret_files_are_for_their_owner_and_public_ones_for_all() {
    let city = city();
    let mode = |file: &str| std::fs::metadata(city.path().join(file)).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode("office"), 0o700);
    for file in ["office/storage.key", "office/identity-node.age", "authority/authority.key.age"] {
        assert_eq!(mode(file), 0o600, "{file}");
    }
    for file in ["office/office-node.card.json", "authority/authority.pub"] {
        assert_eq!(mode(file) & 0o400, 0o400, "{file}");
    }
    let public = std::fs::read_to_string(city.path().join("authority/authority.pub")).unwrap();
    assert!(public.len() == 65 && public.ends_with('\n'));
}

#[test]
fn listings_are_json_on_request() {
    let city = city();
    let dir = city.path();
    done(dir, SIGN);
    let json = |line: &str| serde_json::from_str::<serde_json::Value>(&done(dir, line)).unwrap();
    let shown = json(&format!("federation show --json {FILES}"));
    assert_eq!(shown["quorum"], 5);
    assert_eq!(shown["members"][0]["party"], "registry/node");
    let prints = json("fingerprint --json DIR/cards/registry-node.card.json DIR/authority/authority.pub");
    assert_eq!(prints[0]["of"], "registry/node");
    assert_eq!(prints[0]["fingerprint"], shown["members"][0]["fingerprint"]);
    assert_eq!(prints[1]["of"], "authority");
    let checked = json("check --json --dir DIR/registry");
    assert!(checked.as_array().unwrap().iter().all(|finding| finding["problem"].is_null()));
}

#[test]
fn the_same_fingerprint_is_told_everywhere() {
    let city = city();
    let dir = city.path();
    let signed = done(dir, SIGN);
    let told = done(dir, "fingerprint DIR/cards/bank-node.card.json");
    let print = told.trim_end().strip_suffix("  bank/node").unwrap();
    assert_eq!(print.len(), 79);
    assert!(signed.contains(&format!("bank/node           {print}")), "{signed}");
}

#[test]
fn nothing_is_made_twice() {
    let city = city();
    let dir = city.path();
    done(dir, SIGN);
    fails(dir, SIGN, "exists already");
    fails(dir, "authority new --dir DIR/authority", "exists already");
    fails(dir, "identity new --member bank --role node --dir DIR/bank", "exists already");
    let epoch = format!("epoch new --member bank --dir DIR/bank {FILES}");
    done(dir, &epoch);
    let key = std::fs::read(dir.join("bank/epoch-1.age")).unwrap();
    fails(dir, &epoch, "later ones are made and announced by the running node");
    // An interruption between key and announcement: the same key is announced.
    std::fs::remove_file(dir.join("bank/announcement-1.json")).unwrap();
    done(dir, &epoch);
    assert_eq!(std::fs::read(dir.join("bank/epoch-1.age")).unwrap(), key);
}

#[test]
fn a_lost_public_file_is_written_again() {
    let city = city();
    let dir = city.path();
    for (file, line) in [
        ("authority/authority.pub", "authority new --dir DIR/authority"),
        ("bank/bank-node.card.json", "identity new --member bank --role node --dir DIR/bank"),
    ] {
        let before = std::fs::read(dir.join(file)).unwrap();
        std::fs::remove_file(dir.join(file)).unwrap();
        done(dir, line);
        assert_eq!(std::fs::read(dir.join(file)).unwrap(), before);
    }
}

#[test]
fn what_does_not_fit_is_refused() {
    let city = city();
    let dir = city.path();
    fails(dir, "identity new --member Bank --role node --dir DIR/x", "a member id has");
    fails(dir, "identity new --member bank --role matcher --dir DIR/x", "address host:port");
    fails(dir, "identity new --member bank --role node --dir DIR/x --address a:1", "no address");
    assert!(!dir.join("x").exists(), "a refused command leaves nothing");
    std::fs::remove_file(dir.join("cards/bank-node.card.json")).unwrap();
    fails(dir, SIGN, "no identity card for bank/node");
    std::fs::copy(dir.join("bank/bank-node.card.json"), dir.join("cards/bank-node.card.json")).unwrap();
    done(dir, SIGN);
    fails(dir, &format!("epoch new --member office --dir DIR/bank {FILES}"), "has the identity of bank");
    fails(dir, &format!("epoch new --member bank --dir DIR/nothing {FILES}"), "cannot list");
    fails(dir, "fingerprint DIR/catalogue.toml", "not an identity card (line 1, column 1)");
    let other = FILES.replace("authority/authority.pub", "draft.toml");
    fails(dir, &format!("federation show {other}"), "larger than 128 bytes");
    std::fs::write(dir.join("catalogue.toml"), "[policy").unwrap();
    fails(dir, &format!("federation show {FILES}"), "catalogue.toml: line 1, column 8: ");
    std::fs::write(dir.join("draft.toml"), "name = 1").unwrap();
    std::fs::remove_file(dir.join("manifest.json")).unwrap();
    std::fs::copy(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/city/catalogue.toml"), dir.join("catalogue.toml"))
        .unwrap();
    fails(
        dir,
        SIGN,
        "draft.toml: line 1, column 8: invalid type: integer `1`, expected a string; `wugan-keys federation sign --help`",
    );
}

#[test]
fn the_second_version_follows_the_first() {
    let city = city();
    let dir = city.path();
    done(dir, SIGN);
    let draft = std::fs::read_to_string(dir.join("draft.toml")).unwrap();
    let next = draft.replace("version = 1", "version = 2");
    std::fs::write(dir.join("draft.toml"), &next).unwrap();
    let sign = SIGN.replace("manifest.json", "manifest-2.json");
    fails(dir, &sign, "the draft has version 2 where 1 follows");
    std::fs::write(dir.join("draft.toml"), format!("previous = \"manifest.json\"\n{next}")).unwrap();
    assert!(done(dir, &sign).contains("version      2\n"));
    let confirm = format!("federation confirm DIR/manifest-2.json DIR/catalogue.toml {FILES}");
    let asked = run(dir, &confirm);
    assert_eq!((asked.code, asked.stdout.as_str()), (1, ""), "nobody typed yes");
    assert!(asked.stderr.contains("type yes") && !dir.join("versions").exists(), "{}", asked.stderr);
    let confirmed = run(dir, &format!("{confirm} --yes"));
    assert_eq!((confirmed.code, confirmed.stdout.trim()), (0, dir.join("versions/2").to_str().unwrap()));
    fails(dir, &format!("{confirm} --yes"), "does not follow the one of version 2");
    std::fs::write(dir.join("versions/2/federation.json"), "{}").unwrap();
    fails(dir, &format!("{confirm} --yes"), "versions/2/federation.json");
}

#[test]
fn check_fails_with_what_is_wrong() {
    let city = city();
    let dir = city.path();
    let identity = dir.join("bank/identity-node.age");
    std::fs::set_permissions(&identity, std::fs::Permissions::from_mode(0o644)).unwrap();
    let checked = run(dir, "check --dir DIR/bank");
    assert_eq!(checked.code, 1);
    assert!(checked.stdout.contains("chmod 600"), "{}", checked.stdout);
    std::fs::set_permissions(&identity, std::fs::Permissions::from_mode(0o600)).unwrap();
    std::fs::copy(dir.join("data/storage.key"), dir.join("bank/storage.key")).unwrap();
    let checked = run(dir, "check --dir DIR/bank");
    assert_eq!(checked.code, 1);
    assert!(checked.stdout.contains("another storage key"), "{}", checked.stdout);
    fails(dir, "check --dir DIR/nothing", "cannot read");
}

#[test]
fn a_passphrase_comes_from_a_file() {
    let city = tempfile::tempdir().unwrap();
    let dir = city.path();
    let file = dir.join("passphrase");
    std::fs::write(&file, "correct horse battery\n").unwrap();
    std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o600)).unwrap();
    let env = [("WUGAN_PASSPHRASE_FILE", file.to_str().unwrap())];
    let made = run_with(dir, "authority new --dir DIR/a --passphrase", &env);
    assert_eq!(made.code, 0, "{}", made.stderr);
    assert!(dir.join("a/storage.key.age").exists() && !dir.join("a/storage.key").exists());
    assert_eq!(run_with(dir, "check --dir DIR/a", &env).code, 0);
}

#[test]
fn chinese_operators_read_chinese() {
    let city = city();
    let dir = city.path();
    let zh = [("LC_ALL", ""), ("LANG", "zh_CN.UTF-8")];
    let signed = run_with(dir, SIGN, &zh).stdout;
    assert!(signed.contains("联合体       test-city\n版本         1\n"), "{signed}");
    let refused = run_with(dir, SIGN, &zh).stderr;
    assert!(refused.ends_with("manifest.json 已存在，程序从不覆盖；如不再需要，请先移走\n"), "{refused}");
    std::fs::remove_file(dir.join("bank/storage.key")).unwrap();
    let checked = run_with(dir, "check --dir DIR/bank", &zh).stdout;
    assert!(checked.contains("identity-node.age：存储密钥无法打开，故未检查"), "{checked}");
    let nothing = run_with(dir, "fingerprint DIR/none", &zh).stderr;
    assert!(nothing.contains("没有这个文件或文件夹"), "{nothing}");
}

#[test]
fn a_systemd_credential_opens_a_directory() {
    let city = city();
    let dir = city.path();
    std::fs::create_dir(dir.join("credentials")).unwrap();
    std::fs::rename(dir.join("bank/storage.key"), dir.join("credentials/storage.key")).unwrap();
    assert_eq!(run(dir, "check --dir DIR/bank").code, 1);
    let credentials = dir.join("credentials");
    let env = [("CREDENTIALS_DIRECTORY", credentials.to_str().unwrap())];
    assert_eq!(run_with(dir, "check --dir DIR/bank", &env).code, 0);
}

#[test]
fn wrong_usage_has_code_2() {
    let city = tempfile::tempdir().unwrap();
    for line in ["", "nothing", "check", "fingerprint", "identity new --member m --role authority --dir DIR"] {
        let run = run(city.path(), line);
        assert_eq!((run.code, run.stdout.as_str()), (2, ""), "{line}");
        assert!(!run.stderr.is_empty());
    }
}

#[test]
fn every_help_has_an_example() {
    let city = tempfile::tempdir().unwrap();
    for command in [
        "",
        "authority",
        "authority new",
        "identity",
        "identity new",
        "epoch",
        "epoch new",
        "federation",
        "federation sign",
        "federation show",
        "check",
        "fingerprint",
    ] {
        assert!(done(city.path(), &format!("{command} --help")).contains("Example"), "{command}");
    }
}

#[test]
fn canaries_are_issued_from_the_command_line() {
    let city = city();
    let dir = city.path();
    let plan = "[[canary]]\ncount = 2\nchannels = [\"counter\"]\nmatters = [\"pension\"]\n";
    std::fs::write(dir.join("plan.toml"), plan).unwrap();
    let issue = "canaries issue --dir DIR/authority --policy DIR/catalogue.toml --plan DIR/plan.toml --from 2026-11 --out DIR/out";
    let files = done(dir, issue);
    let names = ["bank.canaries", "office.canaries", "canaries.list"];
    assert!(files.lines().zip(names).all(|(line, name)| line.ends_with(name)) && files.lines().count() == 3, "{files}");
    let mode = |name: &str| std::fs::metadata(dir.join("out").join(name)).unwrap().permissions().mode() & 0o777;
    assert_eq!(names.map(mode), [0o600, 0o600, 0o644]);
    let (authority, policy) = (dir.join("authority/authority.pub"), read_policy(&dir.join("catalogue.toml")).unwrap());
    let read = |name: &str, member: &str| {
        read_canaries(&dir.join("out").join(name), &authority, &policy, policy.member_number(member).unwrap())
    };
    assert_eq!(read("bank.canaries", "bank").unwrap().in_channel(3).count(), 2);
    assert_eq!(read("office.canaries", "office").unwrap().expected().len(), 2);
    let wrong = read("bank.canaries", "office").unwrap_err().to_string();
    assert!(wrong.contains("bank.canaries: it was issued for bank, not for office"), "{wrong}");

    fails(dir, issue, "exists already");
    std::fs::write(dir.join("plan.toml"), plan.replace("counter", "ferry")).unwrap();
    fails(
        dir,
        &issue.replace("DIR/out", "DIR/other"),
        "plan.toml: no canaries were issued: the policy has no channel ferry",
    );
    std::fs::write(dir.join("plan.toml"), "[[canary]]\nmatter = 1\n").unwrap();
    fails(dir, &issue.replace("DIR/out", "DIR/other"), "`wugan-keys canaries issue --help` shows a plan");
}
