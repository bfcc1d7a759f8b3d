//! Comfort: how a person is moved. Three presets; the first is the default, since about one in four people feels ill
//! when the picture moves and the body does not.

use bevy::camera::visibility::NoFrustumCulling;
use bevy::light::NotShadowCaster;
use bevy::prelude::*;
use gemba_xr::{Rig, Side, Tracked};

use super::moving::Motion;
use super::panel::Panel;
use super::posture::scale_words;
use super::{Doing, Seeing};

/// How a person is moved.
#[derive(Resource, Debug, Clone, Copy, PartialEq)]
pub(super) struct Comfort {
    /// What people read.
    pub(super) name: &'static str,
    /// Turning by steps of so many degrees; none turns smoothly.
    pub(super) snap_degrees: Option<f32>,
    /// Turning smoothly, radians a second.
    pub(super) turn_speed: f32,
    /// Sliding, metres a second at life size; 0 for teleporting only.
    pub(super) slide_speed: f32,
    /// Whether the stick pushed forward slides too; the other hand's then throws the teleport's arc.
    pub(super) slides_forward: bool,
    /// How much of the view is darkened at its rim while sliding or turning, 0 to 1.
    pub(super) vignette: f32,
}

impl Comfort {
    /// One step of turning where a preset has none of its own, degrees.
    pub(super) const GENTLE_STEP: f32 = 45.0;
    /// Teleport and steps only.
    pub(super) const GENTLE: Self = Self {
        name: "Gentle",
        snap_degrees: Some(Self::GENTLE_STEP),
        turn_speed: 0.0,
        slide_speed: 0.0,
        slides_forward: false,
        vignette: 1.0,
    };
    /// Teleport, steps, and slow sliding sideways and back under a vignette.
    pub(super) const BALANCED: Self =
        Self { name: "Balanced", snap_degrees: Some(30.0), slide_speed: 1.4, vignette: 0.7, ..Self::GENTLE };
    /// Everything smooth, no vignette: for those who feel nothing.
    pub(super) const FREE: Self = Self {
        name: "Free",
        snap_degrees: None,
        turn_speed: 1.6,
        slide_speed: 2.5,
        slides_forward: true,
        vignette: 0.0,
    };
    /// All presets, the gentlest first.
    pub(super) const ALL: [Self; 3] = [Self::GENTLE, Self::BALANCED, Self::FREE];

    /// The next preset.
    pub(super) fn next(self) -> Self {
        let at = Self::ALL.iter().position(|preset| preset.name == self.name).unwrap_or(0);
        Self::ALL[(at + 1) % Self::ALL.len()]
    }
}

impl Default for Comfort {
    fn default() -> Self {
        Self::GENTLE
    }
}

/// The ring that darkens the rim of the view.
#[derive(Component)]
struct Vignette;

/// Distance of the ring from the eyes, metres.
const RING: f32 = 0.3;

pub(super) fn plugin(app: &mut App) {
    app.init_resource::<Comfort>()
        .add_systems(Startup, make_vignette)
        .add_systems(Update, choose.in_set(Doing::Choose))
        .add_systems(Update, (darken, tell).chain().in_set(Seeing::Rim));
}

/// The upper button goes to the next preset, unless a panel is open.
fn choose(mut was_down: Local<bool>, mut comfort: ResMut<Comfort>, tracked: Res<Tracked>, panel: Res<Panel>) {
    let is_down = tracked.hands.iter().any(|hand| hand.secondary);
    if is_down && !std::mem::replace(&mut *was_down, is_down) && !panel.is_open() {
        *comfort = comfort.next();
    }
    *was_down = is_down;
}

fn make_vignette(
    mut commands: Commands,
    mut meshes: ResMut<Assets<Mesh>>,
    mut materials: ResMut<Assets<StandardMaterial>>,
) {
    // From 25° off the middle to beyond what any headset shows.
    let (inner, outer) = (RING * 25f32.to_radians().tan(), RING * 75f32.to_radians().tan());
    let black = StandardMaterial { base_color: Color::BLACK, unlit: true, alpha_mode: AlphaMode::Blend, ..default() };
    let ring = (Mesh3d(meshes.add(Annulus::new(inner, outer))), MeshMaterial3d(materials.add(black)));
    commands.spawn((Vignette, ring, Visibility::Hidden, NotShadowCaster, NoFrustumCulling));
}

/// Darkens the rim as far as the person is being moved.
fn darken(
    mut materials: ResMut<Assets<StandardMaterial>>,
    mut ring: Single<
        (&mut Transform, &mut Visibility, &MeshMaterial3d<StandardMaterial>),
        (With<Vignette>, Without<Rig>),
    >,
    rig: Single<&Transform, With<Rig>>,
    tracked: Res<Tracked>,
    comfort: Res<Comfort>,
    motion: Res<Motion>,
) {
    let (place, visibility, material) = &mut *ring;
    let dark = motion.0 * comfort.vignette;
    let head = tracked.head.filter(|_| dark > 0.02);
    visibility.set_if_neq(if head.is_some() { Visibility::Visible } else { Visibility::Hidden });
    let Some(head) = head else { return };
    **place = rig.mul_transform(head).mul_transform(Transform::from_xyz(0.0, 0.0, -RING));
    if let Some(mut material) = materials.get_mut(&material.0) {
        material.base_color = Color::BLACK.with_alpha(dark * 0.95);
    }
}

/// For some seconds after it has changed, the preset's name stands over the left hand; the scale as long as it is not
/// life size.
fn tell(
    mut gizmos: Gizmos,
    mut since: Local<f32>,
    comfort: Res<Comfort>,
    tracked: Res<Tracked>,
    rig: Single<&Transform, With<Rig>>,
    time: Res<Time>,
) {
    *since = if comfort.is_changed() && !comfort.is_added() { 3.0 } else { *since - time.delta_secs() };
    let name = (*since > 0.0).then(|| comfort.name.to_owned());
    let words: Vec<String> = name.into_iter().chain(scale_words(&rig)).collect();
    let hand = tracked.hand(Side::Left).grip.or(tracked.hand(Side::Right).grip);
    let (Some(head), Some(hand), false) = (tracked.head, hand, words.is_empty()) else { return };
    let above = Transform::from_translation(hand.translation + Vec3::Y * 0.09).with_rotation(head.rotation);
    let place = rig.mul_transform(above);
    let at = Isometry3d::new(place.translation, place.rotation);
    // 2.4 cm at arm's length is 2.5°.
    gizmos.text(at, &words.join("  "), 0.024 * rig.scale.x, Vec2::ZERO, Color::WHITE);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_presets_go_round_from_the_gentlest_and_only_the_free_one_turns_smoothly() {
        let first = Comfort::default();
        assert_eq!(first.next().next().next(), first);
        assert_eq!(first.slide_speed, 0.0);
        assert!(Comfort::ALL.iter().all(|preset| preset.snap_degrees.is_some() == (preset.turn_speed == 0.0)));
    }
}
