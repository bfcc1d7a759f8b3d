//! A place in the person's room that the headset holds still (XR_EXT_spatial_anchor on XR_EXT_spatial_entity): a table
//! stays a table when the headset learns its room better, or when the person moves the origin of their tracking space.
//! Where the headset offers none, what is put down stays where the tracking space has it.
//!
//! The openxr crate 0.21 has the functions of these extensions and nothing around them; each is called in one place here.
//!
//! Absent: anchors that outlive the session (XR_EXT_spatial_persistence), and more than one.

use bevy::prelude::*;
use bevy_mod_openxr::resources::OxrInstance;
use bevy_mod_openxr::session::OxrSession;
use openxr::sys::{self, Handle as _};
use openxr::{Posef, Quaternionf, Space, SystemId, Time, Vector3f, raw};

use crate::pose::checked;

/// The place that is to stay where it is, and where the headset has it now; both in the tracking space.
#[derive(Resource, Debug, Clone, Copy, Default, PartialEq)]
pub struct Anchor {
    wanted: Option<Transform>,
    place: Option<Transform>,
}

impl Anchor {
    /// From now on this place is held, in stead of any before.
    pub fn put(&mut self, at: Transform) {
        *self = Self { wanted: Some(at.with_scale(Vec3::ONE)), place: None };
    }

    /// Nothing is held any more.
    pub fn lift(&mut self) {
        *self = Self::default();
    }

    /// Where it is now; none while the headset holds none, or has lost sight of it.
    pub fn place(&self) -> Option<Transform> {
        self.place
    }
}

/// What has become of the context in which a runtime keeps entities.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Context {
    Asked(sys::FutureEXT),
    There(sys::SpatialContextEXT),
    /// The runtime has none after all.
    Refused,
}

/// A session's anchors.
pub(crate) struct Anchors {
    context: Context,
    held: Option<(Transform, sys::SpatialEntityEXT)>,
    entities: raw::SpatialEntityEXT,
    anchors: raw::SpatialAnchorEXT,
    futures: raw::FutureEXT,
    instance: OxrInstance,
    // Destroyed after all that was made in it.
    session: OxrSession,
}

/// What this module reads of an entity.
static ANCHOR: sys::SpatialComponentTypeEXT = sys::SpatialComponentTypeEXT::ANCHOR;

impl Anchors {
    /// None where the headset does not offer any.
    pub(crate) fn new(instance: &OxrInstance, system: SystemId, session: &OxrSession) -> Option<Self> {
        let exts = instance.exts();
        let (entities, anchors, futures) = (exts.ext_spatial_entity?, exts.ext_spatial_anchor?, exts.ext_future?);
        if !offers(&entities, instance, system) {
            return None;
        }
        let config = sys::SpatialCapabilityConfigurationAnchorEXT {
            ty: sys::SpatialCapabilityConfigurationAnchorEXT::TYPE,
            next: std::ptr::null(),
            capability: sys::SpatialCapabilityEXT::ANCHOR,
            enabled_component_count: 1,
            enabled_components: &raw const ANCHOR,
        };
        let configs = [(&raw const config).cast::<sys::SpatialCapabilityConfigurationBaseHeaderEXT>()];
        let info = sys::SpatialContextCreateInfoEXT {
            ty: sys::SpatialContextCreateInfoEXT::TYPE,
            next: std::ptr::null(),
            capability_config_count: 1,
            capability_configs: configs.as_ptr(),
        };
        let mut future = sys::FutureEXT::default();
        #[expect(unsafe_code, reason = "a function of the extension")]
        // SAFETY: the session lives; `info`, what it points to and `future` outlive the call.
        let asked =
            unsafe { (entities.create_spatial_context_async)(session.as_raw(), &raw const info, &raw mut future) };
        is_done(asked, "anchors")?;
        let (instance, session, context) = (instance.clone(), session.clone(), Context::Asked(future));
        Some(Self { context, held: None, entities, anchors, futures, instance, session })
    }

    /// Holds what is wanted and says where it is at an instant, in the frame of `stage`.
    pub(crate) fn follow(&mut self, anchor: &mut Anchor, stage: &Space, at: Time) {
        if let Context::Asked(future) = self.context {
            self.context = self.answer(future);
        }
        let Context::There(context) = self.context else { return };
        if self.held.map(|(place, _)| place) != anchor.wanted {
            self.let_go();
            self.held = anchor.wanted.and_then(|place| Some((place, self.make(context, place, stage, at)?)));
            // What cannot be held is not asked for in every frame.
            anchor.wanted = self.held.map(|(place, _)| place);
        }
        anchor.place = self.held.and_then(|(_, entity)| self.locate(context, entity, stage, at));
    }

    fn answer(&self, future: sys::FutureEXT) -> Context {
        let ask = sys::FuturePollInfoEXT { ty: sys::FuturePollInfoEXT::TYPE, next: std::ptr::null(), future };
        let mut answer = sys::FuturePollResultEXT {
            ty: sys::FuturePollResultEXT::TYPE,
            next: std::ptr::null_mut(),
            state: sys::FutureStateEXT::PENDING,
        };
        #[expect(unsafe_code, reason = "a function of the extension")]
        // SAFETY: the instance lives, and `future` is one that it gave; `ask` and `answer` outlive the call.
        let polled = unsafe { (self.futures.poll_future)(self.instance.as_raw(), &raw const ask, &raw mut answer) };
        if is_done(polled, "anchors").is_none() {
            return Context::Refused;
        }
        if answer.state != sys::FutureStateEXT::READY {
            return Context::Asked(future);
        }
        let mut made = sys::CreateSpatialContextCompletionEXT {
            ty: sys::CreateSpatialContextCompletionEXT::TYPE,
            next: std::ptr::null_mut(),
            future_result: sys::Result::ERROR_RUNTIME_FAILURE,
            spatial_context: sys::SpatialContextEXT::NULL,
        };
        #[expect(unsafe_code, reason = "a function of the extension")]
        // SAFETY: the session lives, and `future`, which is ready, is its own; `made` outlives the call.
        let completed =
            unsafe { (self.entities.create_spatial_context_complete)(self.session.as_raw(), future, &raw mut made) };
        let is_there = is_done(completed, "anchors").and_then(|()| is_done(made.future_result, "anchors"));
        is_there.map_or(Context::Refused, |()| Context::There(made.spatial_context))
    }

    fn make(
        &self,
        context: sys::SpatialContextEXT,
        place: Transform,
        stage: &Space,
        at: Time,
    ) -> Option<sys::SpatialEntityEXT> {
        let info = sys::SpatialAnchorCreateInfoEXT {
            ty: sys::SpatialAnchorCreateInfoEXT::TYPE,
            next: std::ptr::null(),
            base_space: stage.as_raw(),
            time: at,
            pose: pose_of(place),
        };
        let (mut id, mut entity) = (sys::SpatialEntityIdEXT::default(), sys::SpatialEntityEXT::NULL);
        #[expect(unsafe_code, reason = "a function of the extension")]
        // SAFETY: context and space are the living session's; `info`, `id` and `entity` outlive the call.
        let made =
            unsafe { (self.anchors.create_spatial_anchor)(context, &raw const info, &raw mut id, &raw mut entity) };
        is_done(made, "an anchor").map(|()| entity)
    }

    fn locate(
        &self,
        context: sys::SpatialContextEXT,
        entity: sys::SpatialEntityEXT,
        stage: &Space,
        at: Time,
    ) -> Option<Transform> {
        let info = sys::SpatialUpdateSnapshotCreateInfoEXT {
            ty: sys::SpatialUpdateSnapshotCreateInfoEXT::TYPE,
            next: std::ptr::null(),
            entity_count: 1,
            entities: &raw const entity,
            component_type_count: 1,
            component_types: &raw const ANCHOR,
            base_space: stage.as_raw(),
            time: at,
        };
        let mut snapshot = sys::SpatialSnapshotEXT::NULL;
        #[expect(unsafe_code, reason = "a function of the extension")]
        // SAFETY: context, entity and space are the living session's; `info`, what it points to and `snapshot` outlive
        // the call.
        let made =
            unsafe { (self.entities.create_spatial_update_snapshot)(context, &raw const info, &raw mut snapshot) };
        is_done(made, "where an anchor is")?;
        let found = self.read(snapshot);
        #[expect(unsafe_code, reason = "a function of the extension")]
        // SAFETY: it was made above, and nothing has kept it.
        let gone = unsafe { (self.entities.destroy_spatial_snapshot)(snapshot) };
        is_done(gone, "where an anchor was")?;
        found
    }

    /// Where the one entity of a snapshot is, if it is tracked.
    fn read(&self, snapshot: sys::SpatialSnapshotEXT) -> Option<Transform> {
        let (mut id, mut state) = (sys::SpatialEntityIdEXT::default(), sys::SpatialEntityTrackingStateEXT::STOPPED);
        let mut pose = Posef::IDENTITY;
        let mut list = sys::SpatialComponentAnchorListEXT {
            ty: sys::SpatialComponentAnchorListEXT::TYPE,
            next: std::ptr::null_mut(),
            location_count: 1,
            locations: &raw mut pose,
        };
        let condition = sys::SpatialComponentDataQueryConditionEXT {
            ty: sys::SpatialComponentDataQueryConditionEXT::TYPE,
            next: std::ptr::null(),
            component_type_count: 1,
            component_types: &raw const ANCHOR,
        };
        let mut result = sys::SpatialComponentDataQueryResultEXT {
            ty: sys::SpatialComponentDataQueryResultEXT::TYPE,
            next: (&raw mut list).cast(),
            entity_id_capacity_input: 1,
            entity_id_count_output: 0,
            entity_ids: &raw mut id,
            entity_state_capacity_input: 1,
            entity_state_count_output: 0,
            entity_states: &raw mut state,
        };
        #[expect(unsafe_code, reason = "a function of the extension")]
        // SAFETY: the snapshot lives; `condition`, `result` and the one element that each of its lists has room for, as
        // it says, outlive the call.
        let asked =
            unsafe { (self.entities.query_spatial_component_data)(snapshot, &raw const condition, &raw mut result) };
        is_done(asked, "where an anchor is")?;
        let is_tracked = result.entity_state_count_output == 1 && state == sys::SpatialEntityTrackingStateEXT::TRACKING;
        checked(pose).filter(|_| is_tracked)
    }

    fn let_go(&mut self) {
        let Some((_, entity)) = self.held.take() else { return };
        #[expect(unsafe_code, reason = "a function of the extension")]
        // SAFETY: it was made in the living session's context, and is forgotten here.
        let gone = unsafe { (self.entities.destroy_spatial_entity)(entity) };
        let _ = is_done(gone, "an anchor");
    }
}

impl Drop for Anchors {
    fn drop(&mut self) {
        self.let_go();
        if let Context::There(context) = self.context {
            #[expect(unsafe_code, reason = "a function of the extension")]
            // SAFETY: the session, of which `self` holds a part, lives until after this; its one entity is gone.
            let gone = unsafe { (self.entities.destroy_spatial_context)(context) };
            let _ = is_done(gone, "anchors");
        }
    }
}

/// Whether the headset can hold anchors: to know an extension is not to have what it needs.
fn offers(entities: &raw::SpatialEntityEXT, instance: &OxrInstance, system: SystemId) -> bool {
    /// More than the registry knows.
    const MOST: usize = 64;
    let mut all = [sys::SpatialCapabilityEXT::from_raw(0); MOST];
    let mut count = 0;
    #[expect(unsafe_code, reason = "a function of the extension")]
    // SAFETY: the instance lives; `all` has room for as many as is said, and outlives the call with `count`.
    let asked = unsafe {
        (entities.enumerate_spatial_capabilities)(
            instance.as_raw(),
            system,
            MOST as u32,
            &raw mut count,
            all.as_mut_ptr(),
        )
    };
    let known = all.iter().take(count as usize);
    is_done(asked, "anchors").is_some() && known.into_iter().any(|one| *one == sys::SpatialCapabilityEXT::ANCHOR)
}

/// A failure is a note for who looks into it: without anchors all goes on.
fn is_done(result: sys::Result, what: &str) -> Option<()> {
    if result.into_raw() < 0 {
        debug!("the headset has no {what}: {result}");
        return None;
    }
    Some(())
}

fn pose_of(place: Transform) -> Posef {
    let (Vec3 { x, y, z }, r) = (place.translation, place.rotation);
    let orientation = Quaternionf { x: r.x, y: r.y, z: r.z, w: r.w };
    Posef { orientation, position: Vector3f { x, y, z } }
}
