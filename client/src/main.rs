//! `gemba`: parse, build, run.

use std::process::ExitCode;

use bevy::app::AppExit;
use clap::Parser;
use gemba_client::args::{Arguments, Command};
use gemba_client::{app, demo, target};

/// The system's own takes a quarter of the main thread's time in a plant with a thousand live tags.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    let run = match Arguments::parse().command {
        Command::Demo(demo) => demo::run(&demo),
        Command::View(view) => target::open(&view).and_then(|(target, _host)| app::run_viewer(target, &view.viewing)),
    };
    match run {
        Ok(AppExit::Success) => ExitCode::SUCCESS,
        Ok(AppExit::Error(code)) => ExitCode::from(code.get()),
        Err(error) => {
            eprintln!("gemba: {error:#}");
            ExitCode::from(if error.is::<target::BadUsage>() { 2 } else { 1 })
        }
    }
}
