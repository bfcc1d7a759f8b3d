//! What the lenses hide of each eye (XR_KHR_visibility_mask) is put before everything else, so that nothing is shaded
//! there: with most headsets a sixth of the picture. Where the runtime has no mask, nothing is hidden.

use std::collections::HashMap;

use bevy::prelude::*;
use bevy::render::render_resource::StoreOp;
use bevy::render::renderer::{RenderContext, RenderDevice, ViewQuery};
use bevy::render::view::{ExtractedView, ViewDepthTexture};
use bevy_mod_xr::camera::XrCamera;
use wgpu::util::DeviceExt;

use crate::depth::{overwriting, shader};
use crate::display::Hidden;
use crate::figures::HeadsetFigures;
use crate::picture::Picture;

/// The masks as they are drawn, for the projections they were made for.
#[derive(Resource, Default)]
pub(crate) struct Masks {
    /// Of each view that has one.
    views: HashMap<u32, Mask>,
    pipelines: HashMap<u32, wgpu::RenderPipeline>,
}

struct Mask {
    clip_from_view: Mat4,
    corners: wgpu::Buffer,
    count: u32,
}

impl Masks {
    /// Another session, or another mask: made anew when it is drawn next.
    pub(crate) fn forget(&mut self) {
        self.views.clear();
    }
}

/// Makes ready what is hidden by the eyes' projections of this frame.
pub(crate) fn prepare(
    mut masks: ResMut<Masks>,
    device: Res<RenderDevice>,
    picture: Option<Res<Picture>>,
    views: Query<(&ExtractedView, &XrCamera, &Msaa)>,
    figures: Res<HeadsetFigures>,
) {
    let _own = figures.timed();
    let Some(picture) = picture else { return };
    for (view, eye, msaa) in &views {
        let Some(hidden) = picture.hidden.get(eye.0 as usize).filter(|hidden| !hidden.0.is_empty()) else { continue };
        let samples = msaa.samples();
        masks.pipelines.entry(samples).or_insert_with(|| pipeline(device.wgpu_device(), samples));
        if masks.views.get(&eye.0).is_none_or(|mask| mask.clip_from_view != view.clip_from_view) {
            masks.views.insert(eye.0, Mask::new(device.wgpu_device(), hidden, view.clip_from_view));
        }
    }
}

impl Mask {
    fn new(device: &wgpu::Device, hidden: &Hidden, clip_from_view: Mat4) -> Self {
        let at = |corner: &Vec2| {
            let clip = clip_from_view * corner.extend(-1.0).extend(1.0);
            clip.truncate().truncate() / clip.w
        };
        let bytes: Vec<u8> = hidden.0.iter().map(at).flat_map(|at| at.to_array()).flat_map(f32::to_le_bytes).collect();
        let corners = device.create_buffer_init(&wgpu::util::BufferInitDescriptor {
            label: Some("what an eye does not see"),
            contents: &bytes,
            usage: wgpu::BufferUsages::VERTEX,
        });
        Self { clip_from_view, corners, count: hidden.0.len() as u32 }
    }
}

/// Before the plant is drawn: nearest depth where nobody sees.
pub(crate) fn hide(
    view: ViewQuery<(&XrCamera, &ViewDepthTexture, &Msaa)>,
    masks: Option<Res<Masks>>,
    mut context: RenderContext,
    figures: Res<HeadsetFigures>,
) {
    let _own = figures.timed();
    let (eye, depth, msaa) = view.into_inner();
    let Some(masks) = masks else { return };
    let (Some(mask), Some(pipeline)) = (masks.views.get(&eye.0), masks.pipelines.get(&msaa.samples())) else { return };
    let mut pass = context.command_encoder().begin_render_pass(&wgpu::RenderPassDescriptor {
        label: Some("what an eye does not see"),
        // The first pass of a frame clears it; the plant's own then finds it as it is here.
        depth_stencil_attachment: Some(depth.get_attachment(StoreOp::Store)),
        ..Default::default()
    });
    pass.set_pipeline(pipeline);
    pass.set_vertex_buffer(0, mask.corners.slice(..));
    pass.draw(0..mask.count, 0..1);
}

fn pipeline(device: &wgpu::Device, samples: u32) -> wgpu::RenderPipeline {
    let shader = shader(device);
    device.create_render_pipeline(&wgpu::RenderPipelineDescriptor {
        label: Some("what an eye does not see"),
        layout: None,
        vertex: wgpu::VertexState {
            module: &shader,
            entry_point: Some("hidden"),
            compilation_options: Default::default(),
            buffers: &[wgpu::VertexBufferLayout {
                array_stride: 8,
                step_mode: wgpu::VertexStepMode::Vertex,
                attributes: &wgpu::vertex_attr_array![0 => Float32x2],
            }],
        },
        // Both sides: a mask's winding is of the runtime's clip space.
        primitive: wgpu::PrimitiveState { cull_mode: None, ..Default::default() },
        depth_stencil: Some(overwriting()),
        multisample: wgpu::MultisampleState { count: samples, ..Default::default() },
        fragment: None,
        multiview_mask: None,
        cache: None,
    })
}
