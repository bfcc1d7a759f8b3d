//! The layer that the pictures of all views go to the runtime in, with their depth where there is one. bevy_mod_openxr's own
//! layer has no place for depth.

use std::ptr;

use bevy_mod_openxr::layer_builder::CompositionLayer;
use bevy_mod_openxr::resources::OxrSwapchain;
use openxr::{View, sys};

use crate::depth::PairDepth;
use crate::picture::Picture;
use crate::swapchain;

/// What the runtime is given for all views.
pub(crate) struct EyesLayer {
    layer: sys::CompositionLayerProjection,
    // The layer points to these, and they to the depths: boxed, so that they stay where they are.
    _views: Box<[sys::CompositionLayerProjectionView]>,
    _depths: Box<[PairDepth]>,
}

impl EyesLayer {
    /// The pictures of all pairs of views, drawn from `views` in the session's space; none for another number of views.
    pub(crate) fn new(
        picture: &Picture,
        views: &[View],
        depths: &[PairDepth],
        flags: sys::CompositionLayerFlags,
    ) -> Option<Self> {
        if views.len() != picture.views.count() as usize {
            return None;
        }
        let depths: Box<[PairDepth]> = depths.into();
        let layered = views.iter().zip(0..).map(|(view, number)| {
            let (pair, layer) = picture.pair(number)?;
            let depth = depths.get(number as usize / 2)?.as_ref();
            Some(sys::CompositionLayerProjectionView {
                ty: sys::CompositionLayerProjectionView::TYPE,
                next: depth.map_or(ptr::null(), |both| ptr::from_ref(&both[layer as usize]).cast()),
                pose: view.pose,
                fov: view.fov,
                sub_image: swapchain::layer(&pair.swapchain, pair.size, layer),
            })
        });
        let views = layered.collect::<Option<Box<[_]>>>()?;
        let layer = sys::CompositionLayerProjection {
            ty: sys::CompositionLayerProjection::TYPE,
            next: ptr::null(),
            layer_flags: flags,
            space: picture.stage.as_raw(),
            view_count: picture.views.count(),
            views: views.as_ptr(),
        };
        Some(Self { layer, _views: views, _depths: depths })
    }
}

#[expect(unsafe_code, reason = "the trait's promise is about the layout of a C structure")]
// SAFETY: `layer` is the specification's own structure for a projection layer, whose first members are those of the base
// header; what it points to is owned by `self` and does not move.
unsafe impl<'a> CompositionLayer<'a> for EyesLayer {
    fn swapchain(&self) -> Option<&'a OxrSwapchain> {
        None
    }

    fn header(&self) -> &sys::CompositionLayerBaseHeader {
        // SAFETY: as above: the base header is how every layer begins.
        unsafe { &*ptr::from_ref(&self.layer).cast() }
    }
}
