//! On a software renderer, every surface's fragment stage is replaced by `shaders/plain.wgsl`: Bevy's own shader asset
//! gets other text, so that materials, meshes and everything that deals with them stay the same on all machines.

use bevy::prelude::*;
use bevy::shader::Shader;

use crate::quality::Quality;

/// Where Bevy keeps the stage that is replaced.
const STAGE: &str = "embedded://bevy_pbr/render/pbr.wgsl";

/// Keeps the shader asset alive, since it is only Bevy's pipelines that would otherwise.
#[derive(Resource)]
struct Stage {
    shader: Handle<Shader>,
    replaced: bool,
}

pub(super) fn plugin(app: &mut App) {
    app.add_systems(Startup, begin.run_if(|quality: Res<Quality>| quality.cheap))
        .add_systems(First, replace.run_if(resource_exists::<Stage>));
}

fn begin(mut commands: Commands, assets: Res<AssetServer>) {
    commands.insert_resource(Stage { shader: assets.load(STAGE), replaced: false });
}

fn replace(mut stage: ResMut<Stage>, mut shaders: ResMut<Assets<Shader>>) {
    if stage.replaced || !shaders.contains(&stage.shader) {
        return;
    }
    stage.replaced = true;
    let plain = Shader::from_wgsl(include_str!("../../../shaders/plain.wgsl"), "shaders/plain.wgsl");
    if let Err(error) = shaders.insert(&stage.shader, plain) {
        warn!("the cheap shading cannot be put in place: {error}");
    }
}
