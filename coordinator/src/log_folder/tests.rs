#![allow(clippy::unwrap_used)]
use std::{
    collections::BTreeMap,
    io::Write as _,
    mem,
    sync::atomic::{AtomicUsize, Ordering},
};

use ring::signature::{Ed25519KeyPair, KeyPair};
use wugan_keys::store::NewFile;
use wugan_protocol::log::note::Algorithm;

use super::*;

struct Key(Ed25519KeyPair);

impl Signer for Key {
    fn public_key(&self) -> [u8; 32] {
        self.0.public_key().as_ref().try_into().unwrap()
    }

    fn sign(&self, message: &[u8]) -> [u8; 64] {
        self.0.sign(message).as_ref().try_into().unwrap()
    }
}

/// A coordinator that is killed after some operations on files.
struct Killed(AtomicUsize);

impl Killed {
    fn after(operations: usize) -> Killed {
        Killed(AtomicUsize::new(operations))
    }

    fn operation(&self) -> io::Result<()> {
        let lives = self.0.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(1));
        lives.map(drop).map_err(|_| io::Error::other("killed"))
    }
}

impl Disk for Killed {
    fn make_folder(&self, path: &Path) -> io::Result<()> {
        let missing: Vec<&Path> = path.ancestors().take_while(|folder| !folder.exists()).collect();
        missing.into_iter().rev().try_for_each(|folder| self.operation().and_then(|()| fs::create_dir(folder)))
    }

    fn write(&self, path: &Path, bytes: &[u8]) -> io::Result<()> {
        self.operation()?;
        let mut file = NewFile::create(path).unwrap();
        file.write_all(bytes)?;
        if let Err(killed) = self.operation() {
            // Nothing is cleaned up.
            mem::forget(file);
            return Err(killed);
        }
        file.commit().map_err(io::Error::other)
    }

    fn delete(&self, path: &Path) -> io::Result<()> {
        self.operation().and_then(|()| fs::remove_file(path))
    }

    fn delete_folder(&self, path: &Path) -> io::Result<()> {
        self.operation().and_then(|()| fs::remove_dir(path))
    }
}

fn signer() -> Arc<Key> {
    Arc::new(Key(Ed25519KeyPair::from_seed_unchecked(&[3; 32]).unwrap()))
}

fn vkey() -> VerifierKey {
    VerifierKey::new("wugan/test", Algorithm::Ed25519, signer().public_key()).unwrap()
}

fn lines(count: usize) -> Vec<Vec<u8>> {
    (0..count).map(|i| format!("entry {i}").into_bytes()).collect()
}

fn open(folder: &Path, lines: &[Vec<u8>]) -> io::Result<LogFolder> {
    LogFolder::open(folder, &vkey(), signer(), lines, None, Vec::new())
}

/// Every file below a folder, and the folders that have none.
fn files(folder: &Path) -> Vec<String> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap().map(Result::unwrap) {
        let name = entry.file_name().into_string().unwrap();
        if entry.path().is_dir() {
            let below = files(&entry.path());
            found.extend(below.iter().map(|below| format!("{name}/{below}")));
            found.extend(below.is_empty().then(|| format!("{name}/")));
        } else {
            found.push(name);
        }
    }
    found.sort();
    found
}

/// Exactly the files of the checkpoint's tree, and these entries in them.
fn check(folder: &Path, lines: &[Vec<u8>]) {
    let note = fs::read(folder.join(CHECKPOINT)).unwrap();
    let tree = VerifiedCheckpoint::open(&note, &vkey()).unwrap().tree();
    assert_eq!(tree.size, lines.len() as u64);
    let mut expected: Vec<String> = Tile::changed(0, tree.size).map(|tile| tile.to_string()).collect();
    expected.push(CHECKPOINT.into());
    expected.sort();
    assert_eq!(files(folder), expected);
    assert_eq!(entries(folder).unwrap(), lines);
    let mut writer = LogWriter::empty();
    for line in lines {
        writer.append(line).unwrap();
    }
    assert_eq!(writer.tree(), tree);
    for (tile, bytes) in writer.changed_files() {
        assert_eq!(fs::read(folder.join(tile.to_string())).unwrap(), bytes, "{tile}");
    }
}

#[test]
fn a_log_grows_and_only_its_own_files_stand() {
    let folder = tempfile::tempdir().unwrap();
    let all = lines(600);
    let mut log = open(folder.path(), &[]).unwrap();
    let mut held = 0;
    for more in [1, 2, 250, 3, 1, 255, 88] {
        let facts: Vec<Fact> = (held..held + more).map(|i| Fact::Log(i as u64, all[i].clone())).collect();
        held += more;
        log.take(&facts).unwrap();
        log.publish().unwrap();
        check(folder.path(), &all[..held]);
    }
    drop(log);
    open(folder.path(), &all).unwrap();
    check(folder.path(), &all);
}

/// A log whose entries 100 and 300 are manifests, opened with the first `count` entries and closed rounds.
fn open_whole(folder: &Path, count: usize, rounds: u8) -> io::Result<LogFolder> {
    LogFolder::open(folder, &vkey(), signer(), &lines(count), Some(&vec![rounds; 40]), policies())
}

fn policies() -> Vec<PublishedPolicy> {
    let policy = |at: usize, name: &str| PublishedPolicy {
        manifest: lines(at + 1).remove(at),
        name: name.into(),
        bytes: name.as_bytes().to_vec(),
    };
    vec![policy(100, "catalogue.toml"), policy(300, "catalogue.2.toml")]
}

/// The files that [`open_whole`] makes in an empty folder.
fn whole(count: usize, rounds: u8) -> BTreeMap<String, Vec<u8>> {
    let folder = tempfile::tempdir().unwrap();
    open_whole(folder.path(), count, rounds).unwrap();
    read(folder.path())
}

/// Every file below a folder; an empty folder shows as a file without bytes.
fn read(folder: &Path) -> BTreeMap<String, Vec<u8>> {
    files(folder).into_iter().map(|name| (name.clone(), fs::read(folder.join(name)).unwrap_or_default())).collect()
}

/// Kills `work` on a log of `before` entries after each number of its operations until it ends, and brings what is left
/// level with a database of `later` entries; the number of operations.
fn killed_anywhere(before: usize, later: usize, work: impl Fn(LogFolder) -> io::Result<()>) -> usize {
    let (begun, expected) = (whole(before, 1), whole(later, 2));
    let mut operations = 0;
    loop {
        let folder = tempfile::tempdir().unwrap();
        for (name, bytes) in &begun {
            let path = folder.path().join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, bytes).unwrap();
        }
        let mut log = open_whole(folder.path(), before, 1).unwrap();
        log.disk = Box::new(Killed::after(operations));
        let ended = work(log).is_ok();
        open_whole(folder.path(), later, 2).unwrap();
        assert_eq!(read(folder.path()), expected, "{operations}");
        if ended {
            return operations;
        }
        operations += 1;
    }
}

#[test]
fn a_kill_between_any_two_operations_of_a_growing_log_is_brought_level() {
    // The last partial tiles become full ones, wider ones, or go with their folders; the database is as far, or farther.
    for (before, after, later) in [(0, 3, 3), (250, 520, 520), (250, 520, 768), (520, 600, 600), (520, 768, 769)] {
        let grow = |mut log: LogFolder| {
            let facts = (before..after).map(|i| Fact::Log(i as u64, lines(i + 1).remove(i)));
            let rounds = Fact::Set(COSIGNED.into(), vec![2; 40]);
            log.take(&facts.chain([rounds]).collect::<Vec<_>>())?;
            log.publish()
        };
        let operations = killed_anywhere(before, later, grow);
        // Tiles, checkpoint and `cosigned`, each written and renamed.
        let files = Tile::changed(before as u64, after as u64).count() + 2;
        assert!(operations > 2 * files, "{operations}");
    }
}

#[test]
fn a_kill_between_any_two_operations_of_the_opening_is_brought_level() {
    for (before, after, later) in [(0, 301, 301), (250, 520, 520), (250, 520, 768), (4_000, 4_400, 4_400)] {
        killed_anywhere(before, later, |log| {
            LogFolder { writer: LogWriter::empty(), ..log }.brought_level(&vkey(), &lines(after)).map(drop)
        });
    }
}

#[test]
fn left_overs_go_and_files_of_others_stay() {
    let folder = tempfile::tempdir().unwrap();
    open(folder.path(), &lines(512)).unwrap();
    let left = [
        ".checkpoint.0123456789abcdef.tmp",
        "tile/0/.001.00000000000000ff.tmp",
        "tile/0/001.p/.7.0123456789abcdef.tmp",
    ];
    let others =
        [".checkpoint.tmp", "checkpoint.0123456789abcdef.tmp", "tile/.notes", "tile/0/.001.0123456789ABCDEF.tmp"];
    for name in left.iter().chain(&others) {
        fs::create_dir_all(folder.path().join(name).parent().unwrap()).unwrap();
        fs::write(folder.path().join(name), "half").unwrap();
    }
    fs::create_dir(folder.path().join("tile/entries/000.p")).unwrap();
    open(folder.path(), &lines(512)).unwrap();
    others.iter().for_each(|name| fs::remove_file(folder.path().join(name)).unwrap());
    check(folder.path(), &lines(512));
}

#[test]
fn a_database_that_was_set_back_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    open(folder.path(), &lines(300)).unwrap();
    let error = open(folder.path(), &lines(299)).err().unwrap().to_string();
    assert!(error.contains("set back"), "{error}");
    let mut other = lines(300);
    other[7] = b"another".to_vec();
    assert!(open(folder.path(), &other).is_err());
    check(folder.path(), &lines(300));
}
