//! Scenes whose motion is sent: simulated with rapier from one seed, and kept as the places and rotations of all bodies
//! at every tick. What sends them sees nothing else; velocities stay inside the simulation, as with a tracker.

use rapier3d::prelude::*;

/// Where a body is: place in metres, rotation as a unit quaternion x y z w.
pub type Placed = ([f64; 3], [f64; 4]);

/// All bodies at every tick.
pub struct Scene {
    /// The bodies at each tick, in the same order.
    pub ticks: Vec<Vec<Placed>>,
}

/// Numbers that look random, the same ones for the same seed (SplitMix64).
pub struct Seeded(pub u64);

impl Seeded {
    /// The next 64 bits.
    pub fn bits(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    /// Between `from` and `to`.
    pub fn between(&mut self, from: f32, to: f32) -> f32 {
        from + (self.bits() >> 40) as f32 / (1u64 << 24) as f32 * (to - from)
    }

    /// A point in the ball of radius 1.
    pub fn in_ball(&mut self) -> Vector {
        loop {
            let point = Vector::new(self.between(-1.0, 1.0), self.between(-1.0, 1.0), self.between(-1.0, 1.0));
            if point.length_squared() <= 1.0 && point.length_squared() > 1e-4 {
                return point;
            }
        }
    }

    fn direction(&mut self) -> Vector {
        self.in_ball().normalize()
    }
}

/// The published asteroid scene (KinematicSoup/benchmarks, its readme and parameters: 250 bodies of 0.25 to 1 m, each
/// with a speed of 1 to 4 m/s it returns to by 5 m/s², turning at up to 45 °/s, inside a ball of 50 m × (250 / 1000)^⅓
/// that pulls back by 10 m/s² who leaves it, around a planetoid of 10 m at rest), 60 steps a second, every other one
/// told. Friction, restitution and the lack of damping and of gyroscopic forces are Unity's defaults, which its prefabs
/// keep. `settle_secs` run before the first tick.
pub fn asteroids(seed: u64, settle_secs: u32, ticks: usize) -> Scene {
    const BODIES: usize = 250;
    let bounds = 50.0 * (BODIES as f32 / 1000.0).cbrt();
    let mut random = Seeded(seed);
    let mut world = PhysicsWorld { gravity: Vector::ZERO, ..PhysicsWorld::default() };
    world.insert(RigidBodyBuilder::fixed(), ColliderBuilder::ball(5.0).restitution(0.0).friction(0.6));
    let mut asteroids = Vec::new();
    for _ in 0..BODIES {
        let size = random.between(0.25, 1.0);
        let direction = random.direction();
        // Outside the planetoid, evenly in the rest of the ball.
        let share = random.between(0.01, 1.0).cbrt();
        let speed = random.between(1.0, 4.0);
        let rock: Vec<Vector> = (0..24).map(|_| random.direction() * size * random.between(0.7, 0.9)).collect();
        let body = RigidBodyBuilder::dynamic()
            .translation(direction * (bounds * share).max(6.5))
            .rotation(random.in_ball() * 3.0)
            .linvel(random.direction() * speed)
            .angvel(random.in_ball() * 45f32.to_radians())
            .gyroscopic_forces_enabled(false)
            .can_sleep(false);
        let shape = ColliderBuilder::convex_hull(&rock).unwrap_or_else(|| ColliderBuilder::ball(size));
        let (handle, _) = world.insert(body, shape.restitution(0.0).friction(0.6));
        asteroids.push((handle, speed));
    }
    world.integration_parameters.dt = 1.0 / 60.0;
    let mut scene = Scene { ticks: Vec::new() };
    for step in 0..settle_secs as usize * 60 + ticks * 2 {
        for (handle, target) in &asteroids {
            keep_speed(&mut world.bodies[*handle], *target, bounds, 1.0 / 60.0);
        }
        world.step();
        if step >= settle_secs as usize * 60 && step % 2 == 1 {
            scene.ticks.push(asteroids.iter().map(|(handle, _)| placed(&world.bodies[*handle])).collect());
        }
    }
    scene
}

fn keep_speed(body: &mut RigidBody, target: f32, bounds: f32, dt: f32) {
    let (place, velocity) = (body.translation(), body.linvel());
    if place.length() > bounds {
        body.set_linvel(velocity - place.normalize() * 10.0 * dt, true);
        return;
    }
    let speed = velocity.length();
    if (speed * speed - target * target).abs() > 0.001 && speed > 1e-6 {
        let wanted = if speed < target { (speed + 5.0 * dt).min(target) } else { (speed - 5.0 * dt).max(target) };
        body.set_linvel(velocity / speed * wanted, true);
    }
}

pub fn placed(body: &RigidBody) -> Placed {
    let (place, rotation) = (body.translation(), body.rotation());
    (
        [f64::from(place.x), f64::from(place.y), f64::from(place.z)],
        [f64::from(rotation.x), f64::from(rotation.y), f64::from(rotation.z), f64::from(rotation.w)],
    )
}
