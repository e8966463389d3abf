//! The other end of an admin socket: what the staff's commands use.

use std::{
    fs::File,
    io::{self, BufRead, BufReader, Write},
    marker::PhantomData,
    os::{fd::AsRawFd, unix::net::UnixStream},
    path::{Path, PathBuf},
    time::Duration,
};

use serde::{Serialize, de::DeserializeOwned};
use wugan_protocol::texts;

/// Asks a running program: `Q` are its requests, `A` its answers.
#[derive(Clone, Debug)]
pub struct Client<Q, A> {
    socket: PathBuf,
    speaks: PhantomData<fn(Q) -> A>,
}

texts! {
    /// Why there is no answer.
    #[derive(Debug, thiserror::Error)]
    pub enum ClientError {
        /// Nobody listens.
        Connect { socket: PathBuf, error: io::Error }
            "no service answers at {socket}: {error}; is it running, and may this user open its socket?"
            "{socket} 上没有服务应答：{error}；请确认它正在运行，且当前用户有权使用该套接字";
        /// It went away.
        Ended { socket: PathBuf }
            "the service at {socket} ended before it answered; see its log"
            "{socket} 上的服务未作答即已退出；请查看其日志";
        /// The answer is no answer.
        Answer
            "the service's answer cannot be read; are program and service of the same version?"
            "服务的应答无法识别；请确认命令与服务的版本一致";
    }
}

impl<Q: Serialize, A: DeserializeOwned> Client<Q, A> {
    /// A client of the program whose admin socket lies here.
    pub fn new(socket: impl Into<PathBuf>) -> Client<Q, A> {
        Client { socket: socket.into(), speaks: PhantomData }
    }

    /// Asks once.
    ///
    /// # Errors
    /// See [`ClientError`]; a refusal is an answer.
    pub fn ask(&self, request: &Q) -> Result<A, ClientError> {
        let failed = |error| ClientError::Connect { socket: self.socket.clone(), error };
        let mut line = serde_json::to_vec(request).map_err(|_| ClientError::Answer)?;
        line.push(b'\n');
        let answer = self.exchange(&line).map_err(failed)?;
        if !answer.ends_with('\n') {
            return Err(ClientError::Ended { socket: self.socket.clone() });
        }
        serde_json::from_str(&answer).map_err(|_| ClientError::Answer)
    }

    fn exchange(&self, line: &[u8]) -> io::Result<String> {
        let mut stream = at_any_length(&self.socket, |path| UnixStream::connect(path))?;
        stream.set_read_timeout(Some(ANSWER_WITHIN))?;
        stream.write_all(line)?;
        let mut answer = String::new();
        BufReader::new(stream).read_line(&mut answer)?;
        Ok(answer)
    }
}

/// Uses a socket's path whatever its length: the kernel's limit of 108 bytes is passed by way of the folder's open
/// descriptor.
pub(crate) fn at_any_length<T>(path: &Path, open: impl FnOnce(&Path) -> io::Result<T>) -> io::Result<T> {
    let name = path.file_name().ok_or(io::ErrorKind::InvalidInput)?;
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let folder = File::open(folder)?;
    open(&PathBuf::from(format!("/proc/self/fd/{}", folder.as_raw_fd())).join(name))
}

const ANSWER_WITHIN: Duration = Duration::from_secs(30);
