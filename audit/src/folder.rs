//! Every file under a log's folder.

use std::{
    collections::BTreeMap,
    fs::{self, File},
    io::{self, Read as _},
    path::{Path, PathBuf},
};

use wugan_protocol::{
    limits::{ENTRY_BYTES_MAX, NOTE_BYTES_MAX},
    log::tile::{Kind, TILE_WIDTH, Tile},
    texts,
};

/// Files by their path below the folder, with `/` between its parts.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LogFiles {
    /// Regular files and their bytes.
    pub files: BTreeMap<String, Vec<u8>>,
    /// Whatever is neither a regular file nor a folder with something in it: links, devices, empty folders, names that
    /// are not UTF-8.
    pub strange: Vec<String>,
    /// Files that are longer than any file of a log in that place can be: they were not read.
    pub too_long: Vec<String>,
}

texts! {
    /// What cannot be read.
    #[derive(Debug, thiserror::Error)]
    pub enum Unread {
        At { path: PathBuf, error: io::Error }
            "{path} cannot be read: {error}"
            "{path} 无法读取：{error}";
    }
}

/// Reads a log's folder.
///
/// # Errors
/// The file system's, with the file or folder.
pub fn read(folder: &Path) -> Result<LogFiles, Unread> {
    let mut found = LogFiles::default();
    walk(folder, "", &mut found)?;
    Ok(found)
}

/// The checkpoint as it is now, if it can be read.
pub fn checkpoint(folder: &Path) -> Option<Vec<u8>> {
    read_bounded(&folder.join(CHECKPOINT), NOTE_BYTES_MAX as u64).ok().flatten()
}

fn walk(folder: &Path, prefix: &str, found: &mut LogFiles) -> Result<(), Unread> {
    let unread = |path: &Path, error| Unread::At { path: path.to_owned(), error };
    let entries = match fs::read_dir(folder) {
        // Whoever writes a log deletes files that wider ones replace.
        Err(error) if error.kind() == io::ErrorKind::NotFound && !prefix.is_empty() => return Ok(()),
        entries => entries.map_err(|error| unread(folder, error))?,
    };
    let mut empty = true;
    for entry in entries {
        let entry = entry.map_err(|error| unread(folder, error))?;
        empty = false;
        let (path, name) = (entry.path(), format!("{prefix}{}", entry.file_name().to_string_lossy()));
        let kind = entry.file_type().map_err(|error| unread(&path, error))?;
        let utf8 = entry.file_name().to_str().is_some();
        if kind.is_dir() && utf8 {
            walk(&path, &format!("{name}/"), found)?;
        } else if kind.is_file() && utf8 {
            match read_bounded(&path, bytes_max(&name)) {
                Ok(Some(bytes)) => drop(found.files.insert(name, bytes)),
                Ok(None) => found.too_long.push(name),
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => return Err(unread(&path, error)),
            }
        } else {
            found.strange.push(name);
        }
    }
    if empty && !prefix.is_empty() {
        found.strange.push(prefix.to_owned());
    }
    Ok(())
}

/// A file's bytes; none if it has more than so many.
fn read_bounded(path: &Path, bytes_max: u64) -> io::Result<Option<Vec<u8>>> {
    let file = File::open(path)?;
    if file.metadata()?.len() > bytes_max {
        return Ok(None);
    }
    let mut bytes = Vec::new();
    // It may grow while it is read.
    file.take(bytes_max + 1).read_to_end(&mut bytes)?;
    Ok((bytes.len() as u64 <= bytes_max).then_some(bytes))
}

/// The longest file that a log can have in a place.
fn bytes_max(name: &str) -> u64 {
    match name.parse::<Tile>().map(Tile::kind) {
        Ok(Kind::Hashes(_)) => TILE_WIDTH * 32,
        Ok(Kind::Entries) => TILE_WIDTH * (2 + ENTRY_BYTES_MAX as u64),
        Err(_) if [CHECKPOINT, COSIGNED].contains(&name) => NOTE_BYTES_MAX as u64,
        Err(_) => OTHER_BYTES_MAX,
    }
}

/// Bytes of a catalogue, whose channels, matters and rules are bounded; also of whatever else lies in the folder.
const OTHER_BYTES_MAX: u64 = 16 << 20;

/// The file of the log's signed tree.
pub const CHECKPOINT: &str = "checkpoint";
pub(crate) const COSIGNED: &str = "cosigned";
/// The policy that the log's first manifest names.
pub const CATALOGUE: &str = "catalogue.toml";

/// The file of the policy that a later version of the manifest names.
pub fn catalogue(version: u32) -> String {
    format!("catalogue.{version}.toml")
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::env;

    use super::*;

    #[test]
    fn no_file_is_read_that_is_longer_than_a_log_can_have() {
        let folder = env::temp_dir().join(format!("wugan-audit-{}", std::process::id()));
        fs::create_dir_all(folder.join("tile/0")).unwrap();
        fs::write(folder.join("catalogue.toml"), b"policy").unwrap();
        for (name, bytes) in [("tile/0/000", 8_193), ("extra", 6 << 30), ("tile/0/001", 8_192)] {
            File::create(folder.join(name)).unwrap().set_len(bytes).unwrap();
        }
        let mut read = read(&folder).unwrap();
        fs::remove_dir_all(&folder).unwrap();
        read.too_long.sort_unstable();
        assert_eq!(read.too_long, ["extra", "tile/0/000"]);
        assert_eq!(read.files.keys().collect::<Vec<_>>(), ["catalogue.toml", "tile/0/001"]);
    }

    #[test]
    fn what_cannot_be_read_is_named() {
        let error = read(Path::new("/nowhere/log")).unwrap_err().to_string();
        assert!(error.starts_with("/nowhere/log cannot be read: "), "{error}");
    }
}
