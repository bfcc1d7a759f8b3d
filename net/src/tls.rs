//! Who is at the other end: TLS 1.3, both ways, with raw Ed25519 public keys (RFC 7250). There are no certificates and
//! no names: a peer's key is its identity, and an address says which key it expects.
//!
//! A host whose key was replaced shows the one before it to whoever comes with an address from that time, and asks for it
//! by the server name. That proves nothing but that this is where the address led; which key counts, the
//! record says, and who has read it connects anew with that one.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use ed25519_dalek::SigningKey;
use ed25519_dalek::pkcs8::EncodePrivateKey;
use gemba_twin::peer::PeerKey;
use quinn::crypto::rustls::{QuicClientConfig, QuicServerConfig};
use rustls::client::AlwaysResolvesClientRawPublicKeys;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, WebPkiSupportedAlgorithms, verify_tls13_signature_with_raw_key};
use rustls::pki_types::{
    CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer, ServerName, SubjectPublicKeyInfoDer, UnixTime,
};
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::server::{ClientHello, ResolvesServerCert, ServerSessionMemoryCache};
use rustls::sign::CertifiedKey;
use rustls::{CertificateError, DigitallySignedStruct, DistinguishedName, Error, PeerIncompatible, SignatureScheme};

use crate::{limits, wire};

/// The fixed beginning of an Ed25519 SubjectPublicKeyInfo (RFC 8410): the key's 32 bytes follow.
const SPKI: [u8; 12] = [0x30, 0x2a, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x03, 0x21, 0x00];

/// The key in a SubjectPublicKeyInfo; none if it is of another kind.
fn key_of(spki: &[u8]) -> Option<PeerKey> {
    let key = spki.strip_prefix(&SPKI)?;
    Some(PeerKey(key.try_into().ok()?))
}

/// The key of the peer that this connection has proven to be with.
pub(crate) fn peer_key(connection: &quinn::Connection) -> Option<PeerKey> {
    let identity = connection.peer_identity()?.downcast::<Vec<CertificateDer<'static>>>().ok()?;
    key_of(identity.first()?.as_ref())
}

fn provider() -> Arc<CryptoProvider> {
    Arc::new(rustls::crypto::ring::default_provider())
}

fn certified(key: &SigningKey, provider: &CryptoProvider) -> Result<Arc<CertifiedKey>, Error> {
    let pkcs8 = key.to_pkcs8_der().map_err(|e| Error::General(format!("the signing key cannot be used: {e}")))?;
    let private = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(pkcs8.as_bytes().to_vec()));
    let private = provider.key_provider.load_private_key(private)?;
    let public = [&SPKI[..], key.verifying_key().as_bytes()].concat();
    Ok(Arc::new(CertifiedKey::new(vec![CertificateDer::from(public)], private)))
}

/// A client's side: proves our key, takes no host but the one with `expected`.
pub fn client(key: &SigningKey, expected: PeerKey) -> Result<QuicClientConfig, Error> {
    quic(Arc::new(client_side(key, expected)?))
}

fn quic(side: Arc<rustls::ClientConfig>) -> Result<QuicClientConfig, Error> {
    QuicClientConfig::try_from(side).map_err(|e| Error::General(e.to_string()))
}

/// The client's sides of one peer whose TLS sessions are resumed, so that what is read can be asked for with the first
/// packet (0-RTT). One for each host's key, kept from one connection to the next: a session is resumed only by the side
/// that began it.
#[derive(Debug, Clone, Default)]
pub struct Resumable(Arc<Mutex<HashMap<PeerKey, Arc<rustls::ClientConfig>>>>);

impl Resumable {
    /// The side to the host with `expected`; always of the same `key`.
    pub fn client(&self, key: &SigningKey, expected: PeerKey) -> Result<QuicClientConfig, Error> {
        let mut sides = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if !sides.contains_key(&expected) {
            if sides.len() >= limits::HOSTS_RESUMED {
                sides.clear();
            }
            let mut side = client_side(key, expected)?;
            side.enable_early_data = true;
            sides.insert(expected, Arc::new(side));
        }
        quic(sides[&expected].clone())
    }
}

fn client_side(key: &SigningKey, expected: PeerKey) -> Result<rustls::ClientConfig, Error> {
    let provider = provider();
    let verifier = OnlyKey { expected: Some(expected), algorithms: provider.signature_verification_algorithms };
    let resolver = AlwaysResolvesClientRawPublicKeys::new(certified(key, &provider)?);
    let mut config = rustls::ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&rustls::version::TLS13])?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(verifier))
        .with_client_cert_resolver(Arc::new(resolver));
    config.alpn_protocols = vec![wire::ALPN.to_vec()];
    Ok(config)
}

/// The name by which a peer says which of a host's keys it expects: half of the key's digits, since a label of a name has
/// at most 63 (RFC 1035 §2.3.4). Hosts from before this passed over it.
pub(crate) fn server_name(expected: &PeerKey) -> String {
    let digits = expected.to_string();
    format!("{}.gemba", &digits[..digits.len() / 2])
}

/// A host's side: proves our key, or one of the `earlier` ones to who expects that; takes any peer that proves a key of its
/// own. Whether it may come in is the site's decision. A session can be resumed once, which also keeps what is said
/// early from being heard twice (RFC 8446, section 8.1).
pub fn server(key: &SigningKey, earlier: &[SigningKey]) -> Result<QuicServerConfig, Error> {
    let provider = provider();
    let verifier = OnlyKey { expected: None, algorithms: provider.signature_verification_algorithms };
    let resolver = OwnKeys::new(key, earlier, &provider)?;
    let mut config = rustls::ServerConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&rustls::version::TLS13])?
        .with_client_cert_verifier(Arc::new(verifier))
        .with_cert_resolver(Arc::new(resolver));
    config.alpn_protocols = vec![wire::ALPN.to_vec()];
    config.session_storage = ServerSessionMemoryCache::new(limits::SESSIONS_RESUMABLE);
    // QUIC knows all or nothing (RFC 9001, section 4.6.1); what is done with it: `lines.rs`.
    config.max_early_data_size = u32::MAX;
    QuicServerConfig::try_from(config).map_err(|e| Error::General(e.to_string()))
}

/// A host's keys.
#[derive(Debug)]
struct OwnKeys {
    in_use: Arc<CertifiedKey>,
    /// By the names that ask for them.
    earlier: Vec<(String, Arc<CertifiedKey>)>,
}

impl OwnKeys {
    fn new(key: &SigningKey, earlier: &[SigningKey], provider: &CryptoProvider) -> Result<Self, Error> {
        let named =
            |key: &SigningKey| Ok((server_name(&PeerKey(key.verifying_key().to_bytes())), certified(key, provider)?));
        let earlier = earlier.iter().map(named).collect::<Result<_, Error>>()?;
        Ok(Self { in_use: certified(key, provider)?, earlier })
    }
}

impl ResolvesServerCert for OwnKeys {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        let asked = hello.server_name();
        let earlier = self.earlier.iter().find(|(name, _)| asked == Some(name)).map(|(_, key)| key);
        Some(earlier.unwrap_or(&self.in_use).clone())
    }

    fn only_raw_public_keys(&self) -> bool {
        true
    }
}

/// Takes only Ed25519 keys, and only the expected one where one is expected.
#[derive(Debug)]
struct OnlyKey {
    expected: Option<PeerKey>,
    algorithms: WebPkiSupportedAlgorithms,
}

impl OnlyKey {
    fn check(&self, spki: &[u8]) -> Result<(), Error> {
        let key = key_of(spki).ok_or(Error::InvalidCertificate(CertificateError::BadEncoding))?;
        match self.expected {
            Some(expected) if expected != key => {
                Err(Error::InvalidCertificate(CertificateError::ApplicationVerificationFailure))
            }
            _ => Ok(()),
        }
    }

    fn verify(
        &self,
        message: &[u8],
        spki: &[u8],
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature_with_raw_key(message, &SubjectPublicKeyInfoDer::from(spki), signature, &self.algorithms)
    }
}

impl ServerCertVerifier for OnlyKey {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        self.check(end_entity).map(|()| ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Err(Error::PeerIncompatible(PeerIncompatible::Tls12NotOffered))
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.verify(message, cert, signature)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        vec![SignatureScheme::ED25519]
    }

    fn requires_raw_public_keys(&self) -> bool {
        true
    }
}

impl ClientCertVerifier for OnlyKey {
    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        &[]
    }

    fn verify_client_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        self.check(end_entity).map(|()| ClientCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Err(Error::PeerIncompatible(PeerIncompatible::Tls12NotOffered))
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.verify(message, cert, signature)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        vec![SignatureScheme::ED25519]
    }

    fn requires_raw_public_keys(&self) -> bool {
        true
    }
}
