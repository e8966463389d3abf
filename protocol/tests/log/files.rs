//! Tiles and bundles: names, contents, growing a log.

use proptest::prelude::*;
use wugan_protocol::{
    limits::ENTRY_BYTES_MAX,
    log::{
        merkle::Tree,
        tile::{Kind, Tile, TileError, entries_from_bytes},
        writer::{AppendError, LogWriter},
    },
};

use super::{Folder, digest, entry, log_of};

/// Made with Go's `sumdb/tlog`; the bundle's layout is the specification's.
#[test]
fn fixed_vector_of_a_folder() {
    let (mut log, mut folder) = (LogWriter::empty(), Folder::default());
    for entry in ["one", "two", "three", "", "five"] {
        log.append(entry.as_bytes()).unwrap();
    }
    folder.write(&mut log);
    let leaves = [
        "d0d7360ab79f58ab1e1e3fe64ad77e2ea0bc07e36b5f46ed2223edd9298df9e9",
        "ab1ab7f07c7c8fe0eff4ba6faa53c7e4412e91a599153e8aa4e01beece5b7825",
        "671f146c5e471e8a1a83a3c214ce4ba907b8f3a5888d14cc8cd3ce75bb12ef94",
        "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
        "ccc29ae0e02a77b0f4578c1ac17493d79cf4262104929ac804f91fc4e7ac5af0",
    ];
    let bundle = "00036f6e65000374776f000574687265650000000466697665";
    let expected = [("tile/0/000.p/5", leaves.concat()), ("tile/entries/000.p/5", bundle.to_owned())];
    let expected = expected.map(|(path, bytes)| (path.to_owned(), hex::decode(bytes).unwrap()));
    assert_eq!(folder, Folder(expected.into()));
    let root = digest("5d74ad22d16feb7e0c30aa675fb0a5c1ae7f325e82a53a0f3322a8c379f18938");
    assert_eq!(log.tree(), Tree { size: 5, root });
}

#[test]
fn paths_are_the_specifications() {
    let level = |level| Kind::Hashes(level);
    for (kind, item, size, path) in [
        (level(0), 255, 256, "tile/0/000"),
        (level(0), 17_152, 17_153, "tile/0/067.p/1"),
        (level(1), 273_152, (273_152 + 255) << 8, "tile/1/x001/067.p/255"),
        (level(0), 1_234_067 << 8, 1 << 40, "tile/0/x001/x234/067"),
        (level(0), (1 << 40) - 1, 1 << 40, "tile/0/x004/x294/x967/295"),
        (level(5), 0, 1 << 40, "tile/5/000.p/1"),
        (Kind::Entries, 256_000_000, 256_000_003, "tile/entries/x001/x000/000.p/3"),
    ] {
        let tile = Tile::holding(kind, item, size).unwrap();
        assert_eq!((tile.kind(), &*tile.to_string()), (kind, path));
        assert_eq!(tile.full().to_string(), path.split(".p/").next().unwrap());
    }
    for (kind, item, size) in [(level(0), 5, 5), (level(1), 0, 255), (level(6), 0, 1 << 40), (Kind::Entries, 0, 0)] {
        assert_eq!(Tile::holding(kind, item, size), None);
    }
}

/// The specification's example of 70,000 entries, and where a tile fills exactly.
#[test]
fn a_tree_has_the_files_that_the_specification_says() {
    let paths = |size| Tile::changed(0, size).map(|tile| tile.to_string()).collect::<Vec<_>>();
    let files = paths(70_000);
    let full = |kind: &str| files.iter().filter(|path| path.starts_with(kind) && !path.contains(".p/")).count();
    assert_eq!((full("tile/entries/"), full("tile/0/"), full("tile/1/"), full("tile/2/")), (273, 273, 1, 0));
    let partial: Vec<_> = files.iter().filter(|path| path.contains(".p/")).collect();
    assert_eq!(partial, ["tile/entries/273.p/112", "tile/0/273.p/112", "tile/1/001.p/17", "tile/2/000.p/1"]);
    assert_eq!(paths(0), [""; 0]);
    assert_eq!(paths(1), ["tile/entries/000.p/1", "tile/0/000.p/1"]);
    assert_eq!(paths(256), ["tile/entries/000", "tile/0/000", "tile/1/000.p/1"]);
    assert_eq!(Tile::changed(256, 256).count(), 0);
    let changed: Vec<_> = Tile::changed(255, 513).map(|tile| tile.to_string()).collect();
    let entries = ["tile/entries/000", "tile/entries/001", "tile/entries/002.p/1"];
    let hashes = ["tile/0/000", "tile/0/001", "tile/0/002.p/1", "tile/1/000.p/2"];
    assert_eq!(changed, [&entries[..], &hashes].concat());
}

#[test]
fn contents_of_another_length_are_refused() {
    let bundle = Tile::holding(Kind::Entries, 0, 2).unwrap();
    assert_eq!(entries_from_bytes(bundle, b"\0\x01a\0\0").unwrap(), [&b"a"[..], b""]);
    for bad in [
        &b""[..],
        b"\0",
        b"\0\x01",
        b"\0\x01a",
        b"\0\x01a\0",
        b"\0\x01a\0\x01",
        b"\0\x01a\0\0\0",
        b"\0\x01a\0\0\0\0",
        b"\x01\0a\0\0",
        b"\xff\xffa\0\0",
    ] {
        assert_eq!(entries_from_bytes(bundle, bad), Err(TileError::Entries { tile: bundle }), "{bad:?}");
    }
}

#[test]
fn an_entry_that_no_bundle_can_carry_is_refused() {
    let (mut log, mut folder) = (LogWriter::empty(), Folder::default());
    let longest = vec![7; ENTRY_BYTES_MAX];
    assert_eq!(log.append(&longest), Ok(0));
    assert_eq!(log.append(&[&longest[..], b"x"].concat()), Err(AppendError::TooLong(ENTRY_BYTES_MAX + 1)));
    folder.write(&mut log);
    let bundle = Tile::holding(Kind::Entries, 0, 1).unwrap();
    assert_eq!(entries_from_bytes(bundle, &folder.0[&bundle.to_string()]).unwrap(), [&longest[..]]);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    /// However a log grows, it has the same files; what is there besides are partial tiles of earlier trees, each the
    /// beginning of the one that replaced it.
    #[test]
    fn growth_in_batches_equals_growth_at_once(batches in prop::collection::vec(1_u64..400, 1..6)) {
        let (mut log, mut folder) = (LogWriter::empty(), Folder::default());
        for batch in batches {
            for _ in 0..batch {
                let index = log.tree().size;
                prop_assert_eq!(log.append(&entry(index)), Ok(index));
            }
            folder.write(&mut log);
        }
        let (tree, mut once) = log_of(log.tree().size);
        prop_assert_eq!(log.tree(), tree);
        for (path, bytes) in &folder.0 {
            if once.0.remove(path).is_some_and(|whole| whole == *bytes) {
                continue;
            }
            let full = path.split_once(".p/").unwrap().0;
            let later = folder.0.iter().filter(|(other, _)| other.starts_with(full)).map(|(_, bytes)| bytes);
            prop_assert!(later.max_by_key(|bytes| bytes.len()).unwrap().starts_with(bytes), "{}", path);
        }
        prop_assert!(once.0.is_empty());
    }
}
