//! Signed notes, C2SP signed-note: a text and lines of signatures under it.

use std::fmt;

use base64::{Engine, prelude::BASE64_STANDARD};
use ring::signature::{ED25519, UnparsedPublicKey};

use crate::{
    hexes::{Hex, sha256},
    limits::{KEY_NAME_BYTES_MAX, NOTE_BYTES_MAX, NOTE_SIGNATURES_MAX},
};

/// How a key signs.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Algorithm {
    /// Ed25519 over the text, as a log signs.
    Ed25519 = 0x01,
    /// A timestamped Ed25519 cosignature, C2SP tlog-cosignature.
    CosignatureV1 = 0x04,
}

/// First four bytes of a hash over name, algorithm and key: tells keys apart, proves nothing.
pub type KeyId = Hex<4>;

/// A named public key. Its text is `name+key id+base64`.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct VerifierKey {
    name: String,
    algorithm: Algorithm,
    key: [u8; 32],
}

impl VerifierKey {
    /// Names a public key.
    ///
    /// # Errors
    /// [`KeyError`].
    pub fn new(name: &str, algorithm: Algorithm, key: [u8; 32]) -> Result<VerifierKey, KeyError> {
        if !is_name(name) {
            return Err(KeyError);
        }
        Ok(VerifierKey { name: name.to_owned(), algorithm, key })
    }

    /// The name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// How it signs.
    pub fn algorithm(&self) -> Algorithm {
        self.algorithm
    }

    /// The Ed25519 public key.
    pub fn public_key(&self) -> &[u8; 32] {
        &self.key
    }

    /// The id that signature lines carry.
    pub fn id(&self) -> KeyId {
        let hash = sha256(&[self.name.as_bytes(), b"\n", &self.encoded()].concat()).0;
        Hex([hash[0], hash[1], hash[2], hash[3]])
    }

    /// Whether a signature line claims to be this key's.
    ///
    /// # Errors
    /// [`SignatureError::Name`] for another name with this key's id. The specification lets a verifier pass over such a line; here
    /// every signer is known, so that it is an attempt to deceive somebody who looks at ids only.
    pub(super) fn claims(&self, line: &SignatureLine) -> Result<bool, SignatureError> {
        match (line.name == self.name, line.id == self.id()) {
            (false, true) => Err(SignatureError::Name { name: self.name.clone() }),
            (name, id) => Ok(name && id),
        }
    }

    /// Checks an Ed25519 signature.
    ///
    /// # Errors
    /// [`SignatureError::Bad`].
    pub(super) fn verify(&self, message: &[u8], signature: &[u8]) -> Result<(), SignatureError> {
        let bad = |_| SignatureError::Bad { name: self.name.clone() };
        UnparsedPublicKey::new(&ED25519, &self.key).verify(message, signature).map_err(bad)
    }

    fn encoded(&self) -> Vec<u8> {
        [&[self.algorithm as u8], &self.key[..]].concat()
    }
}

impl fmt::Display for VerifierKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}+{}+{}", self.name, self.id(), BASE64_STANDARD.encode(self.encoded()))
    }
}

/// Why a key cannot be named so.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a key's name has 1 to {KEY_NAME_BYTES_MAX} bytes, no white space, control characters or plus signs")]
pub struct KeyError;

/// A note that was read; nothing is verified.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Note {
    text: String,
    lines: Vec<SignatureLine>,
}

impl Note {
    /// A note without signatures; the text's lines each end in a line feed.
    pub(super) fn unsigned(text: String) -> Note {
        Note { text, lines: Vec::new() }
    }

    /// Reads a note. Every signature line is kept, in order, whoever signed and however often.
    ///
    /// # Errors
    /// See [`NoteError`].
    pub fn read(bytes: &[u8]) -> Result<Note, NoteError> {
        if bytes.len() > NOTE_BYTES_MAX {
            return Err(NoteError::TooLong);
        }
        let note = str::from_utf8(bytes).map_err(|_| NoteError::Characters)?;
        if note.bytes().any(|byte| byte < b' ' && byte != b'\n') {
            return Err(NoteError::Characters);
        }
        let end = note.rfind("\n\n").ok_or(NoteError::Unsigned)?;
        let (text, signatures) = (&note[..=end], &note[end + 2..]);
        let signatures = signatures.strip_suffix('\n').ok_or(NoteError::Unsigned)?;
        if signatures.split('\n').count() > NOTE_SIGNATURES_MAX {
            return Err(NoteError::TooLong);
        }
        let read = |(number, line): (usize, &str)| SignatureLine::read(line).ok_or(NoteError::Line(number));
        let lines = (1..).zip(signatures.split('\n')).map(read).collect::<Result<_, _>>()?;
        Ok(Note { text: text.to_owned(), lines })
    }

    /// What is signed, with the line feed at its end.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// The signature lines.
    pub fn lines(&self) -> &[SignatureLine] {
        &self.lines
    }

    /// Adds a signature line, unless it is there.
    pub(super) fn add(&mut self, line: SignatureLine) {
        if !self.lines.contains(&line) {
            self.lines.push(line);
        }
    }
}

impl fmt::Display for Note {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}", self.text)?;
        self.lines.iter().try_for_each(|line| writeln!(f, "{line}"))
    }
}

/// Why bytes are no signed note.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum NoteError {
    /// Too many bytes or signature lines.
    #[error("a signed note longer than {NOTE_BYTES_MAX} bytes or {NOTE_SIGNATURES_MAX} signature lines")]
    TooLong,
    /// Not text.
    #[error("a signed note that is not UTF-8, or has control characters")]
    Characters,
    /// No block of signature lines.
    #[error("a signed note ends in an empty line and signature lines, each with a line feed")]
    Unsigned,
    /// A line that is no signature.
    #[error("signature line {0} of a signed note is malformed")]
    Line(usize),
}

/// A signature as it stands under a note: who claims to have signed, and the signature. Its text is the line.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct SignatureLine {
    name: String,
    id: KeyId,
    signature: Vec<u8>,
}

impl SignatureLine {
    /// A key's signature.
    pub(super) fn new(key: &VerifierKey, signature: &[u8]) -> SignatureLine {
        SignatureLine { name: key.name.clone(), id: key.id(), signature: signature.to_vec() }
    }

    /// Reads a line, without a line feed.
    fn read(line: &str) -> Option<SignatureLine> {
        let (name, encoded) = line.strip_prefix(LINE_START)?.split_once(' ')?;
        let bytes = BASE64_STANDARD.decode(encoded).ok()?;
        let (id, signature) = bytes.split_first_chunk()?;
        let name = Some(name).filter(|name| is_name(name) && !signature.is_empty())?;
        Some(SignatureLine { name: name.to_owned(), id: Hex(*id), signature: signature.to_vec() })
    }

    /// The signature, in the key's algorithm.
    pub(super) fn signature(&self) -> &[u8] {
        &self.signature
    }
}

impl fmt::Display for SignatureLine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let encoded = BASE64_STANDARD.encode([&self.id.0[..], &self.signature].concat());
        write!(f, "{LINE_START}{} {encoded}", self.name)
    }
}

/// Why a note's signature is not believed.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum SignatureError {
    /// No line of the key.
    #[error("not signed by {name}")]
    Missing {
        /// The key.
        name: String,
    },
    /// A line of the key that does not verify.
    #[error("a signature line that claims to be {name}'s does not verify")]
    Bad {
        /// The key.
        name: String,
    },
    /// A line with the key's id and another name.
    #[error("a signature line has the key id of {name} under another name")]
    Name {
        /// The key.
        name: String,
    },
}

/// Names stand between spaces in lines and between plus signs in verifier keys.
fn is_name(name: &str) -> bool {
    let forbidden = |c: char| c.is_whitespace() || c.is_control() || c == '+';
    (1..=KEY_NAME_BYTES_MAX).contains(&name.len()) && !name.contains(forbidden)
}

/// An em dash and a space.
const LINE_START: &str = "\u{2014} ";
