//! A log is read by a program that this project did not write: `independent/main.go`, over Go's `sumdb/note` and
//! `sumdb/tlog`. It needs Go and the sources of golang.org/x/mod, and fails where they are missing.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::{
    collections::BTreeSet,
    env, fs,
    path::{Path, PathBuf},
    process::{Command, Output},
    sync::LazyLock,
};

use wugan_demo::city::{CATALOGUE, CityPlan, generate, install_roster};
use wugan_keys::{commands::read_federation, identity::Identity};
use wugan_protocol::{
    envelope::Signer,
    log::{
        checkpoint::VerifiedCheckpoint,
        cosignature::sign_tree,
        note::{Algorithm, VerifierKey},
        tile::Tile,
        writer::LogWriter,
    },
    party::Role,
};
use wugan_tests::cluster::Cluster;

#[test]
fn another_implementation_verifies_a_log_and_finds_every_change() {
    let folder = tempfile::tempdir().unwrap();
    let log = write_log(folder.path());
    let output = log.read();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    assert_eq!(String::from_utf8_lossy(&output.stdout), "600 entries, 4 older checkpoints, 2 cosignatures\n");
    let newest = fs::read(folder.path().join("checkpoint")).unwrap();
    for path in log.files() {
        let whole = fs::read(&path).unwrap();
        for place in [0, whole.len() / 2, whole.len() - 1] {
            let mut altered = whole.clone();
            altered[place] ^= 4;
            fs::write(&path, &altered).unwrap();
            assert!(!log.read().status.success(), "byte {place} of {}", path.display());
        }
        fs::write(&path, &whole).unwrap();
    }
    fs::write(folder.path().join("checkpoint"), &log.fork).unwrap();
    assert!(!log.read().status.success(), "a checkpoint of another log, signed with the same keys");
    fs::write(folder.path().join("checkpoint"), newest).unwrap();
    assert!(log.read().status.success());
}

#[test]
fn another_implementation_verifies_the_log_that_a_federation_left() {
    let city = tempfile::tempdir().unwrap();
    let dir = city.path();
    let (checkpoints, entries) = two_months(dir);
    assert!(checkpoints.len() > 3, "checkpoints were published now and then: {}", checkpoints.len());
    let (log, old) = (dir.join("coordinator/log"), dir.join("old"));
    fs::create_dir(&old).unwrap();
    let old: Vec<PathBuf> = (0..checkpoints.len()).map(|number| old.join(number.to_string())).collect();
    old.iter().zip(&checkpoints).for_each(|(path, note)| fs::write(path, note).unwrap());
    let cosigners = cosigners(dir);
    let read = |cosigners: &[String]| {
        let mut command = Command::new(&*READER);
        command.args(old.iter().flat_map(|path| [Path::new("-old"), path]));
        command.args(cosigners.iter().flat_map(|key| ["-cosigner", key]));
        command.arg("-cosigned").arg(log.join("cosigned")).arg(&log);
        command.arg(fs::read_to_string(dir.join("coordinator/log.vkey")).unwrap().trim()).output().unwrap()
    };
    let output = read(&cosigners);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let said = format!("{entries} entries, {} older checkpoints, {} cosignatures\n", old.len(), cosigners.len());
    assert_eq!(String::from_utf8_lossy(&output.stdout), said);

    for file in ["cosigned", "checkpoint", "tile/0/000", "tile/entries/000"] {
        let path = log.join(file);
        let whole = fs::read(&path).unwrap();
        let mut altered = whole.clone();
        altered[whole.len() / 2] ^= 4;
        fs::write(&path, altered).unwrap();
        assert!(!read(&cosigners).status.success(), "{file}");
        fs::write(&path, whole).unwrap();
    }
    assert!(read(&cosigners).status.success());
}

/// Two months of a federation of real processes in `dir`: every checkpoint that its coordinator was seen to publish, and
/// how many entries its log has.
fn two_months(dir: &Path) -> (BTreeSet<Vec<u8>>, usize) {
    let plan = CityPlan { rounds: 2, ..CityPlan::for_people(60) };
    generate(&plan, CATALOGUE, dir).unwrap();
    let months = plan.months().unwrap();
    let rosters: Vec<String> = months.iter().map(|month| format!("roster.{month}.csv")).collect();
    install_roster(dir, &months[0], false).unwrap();
    let mut cluster = Cluster::start(dir, &rosters, env!("CARGO_BIN_EXE_federation")).unwrap();
    let (published, mut seen) = (dir.join("coordinator/log/checkpoint"), BTreeSet::new());
    for month in &months {
        install_roster(dir, month, Some(month) == months.last()).unwrap();
        let look = |_: &mut Cluster, _: &str| {
            // There is none before the coordinator has begun.
            seen.extend(fs::read(&published).ok());
            Ok(())
        };
        cluster.round(month.parse().unwrap(), look).unwrap();
    }
    let coordinator = cluster.party("human_resources", Role::Coordinator).unwrap();
    cluster.terminate(coordinator).unwrap();
    let entries = cluster.log().lines().count();
    (seen, entries)
}

/// The verifier keys of those who cosigned the last round's end, by the federation manifest.
fn cosigners(dir: &Path) -> Vec<String> {
    let (manifest, catalogue) = (dir.join("manifest.json"), dir.join("catalogue.toml"));
    let federation = read_federation(&manifest, &catalogue, &dir.join("authority.pub")).unwrap();
    let note = fs::read_to_string(dir.join("coordinator/log/cosigned")).unwrap();
    let keys: Vec<VerifierKey> = federation.parties().filter_map(|party| federation.cosigner_key(party)).collect();
    let keys: Vec<String> =
        keys.iter().filter(|key| note.contains(&format!(" {} ", key.name()))).map(ToString::to_string).collect();
    assert!(keys.len() >= usize::from(federation.manifest().quorum));
    keys
}

/// A log in a folder, with what a reader is given besides.
struct Log {
    folder: PathBuf,
    key: String,
    cosigners: Vec<String>,
    old: Vec<PathBuf>,
    /// Signed and cosigned like the newest checkpoint, over other entries.
    fork: String,
}

impl Log {
    fn read(&self) -> Output {
        let mut command = Command::new(&*READER);
        command.args(self.old.iter().flat_map(|path| [Path::new("-old"), path]));
        command.args(self.cosigners.iter().flat_map(|key| ["-cosigner", key]));
        command.arg(&self.folder).arg(&self.key).output().unwrap()
    }

    /// The files that the newest checkpoint's tree has, and the checkpoints.
    fn files(&self) -> Vec<PathBuf> {
        let tiles = Tile::changed(0, 600).map(|tile| self.folder.join(tile.to_string()));
        tiles.chain(self.old.clone()).chain([self.folder.join("checkpoint")]).collect()
    }
}

/// 600 entries in five batches, each with its checkpoint; two members cosign the last one.
fn write_log(folder: &Path) -> Log {
    let (coordinator, clinic) = (identity("bureau", Role::Coordinator), identity("clinic", Role::Node));
    let police = identity("police", Role::Node);
    let key = VerifierKey::new(ORIGIN, Algorithm::Ed25519, coordinator.public_key()).unwrap().to_string();
    let (mut writer, mut other) = (LogWriter::empty(), LogWriter::empty());
    let mut log = Log { folder: folder.to_owned(), key, cosigners: Vec::new(), old: Vec::new(), fork: String::new() };
    for size in [1, 255, 256, 511, 600] {
        while writer.tree().size < size {
            writer.append(format!("entry {}", writer.tree().size).as_bytes()).unwrap();
            other.append(b"something else").unwrap();
        }
        for (tile, bytes) in writer.changed_files() {
            let path = folder.join(tile.to_string());
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, bytes).unwrap();
        }
        writer.written();
        let checkpoint = VerifiedCheckpoint::sign(writer.tree(), ORIGIN, &coordinator).unwrap();
        if size < 600 {
            let path = folder.join(format!("checkpoint-{size}"));
            fs::write(&path, checkpoint.note().to_string()).unwrap();
            log.old.push(path);
        }
    }
    let members = [("wugan.example/clinic", clinic), ("wugan.example/police", police)];
    let newest = VerifiedCheckpoint::sign(writer.tree(), ORIGIN, &coordinator).unwrap();
    fs::write(folder.join("checkpoint"), cosigned(&newest, &members)).unwrap();
    let fork = VerifiedCheckpoint::sign(other.tree(), ORIGIN, &coordinator).unwrap();
    log.fork = cosigned(&fork, &members);
    log.cosigners = members.iter().map(|(name, member)| cosigner_key(name, member).to_string()).collect();
    log
}

fn cosigned(checkpoint: &VerifiedCheckpoint, members: &[(&str, Identity)]) -> String {
    let mut cosigned = checkpoint.clone();
    for (name, member) in members {
        let signature = sign_tree(checkpoint.tree(), ORIGIN, member, TIME);
        cosigned.add_cosignature(cosigner_key(name, member).cosignature_line(TIME, &signature));
    }
    cosigned.note().to_string()
}

fn cosigner_key(name: &str, member: &Identity) -> VerifierKey {
    VerifierKey::new(name, Algorithm::CosignatureV1, member.public_key()).unwrap()
}

fn identity(member: &str, role: Role) -> Identity {
    Identity::generate(member, role).unwrap()
}

/// The independent reader, compiled once.
static READER: LazyLock<PathBuf> = LazyLock::new(|| {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR"));
    let reader = folder.join("independent");
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("independent/main.go");
    let set = env::var_os("GOPATH").unwrap_or_default();
    let packages = env::split_paths(&set).chain([PathBuf::from("/usr/share/gocode")]);
    let built = Command::new("go")
        .args(["build", "-o"])
        .args([&reader, &source])
        .env("GO111MODULE", "off")
        .env("GOPATH", env::join_paths(packages).unwrap())
        .env("GOCACHE", folder.join("go-cache"))
        .output();
    let missing = "this test needs Go and golang.org/x/mod: apt-get install golang-go golang-golang-x-mod-dev";
    let built = built.unwrap_or_else(|error| panic!("{missing} ({error})"));
    assert!(built.status.success(), "{missing}\n{}", String::from_utf8_lossy(&built.stderr));
    reader
});

const ORIGIN: &str = "wugan.example/city";
const TIME: u64 = 1_790_000_000;
