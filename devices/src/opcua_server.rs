//! Serves a simulated plant as an OPC UA address space over TCP, in step with the wall clock: what a real plant's server
//! would look like to a client. Folders follow the plant tree (`Objects/Hall1/Line1/Robot1/Joint4/Angle`); quantities
//! are `AnalogItemType` variables with `EngineeringUnits` and `EURange`.
//!
//! It is meant for demonstrations on the own machine: anyone who reaches its port may read and command the simulated
//! plant, without encryption, anonymously. Absent: security policies, history, events, methods.

mod address_space;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use gemba_twin::sample::Quality;
use opcua::server::address_space::AccessLevel;
use opcua::server::diagnostics::NamespaceMetadata;
use opcua::server::node_manager::memory::{SimpleNodeManager, simple_node_manager};
use opcua::server::{ANONYMOUS_USER_TOKEN_ID, Limits, ServerBuilder, ServerEndpoint, ServerHandle};
use opcua::types::{DataValue, DateTime, NodeId, StatusCode, Variant};
use thiserror::Error;
use tokio::net::TcpListener;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio::time::{Instant, MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;

use crate::simulator::{Reading, STEP_SECS, Simulator};

/// Where and what to serve.
#[derive(Debug, Clone, PartialEq)]
pub struct ServeConfig {
    /// Where to listen; port 0 takes any free port, which [`Serving::address`] tells.
    pub address: SocketAddr,
    /// Production lines of the plant, at least 1.
    pub lines: usize,
    /// The same seed gives the same plant.
    pub seed: u64,
    /// Simulated seconds a second, 0.1 to 100; 1 is real time.
    pub speed: f64,
    /// Simulated time that has passed before the first client can look.
    pub warm_up: Duration,
}

impl ServeConfig {
    /// A plant of `lines` lines in real time, ten minutes after its start.
    pub fn new(address: SocketAddr, lines: usize, seed: u64) -> Self {
        Self { address, lines, seed, speed: 1.0, warm_up: Duration::from_secs(600) }
    }
}

/// Why nothing is served.
#[derive(Debug, Error)]
pub enum ServeError {
    /// Another program listens there.
    #[error("port {} is in use at {}: choose another one, or 0 for any free one", .0.port(), .0.ip())]
    PortInUse(SocketAddr),
    /// The address cannot be listened at.
    #[error("cannot listen at {address}: {source}")]
    Listen {
        /// The address.
        address: SocketAddr,
        /// What the system says.
        source: std::io::Error,
    },
    /// No lines, or a speed outside its range.
    #[error("{0}")]
    Usage(String),
    /// The folder the OPC UA library wants for certificates cannot be made.
    #[error("cannot make a temporary folder: {0}")]
    Folder(std::io::Error),
    /// The OPC UA library refuses to start.
    #[error("the OPC UA server does not start: {0}")]
    Server(String),
}

/// How often the plant's readings are written to the address space: 20 a second, two steps of the simulator.
pub const TICK: Duration = Duration::from_millis(50);

/// Most simulated time made up for after a stall, in ticks: a machine that slept does not wake to minutes of hurry.
const CATCH_UP_TICKS: u32 = 20;

/// How far the wall clock may be from where the steady clock expects it before the plant's time is set anew: someone has
/// put the clock right, or the machine slept.
const CLOCK_SLIP: Duration = Duration::from_millis(100);

/// A running server. Dropping it stops it.
#[derive(Debug)]
pub struct Serving {
    address: SocketAddr,
    stop: CancellationToken,
    server: Option<JoinHandle<Result<(), String>>>,
    ticking: JoinHandle<()>,
}

impl Serving {
    /// Where it listens, with the real port.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// What a client connects to: `opc.tcp://127.0.0.1:4840/`. A server that listens on every address is named by the
    /// loopback one.
    pub fn endpoint(&self) -> String {
        format!("opc.tcp://{}/", reachable(self.address))
    }

    /// Waits until it ends, which it does only when stopped or broken.
    pub async fn ended(&mut self) -> Result<(), ServeError> {
        let Some(server) = self.server.as_mut() else { return Ok(()) };
        let outcome = server.await;
        self.server = None;
        outcome.map_err(|e| ServeError::Server(e.to_string()))?.map_err(ServeError::Server)
    }

    /// Closes all connections and frees the port.
    pub async fn stop(mut self) {
        self.stop.cancel();
        let _ = self.ended().await;
    }
}

impl Drop for Serving {
    fn drop(&mut self) {
        self.stop.cancel();
        self.ticking.abort();
    }
}

/// Starts a server on the current tokio runtime.
pub async fn serve(config: ServeConfig) -> Result<Serving, ServeError> {
    check(&config)?;
    let listener = TcpListener::bind(config.address).await.map_err(|source| match source.kind() {
        std::io::ErrorKind::AddrInUse => ServeError::PortInUse(config.address),
        _ => ServeError::Listen { address: config.address, source },
    })?;
    let address = listener.local_addr().map_err(|source| ServeError::Listen { address: config.address, source })?;
    let pki = tempfile::Builder::new().prefix("gemba-simulator-").tempdir().map_err(ServeError::Folder)?;
    let mut plant = Simulator::new(config.lines, config.seed);
    plant.run(config.warm_up.as_secs_f64());

    let (server, handle) = builder(address)
        .pki_dir(pki.path())
        .with_node_manager(simple_node_manager(
            NamespaceMetadata { namespace_uri: address_space::NAMESPACE.to_owned(), ..Default::default() },
            "plant",
        ))
        .build()
        .map_err(ServeError::Server)?;
    let manager = handle
        .node_managers()
        .get_of_type::<SimpleNodeManager>()
        .ok_or_else(|| ServeError::Server("its node manager is missing".into()))?;
    let namespace = handle
        .get_namespace_index(address_space::NAMESPACE)
        .ok_or_else(|| ServeError::Server("its namespace is missing".into()))?;
    let nodes = address_space::add_tags(&mut manager.address_space().write(), namespace, plant.tags());
    let commands = take_commands(&manager, &plant, &nodes);

    let stop = handle.token().clone();
    let ticker = Ticker { plant, nodes, commands, manager, handle, shown: Vec::new(), speed: config.speed };
    let ticking = tokio::spawn(ticker.run(stop.clone()));
    let server = tokio::spawn(async move {
        let ended = server.run_with(listener).await;
        drop(pki);
        ended
    });
    Ok(Serving { address, stop, server: Some(server), ticking })
}

fn check(config: &ServeConfig) -> Result<(), ServeError> {
    if config.lines == 0 || config.lines > 1000 {
        return Err(ServeError::Usage("a plant has 1 to 1000 lines".into()));
    }
    if !(0.1..=100.0).contains(&config.speed) {
        return Err(ServeError::Usage("the speed is 0.1 to 100 simulated seconds a second".into()));
    }
    Ok(())
}

fn reachable(address: SocketAddr) -> SocketAddr {
    let mut address = address;
    if address.ip().is_unspecified() {
        address.set_ip(match address {
            SocketAddr::V4(_) => std::net::Ipv4Addr::LOCALHOST.into(),
            SocketAddr::V6(_) => std::net::Ipv6Addr::LOCALHOST.into(),
        });
    }
    address
}

fn builder(address: SocketAddr) -> ServerBuilder {
    let reachable = reachable(address);
    let host = match reachable {
        SocketAddr::V4(v4) => v4.ip().to_string(),
        SocketAddr::V6(v6) => format!("[{}]", v6.ip()),
    };
    let anyone = [ANONYMOUS_USER_TOKEN_ID.to_owned()];
    ServerBuilder::new()
        .application_name("Gemba plant simulator")
        .application_uri("urn:gemba:simulator")
        .product_uri("urn:gemba:simulator")
        .create_sample_keypair(false)
        .host(host)
        .port(reachable.port())
        .discovery_urls(vec![format!("opc.tcp://{reachable}/")])
        .add_endpoint("open", ServerEndpoint::new_none("/", &anyone))
        // Looks at subscriptions often enough that a publishing interval of 50 ms is kept to within 10 ms.
        .subscription_poll_interval_ms(10)
        .limits(limits())
}

fn limits() -> Limits {
    let mut limits =
        Limits { max_message_size: 16 << 20, max_chunk_count: 0, max_array_length: 100_000, ..Default::default() };
    limits.subscriptions.min_publishing_interval_ms = 10.0;
    // Zero lets every change through that the ticker writes.
    limits.subscriptions.min_sampling_interval_ms = 0.0;
    limits.subscriptions.max_monitored_items_per_sub = 20_000;
    limits.subscriptions.max_monitored_item_queue_size = 200;
    limits.subscriptions.max_queued_notifications = 100;
    limits
}

/// A command that a client wrote: the tag's place and the value.
type Commanded = (usize, f64);

/// Lets clients write the tags that take commands. What they write waits until the next tick: the simulator is never
/// touched from a client's task.
fn take_commands(manager: &SimpleNodeManager, plant: &Simulator, nodes: &[NodeId]) -> mpsc::Receiver<Commanded> {
    let (sender, commands) = mpsc::channel(crate::limits::WAITING_COMMANDS);
    for (place, (tag, node)) in plant.tags().iter().zip(nodes).enumerate().filter(|(_, (tag, _))| tag.writable) {
        let sender = sender.clone();
        let range = tag.range;
        manager.inner().add_write_callback(node.clone(), move |value: DataValue, _| {
            let Some(Variant::Double(number)) = value.value else { return StatusCode::BadTypeMismatch };
            // Below the range means automatic; see `twin::layout::tags::POSITION`.
            if !number.is_finite() || range.is_some_and(|range| number > range.high) {
                return StatusCode::BadOutOfRange;
            }
            match sender.try_send((place, number)) {
                Ok(()) => StatusCode::GoodCompletesAsynchronously,
                Err(_) => StatusCode::BadTooManyOperations,
            }
        });
    }
    commands
}

/// Steps the plant and writes what has changed.
struct Ticker {
    plant: Simulator,
    nodes: Vec<NodeId>,
    commands: mpsc::Receiver<Commanded>,
    manager: Arc<SimpleNodeManager>,
    handle: ServerHandle,
    shown: Vec<Reading>,
    speed: f64,
}

impl Ticker {
    async fn run(mut self, stop: CancellationToken) {
        let mut tick = interval(TICK);
        tick.set_missed_tick_behavior(MissedTickBehavior::Skip);
        let mut began = Instant::now();
        let mut began_at = SystemTime::now();
        let mut steps: u64 = 0;
        loop {
            tokio::select! {
                _ = tick.tick() => {}
                () = stop.cancelled() => return,
            }
            while let Ok((place, value)) = self.commands.try_recv() {
                self.plant.command(place, value);
            }
            let behind = began.elapsed().as_secs_f64() * self.speed / STEP_SECS - steps as f64;
            let most = f64::from(CATCH_UP_TICKS) * TICK.as_secs_f64() * self.speed.max(1.0) / STEP_SECS;
            if behind > most || apart(began_at + began.elapsed(), SystemTime::now()) > CLOCK_SLIP {
                (began, began_at, steps) = (Instant::now(), SystemTime::now(), 0);
                continue;
            }
            let due = behind.floor().max(0.0) as u64;
            self.plant.steps(due);
            steps += due;
            let since = Duration::from_secs_f64(steps as f64 * STEP_SECS / self.speed);
            self.write(date_time(began_at + since));
        }
    }

    /// Writes the readings that differ from those written last, as of `time`.
    fn write(&mut self, time: DateTime) {
        let readings = self.plant.readings();
        let changed = readings.iter().enumerate().filter(|(i, reading)| self.shown.get(*i) != Some(*reading));
        let values = changed.map(|(i, reading)| (&self.nodes[i], None, data_value(reading, time)));
        if let Err(status) = self.manager.set_values(self.handle.subscriptions(), values) {
            tracing::error!(%status, "the plant's values cannot be written");
        }
        readings.clone_into(&mut self.shown);
    }
}

fn data_value(reading: &Reading, time: DateTime) -> DataValue {
    let status = match reading.quality {
        Quality::Good => StatusCode::Good,
        Quality::Uncertain => StatusCode::UncertainSensorNotAccurate,
        Quality::Bad => StatusCode::BadDeviceFailure,
    };
    DataValue {
        value: Some(address_space::variant(&reading.value)),
        status: Some(status),
        source_timestamp: Some(time),
        server_timestamp: Some(time),
        ..Default::default()
    }
}

fn apart(one: SystemTime, other: SystemTime) -> Duration {
    one.duration_since(other).unwrap_or_else(|before| before.duration())
}

fn date_time(time: SystemTime) -> DateTime {
    let since_epoch = time.duration_since(UNIX_EPOCH).unwrap_or_default();
    let epoch_ticks = DateTime::ymd(1970, 1, 1).ticks();
    DateTime::from(epoch_ticks + i64::try_from(since_epoch.as_nanos() / 100).unwrap_or(0))
}

/// Read, and write where the tag takes commands.
fn access(writable: bool) -> AccessLevel {
    if writable { AccessLevel::CURRENT_READ | AccessLevel::CURRENT_WRITE } else { AccessLevel::CURRENT_READ }
}
