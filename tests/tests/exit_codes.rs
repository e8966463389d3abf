//! The built `wugan-audit` on the folder that a federation left: exit code 0 where all is in order, 1 where something was
//! found, 2 where it could not be looked at.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use serde_json::Value;

#[test]
fn every_command_says_by_its_exit_code_what_it_came_to() {
    let folder = tempfile::tempdir().unwrap();
    let city = City::make(folder.path());
    city.genuine();
    city.logs_that_were_changed();
    city.kept_files_that_were_changed();
    city.what_cannot_be_looked_at();
    // Nothing of that stays.
    city.genuine();
}

/// One month of real processes, with canaries.
struct City {
    dir: PathBuf,
}

/// Every command on the log alone.
const OF_LOG: [&str; 5] = [
    "verify LOG KEY --json",
    "verify LOG KEY --canaries DIR/canaries.list --json",
    "explain LOG KEY --round 2026-06 --json",
    "report LOG KEY --html DIR/report.html",
    "monitor LOG KEY --seen DIR/seen.checkpoint --json",
];

/// Every command at a party: whose state, which of its files is changed, and as what that is found.
const AT_PARTIES: [(&str, &str, &str, &str); 5] = [
    ("replay --at matcher", "matcher", "rounds/ROUND/pool-", "input_differs"),
    ("replay --at aggregator", "aggregator", "rounds/ROUND/rows-", "input_differs"),
    ("replay --at coordinator", "coordinator", "rounds/ROUND/bits-", "input_differs"),
    // An owner, and a source that owns nothing.
    ("recompute", "departments/housing/state", "sealed/rows-ROUND", "sealed_damaged"),
    ("recompute", "departments/public_security/state", "sealed/people-ROUND", "sealed_damaged"),
];

impl City {
    fn make(folder: &Path) -> City {
        let dir = folder.join("city");
        let arguments = ["--people", "120", "--seed", "5", "--rounds", "1", "--canaries", "8", "--out"];
        let output = Command::new(env!("CARGO_BIN_EXE_federation")).args(arguments).arg(&dir).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        City { dir }
    }

    fn genuine(&self) {
        for line in OF_LOG {
            self.ends(line, 0);
        }
        for (command, home, ..) in AT_PARTIES {
            let rules = self.ends(&at(command, home), 0);
            assert_eq!(rules, BTreeSet::new(), "{command} {home}");
        }
    }

    fn logs_that_were_changed(&self) {
        let log = self.dir.join("coordinator/log");
        for (below, place, rule) in [("tile/entries", usize::MAX, "root"), ("tile/0", 100, "file_altered")] {
            let file = first(&log.join(below), "");
            let bytes = flipped(&file, place);
            with(&file, Some(&bytes), || {
                for line in OF_LOG {
                    let rules = self.ends(line, 1);
                    assert!(!line.starts_with("verify") || rules.contains(rule), "{line}: {rules:?}");
                }
                for (command, home, ..) in AT_PARTIES {
                    self.ends(&at(command, home), 1);
                }
            });
        }
        let entries = first(&log.join("tile/entries"), "");
        with(&entries, Some(&flipped(&entries, 5_000)), || {
            assert!(self.ends(OF_LOG[0], 1).contains("manifest"), "the first entry");
        });
        let checkpoint = log.join("checkpoint");
        with(&checkpoint, Some(&flipped(&checkpoint, 60)), || {
            assert!(self.ends(OF_LOG[0], 1).contains("checkpoint"));
        });
        with(&log.join("catalogue.toml"), None, || {
            assert!(self.ends(OF_LOG[0], 1).contains("policy"));
        });
        fs::write(log.join("tile/more"), "").unwrap();
        assert_eq!(self.ends(OF_LOG[0], 1), BTreeSet::from(["file_unknown".to_owned()]));
        fs::remove_file(log.join("tile/more")).unwrap();
        // Another authority's key, which might be the right one of another federation.
        let other = "verify LOG --authority DIR/other.pub --json";
        fs::write(self.dir.join("other.pub"), format!("{}\n", "07".repeat(32))).unwrap();
        self.ends(other, 1);
    }

    fn kept_files_that_were_changed(&self) {
        for (command, home, file, rule) in AT_PARTIES {
            let file = self.kept(home, file);
            with(&file, Some(&flipped(&file, 50)), || {
                assert_eq!(self.ends(&at(command, home), 1), BTreeSet::from([rule.to_owned()]), "{command} {home}");
            });
            with(&file, None, || {
                let rules = self.ends(&at(command, home), 1);
                assert!(rules.iter().any(|rule| rule.ends_with("_missing")), "{command} {home}: {rules:?}");
            });
        }
        // Who keeps a file can say nothing about the log.
        self.ends(OF_LOG[0], 0);
    }

    fn what_cannot_be_looked_at(&self) {
        let wrong_keys = ["DIR/none.pub", "DIR/manifest.json", "DIR/coordinator/log.vkey", "DIR"];
        for line in OF_LOG {
            self.cannot(&line.replace("LOG", "DIR/none"));
            self.cannot(&line.replace("LOG", "DIR/authority.pub"));
            wrong_keys.iter().for_each(|key| self.cannot(&line.replace("KEY", &format!("--authority {key}"))));
            self.cannot(&line.replace("KEY", ""));
            self.cannot(&format!("{line} --unknown"));
        }
        fs::create_dir(self.dir.join("empty")).unwrap();
        self.cannot("verify DIR/empty KEY");
        self.cannot("verify LOG KEY --canaries DIR/none.list");
        self.cannot("verify LOG KEY --canaries DIR/manifest.json");
        self.cannot("explain LOG KEY --round 2026-07");
        self.cannot("explain LOG KEY --round 2026-13");
        self.cannot("report LOG KEY --html DIR/none/report.html");
        self.cannot("report LOG KEY");
        self.cannot("monitor LOG KEY --seen DIR/manifest.json");
        for (command, home, ..) in AT_PARTIES {
            let line = at(command, home);
            self.cannot(&line.replace("LOG", "DIR/none"));
            wrong_keys.iter().for_each(|key| self.cannot(&line.replace("KEY", &format!("--authority {key}"))));
            self.cannot(&line.replace("2026-06", "2026-07"));
            self.cannot(&line.replace(&format!(" DIR/{home}"), ""));
        }
        self.cannot("replay --log LOG KEY --round 2026-06 --at node DIR/matcher");
        self.cannot("recompute --log LOG KEY --round 2026-06 DIR/departments/none/state");
        self.cannot("recompute --log LOG KEY --round 2026-06 --keys DIR/none DIR/departments/housing/state");
        self.cannot("recompute --log LOG KEY --round 2026-06 --keys DIR/matcher/keys DIR/departments/housing/state");
        self.cannot("");
        self.cannot("look LOG KEY");
        fs::remove_dir(self.dir.join("empty")).unwrap();
    }

    /// Runs a command line; the rules that its JSON names. It must end with this code, and speak only where it ought to.
    fn ends(&self, line: &str, code: i32) -> BTreeSet<String> {
        let (found, stdout, stderr) = self.run(line);
        assert_eq!((found, stderr.as_str()), (code, ""), "{line}: {stdout}");
        assert!(!stdout.is_empty(), "{line}");
        if !line.contains("--json") {
            return BTreeSet::new();
        }
        let said: Value = serde_json::from_str(&stdout).unwrap();
        let findings = said["findings"].as_array().cloned().unwrap_or_default();
        findings.iter().map(|finding| finding["rule"].as_str().unwrap().to_owned()).collect()
    }

    /// It says why on standard error, and nothing else.
    fn cannot(&self, line: &str) {
        let (code, stdout, stderr) = self.run(line);
        assert_eq!((code, stdout.as_str()), (2, ""), "{line}: {stderr}");
        assert!(!stderr.is_empty(), "{line}");
    }

    fn run(&self, line: &str) -> (i32, String, String) {
        let line = line.replace("LOG", "DIR/coordinator/log").replace("KEY", "--authority DIR/authority.pub");
        let line = line.replace("DIR", self.dir.to_str().unwrap());
        let mut command = Command::new(env!("CARGO_BIN_EXE_audit-program"));
        let output = command.args(line.split_whitespace()).env("LC_ALL", "C").output().unwrap();
        let text = |bytes| String::from_utf8(bytes).unwrap();
        (output.status.code().unwrap(), text(output.stdout), text(output.stderr))
    }

    /// The first file of a party that begins so, `ROUND` being that of its only round.
    fn kept(&self, home: &str, file: &str) -> PathBuf {
        let round = first(&self.dir.join("matcher/rounds"), "");
        let round = round.file_name().unwrap().to_str().unwrap();
        let path = self.dir.join(home).join(file.replace("ROUND", round));
        first(path.parent().unwrap(), path.file_name().unwrap().to_str().unwrap())
    }
}

fn at(command: &str, home: &str) -> String {
    format!("{command} --log LOG KEY --round 2026-06 --json DIR/{home}")
}

/// What comes first in a folder, or below it, and begins so.
fn first(folder: &Path, start: &str) -> PathBuf {
    let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap());
    let fitting = entries.filter(|entry| entry.file_name().to_str().unwrap().starts_with(start));
    fitting.map(|entry| entry.path()).min().unwrap_or_else(|| panic!("no {start} in {}", folder.display()))
}

fn flipped(file: &Path, place: usize) -> Vec<u8> {
    let mut bytes = fs::read(file).unwrap();
    let place = place.min(bytes.len() - 1);
    bytes[place] ^= 1;
    bytes
}

/// Changes a file, or takes it away, while something is done.
fn with(path: &Path, changed: Option<&[u8]>, then: impl FnOnce()) {
    let genuine = fs::read(path).unwrap();
    match changed {
        Some(bytes) => fs::write(path, bytes).unwrap(),
        None => fs::remove_file(path).unwrap(),
    }
    then();
    fs::write(path, genuine).unwrap();
}
