// Two small passes over one eye: the depth of its picture into the runtime's own image (whole, and depth of one sample
// or of several), and what the lenses hide put before everything else, so that nothing is shaded there.

@group(0) @binding(0) var one_sample: texture_depth_2d;
@group(0) @binding(1) var samples: texture_depth_multisampled_2d;

// One triangle over everything.
@vertex
fn whole(@builtin(vertex_index) corner: u32) -> @builtin(position) vec4<f32> {
    let at = vec2<f32>(f32((corner << 1u) & 2u), f32(corner & 2u));
    return vec4<f32>(at * 2.0 - 1.0, 0.0, 1.0);
}

@fragment
fn depth(@builtin(position) at: vec4<f32>) -> @builtin(frag_depth) f32 {
    return textureLoad(one_sample, vec2<i32>(at.xy), 0);
}

@fragment
fn first_depth(@builtin(position) at: vec4<f32>) -> @builtin(frag_depth) f32 {
    return textureLoad(samples, vec2<i32>(at.xy), 0);
}

// Depth is reversed: 1 is nearest.
@vertex
fn hidden(@location(0) at: vec2<f32>) -> @builtin(position) vec4<f32> {
    return vec4<f32>(at, 1.0, 1.0);
}
