//! Every file under a log's folder.

use std::{collections::BTreeMap, fs, io, path::Path};

/// Files by their path below the folder, with `/` between its parts.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LogFiles {
    /// Regular files and their bytes.
    pub files: BTreeMap<String, Vec<u8>>,
    /// Whatever is neither a regular file nor a folder with something in it: links, devices, empty folders, names that
    /// are not UTF-8.
    pub strange: Vec<String>,
}

/// Reads a log's folder.
///
/// # Errors
/// The file system's.
pub fn read(folder: &Path) -> io::Result<LogFiles> {
    let mut found = LogFiles::default();
    walk(folder, "", &mut found)?;
    Ok(found)
}

fn walk(folder: &Path, prefix: &str, found: &mut LogFiles) -> io::Result<()> {
    let mut empty = true;
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        empty = false;
        let name = format!("{prefix}{}", entry.file_name().to_string_lossy());
        let (kind, utf8) = (entry.file_type()?, entry.file_name().to_str().is_some());
        if kind.is_dir() && utf8 {
            walk(&entry.path(), &format!("{name}/"), found)?;
        } else if kind.is_file() && utf8 {
            found.files.insert(name, fs::read(entry.path())?);
        } else {
            found.strange.push(name);
        }
    }
    if empty && !prefix.is_empty() {
        found.strange.push(prefix.to_owned());
    }
    Ok(())
}
