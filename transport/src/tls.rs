//! TLS 1.3 with self-signed Ed25519 certificates whose keys are pinned by the caller.
//!
//! A certificate is only the envelope of a key: names and dates in it are ignored, the signature of the handshake
//! (RFC 8446 section 4.4.3) proves that the peer holds the key. No 0-RTT, no tickets, no resumption.

use std::{collections::HashSet, fmt, sync::Arc};

use quinn::crypto::rustls::{QuicClientConfig, QuicServerConfig};
use ring::{hkdf, hmac};
use rustls::{
    CertificateError, ClientConfig, DigitallySignedStruct, DistinguishedName, Error, SignatureScheme,
    client::{
        Resumption,
        danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
    },
    crypto::{CryptoProvider, WebPkiSupportedAlgorithms, verify_tls13_signature},
    pki_types::{CertificateDer, PrivatePkcs8KeyDer, ServerName, UnixTime},
    server::{
        NoServerSessionStorage, ParsedCertificate,
        danger::{ClientCertVerified, ClientCertVerifier},
    },
    sign::{CertifiedKey, SingleCertAndKey},
    version::TLS13,
};
use zeroize::Zeroizing;

/// A party's identity as TLS needs it: a self-signed certificate and its private key.
pub struct TlsIdentity {
    certificate_der: Vec<u8>,
    pkcs8_der: Zeroizing<Vec<u8>>,
}

impl TlsIdentity {
    /// `certificate_der` is an X.509 certificate of an Ed25519 key, `pkcs8_der` that key (RFC 8410).
    #[must_use]
    pub fn new(certificate_der: Vec<u8>, pkcs8_der: Zeroizing<Vec<u8>>) -> Self {
        Self { certificate_der, pkcs8_der }
    }
}

impl fmt::Debug for TlsIdentity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TlsIdentity(..)")
    }
}

/// The identity in the form that both directions of TLS use.
pub(crate) struct Credentials {
    key: [u8; 32],
    own: Arc<SingleCertAndKey>,
    provider: Arc<CryptoProvider>,
    reset_key: hmac::Key,
}

impl Credentials {
    /// Refuses a key that does not belong to the certificate.
    pub(crate) fn new(identity: &TlsIdentity) -> Result<Self, Error> {
        let key = rustls::crypto::ring::sign::any_eddsa_type(&PrivatePkcs8KeyDer::from(identity.pkcs8_der.as_slice()))?;
        let certificate = CertificateDer::from(identity.certificate_der.clone());
        let public = identity_key(&certificate)?;
        let certified = CertifiedKey::new(vec![certificate], key);
        certified.keys_match()?;
        Ok(Self {
            key: public,
            own: Arc::new(SingleCertAndKey::from(certified)),
            provider: Arc::new(rustls::crypto::ring::default_provider()),
            reset_key: reset_key(&identity.pkcs8_der)?,
        })
    }

    /// The public identity key.
    pub(crate) fn key(&self) -> [u8; 32] {
        self.key
    }

    /// Admits clients that hold one of these keys, and nobody else.
    pub(crate) fn server(&self, clients: HashSet<[u8; 32]>) -> Result<QuicServerConfig, Error> {
        let mut config = rustls::ServerConfig::builder_with_provider(self.provider.clone())
            .with_protocol_versions(&[&TLS13])?
            .with_client_cert_verifier(self.pins(clients))
            .with_cert_resolver(self.own.clone());
        config.alpn_protocols = vec![ALPN.to_vec()];
        config.send_tls13_tickets = 0;
        config.max_early_data_size = 0;
        config.session_storage = Arc::new(NoServerSessionStorage {});
        config.try_into().map_err(no_initial_suite)
    }

    /// Accepts a server that holds one of these keys: the present one, or that of a version of the manifest to come.
    pub(crate) fn client(&self, server: HashSet<[u8; 32]>) -> Result<QuicClientConfig, Error> {
        let mut config = ClientConfig::builder_with_provider(self.provider.clone())
            .with_protocol_versions(&[&TLS13])?
            .dangerous()
            .with_custom_certificate_verifier(self.pins(server))
            .with_client_cert_resolver(self.own.clone());
        config.alpn_protocols = vec![ALPN.to_vec()];
        config.resumption = Resumption::disabled();
        config.enable_early_data = false;
        config.try_into().map_err(no_initial_suite)
    }

    /// Stable over restarts, so that peers of a killed process learn at once that their connection is gone
    /// (RFC 9000 section 10.3).
    pub(crate) fn reset_key(&self) -> hmac::Key {
        self.reset_key.clone()
    }

    fn pins(&self, keys: HashSet<[u8; 32]>) -> Arc<Pins> {
        let algorithms = self.provider.signature_verification_algorithms;
        Arc::new(Pins { keys, algorithms })
    }
}

/// The Ed25519 key of a certificate; any other algorithm is refused.
pub(crate) fn identity_key(certificate: &CertificateDer<'_>) -> Result<[u8; 32], Error> {
    let spki = ParsedCertificate::try_from(certificate)?.subject_public_key_info();
    spki.strip_prefix(&SPKI_PREFIX).and_then(|key| key.try_into().ok()).ok_or(CertificateError::BadEncoding.into())
}

/// The server name that every handshake carries: peers are known by key, not by name.
pub(crate) const SERVER_NAME: &str = "wugan";

/// Verifies that a peer holds one of the expected keys.
#[derive(Debug)]
struct Pins {
    keys: HashSet<[u8; 32]>,
    algorithms: WebPkiSupportedAlgorithms,
}

impl Pins {
    fn check(&self, certificate: &CertificateDer<'_>, chain: &[CertificateDer<'_>]) -> Result<(), Error> {
        if chain.is_empty() && self.keys.contains(&identity_key(certificate)?) {
            return Ok(());
        }
        Err(CertificateError::ApplicationVerificationFailure.into())
    }
}

/// Both traits ask the same of a handshake's signature: Ed25519 (RFC 8446 section 4.4.3), never TLS 1.2.
macro_rules! handshake_signatures {
    () => {
        fn verify_tls12_signature(
            &self,
            _message: &[u8],
            _certificate: &CertificateDer<'_>,
            _signature: &DigitallySignedStruct,
        ) -> Result<HandshakeSignatureValid, Error> {
            Err(CertificateError::BadSignature.into())
        }

        fn verify_tls13_signature(
            &self,
            message: &[u8],
            certificate: &CertificateDer<'_>,
            signature: &DigitallySignedStruct,
        ) -> Result<HandshakeSignatureValid, Error> {
            if signature.scheme != SignatureScheme::ED25519 {
                return Err(CertificateError::BadSignature.into());
            }
            verify_tls13_signature(message, certificate, signature, &self.algorithms)
        }

        fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
            vec![SignatureScheme::ED25519]
        }
    };
}

impl ClientCertVerifier for Pins {
    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        &[]
    }

    fn verify_client_cert(
        &self,
        certificate: &CertificateDer<'_>,
        chain: &[CertificateDer<'_>],
        _now: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        self.check(certificate, chain)?;
        Ok(ClientCertVerified::assertion())
    }

    handshake_signatures!();
}

impl ServerCertVerifier for Pins {
    fn verify_server_cert(
        &self,
        certificate: &CertificateDer<'_>,
        chain: &[CertificateDer<'_>],
        _name: &ServerName<'_>,
        _ocsp: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        self.check(certificate, chain)?;
        Ok(ServerCertVerified::assertion())
    }

    handshake_signatures!();
}

fn reset_key(pkcs8_der: &[u8]) -> Result<hmac::Key, Error> {
    let salt = hkdf::Salt::new(hkdf::HKDF_SHA256, b"wugan/1 stateless reset");
    let key = salt.extract(pkcs8_der);
    key.expand(&[], hmac::HMAC_SHA256).map(hmac::Key::from).map_err(|_| Error::General("key derivation failed".into()))
}

fn no_initial_suite(_: quinn::crypto::rustls::NoInitialCipherSuite) -> Error {
    Error::General("the TLS provider lacks AES-128-GCM".into())
}

const ALPN: &[u8] = b"wugan/1";

/// SubjectPublicKeyInfo of Ed25519 up to the key (RFC 8410 section 4).
const SPKI_PREFIX: [u8; 12] = [0x30, 0x2a, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x03, 0x21, 0x00];
