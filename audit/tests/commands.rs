//! The program itself, with folders that are not in order: what it says, how it ends, what it leaves behind.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::{
    fs::{self, File},
    path::PathBuf,
    process::Command,
    thread,
    time::Duration,
};

use rusqlite::{Connection, params};
use wugan_protocol::{
    hexes::Hex,
    log::{checkpoint::VerifiedCheckpoint, merkle::Tree, writer::LogWriter},
    testing::{CATALOGUE, World},
};

#[test]
fn an_empty_log_has_no_entries_yet_unless_there_were_some() {
    let world = World::new();
    let at = At::new(&world);
    assert_eq!(at.run(&["monitor", "log", "--seen", "seen"]).0, 0);
    assert!(at.path("seen").exists());
    let signer = world.signers(world.federation.coordinator()).log;
    let empty = VerifiedCheckpoint::sign(Tree::empty(), &world.federation.origin(), signer.as_ref()).unwrap();
    fs::remove_dir_all(at.path("log/tile")).unwrap();
    fs::write(at.path("log/checkpoint"), empty.note().to_string()).unwrap();
    for command in [&["verify", "log"][..], &["report", "log", "--html", "page"], &["monitor", "log", "--seen", "new"]]
    {
        let (code, text) = at.run(command);
        assert!(code == 2 && text.contains("has no entries yet"), "{code} {text}");
    }
    let (code, text) = at.run(&["monitor", "log", "--seen", "seen"]);
    assert!(code == 1 && text.contains("does not continue the one"), "{text}");
}

#[test]
fn no_green_page_stays_where_the_log_is_not_in_order() {
    let at = At::new(&World::new());
    let report = || {
        let (code, text) = at.run(&["report", "log", "--html", "page"]);
        let page = fs::read_to_string(at.path("page")).unwrap();
        assert_ne!(page.contains("class=\"good\""), page.contains("class=\"bad\""));
        (code, page.contains("class=\"good\""), text)
    };
    assert_eq!((report().0, report().1), (0, true));
    fs::write(at.path("authority.pub"), Hex([7; 32]).to_string()).unwrap();
    assert_eq!((report().0, report().1), (1, false), "whose log this is cannot be told");
    fs::write(at.path("authority.pub"), at.authority.clone()).unwrap();
    assert!(report().1);
    fs::remove_dir_all(at.path("log")).unwrap();
    let (code, good, text) = report();
    assert!(code == 2 && !good && text.contains("log cannot be read"), "{text}");
}

#[test]
fn a_log_that_is_being_written_is_read_again() {
    let at = At::new(&World::new());
    let checkpoint = fs::read(at.path("log/checkpoint")).unwrap();
    let commands =
        [&["verify", "log"][..], &["compare", "log", "--member", "state"], &["report", "log", "--html", "page"]];
    for command in commands {
        fs::write(at.path("log/checkpoint"), b"half").unwrap();
        let (code, text) = thread::scope(|scope| {
            let written = scope.spawn(|| {
                thread::sleep(Duration::from_millis(700));
                fs::write(at.path("log/checkpoint"), &checkpoint).unwrap();
            });
            let said = at.run(command);
            written.join().unwrap();
            said
        });
        assert_eq!(code, 0, "{text}");
    }
    fs::write(at.path("log/checkpoint"), b"half").unwrap();
    let (code, text) = at.run(&["verify", "log"]);
    assert!(code == 1 && text.contains("checkpoint: it does not end in an empty line"), "{text}");
}

#[test]
fn a_file_that_no_log_can_have_is_named_and_not_read() {
    let at = At::new(&World::new());
    File::create(at.path("log/extra")).unwrap().set_len(6 << 30).unwrap();
    let (code, text) = at.run(&["verify", "log", "--json"]);
    assert_eq!(code, 1);
    let report: serde_json::Value = serde_json::from_str(&text).unwrap();
    let finding = &report["findings"][0];
    assert_eq!((&report["verdict"], &finding["rule"]), (&"findings".into(), &"file_too_long".into()));
    assert_eq!(finding["detail"], "extra");
    assert!(finding["meaning"].is_string() && finding["next"].is_string());
}

#[test]
fn a_published_log_and_a_members_copy_must_go_together() {
    let (mut world, mut other) = (World::new(), World::new());
    let at = At::new(&world);
    let compared = |code: i32, words: &str| {
        let (found, text) = at.run(&["compare", "log", "--member", "state"]);
        assert!(found == code && text.contains(words), "{found}, {text}");
    };
    compared(0, "keeps the same log");
    // Whoever has seen more, or less, has seen the same log.
    (world.now, other.now) = (1_700_000_000, 1_700_000_001);
    let before = world.lines.len();
    world.open_round("2026-11");
    at.keeps(&world.lines, &world.checkpoint());
    compared(0, "keeps the same log");
    at.publish(&world);
    at.keeps(&World::new().lines, &World::new().checkpoint());
    compared(0, "keeps the same log");
    // Another round was shown to the member.
    other.open_round("2026-11");
    at.keeps(&other.lines, &other.checkpoint());
    compared(1, &format!("entry {before}, "));
    compared(1, "two different logs were shown");
    let (_, json) = at.run(&["compare", "log", "--member", "state", "--json"]);
    let found: serde_json::Value = serde_json::from_str(&json).unwrap();
    let finding = &found["findings"][0];
    assert_eq!((&finding["rule"], &finding["entry"]), (&"two_logs".into(), &before.into()));
    // It believes a tree that is not that of its entries.
    at.keeps(&world.lines, &other.checkpoint());
    compared(1, "is of another tree");
    // It went away from the other log, and kept what shows that there is one.
    at.keeps(&world.lines, &world.checkpoint());
    at.keeps_fact("contradiction", &other.checkpoint());
    compared(1, "kept in the member's state database");
    at.keeps_fact("contradiction", &world.checkpoint());
    compared(0, "keeps the same log");
    at.keeps(&world.lines, b"no checkpoint");
    compared(1, "the checkpoint that the member keeps: ");
    at.keeps(&[], b"");
    compared(2, "has no entries of the log yet");
    fs::remove_file(at.path("state/state.sqlite")).unwrap();
    compared(2, "has no state.sqlite");
}

/// A folder with a log, the authority's key and a member's state.
struct At {
    folder: tempfile::TempDir,
    authority: String,
}

impl At {
    fn new(world: &World) -> At {
        let authority = Hex(*world.federation.authority()).to_string();
        let at = At { folder: tempfile::tempdir().unwrap(), authority };
        fs::write(at.path("authority.pub"), at.authority.clone()).unwrap();
        at.publish(world);
        at.keeps(&world.lines, &world.checkpoint());
        at
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn publish(&self, world: &World) {
        let _ = fs::remove_dir_all(self.path("log"));
        let mut writer = LogWriter::empty();
        for line in &world.lines {
            writer.append(line).unwrap();
        }
        for (tile, bytes) in writer.changed_files() {
            let path = self.path("log").join(tile.to_string());
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, bytes).unwrap();
        }
        fs::write(self.path("log/checkpoint"), world.checkpoint()).unwrap();
        fs::write(self.path("log/catalogue.toml"), CATALOGUE).unwrap();
    }

    /// The member's database, as its program writes it.
    fn keeps(&self, lines: &[Vec<u8>], checkpoint: &[u8]) {
        let path = self.path("state/state.sqlite");
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        let _ = fs::remove_file(&path);
        let database = Connection::open(&path).unwrap();
        database.execute_batch(TABLES).unwrap();
        for (number, line) in (0_i64..).zip(lines) {
            database.execute("INSERT INTO log VALUES (?1, ?2)", params![number, line]).unwrap();
        }
        drop(database);
        self.keeps_fact("checkpoint", checkpoint);
    }

    fn keeps_fact(&self, name: &str, value: &[u8]) {
        let database = Connection::open(self.path("state/state.sqlite")).unwrap();
        database.execute("INSERT OR REPLACE INTO facts VALUES (?1, ?2)", params![name, value]).unwrap();
    }

    /// How the program ends, and all that it says.
    fn run(&self, arguments: &[&str]) -> (i32, String) {
        let mut program = Command::new(env!("CARGO_BIN_EXE_wugan-audit"));
        program.current_dir(self.folder.path()).env("LC_ALL", "C").args(arguments);
        let output = program.args(["--authority", "authority.pub"]).output().unwrap();
        let text = [output.stdout, output.stderr].concat();
        (output.status.code().unwrap(), String::from_utf8(text).unwrap())
    }
}

const TABLES: &str = "CREATE TABLE log (number INTEGER PRIMARY KEY, line BLOB NOT NULL) STRICT;
CREATE TABLE own (number INTEGER PRIMARY KEY, line BLOB NOT NULL) STRICT;
CREATE TABLE facts (name TEXT PRIMARY KEY, value BLOB NOT NULL) STRICT, WITHOUT ROWID;";
