//! The versions of the federation manifest in a log: each comes between rounds, is in force from then on, and is never
//! taken back. What members had under way under an earlier one counts, as long as they sign with the same key.

use std::sync::Arc;

use super::{Admitted, Ledger};
use crate::{
    envelope::{Head, Signed, Unverified},
    hexes::Digest,
    log::note::VerifierKey,
    manifest::{Federation, FederationError},
    party::{Party, Role},
    policy::Policy,
    reason::Reason,
    statement::Statement,
};

impl Ledger {
    /// The versions that are or were in force, in order.
    pub fn versions(&self) -> impl Iterator<Item = &Federation> {
        self.versions.iter().take_while(|version| version.version() <= self.federation.version())
    }

    /// The version that may come next.
    pub fn next_version(&self) -> Option<&Federation> {
        self.versions.after(&self.federation)
    }

    /// Learns of the version that may come next.
    ///
    /// # Errors
    /// One that may not.
    pub fn confirm(&mut self, line: &[u8], policy: Arc<Policy>) -> Result<(), FederationError> {
        self.versions.push(line, policy)
    }

    /// The version under which a round was opened.
    pub fn federation_of(&self, round: Digest) -> Option<&Federation> {
        self.version(self.rounds.get(&round)?.version)
    }

    /// The identity keys that versions in force now or before list for a party, the present one last.
    pub fn keys_of(&self, party: Party) -> impl Iterator<Item = [u8; 32]> {
        let id = self.federation.policy().member_id(party.member);
        self.versions().filter_map(move |version| version.key(version.party(id, party.role)?))
    }

    /// Verifies a member's document under the version that it names, in force now or before.
    ///
    /// # Errors
    /// Why it is nobody's.
    pub fn verify(&self, line: &[u8]) -> Result<Signed, Reason> {
        let unverified = Unverified::read(line).map_err(|_| Reason::Malformed)?;
        let (id, role) = unverified.claimed();
        let party = self.federation.party(id, role).ok_or(Reason::NotMember)?;
        let (key, signed) = unverified.verify_by(self.keys_of(party)).map_err(|_| Reason::BadSignature)?;
        let named = self.signer(&signed.body().head).and_then(|(version, party)| version.key(party));
        if named == Some(key) { Ok(signed) } else { Err(Reason::OtherFederation) }
    }

    /// The version that an entry names, and its signer in that version.
    pub(super) fn signer(&self, head: &Head) -> Option<(&Federation, Party)> {
        let version = self.version(head.federation?)?;
        Some((version, version.party(&head.sender, head.role)?))
    }

    /// Who may cosign the end of the last round under this id, by the numbers of the version under which it was closed.
    pub fn cosigner(&self, id: &str, role: Role) -> Option<Party> {
        self.version(self.closed()?.version)?.party(id, role)
    }

    /// The key with which the signer of an entry cosigns.
    pub(super) fn cosigner_key(&self, head: &Head) -> Option<VerifierKey> {
        let (version, party) = self.signer(head)?;
        version.cosigner_key(party)
    }

    pub(super) fn admit_version(&self, line: Unverified) -> Result<Admitted, Reason> {
        let signed = line.verify(self.federation.authority()).map_err(|_| Reason::BadSignature)?;
        if self.open_round().is_some() {
            return Err(Reason::BeforeItsTime);
        }
        match (self.next_version(), &signed.body().statement) {
            (Some(next), _) if *next.signed() == signed => Ok(Admitted { party: None, signed }),
            (None, Statement::FederationManifest(next)) if next.previous == self.federation.hash().to_string() => {
                Err(Reason::Unconfirmed)
            }
            _ => Err(Reason::OtherFederation),
        }
    }

    fn version(&self, hash: Digest) -> Option<&Federation> {
        self.versions().find(|version| version.hash() == hash)
    }
}
