//! The depth of each view's picture for the runtime (XR_KHR_composition_layer_depth): with it, a picture that comes late is
//! moved to where the head is by then, near things more than far ones. Where the runtime does not offer it, or no format
//! that fits, pictures go without.

use bevy::prelude::*;
use bevy::render::render_resource::TextureFormat;
use bevy::render::renderer::{RenderDevice, RenderQueue};
use bevy::render::view::ViewDepthTexture;
use bevy_mod_openxr::resources::{OxrInstance, OxrSwapchain, OxrSwapchainImages};
use bevy_mod_openxr::session::OxrSession;
use bevy_mod_openxr::types::SwapchainUsageFlags;
use bevy_mod_xr::camera::{XrCamera, XrProjection};
use openxr::sys;

use crate::figures::HeadsetFigures;
use crate::picture::Picture;
use crate::swapchain;

/// Of Bevy's own depth, and of the runtime's image.
const FORMAT: TextureFormat = TextureFormat::Depth32Float;

/// What the layer says of the depth of a left and a right view, if that frame has it.
pub(crate) type PairDepth = Option<[sys::CompositionLayerDepthInfoKHR; 2]>;

/// The runtime's images for the depth of a pair of views, one layer each.
pub(crate) struct Depth {
    swapchain: OxrSwapchain,
    images: OxrSwapchainImages,
    size: UVec2,
    /// The image that is ours in this frame.
    taken: Option<usize>,
    /// How many of its layers have been drawn into.
    drawn: u32,
}

/// How depth is drawn: for pictures of one sample and of several.
#[derive(Resource)]
pub(crate) struct DepthPipelines {
    one_sample: wgpu::RenderPipeline,
    samples: wgpu::RenderPipeline,
}

impl Depth {
    /// Images for depth, where the runtime has them.
    pub(crate) fn new(
        instance: &OxrInstance,
        session: &OxrSession,
        device: &RenderDevice,
        size: UVec2,
    ) -> Option<Depth> {
        instance.exts().khr_composition_layer_depth.as_ref()?;
        let offered = session.enumerate_swapchain_formats().ok()?;
        let swapchain = offered
            .contains(&FORMAT)
            .then(|| swapchain::create(session, SwapchainUsageFlags::DEPTH_STENCIL_ATTACHMENT, FORMAT, size))?;
        let swapchain = swapchain.inspect_err(|why| debug!("no images for depth: {why}")).ok()?;
        let images = swapchain.enumerate_images(device.wgpu_device(), FORMAT, size).ok()?;
        Some(Depth { swapchain, images, size, taken: None, drawn: 0 })
    }

    /// Gets the image of this frame. Without one, the frame goes without depth.
    pub(crate) fn acquire(&mut self) {
        let image = self.swapchain.acquire_image().and_then(|image| {
            self.swapchain.wait_image(openxr::Duration::INFINITE)?;
            Ok(image as usize)
        });
        self.taken = image.ok().filter(|image| *image < self.images.len());
        self.drawn = 0;
    }

    /// Gives it back; what the layer says of it, left eye first, if it holds this frame's depth.
    pub(crate) fn release(&mut self) -> PairDepth {
        self.taken.take()?;
        self.swapchain.release_image().ok()?;
        if self.drawn != 2 {
            return None;
        }
        let info = |layer| {
            sys::CompositionLayerDepthInfoKHR {
                ty: sys::CompositionLayerDepthInfoKHR::TYPE,
                next: std::ptr::null(),
                sub_image: swapchain::layer(&self.swapchain, self.size, layer),
                min_depth: 0.0,
                max_depth: 1.0,
                // Reversed: depth 0 is infinitely far, depth 1 at the near plane. The specification has the plane of
                // depth `min_depth` as `near_z`.
                near_z: f32::INFINITY,
                far_z: XrProjection::default().near,
            }
        };
        Some([info(0), info(1)])
    }

    /// Copies the depth that one view was drawn with into its layer.
    fn draw(
        &mut self,
        from: &wgpu::TextureView,
        layer: u32,
        pipelines: &DepthPipelines,
        device: &wgpu::Device,
        encoder: &mut wgpu::CommandEncoder,
    ) {
        let Some(image) = self.taken.and_then(|image| self.images.get(image)) else { return };
        let (pipeline, binding) = match from.texture().sample_count() {
            1 => (&pipelines.one_sample, 0),
            _ => (&pipelines.samples, 1),
        };
        let group = device.create_bind_group(&wgpu::BindGroupDescriptor {
            label: Some("depth of an eye"),
            layout: &pipeline.get_bind_group_layout(0),
            entries: &[wgpu::BindGroupEntry { binding, resource: wgpu::BindingResource::TextureView(from) }],
        });
        let into = image.create_view(&wgpu::TextureViewDescriptor {
            dimension: Some(wgpu::TextureViewDimension::D2),
            array_layer_count: Some(1),
            base_array_layer: layer,
            ..Default::default()
        });
        let mut pass = encoder.begin_render_pass(&wgpu::RenderPassDescriptor {
            label: Some("depth of an eye"),
            depth_stencil_attachment: Some(wgpu::RenderPassDepthStencilAttachment {
                view: &into,
                depth_ops: Some(wgpu::Operations { load: wgpu::LoadOp::Clear(0.0), store: wgpu::StoreOp::Store }),
                stencil_ops: None,
            }),
            ..Default::default()
        });
        pass.set_pipeline(pipeline);
        pass.set_bind_group(0, &group, &[]);
        pass.draw(0..3, 0..1);
        self.drawn += 1;
    }
}

/// Draws the depth of all views, once their pictures have been drawn.
pub(crate) fn draw(
    mut commands: Commands,
    picture: Option<ResMut<Picture>>,
    pipelines: Option<Res<DepthPipelines>>,
    device: Res<RenderDevice>,
    queue: Res<RenderQueue>,
    drawn: Query<(&ViewDepthTexture, &XrCamera)>,
    figures: Res<HeadsetFigures>,
) {
    let _own = figures.timed();
    let Some(mut picture) = picture else { return };
    if picture.pairs.iter().all(|pair| pair.depth.as_ref().is_none_or(|depth| depth.taken.is_none())) {
        return;
    }
    let Some(pipelines) = pipelines else {
        // Made in the first frame that needs them; that one goes without.
        return commands.insert_resource(DepthPipelines::new(device.wgpu_device()));
    };
    let device = device.wgpu_device();
    let mut encoder = device.create_command_encoder(&wgpu::CommandEncoderDescriptor::default());
    for (from, eye) in &drawn {
        let pair = picture.pairs.get_mut(eye.0 as usize / 2);
        if let Some(depth) = pair.and_then(|pair| pair.depth.as_mut()) {
            depth.draw(from.view(), eye.0 % 2, &pipelines, device, &mut encoder);
        }
    }
    queue.submit([encoder.finish()]);
}

impl DepthPipelines {
    fn new(device: &wgpu::Device) -> Self {
        let shader = shader(device);
        let pipeline = |fragment| {
            device.create_render_pipeline(&wgpu::RenderPipelineDescriptor {
                label: Some("depth of an eye"),
                layout: None,
                vertex: wgpu::VertexState {
                    module: &shader,
                    entry_point: Some("whole"),
                    compilation_options: Default::default(),
                    buffers: &[],
                },
                primitive: wgpu::PrimitiveState::default(),
                depth_stencil: Some(overwriting()),
                multisample: wgpu::MultisampleState::default(),
                fragment: Some(wgpu::FragmentState {
                    module: &shader,
                    entry_point: Some(fragment),
                    compilation_options: Default::default(),
                    targets: &[],
                }),
                multiview_mask: None,
                cache: None,
            })
        };
        Self { one_sample: pipeline("depth"), samples: pipeline("first_depth") }
    }
}

/// `shaders/eye.wgsl`.
pub(crate) fn shader(device: &wgpu::Device) -> wgpu::ShaderModule {
    device.create_shader_module(wgpu::ShaderModuleDescriptor {
        label: Some("shaders/eye.wgsl"),
        source: wgpu::ShaderSource::Wgsl(include_str!("../../shaders/eye.wgsl").into()),
    })
}

/// Depth is written, whatever was there.
pub(crate) fn overwriting() -> wgpu::DepthStencilState {
    wgpu::DepthStencilState {
        format: FORMAT,
        depth_write_enabled: Some(true),
        depth_compare: Some(wgpu::CompareFunction::Always),
        stencil: wgpu::StencilState::default(),
        bias: wgpu::DepthBiasState::default(),
    }
}
