//! `gembactl`: generate a plant, import models, invite people, say who may do what and by which key, simulate
//! devices, spoil a network, and look into a record.
//!
//! Parses the command line and runs one command. Exit codes: 0, 2 for bad usage (clap's own), 1 for the rest.

use std::process::ExitCode;

use clap::{Parser, Subcommand};

mod clock;
mod generate;
mod import;
mod interrupt;
mod invite;
mod key;
mod progress;
mod proxy;
mod record;
mod role;
mod simulate;
mod voice;

/// Tools around a Gemba site.
#[derive(Debug, Parser)]
#[command(name = "gembactl", version)]
struct Args {
    #[command(subcommand)]
    command: Command,
}

// Parsed once.
#[allow(clippy::large_enum_variant)]
#[derive(Debug, Subcommand)]
enum Command {
    /// The demo plant.
    #[command(subcommand)]
    Plant(PlantCommand),
    /// glTF into a site.
    Import(import::ImportArgs),
    /// A link that lets one person into a site.
    Invite(invite::InviteArgs),
    /// Who may do what in a site, and where.
    #[command(subcommand)]
    Role(role::RoleCommand),
    /// Keys of an identity: promise, replace, revoke, recover them.
    #[command(subcommand)]
    Key(key::KeyCommand),
    /// A simulated plant behind a real OPC UA server.
    Simulate(simulate::SimulateArgs),
    /// A bad network in front of a site's host: delay, loss, a bottleneck, cuts.
    Proxy(proxy::ProxyArgs),
    /// Look into a site's record, verify it, prove with it, mirror it.
    #[command(subcommand)]
    Record(record::RecordCommand),
}

#[derive(Debug, Subcommand)]
enum PlantCommand {
    /// Draw the parametric demo plant as one glTF binary.
    Generate(generate::GenerateArgs),
}

fn main() -> ExitCode {
    let outcome = match Args::parse().command {
        Command::Plant(PlantCommand::Generate(args)) => generate::run(&args),
        Command::Import(args) => import::run(&args),
        Command::Invite(args) => invite::run(&args),
        Command::Role(command) => role::run(&command),
        Command::Key(command) => key::run(&command),
        Command::Simulate(args) => simulate::run(&args),
        Command::Proxy(args) => proxy::run(&args),
        Command::Record(command) => record::run(&command),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("gembactl: {error:#}");
            ExitCode::FAILURE
        }
    }
}
