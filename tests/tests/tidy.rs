//! The layout rules of ARCHITECTURE.md, read from `cargo metadata` and the sources.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
    process::Command,
};

/// What each crate may depend on inside the workspace.
const ALLOWED: [(&str, &[&str]); 10] = [
    ("wugan-protocol", &[]),
    ("wugan-keys", &["wugan-protocol"]),
    ("wugan-transport", &["wugan-protocol", "wugan-keys"]),
    ("wugan-node", &["wugan-protocol", "wugan-keys", "wugan-transport"]),
    ("wugan-matcher", &["wugan-protocol", "wugan-keys", "wugan-transport"]),
    ("wugan-aggregator", &["wugan-protocol", "wugan-keys", "wugan-transport"]),
    ("wugan-coordinator", &["wugan-protocol", "wugan-keys", "wugan-transport"]),
    ("wugan-audit", &["wugan-protocol", "wugan-keys"]),
    (
        "wugan-demo",
        &[
            "wugan-protocol",
            "wugan-keys",
            "wugan-transport",
            "wugan-node",
            "wugan-matcher",
            "wugan-aggregator",
            "wugan-coordinator",
        ],
    ),
    (
        "wugan-tests",
        &[
            "wugan-protocol",
            "wugan-keys",
            "wugan-transport",
            "wugan-node",
            "wugan-matcher",
            "wugan-aggregator",
            "wugan-coordinator",
            "wugan-audit",
            "wugan-demo",
        ],
    ),
];

/// Words that must not stand in the sources of a folder, outside its tests.
const FORBIDDEN: [(&str, &[&str]); 6] = [
    (
        "protocol/src",
        &[
            "tokio::",
            "quinn::",
            "clap::",
            "anyhow::",
            "std::fs",
            "std::net",
            "SystemTime",
            "Instant::now",
            "SystemRandom",
            "SysRng",
        ],
    ),
    ("matcher/src", &["PersonId", "person::", "csv::"]),
    ("aggregator/src", &["PersonId", "person::", "tag::", "Tag", "TagContext"]),
    ("coordinator/src", &["PersonId", "person::", "tag::", "TagContext"]),
    ("keys/src", &["quinn", "rustls"]),
    ("node/src", &["quinn", "rustls"]),
];

#[test]
fn dependencies_go_one_way() {
    let metadata = Command::new(env!("CARGO"))
        .args(["metadata", "--format-version", "1", "--no-deps", "--offline"])
        .current_dir(root())
        .output()
        .unwrap();
    let metadata: serde_json::Value = serde_json::from_slice(&metadata.stdout).unwrap();
    let allowed: BTreeMap<&str, &[&str]> = ALLOWED.into_iter().collect();
    let packages = metadata["packages"].as_array().unwrap();
    assert_eq!(packages.len(), allowed.len(), "every crate of the workspace has its rule here");
    for package in packages {
        let name = package["name"].as_str().unwrap();
        for dependency in package["dependencies"].as_array().unwrap() {
            let other = dependency["name"].as_str().unwrap();
            let inside = other.starts_with("wugan-") && other != name;
            assert!(!inside || allowed[name].contains(&other), "{name} must not depend on {other}");
            let transport_only = ["quinn", "rustls"].contains(&other) && name != "wugan-transport";
            assert!(!transport_only, "{name} names {other}, which only wugan-transport may");
        }
    }
}

#[test]
fn crates_do_not_name_what_they_must_not_see() {
    for (folder, words) in FORBIDDEN {
        for (path, text) in sources(folder).into_iter().filter(|(path, _)| !is_test(path)) {
            let text = text.split("#[cfg(test)]").next().unwrap();
            for (number, line) in text.lines().enumerate().filter(|(_, line)| !line.trim_start().starts_with("//")) {
                for word in words {
                    let named = names(line, word);
                    assert!(!named, "{}:{} names {word}", path.display(), number + 1);
                }
            }
        }
    }
}

#[test]
fn files_stay_small_and_unsafe_stays_out() {
    for folder in
        ["protocol", "keys", "transport", "node", "matcher", "aggregator", "coordinator", "audit", "deploy/demo"]
    {
        for (path, text) in sources(&format!("{folder}/src")) {
            let code = text.split("#[cfg(test)]").next().unwrap();
            let lines = code.lines().count();
            assert!(lines <= 600 || is_test(&path), "{} has {lines} lines: split it by purpose", path.display());
            let unsafe_word = ["un", "safe "].concat();
            assert!(!code.contains(&unsafe_word), "{} has {unsafe_word}code", path.display());
        }
    }
}

/// Modules that are compiled for tests only.
fn is_test(path: &Path) -> bool {
    let inside = path.strip_prefix(root()).unwrap().iter().skip(1);
    inside.into_iter().any(|part| ["tests", "tests.rs", "testing", "testing.rs"].iter().any(|name| part == *name))
}

/// Whether a line names a word, not merely a longer one that contains it.
fn names(line: &str, word: &str) -> bool {
    line.match_indices(word).any(|(start, _)| {
        let boundary = |c: Option<char>| c.is_none_or(|c| !c.is_alphanumeric() && c != '_');
        let after = line[start + word.len()..].chars().next();
        boundary(line[..start].chars().next_back()) && (word.ends_with(':') || boundary(after))
    })
}

fn sources(folder: &str) -> Vec<(PathBuf, String)> {
    let mut found = Vec::new();
    let mut folders = BTreeSet::from([root().join(folder)]);
    while let Some(folder) = folders.pop_first() {
        for entry in fs::read_dir(&folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.insert(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let text = fs::read_to_string(&path).unwrap();
                found.push((path, text));
            }
        }
    }
    assert!(!found.is_empty(), "{folder} has sources");
    found
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_path_buf()
}
