//! Tiles and bundles: names, contents, growing a log, files that were altered.

use proptest::prelude::*;
use wugan_protocol::{
    hexes::Digest,
    limits::ENTRY_BYTES_MAX,
    log::{
        merkle::{Tree, leaf_hash},
        reader::{LogReader, ReadError},
        seen::SeenTree,
        tile::{Kind, NotATile, Tile, TileError, entries_from_bytes, hashes_from_bytes},
        writer::{AppendError, LogWriter},
    },
};

use super::{Folder, checkpoint, digest, entry, log_of};

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
    let inclusion = [
        "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
        "4f55f619d9215235778b2b9f17d6f4915b16171214d152381293669764de722e",
        "ccc29ae0e02a77b0f4578c1ac17493d79cf4262104929ac804f91fc4e7ac5af0",
    ]
    .map(digest);
    let reader = LogReader::new(log.tree(), &folder);
    assert_eq!(reader.inclusion_proof(2).unwrap(), inclusion);
    assert_eq!(reader.consistency_proof(3).unwrap(), [&[digest(leaves[2])], &inclusion[..]].concat());
    let root = digest("5aac771c899ac292e74bf1afe2e6e302f8b55883b2d1bf197b46a6bea6dabca9");
    let (old, proof) = (SeenTree::restore(Tree { size: 3, root }), reader.consistency_proof(3).unwrap());
    old.extend(&checkpoint(log.tree()), &proof).unwrap();
}

#[test]
fn paths_are_the_specifications() {
    let level = |level| Kind::Hashes(level);
    for (kind, index, width, path) in [
        (level(0), 0, 256, "tile/0/000"),
        (level(0), 67, 1, "tile/0/067.p/1"),
        (level(1), 1_067, 255, "tile/1/x001/067.p/255"),
        (level(0), 1_234_067, 256, "tile/0/x001/x234/067"),
        (level(0), 4_294_967_295, 256, "tile/0/x004/x294/x967/295"),
        (Kind::Entries, 1_000_000, 3, "tile/entries/x001/x000/000.p/3"),
    ] {
        let tile: Tile = path.parse().unwrap();
        assert_eq!((tile.kind(), tile.index(), tile.width(), &*tile.to_string()), (kind, index, width, path));
    }
}

#[test]
fn other_paths_are_refused() {
    for path in [
        "",
        "tile",
        "tile/0",
        "tile/0/",
        "tile/0/0",
        "tile/0/00",
        "tile/0/0000",
        "tile/0/1000",
        "tile/00/000",
        "tile/+0/000",
        "tile/-1/000",
        "tile/6/000",
        "tile/64/000",
        "tile/x/000",
        "tile/data/000",
        "tile/8/0/000",
        "tile/0/+00",
        "tile/0/x000/001",
        "tile/0/x001",
        "tile/0/001/001",
        "tile/0/xx001/001",
        "tile/0/x001/x001",
        "tile/0/x1/001",
        "tile/0/X001/001",
        "tile/0/x004/x294/x967/296",
        "tile/0/x999/x999/x999/x999/x999/x999/x999/999",
        "tile/0/000.p",
        "tile/0/000.p/",
        "tile/0/000.p/0",
        "tile/0/000.p/01",
        "tile/0/000.p/+1",
        "tile/0/000.p/256",
        "tile/0/000.p/1/1",
        "tile/0/000.p/1.p/1",
        "tile/0/000/",
        "/tile/0/000",
        "tile//000",
        "tile/0/000 ",
        "tile/entries/0/000",
        "tile/Entries/000",
        "Tile/0/000",
        "tile/0/..",
        "tile/0/\u{0660}00",
    ] {
        assert_eq!(path.parse::<Tile>(), Err(NotATile), "{path}");
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
    let tile: Tile = "tile/0/000.p/2".parse().unwrap();
    let hashes = [leaf_hash(b"a"), leaf_hash(b"b")];
    let bytes: Vec<u8> = hashes.iter().flat_map(|hash| hash.0).collect();
    assert_eq!(hashes_from_bytes(tile, &bytes).unwrap(), hashes);
    for length in [0, 1, 31, 32, 63, 65, 96] {
        let bytes = vec![0; length];
        assert_eq!(hashes_from_bytes(tile, &bytes), Err(TileError::Length { tile, bytes: length }));
    }
    let bundle: Tile = "tile/entries/000.p/2".parse().unwrap();
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
    assert_eq!(LogReader::new(log.tree(), &folder).entry(0).unwrap(), longest);
}

/// One byte of one file altered, cut or added: whatever the reader still answers is true.
#[test]
fn altered_files_never_give_a_wrong_answer() {
    let (tree, folder) = log_of(259);
    let reader = LogReader::new(tree, &folder);
    let indexes = [0, 3, 255, 256, 258];
    let truth: Vec<_> =
        indexes.map(|index| (reader.entry(index).unwrap(), reader.inclusion_proof(index).unwrap())).into();
    let consistency: Vec<_> = [1, 255, 256, 257].map(|old| reader.consistency_proof(old).unwrap()).into();
    let (mut noticed, mut mutants) = (0, 0);
    for (path, bytes) in &folder.0 {
        for place in (0..bytes.len()).step_by(61) {
            let mut altered = folder.clone();
            altered.0.get_mut(path).unwrap()[place] ^= 0x20;
            let reader = LogReader::new(tree, &altered);
            let mut failed = LogWriter::restore(tree, &altered).is_err();
            for (index, (entry, proof)) in indexes.into_iter().zip(&truth) {
                failed |= reader.entry(index).map(|found| assert_eq!(found, *entry)).is_err();
                failed |= reader.inclusion_proof(index).map(|found| assert_eq!(found, *proof)).is_err();
            }
            for (old, proof) in [1, 255, 256, 257].into_iter().zip(&consistency) {
                failed |= reader.consistency_proof(old).map(|found| assert_eq!(found, *proof)).is_err();
            }
            noticed += usize::from(failed);
            mutants += 1;
        }
        for length in [bytes.len() - 1, bytes.len() + 1] {
            let mut altered = folder.clone();
            altered.0.get_mut(path).unwrap().resize(length, 0);
            let reader = LogReader::new(tree, &altered);
            let answers = indexes.map(|index| reader.entry(index).and(reader.inclusion_proof(index)));
            assert!(answers.iter().any(Result::is_err), "{path}");
        }
    }
    // An altered entry is noticed only by whoever reads its bundle, which is read here at five places.
    assert!(mutants > 150 && noticed * 2 > mutants, "{noticed} of {mutants}");
}

#[test]
fn a_missing_file_is_named() {
    let (tree, folder) = log_of(3);
    let mut less = folder.clone();
    less.0.remove("tile/0/000.p/3").unwrap();
    let error = LogReader::new(tree, &less).inclusion_proof(0).unwrap_err();
    assert_eq!(error.to_string(), "tile/0/000.p/3 of the log cannot be read");
    assert!(matches!(error, ReadError::File { error, .. } if error.kind() == std::io::ErrorKind::NotFound));
    let Err(error) = LogWriter::restore(tree, &less) else { panic!("restored from less") };
    assert_eq!(error.to_string(), "tile/0/000.p/3 of the log cannot be read");
    let other = Tree { root: leaf_hash(b"other"), ..tree };
    assert!(matches!(LogWriter::restore(other, &folder), Err(ReadError::Altered { size: 3 })));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    /// However a log grows, and wherever its writer stops (before or after the files of a batch), it holds the same tree.
    #[test]
    fn growth_in_batches_equals_growth_at_once(
        batches in prop::collection::vec((1_u64..400, any::<bool>()), 1..6),
        delete_partial in any::<bool>(),
    ) {
        let (mut log, mut folder, mut checkpoint) = (LogWriter::empty(), Folder::default(), Tree::empty());
        for (batch, crash) in batches {
            if crash {
                // Files of a batch of other entries were written, its checkpoint was not.
                log.append(b"of a checkpoint that never was").unwrap();
                folder.write(&mut log);
                folder.0.retain(|path, _| path.parse::<Tile>().unwrap().fits(checkpoint.size));
                log = LogWriter::restore(checkpoint, &folder).unwrap();
            }
            for index in checkpoint.size..checkpoint.size + batch {
                prop_assert_eq!(log.append(&entry(index)), Ok(index));
            }
            folder.write(&mut log);
            checkpoint = log.tree();
            if delete_partial {
                let full = folder.clone();
                folder.0.retain(|path, _| path.split_once(".p/").is_none_or(|(path, _)| !full.0.contains_key(path)));
            }
        }
        let (tree, once) = log_of(checkpoint.size);
        prop_assert_eq!(checkpoint, tree);
        prop_assert!(once.0.keys().all(|path| folder.0.contains_key(path)));
        for (path, bytes) in &folder.0 {
            // What is there besides are partial tiles of earlier checkpoints, each the beginning of a later one.
            let tile: Tile = path.parse().unwrap();
            prop_assert!(tile.fits(tree.size));
            let last = Tile::holding(tile.kind(), tile.index() * 256, tree.size).unwrap();
            prop_assert!(once.0[&last.to_string()].starts_with(bytes), "{}", path);
        }
        let proof: Vec<Digest> = LogReader::new(tree, &folder).inclusion_proof(tree.size / 2).unwrap();
        prop_assert!(proof.len() <= 11);
    }

    /// Whatever a path says, reading it back says the same.
    #[test]
    fn paths_come_back(kind in 0_u8..7, item in 0_u64..(1 << 40), size in 0_u64..=(1 << 40)) {
        let kind = if kind == 6 { Kind::Entries } else { Kind::Hashes(kind) };
        if let Some(tile) = Tile::holding(kind, item, size) {
            prop_assert_eq!(tile.to_string().parse(), Ok(tile));
            prop_assert_eq!(tile.full().to_string().parse(), Ok(tile.full()));
        }
    }
}
