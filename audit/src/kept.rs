//! A file of a round as its party keeps it, hashed while it is read: what was read is what the digest is of.

use std::{
    fs::File,
    io::{self, BufRead as _, BufReader, Read},
    path::Path,
};

use ring::digest::{Context, SHA256};
use wugan_protocol::{
    file::Header,
    hexes::{Digest, Hex},
    reason::Reason,
};

/// An opened file.
pub(crate) struct KeptFile {
    input: BufReader<Hashing>,
    length: u64,
}

/// Why a file cannot be used.
#[derive(Debug)]
pub(crate) enum Fault {
    /// It is not in order.
    Shape(Reason),
    /// The disk's.
    Io(io::Error),
}

struct Hashing {
    file: File,
    hash: Context,
}

impl KeptFile {
    /// Opens a file; `None` if there is none.
    ///
    /// # Errors
    /// Those of the file system.
    pub(crate) fn open(path: &Path) -> io::Result<Option<KeptFile>> {
        let file = match File::open(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            opened => opened?,
        };
        let length = file.metadata()?.len();
        let hashing = Hashing { file, hash: Context::new(&SHA256) };
        Ok(Some(KeptFile { input: BufReader::with_capacity(BUFFER_BYTES, hashing), length }))
    }

    /// Reads the header of a file with rows of `matters` matters (0 where there are none); `payload` says how many bytes
    /// must follow it, so that no header makes this machine reserve memory for what is not there.
    ///
    /// # Errors
    /// A header that cannot be, another length, those of the disk.
    pub(crate) fn header(&mut self, matters: usize, payload: impl FnOnce(&Header) -> u64) -> Result<Header, Fault> {
        let mut bytes = vec![0; Header::bytes(matters)];
        self.fill(&mut bytes)?;
        let header = Header::decode(&bytes, matters).map_err(|_| Fault::Shape(Reason::Malformed))?;
        let length = bytes.len() as u64 + payload(&header);
        if length == self.length { Ok(header) } else { Err(Fault::Shape(Reason::Malformed)) }
    }

    /// The next `N` bytes.
    ///
    /// # Errors
    /// A file that ends before, those of the disk.
    #[inline]
    pub(crate) fn item<const N: usize>(&mut self) -> Result<[u8; N], Fault> {
        let mut item = [0; N];
        self.fill(&mut item)?;
        Ok(item)
    }

    /// Fills a buffer.
    ///
    /// # Errors
    /// A file that ends before, those of the disk.
    #[inline]
    pub(crate) fn fill(&mut self, buffer: &mut [u8]) -> Result<(), Fault> {
        self.input.read_exact(buffer).map_err(|error| match error.kind() {
            io::ErrorKind::UnexpectedEof => Fault::Shape(Reason::Malformed),
            _ => Fault::Io(error),
        })
    }

    /// Reads on beside `bytes`: at which of them the file differs first.
    ///
    /// # Errors
    /// Those of the disk.
    pub(crate) fn beside(&mut self, bytes: &[u8]) -> io::Result<Option<usize>> {
        let (mut at, mut differs) = (0, None);
        while at < bytes.len() {
            let kept = self.input.fill_buf()?;
            let here = kept.len().min(bytes.len() - at);
            if here == 0 {
                return Ok(differs.or(Some(at)));
            }
            let pairs = kept.iter().zip(&bytes[at..at + here]);
            differs =
                differs.or_else(|| pairs.into_iter().position(|(one, other)| one != other).map(|place| at + place));
            self.input.consume(here);
            at += here;
        }
        Ok(differs)
    }

    /// The digest of the whole file, of which the rest is read.
    ///
    /// # Errors
    /// Those of the disk.
    pub(crate) fn digest(mut self) -> io::Result<Digest> {
        io::copy(&mut self.input, &mut io::sink())?;
        Ok(finished(self.input.into_inner().hash))
    }
}

impl Read for Hashing {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.file.read(buffer)?;
        self.hash.update(&buffer[..read]);
        Ok(read)
    }
}

impl From<io::Error> for Fault {
    fn from(error: io::Error) -> Fault {
        Fault::Io(error)
    }
}

/// The digest that a context comes to.
pub(crate) fn finished(hash: Context) -> Digest {
    let mut digest = [0; 32];
    digest.copy_from_slice(hash.finish().as_ref());
    Hex(digest)
}

const BUFFER_BYTES: usize = 256 << 10;
