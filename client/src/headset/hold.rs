//! What the panel is held by. It opens before the person and goes with them. A hand that closes while its laser is on the
//! panel carries it and leaves it where it opens again; the lower button (A, X) of that hand, pressed meanwhile, chooses
//! what holds it then: the person, the plant (it stays when the person goes on, and goes along with the machine that was
//! selected), the wrist of the other hand (small, like a watch). Buttons on the panel choose the same, for hands without
//! such a button.

use bevy::ecs::system::SystemParam;
use bevy::prelude::*;
use bevy_egui::EguiContexts;
use bevy_egui::egui::{self, RichText};
use gemba_xr::{Buzz, HeadsetState, Rig, Side, Tracked};

use super::cards::{Cards, turned_to};
use super::panel::Panel;
use super::point::pointed_by;
use super::press::{Pressing, lit, sheets};
use super::sheet::{RADIUS, Sheet, extent};
use crate::mirror::{ThingBounds, ThingEntities};
use crate::pointer::Pointers;
use crate::selection::Selection;
use crate::site::ThingIndex;
use crate::theme;
use crate::view::PlantView;

/// A hand is closed from then on, and open again below the second.
const CLOSED: (f32, f32) = (0.7, 0.4);
/// How large the panel is on a wrist.
const WRIST_SCALE: f32 = 0.3;
/// Between two sheets on one wrist, metres.
const WRIST_GAP: f32 = 0.02;

/// What the panel is held by, and where it is there.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Hold {
    /// It goes with the person: the rig's frame.
    Person(Transform),
    /// It is in the plant: where in the frame of what it is beside, or in the world's if it is beside nothing.
    Plant { place: Transform, beside: Option<ThingIndex> },
    /// It is worn.
    Wrist(Side),
    /// A hand carries it: its place in the frame of that hand's aim, what it will be held by, and whether the button that
    /// chooses was down.
    Hand { side: Side, grip: Transform, then: Then, was_down: bool },
}

/// What is to hold it when the hand lets go.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) enum Then {
    /// The person.
    #[default]
    Person,
    /// The plant.
    Plant,
    /// The other hand's wrist.
    Wrist,
}

impl Then {
    const ALL: [Then; 3] = [Then::Person, Then::Plant, Then::Wrist];

    /// What a button that gives it to them says.
    fn label(self) -> &'static str {
        match self {
            Then::Person => "With me",
            Then::Plant => "In the plant",
            Then::Wrist => "On the wrist",
        }
    }

    fn next(self) -> Self {
        match self {
            Then::Person => Then::Plant,
            Then::Plant => Then::Wrist,
            Then::Wrist => Then::Person,
        }
    }
}

impl Default for Hold {
    fn default() -> Self {
        Hold::Person(Transform::default())
    }
}

impl Hold {
    /// Before a person's face, a little below the eyes, as a page is held.
    pub(super) fn before(head: Transform) -> Self {
        let yaw = head.rotation.to_euler(EulerRot::YXZ).0;
        let place = head.translation - Vec3::Y * 0.12;
        Hold::Person(Transform::from_translation(place).with_rotation(Quat::from_rotation_y(yaw)))
    }

    pub(super) fn is_carried(&self) -> bool {
        matches!(self, Hold::Hand { .. })
    }

    /// Who has it, unless a hand carries it.
    fn has(&self) -> Option<Then> {
        match self {
            Hold::Person(_) => Some(Then::Person),
            Hold::Plant { .. } => Some(Then::Plant),
            Hold::Wrist(_) => Some(Then::Wrist),
            Hold::Hand { .. } => None,
        }
    }

    /// Which hand carries it.
    fn side(&self) -> Option<Side> {
        if let Hold::Hand { side, .. } = self { Some(*side) } else { None }
    }

    /// What people call it.
    pub(super) fn words(&self) -> &'static str {
        match self {
            Hold::Person(_) => "person",
            Hold::Plant { .. } => "plant",
            Hold::Wrist(_) => "wrist",
            Hold::Hand { .. } => "hand",
        }
    }
}

/// The machines that a panel can be beside.
#[derive(SystemParam)]
pub(super) struct Machines<'w, 's> {
    selection: Res<'w, Selection>,
    things: Res<'w, ThingEntities>,
    places: Query<'w, 's, &'static GlobalTransform, Without<Rig>>,
    bounds: Query<'w, 's, (&'static ThingBounds, &'static GlobalTransform), Without<Rig>>,
}

impl Machines<'_, '_> {
    /// The frame of a thing, upright and of life size: a panel beside it neither leans nor grows with it.
    fn frame(&self, thing: ThingIndex) -> Option<Transform> {
        let world_from_thing = self.places.get(self.things.entity(thing)?).ok()?;
        Some(upright(world_from_thing.compute_transform()).with_scale(Vec3::ONE))
    }

    /// Where the middle of what is drawn of a thing is, world frame, and how far it reaches around that in the plane.
    pub(super) fn extent(&self, thing: ThingIndex) -> Option<(Vec3, f32)> {
        let (bounds, world_from_thing) = self.bounds.get(self.things.entity(thing)?).ok()?;
        Some((bounds.centre_now(world_from_thing), bounds.half.xz().length()))
    }

    /// What holds a sheet of this place of the world beside a thing, now and when that moves.
    pub(super) fn beside(&self, thing: Option<ThingIndex>, world_from_panel: Transform) -> Hold {
        let Some((thing, world_from_thing)) = thing.and_then(|thing| Some((thing, self.frame(thing)?))) else {
            return Hold::Plant { place: world_from_panel, beside: None };
        };
        Hold::Plant { place: within(world_from_thing, world_from_panel), beside: Some(thing) }
    }
}

/// A place of the world in a frame of the world, which has no scale.
fn within(world_from_frame: Transform, world_from_place: Transform) -> Transform {
    let back = world_from_frame.rotation.inverse();
    Transform {
        translation: back * (world_from_place.translation - world_from_frame.translation),
        rotation: back * world_from_place.rotation,
        scale: world_from_place.scale,
    }
}

fn other(side: Side) -> Side {
    if side == Side::Left { Side::Right } else { Side::Left }
}

/// Takes a sheet, carries it, and puts all where their holds have them now.
pub(super) fn carry(
    mut panel: ResMut<Panel>,
    mut cards: ResMut<Cards>,
    mut buzz: MessageWriter<Buzz>,
    tracked: Res<Tracked>,
    pointers: Res<Pointers>,
    machines: Machines,
    rig: Single<&Transform, With<Rig>>,
) {
    let is_busy = sheets(&panel, &cards).any(|(_, sheet)| sheet.hold.is_carried());
    let taking = Side::BOTH.into_iter().filter(|_| !is_busy);
    let taken = taking.filter_map(|side| taken(sheets(&panel, &cards), side, &tracked, &pointers, *rig)).next();
    let mut worn = Worn::default();
    let mut step = |number: usize, sheet: &mut Sheet, thing: Option<ThingIndex>| {
        let before = sheet.hold;
        if let Some((_, hold)) = taken.filter(|(taken, _)| *taken == number) {
            sheet.hold = hold;
        }
        sheet.carry(&tracked, *rig, &machines, thing);
        worn.stack(sheet);
        if sheet.hold.is_carried() != before.is_carried() {
            let hand = [sheet.hold, before].into_iter().find_map(|hold| hold.side());
            buzz.write(Buzz { side: hand.unwrap_or_default(), strength: 0.4, secs: 0.03 });
        }
    };
    if panel.is_open() {
        step(0, &mut panel.sheet, machines.selection.0);
    }
    for (slot, card) in cards.iter_mut() {
        step(slot + 1, &mut card.sheet, Some(card.thing));
        // In the plant they turn to who reads them.
        if let (Hold::Plant { .. }, Some(head)) = (card.sheet.hold, tracked.head) {
            card.sheet.place = turned_to(card.sheet.place, head.translation, card.sheet.size);
        }
    }
}

/// Sheets on each wrist so far in this frame: what comes to one that has some already is put above them.
#[derive(Default)]
struct Worn {
    /// Upper edge of the uppermost, the rig's frame, metres.
    tops: [Option<f32>; 2],
}

impl Worn {
    fn stack(&mut self, sheet: &mut Sheet) {
        let Hold::Wrist(side) = sheet.hold else { return };
        let half = extent(sheet.points).1 * WRIST_SCALE / 2.0;
        let top = &mut self.tops[side as usize];
        if let Some(top) = *top {
            sheet.place.translation.y = top + WRIST_GAP + half;
        }
        *top = Some(sheet.place.translation.y + half);
    }
}

impl Sheet {
    /// One frame further with what holds it; put into the plant it is beside `thing`.
    fn carry(&mut self, tracked: &Tracked, rig: &Transform, machines: &Machines, thing: Option<ThingIndex>) {
        let (before, near) = (self.hold, self.place.scale);
        self.hold = carried(before, self.place, tracked, rig);
        if let (Hold::Plant { place, .. }, true) = (self.hold, before.is_carried()) {
            // As near, and so as large, as it was in the hand.
            let near = if self.comes_near { near } else { Vec3::ONE };
            self.hold = machines.beside(thing, place.with_scale(place.scale * near));
        }
        let frame = match self.hold {
            Hold::Plant { beside: Some(thing), .. } => machines.frame(thing),
            _ => Some(Transform::IDENTITY),
        };
        match frame {
            Some(frame) => self.place = place(&self.hold, self.place, tracked, rig, frame),
            // The machine has gone: it stays where it was.
            None => self.hold = Hold::Plant { place: rig.mul_transform(self.place), beside: None },
        }
    }
}

/// Buttons that choose what holds the panel, where the plant is on the desktop.
pub(super) fn offer(
    mut contexts: EguiContexts,
    mut panel: ResMut<Panel>,
    machines: Machines,
    pressing: Res<Pressing>,
    view: Res<PlantView>,
    state: Res<HeadsetState>,
    tracked: Res<Tracked>,
    rig: Single<&Transform, With<Rig>>,
) -> Result {
    if !state.is_seen() {
        return Ok(());
    }
    // A wrist that points at it cannot wear it.
    let wrist = Side::BOTH.into_iter().find(|side| !pressing.is_under(*side) && tracked.hand(*side).grip.is_some());
    let offers = Then::ALL.into_iter().filter(|then| *then != Then::Wrist || wrist.is_some());
    let area = egui::Area::new("panel's hold".into())
        .order(egui::Order::Foreground)
        .pivot(egui::Align2::LEFT_CENTER)
        .fixed_pos(view.rect.left_center() + egui::vec2(12.0, 0.0));
    let has = panel.sheet.hold.has();
    let shown = area.show(contexts.ctx_mut()?, |ui| {
        ui.vertical(|ui| {
            ui.label(RichText::new("This panel").size(11.5).color(theme::QUIET));
            // All are drawn, whichever is pressed.
            let pressed = offers.filter(|then| ui.selectable_label(has == Some(*then), then.label()).clicked());
            pressed.last().filter(|then| has != Some(*then))
        })
    });
    panel.sheet.hold = match (shown.inner.inner, tracked.head, wrist) {
        (Some(Then::Person), Some(head), _) => Hold::before(head),
        (Some(Then::Plant), ..) => machines.beside(machines.selection.0, rig.mul_transform(panel.sheet.place)),
        (Some(Then::Wrist), _, Some(side)) => Hold::Wrist(side),
        _ => return Ok(()),
    };
    Ok(())
}

/// The sheet in a hand that has closed on it, by its number. A card goes back into the plant when the hand opens, unless
/// that says something else.
fn taken<'a>(
    sheets: impl Iterator<Item = (usize, &'a Sheet)> + Clone,
    side: Side,
    tracked: &Tracked,
    pointers: &Pointers,
    rig: &Transform,
) -> Option<(usize, Hold)> {
    let hand = tracked.hand(side);
    let aim = hand.aim.filter(|_| hand.squeeze > CLOSED.0)?;
    let pointer = pointers.of(pointed_by(side))?;
    let (on, _) = lit(sheets.clone(), pointer.ray, rig)?;
    let (_, sheet) = { sheets }.find(|(number, _)| *number == on.sheet)?;
    let grip = Transform::from_matrix(aim.to_matrix().inverse() * sheet.place.to_matrix());
    let grip = if sheet.comes_near { grip.with_scale(Vec3::ONE) } else { grip };
    let then = if on.sheet == 0 { Then::Person } else { Then::Plant };
    Some((on.sheet, Hold::Hand { side, grip, then, was_down: hand.primary }))
}

/// One frame further in the hand, or what it is given to. A hand that is tracked no more leaves it where it was `last`.
fn carried(hold: Hold, last: Transform, tracked: &Tracked, rig: &Transform) -> Hold {
    let Hold::Hand { side, grip, then, was_down } = hold else { return hold };
    let hand = tracked.hand(side);
    if hand.aim.is_none() || hand.squeeze < CLOSED.1 {
        let unseen = last.with_scale(grip.scale);
        let last = hand.aim.map_or(unseen, |aim| upright(aim.mul_transform(grip)));
        return match then {
            Then::Wrist if tracked.hand(other(side)).grip.is_some() => Hold::Wrist(other(side)),
            Then::Plant => Hold::Plant { place: rig.mul_transform(last), beside: None },
            _ => Hold::Person(last),
        };
    }
    let is_down = hand.primary;
    let then = if is_down && !was_down { then.next() } else { then };
    Hold::Hand { side, grip, then, was_down: is_down }
}

/// Where the panel is now, the rig's frame; `frame` is that of what it is beside.
fn place(hold: &Hold, last: Transform, tracked: &Tracked, rig: &Transform, frame: Transform) -> Transform {
    match hold {
        Hold::Person(place) => *place,
        Hold::Plant { place, .. } => {
            Transform::from_matrix(rig.to_matrix().inverse() * frame.to_matrix() * place.to_matrix())
        }
        Hold::Hand { side, grip, .. } => tracked.hand(*side).aim.map_or(last, |aim| upright(aim.mul_transform(*grip))),
        // The middle of its curve is towards the face, so that it faces that from the wrist.
        Hold::Wrist(side) => match (tracked.hand(*side).grip, tracked.head) {
            (Some(wrist), Some(head)) => {
                let towards = (wrist.translation - head.translation).with_y(0.0).normalize_or(Vec3::NEG_Z);
                let yaw = (-towards.x).atan2(-towards.z);
                let middle = wrist.translation + Vec3::Y * 0.16 - towards * (RADIUS * WRIST_SCALE);
                Transform::from_translation(middle)
                    .with_rotation(Quat::from_rotation_y(yaw))
                    .with_scale(Vec3::splat(WRIST_SCALE))
            }
            _ => last,
        },
    }
}

/// Turned about the vertical only: nobody reads from a page that leans sideways.
fn upright(place: Transform) -> Transform {
    let yaw = place.rotation.to_euler(EulerRot::YXZ).0;
    place.with_rotation(Quat::from_rotation_y(yaw))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hands(squeeze: f32, primary: bool) -> Tracked {
        let mut tracked = Tracked { head: Some(Transform::from_xyz(0.0, 1.6, 0.0)), ..default() };
        let at = Transform::from_xyz(0.2, 1.2, -0.3);
        tracked.hands[1].aim = Some(at);
        tracked.hands[1].grip = Some(at);
        tracked.hands[0].grip = Some(Transform::from_xyz(-0.2, 1.1, -0.3));
        (tracked.hands[1].squeeze, tracked.hands[1].primary) = (squeeze, primary);
        tracked
    }

    fn held() -> Hold {
        let grip = Transform::from_xyz(0.0, 0.0, 0.3);
        Hold::Hand { side: Side::Right, grip, then: Then::Person, was_down: false }
    }

    #[test]
    fn an_opened_hand_leaves_the_panel_where_it_is_with_what_was_chosen() {
        let rig = Transform::from_xyz(5.0, 0.0, 2.0);
        let there = Vec3::new(0.2, 1.2, 0.0);
        let Hold::Person(left) = carried(held(), default(), &hands(0.1, false), &rig) else {
            panic!("the person has it")
        };
        assert!(left.translation.distance(there) < 1e-5);
        let chosen = carried(held(), default(), &hands(1.0, true), &rig);
        let still = carried(chosen, default(), &hands(1.0, true), &rig);
        assert_eq!(chosen, still, "a button that is held chooses once");
        let left = carried(still, default(), &hands(0.0, false), &rig);
        let Hold::Plant { place: at, beside: None } = left else { panic!("the plant has it") };
        assert!(at.translation.distance(there + rig.translation) < 1e-5);
        let gone_on = Transform::from_xyz(9.0, 0.0, 2.0);
        let seen = place(&left, Transform::default(), &hands(0.0, false), &gone_on, Transform::IDENTITY);
        assert!((seen.translation.x - (there.x - 4.0)).abs() < 1e-4, "it stays behind when the person goes on");
    }

    #[test]
    fn a_hand_that_is_lost_from_sight_leaves_the_panel_where_it_was() {
        let mut unseen = hands(1.0, false);
        (unseen.hands[1].aim, unseen.hands[1].grip) = (None, None);
        let last = Transform::from_xyz(0.7, 1.4, -0.2).with_scale(Vec3::splat(0.6));
        let left = carried(held(), last, &unseen, &Transform::IDENTITY);
        assert_eq!(left, Hold::Person(last.with_scale(Vec3::ONE)), "how near it is, is found anew");
    }

    #[test]
    fn a_panel_beside_a_machine_goes_along_with_it() {
        let machine = Transform::from_xyz(4.0, 0.0, 1.0).with_rotation(Quat::from_rotation_y(0.4));
        let panel = Transform::from_xyz(5.0, 1.5, 1.0).with_scale(Vec3::splat(0.7));
        let hold = Hold::Plant { place: within(machine, panel), beside: Some(ThingIndex(3)) };
        let at = |machine| place(&hold, Transform::default(), &hands(0.0, false), &Transform::IDENTITY, machine);
        assert!(at(machine).translation.distance(panel.translation) < 1e-5 && (at(machine).scale.x - 0.7).abs() < 1e-5);
        let moved = Transform::from_xyz(0.0, 0.0, 6.0);
        let along = at(machine.with_translation(machine.translation + moved.translation));
        assert!(along.translation.distance(panel.translation + moved.translation) < 1e-5);
        let turned = at(machine.with_rotation(Quat::from_rotation_y(0.4 + std::f32::consts::PI)));
        assert!(turned.translation.distance(Vec3::new(3.0, 1.5, 1.0)) < 1e-5, "{turned:?}");
    }

    #[test]
    fn of_two_sheets_on_one_wrist_neither_hides_the_other() {
        let tracked = hands(0.0, false);
        let worn = |stack: &mut Worn, side: Side, points: Vec2| {
            let hold = Hold::Wrist(side);
            let place = place(&hold, Transform::default(), &tracked, &Transform::default(), default());
            let mut sheet = Sheet { hold, place, is_open: true, ..Sheet::of(points) };
            stack.stack(&mut sheet);
            sheet
        };
        let mut stack = Worn::default();
        let below = worn(&mut stack, Side::Left, Vec2::new(800.0, 500.0));
        let above = worn(&mut stack, Side::Left, Vec2::new(300.0, 360.0));
        let [top, bottom] = [below.place_of(Vec2::new(150.0, 0.0)), above.place_of(Vec2::new(150.0, 360.0))];
        assert!((bottom.y - top.y - WRIST_GAP).abs() < 1e-4, "{top} {bottom}");
        let beside = worn(&mut stack, Side::Right, Vec2::new(300.0, 360.0));
        let alone = worn(&mut Worn::default(), Side::Right, Vec2::new(300.0, 360.0));
        assert_eq!(beside.place, alone.place, "what the other wrist has concerns this one not");
    }

    #[test]
    fn a_worn_panel_is_small_faces_the_person_and_goes_with_the_hand() {
        let tracked = hands(0.0, false);
        let worn = place(&Hold::Wrist(Side::Left), Transform::default(), &tracked, &Transform::default(), default());
        let middle = worn.transform_point(Vec3::NEG_Z * RADIUS);
        let wrist = tracked.hands[0].grip.unwrap().translation;
        assert!(middle.distance(wrist) < 0.2 && worn.scale.x < 0.5, "{middle}");
    }
}
