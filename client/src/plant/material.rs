//! A glTF material as the material Bevy draws with.

use bevy::gltf::GltfMaterial;
use bevy::prelude::*;
use bevy::render::render_resource::Face;

/// The core of glTF 2.0 metallic-roughness, normal maps, occlusion, emission, unlit. A node whose world matrix mirrors
/// (`inverted`) turns its triangles inside out, so that the other side is culled.
pub(super) fn standard_material(source: &GltfMaterial, inverted: bool) -> StandardMaterial {
    let cull_mode = match source.cull_mode {
        Some(Face::Back) if inverted => Some(Face::Front),
        other => other,
    };
    StandardMaterial {
        base_color: source.base_color,
        base_color_channel: source.base_color_channel.clone(),
        base_color_texture: source.base_color_texture.clone(),
        emissive: source.emissive,
        emissive_channel: source.emissive_channel.clone(),
        emissive_texture: source.emissive_texture.clone(),
        perceptual_roughness: source.perceptual_roughness,
        metallic: source.metallic,
        metallic_roughness_channel: source.metallic_roughness_channel.clone(),
        metallic_roughness_texture: source.metallic_roughness_texture.clone(),
        reflectance: source.reflectance,
        ior: source.ior,
        normal_map_channel: source.normal_map_channel.clone(),
        normal_map_texture: source.normal_map_texture.clone(),
        occlusion_channel: source.occlusion_channel.clone(),
        occlusion_texture: source.occlusion_texture.clone(),
        double_sided: source.double_sided,
        cull_mode,
        unlit: source.unlit,
        alpha_mode: source.alpha_mode,
        uv_transform: source.uv_transform,
        ..default()
    }
}
