//! Who opens a storage key: a credential, a key file, a passphrase from a file or from the terminal.

use std::{
    io::{Read, Write},
    path::{Path, PathBuf},
};

use age::secrecy::{ExposeSecret, SecretString};
use rustix::termios::{LocalModes, OptionalActions, Termios, tcgetattr, tcsetattr};
use wugan_protocol::{
    text::{Language, Say},
    texts,
};
use zeroize::Zeroizing;

use super::{Action, PassphraseFault, STORAGE_KEY, StoreError, file};

/// How storage keys are opened, and how new ones are protected.
#[derive(Clone, Debug)]
pub struct Custody {
    credentials: Option<PathBuf>,
    passphrase_file: Option<PathBuf>,
    /// Who asks on the terminal asks in this language.
    terminal: Option<Language>,
    protect: bool,
}

impl Custody {
    /// Key files without passphrase; nobody is asked and the environment is not read.
    pub fn key_files() -> Custody {
        Custody { credentials: None, passphrase_file: None, terminal: None, protect: false }
    }

    /// What the environment says: `CREDENTIALS_DIRECTORY` (set by systemd), `WUGAN_PASSPHRASE_FILE`, the terminal.
    pub fn from_env() -> Custody {
        let path = |name| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
        Custody {
            credentials: path("CREDENTIALS_DIRECTORY"),
            passphrase_file: path("WUGAN_PASSPHRASE_FILE"),
            terminal: Some(crate::language()),
            protect: false,
        }
    }

    /// The same, but with new storage keys under a passphrase.
    #[must_use]
    pub fn with_passphrase(self) -> Custody {
        Custody { protect: true, ..self }
    }

    /// The same, but with the passphrase in the first line of a file of mode 0600.
    #[must_use]
    pub fn passphrase_file(self, path: &Path) -> Custody {
        Custody { passphrase_file: Some(path.to_owned()), ..self }
    }

    /// The same, but with a credentials directory, whose `storage.key` goes before that of any other directory.
    #[must_use]
    pub fn credentials(self, dir: &Path) -> Custody {
        Custody { credentials: Some(dir.to_owned()), ..self }
    }

    /// The storage key among the credentials, where there is one.
    pub(super) fn credential(&self) -> Option<PathBuf> {
        self.credentials.as_ref().map(|dir| dir.join(STORAGE_KEY)).filter(|path| path.exists())
    }

    pub(super) fn protects_with_passphrase(&self) -> bool {
        self.protect
    }

    /// The passphrase of a file that exists.
    pub(super) fn passphrase(&self, of: &Path) -> Result<SecretString, StoreError> {
        match &self.passphrase_file {
            Some(file) => first_line(file),
            None => self.ask(of, Question::Passphrase),
        }
    }

    /// A passphrase for a new file: long enough, and typed twice.
    pub(super) fn new_passphrase(&self, of: &Path) -> Result<SecretString, StoreError> {
        let passphrase = match &self.passphrase_file {
            Some(file) => first_line(file)?,
            None => {
                let first = self.ask(of, Question::New)?;
                if self.ask(of, Question::Again)?.expose_secret() != first.expose_secret() {
                    return Err(StoreError::BadPassphrase(PassphraseFault::Different));
                }
                first
            }
        };
        if passphrase.expose_secret().chars().count() < PASSPHRASE_CHARACTERS_MIN {
            return Err(StoreError::BadPassphrase(PassphraseFault::Short));
        }
        Ok(passphrase)
    }

    fn ask(&self, of: &Path, question: fn(PathBuf) -> Question) -> Result<SecretString, StoreError> {
        let nobody = || StoreError::NoPassphrase { path: of.to_owned() };
        let language = self.terminal.ok_or_else(nobody)?;
        let terminal = std::fs::File::options().read(true).write(true).open("/dev/tty").map_err(|_| nobody())?;
        let answer = ask_on(&terminal, &question(of.to_owned()).said(language));
        answer.map_err(file::failed(Action::Ask, of))
    }
}

texts! {
    /// What is asked on the terminal.
    enum Question {
        Passphrase(of: PathBuf) "Passphrase for {of}: " "请输入 {of} 的口令：";
        New(of: PathBuf) "New passphrase for {of}: " "请设定 {of} 的新口令：";
        Again(of: PathBuf) "The same again for {of}: " "请再输入一次 {of} 的新口令：";
    }
}

/// Fewer are guessed offline in too short a time, even at a second for each.
const PASSPHRASE_CHARACTERS_MIN: usize = 12;

/// A longer line is no passphrase.
const PASSPHRASE_BYTES_MAX: usize = 1_024;

fn first_line(file: &Path) -> Result<SecretString, StoreError> {
    let bytes = file::read_secret(file)?;
    let text = std::str::from_utf8(&bytes).map_err(|_| StoreError::BadPassphrase(PassphraseFault::NotUtf8))?;
    Ok(SecretString::from(text.lines().next().unwrap_or_default().to_owned()))
}

fn ask_on(mut terminal: &std::fs::File, prompt: &str) -> std::io::Result<SecretString> {
    let _silent = Silent::new(terminal)?;
    terminal.write_all(prompt.as_bytes())?;
    let mut line = Zeroizing::new(Vec::with_capacity(PASSPHRASE_BYTES_MAX));
    let mut byte = Zeroizing::new([0]);
    while terminal.read(&mut *byte)? == 1 && byte[0] != b'\n' && line.len() < PASSPHRASE_BYTES_MAX {
        line.push(byte[0]);
    }
    let text = std::str::from_utf8(&line).map_err(std::io::Error::other)?;
    Ok(SecretString::from(text.to_owned()))
}

/// A terminal that does not show what is typed, until it is dropped.
struct Silent<'a> {
    terminal: &'a std::fs::File,
    before: Termios,
}

impl<'a> Silent<'a> {
    fn new(terminal: &'a std::fs::File) -> std::io::Result<Self> {
        let before = tcgetattr(terminal)?;
        let mut silent = before.clone();
        silent.local_modes.remove(LocalModes::ECHO);
        silent.local_modes.insert(LocalModes::ECHONL);
        tcsetattr(terminal, OptionalActions::Flush, &silent)?;
        Ok(Silent { terminal, before })
    }
}

impl Drop for Silent<'_> {
    fn drop(&mut self) {
        // Nothing better can be done about a terminal that is gone.
        let _ = tcsetattr(self.terminal, OptionalActions::Flush, &self.before);
    }
}
