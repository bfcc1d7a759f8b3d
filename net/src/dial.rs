//! Reaching a site: one of the places where its host may be. The first that is there and lets us connect is the host; a
//! host that stands by for another lets nobody connect, so that nobody mistakes it for one.

use std::net::{Ipv6Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use ed25519_dalek::SigningKey;
use gemba_twin::peer::PeerKey;
use quinn::{Connection, ConnectionError, Endpoint, VarInt};
use tokio::task::JoinSet;

use crate::address::Address;
use crate::blob_hash::BlobHash;
use crate::bulk_line::{Asked, Begun};
use crate::frames::close;
use crate::tls::{self, Resumable};
use crate::{bulk_line, limits, transport};

/// Who wants to be connected.
#[derive(Debug, Clone)]
pub(crate) struct Caller {
    /// What proves it.
    pub(crate) key: SigningKey,
    /// Where it has been.
    pub(crate) resumable: Resumable,
    /// Blobs that it lacks, from which byte on; asked for at once where it has been.
    pub(crate) wishes: Vec<(BlobHash, u64)>,
}

/// A connection to the site's host.
pub(crate) struct Reached {
    pub(crate) endpoint: Endpoint,
    pub(crate) connection: Connection,
    /// The second connection, for what is bulk, on its way; none if it was not asked for, or has been taken.
    pub(crate) bulk: Option<Begun>,
    /// What has been asked for on it already.
    pub(crate) asked: Vec<Asked>,
    /// Who and where it is.
    pub(crate) host: Address,
}

/// Why there is none.
#[derive(Debug)]
pub(crate) enum DialError {
    /// Trying again would not help.
    Refused(String),
    /// Trying again may help.
    Lost(String),
}

/// Connects to the first of these places that takes us; all are tried at once, the earlier ones a little earlier. Of
/// several, each is tried again and again until the time is over: one of them is about to succeed another.
pub(crate) async fn dial(hosts: &[Address], caller: &Caller, attempt: u32) -> Result<Reached, DialError> {
    let mut tries = JoinSet::new();
    for (at, host) in hosts.iter().enumerate() {
        let head_start = limits::HEAD_START * at as u32;
        tries.spawn(reach(host.clone(), caller.clone(), attempt, head_start, hosts.len() > 1));
    }
    let first = async {
        let mut failure = None;
        while let Some(tried) = tries.join_next().await {
            match tried {
                Ok(Ok(reached)) => return Ok(reached),
                Ok(Err(why)) => drop(failure.get_or_insert(why)),
                // A try that panicked has failed.
                Err(_) => {}
            }
        }
        Err(failure.unwrap_or_else(|| DialError::Lost("there is no host to connect to".to_owned())))
    };
    match tokio::time::timeout(limits::CONNECT, first).await {
        Ok(outcome) => outcome,
        Err(_) => {
            let places: Vec<String> = hosts.iter().map(|Address { host, port, .. }| format!("{host}:{port}")).collect();
            Err(DialError::Lost(format!("no answer from {}", places.join(" or "))))
        }
    }
}

/// Whether the host of this key serves there now. None when nobody answers in time.
pub async fn serves(host: &Address, key: &SigningKey, within: Duration) -> Option<bool> {
    match tokio::time::timeout(within, connect(host, key, 0, Lines::One)).await {
        Ok(Ok(reached)) => {
            reached.connection.close(VarInt::from_u32(close::LEFT), b"");
            // The good-bye is a packet that must still leave this machine.
            let _ = tokio::time::timeout(Duration::from_millis(100), reached.endpoint.wait_idle()).await;
            Some(true)
        }
        Ok(Err(ConnectError::Connection(ConnectionError::ConnectionClosed(_)))) => Some(false),
        Ok(Err(_)) | Err(_) => None,
    }
}

async fn reach(
    host: Address,
    caller: Caller,
    attempt: u32,
    head_start: Duration,
    again: bool,
) -> Result<Reached, DialError> {
    tokio::time::sleep(head_start).await;
    for more in 0.. {
        let tried = connect(&host, &caller.key, attempt.wrapping_add(more), Lines::Both(&caller)).await;
        match tried.map_err(|error| explain(&host, error)) {
            Err(DialError::Lost(_)) if again => tokio::time::sleep(limits::RETRY.0).await,
            outcome => return outcome,
        }
    }
    unreachable!("the numbers do not end before the time does")
}

/// Why one try failed.
#[derive(Debug)]
enum ConnectError {
    Name(std::io::Error),
    NoAddress,
    Key(rustls::Error),
    Socket(std::io::Error),
    Connect(quinn::ConnectError),
    Connection(ConnectionError),
}

/// Which connections are made.
#[derive(Debug, Clone, Copy)]
enum Lines<'a> {
    /// The first: whether somebody serves there is all that is asked.
    One,
    /// The second too, at once: a newcomer is told of very many bodies on it as soon as it is let in.
    Both(&'a Caller),
}

async fn connect(to: &Address, key: &SigningKey, attempt: u32, lines: Lines<'_>) -> Result<Reached, ConnectError> {
    let mut first = quinn::ClientConfig::new(Arc::new(tls::client(key, to.key).map_err(ConnectError::Key)?));
    first.transport_config(Arc::new(transport::real_time()));
    let second = match lines {
        Lines::One => None,
        Lines::Both(caller) => {
            let client = bulk_line::client(&caller.resumable, key, to.key).map_err(ConnectError::Key)?;
            Some((client, &caller.wishes))
        }
    };
    let place = place(to, attempt).await?;
    let any = match place {
        SocketAddr::V6(_) => SocketAddr::from((Ipv6Addr::UNSPECIFIED, 0)),
        SocketAddr::V4(_) => SocketAddr::from(([0, 0, 0, 0], 0)),
    };
    let endpoint = transport::endpoint(any, None).map_err(ConnectError::Socket)?;
    let connect =
        |client| endpoint.connect_with(client, place, &tls::server_name(&to.key)).map_err(ConnectError::Connect);
    let connecting = connect(first)?;
    let (mut bulk, mut asked) = (None, Vec::new());
    if let Some((client, wishes)) = second {
        let begun = Begun::asking(connect(client)?, wishes).await;
        (bulk, asked) = (Some(begun.0), begun.1);
    }
    let connection = connecting.await.map_err(ConnectError::Connection)?;
    Ok(Reached { endpoint, connection, bulk, asked, host: to.clone() })
}

/// A name may stand for several addresses of which not all answer: each try takes the next.
async fn place(Address { host, port, .. }: &Address, attempt: u32) -> Result<SocketAddr, ConnectError> {
    let found = tokio::net::lookup_host((host.as_str(), *port)).await.map_err(ConnectError::Name)?;
    let found: Vec<SocketAddr> = found.collect();
    found.get(attempt as usize % found.len().max(1)).copied().ok_or(ConnectError::NoAddress)
}

/// What a failed try means.
fn explain(Address { host, port, key, .. }: &Address, error: ConnectError) -> DialError {
    let error = match error {
        ConnectError::Name(error) => return DialError::Lost(format!("the name {host} is not known here: {error}")),
        ConnectError::NoAddress => return DialError::Lost(format!("the name {host} has no address")),
        ConnectError::Key(error) => {
            return DialError::Refused(format!("this person's key cannot be used: {error}"));
        }
        ConnectError::Socket(error) => return DialError::Lost(format!("no socket: {error}")),
        ConnectError::Connect(error) => return DialError::Lost(error.to_string()),
        ConnectError::Connection(error) => error.to_string(),
    };
    if error.contains("ApplicationVerificationFailure") {
        let key = key.short();
        return DialError::Refused(format!(
            "the host at this address does not have the key {key}… that the address names; ask the site's owner for its address"
        ));
    }
    if error.contains("application protocol") {
        let why = "the host speaks another major version of the protocol; update the older one";
        return DialError::Refused(why.to_owned());
    }
    DialError::Lost(format!("no connection to {host}:{port}: {error}"))
}

/// The address of a host that is reached at `place` (`host:port`); none if that is no place.
pub fn address_of(place: &str, site: &str, key: PeerKey) -> Option<Address> {
    format!("gemba://{place}/{site}#{key}").parse().ok()
}
