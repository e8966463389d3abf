//! Every bound with its unit and its reason.

/// People in one enrolment batch: the proof's composites then fit a few milliseconds, the message 300 KiB.
pub const BATCH_PEOPLE_MAX: usize = 8_192;

/// Counts of batches and announcements are rounded up to a multiple of this, so that they tell no exact size.
pub const COUNT_STEP: u64 = 256;

/// Bytes of one framed message: a full batch and its signed entry, with room to spare.
pub const MESSAGE_BYTES_MAX: usize = 1 << 20;

/// Bytes of one log entry: C2SP tlog-tiles bundles carry a 16-bit length.
pub const ENTRY_BYTES_MAX: usize = 65_535;

/// Log entries in one message: with entries of usual size the message stays far below its bound.
pub const ENTRIES_PER_MESSAGE_MAX: usize = 512;

/// Bytes of entries in one message; one more entry still fits below `MESSAGE_BYTES_MAX`.
pub const ENTRIES_BYTES_PER_MESSAGE_MAX: usize = 512 << 10;

/// Items of one announced file: handles, rows and tags are counted in 32 bits, the top bit of a row is a mark.
pub const FILE_ITEMS_MAX: u64 = (1 << 31) - 1;

/// Bytes of one announced file: `FILE_ITEMS_MAX` records of 16 bytes and the header.
pub const FILE_BYTES_MAX: u64 = FILE_ITEMS_MAX * 16 + 4_096;

/// Members of a federation.
pub const MEMBERS_MAX: usize = 1_024;

/// Channels and matters of a policy, each: the round manifest names all of them in one log entry, and a policy is read,
/// and what each matter's counts lead to is tabled, in a second.
pub const POLICY_ITEMS_MAX: usize = 256;

/// Bytes of the id of a member, channel or matter, which names files and folders.
pub const ID_BYTES_MAX: usize = 64;

/// Tags of a pool's size class: padding then costs at most 12 MiB a pool.
pub const POOL_SIZE_STEP_MAX: usize = 1 << 20;

/// Rules of one ruleset: a set of them is one u128, far more than anyone can explain to a citizen; a decision names one
/// in a byte, of which 255 says deferred.
pub const RULES_MAX: usize = 128;

/// Days of any term or window of a policy: a century, so that no sum of times overflows.
pub const DAYS_MAX: usize = 36_525;

/// A cap above this would make the table of outcomes large (it has at most (`CAP_MAX` + 1)^4 bytes a matter) and the
/// bits tell much.
pub const CAP_MAX: u32 = 16;

/// Rounds the members of a batch or an announcement up, see [`COUNT_STEP`].
pub const fn round_up_count(count: u64) -> u64 {
    count.div_ceil(COUNT_STEP) * COUNT_STEP
}

/// Counts of decisions below this are not told: they identify people.
pub const TOLD_MIN: u64 = 8;

/// What told counts of decisions are rounded to.
pub const TOLD_STEP: u64 = 5;

/// A count as it is told: rounded to 5; below 8 not at all.
pub const fn about(count: u64) -> Option<u64> {
    if count < TOLD_MIN { None } else { Some((count + TOLD_STEP / 2) / TOLD_STEP * TOLD_STEP) }
}

/// By so many seconds the clocks of two parties may differ: far more than clocks that are set over a network do.
pub const CLOCKS_APART_SECONDS_MAX: u64 = 900;

/// Entries of the transparency log: far above any use, far below what overflows a count of 64 bits.
pub const LOG_ENTRIES_MAX: u64 = 1 << 40;

/// Signature lines of one signed note: a cosignature of every member, the log's own, and as many again.
pub const NOTE_SIGNATURES_MAX: usize = 2 * MEMBERS_MAX + 1;

/// Bytes of one signed note: a text of three lines and `NOTE_SIGNATURES_MAX` lines of usual length.
pub const NOTE_BYTES_MAX: usize = 1 << 20;

/// Bytes of the name of a key in a signed note: a domain name and a path.
pub const KEY_NAME_BYTES_MAX: usize = 255;
