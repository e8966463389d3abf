//! What a department keeps of its disclosures: a table of answers, and the notes that say why it asked. Here only.

use std::{
    fs,
    io::{self, Write},
    path::{Path, PathBuf},
};

use wugan_keys::store::NewFile;
use wugan_protocol::{disclosure::note_digest, hexes::Digest, person::PersonId};
use wugan_transport::rounds::if_there;

/// The answer to a request.
pub struct Told<'a> {
    /// Whom it is about.
    pub person: PersonId,
    /// The matter's id.
    pub matter: &'a str,
    /// Ids of the channels whose records raised the suspicion.
    pub channels: &'a [&'a str],
    /// Hash of the requesting entry.
    pub request: Digest,
}

/// Adds an answer to `disclosures/<month>.csv`, unless it stands there. Whatever else does is left as it is.
///
/// # Errors
/// Those of the disk.
pub fn write(department: &Path, month: &str, told: &Told<'_>) -> io::Result<PathBuf> {
    let path = folder(department)?.join(format!("{month}.csv"));
    let before = if_there(fs::read(&path))?;
    let request = told.request.to_string();
    let stands = |text: &Vec<u8>| text.windows(request.len()).any(|part| part == request.as_bytes());
    if before.as_ref().is_some_and(stands) {
        return Ok(path);
    }
    let mut file = NewFile::create(&path).map_err(io::Error::other)?;
    file.write_all(before.as_deref().unwrap_or(HEADER))?;
    if before.is_some_and(|text| text.last().is_some_and(|last| *last != b'\n')) {
        file.write_all(b"\n")?;
    }
    let mut table = csv::Writer::from_writer(file);
    for channel in told.channels {
        table.write_record([&told.person.to_canonical_string(), told.matter, channel, &request])?;
    }
    let file = table.into_inner().map_err(|error| io::Error::other(error.to_string()))?;
    file.commit().map_err(io::Error::other)?;
    Ok(path)
}

/// Keeps a note as `disclosures/<digest>.note`, after a line with its salt, and returns its digest, which the log will show.
///
/// # Errors
/// Those of the disk.
pub fn keep_note(department: &Path, salt: &[u8; 32], text: &str) -> io::Result<Digest> {
    let digest = note_digest(salt, text);
    let path = folder(department)?.join(format!("{digest}.note"));
    let mut file = NewFile::create(&path).map_err(io::Error::other)?;
    let salt: String = salt.iter().map(|byte| format!("{byte:02x}")).collect();
    write!(file, "{salt}\n{text}")?;
    file.commit().map_err(io::Error::other)?;
    Ok(digest)
}

fn folder(department: &Path) -> io::Result<PathBuf> {
    let folder = department.join("disclosures");
    fs::create_dir_all(&folder)?;
    Ok(folder)
}

const HEADER: &[u8] = b"person,matter,channel,request\n";

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::os::unix::fs::PermissionsExt;

    use wugan_protocol::hexes::{Hex, sha256};

    use super::*;

    fn told(request: u8) -> Told<'static> {
        let (person, _) = PersonId::parse("11010519491231002X").unwrap();
        Told { person, matter: "pension", channels: &["deaths", "a, b"], request: Hex([request; 32]) }
    }

    #[test]
    fn an_answer_is_added_once_and_nothing_else_changes() {
        let folder = tempfile::tempdir().unwrap();
        let path = write(folder.path(), "2026-11", &told(1)).unwrap();
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        let first = fs::read_to_string(&path).unwrap();
        let lines: Vec<&str> = first.lines().collect();
        assert_eq!(lines[0], "person,matter,channel,request");
        assert!(lines[1].ends_with(&format!(",pension,deaths,{}", "01".repeat(32))), "{first}");
        assert!(lines[2].ends_with(&format!(",pension,\"a, b\",{}", "01".repeat(32))) && lines.len() == 3);
        write(folder.path(), "2026-11", &told(1)).unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), first);
        // Somebody added a remark in an editor that ends no line.
        fs::write(&path, format!("{first}a remark")).unwrap();
        write(folder.path(), "2026-11", &told(2)).unwrap();
        let second = fs::read_to_string(&path).unwrap();
        assert!(second.starts_with(&format!("{first}a remark\n")) && second.lines().count() == 6, "{second}");
    }

    #[test]
    fn a_note_opens_its_digest() {
        let folder = tempfile::tempdir().unwrap();
        let digest = keep_note(folder.path(), &[0xab; 32], "she came\nin person").unwrap();
        let path = folder.path().join(format!("disclosures/{digest}.note"));
        let kept = fs::read_to_string(&path).unwrap();
        let (salt, text) = kept.split_once('\n').unwrap();
        let opened = [salt.parse::<Hex<32>>().unwrap().0.as_slice(), text.as_bytes()].concat();
        assert_eq!((text, sha256(&opened)), ("she came\nin person", digest));
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    }
}
