//! What belongs to the person in the headset is never hidden by the plant: panels lie over whatever stands nearer, and
//! hands, laser and its spot over panels that are further away. A card in the plant is a thing of the plant. They are drawn last, the panels without asking what was
//! there; the depth that the runtime gets is theirs all the same, so that it moves the picture rightly.

use bevy::asset::{load_internal_asset, uuid_handle};
use bevy::mesh::MeshVertexBufferLayoutRef;
use bevy::pbr::{MaterialPipeline, MaterialPipelineKey};
use bevy::prelude::*;
use bevy::render::render_resource::{
    AsBindGroup, CompareFunction, RenderPipelineDescriptor, ShaderType, SpecializedMeshPipelineError,
};
use bevy::shader::{Shader, ShaderRef};

const SHADER: Handle<Shader> = uuid_handle!("0d6f1f5c-7a2e-4d55-9d0e-5b8a3c417f02");
/// Drawn in this order after all of the plant, which is nearer to 0 than any of these.
const ORDER: [f32; 2] = [1e5, 2e5];

/// A panel, a card, or a part of a hand.
#[derive(Asset, TypePath, AsBindGroup, Debug, Clone)]
#[bind_group_data(IsPanel)]
pub(super) struct FrontMaterial {
    #[uniform(0)]
    look: FrontUniform,
    #[texture(1)]
    #[sampler(2)]
    picture: Option<Handle<Image>>,
    is_panel: bool,
}

#[derive(ShaderType, Debug, Clone)]
struct FrontUniform {
    colour: LinearRgba,
    is_lit: f32,
}

/// Whether it lies over all that was drawn before.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[repr(C)]
pub(super) struct IsPanel(bool);

impl From<&FrontMaterial> for IsPanel {
    fn from(material: &FrontMaterial) -> Self {
        IsPanel(material.is_panel)
    }
}

impl FrontMaterial {
    /// A panel that shows this.
    pub(super) fn panel(picture: Handle<Image>) -> Self {
        let look = FrontUniform { colour: LinearRgba::WHITE, is_lit: 0.0 };
        Self { look, picture: Some(picture), is_panel: true }
    }

    /// A card in the plant, which what stands before it hides.
    pub(super) fn card(picture: Handle<Image>) -> Self {
        Self { is_panel: false, ..Self::panel(picture) }
    }

    /// A part of a hand.
    pub(super) fn hand(colour: Color) -> Self {
        Self { look: FrontUniform { colour: colour.into(), is_lit: 1.0 }, picture: None, is_panel: false }
    }

    /// What shines: a laser.
    pub(super) fn light(colour: Color) -> Self {
        Self { look: FrontUniform { colour: colour.into(), is_lit: 0.0 }, picture: None, is_panel: false }
    }
}

impl Material for FrontMaterial {
    fn vertex_shader() -> ShaderRef {
        SHADER.into()
    }
    fn fragment_shader() -> ShaderRef {
        SHADER.into()
    }
    fn enable_prepass() -> bool {
        false
    }
    fn enable_shadows() -> bool {
        false
    }
    /// What is blended is drawn in order, after what is not.
    fn alpha_mode(&self) -> AlphaMode {
        AlphaMode::Blend
    }
    fn depth_bias(&self) -> f32 {
        ORDER[usize::from(!self.is_panel)]
    }
    fn specialize(
        _: &MaterialPipeline,
        descriptor: &mut RenderPipelineDescriptor,
        layout: &MeshVertexBufferLayoutRef,
        key: MaterialPipelineKey<Self>,
    ) -> Result<(), SpecializedMeshPipelineError> {
        let attributes = [
            Mesh::ATTRIBUTE_POSITION.at_shader_location(0),
            Mesh::ATTRIBUTE_NORMAL.at_shader_location(1),
            Mesh::ATTRIBUTE_UV_0.at_shader_location(2),
        ];
        descriptor.vertex.buffers = vec![layout.0.get_layout(&attributes)?];
        if let Some(depth) = descriptor.depth_stencil.as_mut() {
            depth.depth_write_enabled = Some(true);
            if key.bind_group_data.0 {
                depth.depth_compare = Some(CompareFunction::Always);
            }
        }
        Ok(())
    }
}

pub(super) fn plugin(app: &mut App) {
    load_internal_asset!(app, SHADER, "../../../shaders/front.wgsl", Shader::from_wgsl);
    app.add_plugins(MaterialPlugin::<FrontMaterial>::default());
}
