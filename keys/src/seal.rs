//! Sealed bulk data: caches, seeds and spills, in chunks, so that they stream.
//!
//! A sealed stream is [`MAGIC`], a random salt of 32 bytes, then chunks. A chunk is up to 65,536 bytes encrypted by
//! AES-256-GCM and its tag of 16; all chunks but the last are full, and the last never is (it may be empty), so that
//! the length alone tells which it is. The file key is HKDF-SHA256 of the label's key under the salt; the nonce of a
//! chunk is its number (11 bytes, big-endian) and 1 for the last chunk or 0; the label is associated data. This is the
//! STREAM construction (Hoang, Reyhanitabar, Rogaway, Vizár 2015), as in age.
//!
//! A reader releases a chunk only after its tag has been checked, and reports the end only after the last chunk's.

use std::io::{self, BufRead, Read, Write};

use ring::{
    aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey},
    hkdf::{HKDF_SHA256, Salt},
    rand::{SecureRandom, SystemRandom},
};
use zeroize::Zeroizing;

/// The key of one label (one kind of data) of a storage key: [`StorageKey::bulk_key`](crate::StorageKey::bulk_key).
#[derive(Clone)]
pub struct BulkKey {
    key: Zeroizing<[u8; 32]>,
    label: String,
}

impl BulkKey {
    pub(crate) fn new(key: Zeroizing<[u8; 32]>, label: &str) -> BulkKey {
        BulkKey { key, label: label.to_owned() }
    }

    fn chunks(&self, salt: &[u8; SALT_BYTES]) -> io::Result<Chunks> {
        let key = Salt::new(HKDF_SHA256, salt).extract(&*self.key);
        let key =
            key.expand(&[FILE_KEY_INFO], &AES_256_GCM).map_err(|_| io::Error::other("HKDF refused the length"))?;
        Ok(Chunks { key: LessSafeKey::new(UnboundKey::from(key)), label: self.label.clone().into_bytes(), next: 0 })
    }
}

impl std::fmt::Debug for BulkKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("BulkKey").field("label", &self.label).finish_non_exhaustive()
    }
}

/// Seals what is written to it. Only [`Self::finish`] makes the stream whole.
pub struct SealedWriter<W: Write> {
    inner: W,
    chunks: Chunks,
    buffer: Zeroizing<Vec<u8>>,
}

impl<W: Write> SealedWriter<W> {
    /// Begins a stream with a fresh salt.
    ///
    /// # Errors
    /// Of `inner`, or when the system gives no randomness.
    pub fn new(inner: W, key: &BulkKey) -> io::Result<Self> {
        let mut salt = [0; SALT_BYTES];
        SystemRandom::new().fill(&mut salt).map_err(|_| io::Error::other("the system gives no randomness"))?;
        Self::with_salt(inner, key, &salt)
    }

    /// Seals the last chunk, flushes, and gives `inner` back (to sync and rename its file).
    ///
    /// # Errors
    /// Of `inner`.
    pub fn finish(mut self) -> io::Result<W> {
        self.emit(true)?;
        self.inner.flush()?;
        Ok(self.inner)
    }

    fn with_salt(mut inner: W, key: &BulkKey, salt: &[u8; SALT_BYTES]) -> io::Result<Self> {
        inner.write_all(MAGIC)?;
        inner.write_all(salt)?;
        let buffer = Zeroizing::new(Vec::with_capacity(SEALED_CHUNK_BYTES));
        Ok(SealedWriter { inner, chunks: key.chunks(salt)?, buffer })
    }

    fn emit(&mut self, last: bool) -> io::Result<()> {
        self.chunks.seal(&mut self.buffer, last)?;
        let written = self.inner.write_all(&self.buffer);
        self.buffer.clear();
        written
    }
}

impl<W: Write> Write for SealedWriter<W> {
    fn write(&mut self, data: &[u8]) -> io::Result<usize> {
        let taken = data.len().min(CHUNK_BYTES - self.buffer.len());
        self.buffer.extend_from_slice(&data[..taken]);
        if self.buffer.len() == CHUNK_BYTES {
            self.emit(false)?;
        }
        Ok(taken)
    }

    /// Flushes the chunks that are full; the rest waits for [`SealedWriter::finish`].
    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}

/// Opens a sealed stream. Its `io::Error`s of kind `InvalidData` carry a [`SealError`].
pub struct SealedReader<R: Read> {
    inner: R,
    chunks: Chunks,
    buffer: Zeroizing<Vec<u8>>,
    /// What of `buffer` is checked and not read yet.
    ready: std::ops::Range<usize>,
    state: State,
}

impl<R: Read> SealedReader<R> {
    /// Reads the head of a stream.
    ///
    /// # Errors
    /// Of `inner`; [`SealError::NotSealed`].
    pub fn new(mut inner: R, key: &BulkKey) -> io::Result<Self> {
        let mut head = [0; MAGIC.len() + SALT_BYTES];
        if read_full(&mut inner, &mut head)? < head.len() || !head.starts_with(MAGIC) {
            return Err(SealError::NotSealed.into());
        }
        let mut salt = [0; SALT_BYTES];
        salt.copy_from_slice(&head[MAGIC.len()..]);
        let buffer = Zeroizing::new(vec![0; SEALED_CHUNK_BYTES]);
        Ok(SealedReader { inner, chunks: key.chunks(&salt)?, buffer, ready: 0..0, state: State::More })
    }

    fn next_chunk(&mut self) -> io::Result<()> {
        let length = read_full(&mut self.inner, &mut self.buffer)?;
        let last = length < SEALED_CHUNK_BYTES;
        let opened = self.chunks.open(&mut self.buffer[..length], last);
        self.state = match (&opened, last) {
            (Err(_), _) => State::Failed,
            (Ok(_), true) => State::Ended,
            (Ok(_), false) => State::More,
        };
        self.ready = 0..opened?;
        Ok(())
    }
}

impl<R: Read> BufRead for SealedReader<R> {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        if self.ready.is_empty() {
            match self.state {
                State::More => self.next_chunk()?,
                State::Ended => {}
                // Nothing behind a forged chunk is ever released, whatever the caller does with its error.
                State::Failed => return Err(SealError::NotAuthentic.into()),
            }
        }
        Ok(&self.buffer[self.ready.clone()])
    }

    fn consume(&mut self, amount: usize) {
        self.ready.start = self.ready.end.min(self.ready.start + amount);
    }
}

impl<R: Read> Read for SealedReader<R> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        let ready = self.fill_buf()?;
        let length = ready.len().min(out.len());
        out[..length].copy_from_slice(&ready[..length]);
        self.consume(length);
        Ok(length)
    }
}

/// Why a sealed stream cannot be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SealError {
    /// It does not begin like one.
    #[error("not sealed data: the head is missing")]
    NotSealed,
    /// It ends before its last chunk.
    #[error("sealed data is truncated: make it again from its source")]
    Truncated,
    /// Another key or label, changed, reordered, or cut inside a chunk.
    #[error("sealed data was changed, truncated, or sealed under another storage key or for another purpose")]
    NotAuthentic,
}

impl From<SealError> for io::Error {
    fn from(error: SealError) -> Self {
        io::Error::new(io::ErrorKind::InvalidData, error)
    }
}

/// What a sealed stream begins with.
pub const MAGIC: &[u8; 16] = b"wugan/1/sealed\n\0";

const SALT_BYTES: usize = 32;
const TAG_BYTES: usize = 16;
const CHUNK_BYTES: usize = 64 << 10;
const SEALED_CHUNK_BYTES: usize = CHUNK_BYTES + TAG_BYTES;
const FILE_KEY_INFO: &[u8] = b"wugan/1/sealed file key";

enum State {
    More,
    Ended,
    Failed,
}

/// The cipher of one stream, at its next chunk.
struct Chunks {
    key: LessSafeKey,
    label: Vec<u8>,
    next: u64,
}

impl Chunks {
    /// Encrypts a chunk and appends its tag.
    fn seal(&mut self, chunk: &mut Vec<u8>, last: bool) -> io::Result<()> {
        let nonce = self.nonce(last)?;
        let sealed = self.key.seal_in_place_append_tag(nonce, Aad::from(&self.label), chunk);
        sealed.map_err(|_| io::Error::other("AES-GCM refused a chunk"))
    }

    /// Checks and decrypts a chunk with its tag; returns the length of its plain text.
    fn open(&mut self, chunk: &mut [u8], last: bool) -> io::Result<usize> {
        if chunk.len() < TAG_BYTES {
            return Err(SealError::Truncated.into());
        }
        let nonce = self.nonce(last)?;
        let opened = self.key.open_in_place(nonce, Aad::from(&self.label), chunk);
        opened.map(|plain| plain.len()).map_err(|_| SealError::NotAuthentic.into())
    }

    fn nonce(&mut self, last: bool) -> io::Result<Nonce> {
        let mut nonce = [0; NONCE_LEN];
        nonce[3..11].copy_from_slice(&self.next.to_be_bytes());
        nonce[11] = u8::from(last);
        self.next = self.next.checked_add(1).ok_or_else(|| io::Error::other("too many chunks"))?;
        Ok(Nonce::assume_unique_for_key(nonce))
    }
}

/// Fills `buffer` as far as the stream goes.
fn read_full(inner: &mut impl Read, buffer: &mut [u8]) -> io::Result<usize> {
    let mut length = 0;
    while length < buffer.len() {
        match inner.read(&mut buffer[length..]) {
            Ok(0) => break,
            Ok(more) => length += more,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(length)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::*;

    fn key(label: &str) -> BulkKey {
        BulkKey::new(Zeroizing::new([7; 32]), label)
    }

    fn plain(length: usize) -> Vec<u8> {
        (0..length).map(|i| (i * 31 % 251) as u8).collect()
    }

    fn seal(data: &[u8]) -> Vec<u8> {
        let mut writer = SealedWriter::new(Vec::new(), &key("cache")).unwrap();
        writer.write_all(data).unwrap();
        writer.finish().unwrap()
    }

    /// What is released before an error, and the error.
    fn open(sealed: &[u8], key: &BulkKey) -> (Vec<u8>, Option<SealError>) {
        let mut out = Vec::new();
        let read = SealedReader::new(sealed, key).and_then(|mut reader| reader.read_to_end(&mut out));
        let error = read.err().map(|e| *e.get_ref().and_then(|e| e.downcast_ref::<SealError>()).expect("SealError"));
        (out, error)
    }

    const HEAD: usize = MAGIC.len() + SALT_BYTES;

    #[test]
    fn round_trips_at_every_boundary() {
        for length in [0, 1, CHUNK_BYTES - 1, CHUNK_BYTES, CHUNK_BYTES + 1, 2 * CHUNK_BYTES, 3 * CHUNK_BYTES + 17] {
            let sealed = seal(&plain(length));
            let chunks = length / CHUNK_BYTES + 1;
            assert_eq!(sealed.len(), HEAD + length + chunks * TAG_BYTES);
            assert_eq!(open(&sealed, &key("cache")), (plain(length), None));
        }
    }

    #[test]
    fn small_writes_make_the_same_stream_as_large_ones() {
        let data = plain(CHUNK_BYTES + 100);
        let mut small = SealedWriter::with_salt(Vec::new(), &key("cache"), &[1; 32]).unwrap();
        data.chunks(977).for_each(|part| small.write_all(part).unwrap());
        let mut large = SealedWriter::with_salt(Vec::new(), &key("cache"), &[1; 32]).unwrap();
        large.write_all(&data).unwrap();
        assert_eq!(small.finish().unwrap(), large.finish().unwrap());
    }

    #[test]
    fn two_streams_of_the_same_data_share_nothing() {
        let (one, two) = (seal(&plain(100)), seal(&plain(100)));
        assert_eq!(one[..MAGIC.len()], two[..MAGIC.len()]);
        assert!(one[MAGIC.len()..].iter().zip(&two[MAGIC.len()..]).filter(|(a, b)| a == b).count() < 16);
    }

    #[test]
    fn every_truncation_is_found() {
        let sealed = seal(&plain(2 * CHUNK_BYTES + 5));
        let full = HEAD + 2 * SEALED_CHUNK_BYTES;
        for length in [0, 15, HEAD - 1, HEAD, HEAD + 15, HEAD + 16, HEAD + SEALED_CHUNK_BYTES, full, sealed.len() - 1] {
            let (released, error) = open(&sealed[..length], &key("cache"));
            assert!(error.is_some(), "cut at {length}");
            assert_eq!(released, plain(2 * CHUNK_BYTES + 5)[..released.len()]);
        }
    }

    #[test]
    fn an_unfinished_stream_is_truncated() {
        let mut sealed = Vec::new();
        let mut writer = SealedWriter::new(&mut sealed, &key("cache")).unwrap();
        writer.write_all(&plain(CHUNK_BYTES)).unwrap();
        drop(writer);
        assert_eq!(open(&sealed, &key("cache")), (plain(CHUNK_BYTES), Some(SealError::Truncated)));
    }

    #[test]
    fn reordered_repeated_and_appended_chunks_are_refused() {
        let sealed = seal(&plain(2 * CHUNK_BYTES + 5));
        let (head, chunks) = sealed.split_at(HEAD);
        let chunks: Vec<_> = chunks.chunks(SEALED_CHUNK_BYTES).collect();
        let forged = |order: &[usize]| {
            let parts: Vec<u8> = order.iter().flat_map(|&i| chunks[i].iter().copied()).collect();
            open(&[head, &parts].concat(), &key("cache"))
        };
        assert_eq!(forged(&[0, 1, 2]).1, None);
        assert_eq!(forged(&[1, 0, 2]), (Vec::new(), Some(SealError::NotAuthentic)));
        assert_eq!(forged(&[0, 0, 2]), (plain(CHUNK_BYTES), Some(SealError::NotAuthentic)));
        assert_eq!(forged(&[0, 2]), (plain(CHUNK_BYTES), Some(SealError::NotAuthentic)));
        assert_eq!(forged(&[0, 1, 2, 2]).1, Some(SealError::NotAuthentic));
    }

    #[test]
    fn any_flipped_bit_is_refused() {
        let sealed = seal(&plain(CHUNK_BYTES + 40));
        for at in [3, MAGIC.len(), HEAD - 1, HEAD, HEAD + CHUNK_BYTES, HEAD + SEALED_CHUNK_BYTES, sealed.len() - 1] {
            let mut forged = sealed.clone();
            forged[at] ^= 4;
            assert!(open(&forged, &key("cache")).1.is_some(), "byte {at}");
        }
    }

    #[test]
    fn another_label_or_key_is_refused() {
        let sealed = seal(&plain(40));
        assert_eq!(open(&sealed, &key("spill")), (Vec::new(), Some(SealError::NotAuthentic)));
        let other = BulkKey::new(Zeroizing::new([8; 32]), "cache");
        assert_eq!(open(&sealed, &other), (Vec::new(), Some(SealError::NotAuthentic)));
    }

    #[test]
    fn nothing_is_released_after_a_forged_chunk() {
        let mut sealed = seal(&plain(3 * CHUNK_BYTES));
        sealed[HEAD + SEALED_CHUNK_BYTES] ^= 1;
        let mut reader = SealedReader::new(&*sealed, &key("cache")).unwrap();
        let mut out = vec![0; CHUNK_BYTES];
        reader.read_exact(&mut out).unwrap();
        for _ in 0..3 {
            assert_eq!(reader.read(&mut out).unwrap_err().kind(), io::ErrorKind::InvalidData);
        }
    }

    /// The digest is that of the stream which Python's `cryptography` makes of the same key, salt, label and data.
    #[test]
    fn the_format_is_that_of_the_description() {
        let mut writer = SealedWriter::with_salt(Vec::new(), &key("cache"), &[9; 32]).unwrap();
        writer.write_all(&plain(CHUNK_BYTES + 40)).unwrap();
        let sealed = writer.finish().unwrap();
        let digest = wugan_protocol::hexes::sha256(&sealed).to_string();
        assert_eq!(digest, "3f1fa135874fec0763a1f4c2be450a1a63ac73971d59cd5e0563a69b841347aa");
    }

    #[test]
    fn debug_shows_no_key() {
        assert_eq!(format!("{:?}", key("cache")), r#"BulkKey { label: "cache", .. }"#);
    }
}
