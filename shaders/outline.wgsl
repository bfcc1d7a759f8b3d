// The outline of a selected thing: its own shape, grown by a few pixels along its smoothed normals, seen from the
// inside, so that only a rim shows behind the thing.

#import bevy_pbr::mesh_functions::{get_world_from_local, mesh_position_local_to_world, mesh_normal_local_to_world}
#import bevy_pbr::mesh_view_bindings::view

struct Outline {
    colour: vec4<f32>,
    // Pixels of the picture.
    width: f32,
}

@group(#{MATERIAL_BIND_GROUP}) @binding(0) var<uniform> outline: Outline;

struct Vertex {
    @builtin(instance_index) instance_index: u32,
    @location(0) position: vec3<f32>,
    @location(1) normal: vec3<f32>,
}

@vertex
fn vertex(in: Vertex) -> @builtin(position) vec4<f32> {
    let world_from_local = get_world_from_local(in.instance_index);
    let place = mesh_position_local_to_world(world_from_local, vec4<f32>(in.position, 1.0));
    let normal = mesh_normal_local_to_world(in.normal, in.instance_index);
    var clip = view.clip_from_world * place;
    let direction = (view.clip_from_world * vec4<f32>(normal, 0.0)).xy * view.viewport.zw;
    let length = max(length(direction), 1e-6);
    // Clip space is two units wide, and the division by w comes after us.
    clip = vec4<f32>(clip.xy + direction / length * outline.width * 2.0 / view.viewport.zw * clip.w, clip.zw);
    return clip;
}

@fragment
fn fragment() -> @location(0) vec4<f32> {
    return outline.colour;
}
