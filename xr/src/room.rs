//! The room that the person is in, behind and around the plant: by the frame's blend mode, which needs no extension, or by
//! a layer below the plant's (XR_FB_passthrough). What a headset cannot do is not offered.
//!
//! What stands in it is held still by an [`anchor`](crate::anchor).

use bevy::prelude::*;
use bevy::render::extract_resource::ExtractResource;
use bevy_mod_openxr::layer_builder::CompositionLayer;
use bevy_mod_openxr::resources::{OxrPassthrough, OxrPassthroughLayerFB, OxrSwapchain};
use bevy_mod_openxr::session::OxrSession;
use openxr::sys::{self, Handle as _};
use openxr::{CompositionLayerFlags, EnvironmentBlendMode, PassthroughFlagsFB, PassthroughLayerPurposeFB};

/// Whether the person's room is seen around the plant.
#[derive(Resource, Debug, Clone, Copy, Default, PartialEq, Eq, ExtractResource)]
pub struct Room {
    /// Whether this headset can show it; written by the session.
    pub is_offered: bool,
    /// Whether the person wants it.
    pub is_wanted: bool,
}

impl Room {
    /// Whether it is shown: the eyes then must see nothing where there is no plant.
    pub fn is_shown(self) -> bool {
        self.is_offered && self.is_wanted
    }
}

/// How frames are blended with the room.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Blending {
    /// Without the room, as far as the headset can leave it out.
    closed: EnvironmentBlendMode,
    /// With it: the mode, and whether the plant's picture says by its alpha where it is.
    open: Option<(EnvironmentBlendMode, bool)>,
}

impl Blending {
    /// By the modes that the runtime offers, its favourite first, and whether there is a layer with the room.
    pub(crate) fn new(offered: &[EnvironmentBlendMode], has_layer: bool) -> Self {
        let has = |mode| offered.contains(&mode);
        let closed = if has(EnvironmentBlendMode::OPAQUE) { None } else { offered.first().copied() };
        let closed = closed.unwrap_or(EnvironmentBlendMode::OPAQUE);
        let open = if has(EnvironmentBlendMode::ALPHA_BLEND) {
            Some((EnvironmentBlendMode::ALPHA_BLEND, true))
        } else if has_layer {
            Some((closed, true))
        } else {
            // Of glass: black is clear there.
            has(EnvironmentBlendMode::ADDITIVE).then_some((EnvironmentBlendMode::ADDITIVE, false))
        };
        Self { closed, open }
    }

    /// Whether the room can be shown.
    pub(crate) fn offers_room(self) -> bool {
        self.open.is_some()
    }

    /// The mode of a frame, and the flags of the plant's layer in it.
    pub(crate) fn of_frame(self, room: Room) -> (EnvironmentBlendMode, CompositionLayerFlags) {
        match self.open.filter(|_| room.is_shown()) {
            Some((mode, true)) => (mode, CompositionLayerFlags::BLEND_TEXTURE_SOURCE_ALPHA),
            Some((mode, false)) => (mode, CompositionLayerFlags::EMPTY),
            None => (self.closed, CompositionLayerFlags::EMPTY),
        }
    }
}

/// What the headset's cameras see, as a layer below the plant's.
pub(crate) struct RoomLayer {
    layer: OxrPassthroughLayerFB,
    is_paused: bool,
    // Destroyed after the layer.
    _cameras: OxrPassthrough,
}

impl RoomLayer {
    /// None where the runtime has no such layer, or none for this app.
    pub(crate) fn new(session: &OxrSession) -> Option<Self> {
        session.instance().exts().fb_passthrough?;
        // Both run from the start, and the layer is paused by the first frame: `Passthrough::start` of openxr 0.21 pauses
        // by mistake.
        let running = PassthroughFlagsFB::IS_RUNNING_AT_CREATION;
        let cameras = session.create_passthrough(running).inspect_err(|why| debug!("no room: {why}")).ok()?;
        let purpose = PassthroughLayerPurposeFB::RECONSTRUCTION;
        let layer = session.create_passthrough_layer(&cameras, purpose).ok()?;
        Some(Self { layer, is_paused: false, _cameras: cameras })
    }

    /// The cameras run only while the room is shown. What a frame has of it, below all else.
    pub(crate) fn show(&mut self, is_shown: bool) -> Option<RoomSeen> {
        if is_shown == self.is_paused {
            let done = if is_shown { self.layer.resume() } else { self.layer.pause() };
            match done {
                Ok(()) => self.is_paused = !is_shown,
                Err(why) => debug!("the room stays as it is: {why}"),
            }
        }
        let seen = sys::CompositionLayerPassthroughFB {
            ty: sys::CompositionLayerPassthroughFB::TYPE,
            next: std::ptr::null(),
            flags: CompositionLayerFlags::BLEND_TEXTURE_SOURCE_ALPHA,
            space: sys::Space::NULL,
            layer_handle: self.layer.as_raw(),
        };
        (is_shown && !self.is_paused).then_some(RoomSeen(seen))
    }
}

/// The room in one frame.
pub(crate) struct RoomSeen(sys::CompositionLayerPassthroughFB);

#[expect(unsafe_code, reason = "the trait's promise is about the layout of a C structure")]
// SAFETY: it holds the specification's own structure for such a layer, whose first members are those of the base header;
// the layer that it names is the session's, and there until that ends.
unsafe impl<'a> CompositionLayer<'a> for RoomSeen {
    fn swapchain(&self) -> Option<&'a OxrSwapchain> {
        None
    }

    fn header(&self) -> &sys::CompositionLayerBaseHeader {
        // SAFETY: as above: the base header is how every layer begins.
        unsafe { &*std::ptr::from_ref(&self.0).cast() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const OPAQUE: EnvironmentBlendMode = EnvironmentBlendMode::OPAQUE;
    const ALPHA: EnvironmentBlendMode = EnvironmentBlendMode::ALPHA_BLEND;
    const GLASS: EnvironmentBlendMode = EnvironmentBlendMode::ADDITIVE;

    #[test]
    fn the_room_is_shown_by_what_the_headset_has_and_left_out_where_it_can_be() {
        let (by_alpha, none) = (CompositionLayerFlags::BLEND_TEXTURE_SOURCE_ALPHA, CompositionLayerFlags::EMPTY);
        let (closed, open) = (Room::default(), Room { is_offered: true, is_wanted: true });
        let cases: [(&[EnvironmentBlendMode], bool, _, _); 6] = [
            (&[OPAQUE], false, (OPAQUE, none), (OPAQUE, none)),
            (&[OPAQUE], true, (OPAQUE, none), (OPAQUE, by_alpha)),
            (&[OPAQUE, ALPHA], false, (OPAQUE, none), (ALPHA, by_alpha)),
            (&[ALPHA, OPAQUE], true, (OPAQUE, none), (ALPHA, by_alpha)),
            (&[GLASS], false, (GLASS, none), (GLASS, none)),
            (&[], false, (OPAQUE, none), (OPAQUE, none)),
        ];
        for (offered, has_layer, without, with) in cases {
            let blending = Blending::new(offered, has_layer);
            assert_eq!((blending.of_frame(closed), blending.of_frame(open)), (without, with), "{offered:?}");
        }
        assert!(!Blending::new(&[OPAQUE], false).offers_room() && Blending::new(&[GLASS], false).offers_room());
        let unoffered = Room { is_offered: false, is_wanted: true };
        assert_eq!(Blending::new(&[OPAQUE, ALPHA], false).of_frame(unoffered), (OPAQUE, none));
    }
}
