//! Images of the runtime with two layers, for the left and the right of a pair of views.

use bevy::math::UVec2;
use bevy::render::render_resource::TextureFormat;
use bevy_mod_openxr::error::OxrError;
use bevy_mod_openxr::layer_builder::SwapchainSubImage;
use bevy_mod_openxr::resources::OxrSwapchain;
use bevy_mod_openxr::session::OxrSession;
use bevy_mod_openxr::types::{SwapchainCreateFlags, SwapchainCreateInfo, SwapchainUsageFlags};
use openxr::sys;

/// Images of this format and size that are drawn into as `attachment`, and read by the runtime.
pub(crate) fn create(
    session: &OxrSession,
    attachment: SwapchainUsageFlags,
    format: TextureFormat,
    size: UVec2,
) -> Result<OxrSwapchain, OxrError> {
    session.create_swapchain(SwapchainCreateInfo {
        create_flags: SwapchainCreateFlags::EMPTY,
        usage_flags: attachment | SwapchainUsageFlags::SAMPLED,
        format,
        sample_count: 1,
        width: size.x,
        height: size.y,
        face_count: 1,
        array_size: 2,
        mip_count: 1,
    })
}

/// The whole of one layer.
pub(crate) fn layer(swapchain: &OxrSwapchain, size: UVec2, layer: u32) -> sys::SwapchainSubImage {
    let whole = openxr::Rect2Di {
        offset: openxr::Offset2Di { x: 0, y: 0 },
        extent: openxr::Extent2Di { width: size.x as i32, height: size.y as i32 },
    };
    SwapchainSubImage::new().swapchain(swapchain).image_array_index(layer).image_rect(whole).into_raw()
}
