//! N2's scene: cubes in a field, as in Fiedler's networked physics, and what both ends of a lane may know of them.

use gemba_net::body::{Foresight, Placement, Seen, Sighting};
use rapier3d::prelude::*;

use super::scene::{Scene, Seeded, placed};

/// 900 cubes of 0.4 m in a field, and one of 1.5 m that is driven through them, rolls over them, and now and then
/// tosses those around it into the air: as in Fiedler's networked physics, 60 ticks a second.
pub fn cubes(seed: u64, settle_secs: u32, ticks: usize) -> Scene {
    let mut random = Seeded(seed);
    let mut world = ground();
    let mut handles = vec![add_cube(&mut world, 0, Pose::from_translation(Vector::new(0.0, 1.5, 0.0)))];
    for number in 0..900 {
        let (column, row) = ((number % 30) as f32, (number / 30) as f32);
        let jitter = random.in_ball() * 0.05;
        let place = Vector::new((column - 14.5) * 0.8 + jitter.x, 0.5, (row - 14.5) * 0.8 + jitter.z);
        handles.push(add_cube(&mut world, number + 1, Pose::from_translation(place)));
    }
    let mut scene = Scene { ticks: Vec::new() };
    let mut toward = Vector::ZERO;
    for step in 0..settle_secs as usize * 60 + ticks {
        if step % 90 == 0 {
            toward = Vector::new(random.between(-9.0, 9.0), 0.0, random.between(-9.0, 9.0));
        }
        let place = world.bodies[handles[0]].translation();
        let mass = world.bodies[handles[0]].mass();
        let body = &mut world.bodies[handles[0]];
        // As a driver would: towards the goal at no more than 6 m/s.
        let lacking = ((toward - place) * 2.0).clamp_length_max(6.0) - body.linvel();
        body.reset_forces(true);
        body.add_force(Vector::new(lacking.x, 0.0, lacking.z).clamp_length_max(3.0) * 5.0 * mass, true);
        gather(&mut world, &handles[1..], place, step % 240 < 120);
        if step % 120 == 119 {
            toss(&mut world, &handles[1..], place, &mut random);
        }
        world.step();
        if step >= settle_secs as usize * 60 {
            scene.ticks.push(handles.iter().map(|handle| placed(&world.bodies[*handle])).collect());
        }
    }
    scene
}

/// A world with nothing but its ground.
fn ground() -> PhysicsWorld {
    let mut world = PhysicsWorld::default();
    world.insert(
        RigidBodyBuilder::fixed().translation(Vector::new(0.0, -1.0, 0.0)),
        ColliderBuilder::cuboid(200.0, 1.0, 200.0).friction(0.7),
    );
    world
}

/// Adds the cube of this number; the first one is large.
fn add_cube(world: &mut PhysicsWorld, number: u32, at: Pose) -> RigidBodyHandle {
    let (half, body) = match number {
        0 => (0.75, RigidBodyBuilder::dynamic().angular_damping(0.5).can_sleep(false)),
        _ => (0.2, RigidBodyBuilder::dynamic()),
    };
    world.insert(body.pose(at), ColliderBuilder::cuboid(half, half, half).friction(0.7)).0
}

/// Pulls the cubes near the large one towards it, so that they roll along with it.
fn gather(world: &mut PhysicsWorld, small: &[RigidBodyHandle], to: Vector, pulls: bool) {
    for handle in small {
        let body = &mut world.bodies[*handle];
        let way = to - body.translation();
        let near = pulls && way.length() < 3.0;
        body.reset_forces(near);
        if near {
            let pull = way.normalize() * 12.0 * body.mass();
            body.add_force(pull, true);
        }
    }
}

fn toss(world: &mut PhysicsWorld, small: &[RigidBodyHandle], from: Vector, random: &mut Seeded) {
    for handle in small {
        let body = &mut world.bodies[*handle];
        let away = body.translation() - from;
        if away.length() < 2.5 {
            let up = Vector::new(away.x, random.between(3.0, 6.0), away.z) * body.mass();
            body.apply_impulse_at_point(up, body.translation() + random.in_ball() * 0.1, true);
        }
    }
}

/// What the receivers of the scene may know besides what they are told: how large cubes are, how rough, and that there
/// are a ground and gravity. Not what drives them: who pulls, who tosses, and when.
///
/// Of each cube the last ticks that both ends know are followed by an alpha-beta-gamma filter whose model is the
/// simulation; what it still lacks is taken for a force that goes on. From where that ends the simulation runs on.
#[derive(Debug)]
pub struct KnownShapes;

/// Ticks that are followed.
const FOLLOWED_TICKS: u32 = 12;
/// Of a surprise: how much of it is believed of a place and a rotation, of their speeds, and of the force.
const PLACE: f32 = 0.8;
const ROTATION: f32 = 0.8;
const VELOCITY: f32 = 0.6;
const SPIN: f32 = 0.33;
const FORCE: f32 = 0.15;
const TICKS_PER_SECOND: f32 = 60.0;
/// No push is taken for stronger, m/s².
const STRONGEST: f32 = 25.0;

struct Followed {
    handle: RigidBodyHandle,
    /// What it lacks, m/s².
    pushed: Vector,
    rests: bool,
}

impl Foresight for KnownShapes {
    fn foresee(&mut self, seen: &[Seen], tick: u32) -> Vec<Placement> {
        let Some(base) = seen.iter().filter_map(|body| Some(body.past.last()?.tick)).max() else { return Vec::new() };
        let begin = base.saturating_sub(FOLLOWED_TICKS);
        let mut world = ground();
        let mut bodies: Vec<_> = seen.iter().map(|body| follow(&mut world, body, begin)).collect();
        for now in begin..base {
            push(&mut world, &bodies);
            world.step();
            for (body, seen) in bodies.iter_mut().zip(seen) {
                correct(&mut world, body, seen, now + 1);
            }
        }
        for _ in base..tick.min(base + 32) {
            push(&mut world, &bodies);
            world.step();
        }
        bodies.iter().map(|body| foreseen(&world.bodies[body.handle])).collect()
    }
}

/// Begins with a cube as it was at `begin` or soon after, moving as between the two sightings there.
fn follow(world: &mut PhysicsWorld, seen: &Seen, begin: u32) -> Followed {
    let past = &seen.past;
    let at = past.iter().rposition(|sighting| sighting.tick <= begin).unwrap_or(0);
    let before = past[..at].iter().rposition(|sighting| sighting.tick + 2 <= past[at].tick);
    let (from, to) = match before.or(at.checked_sub(1)) {
        Some(before) => (&past[before], &past[at]),
        None => (&past[at], past.get(at + 1).unwrap_or(&past[at])),
    };
    let rests = past.last().is_some_and(|last| last.resting);
    let handle = add_cube(world, seen.number.0, pose(if rests { &past[past.len() - 1] } else { &past[at] }));
    let body = &mut world.bodies[handle];
    if rests {
        body.sleep();
    } else if to.tick > from.tick {
        let seconds = (to.tick - from.tick) as f32 / TICKS_PER_SECOND;
        let (from, to) = (pose(from), pose(to));
        body.set_linvel((to.translation - from.translation) / seconds, true);
        body.set_angvel(turn(from.rotation, to.rotation) / seconds, true);
    }
    Followed { handle, pushed: Vector::ZERO, rests }
}

fn push(world: &mut PhysicsWorld, bodies: &[Followed]) {
    for followed in bodies {
        let body = &mut world.bodies[followed.handle];
        if !body.is_sleeping() {
            let force = followed.pushed * body.mass();
            body.reset_forces(false);
            body.add_force(force, false);
        }
    }
}

fn correct(world: &mut PhysicsWorld, followed: &mut Followed, seen: &Seen, tick: u32) {
    let body = &mut world.bodies[followed.handle];
    let last = &seen.past[seen.past.len() - 1];
    if followed.rests {
        body.set_position(pose(last), false);
        body.set_linvel(Vector::ZERO, false);
        body.set_angvel(Vector::ZERO, false);
        body.sleep();
        return;
    }
    let Ok(sighting) = seen.past.binary_search_by_key(&tick, |sighting| sighting.tick) else { return };
    let (there, here) = (pose(&seen.past[sighting]), *body.position());
    let (off, turned) = (there.translation - here.translation, turn(here.rotation, there.rotation));
    let believed = if tick == last.tick {
        there
    } else {
        let rotation = Rotation::from_scaled_axis(turned * ROTATION) * here.rotation;
        Pose::from_parts(here.translation + off * PLACE, rotation)
    };
    let (velocity, spin) = (body.linvel(), body.angvel());
    body.set_position(believed, true);
    body.set_linvel(velocity + off * (VELOCITY * TICKS_PER_SECOND), true);
    body.set_angvel(spin + turned * (SPIN * TICKS_PER_SECOND), true);
    let lacking = off * (FORCE * TICKS_PER_SECOND * TICKS_PER_SECOND);
    followed.pushed = (followed.pushed + lacking).clamp_length_max(STRONGEST);
}

/// From one rotation to another the shorter way, about the axes of the world.
fn turn(from: Rotation, to: Rotation) -> Vector {
    let turn = to * from.inverse();
    if turn.w < 0.0 { -turn } else { turn }.to_scaled_axis()
}

fn pose(sighting: &Sighting) -> Pose {
    let (place, [x, y, z, w]) = (sighting.at.place.map(|n| n as f32), sighting.at.rotation.map(|n| n as f32));
    Pose::from_parts(Vector::from_array(place), Rotation::from_xyzw(x, y, z, w))
}

fn foreseen(body: &RigidBody) -> Placement {
    let (place, rotation) = placed(body);
    Placement { place, rotation }
}
