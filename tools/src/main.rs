//! `gembactl`: generate a plant, import models, simulate devices, and look into a record.
//!
//! Parses the command line and runs one command. Exit codes: 0, 2 for bad usage (clap's own), 1 for the rest.

use std::process::ExitCode;

use clap::{Parser, Subcommand};

mod generate;

/// Tools around a Gemba site.
#[derive(Debug, Parser)]
#[command(name = "gembactl", version)]
struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// The demo plant.
    #[command(subcommand)]
    Plant(PlantCommand),
}

#[derive(Debug, Subcommand)]
enum PlantCommand {
    /// Draw the parametric demo plant as one glTF binary.
    Generate(generate::GenerateArgs),
}

fn main() -> ExitCode {
    let outcome = match Args::parse().command {
        Command::Plant(PlantCommand::Generate(args)) => generate::run(&args),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("gembactl: {error:#}");
            ExitCode::FAILURE
        }
    }
}
