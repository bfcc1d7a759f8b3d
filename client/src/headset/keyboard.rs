//! Keys over the panel while something is to be written: a search, a note, a number. The laser presses them; what they
//! say goes to egui as if typed. They are drawn over egui and pressed past it: a press that egui saw would take the focus
//! from the very field that is being written.

use bevy::prelude::*;
use bevy_egui::{EguiContexts, EguiPrimaryContextPass, egui};
use gemba_xr::HeadsetState;

use super::panel::Panel;
use crate::pointer::Pointers;
use crate::schedule::Screen;
use crate::theme;

/// Height of a key, points: 4.3° on the panel, which a laser that trembles hits.
const KEY: f32 = 40.0;
/// Room between keys.
const ROOM: f32 = 4.0;
/// The longest row, keys.
const COLUMNS: f32 = 11.0;
const ROWS: [&str; 4] = ["1234567890-", "qwertyuiop,", "asdfghjkl.:", "zxcvbnm/_"];

/// A key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Key {
    Letter(char),
    Shift,
    Back,
    Space,
    Left,
    Right,
    Enter,
    Close,
}

/// The lowest row: key and width in keys.
const LAST: [(Key, f32); 7] = [
    (Key::Shift, 1.5),
    (Key::Left, 1.0),
    (Key::Right, 1.0),
    (Key::Space, 3.5),
    (Key::Back, 1.5),
    (Key::Enter, 1.5),
    (Key::Close, 1.0),
];

/// Where the keys are, if they are there.
#[derive(Resource, Debug, Default)]
pub(super) struct Keyboard {
    place: Option<egui::Rect>,
    is_shifted: bool,
}

impl Key {
    fn label(self, is_shifted: bool) -> String {
        match self {
            Key::Letter(letter) if is_shifted => letter.to_uppercase().to_string(),
            Key::Letter(letter) => letter.to_string(),
            Key::Shift => "Shift".to_owned(),
            Key::Back => "Delete".to_owned(),
            Key::Space => "Space".to_owned(),
            Key::Left => "<".to_owned(),
            Key::Right => ">".to_owned(),
            Key::Enter => "Enter".to_owned(),
            Key::Close => "Done".to_owned(),
        }
    }
}

/// Every key and its place, in a rectangle as wide and high as they need.
fn keys(place: egui::Rect) -> impl Iterator<Item = (Key, egui::Rect)> {
    let step = (place.width() - ROOM) / COLUMNS;
    let key = move |row: usize, from: f32, width: f32| {
        let at = place.min + egui::vec2(ROOM + from * step, ROOM + row as f32 * (KEY + ROOM));
        egui::Rect::from_min_size(at, egui::vec2(width * step - ROOM, KEY))
    };
    let letters = ROWS.into_iter().enumerate().flat_map(move |(row, letters)| {
        let indent = (COLUMNS - letters.chars().count() as f32) / 2.0;
        letters.chars().enumerate().map(move |(n, letter)| (Key::Letter(letter), key(row, indent + n as f32, 1.0)))
    });
    let last = LAST.into_iter().scan(0.0, move |from, (name, width)| {
        let place = key(ROWS.len(), *from, width);
        *from += width;
        Some((name, place))
    });
    letters.chain(last)
}

/// At the lower edge of the panel, or at the upper one if they would hide what is being written.
fn place_for(screen: egui::Rect, written: Option<egui::Rect>) -> egui::Rect {
    let size = egui::vec2((COLUMNS * (KEY + ROOM)).min(screen.width()), (ROWS.len() + 1) as f32 * (KEY + ROOM) + ROOM);
    let below = egui::Align2::CENTER_BOTTOM.align_size_within_rect(size, screen.shrink(4.0));
    let above = egui::Align2::CENTER_TOP.align_size_within_rect(size, screen.shrink(4.0));
    if written.is_some_and(|written| written.intersects(below)) { above } else { below }
}

impl Keyboard {
    /// Whether a key lies there, or the room between keys.
    pub(super) fn has(&self, at: egui::Pos2) -> bool {
        self.place.is_some_and(|place| place.contains(at))
    }

    /// Presses the key there; what it says.
    pub(super) fn press(&mut self, at: egui::Pos2) -> Vec<egui::Event> {
        let pressed = self.place.and_then(|place| keys(place).find(|(_, key)| key.contains(at)));
        let tap = |key| [true, false].map(|pressed| key_event(key, pressed)).to_vec();
        match pressed.map(|(key, _)| key) {
            Some(key @ Key::Letter(_)) => {
                let text = key.label(std::mem::take(&mut self.is_shifted));
                vec![egui::Event::Text(text)]
            }
            Some(Key::Space) => vec![egui::Event::Text(" ".to_owned())],
            Some(Key::Shift) => {
                self.is_shifted = !self.is_shifted;
                Vec::new()
            }
            Some(Key::Back) => tap(egui::Key::Backspace),
            Some(Key::Left) => tap(egui::Key::ArrowLeft),
            Some(Key::Right) => tap(egui::Key::ArrowRight),
            Some(Key::Enter) => tap(egui::Key::Enter),
            Some(Key::Close) => tap(egui::Key::Escape),
            None => Vec::new(),
        }
    }
}

fn key_event(key: egui::Key, pressed: bool) -> egui::Event {
    egui::Event::Key { key, physical_key: None, pressed, repeat: false, modifiers: egui::Modifiers::NONE }
}

pub(super) fn plugin(app: &mut App) {
    app.init_resource::<Keyboard>().add_systems(EguiPrimaryContextPass, show.after(Screen::Windows));
}

/// The keys, while something is to be written.
fn show(
    mut contexts: EguiContexts,
    mut keyboard: ResMut<Keyboard>,
    panel: Res<Panel>,
    pointers: Res<Pointers>,
    state: Res<HeadsetState>,
) -> Result {
    let ctx = contexts.ctx_mut()?;
    let focus = ctx.memory(|memory| memory.focused());
    let is_wanted = panel.is_open() && *state == HeadsetState::Focused && ctx.egui_wants_keyboard_input();
    let written = focus.and_then(|id| ctx.read_response(id)).map(|response| response.rect);
    keyboard.place = is_wanted.then(|| place_for(ctx.content_rect(), written));
    let Some(place) = keyboard.place else {
        keyboard.is_shifted = false;
        return Ok(());
    };
    let painter = ctx.layer_painter(egui::LayerId::new(egui::Order::Tooltip, egui::Id::new("headset keyboard")));
    painter.rect(place, 8.0, theme::PANEL, egui::Stroke::new(1.0, theme::ACCENT), egui::StrokeKind::Inside);
    let pointed: Vec<egui::Pos2> = pointers
        .iter()
        .filter_map(|p| p.on_panel)
        .filter(|on| on.sheet == 0)
        .map(|on| egui::pos2(on.at.x, on.at.y))
        .collect();
    for (key, rect) in keys(place) {
        let is_pointed = pointed.iter().any(|at| rect.contains(*at));
        let is_on = key == Key::Shift && keyboard.is_shifted;
        let fill = if is_pointed || is_on { theme::ACCENT } else { theme::LINE };
        let ink = if is_pointed || is_on { egui::Color32::BLACK } else { theme::TEXT };
        painter.rect_filled(rect, 5.0, fill);
        let font = egui::FontId::proportional(16.0);
        painter.text(rect.center(), egui::Align2::CENTER_CENTER, key.label(keyboard.is_shifted), font, ink);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keyboard() -> Keyboard {
        let screen = egui::Rect::from_min_size(egui::Pos2::ZERO, egui::vec2(1000.0, 620.0));
        Keyboard { place: Some(place_for(screen, None)), is_shifted: false }
    }

    fn at(keyboard: &Keyboard, label: &str) -> egui::Pos2 {
        let place = keyboard.place.expect("it is shown");
        keys(place).find(|(key, _)| key.label(false) == label).expect("there is such a key").1.center()
    }

    #[test]
    fn what_is_pressed_is_written_and_shift_holds_for_one_letter() {
        let mut keyboard = keyboard();
        let mut written = String::new();
        for key in ["Shift", "p", "u", "Space", "4"] {
            let at = at(&keyboard, key);
            for event in keyboard.press(at) {
                if let egui::Event::Text(text) = event {
                    written += &text;
                }
            }
        }
        assert_eq!(written, "Pu 4");
        let enter = at(&keyboard, "Enter");
        assert_eq!(keyboard.press(enter).len(), 2, "down and up");
    }

    #[test]
    fn keys_lie_apart_within_their_place_and_never_over_what_is_written() {
        let place = keyboard().place.unwrap();
        let all: Vec<egui::Rect> = keys(place).map(|(_, rect)| rect).collect();
        for (n, key) in all.iter().enumerate() {
            assert!(place.contains_rect(*key), "{key} in {place}");
            assert!(all[..n].iter().all(|other| !other.intersects(*key)), "{key}");
        }
        let screen = egui::Rect::from_min_size(egui::Pos2::ZERO, egui::vec2(1000.0, 620.0));
        for y in [10.0, 300.0, 600.0] {
            let written = egui::Rect::from_min_size(egui::pos2(500.0, y), egui::vec2(100.0, 20.0));
            assert!(!place_for(screen, Some(written)).intersects(written), "{y}");
        }
    }
}
