//! bevy_replicon as a rival: a server and its clients as apps of one process, without a transport and without rendering, as
//! replicon's own tests have them. A body is one component of a place and a rotation, told whole whenever it changes; what
//! it costs is the server's update, in which nothing else happens, and the bytes are those it hands to a transport.

use std::time::{Duration, Instant};

use bevy::prelude::*;
use bevy::state::app::StatesPlugin;
use bevy_replicon::prelude::*;
use bevy_replicon::test_app::{ServerTestAppExt, TestClientEntity};
use serde::{Deserialize, Serialize};

/// As the table names it.
pub const NAME: &str = "bevy_replicon 0.44";

/// Where a body is, in whole steps, as small as replicon's encoding of integers has it.
#[derive(Component, Serialize, Deserialize, Clone, Copy, PartialEq, Default)]
pub struct Placed {
    pub place: [i32; 3],
    pub rotation: [i16; 3],
}

/// Who sees what: a client sees the bodies of its own region.
#[derive(Component, PartialEq, Clone, Copy)]
#[component(immutable)]
pub struct Region(pub u32);

impl VisibilityFilter for Region {
    type ClientComponent = Self;
    type Scope = Entity;

    fn is_visible(&self, _client: Entity, component: Option<&Self>) -> bool {
        component == Some(self)
    }
}

/// What one tick cost the server.
pub struct Tick {
    pub spent: Duration,
    pub messages: usize,
    pub bytes: usize,
}

/// A server with its clients.
pub struct Replication {
    server: App,
    clients: Vec<App>,
    bodies: Vec<Entity>,
}

fn app() -> App {
    let mut app = App::new();
    app.add_plugins((MinimalPlugins, StatesPlugin, RepliconPlugins.set(ServerPlugin::new(PostUpdate))));
    app.replicate::<Placed>().add_visibility_filter::<Region>();
    app.finish();
    app
}

/// Puts the bodies for which `moved` says a place there; how long the server's update takes then.
pub fn update(server: &mut App, bodies: &[Entity], moved: impl Fn(u32) -> Option<Placed>) -> Duration {
    for (number, body) in (0..).zip(bodies) {
        if let Some(placed) = moved(number)
            && let Some(mut held) = server.world_mut().get_mut::<Placed>(*body)
        {
            *held = placed;
        }
    }
    let begun = Instant::now();
    server.update();
    begun.elapsed()
}

impl Replication {
    /// So many bodies, evenly over as many regions as there are clients, each in its own.
    pub fn new(clients: u32, bodies: u32) -> Self {
        let mut server = app();
        let clients: Vec<App> = (0..clients)
            .map(|region| {
                let mut client = app();
                server.connect_client(&mut client);
                let entity = **client.world().resource::<TestClientEntity>();
                server.world_mut().entity_mut(entity).insert(Region(region));
                client
            })
            .collect();
        let regions = clients.len() as u32;
        let spawn = |n| server.world_mut().spawn((Replicated, Placed::default(), Region(n % regions))).id();
        let bodies = (0..bodies).map(spawn).collect();
        let mut replication = Self { server, clients, bodies };
        // Everyone learns of all bodies, and says so.
        (0..3).for_each(|_| drop(replication.tick(|_| None)));
        replication
    }

    /// One tick in which the bodies for which `moved` says a place are there.
    pub fn tick(&mut self, moved: impl Fn(u32) -> Option<Placed>) -> Tick {
        let spent = update(&mut self.server, &self.bodies, moved);
        let sent = self.server.world().resource::<ServerMessages>();
        let bytes = sent.iter_sent().map(|(_, _, message)| message.len()).sum();
        let messages = sent.iter_sent().count();
        for client in &mut self.clients {
            self.server.exchange_with_client(client);
            client.update();
            self.server.exchange_with_client(client);
        }
        Tick { spent, messages, bytes }
    }
}
