//! A host's end and a peer's, real QUIC on both, with a bad network between them.

use std::net::SocketAddr;
use std::sync::Arc;

use anyhow::Context;
use ed25519_dalek::SigningKey;
use gemba_net::test_network::{Conditions, ProxyConfig, UdpProxy};
use gemba_net::tls;
use gemba_twin::peer::PeerKey;
use quinn::{Connection, Endpoint, TransportConfig};

/// A host that takes connections behind a bad network.
pub struct Line {
    proxy: UdpProxy,
    host: Endpoint,
    key: PeerKey,
}

/// One connection's two ends. The peer's endpoint lives as long.
pub struct Ends {
    /// The host's, which sends.
    pub host: Connection,
    /// The peer's, which receives.
    pub peer: Connection,
    _endpoint: Endpoint,
}

impl Line {
    /// A host behind this line, the same both ways. To be called in a runtime.
    pub fn open(conditions: &str, seed: u64) -> anyhow::Result<Self> {
        let key = SigningKey::from_bytes(&[1; 32]);
        let server = quinn::ServerConfig::with_crypto(Arc::new(tls::server(&key, &[])?));
        let any: SocketAddr = ([127, 0, 0, 1], 0).into();
        let host = Endpoint::server(server, any)?;
        let line: Conditions = conditions.parse()?;
        let config = ProxyConfig { listen: any, target: host.local_addr()?, up: line, down: line, seed };
        let key = PeerKey(key.verifying_key().to_bytes());
        Ok(Self { proxy: UdpProxy::start(config)?, host, key })
    }

    /// One more connection, whose both ends are set so.
    pub async fn connect(&self, transport: TransportConfig) -> anyhow::Result<Ends> {
        let transport = Arc::new(transport);
        let key = SigningKey::from_bytes(&[2; 32]);
        let mut client = quinn::ClientConfig::new(Arc::new(tls::client(&key, self.key)?));
        client.transport_config(transport.clone());
        let mut server =
            quinn::ServerConfig::with_crypto(Arc::new(tls::server(&SigningKey::from_bytes(&[1; 32]), &[])?));
        server.transport_config(transport);
        self.host.set_server_config(Some(server));
        let endpoint = Endpoint::client(([127, 0, 0, 1], 0).into())?;
        let connecting = endpoint.connect_with(client, self.proxy.local_addr(), "gemba")?;
        let (host, peer) = tokio::try_join!(
            async { Ok::<_, anyhow::Error>(self.host.accept().await.context("the endpoint has ended")?.await?) },
            async { Ok(connecting.await?) },
        )?;
        Ok(Ends { host, peer, _endpoint: endpoint })
    }
}
