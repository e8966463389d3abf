#![allow(clippy::unwrap_used, clippy::panic)]
//! The vectors of `README.md`, "Files", and for each format what must be refused.

use super::*;
use crate::{file::FileKey, policy::Policy};

fn salt() -> [u8; 32] {
    std::array::from_fn(|i| i as u8)
}

fn header(count: u64, rows: &[u32]) -> Header {
    Header { salt: salt(), count, rows: rows.to_vec() }
}

/// The bytes of a vector: the salt, then what the hexadecimal digits say.
fn vector(digits: &str) -> Vec<u8> {
    [salt().to_vec(), hex::decode(digits).unwrap()].concat()
}

fn tag(digits: &str) -> Tag {
    hex::decode(digits).unwrap().try_into().unwrap()
}

/// Writes a file and compares bytes and digest with the vector's.
fn assert_written(header: &Header, body: &[u8], digits: &str, digest: &str) {
    let mut writer = FileWriter::begin(Vec::new(), header).unwrap();
    writer.write(body).unwrap();
    let (bytes, count, found) = writer.finish().unwrap();
    assert_eq!(hex::encode(bytes), hex::encode(vector(digits)));
    assert_eq!((count, found.to_string().as_str()), (256, digest));
}

fn pool(bytes: &[u8]) -> Result<Vec<Tag>, RunError> {
    let mut pool = Pool::open(bytes)?;
    std::iter::from_fn(|| pool.next().transpose()).collect()
}

fn records(bytes: &[u8]) -> Result<Vec<[u8; RECORD_BYTES]>, RunError> {
    let mut records = Records::open(bytes)?;
    std::iter::from_fn(|| records.next().transpose()).collect()
}

fn words(bytes: &[u8], matters: usize) -> Result<Vec<u32>, RunError> {
    let mut items = Items::<_, 4>::open(bytes, matters)?;
    std::iter::from_fn(|| items.next().transpose()).map(|word| word.map(u32::from_le_bytes)).collect()
}

#[track_caller]
fn assert_refused<T: std::fmt::Debug>(result: Result<T, RunError>, reason: Reason) {
    match result {
        Err(RunError::Refused(found)) => assert_eq!(found, reason),
        other => panic!("expected a refusal, got {other:?}"),
    }
}

/// Every shorter file, and one byte more.
#[track_caller]
fn assert_exact<T: std::fmt::Debug>(digits: &str, read: impl Fn(&[u8]) -> Result<T, RunError>) {
    let bytes = vector(digits);
    read(&bytes).unwrap();
    (0..bytes.len()).for_each(|length| assert_refused(read(&bytes[..length]), Reason::Malformed));
    assert_refused(read(&[bytes, vec![0]].concat()), Reason::Malformed);
}

const POOL: &str = "030000000000000000000000000000000000000f0000000000000000ff000000fedcba9876543210a1b2c3d4";
const RECORDS: &str = "02000000000000000000000000000000ff00000002010000fedcba9876543210a1b2c3d401000000";
const ROWS: &str = "050000000000000003000000020000000000000003000080010000000200000004000080";
const BITMAP: &str = "0b000000000000000904";
const BITS: &str = "03000000000000000200000001000000010610";
const DECISIONS: &str = "030000000000000002000000010000000203ff";

fn three() -> [Tag; 3] {
    [tag("00000000000000000000000f"), tag("0000000000000000ff000000"), tag("fedcba9876543210a1b2c3d4")]
}

#[test]
fn pool_vector() {
    let digest = "9cdd702eab6ff8f3ec4dcca9471a5830e5762880664c14936ac0b792f03e2e72";
    assert_written(&header(3, &[]), three().as_flattened(), POOL, digest);
    assert_eq!(pool(&vector(POOL)).unwrap(), three());
    assert_exact(POOL, pool);
}

#[test]
fn pool_out_of_order_or_with_duplicates() {
    let [a, b, c] = three();
    for tags in [[b, a, c], [a, c, b], [a, a, c], [a, c, c]] {
        let bytes = [header(3, &[]).encode(), tags.as_flattened().to_vec()].concat();
        assert_refused(pool(&bytes), Reason::NotSorted);
    }
}

#[test]
fn records_vector() {
    let digest = "5473e62f2c7e2e76553eb6744792857c2d7d724cb84c8001f7f6a1fad7144583";
    let [_, b, c] = three();
    let body = [record(b, 258), record(c, 1)];
    assert_written(&header(2, &[]), body.as_flattened(), RECORDS, digest);
    assert_eq!(records(&vector(RECORDS)).unwrap(), body);
    assert_eq!(body.each_ref().map(handle), [258, 1]);
    assert_exact(RECORDS, records);
}

#[test]
fn records_out_of_order_or_with_duplicates() {
    let [_, b, c] = three();
    for body in [[record(c, 0), record(b, 1)], [record(b, 0), record(b, 1)]] {
        let bytes = [header(2, &[]).encode(), body.as_flattened().to_vec()].concat();
        assert_refused(records(&bytes), Reason::NotSorted);
    }
}

#[test]
fn rows_vector() {
    let digest = "47abcd1820660e18a05cd46433b3afc37a4877b6fffb70087d8959b12a153350";
    // Record 0 serves rows 0 and 3, record 1 row 1, record 2 rows 2 and 4.
    let list = [0, 3 | FURTHER_ROW, 1, 2, 4 | FURTHER_ROW];
    let body: Vec<u8> = list.iter().flat_map(|word| word.to_le_bytes()).collect();
    assert_written(&header(5, &[3, 2]), &body, ROWS, digest);
    assert_eq!(words(&vector(ROWS), 2).unwrap(), list);
    assert_eq!(Items::<_, 4>::open(vector(ROWS).as_slice(), 2).unwrap().header().rows, [3, 2]);
    assert_exact(ROWS, |bytes| words(bytes, 2));
}

#[test]
fn bitmap_vector() {
    let digest = "9fd99c01f35ba05f795103a2042bcf1be4094b589e66a555aa1b04845e34c17b";
    let mut bitmap = Bitmap::new(11);
    assert_eq!(
        [0, 3, 10, 3, 11].map(|bit| bitmap.set(bit, true)),
        [Some(true), Some(true), Some(true), Some(false), None]
    );
    assert_written(&header(11, &[]), bitmap.bytes(), BITMAP, digest);
    let read = Bitmap::read(vector(BITMAP).as_slice()).unwrap();
    assert_eq!((0..13).filter(|bit| read.get(*bit)).collect::<Vec<_>>(), [0, 3, 10]);
    assert!(read == bitmap && !read.full());
    assert_eq!((bitmap.set(1, false), bitmap.set(3, false), bitmap.get(1)), (Some(true), Some(false), false));
    assert_exact(BITMAP, |bytes| Bitmap::read(bytes));
}

#[test]
fn bitmap_with_spare_bits() {
    assert_refused(Bitmap::read(vector("0b000000000000000908").as_slice()), Reason::BadBits);
    assert_refused(Bitmap::read(vector("0b000000000000000984").as_slice()), Reason::BadBits);
}

#[test]
fn full_bitmaps() {
    for count in [0, 1, 7, 8, 9, 64] {
        let mut bitmap = Bitmap::new(count);
        (0..count as u32).for_each(|bit| assert!(bitmap.set(bit, true).unwrap()));
        assert!(bitmap.full(), "{count}");
        assert_eq!(bitmap.set(count as u32, true), None);
    }
}

#[test]
fn bits_and_decisions_vectors() {
    let policy = Policy::read(include_bytes!("../../../deploy/demo/catalogue.toml")).unwrap();
    let all = policy.channels.iter().map(|channel| channel.number).collect();
    let matter = policy.matter_round(&policy.matters[0], &all);
    assert_eq!((matter.caps(), matter.row_bytes()), ([1, 2, 1, 1], 1));
    let lowest = [[1, 0, 0, 0], [0, 2, 0, 0], [0, 0, 0, 1]];
    let mut body = [0; 3];
    body.chunks_mut(1).zip(lowest).for_each(|(row, counts)| matter.encode(counts, row));
    let digest = "baeccb8252d1e04a9072089359bd9413b63765424340e02dbfe8070918ad7d8e";
    assert_written(&header(3, &[2, 1]), &body, BITS, digest);
    assert_eq!(body.map(|byte| matter.decode(&[byte])), lowest.map(Some));
    // A count of 2 without one of 1, a spare bit, and a vector that has a lower one with the same outcome.
    assert_eq!([0b100, 0b10_0000, 0b11].map(|byte| matter.decode(&[byte])), [None; 3]);

    let digest = "54c44c6573440d88659b53cfd2ccf6ec9be2276ca4188319bc298bc3915dfa8d";
    assert_written(&header(3, &[2, 1]), &[2, 3, 255], DECISIONS, digest);
}

#[test]
fn items_cross_blocks() {
    let count = 3 * BLOCK_BYTES as u32 / 4 + 5;
    let body = (0..count).flat_map(u32::to_le_bytes);
    let bytes: Vec<u8> = header(count.into(), &[]).encode().into_iter().chain(body).collect();
    assert!(words(&bytes, 0).unwrap().into_iter().eq(0..count));
    assert_refused(words(&bytes[..bytes.len() - 1], 0), Reason::Malformed);
}

#[test]
fn order_is_checked_across_blocks() {
    let count = BLOCK_BYTES / TAG_BYTES + 2;
    let mut tags: Vec<Tag> = (0..count as u128).map(|i| std::array::from_fn(|b| (i >> (88 - 8 * b)) as u8)).collect();
    let bytes = |tags: &[Tag]| [header(count as u64, &[]).encode(), tags.as_flattened().to_vec()].concat();
    assert_eq!(pool(&bytes(&tags)).unwrap(), tags);
    tags[count - 2] = tags[count - 3];
    assert_refused(pool(&bytes(&tags)), Reason::NotSorted);
}

#[test]
fn order_is_that_of_the_bytes() {
    let tags = [[0; 12], three()[0], three()[1], [127; 12], [128; 12], three()[2], [255; 12]];
    assert!(tags.is_sorted() && tags.iter().map(order::<TAG_BYTES>).is_sorted());
}

#[test]
fn a_header_that_counts_too_much() {
    let bytes = [salt().to_vec(), (1_u64 << 31).to_le_bytes().to_vec()].concat();
    assert_refused(pool(&bytes), Reason::Malformed);
}

#[test]
fn counts_are_announced_rounded_up() {
    let announcement =
        |count| Announcement { file: FileKey::Pool { channel: 1, group: 0 }, count, digest: Hex([0; 32]) };
    for (count, announced) in [(0, 0), (1, 256), (256, 256), (257, 512)] {
        count_as_announced(count, &announcement(announced)).unwrap();
        assert_refused(count_as_announced(count + 256, &announcement(announced)), Reason::CountDiffers);
    }
}
