//! lightyear as a rival, as `replicon.rs` has the crate that it sits on: a server and its clients as apps of one process,
//! without rendering, over lightyear's own links of channels and with nothing of what predicts and interpolates. What it
//! costs is the server's update until its packets are handed to the links, and the bytes are those packets'.

use std::net::SocketAddr;
use std::time::Duration;

use ::lightyear::crossbeam::{CrossbeamIo, CrossbeamPlugin};
use ::lightyear::prelude::client::{ClientPlugins, Connect, RawClient};
use ::lightyear::prelude::server::{RawServer, ServerPlugins, Started};
use ::lightyear::prelude::{
    AppComponentExt, LinkOf, LinkStart, NetworkTarget, PeerAddr, PeerId, Replicate, ReplicationReceiver,
    ReplicationSender,
};
use bevy::prelude::*;
use bevy::state::app::StatesPlugin;
use bevy::time::TimeUpdateStrategy;
use bytes::Bytes;
use crossbeam_channel::{Receiver, Sender, unbounded};

use super::replicon::{Placed, Tick, update};

/// As the table names it.
pub const NAME: &str = "lightyear 0.30";
const TICK: Duration = Duration::from_millis(33);
/// Ticks in which everyone must have learnt of all bodies.
const COMING_TICKS: usize = 300;

/// A client, and its link, which is carried by hand so that its bytes can be counted.
struct Client {
    app: App,
    told: Receiver<Bytes>,
    to_client: Sender<Bytes>,
}

/// A server with its clients.
pub struct Replication {
    server: App,
    clients: Vec<Client>,
    bodies: Vec<Entity>,
}

fn app(plugins: impl PluginGroup) -> App {
    let mut app = App::new();
    app.add_plugins((MinimalPlugins, StatesPlugin)).add_plugins(plugins);
    // It is among the others already once one of them needs it.
    if !app.is_plugin_added::<CrossbeamPlugin>() {
        app.add_plugins(CrossbeamPlugin);
    }
    app.insert_resource(TimeUpdateStrategy::ManualDuration(TICK));
    app.component::<Placed>().replicate();
    app.finish();
    app.cleanup();
    app
}

/// Of a client; nothing listens there.
fn address(region: u32) -> SocketAddr {
    ([10, 0, 0, 1], region as u16 + 1).into()
}

impl Client {
    fn join(server: &mut App, server_entity: Entity, region: u32) -> Self {
        let mut app = app(ClientPlugins { tick_duration: TICK });
        let ((telling, told), (to_client, heard), (saying, said)) = (unbounded(), unbounded(), unbounded());
        let at = PeerAddr(address(region));
        let link = server.world_mut().spawn((
            LinkOf { server: server_entity },
            CrossbeamIo::new(telling, said),
            at,
            ReplicationSender,
        ));
        let entity = link.id();
        server.world_mut().trigger(LinkStart { entity });
        let io = CrossbeamIo::new(saying, heard);
        let entity = app.world_mut().spawn((RawClient, io, at, ReplicationReceiver)).id();
        app.world_mut().trigger(Connect { entity });
        Self { app, told, to_client }
    }

    /// Takes what it has been told; returns messages and bytes.
    fn update(&mut self) -> (usize, usize) {
        let (mut messages, mut bytes) = (0, 0);
        for packet in self.told.try_iter() {
            messages += 1;
            bytes += packet.len();
            // The other end lives as long as this one.
            let _ = self.to_client.send(packet);
        }
        self.app.update();
        (messages, bytes)
    }

    fn known(&mut self) -> usize {
        let world = self.app.world_mut();
        world.query::<&Placed>().iter(world).count()
    }
}

impl Replication {
    /// So many bodies, evenly over as many regions as there are clients, each in its own.
    pub fn new(clients: u32, bodies: u32) -> anyhow::Result<Self> {
        let mut server = app(ServerPlugins { tick_duration: TICK });
        let server_entity = server.world_mut().spawn(RawServer).id();
        // Not with the other: what a server requires says that it has stopped.
        server.world_mut().entity_mut(server_entity).insert(Started);
        server.update();
        let regions = clients;
        let clients = (0..regions).map(|region| Client::join(&mut server, server_entity, region)).collect();
        let mut replication = Self { server, clients, bodies: Vec::new() };
        for _ in 0..3 {
            replication.tick(|_| None);
        }
        let spawn = |n| {
            let to = NetworkTarget::Single(PeerId::Raw(address(n % regions)));
            replication.server.world_mut().spawn((Placed::default(), Replicate::to_clients(to))).id()
        };
        replication.bodies = (0..bodies).map(spawn).collect();
        for _ in 0..COMING_TICKS {
            replication.tick(|_| None);
            if replication.clients.iter_mut().all(|client| client.known() == (bodies / regions) as usize) {
                // And says so.
                for _ in 0..3 {
                    replication.tick(|_| None);
                }
                return Ok(replication);
            }
        }
        let known: Vec<usize> = replication.clients.iter_mut().map(Client::known).collect();
        anyhow::bail!("{NAME}: of {bodies} bodies clients know {known:?}")
    }

    /// One tick in which the bodies for which `moved` says a place are there.
    pub fn tick(&mut self, moved: impl Fn(u32) -> Option<Placed>) -> Tick {
        let spent = update(&mut self.server, &self.bodies, moved);
        let told = self.clients.iter_mut().map(Client::update);
        let (messages, bytes) = told.fold((0, 0), |sum, one| (sum.0 + one.0, sum.1 + one.1));
        Tick { spent, messages, bytes }
    }
}
