// The fragment stage of every surface on a software renderer: sky and floor light by the normal, one sun with one
// shadow tap, a hint of the material's gloss. It stands in for Bevy's physically based stage, which costs a CPU
// several times as much a pixel; materials, textures and meshes stay the same.

#import bevy_pbr::{
    forward_io::{VertexOutput, FragmentOutput},
    mesh_view_bindings::{lights, view},
    pbr_bindings,
    pbr_fragment::pbr_input_from_standard_material,
    pbr_functions::alpha_discard,
    pbr_types::STANDARD_MATERIAL_FLAGS_UNLIT_BIT,
    shadows::fetch_directional_shadow,
}

// What the environment of `plant/light.rs` gives a white surface that looks up, sideways and down.
const SKY: vec3<f32> = vec3(0.50, 0.53, 0.57);
const WALLS: vec3<f32> = vec3(0.34, 0.36, 0.38);
const FLOOR: vec3<f32> = vec3(0.17, 0.155, 0.14);
const SUN: vec3<f32> = vec3(0.80, 0.76, 0.69);

fn lit(base: vec3<f32>, normal: vec3<f32>, to_eye: vec3<f32>, gloss: f32, metallic: f32, shadow: f32, to_sun: vec3<f32>) -> vec3<f32> {
    let around = mix(WALLS, select(FLOOR, SKY, normal.y > 0.0), abs(normal.y));
    let sun = SUN * max(dot(normal, to_sun), 0.0) * shadow;
    // Metal shows its surroundings rather than a colour of its own; seen from here they are bright above, dark below.
    let mirrored = reflect(-to_eye, normal);
    let sheen = mix(FLOOR, SKY * 1.5, clamp(mirrored.y * 0.5 + 0.5, 0.0, 1.0));
    let matte = base * (around + sun);
    let half_way = normalize(to_sun + to_eye);
    let spot = pow(max(dot(normal, half_way), 0.0), 24.0) * gloss * shadow;
    return mix(matte, base * (sheen + 0.6 * sun), metallic * 0.7) + spot * SUN * 0.5;
}

@fragment
fn fragment(in: VertexOutput, @builtin(front_facing) is_front: bool) -> FragmentOutput {
    var surface = pbr_input_from_standard_material(in, is_front);
    surface.material.base_color = alpha_discard(surface.material, surface.material.base_color);
    let material = surface.material;
    var out: FragmentOutput;
    out.color = material.base_color;
    if (material.flags & STANDARD_MATERIAL_FLAGS_UNLIT_BIT) != 0u {
        return out;
    }
    let normal = surface.N;
    var shadow = 1.0;
    var to_sun = vec3(0.0, 1.0, 0.0);
    if lights.n_directional_lights > 0u {
        to_sun = lights.directional_lights[0].direction_to_light.xyz;
        let flags = lights.directional_lights[0].flags;
        // Bit 0: this light casts shadows. A face turned away from the sun needs no map to be dark.
        if (flags & 1u) != 0u && dot(normal, to_sun) > 0.0 {
            let view_z = dot(vec4(view.view_from_world[0].z, view.view_from_world[1].z,
                view.view_from_world[2].z, view.view_from_world[3].z), in.world_position);
            shadow = fetch_directional_shadow(0u, in.world_position, surface.world_normal, view_z, in.position.xy);
        }
    }
    let gloss = 1.0 - material.perceptual_roughness;
    let colour = lit(material.base_color.rgb, normal, surface.V, gloss, material.metallic, shadow, to_sun);
    out.color = vec4(colour + min(material.emissive.rgb, vec3(1.0)), material.base_color.a);
    return out;
}
