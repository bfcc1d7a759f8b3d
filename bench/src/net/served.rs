//! A site served over real sockets on this machine, without a record, and how much processor its threads take.

use std::fs;
use std::time::Duration;

use anyhow::Context;
use ed25519_dalek::SigningKey;
use gemba_net::test_network::{ProxyConfig, UdpProxy};
use gemba_net::{Address, HostCommand, HostEvent, Link, LinkConfig, ListenConfig, connect, listen};
use gemba_twin::peer::{PeerKey, PeerKind};
use tokio::sync::mpsc;

/// Name of the host's threads.
const THREADS: &str = "bench-host";
/// What /proc counts in (`getconf CLK_TCK` on every Linux).
const TICKS_PER_SEC: f64 = 100.0;

/// The host, and the line to it.
pub struct Served {
    /// What the host program says.
    pub commands: mpsc::Sender<HostCommand>,
    /// The line to the host.
    pub proxy: UdpProxy,
    address: Address,
    direct: Address,
    _runtime: tokio::runtime::Runtime,
}

impl Served {
    /// A host that lets everyone in, behind this line, the same both ways.
    pub fn start(conditions: &str, seed: u64) -> anyhow::Result<Self> {
        let runtime =
            tokio::runtime::Builder::new_multi_thread().worker_threads(1).thread_name(THREADS).enable_all().build()?;
        let signing_key = SigningKey::from_bytes(&[1; 32]);
        let key = PeerKey(signing_key.verifying_key().to_bytes());
        let any = ([127, 0, 0, 1], 0).into();
        let site = "bench".to_owned();
        let mut port = runtime.block_on(listen(ListenConfig {
            address: any,
            signing_key,
            earlier_keys: Vec::new(),
            site: site.clone(),
        }))?;
        let commands = port.commands.clone();
        let (up, down) = (conditions.parse()?, conditions.parse()?);
        let proxy = UdpProxy::start(ProxyConfig { listen: any, target: port.local_addr(), up, down, seed })?;
        let direct = Address { host: "127.0.0.1".to_owned(), port: port.local_addr().port(), site, key };
        let address = Address { port: proxy.local_addr().port(), ..direct.clone() };
        let answers = commands.clone();
        runtime.spawn(async move {
            while let Some(event) = port.events.recv().await {
                if let HostEvent::Arrived { peer, .. } = event
                    && answers.send(HostCommand::Admit { peer, entries: 0 }).await.is_err()
                {
                    return;
                }
            }
        });
        Ok(Self { commands, proxy, address, direct, _runtime: runtime })
    }

    /// One more viewer.
    pub fn connect(&self, seed: u8) -> Link {
        link(&self.address, seed)
    }

    /// One more viewer, past the line.
    pub fn connect_directly(&self, seed: u8) -> Link {
        link(&self.direct, seed)
    }

    /// The host's own address, past the line.
    pub fn direct(&self) -> &Address {
        &self.direct
    }

    /// Says something as the host program.
    pub fn say(&self, command: HostCommand) -> anyhow::Result<()> {
        self.commands.blocking_send(command).context("the host has stopped")
    }

    /// Processor time that the host's threads have taken so far.
    pub fn cpu() -> anyhow::Result<Duration> {
        cpu_of(THREADS)
    }
}

/// Processor time that threads of this name have taken so far.
pub fn cpu_of(threads: &str) -> anyhow::Result<Duration> {
    let mut ticks = 0u64;
    for task in fs::read_dir("/proc/self/task")? {
        let folder = task?.path();
        // A thread may have ended meanwhile.
        let Ok(name) = fs::read_to_string(folder.join("comm")) else { continue };
        if name.trim() != threads {
            continue;
        }
        let stat = fs::read_to_string(folder.join("stat"))?;
        let fields: Vec<&str> = stat.rsplit(") ").next().unwrap_or_default().split(' ').collect();
        // Fields 14 and 15 of the line, counted from the one after the name, which is the third.
        for field in [11, 12] {
            ticks += fields.get(field).and_then(|field| field.parse::<u64>().ok()).unwrap_or(0);
        }
    }
    Ok(Duration::from_secs_f64(ticks as f64 / TICKS_PER_SEC))
}

fn link(address: &Address, seed: u8) -> Link {
    let (address, signing_key) = (address.clone(), SigningKey::from_bytes(&[seed; 32]));
    connect(LinkConfig { address, signing_key, name: "bench".to_owned(), kind: PeerKind::Person, entries_held: 0 })
}
