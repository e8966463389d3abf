//! The closed list of reasons: the only words that a refusal, a failure or an abandoned round may carry in the log.

use serde::{Deserialize, Serialize};

macro_rules! reasons {
    ($($name:ident = $code:literal $text:literal;)*) => {
        /// Why something was refused, failed, or ended.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(rename_all = "snake_case")]
        pub enum Reason { $(#[doc = $text] $name,)* }

        impl Reason {
            /// The number on the wire.
            pub fn code(self) -> u16 {
                match self { $(Reason::$name => $code,)* }
            }

            /// The reason with this number.
            pub fn from_code(code: u16) -> Option<Reason> {
                match code { $($code => Some(Reason::$name),)* _ => None }
            }
        }

        impl std::fmt::Display for Reason {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(match self { $(Reason::$name => $text,)* })
            }
        }
    };
}

reasons! {
    NotMember = 1 "the sender is no member in that role";
    BadSignature = 2 "the signature does not verify";
    OutOfSequence = 3 "an entry is missing, repeated or follows another entry than it says";
    NotAllowed = 4 "this role may not make such a statement";
    OtherFederation = 5 "it names another federation manifest";
    OtherRound = 6 "it names another round than the open one, or none is open";
    OtherPolicy = 7 "its policy, matters, channels or classes are not exactly the policy's";
    MonthNotLater = 8 "its month is not later than that of the last counted round";
    TooSoon = 9 "it comes sooner after the last counted round than the policy allows";
    RoundReused = 10 "the round id was used before";
    KeyReused = 11 "the key was announced before";
    KeyProof = 12 "the proof of the key does not verify";
    UnknownEpoch = 13 "it names a key epoch that was not announced";
    CloseTooEarly = 14 "it closes before the time of the manifest";
    TooManyMissing = 15 "more departments are missing than the policy allows, or one that may not be missing";
    ListDiffers = 16 "the list is not exactly the channels with a receipt";
    BeforeItsTime = 17 "it comes before what it depends on";
    Repeated = 18 "it was stated before, differently";
    OverBudget = 19 "more elements than the allowance of this owner and epoch";
    BadElement = 20 "a group element is malformed, not canonical or the identity";
    BatchDiffers = 21 "the elements are not those of the signed batch";
    NotAnnounced = 22 "no announcement for this file, or from somebody else";
    DigestDiffers = 23 "the bytes are not those announced";
    CountDiffers = 24 "the count is not the one announced";
    NotSorted = 25 "tags out of order or repeated";
    BadHandles = 26 "handles out of range or repeated";
    BadRows = 27 "rows out of order, too many, or not as often as the matter has channels";
    BadBits = 28 "signal bits that no row can have";
    Unreadable = 29 "a file or table could not be read";
    TooManyBadRows = 30 "more rows were quarantined than the configured share";
    NoSpace = 31 "not enough free space on disk";
    Superseded = 32 "the coordinator's staff opened the month anew";
    Malformed = 33 "malformed bytes";
    BadProof = 34 "the batch proof does not verify";
    TooManyRows = 35 "more rows for a matter than the federation manifest declares";
    ClockDiffers = 36 "a time that cannot be: before what it follows";
    TooLate = 37 "it comes after the close";
    Deleted = 38 "its retention time is over: it is deleted";
}
