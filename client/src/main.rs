//! `gemba`: parse, build, run.

use std::process::ExitCode;

use bevy::app::AppExit;
use clap::Parser;
use gemba_client::args::{Arguments, Command};
use gemba_client::{app, demo, target};

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
