//! The session with the runtime, in the main world: does what [`Course`] decides, waits for frames, reads the person.
//! Whatever the runtime answers, nothing here panics: an error ends the session, and the desktop goes on.

use std::sync::{Arc, Mutex, PoisonError};

use bevy::camera::{ManualTextureViewHandle, RenderTarget};
use bevy::prelude::*;
use bevy::render::extract_resource::ExtractResource;
use bevy::render::render_resource::TextureUsages;
use bevy::render::renderer::RenderDevice;
use bevy::render::texture::ManualTextureViews;
use bevy_mod_openxr::error::OxrError;
use bevy_mod_openxr::resources::{OxrFrameWaiter, OxrInstance, OxrSystemId};
use bevy_mod_openxr::session::{OxrSession, OxrSessionCreateNextChain};
use bevy_mod_xr::camera::{XrCamera, XrProjection};
use bevy_mod_xr::session::XrTrackingRoot;
use openxr::sys::Result as XrResult;
use openxr::{EventDataBuffer, Posef, ReferenceSpaceType, SessionState, Space};

use crate::anchor::{Anchor, Anchors};
use crate::course::{Course, Deed, HeadsetState, Loss};
use crate::display::{Hidden, choose_rate, hidden};
use crate::figures::{Fittings, HeadsetFigures};
use crate::frame::projection;
use crate::input::Input;
use crate::join::{Lookout, join};
use crate::palm::Palms;
use crate::picture::Picture;
use crate::pose::{transform, transform_if_valid};
use crate::room::Room;
use crate::runtime::{Runtime, XrUnavailable};
use crate::start::Binding;
use crate::tracked::{Buzz, EnterHeadset, HeadsetNews, Tracked};
use crate::views::{MOST_VIEWS, Views};
use crate::word::{self, Word};

/// The texture of the first view; the others' are the next. Any number that no other feature takes.
pub(crate) const EYE_TEXTURES: u32 = 0x6765_6d62;

/// What an [`Eye`](crate::Eye) of this number sees: a target that screenshots can read.
pub fn eye_texture(eye: u32) -> ManualTextureViewHandle {
    ManualTextureViewHandle(EYE_TEXTURES + eye)
}

/// What went wrong in the render world, for the main world to act upon.
#[derive(Resource, Clone, Default, ExtractResource)]
pub(crate) struct Trouble(Arc<Mutex<Option<XrResult>>>);

impl Trouble {
    pub(crate) fn note(&self, why: XrResult) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(why);
    }

    fn take(&self) -> Option<XrResult> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

/// The frame that is being made, if there is one.
#[derive(Resource, Clone, Copy, Default, ExtractResource)]
pub(crate) struct FrameNow(pub(crate) Option<openxr::FrameState>);

/// What is hidden of each view has changed: the render world takes it once.
#[derive(Resource)]
pub(crate) struct HiddenNow(pub(crate) Vec<Hidden>);

/// Tells the render world to let go of its part of the session.
#[derive(Resource, Clone, Copy, Default, ExtractResource)]
pub(crate) struct Letting(pub(crate) bool);

struct Live {
    session: OxrSession,
    waiter: OxrFrameWaiter,
    views: Views,
    stage: Arc<Space>,
    head: Space,
    input: Option<Input>,
    palms: Palms,
    anchors: Option<Anchors>,
}

/// The session and its course.
#[derive(Resource, Default)]
pub(crate) struct Headset {
    course: Course,
    live: Option<Live>,
    lookout: Option<Lookout>,
    /// When the tracking space begins to lie elsewhere: the person has recentred it.
    recentred: Option<openxr::Time>,
    /// Whether the person has been told that there is none; asking goes on without a word.
    has_told: bool,
}

impl Headset {
    /// There was none at the start: it is looked for.
    pub(crate) fn looked_for() -> Self {
        Self { course: Course::without_headset(), has_told: true, ..Self::default() }
    }
}

/// One step of the course: hears the runtime, does what is due. First thing in a frame.
pub(crate) fn attend(world: &mut World) {
    let Some(mut headset) = world.remove_resource::<Headset>() else { return };
    let figures = world.resource::<HeadsetFigures>().clone();
    let mut own = figures.timed();
    let now = world.resource::<Time<Real>>().elapsed();
    if world.resource_mut::<Messages<EnterHeadset>>().drain().count() > 0 {
        headset.course.enter(now);
    }
    own.outside(|| hear(world, &mut headset));
    if let Some(why) = world.resource::<Trouble>().take() {
        lose(world, &mut headset, why);
    }
    // A deed may make the next one due at once; a course has no more than these.
    for _ in 0..3 {
        let Some(deed) = headset.course.next(now) else { break };
        // Sessions are made and ended a few times in a run: no part of what a frame costs.
        match own.outside(|| act(world, &mut headset, deed)) {
            Ok(true) => headset.course.done(deed, now),
            Ok(false) => break,
            Err(why) => {
                lose(world, &mut headset, why);
                break;
            }
        }
    }
    let state = headset.course.state();
    let mut shown = world.resource_mut::<HeadsetState>();
    if *shown != state {
        info!("headset: {state:?}");
        *shown = state;
    }
    world.insert_resource(headset);
}

/// Takes in what the runtime has said since the last frame.
fn hear(world: &mut World, headset: &mut Headset) {
    let Some(instance) = world.get_resource::<OxrInstance>().cloned() else { return };
    if headset.live.is_none() {
        return;
    }
    let mut buffer = EventDataBuffer::default();
    for _ in 0..word::MOST {
        let heard = match instance.poll_event(&mut buffer) {
            Ok(Some(event)) => Word::of(&event).map_or(Ok(()), |word| take(world, headset, word)),
            Ok(None) => return,
            Err(why) => Err(why),
        };
        if let Err(why) = heard {
            return lose(world, headset, why);
        }
    }
}

/// Takes in one word; an error is a loss that the runtime has announced.
fn take(world: &mut World, headset: &mut Headset, word: Word) -> Result<(), XrResult> {
    match word {
        Word::Session(SessionState::LOSS_PENDING) => return Err(XrResult::ERROR_SESSION_LOST),
        Word::InstanceLost => return Err(XrResult::ERROR_INSTANCE_LOST),
        Word::Session(state) => {
            headset.course.heard(state);
            if state == SessionState::EXITING {
                world.write_message(HeadsetNews("you have left the headset; the desktop goes on".to_owned()));
            }
        }
        Word::Missed(count) => warn!("the headset's runtime lost {count} events"),
        Word::Mask => {
            let Some(live) = headset.live.as_ref() else { return Ok(()) };
            let now = hidden(&live.session, &live.views);
            world.resource::<HeadsetFigures>().note_mask(triangles(&now));
            world.insert_resource(HiddenNow(now));
        }
        Word::Present(is_present) => headset.course.presence(is_present),
        Word::Recentred(when) => headset.recentred = Some(when),
    }
    Ok(())
}

fn lose(world: &mut World, headset: &mut Headset, why: XrResult) {
    let now = world.resource::<Time<Real>>().elapsed();
    let was_there = headset.live.is_some();
    let loss = loss_of(why);
    headset.course.lost(loss, now);
    if was_there {
        headset.has_told = false;
        let what = if loss == Loss::Instance { "the headset's runtime has gone" } else { "the headset was lost" };
        let news = format!("{what} ({why}); the desktop goes on, and the headset is tried again");
        world.write_message(HeadsetNews(news));
    }
}

/// An error that concerns more than the session makes a new instance necessary.
fn loss_of(why: XrResult) -> Loss {
    match why {
        XrResult::ERROR_INSTANCE_LOST | XrResult::ERROR_RUNTIME_FAILURE | XrResult::ERROR_RUNTIME_UNAVAILABLE => {
            Loss::Instance
        }
        _ => Loss::Session,
    }
}

/// Whether the deed is done; if not, it is asked for again.
fn act(world: &mut World, headset: &mut Headset, deed: Deed) -> Result<bool, XrResult> {
    let live = headset.live.as_ref();
    match deed {
        Deed::Create { renews_instance } => {
            let found = if renews_instance { look_out(world, headset) } else { Some(Ok(())) };
            let Some(found) = found else { return Ok(false) };
            let made = found.map_err(|why| (why.to_string(), XrResult::ERROR_RUNTIME_UNAVAILABLE));
            let made = made.and_then(|()| create(world).map_err(|e| (e.to_string(), code_of(&e))));
            let live = made.map_err(|(why, code)| {
                if !std::mem::replace(&mut headset.has_told, true) {
                    warn!("no session with the headset: {why}; it is asked for again every few seconds");
                }
                code
            })?;
            headset.live = Some(live);
            headset.has_told = false;
        }
        Deed::Begin => live.map_or(Ok(()), |l| l.session.begin(l.views.kind).map(drop))?,
        Deed::End => {
            world.resource_mut::<FrameNow>().0 = None;
            live.map_or(Ok(()), |l| l.session.end().map(drop))?;
        }
        Deed::Destroy => {
            destroy(world);
            headset.live = None;
        }
    }
    Ok(true)
}

/// Looks for a runtime with a headset: none while it is not known yet.
fn look_out(world: &mut World, headset: &mut Headset) -> Option<Result<(), XrUnavailable>> {
    // The old instance goes first, with all that hangs on it: a runtime inside this process is there only once, and
    // holds its devices until then. Course lets some seconds pass in which the render world has let go of its part.
    world.remove_resource::<OxrInstance>();
    let answer = headset.lookout.get_or_insert_with(Lookout::begin).answer()?;
    headset.lookout = None;
    Some(answer.and_then(|()| join(world)))
}

/// What the runtime answered.
pub(crate) fn code_of(error: &OxrError) -> XrResult {
    match error {
        OxrError::OpenXrError(why) => *why,
        _ => XrResult::ERROR_INITIALIZATION_FAILED,
    }
}

/// Makes a session with its pictures and spaces.
fn create(world: &mut World) -> Result<Live, OxrError> {
    let missing = || OxrError::from(XrResult::ERROR_HANDLE_INVALID);
    let instance = world.get_resource::<OxrInstance>().cloned().ok_or_else(missing)?;
    let system = world.get_resource::<OxrSystemId>().copied().ok_or_else(missing)?.0;
    let graphics = world.get_resource::<Binding>().copied().ok_or_else(missing)?.info();
    let device = world.resource::<RenderDevice>().clone();
    let mut chain = OxrSessionCreateNextChain::default();
    #[expect(unsafe_code, reason = "the handles of the graphics API cannot be checked by the compiler")]
    // SAFETY: `graphics` holds the handles of Bevy's own renderer, which outlives every session.
    let (session, waiter, stream) = unsafe { instance.create_session(system, graphics, &mut chain)? };
    let plain: &openxr::Session<openxr::AnyGraphics> = &session;
    let stage = Arc::new(plain.create_reference_space(floor(plain, &instance)?, Posef::IDENTITY)?);
    let refresh_hz = choose_rate(plain);
    let picture = Picture::new(&instance, system, session.clone(), stream, stage.clone(), &device)?;
    let views = picture.views.clone();
    let head = plain.create_reference_space(ReferenceSpaceType::VIEW, Posef::IDENTITY)?;
    let input = Input::new(&instance, plain).inspect_err(|why| warn!("the headset has no input: {why}")).ok();
    open_eyes(world, &picture)?;
    world.insert_resource(Letting(false));
    world.resource_mut::<Room>().is_offered = picture.blending.offers_room();
    world.resource::<HeadsetFigures>().note_session(Fittings {
        openxr: world.get_resource::<Runtime>().map(|runtime| runtime.openxr.clone()).unwrap_or_default(),
        eye: views.wide,
        inset: views.inset,
        inset_follows_gaze: views.follows_gaze,
        has_depth: picture.pairs.iter().all(|pair| pair.depth.is_some()),
        mask_triangles: triangles(&picture.hidden),
        refresh_hz,
    });
    world.insert_resource(picture);
    let anchors = Anchors::new(&instance, system, &session);
    Ok(Live { session, waiter, views, stage, head, input, palms: Palms::default(), anchors })
}

/// A camera for each view. Until the first frame they draw into an image that is nobody's yet.
fn open_eyes(world: &mut World, picture: &Picture) -> Result<(), OxrError> {
    for view in 0..picture.views.count() {
        let texture = picture.pair(view).and_then(|(pair, layer)| pair.target(0, layer));
        let texture = texture.ok_or(OxrError::NoAvailableFormat)?;
        world.resource_mut::<ManualTextureViews>().insert(eye_texture(view), texture);
        let target = RenderTarget::TextureView(eye_texture(view));
        // Its depth is read for the runtime.
        let depth_texture_usages = (TextureUsages::RENDER_ATTACHMENT | TextureUsages::TEXTURE_BINDING).into();
        world.spawn((
            target,
            XrCamera(view),
            Camera3d { depth_texture_usages, ..default() },
            Projection::custom(XrProjection::default()),
            Camera { is_active: false, ..default() },
        ));
    }
    Ok(())
}

/// Of all masks.
fn triangles(hidden: &[Hidden]) -> usize {
    hidden.iter().map(|eye| eye.0.len() / 3).sum()
}

/// The space whose origin is on the floor: the play area's, else the floor below where the person began.
fn floor(session: &openxr::Session<openxr::AnyGraphics>, instance: &OxrInstance) -> openxr::Result<ReferenceSpaceType> {
    let offered = session.enumerate_reference_spaces()?;
    let mut wanted = vec![ReferenceSpaceType::STAGE];
    if instance.exts().ext_local_floor.is_some() {
        wanted.push(ReferenceSpaceType::LOCAL_FLOOR);
    }
    Ok(wanted.into_iter().find(|space| offered.contains(space)).unwrap_or(ReferenceSpaceType::LOCAL))
}

fn destroy(world: &mut World) {
    world.remove_resource::<Picture>();
    world.remove_resource::<HiddenNow>();
    world.insert_resource(Letting(true));
    world.resource_mut::<FrameNow>().0 = None;
    *world.resource_mut::<Tracked>() = Tracked::default();
    world.resource_mut::<Anchor>().lift();
    let eyes: Vec<Entity> = world.query_filtered::<Entity, With<XrCamera>>().iter(world).collect();
    eyes.into_iter().for_each(|eye| {
        world.despawn(eye);
    });
    for view in 0..MOST_VIEWS {
        world.resource_mut::<ManualTextureViews>().remove(&eye_texture(view));
    }
}

/// Waits until the runtime wants a frame, and reads the person as they will be when it is shown.
pub(crate) fn wait(
    mut headset: ResMut<Headset>,
    mut frame: ResMut<FrameNow>,
    mut tracked: ResMut<Tracked>,
    mut anchor: ResMut<Anchor>,
    mut buzzes: MessageReader<Buzz>,
    mut eyes: Query<&mut Camera, With<XrCamera>>,
    mut rig: Query<&mut Transform, With<XrTrackingRoot>>,
    state: Res<HeadsetState>,
    trouble: Res<Trouble>,
    figures: Res<HeadsetFigures>,
) {
    let mut own = figures.timed();
    frame.0 = None;
    let runs = headset.course.runs_frames();
    let Headset { live, recentred, .. } = &mut *headset;
    let Some(live) = live.as_mut().filter(|_| runs) else { return };
    let mut now = match own.outside(|| live.waiter.wait()) {
        Ok(now) => now,
        Err(why) => return trouble.note(why),
    };
    figures.note_frame(now.predicted_display_time.as_nanos(), now.predicted_display_period.as_nanos());
    // Nothing is drawn for nobody.
    now.should_render &= state.is_seen();
    frame.0 = Some(now);
    eyes.iter_mut().filter(|eye| eye.is_active != now.should_render).for_each(|mut e| e.is_active = now.should_render);
    let at = now.predicted_display_time;
    let mut person = Tracked::default();
    if state.is_seen() {
        person.head = transform_if_valid(own.asking(|| live.head.locate(&live.stage, at)));
    }
    if let Some(input) = live.input.as_ref().filter(|_| *state == HeadsetState::Focused) {
        if let Err(why) = own.asking(|| input.read(&live.session, &live.stage, at, &mut person)) {
            trouble.note(why);
        }
        live.palms.read(&mut person);
        buzzes.read().for_each(|buzz| input.buzz(&live.session, buzz));
    }
    if let Some(anchors) = &mut live.anchors {
        own.asking(|| anchors.follow(&mut anchor, &live.stage, at));
    }
    if recentred.is_some_and(|from| from.as_nanos() <= at.as_nanos()) {
        *recentred = None;
        // What an anchor holds still keeps the person where they are, too.
        if anchor.place().is_none()
            && let (Some(before), Some(after), Ok(mut rig)) = (tracked.head, person.head, rig.single_mut())
        {
            let moves = kept_by(&rig, before, after);
            rig.translation += moves;
        }
    }
    *tracked = person;
}

/// How the rig moves so that a person whose tracking space was recentred goes on standing where they stood in the plant;
/// they then face the way they have chosen.
fn kept_by(rig: &Transform, before: Transform, after: Transform) -> Vec3 {
    let below = |head: Transform| rig.transform_point(head.translation.with_y(0.0));
    below(before) - below(after)
}

/// Puts the eyes where they will be, for all that the main world does with cameras (culling, labels). The render world
/// asks once more at the last moment.
pub(crate) fn look(
    headset: Res<Headset>,
    frame: Res<FrameNow>,
    mut eyes: Query<(&mut Transform, &mut Projection, &XrCamera)>,
    figures: Res<HeadsetFigures>,
) {
    let mut own = figures.timed();
    let (Some(live), Some(now)) = (headset.live.as_ref(), frame.0) else { return };
    let views = own.asking(|| live.views.locate(&live.session, &live.stage, now.predicted_display_time));
    let Ok(Some(views)) = views else { return };
    for (mut place, mut lens, eye) in &mut eyes {
        let Some(view) = views.get(eye.0 as usize) else { continue };
        *place = transform(view.pose);
        if let Projection::Custom(lens) = lens.as_mut()
            && let Some(lens) = lens.get_mut::<XrProjection>()
        {
            lens.projection_matrix = projection(lens.near, view);
        }
    }
}
