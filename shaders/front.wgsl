// What belongs to the person in the headset rather than to the plant: panels and hands. Panels shine by themselves;
// hands are lit from where the eyes are, so that their shape is seen in any hall.

#import bevy_pbr::mesh_functions::{get_world_from_local, mesh_position_local_to_world, mesh_normal_local_to_world}
#import bevy_pbr::mesh_view_bindings::view

struct Front {
    colour: vec4<f32>,
    // 0 shines, 1 is lit.
    is_lit: f32,
}

@group(#{MATERIAL_BIND_GROUP}) @binding(0) var<uniform> front: Front;
@group(#{MATERIAL_BIND_GROUP}) @binding(1) var picture: texture_2d<f32>;
@group(#{MATERIAL_BIND_GROUP}) @binding(2) var picture_sampler: sampler;

struct Vertex {
    @builtin(instance_index) instance_index: u32,
    @location(0) position: vec3<f32>,
    @location(1) normal: vec3<f32>,
    @location(2) uv: vec2<f32>,
}

struct Varying {
    @builtin(position) clip: vec4<f32>,
    @location(0) place: vec3<f32>,
    @location(1) normal: vec3<f32>,
    @location(2) uv: vec2<f32>,
}

@vertex
fn vertex(in: Vertex) -> Varying {
    let world_from_local = get_world_from_local(in.instance_index);
    let place = mesh_position_local_to_world(world_from_local, vec4<f32>(in.position, 1.0));
    let normal = mesh_normal_local_to_world(in.normal, in.instance_index);
    return Varying(view.clip_from_world * place, place.xyz, normal, in.uv);
}

@fragment
fn fragment(in: Varying) -> @location(0) vec4<f32> {
    let colour = front.colour * textureSample(picture, picture_sampler, in.uv);
    let towards_eye = normalize(view.world_position - in.place);
    let facing = max(dot(normalize(in.normal), towards_eye), 0.0);
    let light = mix(1.0, 0.25 + 0.75 * facing, front.is_lit);
    return vec4<f32>(colour.rgb * light, 1.0);
}
