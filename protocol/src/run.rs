//! Reading and writing the files of a round item by item, in constant memory, checking as they go.

use std::io::{self, Read, Write};

use ring::digest;

use crate::{
    file::Header,
    hexes::{Digest, Hex},
    limits::round_up_count,
    reason::Reason,
    statement::Announcement,
    tag::{TAG_BYTES, Tag},
};

/// Bytes of a record: the tag and its handle (u32).
pub const RECORD_BYTES: usize = TAG_BYTES + 4;

/// The mark of a row-list word that names a further row of the same record.
pub const FURTHER_ROW: u32 = 1 << 31;

/// Writes a file and hashes what it writes.
pub struct FileWriter<W: Write> {
    out: W,
    hash: digest::Context,
    count: u64,
}

impl<W: Write> FileWriter<W> {
    /// Begins a file.
    ///
    /// # Errors
    /// Those of `out`.
    pub fn begin(out: W, header: &Header) -> io::Result<FileWriter<W>> {
        let mut writer = FileWriter { out, hash: digest::Context::new(&digest::SHA256), count: header.count };
        writer.write(&header.encode())?;
        Ok(writer)
    }

    /// Appends bytes.
    ///
    /// # Errors
    /// Those of `out`.
    pub fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.hash.update(bytes);
        self.out.write_all(bytes)
    }

    /// The sink, and what to announce: the count rounded up, and the digest.
    ///
    /// # Errors
    /// Those of `out`.
    pub fn finish(mut self) -> io::Result<(W, u64, Digest)> {
        self.out.flush()?;
        let mut digest = [0; 32];
        digest.copy_from_slice(self.hash.finish().as_ref());
        Ok((self.out, round_up_count(self.count), Hex(digest)))
    }
}

/// Why a file cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// The disk's fault.
    #[error("a file of the round cannot be read: {0}")]
    Io(#[from] io::Error),
    /// The sender's fault.
    #[error("a file of the round is refused: {0}")]
    Refused(Reason),
}

/// Reads a file's header and then its items of `N` bytes, exactly as many as the header says, a block at a time.
pub struct Items<R: Read, const N: usize> {
    input: R,
    header: Header,
    /// Items beyond the block.
    left: u64,
    /// Whole items, of which those from `at` on are not yet given out.
    block: Vec<u8>,
    at: usize,
}

impl<R: Read, const N: usize> Items<R, N> {
    /// Reads the header of a file with rows of `matters` matters (0 where there are none).
    ///
    /// # Errors
    /// A file that is shorter, or a header that cannot be.
    pub fn open(mut input: R, matters: usize) -> Result<Self, RunError> {
        let header = read_header(&mut input, matters)?;
        let left = header.count;
        Ok(Items { input, header, left, block: Vec::new(), at: 0 })
    }

    /// The header.
    pub fn header(&self) -> &Header {
        &self.header
    }

    /// The next item; after the last one, checks that nothing follows.
    ///
    /// # Errors
    /// A file that is shorter or longer than its header says.
    #[expect(clippy::should_implement_trait, reason = "a Result<Option> is what callers want")]
    #[inline]
    pub fn next(&mut self) -> Result<Option<[u8; N]>, RunError> {
        if self.at == self.block.len() && !self.next_block()? {
            return Ok(None);
        }
        let item = self.rest().first().copied();
        self.skip(1);
        Ok(item)
    }

    /// Items of the block that are not yet given out.
    #[inline]
    fn rest(&self) -> &[[u8; N]] {
        self.block[self.at..].as_chunks().0
    }

    /// Gives out `items` of the block without looking at them.
    #[inline]
    fn skip(&mut self, items: usize) {
        self.at += items * N;
    }

    /// Reads the next block; whether there is one.
    #[cold]
    fn next_block(&mut self) -> Result<bool, RunError> {
        let items = self.left.min((BLOCK_BYTES / N) as u64);
        self.block.resize(items as usize * N, 0);
        self.at = 0;
        if items == 0 {
            return end_of(&mut self.input).map(|()| false);
        }
        fill(&mut self.input, &mut self.block)?;
        self.left -= items;
        Ok(true)
    }
}

/// Items of `N` bytes that begin with a tag, which must ascend strictly.
pub struct Tagged<R: Read, const N: usize> {
    items: Items<R, N>,
    /// The least order that the next tag may have.
    floor: u128,
}

/// The tags of a pool.
pub type Pool<R> = Tagged<R, TAG_BYTES>;

/// The records of one channel: tags, each with its handle.
pub type Records<R> = Tagged<R, RECORD_BYTES>;

impl<R: Read, const N: usize> Tagged<R, N> {
    /// Opens a file.
    ///
    /// # Errors
    /// See [`Items::open`].
    pub fn open(input: R) -> Result<Self, RunError> {
        Ok(Tagged { items: Items::open(input, 0)?, floor: 0 })
    }

    /// Items in all.
    pub fn count(&self) -> u64 {
        self.items.header.count
    }

    /// Some of the items that were not skipped yet, in order; none at the end of the file.
    ///
    /// # Errors
    /// [`Reason::NotSorted`] for a tag that does not follow the one before; see also [`Items::next`].
    #[inline]
    pub fn peek(&mut self) -> Result<&[[u8; N]], RunError> {
        if self.items.at == self.items.block.len() && self.items.next_block()? {
            self.floor = ascend(self.items.rest(), self.floor)?;
        }
        Ok(self.items.rest())
    }

    /// Goes on behind `items` of those that [`Self::peek`] showed.
    #[inline]
    pub fn skip(&mut self, items: usize) {
        self.items.skip(items);
    }

    /// The next item.
    ///
    /// # Errors
    /// See [`Self::peek`].
    #[expect(clippy::should_implement_trait, reason = "a Result<Option> is what callers want")]
    #[inline]
    pub fn next(&mut self) -> Result<Option<[u8; N]>, RunError> {
        let Some(item) = self.peek()?.first().copied() else { return Ok(None) };
        self.skip(1);
        Ok(Some(item))
    }
}

/// A number that orders items as the tags that they begin with: comparing integers costs a fraction of comparing byte
/// strings.
#[inline]
pub fn order<const N: usize>(item: &[u8; N]) -> u128 {
    const { assert!(N >= TAG_BYTES) };
    let (mut high, mut low) = ([0; 8], [0; 4]);
    high.copy_from_slice(&item[..8]);
    low.copy_from_slice(&item[8..TAG_BYTES]);
    u128::from(u64::from_be_bytes(high)) << 64 | u128::from(u32::from_be_bytes(low))
}

/// The handle of a record.
#[inline]
pub fn handle(record: &[u8; RECORD_BYTES]) -> u32 {
    let mut bytes = [0; 4];
    bytes.copy_from_slice(&record[TAG_BYTES..]);
    u32::from_le_bytes(bytes)
}

/// Checks that tags ascend strictly from `floor` on; the floor of what follows them.
fn ascend<const N: usize>(items: &[[u8; N]], mut floor: u128) -> Result<u128, RunError> {
    for item in items {
        let order = order(item);
        if order < floor {
            return Err(RunError::Refused(Reason::NotSorted));
        }
        floor = order + 1;
    }
    Ok(floor)
}

/// The bytes of one record.
pub fn record(tag: Tag, handle: u32) -> [u8; RECORD_BYTES] {
    let mut bytes = [0; RECORD_BYTES];
    bytes[..TAG_BYTES].copy_from_slice(&tag);
    bytes[TAG_BYTES..].copy_from_slice(&handle.to_le_bytes());
    bytes
}

/// A bitmap: bit h (byte h/8, bit h mod 8) says that the record with handle h was met; spare bits are zero.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bitmap {
    bits: Vec<u8>,
    count: u64,
}

impl Bitmap {
    /// `count` zero bits.
    pub fn new(count: u64) -> Bitmap {
        Bitmap { bits: vec![0; count.div_ceil(8) as usize], count }
    }

    /// Sets a bit if `value`; whether it was zero. Out of range: `None`.
    #[inline]
    pub fn set(&mut self, bit: u32, value: bool) -> Option<bool> {
        let byte = self.bits.get_mut(bit as usize / 8).filter(|_| u64::from(bit) < self.count)?;
        let new = *byte >> (bit % 8) & 1 == 0;
        *byte |= u8::from(value) << (bit % 8);
        Some(new)
    }

    /// Whether a bit is set.
    pub fn get(&self, bit: u64) -> bool {
        self.bits.get((bit / 8) as usize).is_some_and(|byte| byte >> (bit % 8) & 1 == 1)
    }

    /// Whether every bit is set.
    pub fn full(&self) -> bool {
        self.bits.iter().map(|byte| u64::from(byte.count_ones())).sum::<u64>() == self.count
    }

    /// Number of bits.
    pub fn count(&self) -> u64 {
        self.count
    }

    /// The bytes after the header.
    pub fn bytes(&self) -> &[u8] {
        &self.bits
    }

    /// Reads a bitmap file.
    ///
    /// # Errors
    /// A file that is shorter or longer than its header says, or has spare bits set.
    pub fn read<R: Read>(mut input: R) -> Result<Bitmap, RunError> {
        let header = read_header(&mut input, 0)?;
        let mut bitmap = Bitmap::new(header.count);
        fill(&mut input, &mut bitmap.bits)?;
        end_of(&mut input)?;
        let spare = bitmap.bits.last().filter(|_| header.count % 8 != 0).map_or(0, |last| last >> (header.count % 8));
        if spare == 0 { Ok(bitmap) } else { Err(RunError::Refused(Reason::BadBits)) }
    }
}

/// Whether a file's header agrees with its announcement.
///
/// # Errors
/// [`Reason::CountDiffers`].
pub fn count_as_announced(count: u64, announcement: &Announcement) -> Result<(), RunError> {
    if round_up_count(count) == announcement.count { Ok(()) } else { Err(RunError::Refused(Reason::CountDiffers)) }
}

/// Reads a header with rows of `matters` matters.
///
/// # Errors
/// See [`RunError`].
pub fn read_header<R: Read>(input: &mut R, matters: usize) -> Result<Header, RunError> {
    let mut bytes = vec![0; Header::bytes(matters)];
    fill(input, &mut bytes)?;
    Header::decode(&bytes, matters).map_err(|_| RunError::Refused(Reason::Malformed))
}

/// Fills a buffer; a file that ends before is the sender's fault.
///
/// # Errors
/// See [`RunError`].
pub fn fill<R: Read>(input: &mut R, buffer: &mut [u8]) -> Result<(), RunError> {
    input.read_exact(buffer).map_err(|error| match error.kind() {
        io::ErrorKind::UnexpectedEof => RunError::Refused(Reason::Malformed),
        _ => RunError::Io(error),
    })
}

/// Checks that a file ends here.
///
/// # Errors
/// See [`RunError`].
pub fn end_of<R: Read>(input: &mut R) -> Result<(), RunError> {
    loop {
        match input.read(&mut [0]) {
            Ok(0) => return Ok(()),
            Ok(_) => return Err(RunError::Refused(Reason::Malformed)),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error.into()),
        }
    }
}

/// Bytes of the block that `Items` reads at once: fewer calls, and still well within the L2 cache.
const BLOCK_BYTES: usize = 128 << 10;

#[cfg(test)]
mod tests;
