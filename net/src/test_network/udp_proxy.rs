//! The test network in front of a real UDP port. Everyone who sends to the proxy shares one line to the target, as
//! people in one office do; each has a port of its own towards the target, so that the target tells them apart.

use std::collections::HashMap;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::net::UdpSocket;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

use super::conditions::Conditions;
use super::direction::{Counts, Direction};
use crate::limits;

/// Largest UDP datagram.
const DATAGRAM_BYTES: usize = 65_535;
/// Packets taken from a socket before others have their turn.
const AT_ONCE: usize = 64;

/// Between whom, and how bad.
#[derive(Debug, Clone, Copy)]
pub struct ProxyConfig {
    /// Where clients send; port 0 for any free one.
    pub listen: SocketAddr,
    /// Where the host listens.
    pub target: SocketAddr,
    /// From the clients to the target.
    pub up: Conditions,
    /// From the target to the clients.
    pub down: Conditions,
    /// Decides which packets get lost.
    pub seed: u64,
}

/// What has become of packets.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ProxyCounts {
    /// From the clients to the target.
    pub up: Counts,
    /// From the target to the clients.
    pub down: Counts,
    /// Clients known now.
    pub clients: usize,
    /// Packets that this machine did not take or had no room for: the proxy was too slow, or nobody listens.
    pub failed: u64,
}

enum Command {
    Conditions(Conditions, Conditions),
    Cut(bool, bool),
    Rebind,
    Counts(std::sync::mpsc::SyncSender<ProxyCounts>),
}

/// A running proxy, on a thread of its own. Dropping it ends it.
#[derive(Debug)]
pub struct UdpProxy {
    local: SocketAddr,
    commands: Option<mpsc::Sender<Command>>,
    thread: Option<std::thread::JoinHandle<()>>,
}

impl UdpProxy {
    /// Binds and begins to forward. Fails when the address cannot be bound.
    pub fn start(config: ProxyConfig) -> io::Result<Self> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let listening = std::net::UdpSocket::bind(config.listen)?;
        listening.set_nonblocking(true)?;
        let local = listening.local_addr()?;
        let listening = {
            let _inside = runtime.enter();
            UdpSocket::from_std(listening)?
        };
        let (commands, receiver) = mpsc::channel(16);
        let (returns, returned) = mpsc::channel(limits::TEST_NETWORK_RETURNS);
        let worker = Worker {
            listening,
            target: config.target,
            up: Direction::new(config.up, config.seed),
            down: Direction::new(config.down, !config.seed),
            clients: HashMap::new(),
            returns,
            failed: 0,
        };
        let thread = std::thread::Builder::new()
            .name("gemba-proxy".to_owned())
            .spawn(move || runtime.block_on(worker.run(receiver, returned)))?;
        Ok(Self { local, commands: Some(commands), thread: Some(thread) })
    }

    /// Where clients send.
    pub fn local_addr(&self) -> SocketAddr {
        self.local
    }

    /// The line behaves otherwise from now on.
    pub fn set_conditions(&self, up: Conditions, down: Conditions) {
        self.do_now(Command::Conditions(up, down));
    }

    /// Cuts or mends each way.
    pub fn set_cut(&self, up: bool, down: bool) {
        self.do_now(Command::Cut(up, down));
    }

    /// Gives every client another port towards the target, as when a laptop changes its network or a router forgets.
    pub fn rebind(&self) {
        self.do_now(Command::Rebind);
    }

    /// What has become of packets so far.
    pub fn counts(&self) -> ProxyCounts {
        let (reply, answer) = std::sync::mpsc::sync_channel(1);
        self.tell(Command::Counts(reply));
        // A thread that has ended, which nothing makes it do before this is dropped, has nothing to tell.
        answer.recv().unwrap_or_default()
    }

    /// Returns when it has been done, so that what is sent next finds it so.
    fn do_now(&self, command: Command) {
        self.tell(command);
        self.counts();
    }

    fn tell(&self, mut command: Command) {
        let Some(commands) = &self.commands else { return };
        // Not `blocking_send`, which must not be called inside a runtime; the queue is emptied within milliseconds.
        while let Err(mpsc::error::TrySendError::Full(back)) = commands.try_send(command) {
            command = back;
            std::thread::yield_now();
        }
    }
}

impl Drop for UdpProxy {
    fn drop(&mut self) {
        self.commands = None;
        if let Some(thread) = self.thread.take() {
            // One that panicked has ended as well.
            let _ = thread.join();
        }
    }
}

/// A packet with the client that it comes from or goes to.
type Packet = (SocketAddr, Vec<u8>);

struct Client {
    socket: Arc<UdpSocket>,
    reader: JoinHandle<()>,
    heard: Instant,
}

impl Drop for Client {
    fn drop(&mut self) {
        self.reader.abort();
    }
}

struct Worker {
    listening: UdpSocket,
    target: SocketAddr,
    up: Direction<Packet>,
    down: Direction<Packet>,
    clients: HashMap<SocketAddr, Client>,
    returns: mpsc::Sender<Packet>,
    failed: u64,
}

impl Worker {
    async fn run(mut self, mut commands: mpsc::Receiver<Command>, mut returned: mpsc::Receiver<Packet>) {
        let mut buffer = vec![0; DATAGRAM_BYTES];
        loop {
            let next = [self.up.next_arrival(), self.down.next_arrival()].into_iter().flatten().min();
            let next = next.unwrap_or_else(|| Instant::now() + Duration::from_secs(60));
            tokio::select! {
                command = commands.recv() => match command {
                    Some(command) => self.command(command).await,
                    None => return,
                },
                readable = self.listening.readable() => {
                    if readable.is_ok() {
                        self.take_in(&mut buffer).await;
                    }
                }
                Some((client, bytes)) = returned.recv() => {
                    self.down.handle_packet(Instant::now(), bytes.len(), (client, bytes));
                    while let Ok((client, bytes)) = returned.try_recv() {
                        self.down.handle_packet(Instant::now(), bytes.len(), (client, bytes));
                    }
                }
                () = tokio::time::sleep_until(next.into()) => {}
            }
            self.deliver();
        }
    }

    async fn command(&mut self, command: Command) {
        match command {
            Command::Conditions(up, down) => {
                self.up.set_conditions(up);
                self.down.set_conditions(down);
            }
            Command::Cut(up, down) => {
                self.up.set_cut(up);
                self.down.set_cut(down);
            }
            Command::Rebind => {
                let known: Vec<SocketAddr> = self.clients.keys().copied().collect();
                for client in known {
                    if self.greet(client).await.is_err() {
                        self.failed += 1;
                    }
                }
            }
            Command::Counts(reply) => {
                let (up, down) = (self.up.counts(), self.down.counts());
                let counts = ProxyCounts { up, down, clients: self.clients.len(), failed: self.failed };
                // Who asked and has gone does not need it.
                let _ = reply.try_send(counts);
            }
        }
    }

    async fn take_in(&mut self, buffer: &mut [u8]) {
        for _ in 0..AT_ONCE {
            // An error, such as a client that has gone, is about an earlier packet; none waits after it either.
            let Ok((length, client)) = self.listening.try_recv_from(buffer) else { return };
            let now = Instant::now();
            if let Some(known) = self.clients.get_mut(&client) {
                known.heard = now;
            } else if self.greet(client).await.is_err() {
                self.failed += 1;
                continue;
            }
            self.up.handle_packet(now, length, (client, buffer[..length].to_vec()));
        }
    }

    /// Gives the client a port of its own, in place of one that it has.
    async fn greet(&mut self, client: SocketAddr) -> io::Result<()> {
        if self.clients.len() >= limits::TEST_NETWORK_CLIENTS && !self.clients.contains_key(&client) {
            self.clients.retain(|_, known| known.heard.elapsed() < limits::TEST_NETWORK_IDLE);
            if self.clients.len() >= limits::TEST_NETWORK_CLIENTS {
                return Err(io::ErrorKind::QuotaExceeded.into());
            }
        }
        let any: IpAddr =
            if self.target.is_ipv4() { Ipv4Addr::UNSPECIFIED.into() } else { Ipv6Addr::UNSPECIFIED.into() };
        let socket = Arc::new(UdpSocket::bind((any, 0)).await?);
        socket.connect(self.target).await?;
        // A new socket is taken for busy until the runtime has looked at it.
        socket.writable().await?;
        let (reads, returns) = (socket.clone(), self.returns.clone());
        let reader = tokio::spawn(async move {
            let mut buffer = vec![0; DATAGRAM_BYTES];
            loop {
                match reads.recv(&mut buffer).await {
                    // No room: lost, as in any network.
                    Ok(length) => drop(returns.try_send((client, buffer[..length].to_vec()))),
                    // Nobody listens at the target just now.
                    Err(_) => tokio::time::sleep(Duration::from_millis(1)).await,
                }
            }
        });
        self.clients.insert(client, Client { socket, reader, heard: Instant::now() });
        Ok(())
    }

    fn deliver(&mut self) {
        let now = Instant::now();
        while let Some((_, (client, bytes))) = self.up.poll_delivery(now) {
            let sent = self.clients.get(&client).is_some_and(|known| known.socket.try_send(&bytes).is_ok());
            self.failed += u64::from(!sent);
        }
        while let Some((_, (client, bytes))) = self.down.poll_delivery(now) {
            self.failed += u64::from(self.listening.try_send_to(&bytes, client).is_err());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::UdpSocket as StdSocket;

    fn socket() -> StdSocket {
        let socket = StdSocket::bind("127.0.0.1:0").unwrap();
        socket.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        socket
    }

    fn start(target: &StdSocket, up: &str, down: &str) -> UdpProxy {
        let listen = "127.0.0.1:0".parse().unwrap();
        let target = target.local_addr().unwrap();
        let (up, down) = (up.parse().unwrap(), down.parse().unwrap());
        UdpProxy::start(ProxyConfig { listen, target, up, down, seed: 1 }).unwrap()
    }

    #[test]
    fn what_two_clients_say_comes_from_two_ports_and_each_gets_its_answer() {
        let (host, ada, grace) = (socket(), socket(), socket());
        let proxy = start(&host, "delay=30ms", "");
        let begun = Instant::now();
        ada.send_to(b"ada", proxy.local_addr()).unwrap();
        grace.send_to(b"grace", proxy.local_addr()).unwrap();
        let mut buffer = [0; 16];
        let mut ports = Vec::new();
        for _ in 0..2 {
            let (length, from) = host.recv_from(&mut buffer).unwrap();
            host.send_to(&buffer[..length], from).unwrap();
            ports.push(from.port());
        }
        assert!(ports[0] != ports[1] && begun.elapsed() >= Duration::from_millis(30));
        for (client, name) in [(&ada, &b"ada"[..]), (&grace, b"grace")] {
            let (length, from) = client.recv_from(&mut buffer).unwrap();
            assert_eq!((&buffer[..length], from), (name, proxy.local_addr()));
        }
        let counts = proxy.counts();
        assert_eq!((counts.up.delivered, counts.down.delivered, counts.clients), (2, 2, 2));
    }

    #[test]
    fn after_a_rebind_the_host_hears_the_client_from_another_port_and_reaches_it_there() {
        let (host, ada) = (socket(), socket());
        let proxy = start(&host, "", "");
        let mut buffer = [0; 16];
        let mut said = |what: &[u8]| {
            ada.send_to(what, proxy.local_addr()).unwrap();
            let (_, from) = host.recv_from(&mut buffer).unwrap();
            from
        };
        let before = said(b"1");
        proxy.rebind();
        let after = said(b"2");
        assert_ne!(before, after);
        host.send_to(b"back", after).unwrap();
        assert_eq!(ada.recv_from(&mut buffer).unwrap().0, 4);
    }

    #[test]
    fn a_cut_proxy_drops_and_counts_what_is_said() {
        let (host, ada) = (socket(), socket());
        let proxy = start(&host, "", "");
        proxy.set_cut(true, true);
        ada.send_to(b"lost", proxy.local_addr()).unwrap();
        while proxy.counts().up.dropped_cut == 0 {
            std::thread::yield_now();
        }
        proxy.set_cut(false, false);
        ada.send_to(b"heard", proxy.local_addr()).unwrap();
        let mut buffer = [0; 16];
        assert_eq!(host.recv_from(&mut buffer).unwrap().0, 5);
    }
}
