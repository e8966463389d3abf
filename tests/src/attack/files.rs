//! Everything that is done to the files of a log: tiles, checkpoints and cosignatures cut, altered, exchanged, left over.

use base64::{Engine, prelude::BASE64_STANDARD};
use wugan_audit::folder::LogFiles;
use wugan_protocol::{
    envelope::Signer,
    log::{
        checkpoint::VerifiedCheckpoint,
        note::{Algorithm, VerifierKey},
        writer::LogWriter,
    },
    party::Role,
};

use super::{
    edits::{Change, Mutant},
    forger::{By, Forger, text, tree},
    genuine::Genuine,
};

/// Every change of files.
pub fn of_files(genuine: &Genuine) -> Vec<Mutant> {
    let mut mutants = Mutants { genuine, mutants: Vec::new() };
    mutants.every_file();
    mutants.left_over();
    mutants.strange();
    mutants.checkpoints();
    mutants.signature_lines(CHECKPOINT, By::Stranger);
    mutants.signature_lines(COSIGNED, By::Stranger);
    mutants.cosigned();
    mutants.mutants
}

struct Mutants<'a> {
    genuine: &'a Genuine,
    mutants: Vec<Mutant>,
}

impl Mutants<'_> {
    fn with(
        &mut self,
        kind: &'static str,
        by: By,
        what: String,
        change: impl Fn(&mut LogFiles) + Send + Sync + 'static,
    ) {
        self.mutants.push(Mutant { kind, by, what, change: Change::Files(Box::new(change)) });
    }

    /// A file has other bytes.
    fn replaced(&mut self, kind: &'static str, by: By, path: &str, what: &str, bytes: Vec<u8>) {
        let path = path.to_owned();
        self.with(kind, by, format!("{path} {what}"), move |files| {
            files.files.insert(path.clone(), bytes.clone());
        });
    }

    fn every_file(&mut self) {
        let genuine = self.genuine;
        for (path, bytes) in &genuine.files.files {
            let gone = path.clone();
            self.with("file removed", By::Stranger, path.clone(), move |files| drop(files.files.remove(&gone)));
            for keep in [0, 1, 2, bytes.len() / 3, bytes.len() / 2, bytes.len() - 32, bytes.len() - 1] {
                self.replaced("file cut", By::Stranger, path, &format!("to {keep} bytes"), bytes[..keep].to_vec());
            }
            for more in [&b"\n"[..], b"\0", &bytes[bytes.len() - 32..], bytes] {
                let longer = [bytes, more].concat();
                self.replaced("file lengthened", By::Stranger, path, &format!("by {} bytes", more.len()), longer);
            }
            for (other, bytes) in genuine.files.files.iter().filter(|(other, _)| *other != path) {
                self.replaced("files exchanged", By::Stranger, path, &format!("is {other}"), bytes.clone());
            }
            let step = if [CHECKPOINT, COSIGNED].contains(&path.as_str()) { 1 } else { SPARSE };
            for place in (0..bytes.len()).step_by(step) {
                for mask in if path == CHECKPOINT { &[1, 0x20][..] } else { &[1] } {
                    let path = path.clone();
                    self.with("file altered", By::Stranger, format!("{path} byte {place}"), move |files| {
                        if let Some(byte) = files.files.get_mut(&path).and_then(|bytes| bytes.get_mut(place)) {
                            *byte ^= *mask;
                        }
                    });
                }
            }
        }
    }

    /// Narrower tiles, as they stood at smaller sizes, beside those that replaced them.
    fn left_over(&mut self) {
        let now = &self.genuine.files.files;
        let mut writer = LogWriter::empty();
        for entry in &self.genuine.entries {
            writer.append(&entry.line).unwrap();
            for (tile, bytes) in writer.changed_files() {
                if !now.contains_key(&tile.to_string()) {
                    self.replaced("tile left over", By::Stranger, &tile.to_string(), "is left", bytes);
                }
            }
            writer.written();
        }
    }

    fn strange(&mut self) {
        for path in
            ["tile/0/009", "tile/entries/000.p/999", "tile/8/0/000", "tile/x", "notes.txt", "checkpoint.old", "0"]
        {
            self.replaced("unknown file", By::Stranger, path, "besides", vec![0; 32]);
            self.with("unknown file", By::Stranger, format!("{path}, a link"), move |files| {
                files.strange.push(path.to_owned());
            });
        }
    }

    /// Checkpoints that the coordinator or somebody else signed.
    fn checkpoints(&mut self) {
        let genuine = self.genuine;
        let (federation, forger, lines) = (&genuine.federation, Forger { genuine }, genuine.lines());
        let (origin, whole) = (federation.origin(), tree(&lines));
        let mut keys: Vec<(String, &dyn Signer)> = vec![("the authority".into(), genuine.authority_key.as_ref())];
        for (party, signers) in &genuine.signers {
            let name = federation.party_name(*party);
            keys.push((format!("{name}'s identity key"), signers.identity.as_ref()));
            if party.role != Role::Coordinator {
                keys.push((format!("{name}'s log key"), signers.log.as_ref()));
            }
        }
        for (name, key) in keys {
            let signed = VerifiedCheckpoint::sign(whole, &origin, key).unwrap();
            self.replaced("checkpoint of another key", By::Stranger, CHECKPOINT, &name, text(&signed));
        }
        let key = &genuine.signers[&federation.coordinator()].log;
        let elsewhere = VerifiedCheckpoint::sign(whole, "wugan/0000000000000000", key.as_ref()).unwrap();
        self.replaced("checkpoint reworded", By::Coordinator, CHECKPOINT, "of another log", text(&elsewhere));
        for size in 0..lines.len() {
            let older = text(&forger.checkpoint(tree(&lines[..size])));
            self.replaced(
                "checkpoint of another tree",
                By::Coordinator,
                CHECKPOINT,
                &format!("of {size} entries"),
                older,
            );
            let mut other = whole;
            other.size = size as u64;
            let other = text(&forger.checkpoint(other));
            self.replaced("checkpoint of another tree", By::Coordinator, CHECKPOINT, &format!("says {size}"), other);
        }
        let genuine_text = forger.checkpoint(whole).note().text().to_owned();
        for (what, reworded) in rewordings(&genuine_text) {
            let bytes = self.signed(&reworded);
            self.replaced("checkpoint reworded", By::Coordinator, CHECKPOINT, what, bytes);
        }
    }

    /// A note with any text, signed by the log's key.
    fn signed(&self, text: &str) -> Vec<u8> {
        let federation = &self.genuine.federation;
        let (origin, key) = (federation.origin(), &self.genuine.signers[&federation.coordinator()].log);
        let id = VerifierKey::new(&origin, Algorithm::Ed25519, key.public_key()).unwrap().id();
        let signature = BASE64_STANDARD.encode([&id.0[..], &key.sign(text.as_bytes())].concat());
        format!("{text}\n\u{2014} {origin} {signature}\n").into_bytes()
    }

    /// What is done to the lines under a note.
    fn signature_lines(&mut self, path: &str, by: By) {
        let note = String::from_utf8(self.genuine.files.files[path].clone()).unwrap();
        let (text, lines) = note.split_once("\n\n").unwrap();
        let lines: Vec<&str> = lines.lines().collect();
        let mut with = |what: String, lines: &[&str]| {
            let bytes = format!("{text}\n\n{}\n", lines.join("\n")).into_bytes();
            if bytes != note.as_bytes() {
                self.replaced("signature lines", by, path, &what, bytes);
            }
        };
        let strangers = "\u{2014} example.org/witness AAAAAAECAwQFBgcICQoLDA0ODw==";
        for place in 0..lines.len() {
            let (mut fewer, mut twice, mut first, mut more) =
                (lines.clone(), lines.clone(), lines.clone(), lines.clone());
            fewer.remove(place);
            twice.insert(place, lines[place]);
            first.swap(0, place);
            more.insert(place, strangers);
            with(format!("without line {place}"), &fewer);
            with(format!("with line {place} twice"), &twice);
            with(format!("with line {place} first"), &first);
            with(format!("with a stranger's line at {place}"), &more);
            for other in 0..lines.len() {
                let mut exchanged = lines.clone();
                exchanged[place] = lines[other];
                with(format!("with line {other} for line {place}"), &exchanged);
            }
            for (what, changed) in respellings(lines[place]) {
                let mut respelt = lines.clone();
                respelt[place] = &changed;
                with(format!("line {place} {what}"), &respelt);
            }
        }
        with("with a line at the end".into(), &[&lines[..], &[strangers]].concat());
        with("in another order".into(), &lines.iter().rev().copied().collect::<Vec<_>>());
    }

    /// Notes of cosignatures that were right at another time or for another tree.
    fn cosigned(&mut self) {
        let genuine = self.genuine;
        let (forger, lines) = (Forger { genuine }, genuine.lines());
        let now = &genuine.files.files[COSIGNED];
        for size in genuine.places("round_closed")[0]..lines.len() {
            let published = forger.published(&lines[..size]);
            let before = published.files.get(COSIGNED).filter(|before| *before != now);
            if let Some(before) = before.cloned() {
                self.replaced(
                    "cosignatures of before",
                    By::Coordinator,
                    COSIGNED,
                    &format!("of {size} entries"),
                    before,
                );
            }
            let unsigned = text(&forger.checkpoint(tree(&lines[..size])));
            let (checkpoint, line) =
                (String::from_utf8(unsigned.clone()).unwrap(), String::from_utf8(now.clone()).unwrap());
            let under = line.split_once("\n\n").unwrap().1.split_once('\n').unwrap().1;
            let transplanted = format!("{checkpoint}{under}").into_bytes();
            self.replaced("cosignatures of before", By::Coordinator, COSIGNED, &format!("none, of {size}"), unsigned);
            if transplanted != *now {
                let what = format!("under the tree of {size} entries");
                self.replaced("cosignatures of before", By::Coordinator, COSIGNED, &what, transplanted);
            }
        }
    }
}

/// Texts of a checkpoint that say the same, or nearly.
fn rewordings(text: &str) -> Vec<(&'static str, String)> {
    let lines: Vec<&str> = text.lines().collect();
    let (origin, size, root) = (lines[0], lines[1], lines[2]);
    // 32 bytes leave two bits of the last sign unused.
    let unused = root.trim_end_matches('=').chars().next_back().unwrap();
    let spare = char::from(unused as u8 + 1);
    let lax = format!("{}{spare}=", root.trim_end_matches(['=', unused]));
    vec![
        ("with unused bits set", format!("{origin}\n{size}\n{lax}\n")),
        ("without padding", format!("{origin}\n{size}\n{}\n", root.trim_end_matches('='))),
        ("in the alphabet of addresses", format!("{origin}\n{size}\n{}\n", root.replace('+', "-").replace('/', "_"))),
        ("with a leading zero", format!("{origin}\n0{size}\n{root}\n")),
        ("with a plus sign", format!("{origin}\n+{size}\n{root}\n")),
        ("with a space", format!("{origin}\n{size} \n{root}\n")),
        ("with an extension line", format!("{text}extension\n")),
        ("with an empty line", format!("{text}\n")),
        ("with carriage returns", text.replace('\n', "\r\n")),
        ("without root", format!("{origin}\n{size}\n")),
        ("with lines exchanged", format!("{origin}\n{root}\n{size}\n")),
        ("with a larger size", format!("{origin}\n{size}0\n{root}\n")),
        ("of no origin", format!("\n{size}\n{root}\n")),
        ("with a byte order mark", format!("\u{feff}{text}")),
    ]
    .into_iter()
    .filter(|(_, reworded)| reworded != text)
    .collect()
}

/// The same signature line, written otherwise.
fn respellings(line: &str) -> Vec<(&'static str, String)> {
    let (start, signature) = line.rsplit_once(' ').unwrap();
    let bare = signature.trim_end_matches('=');
    let last = bare.chars().next_back().unwrap();
    let lax = format!("{}{}", &signature[..bare.len() - 1], char::from(last as u8 + 1));
    vec![
        ("with unused bits set", format!("{start} {lax}{}", &signature[bare.len()..])),
        ("without padding", format!("{start} {bare}")),
        ("with more padding", format!("{start} {signature}=")),
        ("with two spaces", format!("{start}  {signature}")),
        ("with a space at the end", format!("{line} ")),
        ("with a hyphen", line.replace('\u{2014}', "-")),
        ("of another name", format!("{start}x {signature}")),
        ("with a carriage return", format!("{line}\r")),
        ("empty", String::new()),
    ]
}

const CHECKPOINT: &str = "checkpoint";
const COSIGNED: &str = "cosigned";
/// Of large files every so many-th byte is altered.
const SPARSE: usize = 127;
