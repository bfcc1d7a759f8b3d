//! Invitations from others to the instant they look at: a small window each, with one button to go there.

use std::collections::BTreeMap;

use bevy::prelude::*;
use bevy_egui::egui::{self, RichText};
use gemba_net::PeerNumber;
use gemba_twin::sample::Timestamp;

use crate::calendar;
use crate::past::InstantShared;
use crate::people::People;
use crate::theme;

/// Invitations shown at once; of more, those of who came first.
const SHOWN: usize = 3;

/// Who invites to which instant. One of each person, who is here; taken or declined ones are gone.
#[derive(Resource, Default)]
pub struct Invitations(BTreeMap<PeerNumber, Timestamp>);

impl Invitations {
    /// Who invites to which instant, as many as are shown.
    pub fn shown(&self) -> impl Iterator<Item = (PeerNumber, Timestamp)> {
        self.0.iter().take(SHOWN).map(|(peer, instant)| (*peer, *instant))
    }

    fn handle(&mut self, shared: InstantShared) {
        match shared.instant {
            Some(instant) => drop(self.0.insert(shared.peer, instant)),
            None => drop(self.0.remove(&shared.peer)),
        }
    }
}

/// Takes in what others share, and forgets those who have gone.
pub(super) fn take(
    mut invitations: ResMut<Invitations>,
    mut shared: MessageReader<InstantShared>,
    people: Res<People>,
) {
    shared.read().for_each(|shared| invitations.handle(*shared));
    invitations.0.retain(|peer, _| people.0.contains_key(&peer.0));
}

/// Shows them at the lower right of the view. Returns the instant of one that was taken.
pub(super) fn show(
    ctx: &egui::Context,
    invitations: &mut Invitations,
    people: &People,
    view: egui::Rect,
) -> Option<Timestamp> {
    if invitations.0.is_empty() {
        return None;
    }
    let mut taken = None;
    let mut done = None;
    let area = egui::Area::new("invitations".into())
        .order(egui::Order::Foreground)
        .pivot(egui::Align2::RIGHT_BOTTOM)
        .fixed_pos(view.right_bottom() - egui::vec2(14.0, 14.0));
    area.show(ctx, |ui| {
        for (peer, instant) in invitations.shown() {
            let Some(person) = people.0.get(&peer.0) else { continue };
            let colour = theme::person_colour(&person.info.key);
            let frame = egui::Frame::NONE.fill(theme::PANEL).corner_radius(6).inner_margin(10);
            frame.stroke(egui::Stroke::new(1.5, theme::PAST)).show(ui, |ui| {
                ui.horizontal(|ui| {
                    ui.label(RichText::new(&person.info.name).strong().color(colour));
                    ui.label("invites you to");
                    ui.label(RichText::new(calendar::date_and_time(instant)).monospace().color(theme::PAST));
                });
                ui.horizontal(|ui| {
                    let words = RichText::new("Go there").strong().color(egui::Color32::BLACK);
                    if ui.add(egui::Button::new(words).fill(theme::PAST)).clicked() {
                        taken = Some(instant);
                        done = Some(peer);
                    }
                    if ui.button("Not now").clicked() {
                        done = Some(peer);
                    }
                });
            });
        }
    });
    if let Some(peer) = done {
        invitations.0.remove(&peer);
    }
    taken
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_each_person_the_newest_invitation_counts_until_it_is_withdrawn() {
        let mut invitations = Invitations::default();
        let shared =
            |peer, instant: Option<i64>| InstantShared { peer: PeerNumber(peer), instant: instant.map(Timestamp) };
        [shared(1, Some(5)), shared(2, Some(6)), shared(1, Some(7))].into_iter().for_each(|s| invitations.handle(s));
        assert_eq!(invitations.0.get(&PeerNumber(1)), Some(&Timestamp(7)));
        invitations.handle(shared(1, None));
        assert_eq!(invitations.0.into_keys().collect::<Vec<_>>(), [PeerNumber(2)]);
    }
}
