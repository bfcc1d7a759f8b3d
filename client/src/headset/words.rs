//! Words in the plant, for whoever wears the headset: the names over the other people's heads, what each hand points at
//! with the one value that says most about it, measured distances, and what a bare hand offers. On the desktop the labels
//! say this.
//!
//! Each is turned to the eyes and as large as it must be to be read from where they are.

use bevy::ecs::system::SystemParam;
use bevy::prelude::*;
use bevy_egui::egui::Color32;
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
/// Height of words over the middle of a hand, metres.
const OVER_PALM: f32 = 0.11;
/// Names shown, and how far away their people are at most, metres: beyond that nobody reads one.
const NAMES: (usize, f32) = (30, 40.0);
/// Longest name, characters.
const NAME_CHARS: usize = 32;

/// The words' lines.
#[derive(Default, Reflect, GizmoConfigGroup)]
struct Words;

/// Dark, broader lines behind the words': they are read before whatever stands there, a white wall too.
#[derive(Default, Reflect, GizmoConfigGroup)]
struct Outline;

pub(super) fn plugin(app: &mut App) {
    app.init_gizmo_group::<Words>()
        .init_gizmo_group::<Outline>()
        .add_systems(Startup, configure)
        .add_systems(Update, (names, pointed, measured, menus).chain().in_set(Seeing::Words).run_if(is_seen));
}

pub(super) fn is_seen(state: Res<HeadsetState>) -> bool {
    state.is_seen()
}

/// Before everything else: half a word is none.
fn configure(mut store: ResMut<GizmoConfigStore>) {
    let (config, _) = store.config_mut::<Words>();
    (config.depth_bias, config.line.width) = (-1.0, 2.0);
    let (config, _) = store.config_mut::<Outline>();
    // Right behind the words.
    (config.depth_bias, config.line.width) = (-0.98, 5.0);
}

/// Writes towards the eyes.
#[derive(SystemParam)]
pub(super) struct Writer<'w, 's> {
    words: Gizmos<'w, 's, Words>,
    outline: Gizmos<'w, 's, Outline>,
    tracked: Res<'w, Tracked>,
    rig: Single<'w, 's, &'static Transform, With<Rig>>,
}

impl Writer<'_, '_> {
    /// How far a place of the world is from the eyes; none while nobody looks.
    fn distance(&self, place: Vec3) -> Option<f32> {
        Some(self.rig.transform_point(self.tracked.head?.translation).distance(place))
    }

    /// Where a place of the rig's frame is in the world.
    pub(super) fn in_world(&self, place: Vec3) -> Vec3 {
        self.rig.transform_point(place)
    }

    /// Writes around a place of the world, so large that it is read from where the eyes are; `scale` is 1 for letters that
    /// stand alone.
    pub(super) fn write(&mut self, place: Vec3, words: &str, scale: f32, colour: Color32) {
        let (Some(distance), Some(head)) = (self.distance(place), self.tracked.head) else { return };
        let [r, g, b, _] = colour.to_array();
        let at = Isometry3d::new(place, self.rig.rotation * head.rotation);
        let size = scale * SIZE * distance;
        let words = &in_strokes(words);
        self.outline.text(at, words, size, Vec2::ZERO, Color::BLACK);
        self.words.text(at, words, size, Vec2::ZERO, Color::srgb_u8(r, g, b));
    }
}

/// The strokes that letters are made of here know ASCII only, and leave a gap for all else.
fn in_strokes(words: &str) -> String {
    let mut strokes = String::with_capacity(words.len());
    for letter in words.chars() {
        match letter {
            ' '..='~' => strokes.push(letter),
            '°' => strokes.push_str("deg "),
            '–' | '—' | '·' => strokes.push('-'),
            '…' => strokes.push_str("..."),
            '→' => strokes.push_str("->"),
            'Ä' => strokes.push_str("Ae"),
            'Ö' => strokes.push_str("Oe"),
            'Ü' => strokes.push_str("Ue"),
            'ä' => strokes.push_str("ae"),
            'ö' => strokes.push_str("oe"),
            'ü' => strokes.push_str("ue"),
            'ß' => strokes.push_str("ss"),
            _ => strokes.push('?'),
        }
    }
    strokes
}

fn names(mut writer: Writer, people: Res<People>) {
    let here = people.0.values().filter(|person| person.info.kind == PeerKind::Person);
    let placed = here.filter_map(|person| {
        let (_, pose) = person.poses[1].as_ref()?;
        Some((Vec3::from(pose.head.place) + Vec3::Y * OVER_HEAD, person))
    });
    let most = NAMES.1 * writer.rig.scale.x;
    let near =
        placed.filter(|(place, _)| writer.distance(*place).is_some_and(|distance| distance < most)).take(NAMES.0);
    for (place, person) in near.collect::<Vec<_>>() {
        let name: String = person.info.name.chars().take(NAME_CHARS).collect();
        writer.write(place, &name, 1.0, theme::person_colour(&person.info.key));
    }
}

fn pointed(mut writer: Writer, pointers: Res<Pointers>, site: Res<Site>, readings: Res<Readings>, tool: Res<Tool>) {
    // With that in hand the distance is to be read, not the name of the floor.
    if *tool == Tool::Measure {
        return;
    }
    let mut said = None;
    for met in pointers.iter().filter_map(|pointer| pointer.met) {
        let Some(thing) = met.thing.map(|thing| unit_of(&site, thing)).filter(|thing| said != Some(*thing)) else {
            continue;
        };
        said = Some(thing);
        let above = met.place + Vec3::Y * (ABOVE * writer.distance(met.place).unwrap_or(0.0));
        writer.write(above, &about(&site, &readings, thing), 1.0, theme::TEXT);
    }
}

/// What it is called and how it is doing.
fn about(site: &Site, readings: &Readings, thing: ThingIndex) -> String {
    let name: String = site.thing(thing).map_or("", |t| t.path.name()).chars().take(NAME_CHARS).collect();
    let value = key_value(site, readings, thing).map(|value| value.replace('–', "?"));
    value.map_or(name.clone(), |value| format!("{name}  {value}"))
}

fn measured(mut writer: Writer, measures: Option<Res<Measures>>) {
    // A plain viewer measures nothing.
    let Some(measures) = measures else { return };
    for span in measures.spans() {
        let above = span.middle() + Vec3::Y * (ABOVE / 2.0 * writer.distance(span.middle()).unwrap_or(0.0));
        writer.write(above, &span.words(), 1.0, theme::ACCENT);
    }
}

/// What a bare hand can do that is held so.
fn menus(mut writer: Writer) {
    let offering = writer.tracked.hands.iter().filter(|hand| hand.offers_menu);
    let places: Vec<Vec3> = offering.filter_map(|hand| hand.grip).map(|grip| grip.translation).collect();
    for place in places {
        let above = writer.in_world(place + Vec3::Y * OVER_PALM);
        writer.write(above, "pinch: panels", 0.7, theme::ACCENT);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_letter_is_swallowed_that_the_strokes_do_not_know() {
        assert_eq!(in_strokes("Halle Süd · 21.5 °C → …"), "Halle Sued - 21.5 deg C -> ...");
        assert_eq!(in_strokes("現場"), "??");
    }
}
