//! The desktop's own panels in the headset: tree, inspector, trends, time line and all else on one curved panel, opened
//! and closed with the menu button, pressed with the laser. It is the same egui as on the desktop, drawn into an image, so
//! that every function of the one is one of the other.
//!
//! A hand that closes while its laser is on the panel takes it along ([`hold`](super::hold)); where something is to be
//! written, keys lie over the panel ([`keyboard`](super::keyboard)).
//!
//! A finger at the panel presses it by going through it ([`touch`](super::touch)); further away the laser does.
//!
//! Absent: several panels.

use bevy::asset::RenderAssetUsages;
use bevy::camera::{ImageRenderTarget, RenderTarget};
use bevy::light::NotShadowCaster;
use bevy::mesh::{Indices, PrimitiveTopology};
use bevy::prelude::*;
use bevy::render::render_resource::{TextureFormat, TextureUsages};
use bevy_egui::input::EguiInputEvent;
use bevy_egui::{EguiContexts, EguiPrimaryContextPass, PrimaryEguiContext, egui};
use gemba_xr::{Buzz, HeadsetFigures, HeadsetState, Rig, Side, Tracked};

use super::front::FrontMaterial;
use super::hold::{self, Hold};
use super::keyboard::Keyboard;
use super::nearness::{self, Nearness};
use super::point::pointed_by;
use super::touch::touch;
use super::{Doing, Seeing, room};
use crate::pointer::{Met, PointedBy, Pointer, Pointers};
use crate::run::RunPlan;
use crate::schedule::{Screen, ScreenSeen};

/// Distance of the panel from the person's middle, metres: near enough to read, beyond a reaching hand.
pub(super) const RADIUS: f32 = 1.2;
/// Height of egui's body text, points.
const BODY: f32 = 13.0;
/// Body text must cover 1.5° (issue 5, point 6): so many degrees a point.
const DEGREES_PER_POINT: f32 = 1.5 / BODY;
/// A panel as wide as this surrounds the person; a wider one would be behind them.
const WIDEST_DEGREES: f32 = 110.0;
/// Width of the panel in points: 106° at that many degrees a point. How high it is follows from the image.
const WIDTH: f32 = 920.0;
/// The image of the panel where the desktop has a window: 19 pixels a degree, which is what headsets resolve.
const PIXELS: UVec2 = UVec2::new(2000, 1240);
/// Longest time and way between pulling the trigger and letting it go that are still a click.
const CLICK_SECS: f64 = 4.0;
const CLICK_POINTS: f32 = 24.0;
/// Frames in which the panels are laid out after they have been closed: a press reaches them in the next.
const LAST_FRAMES: u8 = 4;
/// Pieces the curve is made of.
const PIECES: u32 = 32;

/// The panel: its shape and whether it is open.
#[derive(Resource, Debug)]
pub(super) struct Panel {
    is_open: bool,
    was_menu: bool,
    /// Where the middle of its curve is, the rig's frame, as its hold has it in this frame.
    pub(super) place: Transform,
    /// What it is held by.
    pub(super) hold: Hold,
    pub(super) nearness: Nearness,
    /// Width and height in points.
    points: Vec2,
    entity: Option<Entity>,
    image: Option<Handle<Image>>,
    /// Which pointer pressed last, and where it was.
    held_by: Option<PointedBy>,
    was_hovering: bool,
    /// Which hands' lasers are on it, left first.
    over: [bool; 2],
}

impl Default for Panel {
    fn default() -> Self {
        Self {
            is_open: false,
            was_menu: false,
            place: Transform::default(),
            hold: Hold::default(),
            nearness: Nearness::default(),
            points: points_from_pixels(PIXELS),
            entity: None,
            image: None,
            held_by: None,
            was_hovering: false,
            over: [false, false],
        }
    }
}

/// The panel's size in points, by that of the image it is drawn into.
fn points_from_pixels(pixels: UVec2) -> Vec2 {
    pixels.as_vec2() * (WIDTH / pixels.x.max(1) as f32)
}

/// Width of a panel as an angle, radians, and its height, metres.
fn extent(points: Vec2) -> (f32, f32) {
    let arc = (points.x * DEGREES_PER_POINT).min(WIDEST_DEGREES).to_radians();
    (arc, arc * RADIUS * points.y / points.x.max(1.0))
}

impl Panel {
    pub(super) fn is_open(&self) -> bool {
        self.is_open
    }

    /// Whether this hand's laser is on it: what its stick does is then for the panel.
    pub(super) fn is_under(&self, side: Side) -> bool {
        self.over[side as usize]
    }

    /// Whether a hand carries it: closed hands then do nothing else.
    pub(super) fn is_carried(&self) -> bool {
        self.hold.is_carried()
    }

    /// Where the middle of it is, the rig's frame.
    pub(super) fn middle(&self) -> Vec3 {
        self.place_of(self.points / 2.0)
    }

    /// Where a place on it is (points from its upper left corner), the rig's frame.
    pub(super) fn place_of(&self, at: Vec2) -> Vec3 {
        let (arc, height) = extent(self.points);
        let (sin, cos) = ((at.x / self.points.x.max(1.0) - 0.5) * arc).sin_cos();
        let up = (0.5 - at.y / self.points.y.max(1.0)) * height;
        self.place.transform_point(Vec3::new(sin * RADIUS, up, -cos * RADIUS))
    }

    /// The same, for shares of its width and height.
    pub(super) fn place_of_share(&self, at: Vec2) -> Vec3 {
        self.place_of(at * self.points)
    }

    /// Where a laser is on the panel, if it is: what it meets behind that is not met.
    fn lit(&self, pointer: &Pointer, rig: &Transform, pointers: &mut Pointers) -> Option<Vec2> {
        let rig_from_world = rig.to_matrix().inverse();
        let origin = rig_from_world.transform_point3(pointer.ray.origin);
        let direction = Dir3::new(rig_from_world.transform_vector3(*pointer.ray.direction)).ok()?;
        let (at, along) = self.meets(Ray3d::new(origin, direction))?;
        let place = rig.transform_point(origin + *direction * along);
        let met = Some(Met { thing: None, place, normal: -pointer.ray.direction.as_vec3() });
        pointers.set(pointer.by, Some(Pointer { met, on_panel: Some(at), ..*pointer }));
        Some(at)
    }

    /// Where on the panel a place of the rig's frame is, and how far before its surface, metres; none beside it.
    pub(super) fn nearest(&self, place: Vec3) -> Option<(Vec2, f32)> {
        let there = self.place.to_matrix().inverse().transform_point3(place);
        let before = (RADIUS - there.xz().length()) * self.place.scale.x;
        let at = self.at(there)?;
        self.is_open.then_some((at, before))
    }

    /// The place in points of a direction from the middle of the curve, if the panel lies there.
    fn at(&self, there: Vec3) -> Option<Vec2> {
        let (arc, height) = extent(self.points);
        let at = Vec2::new(there.x.atan2(-there.z) / arc + 0.5, 0.5 - there.y / height);
        let is_on = at.cmpge(Vec2::ZERO).all() && at.cmple(Vec2::ONE).all();
        is_on.then_some(at * self.points)
    }

    /// Where a ray meets the panel: the place in points from its upper left corner, and how far along the ray. The ray is
    /// in the rig's frame.
    pub(super) fn meets(&self, ray: Ray3d) -> Option<(Vec2, f32)> {
        if !self.is_open {
            return None;
        }
        let panel_from_rig = self.place.to_matrix().inverse();
        let from = panel_from_rig.transform_point3(ray.origin);
        let along = panel_from_rig.transform_vector3(*ray.direction);
        // |(from + t along)| = RADIUS in the plane of x and z; the person is inside, so that the larger root is before them.
        let (a, b) = (along.xz().length_squared(), from.xz().dot(along.xz()));
        let c = from.xz().length_squared() - RADIUS * RADIUS;
        let root = b * b - a * c;
        if a < 1e-8 || root < 0.0 {
            return None;
        }
        let t = (root.sqrt() - b) / a;
        self.at(from + along * t).filter(|_| t > 0.0).map(|at| (at, t))
    }
}

pub(super) fn plugin(app: &mut App) {
    app.init_resource::<Panel>()
        .add_systems(Update, (open, hold::carry, nearness::approach, show, touch, press).chain().in_set(Doing::Cover))
        .add_systems(Update, (wear, rest).chain().in_set(Seeing::Panel))
        .add_systems(EguiPrimaryContextPass, hold::offer.in_set(Screen::Room).before(room::offer));
}

/// While the headset is worn the panels are drawn into an image; else into the window.
fn wear(
    mut panel: ResMut<Panel>,
    mut images: ResMut<Assets<Image>>,
    mut screen: Single<(&mut RenderTarget, &mut Projection), With<PrimaryEguiContext>>,
    mut was_worn: Local<bool>,
    state: Res<HeadsetState>,
    plan: Res<RunPlan>,
) {
    let is_worn = state.is_seen();
    if is_worn == *was_worn {
        return;
    }
    *was_worn = is_worn;
    let image = match &plan.screen {
        // Without a window they are always drawn into an image.
        Some(screen) => screen.clone(),
        None => panel.image.clone().unwrap_or_else(|| {
            let mut image = Image::new_target_texture(PIXELS.x, PIXELS.y, TextureFormat::Rgba8UnormSrgb, None);
            image.texture_descriptor.usage |= TextureUsages::COPY_SRC;
            images.add(image)
        }),
    };
    let pixels = images.get(&image).map_or(PIXELS, |image| image.size());
    panel.points = points_from_pixels(pixels);
    panel.image = Some(image.clone());
    let scale_factor = if is_worn { pixels.x as f32 / WIDTH } else { 1.0 };
    let onto_image = RenderTarget::Image(ImageRenderTarget { handle: image, scale_factor });
    let (target, projection) = &mut *screen;
    **target = if is_worn || plan.screen.is_some() { onto_image } else { RenderTarget::default() };
    // Bevy looks at a camera's target anew when its projection has changed, not when the target has.
    projection.set_changed();
    if !is_worn {
        panel.is_open = false;
    }
}

/// In the headset nobody sees a closed panel: what the panels cost in each frame is saved. Not in the first frames after
/// it has closed, in which what was pressed last is still done.
fn rest(mut left: Local<u8>, mut seen: ResMut<ScreenSeen>, panel: Res<Panel>, state: Res<HeadsetState>) {
    *left = if panel.is_open || !state.is_seen() { LAST_FRAMES } else { left.saturating_sub(1) };
    seen.set_if_neq(ScreenSeen(*left > 0));
}

/// The menu button opens the panel before the person's face, and closes it.
fn open(mut panel: ResMut<Panel>, tracked: Res<Tracked>, figures: Res<HeadsetFigures>) {
    let _own = figures.timed();
    let menu = tracked.hands.iter().any(|hand| hand.menu);
    let is_asked = !std::mem::replace(&mut panel.was_menu, menu) && menu;
    if is_asked && let Some(head) = tracked.head {
        panel.is_open = !panel.is_open;
        panel.nearness = Nearness::default();
        panel.hold = Hold::before(head);
    }
}

/// Draws it where its hold has it.
fn show(
    mut commands: Commands,
    mut panel: ResMut<Panel>,
    mut meshes: ResMut<Assets<Mesh>>,
    mut materials: ResMut<Assets<FrontMaterial>>,
    mut shown: Query<(&mut Transform, &mut Visibility), Without<Rig>>,
    rig: Single<Entity, With<Rig>>,
) {
    if let (true, None, Some(image)) = (panel.is_open, panel.entity, panel.image.clone()) {
        let look = materials.add(FrontMaterial::panel(image));
        let shape = (Mesh3d(meshes.add(curve(panel.points))), MeshMaterial3d(look));
        panel.entity = Some(commands.spawn((shape, panel.place, ChildOf(*rig), NotShadowCaster)).id());
    }
    let Some(entity) = panel.entity else { return };
    if let Ok((mut place, mut visibility)) = shown.get_mut(entity) {
        visibility.set_if_neq(if panel.is_open { Visibility::Inherited } else { Visibility::Hidden });
        place.set_if_neq(panel.place);
    }
}

/// The inner side of a cylinder, the width of the panel's arc.
fn curve(points: Vec2) -> Mesh {
    let (arc, height) = extent(points);
    let (mut places, mut normals, mut corners, mut indices) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    for piece in 0..=PIECES {
        let u = piece as f32 / PIECES as f32;
        let (sin, cos) = ((u - 0.5) * arc).sin_cos();
        for v in [0.0, 1.0] {
            places.push([sin * RADIUS, (0.5 - v) * height, -cos * RADIUS]);
            normals.push([-sin, 0.0, cos]);
            corners.push([u, v]);
        }
        if piece < PIECES {
            let at = piece * 2;
            indices.extend([at, at + 1, at + 2, at + 2, at + 1, at + 3]);
        }
    }
    Mesh::new(PrimitiveTopology::TriangleList, RenderAssetUsages::default())
        .with_inserted_attribute(Mesh::ATTRIBUTE_POSITION, places)
        .with_inserted_attribute(Mesh::ATTRIBUTE_NORMAL, normals)
        .with_inserted_attribute(Mesh::ATTRIBUTE_UV_0, corners)
        .with_inserted_indices(Indices::U32(indices))
}

/// The hand's laser or finger on the panel is a mouse there.
fn press(
    mut panel: ResMut<Panel>,
    mut pointers: ResMut<Pointers>,
    mut contexts: EguiContexts,
    mut events: MessageWriter<EguiInputEvent>,
    mut buzz: MessageWriter<Buzz>,
    mut keyboard: ResMut<Keyboard>,
    context: Single<Entity, With<PrimaryEguiContext>>,
    tracked: Res<Tracked>,
    rig: Single<&Transform, With<Rig>>,
    figures: Res<HeadsetFigures>,
) {
    let _own = figures.timed();
    let mut say = |event| {
        events.write(EguiInputEvent { context: *context, event });
    };
    panel.over = [false, false];
    let mut is_over = false;
    for side in [Side::Right, Side::Left] {
        let Some(pointer) = pointers.of(pointed_by(side)).copied() else { continue };
        let Some(at) = pointer.on_panel.or_else(|| panel.lit(&pointer, &rig, &mut pointers)) else { continue };
        panel.over[side as usize] = true;
        if is_over {
            continue;
        }
        is_over = true;
        let pos = egui::pos2(at.x, at.y);
        if panel.held_by.is_none() && keyboard.has(pos) {
            if pointer.was_pressed {
                keyboard.press(pos).into_iter().for_each(&mut say);
                buzz.write(Buzz { side, strength: 0.4, secs: 0.015 });
            }
            continue;
        }
        let button = |pressed| egui::Event::PointerButton {
            pos,
            button: egui::PointerButton::Primary,
            pressed,
            modifiers: egui::Modifiers::NONE,
        };
        say(egui::Event::PointerMoved(pos));
        if pointer.was_pressed && panel.held_by.is_none() {
            panel.held_by = Some(pointer.by);
            if let Ok(ctx) = contexts.ctx_mut() {
                // A trigger is pulled more slowly than a mouse clicks, and a laser trembles while it is.
                ctx.options_mut(|o| {
                    o.input_options.max_click_duration = CLICK_SECS;
                    o.input_options.max_click_dist = CLICK_POINTS;
                });
            }
            say(button(true));
            buzz.write(Buzz { side, strength: 0.5, secs: 0.02 });
        } else if panel.held_by == Some(pointer.by) && !pointer.is_pressed {
            panel.held_by = None;
            say(button(false));
        }
        let stick = tracked.hand(side).stick;
        if stick.y.abs() > 0.3 {
            say(egui::Event::MouseWheel {
                unit: egui::MouseWheelUnit::Point,
                delta: egui::vec2(0.0, stick.y * 12.0),
                phase: egui::TouchPhase::Move,
                modifiers: egui::Modifiers::NONE,
            });
        }
        let hovers =
            contexts.ctx_mut().is_ok_and(|ctx| ctx.output(|o| o.cursor_icon) == egui::CursorIcon::PointingHand);
        if hovers && !panel.was_hovering {
            buzz.write(Buzz { side, strength: 0.15, secs: 0.01 });
        }
        panel.was_hovering = hovers;
    }
    if !is_over && panel.was_hovering | panel.held_by.is_some() {
        panel.was_hovering = false;
        panel.held_by = None;
        say(egui::Event::PointerGone);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn panel() -> Panel {
        Panel { is_open: true, place: Transform::from_xyz(0.0, 1.5, 0.0), ..default() }
    }

    #[test]
    fn body_text_covers_one_and_a_half_degrees_on_a_panel_that_fits_before_the_person() {
        let body = egui::Style::default().text_styles[&egui::TextStyle::Body].size;
        for pixels in [PIXELS, UVec2::new(1000, 620)] {
            let points = points_from_pixels(pixels);
            let (arc, height) = extent(points);
            let text = arc.to_degrees() / points.x * body;
            assert!(text > 1.4999 && arc.to_degrees() < WIDEST_DEGREES && height < 1.5, "{text}° and {height} m");
            // From the middle of the curve, where the person is, every place on it is equally far.
            assert!((panel().place_of(points / 2.0).distance(panel().place.translation) - RADIUS).abs() < 1e-4);
        }
        assert!(PIXELS.x as f32 / extent(points_from_pixels(PIXELS)).0.to_degrees() > 18.0, "too coarse to read");
    }

    #[test]
    fn a_finger_is_told_where_on_the_panel_it_is_and_how_far_before_it() {
        let mut panel = panel();
        for scale in [1.0, 0.3] {
            panel.place = Transform::from_xyz(0.3, 1.2, -0.2).with_rotation(Quat::from_rotation_y(0.7));
            panel.place.scale = Vec3::splat(scale);
            for at in [Vec2::new(10.0, 10.0), Vec2::new(500.0, 310.0)] {
                let surface = panel.place_of(at);
                let inwards = (panel.place.translation - surface).with_y(0.0).normalize();
                let (found, before) = panel.nearest(surface + inwards * 0.02).expect("it is before the panel");
                assert!(found.distance(at) < 0.5 && (before - 0.02).abs() < 1e-3, "{found} and {before}");
            }
        }
        assert_eq!(panel.nearest(panel.place_of(Vec2::new(-40.0, 10.0))), None);
    }

    #[test]
    fn a_laser_meets_the_panel_where_the_eye_sees_it() {
        let forward = |at: Vec3| panel().meets(Ray3d::new(Vec3::new(0.1, 1.4, 0.0), Dir3::new(at).unwrap()));
        let (middle, along) = panel().meets(Ray3d::new(Vec3::Y * 1.5, Dir3::NEG_Z)).unwrap();
        assert!(middle.distance(points_from_pixels(PIXELS) / 2.0) < 0.1 && (along - RADIUS).abs() < 1e-4);
        let (right, _) = forward(Vec3::new(0.5, 0.1, -1.0)).unwrap();
        assert!(right.x > WIDTH / 2.0, "{right}");
        let (up, _) = forward(Vec3::new(0.0, 0.4, -1.0)).unwrap();
        assert!(up.y < points_from_pixels(PIXELS).y / 2.0, "{up}");
        assert_eq!(forward(Vec3::Z), None, "nothing is behind the person");
        assert_eq!(forward(Vec3::Y), None);
    }

    #[test]
    fn a_laser_towards_a_place_on_the_panel_meets_that_place() {
        let mut panel = panel();
        panel.place = Transform::from_xyz(0.3, 1.2, -0.2).with_rotation(Quat::from_rotation_y(0.7));
        for at in [Vec2::new(10.0, 10.0), Vec2::new(500.0, 310.0), Vec2::new(910.0, 560.0)] {
            let from = Vec3::new(0.2, 1.1, 0.0);
            let ray = Ray3d::new(from, Dir3::new(panel.place_of(at) - from).unwrap());
            let (met, _) = panel.meets(ray).expect("it is aimed at");
            assert!(met.distance(at) < 0.5, "{met} is not {at}");
        }
    }

    #[test]
    fn a_closed_panel_is_not_met() {
        let closed = Panel { is_open: false, ..panel() };
        assert_eq!(closed.meets(Ray3d::new(Vec3::Y * 1.5, Dir3::NEG_Z)), None);
    }
}
