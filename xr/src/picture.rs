//! What a session is drawn into: for each pair of views one image of two layers, in a format that Bevy's own pictures have,
//! and one for their depth.

use std::sync::Arc;

use bevy::prelude::*;
use bevy::render::render_resource::{TextureFormat, TextureViewDescriptor, TextureViewDimension};
use bevy::render::renderer::RenderDevice;
use bevy::render::texture::ManualTextureView;
use bevy_mod_openxr::error::OxrError;
use bevy_mod_openxr::resources::{OxrFrameStream, OxrInstance, OxrSwapchain, OxrSwapchainImages};
use bevy_mod_openxr::session::OxrSession;
use bevy_mod_openxr::types::SwapchainUsageFlags;
use openxr::{Space, SystemId};

use crate::depth::{Depth, PairDepth};
use crate::display::{Hidden, hidden};
use crate::room::{Blending, RoomLayer};
use crate::swapchain;
use crate::views::Views;

/// All of a session that the render world uses. Made in the main world, taken by the render world once.
#[derive(Resource)]
pub(crate) struct Picture {
    pub(crate) session: OxrSession,
    pub(crate) stream: OxrFrameStream,
    pub(crate) views: Views,
    /// Of the wide views, then of the insets if there are any.
    pub(crate) pairs: Vec<Pair>,
    /// Of each view.
    pub(crate) hidden: Vec<Hidden>,
    pub(crate) stage: Arc<Space>,
    pub(crate) blending: Blending,
    pub(crate) room: Option<RoomLayer>,
}

/// The images of a left and a right view, in layers 0 and 1.
pub(crate) struct Pair {
    pub(crate) swapchain: OxrSwapchain,
    pub(crate) images: OxrSwapchainImages,
    pub(crate) depth: Option<Depth>,
    pub(crate) size: UVec2,
    format: TextureFormat,
}

impl Picture {
    pub(crate) fn new(
        instance: &OxrInstance,
        system: SystemId,
        session: OxrSession,
        stream: OxrFrameStream,
        stage: Arc<Space>,
        device: &RenderDevice,
    ) -> Result<Self, OxrError> {
        let views = Views::choose(instance, system)?;
        let pairs = views.sizes().map(|size| Pair::new(instance, &session, device, size));
        let pairs = pairs.collect::<Result<Vec<_>, _>>()?;
        let hidden = hidden(&session, &views);
        let blends = instance.enumerate_environment_blend_modes(system, views.kind)?;
        let room = RoomLayer::new(&session);
        let blending = Blending::new(&blends, room.is_some());
        Ok(Self { session, stream, views, pairs, hidden, stage, blending, room })
    }

    /// The pair that a view belongs to, and its layer in that.
    pub(crate) fn pair(&self, view: u32) -> Option<(&Pair, u32)> {
        Some((self.pairs.get(view as usize / 2)?, view % 2))
    }
}

impl Pair {
    fn new(instance: &OxrInstance, session: &OxrSession, device: &RenderDevice, size: UVec2) -> Result<Self, OxrError> {
        let offered = session.enumerate_swapchain_formats()?;
        let ours = [TextureFormat::Rgba8UnormSrgb, TextureFormat::Bgra8UnormSrgb];
        let format = ours.into_iter().find(|f| offered.contains(f)).ok_or(OxrError::NoAvailableFormat)?;
        let swapchain = swapchain::create(session, SwapchainUsageFlags::COLOR_ATTACHMENT, format, size)?;
        let images = swapchain.enumerate_images(device.wgpu_device(), format, size)?;
        if images.is_empty() {
            return Err(OxrError::NoAvailableFormat);
        }
        let depth = Depth::new(instance, session, device, size);
        Ok(Self { swapchain, images, depth, size, format })
    }

    /// Gets the image to draw into, once the runtime has read what was in it: its number.
    pub(crate) fn acquire(&mut self) -> Result<usize, OxrError> {
        let image = self.swapchain.acquire_image()?;
        self.swapchain.wait_image(openxr::Duration::INFINITE)?;
        if let Some(depth) = self.depth.as_mut() {
            depth.acquire();
        }
        Ok(image as usize)
    }

    /// Gives the image back, if one was got; what the layer says of its depth.
    pub(crate) fn release(&mut self, has_image: bool) -> Result<PairDepth, OxrError> {
        let depth = self.depth.as_mut().and_then(Depth::release);
        if has_image {
            self.swapchain.release_image()?;
        }
        Ok(depth)
    }

    /// The part of an image that one view is drawn into; none of an image that was never told of.
    pub(crate) fn target(&self, image: usize, layer: u32) -> Option<ManualTextureView> {
        let view = self.images.get(image)?.create_view(&TextureViewDescriptor {
            dimension: Some(TextureViewDimension::D2),
            array_layer_count: Some(1),
            base_array_layer: layer,
            ..default()
        });
        Some(ManualTextureView { texture_view: view.into(), size: self.size, view_format: self.format })
    }
}
