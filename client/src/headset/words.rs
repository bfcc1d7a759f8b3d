//! Words in the plant, for whoever wears the headset: the names over the other people's heads, what each hand points at
//! with the one value that says most about it, and measured distances. On the desktop the labels say this.
//!
//! Each is turned to the eyes and as large as it must be to be read from where they are.

use bevy::prelude::*;
use gemba_twin::peer::PeerKind;
use gemba_xr::{HeadsetState, Rig, Tracked};

use super::Seeing;
use crate::labels::key_value;
use crate::measure::Measures;
use crate::people::People;
use crate::pointer::Pointers;
use crate::readings::Readings;
use crate::selection::unit_of;
use crate::site::{Site, ThingIndex};
use crate::theme;
use crate::tool::Tool;

/// Height of a letter, by its distance from the eye: capitals of 1.5°.
const SIZE: f32 = 0.036;
/// How far words about what is pointed at are above it, by their distance.
const ABOVE: f32 = 0.05;
/// Height of a name above the eyes of who it belongs to, metres.
const OVER_HEAD: f32 = 0.27;
/// Names shown, and how far away their people are at most, metres: beyond that nobody reads one.
const NAMES: (usize, f32) = (30, 40.0);
/// Longest name, characters.
const NAME_CHARS: usize = 32;

/// The words' lines.
#[derive(Default, Reflect, GizmoConfigGroup)]
struct Words;

pub(super) fn plugin(app: &mut App) {
    app.init_gizmo_group::<Words>()
        .add_systems(Startup, configure)
        .add_systems(Update, (names, pointed, measured).chain().in_set(Seeing::Words).run_if(is_seen));
}

fn is_seen(state: Res<HeadsetState>) -> bool {
    state.is_seen()
}

/// Before everything else: half a word is none.
fn configure(mut store: ResMut<GizmoConfigStore>) {
    let (config, _) = store.config_mut::<Words>();
    config.depth_bias = -1.0;
    config.line.width = 2.0;
}

/// Writes towards the eyes. `place` is in the world.
struct Writer<'a, 'w, 's> {
    gizmos: Gizmos<'w, 's, Words>,
    rig: &'a Transform,
    head: Transform,
}

impl Writer<'_, '_, '_> {
    fn distance(&self, place: Vec3) -> f32 {
        self.rig.transform_point(self.head.translation).distance(place)
    }

    fn write(&mut self, place: Vec3, words: &str, colour: bevy_egui::egui::Color32) {
        let [r, g, b, _] = colour.to_array();
        let rotation = self.rig.rotation * self.head.rotation;
        let size = SIZE * self.distance(place);
        self.gizmos.text(Isometry3d::new(place, rotation), words, size, Vec2::ZERO, Color::srgb_u8(r, g, b));
    }
}

fn names(gizmos: Gizmos<Words>, people: Res<People>, tracked: Res<Tracked>, rig: Single<&Transform, With<Rig>>) {
    let Some(head) = tracked.head else { return };
    let mut writer = Writer { gizmos, rig: *rig, head };
    let here = people.0.values().filter(|person| person.info.kind == PeerKind::Person);
    let placed = here.filter_map(|person| {
        let (_, pose) = person.poses[1].as_ref()?;
        Some((Vec3::from(pose.head.place) + Vec3::Y * OVER_HEAD, person))
    });
    let near = placed.filter(|(place, _)| writer.distance(*place) < NAMES.1 * rig.scale.x).take(NAMES.0);
    for (place, person) in near.collect::<Vec<_>>() {
        let name: String = person.info.name.chars().take(NAME_CHARS).collect();
        writer.write(place, &name, theme::person_colour(&person.info.key));
    }
}

fn pointed(
    gizmos: Gizmos<Words>,
    pointers: Res<Pointers>,
    site: Res<Site>,
    readings: Res<Readings>,
    tool: Res<Tool>,
    tracked: Res<Tracked>,
    rig: Single<&Transform, With<Rig>>,
) {
    // With that in hand the distance is to be read, not the name of the floor.
    let Some(head) = tracked.head.filter(|_| *tool != Tool::Measure) else { return };
    let mut writer = Writer { gizmos, rig: *rig, head };
    let mut said = None;
    for met in pointers.iter().filter_map(|pointer| pointer.met) {
        let Some(thing) = met.thing.map(|thing| unit_of(&site, thing)).filter(|thing| said != Some(*thing)) else {
            continue;
        };
        said = Some(thing);
        let above = met.place + Vec3::Y * (ABOVE * writer.distance(met.place));
        writer.write(above, &about(&site, &readings, thing), theme::TEXT);
    }
}

/// What it is called and how it is doing.
fn about(site: &Site, readings: &Readings, thing: ThingIndex) -> String {
    let name: String = site.thing(thing).map_or("", |t| t.path.name()).chars().take(NAME_CHARS).collect();
    // The strokes these letters are made of know ASCII only.
    let value = key_value(site, readings, thing).map(|value| value.replace('°', "deg ").replace('–', "?"));
    value.map_or(name.clone(), |value| format!("{name}  {value}"))
}

fn measured(
    gizmos: Gizmos<Words>,
    measures: Option<Res<Measures>>,
    tracked: Res<Tracked>,
    rig: Single<&Transform, With<Rig>>,
) {
    // A plain viewer measures nothing.
    let (Some(head), Some(measures)) = (tracked.head, measures) else { return };
    let mut writer = Writer { gizmos, rig: *rig, head };
    for span in measures.spans() {
        let above = span.middle() + Vec3::Y * (ABOVE / 2.0 * writer.distance(span.middle()));
        writer.write(above, &span.words(), theme::ACCENT);
    }
}
