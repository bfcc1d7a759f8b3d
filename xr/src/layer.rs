//! The layer that both eyes' pictures go to the runtime in, with their depth where there is one. bevy_mod_openxr's own
//! layer has no place for depth.

use std::ptr;

use bevy::math::UVec2;
use bevy_mod_openxr::layer_builder::{CompositionLayer, SwapchainSubImage};
use bevy_mod_openxr::resources::OxrSwapchain;
use openxr::{Space, View, sys};

/// What the runtime is given for both eyes.
pub(crate) struct EyesLayer {
    layer: sys::CompositionLayerProjection,
    // The layer points to these, and they to the depths: boxed, so that they stay where they are.
    _views: Box<[sys::CompositionLayerProjectionView]>,
    _depths: Option<Box<[sys::CompositionLayerDepthInfoKHR; 2]>>,
}

impl EyesLayer {
    /// The pictures in `swapchain`, left eye first, drawn from `views` in `stage`; none for other than two eyes.
    pub(crate) fn new(
        swapchain: &OxrSwapchain,
        stage: &Space,
        views: &[View],
        size: UVec2,
        depths: Option<[sys::CompositionLayerDepthInfoKHR; 2]>,
        flags: sys::CompositionLayerFlags,
    ) -> Option<Self> {
        let [left, right] = views else { return None };
        let depths = depths.map(Box::new);
        let image_rect = openxr::Rect2Di {
            offset: openxr::Offset2Di { x: 0, y: 0 },
            extent: openxr::Extent2Di { width: size.x as i32, height: size.y as i32 },
        };
        let view = |eye: u32, view: &View| {
            let image = SwapchainSubImage::new().swapchain(swapchain).image_array_index(eye).image_rect(image_rect);
            let depth = depths.as_ref().map_or(ptr::null(), |depths| ptr::from_ref(&depths[eye as usize]).cast());
            sys::CompositionLayerProjectionView {
                ty: sys::CompositionLayerProjectionView::TYPE,
                next: depth,
                pose: view.pose,
                fov: view.fov,
                sub_image: image.into_raw(),
            }
        };
        let views: Box<[_]> = Box::new([view(0, left), view(1, right)]);
        let layer = sys::CompositionLayerProjection {
            ty: sys::CompositionLayerProjection::TYPE,
            next: ptr::null(),
            layer_flags: flags,
            space: stage.as_raw(),
            view_count: 2,
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
