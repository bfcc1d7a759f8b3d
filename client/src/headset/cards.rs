//! Pinned inspectors beside their machines: each is a sheet of its own in the plant that turns to its reader, and that a hand
//! takes along or wears, as it does the panels. They are there whether the panels are open or not. All are drawn into
//! one image by one context of egui ([`PinScreen`]), and seldomer than the eyes' pictures while nobody points at them.
//!
//! Absent: pinning anything else than inspectors; others do not see them.

use bevy::camera::{ImageRenderTarget, RenderTarget};
use bevy::light::NotShadowCaster;
use bevy::prelude::*;
use bevy::render::render_resource::TextureFormat;
use bevy_egui::{EguiFullOutput, EguiSchedule};
use gemba_xr::{HeadsetFigures, HeadsetState, Rig, Tracked};

use super::front::FrontMaterial;
use super::hold::{Hold, Machines};
use super::sheet::{RADIUS, Sheet};
use super::{Doing, Seeing};
use crate::inspector::{PinPass, PinScreen, Pinned, SCREEN, SLOT, SLOTS, slot_rect};
use crate::pointer::Pointers;
use crate::site::ThingIndex;

/// Pixels of a point: those of the panels.
const PIXELS_PER_POINT: f32 = 2.0;
/// How far below the eyes a new one is, metres.
const BELOW_EYES: f32 = 0.12;
/// Room between a new one and the machine behind it, metres.
const BEFORE: f32 = 0.15;
/// A new one is no farther from the middle of what it is about, which may be a whole line, metres.
const FARTHEST: f32 = 1.2;
/// How large they become so as to be read from where they were pinned. What is farther than that one steps up to.
const SCALES: (f32, f32) = (0.45, 1.2);
/// Drawn so often while no pointer is on one, seconds: samples come no oftener than the eye reads numbers.
const REDRAWN_SECS: f32 = 0.1;

/// One pinned inspector.
#[derive(Debug)]
pub(super) struct Card {
    pub(super) thing: ThingIndex,
    pub(super) sheet: Sheet,
    entity: Entity,
}

/// Those that are there, by slots.
#[derive(Resource, Default)]
pub(super) struct Cards {
    slots: [Option<Card>; SLOTS],
    screen: Option<Entity>,
    undrawn_secs: f32,
}

/// What all of them are made of.
#[derive(Resource)]
struct CardShapes {
    image: Handle<Image>,
    /// How they look in the plant, and with the person.
    looks: [Handle<FrontMaterial>; 2],
    /// By slots, each with its part of the image.
    sheets: [Handle<Mesh>; SLOTS],
}

impl Cards {
    /// Each with its slot.
    pub(super) fn iter(&self) -> impl Iterator<Item = (usize, &Card)> + Clone {
        self.slots.iter().enumerate().filter_map(|(slot, card)| Some((slot, card.as_ref()?)))
    }

    /// The same, to be moved.
    pub(super) fn iter_mut(&mut self) -> impl Iterator<Item = (usize, &mut Card)> {
        self.slots.iter_mut().enumerate().filter_map(|(slot, card)| Some((slot, card.as_mut()?)))
    }

    /// The context of egui that they are drawn by.
    pub(super) fn screen(&self) -> Option<Entity> {
        self.screen
    }

    /// Whether a hand carries one.
    pub(super) fn is_any_carried(&self) -> bool {
        self.iter().any(|(_, card)| card.sheet.hold.is_carried())
    }
}

pub(super) fn plugin(app: &mut App) {
    app.init_resource::<Cards>()
        .add_systems(Startup, make)
        .add_systems(Update, come_and_go.in_set(Doing::Cover).before(super::hold::carry))
        .add_systems(Update, (show, redraw).chain().in_set(Seeing::Panel));
}

fn new_sheet() -> Sheet {
    Sheet { is_open: true, ..Sheet::of(Vec2::new(SLOT.x, SLOT.y)) }
}

fn make(
    mut commands: Commands,
    mut images: ResMut<Assets<Image>>,
    mut meshes: ResMut<Assets<Mesh>>,
    mut materials: ResMut<Assets<FrontMaterial>>,
) {
    let [w, h] = [SCREEN.x, SCREEN.y].map(|points| (points * PIXELS_PER_POINT) as u32);
    let image = images.add(Image::new_target_texture(w, h, TextureFormat::Rgba8UnormSrgb, None));
    let looks = [FrontMaterial::card(image.clone()), FrontMaterial::panel(image.clone())];
    let sheets = std::array::from_fn(|slot| {
        let (rect, size) = (slot_rect(slot), Vec2::new(SCREEN.x, SCREEN.y));
        let [min, max] = [rect.min, rect.max].map(|corner| Vec2::new(corner.x, corner.y) / size);
        meshes.add(new_sheet().mesh(Rect { min, max }))
    });
    commands.insert_resource(CardShapes { image, looks: looks.map(|look| materials.add(look)), sheets });
}

/// Cards come for what is pinned, before their machines, and go with it.
fn come_and_go(
    mut commands: Commands,
    mut cards: ResMut<Cards>,
    shapes: Res<CardShapes>,
    pinned: Option<Res<Pinned>>,
    state: Res<HeadsetState>,
    tracked: Res<Tracked>,
    machines: Machines,
    rig: Single<(Entity, &Transform), With<Rig>>,
) {
    let wanted = pinned.map(|pinned| pinned.things()).unwrap_or_default();
    let cards = &mut *cards;
    for (slot, thing) in wanted.into_iter().enumerate() {
        if let Some(gone) = cards.slots[slot].take_if(|card| Some(card.thing) != thing) {
            commands.entity(gone.entity).despawn();
        }
    }
    // While nobody is in the headset they are windows on the desktop; each keeps its place here.
    if wanted == [None; SLOTS] || !state.is_seen() {
        cards.screen.take().into_iter().for_each(|screen| commands.entity(screen).despawn());
        return;
    }
    if cards.screen.is_none() {
        let target = ImageRenderTarget { handle: shapes.image.clone(), scale_factor: PIXELS_PER_POINT };
        let camera = Camera { order: 9, clear_color: ClearColorConfig::Custom(Color::NONE), ..default() };
        let screen = (PinScreen, EguiSchedule::new(PinPass), Camera2d, camera, RenderTarget::Image(target), Msaa::Off);
        cards.screen = Some(commands.spawn(screen).id());
    }
    let (rig_entity, rig) = *rig;
    for (slot, thing) in wanted.into_iter().enumerate() {
        let (Some(thing), None, Some(head)) = (thing, &cards.slots[slot], tracked.head) else { continue };
        let mut sheet = new_sheet();
        let eyes = rig.transform_point(head.translation);
        let before = machines.extent(thing).map(|extent| before(eyes, extent, rig.scale.x));
        sheet.hold = match before {
            Some(place) => {
                sheet.size = place.scale.x / rig.scale.x;
                machines.beside(Some(thing), place)
            }
            // Nothing of it is to be seen: it is where the panels would be.
            None => Hold::before(head),
        };
        let shape = (Mesh3d(shapes.sheets[slot].clone()), MeshMaterial3d(shapes.looks[0].clone()));
        let entity = commands.spawn((shape, sheet.drawn(), ChildOf(rig_entity), NotShadowCaster)).id();
        cards.slots[slot] = Some(Card { thing, sheet, entity });
    }
}

/// Where a card is in the world that these eyes read before a machine, which reaches so far around its middle: beside
/// that, and as large as it has to be to be read from here. `unit` is a metre of the reader's.
fn before(eyes: Vec3, (middle, reach): (Vec3, f32), unit: f32) -> Transform {
    let away = (middle - eyes).with_y(0.0);
    let (direction, length) = (away.normalize_or(Vec3::NEG_Z), away.length());
    let distance = (length - reach.min(FARTHEST) - BEFORE * unit).max(SCALES.0 * RADIUS * unit);
    let scale = (distance / (RADIUS * unit)).clamp(SCALES.0, SCALES.1) * unit;
    let reader = eyes + direction * (distance - scale * RADIUS) - Vec3::Y * BELOW_EYES * unit;
    let yaw = (-direction.x).atan2(-direction.z);
    Transform::from_translation(reader).with_rotation(Quat::from_rotation_y(yaw)).with_scale(Vec3::splat(scale))
}

/// A sheet in the plant that has turned about its own middle to a reader's eyes, both in one frame, and is of this size
/// there: at every scale of the plant it is read alike.
pub(super) fn turned_to(place: Transform, eyes: Vec3, size: f32) -> Transform {
    let middle = place.transform_point(Vec3::NEG_Z * RADIUS);
    let away = (middle - eyes).with_y(0.0);
    // Right above or below it there is no direction to turn to.
    let direction = away.try_normalize().unwrap_or(place.rotation * Vec3::NEG_Z);
    let yaw = (-direction.x).atan2(-direction.z);
    Transform {
        translation: middle - direction * RADIUS * size,
        rotation: Quat::from_rotation_y(yaw),
        scale: Vec3::splat(size),
    }
}

/// Puts them where their holds have them; with the person nothing hides them.
fn show(
    cards: Res<Cards>,
    shapes: Res<CardShapes>,
    mut shown: Query<(&mut Transform, &mut MeshMaterial3d<FrontMaterial>), Without<Rig>>,
    figures: Res<HeadsetFigures>,
) {
    let _own = figures.timed();
    for (_, card) in cards.iter() {
        let Ok((mut place, mut look)) = shown.get_mut(card.entity) else { continue };
        place.set_if_neq(card.sheet.drawn());
        let is_in_plant = matches!(card.sheet.hold, Hold::Plant { .. });
        look.set_if_neq(MeshMaterial3d(shapes.looks[usize::from(!is_in_plant)].clone()));
    }
}

/// Whether egui draws them anew in the next frame.
fn redraw(
    mut commands: Commands,
    mut cards: ResMut<Cards>,
    mut screens: Query<(&mut Camera, Has<EguiFullOutput>), With<PinScreen>>,
    pointers: Res<Pointers>,
    time: Res<Time<Real>>,
) {
    let Some(screen) = cards.screen else { return };
    let Ok((mut camera, is_drawn)) = screens.get_mut(screen) else { return };
    cards.undrawn_secs += time.delta_secs();
    let is_pointed = pointers.iter().any(|pointer| pointer.on_panel.is_some_and(|on| on.sheet > 0));
    let is_due = is_pointed || cards.undrawn_secs >= REDRAWN_SECS;
    if is_due {
        cards.undrawn_secs = 0.0;
    }
    // bevy_egui passes over a context that has nowhere to put its output; what was drawn stays in the image.
    if is_drawn && !is_due {
        commands.entity(screen).remove::<EguiFullOutput>();
    } else if !is_drawn && is_due {
        commands.entity(screen).insert(EguiFullOutput::default());
    }
    if camera.is_active != is_due {
        camera.is_active = is_due;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_new_card_is_beside_its_machine_and_large_enough_to_be_read_from_here() {
        let (middle, reach) = (Vec3::new(1.0, 0.5, -4.0), 0.6);
        for (eyes, unit) in [(Vec3::new(1.0, 1.7, -2.2), 1.0), (Vec3::new(-4.0, 34.0, 10.0), 20.0)] {
            let place = before(eyes, (middle, reach), unit);
            let card = place.transform_point(Vec3::NEG_Z * RADIUS);
            let (to_machine, to_card) =
                (middle.with_y(0.0).distance(eyes.with_y(0.0)), card.with_y(0.0).distance(eyes.with_y(0.0)));
            assert!((to_machine - to_card - reach - BEFORE * unit).abs() < 1e-3, "{card}");
            assert!((card.y - eyes.y + BELOW_EYES * unit).abs() < 1e-3);
            // Its curve is about the eyes: text has the size that it has on the panels.
            assert!((place.translation - eyes).with_y(0.0).length() < 1e-3 * unit, "{place:?}");
        }
        // Who stands at it has it at arm's length.
        let close = before(Vec3::new(1.0, 1.7, -3.5), (middle, reach), 1.0);
        assert!((close.scale.x - SCALES.0).abs() < 1e-6);
    }

    #[test]
    fn a_card_in_the_plant_turns_about_its_middle_to_whoever_goes_round_it() {
        let place = Transform::from_xyz(1.0, 1.5, 2.0).with_scale(Vec3::splat(0.7));
        let middle = place.transform_point(Vec3::NEG_Z * RADIUS);
        for eyes in [Vec3::new(5.0, 1.7, 2.0), Vec3::new(1.0, 1.0, -9.0), Vec3::new(-3.0, 0.3, 1.0)] {
            let turned = turned_to(place, eyes, 0.9);
            assert!(turned.transform_point(Vec3::NEG_Z * RADIUS).distance(middle) < 1e-4);
            let towards = (eyes - middle).with_y(0.0).normalize();
            let to_reader = (turned.translation - middle).normalize();
            assert!(to_reader.dot(towards) > 0.9999, "{eyes}");
        }
        let above = turned_to(place, middle + Vec3::Y, 0.7);
        assert!(above.translation.distance(place.translation) < 1e-4, "{above:?}");
    }
}
