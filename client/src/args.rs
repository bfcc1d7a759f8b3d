//! The command line of `gemba`.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};
use gemba_twin::sample::Timestamp;

use crate::calendar::parse_rfc3339;
use crate::past::StartAt;

/// Stand in a plant: live, together, in 3D.
#[derive(Parser, Debug)]
#[command(name = "gemba", version, about, after_help = EXAMPLES)]
pub struct Arguments {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

const EXAMPLES: &str = "Examples:
  gemba demo                                   a simulated plant, all on this machine
  gemba view gemba://127.0.0.1:7440/site#KEY   join the site at this address
  gemba view pump.glb                          look at a model
  gemba view plant.glb --headless --size 1280x720 --screenshot plant.png";

/// What `gemba` can do.
#[derive(Subcommand, Debug)]
pub enum Command {
    /// Simulate a plant and show it: simulator, OPC UA server, gateway, host and viewer, all on this machine.
    Demo(Demo),
    /// Open a site by its gemba:// address or directory, or a .glb/.gltf file.
    View(View),
}

/// `gemba demo`.
#[derive(Args, Debug)]
pub struct Demo {
    /// Production lines of the plant.
    #[arg(long, default_value_t = 2, value_parser = clap::value_parser!(u16).range(1..=200))]
    pub lines: u16,
    /// Seed of the simulation: the same seed, the same plant and the same faults.
    #[arg(long, default_value_t = 7)]
    pub seed: u64,
    /// Keep the site in this directory instead of a temporary one.
    #[arg(long, value_name = "DIR")]
    pub site: Option<PathBuf>,
    /// How to view it.
    #[command(flatten)]
    pub viewing: Viewing,
}

/// `gemba view`.
#[derive(Args, Debug)]
pub struct View {
    /// A gemba:// address, an invitation, a site directory, or a .glb/.gltf file.
    pub target: String,
    /// How to view it.
    #[command(flatten)]
    pub viewing: Viewing,
}

/// What every viewing command takes.
#[derive(Args, Debug, Clone)]
pub struct Viewing {
    /// The name others see; default: the user's name on this machine.
    #[arg(long)]
    pub name: Option<String>,
    /// A file with this person's 32-byte key; made where there is none.
    #[arg(long, value_name = "FILE")]
    pub key: Option<PathBuf>,
    /// Enter the headset (OpenXR); without one, says why and stays on the desktop.
    #[arg(long)]
    pub xr: bool,
    /// With --xr: for every word on stdin, write how the person stands to DIR/WORD.json and, for one that begins with
    /// look-, what each eye sees to DIR/WORD-left.png and -right.png, then print the word; the end of stdin ends the run.
    /// For tests.
    #[arg(long, value_name = "DIR", requires = "xr")]
    pub eyes: Option<PathBuf>,
    /// Select this thing, such as Hall1/Line1/Tank1, and bring it into the frame.
    #[arg(long, value_name = "PATH")]
    pub select: Option<String>,
    /// Keep the inspector of this thing open, such as Hall1/Line1/Tank1; up to four times.
    #[arg(long, value_name = "PATH", conflicts_with = "plain")]
    pub pin: Vec<String>,
    /// Look through the eyes of the person of this name as soon as they are here, for a screen on which others follow.
    #[arg(long, value_name = "NAME")]
    pub through: Option<String>,
    /// Begin at this instant of the past: RFC 3339 such as 2026-11-21T01:12:07Z, seconds since 1970 such as @1795215323,
    /// or so long ago, such as -30s, -5m, -8h. Given several times, the run goes from one to the next as soon as it has been
    /// drawn, and the report tells how long each took.
    #[arg(long, value_name = "TIME", value_parser = parse_at, allow_hyphen_values = true)]
    pub at: Vec<StartAt>,
    /// Go round what is looked at, once in so many seconds: for a screen that nobody touches.
    #[arg(long, value_name = "S", value_parser = parse_circle)]
    pub circle: Option<f64>,
    /// Have the report say where each avatar was drawn in every frame.
    #[arg(long, requires = "report")]
    pub trace: bool,
    /// Begin with the window that shows how the line to the host is.
    #[arg(long)]
    pub network: bool,
    /// Show the plant alone, without panels and labels.
    #[arg(long)]
    pub plain: bool,
    /// Render without a window.
    #[arg(long)]
    pub headless: bool,
    /// Size of the window or picture.
    #[arg(long, value_name = "WxH", default_value = "1280x720", value_parser = parse_size)]
    pub size: Size,
    /// Stop so many seconds after the plant is shown; headless default: 2.
    #[arg(long, value_name = "S", value_parser = parse_seconds)]
    pub seconds: Option<f64>,
    /// Write the last frame to this PNG file.
    #[arg(long, value_name = "FILE")]
    pub screenshot: Option<PathBuf>,
    /// Write what the run saw to this JSON file.
    #[arg(long, value_name = "FILE")]
    pub report: Option<PathBuf>,
}

/// Width and height in pixels.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Size {
    /// Pixels from left to right.
    pub width: u32,
    /// Pixels from top to bottom.
    pub height: u32,
}

fn parse_size(text: &str) -> Result<Size, String> {
    let size = text.split_once(['x', 'X']).and_then(|(w, h)| Some((w.parse().ok()?, h.parse().ok()?)));
    match size {
        Some((width @ 64..=8192, height @ 64..=8192)) => Ok(Size { width, height }),
        _ => Err("a size is WIDTHxHEIGHT with 64 to 8192 each, such as 1280x720".to_owned()),
    }
}

fn parse_seconds(text: &str) -> Result<f64, String> {
    match text.parse() {
        Ok(seconds) if (0.0..=1e6).contains(&seconds) => Ok(seconds),
        _ => Err("a number of seconds, such as 20".to_owned()),
    }
}

fn parse_circle(text: &str) -> Result<f64, String> {
    match text.parse() {
        Ok(seconds @ 1.0..=86_400.0) => Ok(seconds),
        _ => Err("a number of seconds from 1 on, such as 60".to_owned()),
    }
}

fn parse_at(text: &str) -> Result<StartAt, String> {
    let ago = |rest: &str| {
        let (number, unit) = rest.split_at_checked(rest.len().checked_sub(1)?)?;
        let secs = match unit {
            "s" => 1,
            "m" => 60,
            "h" => 3600,
            "d" => 86_400,
            _ => return None,
        };
        // Longer ago than any site has been there.
        let number = number.parse::<u32>().ok().filter(|n| *n <= 10_000_000)?;
        Some(StartAt::Ago(i64::from(number) * secs * 1_000_000))
    };
    let at = match text.split_at_checked(1) {
        Some(("-", rest)) => ago(rest),
        Some(("@", secs)) => secs.parse::<u32>().ok().map(|secs| StartAt::Instant(Timestamp::from_secs(secs.into()))),
        _ => parse_rfc3339(text).map(StartAt::Instant),
    };
    at.ok_or_else(|| "an instant, such as 2026-11-21T01:12:07Z, or how long ago, such as -30s, -5m or -8h".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_command_line_is_consistent() {
        Arguments::command().debug_assert();
    }

    #[test]
    fn an_instant_is_given_by_the_calendar_or_by_how_long_ago_it_was() {
        assert_eq!(parse_at("-90s"), Ok(StartAt::Ago(90_000_000)));
        assert_eq!(parse_at("@90"), Ok(StartAt::Instant(Timestamp::from_secs(90))));
        assert_eq!(parse_at("-8h"), Ok(StartAt::Ago(8 * 3_600_000_000)));
        assert!(matches!(parse_at("2026-11-21T01:12:07Z"), Ok(StartAt::Instant(_))));
        for bad in ["", "-", "-s", "-5", "-5y", "--5s", "@", "@-1", "-99999999999s", "yesterday", "30s"] {
            assert!(parse_at(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_size_out_of_bounds_is_refused() {
        assert_eq!(parse_size("640x360"), Ok(Size { width: 640, height: 360 }));
        for bad in ["640", "0x5", "99999x9", "axb", "-1x7"] {
            assert!(parse_size(bad).is_err(), "{bad}");
        }
    }
}
