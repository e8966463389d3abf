//! The shell's hands for files: sending, keeping.

use wugan_protocol::{
    engine::{Engine, Input},
    file::FileKey,
    hexes::Digest,
    party::Party,
};

use super::{Shell, ShellError};
use crate::files::SendFileError;

impl<E: Engine> Shell<E>
where
    E::Job: Send + 'static,
    E::Local: Send + 'static,
{
    pub(super) fn send_file(&mut self, to: Party, round: Digest, file: FileKey, line: Vec<u8>) {
        let (hub, path) = (self.hub.clone(), self.rounds.path(round, file));
        let name = self.federation.party_name(to);
        self.sends.spawn(async move {
            let reply = hub.send_file(to, line, &path).await;
            let reply = reply.inspect_err(|error| match error {
                SendFileError::NoSpace => tracing::warn!(to = name, file = file.name(), %error, "not sent"),
                _ => tracing::info!(to = name, file = file.name(), %error, "not sent"),
            });
            Input::Sent { to, round, file, reply: reply.ok() }
        });
    }

    pub(super) async fn keep(&mut self, ticket: u64, round: Digest, file: FileKey) -> Result<(), ShellError> {
        let Some(incoming) = self.offers.remove(&ticket) else { return Ok(()) };
        self.rounds.make_folder(round)?;
        let kept = incoming.keep_as(self.rounds.path(round, file)).await;
        kept.map_err(|error| ShellError::State(error.to_string()))
    }
}
