//! `entries.jsonl`: the log as a plain file, one entry a line. The database has every entry first, so a file that a
//! crash left behind is completed from it at start.

use std::{
    fs::{File, OpenOptions},
    io::{self, BufRead, BufReader, Seek, Write},
    path::Path,
};

use wugan_transport::shell::LogSink;

/// Opens the file, brings it level with `lines`, and gives what appends to it.
///
/// # Errors
/// The file system's, or a file that holds something else than these lines.
pub(crate) fn open(path: &Path, lines: &[Vec<u8>]) -> io::Result<LogSink> {
    let mut file = OpenOptions::new().read(true).append(true).create(true).open(path)?;
    let (count, bytes) = whole_lines(&file, lines)?;
    // Half a line, cut by a crash, is written again as a whole.
    file.set_len(bytes)?;
    file.seek(io::SeekFrom::End(0))?;
    let missing: Vec<&[u8]> = lines[count..].iter().map(Vec::as_slice).collect();
    append(&mut file, &missing)?;
    let mut next = lines.len() as u64;
    Ok(Box::new(move |first, lines| {
        if first != next {
            return Err(io::Error::other("entries out of order"));
        }
        next += lines.len() as u64;
        append(&mut file, lines)
    }))
}

/// How many of `lines` the file holds, and in how many bytes.
fn whole_lines(file: &File, lines: &[Vec<u8>]) -> io::Result<(usize, u64)> {
    let mut reader = BufReader::new(file);
    let (mut count, mut bytes, mut line) = (0, 0, Vec::new());
    loop {
        line.clear();
        reader.read_until(b'\n', &mut line)?;
        if line.pop() != Some(b'\n') {
            return Ok((count, bytes));
        }
        if lines.get(count) != Some(&line) {
            return Err(io::Error::other(format!("line {} differs from the database", count + 1)));
        }
        count += 1;
        bytes += line.len() as u64 + 1;
    }
}

fn append(file: &mut File, lines: &[&[u8]]) -> io::Result<()> {
    let mut bytes = Vec::new();
    for line in lines {
        bytes.extend_from_slice(line);
        bytes.push(b'\n');
    }
    file.write_all(&bytes)?;
    file.sync_data()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_file_cut_anywhere_is_completed_and_a_foreign_one_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("entries.jsonl");
        let lines = [b"one".to_vec(), b"two".to_vec(), b"three".to_vec()];
        let whole = b"one\ntwo\nthree\n";
        for cut in 0..=whole.len() {
            std::fs::write(&path, &whole[..cut]).unwrap();
            let mut sink = open(&path, &lines).unwrap();
            sink(3, &[b"four"]).unwrap();
            sink(3, &[b"again"]).unwrap_err();
            assert_eq!(std::fs::read(&path).unwrap(), b"one\ntwo\nthree\nfour\n");
        }
        std::fs::write(&path, b"one\nother\n").unwrap();
        assert!(open(&path, &lines).is_err());
    }
}
