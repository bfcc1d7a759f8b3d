//! N4's rival: bevy_replicon over renet and netcode, as its own tests set them up, with 60 updates a second at both ends.

use std::net::{SocketAddr, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::mpsc;
use std::time::{Duration, Instant, SystemTime};

use anyhow::Context;
use bevy::prelude::*;
use bevy::state::app::StatesPlugin;
use bevy_renet::netcode::{
    ClientAuthentication, NetcodeClientTransport, NetcodeServerTransport, ServerAuthentication, ServerConfig,
};
use bevy_renet::renet::ConnectionConfig;
use bevy_renet::{RenetClient, RenetServer};
use bevy_replicon::prelude::*;
use bevy_replicon_renet::{RenetChannelsExt, RepliconRenetPlugins};
use gemba_net::test_network::{ProxyConfig, UdpProxy};
use serde::{Deserialize, Serialize};

use super::join_scene::{BodyAtRest, Joined, NEAR_METRES};

/// Between two updates of a world.
const UPDATE: Duration = Duration::from_micros(16_667);
/// Whoever takes longer has failed.
const PATIENCE: Duration = Duration::from_secs(120);
/// More than the defaults allow to wait for one peer: what a site of this size takes.
const CHANNEL_BYTES: usize = 64 << 20;

/// What a body is there: as its users would write it.
#[derive(Component, Serialize, Deserialize, Clone)]
struct Of([u8; 16]);

/// Where it is.
#[derive(Component, Serialize, Deserialize, Clone)]
struct Placed {
    place: [f32; 3],
    rotation: [f32; 4],
}

/// How long a newcomer takes, through this line, until it has all bodies, and all near ones.
pub fn join(bodies: &[BodyAtRest], line: &str, seed: u64) -> anyhow::Result<Joined> {
    let stop = Arc::new(AtomicBool::new(false));
    let (ready, listening) = mpsc::channel();
    let server = {
        let (bodies, line, stop) = (bodies.to_vec(), line.to_owned(), stop.clone());
        std::thread::spawn(move || serve(&bodies, &line, seed, &ready, &stop))
    };
    let joined = match listening.recv() {
        Ok(address) => newcomer(bodies, address),
        Err(_) => Err(anyhow::anyhow!("its server did not start")),
    };
    stop.store(true, Relaxed);
    server.join().map_err(|_| anyhow::anyhow!("its server panicked"))??;
    joined
}

fn world() -> App {
    let mut app = App::new();
    let replicon = RepliconPlugins.set(ServerPlugin::new(PostUpdate));
    app.add_plugins((MinimalPlugins, StatesPlugin, replicon, RepliconRenetPlugins));
    app.replicate::<Of>().replicate::<Placed>().finish();
    app
}

fn channels(app: &App) -> ConnectionConfig {
    let channels = app.world().resource::<RepliconChannels>();
    let (mut server, client) = (channels.server_configs(), channels.client_configs());
    server.iter_mut().for_each(|channel| channel.max_memory_usage_bytes = CHANNEL_BYTES);
    ConnectionConfig { server_channels_config: server, client_channels_config: client, ..Default::default() }
}

fn serve(
    bodies: &[BodyAtRest],
    line: &str,
    seed: u64,
    ready: &mpsc::Sender<SocketAddr>,
    stop: &AtomicBool,
) -> anyhow::Result<()> {
    let mut app = world();
    let any: SocketAddr = ([127, 0, 0, 1], 0).into();
    let socket = UdpSocket::bind(any)?;
    let (up, down) = (line.parse()?, line.parse()?);
    let proxy = UdpProxy::start(ProxyConfig { listen: any, target: socket.local_addr()?, up, down, seed })?;
    // Whoever joins names the address that it was given, which is the proxy's.
    let transport = NetcodeServerTransport::new(
        ServerConfig {
            current_time: SystemTime::now().duration_since(SystemTime::UNIX_EPOCH)?,
            max_clients: 1,
            protocol_id: 0,
            public_addresses: vec![proxy.local_addr()],
            authentication: ServerAuthentication::Unsecure,
        },
        socket,
    )?;
    let server = RenetServer::new(channels(&app));
    app.insert_resource(server).insert_resource(transport);
    for body in bodies {
        let placed = Placed { place: body.place, rotation: body.rotation };
        app.world_mut().spawn((Replicated, Of(body.thing().0), placed));
    }
    for _ in 0..5 {
        app.update();
    }
    ready.send(proxy.local_addr())?;
    while !stop.load(Relaxed) {
        let next = Instant::now() + UPDATE;
        app.update();
        std::thread::sleep(next.saturating_duration_since(Instant::now()));
    }
    Ok(())
}

fn newcomer(bodies: &[BodyAtRest], server_addr: SocketAddr) -> anyhow::Result<Joined> {
    let mut app = world();
    let near = bodies.iter().filter(|body| is_near(body.place)).count();
    let begun = Instant::now();
    let current_time = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH)?;
    let authentication = ClientAuthentication::Unsecure { client_id: 1, protocol_id: 0, server_addr, user_data: None };
    let socket = UdpSocket::bind("127.0.0.1:0")?;
    let transport = NetcodeClientTransport::new(current_time, authentication, socket)?;
    let client = RenetClient::new(channels(&app));
    app.insert_resource(client).insert_resource(transport);
    let mut here = app.world_mut().query_filtered::<&Placed, With<Of>>();
    let mut near_after = None;
    while begun.elapsed() < PATIENCE {
        let next = Instant::now() + UPDATE;
        app.update();
        let count = here.iter(app.world()).count();
        if near_after.is_none() && count > 0 && here.iter(app.world()).filter(|b| is_near(b.place)).count() == near {
            near_after = Some(begun.elapsed());
        }
        if count == bodies.len() {
            let near = near_after.context("all are here, and not all near ones")?;
            return Ok(Joined { near, all: begun.elapsed() });
        }
        std::thread::sleep(next.saturating_duration_since(Instant::now()));
    }
    anyhow::bail!("it did not take all bodies in {} s", PATIENCE.as_secs())
}

fn is_near(place: [f32; 3]) -> bool {
    place.iter().all(|metres| (0.0..NEAR_METRES).contains(metres))
}
