//! What must not be missed while the panels are closed: that what is seen is not live, who invites one to another instant,
//! and what has just happened. It stands
//! before the person, a little below their eyes, and comes along when they turn away from it. With the panels open these
//! say all of it.

use bevy::prelude::*;
use bevy_egui::egui::Color32;
use gemba_twin::sample::Timestamp;
use gemba_xr::{HeadsetFigures, Tracked};

use super::Seeing;
use super::panel::Panel;
use super::words::{Writer, is_seen};
use crate::calendar;
use crate::cursor::Cursor;
use crate::past::Past;
use crate::people::{People, Person};
use crate::readings::Readings;
use crate::theme;
use crate::timeline::Invitations;
use crate::toasts::{Toast, Toasts, Tone};

/// How far away the words are, metres, and how far below the eyes: 13°, where nothing is that one walks towards.
const AWAY: f32 = 1.5;
const BELOW: f32 = 0.35;
/// They come along when the person looks so far beside them, radians, or has gone so far from them, metres.
const TURNED: f32 = 0.5;
const GONE: f32 = 0.4;
/// How quickly, seconds.
const SMOOTH_SECS: f32 = 0.2;
/// Letters, as a share of those that stand alone.
const SCALE: f32 = 0.8;
/// From one line to the next, metres.
const LINE: f32 = 0.07;
/// Characters of a line, and lines of one notice: what goes on is on the panels.
const LINE_CHARS: usize = 40;
const LINES: usize = 3;

/// What is told, and where: the head that it is placed by, in the rig's frame, and the one that it is coming to.
#[derive(Resource, Debug, Default)]
pub(super) struct Notices {
    lines: Vec<(String, Color32)>,
    before: Option<(Transform, Transform)>,
}

impl Notices {
    /// The lines, from above.
    pub(super) fn lines(&self) -> impl Iterator<Item = &str> {
        self.lines.iter().map(|(words, _)| words.as_str())
    }
}

pub(super) fn plugin(app: &mut App) {
    app.init_resource::<Notices>().add_systems(Update, (collect, show).chain().in_set(Seeing::Words).run_if(is_seen));
}

fn collect(
    mut notices: ResMut<Notices>,
    toasts: Option<Res<Toasts>>,
    cursor: Res<Cursor>,
    past: Option<Res<Past>>,
    readings: Res<Readings>,
    (invitations, people): (Option<Res<Invitations>>, Res<People>),
    panel: Res<Panel>,
    figures: Res<HeadsetFigures>,
) {
    let _own = figures.timed();
    notices.lines.clear();
    if panel.is_open() {
        return;
    }
    let shown = past.and_then(|past| past.shown());
    let standing = not_live(*cursor, shown, readings.is_lost());
    notices.lines.extend(standing);
    for (peer, instant) in invitations.iter().flat_map(|invitations| invitations.shown()) {
        notices.lines.extend(people.0.get(&peer.0).iter().flat_map(|person| invited(person, instant)));
    }
    for toast in toasts.iter().flat_map(|toasts| toasts.shown()) {
        notices.lines.extend(told(toast));
    }
}

/// What is to be known of all that is seen.
fn not_live(cursor: Cursor, shown: Option<Timestamp>, is_lost: bool) -> Vec<(String, Color32)> {
    let past = cursor.instant().map(|_| {
        let instant = shown.map(calendar::date_and_time).unwrap_or_default();
        (format!("NOT LIVE  {instant}").trim_end().to_owned(), theme::PAST)
    });
    let lost = is_lost.then(|| {
        let words = if past.is_some() { "the host is lost" } else { "the host is lost: everything is stale" };
        (words.to_owned(), theme::WARNING)
    });
    past.into_iter().chain(lost).collect()
}

fn invited(person: &Person, instant: Timestamp) -> Vec<(String, Color32)> {
    let colour = theme::person_colour(&person.info.key);
    let words = format!("{} invites you to {}: open the panels", person.info.name, calendar::date_and_time(instant));
    lines(&words).into_iter().take(LINES).map(|line| (line, colour)).collect()
}

fn told(toast: &Toast) -> Vec<(String, Color32)> {
    let colour = match toast.tone {
        Tone::Plain => theme::TEXT,
        Tone::Warning => theme::WARNING,
        Tone::Failure => theme::ALARM,
    };
    let mut lines = lines(&toast.words);
    if lines.len() > LINES {
        lines.truncate(LINES);
        lines.last_mut().into_iter().for_each(|last| last.push_str(" ..."));
    }
    lines.into_iter().map(|line| (line, colour)).collect()
}

/// Breaks words into lines, and a word that is longer than one.
fn lines(words: &str) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for word in words.split_whitespace() {
        let chars: Vec<char> = word.chars().collect();
        for part in chars.chunks(LINE_CHARS) {
            match lines.last_mut() {
                Some(line) if line.chars().count() + 1 + part.len() <= LINE_CHARS => {
                    line.push(' ');
                    line.extend(part);
                }
                _ => lines.push(part.iter().collect()),
            }
        }
    }
    lines
}

fn show(
    mut writer: Writer,
    mut notices: ResMut<Notices>,
    tracked: Res<Tracked>,
    time: Res<Time>,
    figures: Res<HeadsetFigures>,
) {
    let _own = figures.timed();
    let Some(head) = tracked.head.filter(|_| !notices.lines.is_empty()) else {
        notices.before = None;
        return;
    };
    let (now, to) =
        notices.before.map_or((level(head), level(head)), |(now, to)| follow(now, to, head, time.delta_secs()));
    notices.before = Some((now, to));
    for (at, (words, colour)) in notices.lines.iter().enumerate() {
        let place = now.transform_point(Vec3::new(0.0, -BELOW - LINE * at as f32, -AWAY));
        let place = writer.in_world(place);
        writer.write(place, words, SCALE, *colour);
    }
}

/// A head that neither nods nor leans.
fn level(head: Transform) -> Transform {
    let yaw = head.rotation.to_euler(EulerRot::YXZ).0;
    Transform::from_translation(head.translation).with_rotation(Quat::from_rotation_y(yaw))
}

/// So many seconds later: where the words are, and what they are coming to.
fn follow(now: Transform, to: Transform, head: Transform, secs: f32) -> (Transform, Transform) {
    let is_beside = to.rotation.angle_between(level(head).rotation) > TURNED;
    let to = if is_beside || to.translation.distance(head.translation) > GONE { level(head) } else { to };
    let part = 1.0 - (-secs / SMOOTH_SECS).exp();
    let now = Transform {
        translation: now.translation.lerp(to.translation, part),
        rotation: now.rotation.slerp(to.rotation, part),
        scale: Vec3::ONE,
    };
    (now, to)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_past_and_what_is_stale_are_never_seen_without_a_word() {
        let words = |cursor, shown, lost| -> Vec<String> {
            not_live(cursor, shown, lost).into_iter().map(|(words, _)| words).collect()
        };
        let at = Cursor::At { instant: Timestamp(0), speed: default(), playing: false };
        assert_eq!(words(Cursor::Live, None, false), Vec::<String>::new());
        assert_eq!(words(Cursor::Live, None, true), ["the host is lost: everything is stale"]);
        assert_eq!(words(at, Some(Timestamp(0)), false), ["NOT LIVE  1 Jan 00:00:00"]);
        assert_eq!(words(at, None, true), ["NOT LIVE", "the host is lost"]);
    }

    #[test]
    fn long_words_are_broken_and_what_is_too_long_says_that_it_goes_on() {
        let long = "x".repeat(100);
        assert!(lines(&format!("a b {long} c")).iter().all(|line| line.chars().count() <= LINE_CHARS));
        assert_eq!(lines("moved  Hall1/Line1/Pump1"), ["moved Hall1/Line1/Pump1"]);
        let told = told(&Toast::failure("word ".repeat(100)));
        assert_eq!(told.len(), LINES);
        assert!(told[LINES - 1].0.ends_with("..."), "{told:?}");
    }

    #[test]
    fn words_stay_where_they_are_for_a_glance_aside_and_come_along_for_a_turn() {
        let head = |yaw: f32| Transform::from_xyz(0.0, 1.6, 0.0).with_rotation(Quat::from_rotation_y(yaw));
        let seconds = |yaw: f32| {
            let mut at = (head(0.0), head(0.0));
            for _ in 0..180 {
                at = follow(at.0, at.1, head(yaw), 1.0 / 90.0);
            }
            at.0.rotation.to_euler(EulerRot::YXZ).0
        };
        assert!(seconds(0.4).abs() < 1e-4, "{}", seconds(0.4));
        assert!((seconds(1.2) - 1.2).abs() < 0.01, "{}", seconds(1.2));
    }
}
