//! Builds the app from its parts: the same in a window and headless.

use std::time::Duration;

use anyhow::{Context, Result, bail};
use bevy::app::{PluginGroupBuilder, ScheduleRunnerPlugin};
use bevy::asset::{AssetMetaCheck, AssetPlugin};
use bevy::camera::RenderTarget;
use bevy::ecs::schedule::{ScheduleLabel, SingleThreadedExecutor};
use bevy::log::LogPlugin;
use bevy::prelude::*;
use bevy::render::RenderPlugin;
use bevy::render::render_resource::{TextureFormat, TextureUsages};
use bevy::window::{ExitCondition, WindowResolution};
use bevy::winit::WinitPlugin;
use bevy_egui::{EguiGlobalSettings, EguiPlugin, EguiPrimaryContextPass, PrimaryEguiContext};

use crate::args::{Size, Viewing};
use crate::link::Connection;
use crate::plant::ModelSource;
use crate::quality::Quality;
use crate::run::RunPlan;
use crate::site::Site;
use crate::{
    actions, alarms, bodies, camera, cursor, edits, free_rect, headset, help, inspector, labels, link, loading,
    measure, mirror, network, past, people, plant, playing, pointer, readings, report, run, schedule, selection,
    status, theme, timeline, toasts, tool, tree, view, viewpoints, window_icon,
};

/// What the viewer shows.
pub struct Target {
    /// Where the plant's model comes from.
    pub model: ModelSource,
    /// The connection to the site, or none.
    pub connection: Connection,
    /// What people call it, until the record says better.
    pub name: String,
}

/// Cores up to which a frame's systems run in one thread.
const FEW_CORES: usize = 2;
/// Frames a second that a headless run aims at; a software renderer is slower anyway.
const HEADLESS_RATE: f64 = 60.0;

/// Runs the viewer until it is closed or its time is over.
pub fn run_viewer(target: Target, viewing: &Viewing) -> Result<AppExit> {
    if !viewing.headless && !has_display() {
        bail!("there is no display to open a window on; run on a desktop, or add --headless --screenshot FILE.png");
    }
    let quality = Quality::for_this_machine().context("cannot render")?;
    let (plugins, in_headset) = xr_or_desktop(platform(viewing, &target), viewing);
    let mut app = assemble(plugins, target, viewing, quality);
    if in_headset {
        add_headset(&mut app, viewing);
    }
    Ok(app.run())
}

/// Whether there may be one: X and Wayland say where it is, other systems' windows need no name.
fn has_display() -> bool {
    let is_named = |variable| std::env::var_os(variable).is_some();
    cfg!(any(windows, target_os = "macos")) || is_named("DISPLAY") || is_named("WAYLAND_DISPLAY")
}

/// Puts everything together that the desktop has.
fn assemble(plugins: PluginGroupBuilder, target: Target, viewing: &Viewing, quality: Quality) -> App {
    let mut app = App::new();
    app.add_plugins(plugins)
        .add_plugins(EguiPlugin::default())
        .insert_resource(ClearColor(quality.sky))
        .insert_resource(RunPlan::from_arguments(viewing))
        .insert_resource(quality)
        .insert_resource(target.model)
        .insert_resource(target.connection)
        .insert_resource(Site::named(target.name))
        .insert_resource(past::Past::new(viewing.at.clone()))
        .insert_resource(network::NetworkWindow(viewing.network))
        .insert_resource(people::AvatarTrace::new(viewing.trace))
        .insert_resource(camera::Circling::once_in(viewing.circle))
        .insert_resource(people::LookingThrough::begin_with(viewing.through.clone()))
        .init_resource::<readings::Readings>();
    let size = viewing.size;
    app.add_systems(
        PreStartup,
        move |commands: Commands,
              settings: ResMut<EguiGlobalSettings>,
              images: ResMut<Assets<Image>>,
              plan: ResMut<RunPlan>| spawn_screen(size, commands, settings, images, plan),
    );
    add_features(&mut app, viewing.plain);
    // Nothing here is simulated by steps of one length; Bevy would go through empty ones 64 times a second.
    app.insert_resource(Time::<Fixed>::from_hz(1.0));
    if std::thread::available_parallelism().is_ok_and(|cores| cores.get() <= FEW_CORES) {
        run_in_one_thread(&mut app);
    }
    app
}

/// With so few cores a frame's systems run one after the other: handing them to another thread, and waiting for it while
/// the renderer has the cores, takes longer than most of them do.
fn run_in_one_thread(app: &mut App) {
    let panels = EguiPrimaryContextPass.intern();
    let steps = [FixedFirst.intern(), FixedPreUpdate.intern(), FixedUpdate.intern(), FixedPostUpdate.intern()];
    let frame = [First.intern(), PreUpdate.intern(), Update.intern(), panels, PostUpdate.intern(), Last.intern()];
    for label in frame.into_iter().chain(steps) {
        app.edit_schedule(label, |schedule| {
            schedule.set_executor(SingleThreadedExecutor::new());
        });
    }
}

/// What the headset has besides.
fn add_headset(app: &mut App, viewing: &Viewing) {
    app.insert_resource(headset::EyeFiles::new(viewing.eyes.clone())).add_plugins(headset::plugin);
}

/// Every feature, one line each; each can be taken away without breaking the others.
pub(crate) fn add_features(app: &mut App, plain: bool) {
    app.add_plugins((schedule::plugin, free_rect::plugin, theme::plugin, view::plugin, report::plugin, run::plugin))
        .add_plugins(network::plugin)
        .add_plugins((link::plugin, cursor::plugin, past::plugin, plant::plugin, mirror::plugin, camera::plugin))
        .add_plugins((selection::plugin, people::plugin, pointer::plugin, edits::plugin, toasts::plugin, tool::plugin))
        .add_plugins((playing::plugin, bodies::plugin));
    if !plain {
        app.add_plugins((
            status::plugin,
            timeline::plugin,
            tree::plugin,
            inspector::plugin,
            actions::plugin,
            viewpoints::plugin,
            alarms::plugin,
            labels::plugin,
            measure::plugin,
            loading::plugin,
            help::plugin,
            window_icon::plugin,
        ));
    }
}

/// Bevy itself: with a window, or with none and a loop of its own.
fn platform(viewing: &Viewing, target: &Target) -> PluginGroupBuilder {
    let Size { width, height } = viewing.size;
    let window = Window {
        title: format!("Gemba – {}", target.name),
        name: Some("gemba".to_owned()),
        resolution: WindowResolution::new(width, height),
        ..default()
    };
    let plugins = DefaultPlugins
        .set(AssetPlugin {
            // Models lie anywhere on their disk; nothing else is loaded by path.
            file_path: target.model.root().to_string_lossy().into_owned(),
            meta_check: AssetMetaCheck::Never,
            ..default()
        })
        .set(LogPlugin { filter: log_filter(), ..default() })
        // Without this a frame may lack what has not been compiled yet: a picture must be whole.
        .set(RenderPlugin { synchronous_pipeline_compilation: viewing.headless, ..default() });
    if viewing.headless {
        plugins
            .set(WindowPlugin { primary_window: None, exit_condition: ExitCondition::DontExit, ..default() })
            .disable::<WinitPlugin>()
            .add(ScheduleRunnerPlugin::run_loop(Duration::from_secs_f64(1.0 / HEADLESS_RATE)))
    } else {
        plugins.set(WindowPlugin { primary_window: Some(window), ..default() })
    }
}

/// Quiet unless something is wrong: a person reads this terminal.
fn log_filter() -> String {
    "warn,gemba_client=info,wgpu=error,wgpu_hal::gles=off,naga=error,bevy_render=error".to_owned()
}

/// The headset, if it was asked for: now, or when there is one.
fn xr_or_desktop(plugins: PluginGroupBuilder, viewing: &Viewing) -> (PluginGroupBuilder, bool) {
    if !viewing.xr {
        return (plugins, false);
    }
    let (plugins, found) = gemba_xr::add_to(plugins, viewing.headless);
    match &found {
        gemba_xr::Found::Headset(runtime) => eprintln!("gemba: entering the headset: {runtime}"),
        gemba_xr::Found::NotYet(why) => {
            eprintln!("gemba: no headset: {why}; staying on the desktop until there is one")
        }
        gemba_xr::Found::Never(why) => eprintln!("gemba: no headset: {why}; staying on the desktop"),
    }
    (plugins, !matches!(found, gemba_xr::Found::Never(_)))
}

/// The camera that composes panels and plant: onto the window, or onto an image when there is none.
fn spawn_screen(
    size: Size,
    mut commands: Commands,
    mut settings: ResMut<EguiGlobalSettings>,
    mut images: ResMut<Assets<Image>>,
    mut plan: ResMut<RunPlan>,
) {
    settings.auto_create_primary_context = false;
    let mut camera = commands.spawn((PrimaryEguiContext, Camera2d, Camera { order: 10, ..default() }, Msaa::Off));
    if plan.headless {
        let mut image = Image::new_target_texture(size.width, size.height, TextureFormat::Rgba8UnormSrgb, None);
        image.texture_descriptor.usage |= TextureUsages::COPY_SRC;
        let image = images.add(image);
        camera.insert(RenderTarget::Image(image.clone().into()));
        plan.screen = Some(image);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use bevy::app::PluginsState;
    use bevy::ecs::schedule::{LogLevel, ScheduleBuildSettings, Schedules};
    use clap::Parser;

    use crate::args::{Arguments, Command};

    #[test]
    fn no_system_of_a_frame_runs_before_or_after_another_by_chance() {
        let Ok(quality) = Quality::for_this_machine() else {
            println!("skipped: there is no Vulkan driver here");
            return;
        };
        let desktop = platform(&viewing(), &nothing());
        assert_ordered("on the desktop", assemble(desktop, nothing(), &viewing(), quality.clone()));
        // A renderer of its own is all that a headset's app would have besides.
        let mut with_headset = assemble(platform(&viewing(), &nothing()), nothing(), &viewing(), quality);
        add_headset(&mut with_headset, &viewing());
        assert_ordered("with a headset", with_headset);
    }

    fn viewing() -> Viewing {
        let Command::View(view) = Arguments::parse_from(["gemba", "view", "none.glb", "--headless"]).command else {
            unreachable!("`view` is what was parsed")
        };
        view.viewing
    }

    fn nothing() -> Target {
        let model = ModelSource::File("none.glb".into());
        Target { model, connection: Connection::none(), name: "none".to_owned() }
    }

    fn assert_ordered(what: &str, mut app: App) {
        while app.plugins_state() == PluginsState::Adding {
            bevy::tasks::tick_global_task_pools_on_main_thread();
        }
        app.finish();
        app.cleanup();
        let strict = ScheduleBuildSettings { ambiguity_detection: LogLevel::Error, ..default() };
        for label in [Update.intern(), EguiPrimaryContextPass.intern()] {
            let mut schedule = app.world_mut().resource_mut::<Schedules>().remove(label).expect("it is in use");
            schedule.set_build_settings(strict.clone());
            if let Err(error) = schedule.initialize(app.world_mut()) {
                panic!("{what}, {label:?}: {}", error.to_string(schedule.graph(), app.world()));
            }
        }
    }
}
