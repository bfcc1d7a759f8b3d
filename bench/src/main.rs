//! `gemba-bench`: measures what README promises, each figure with its rival in the same run and the state of the machine
//! beside it. A rival that was not run is absent. Progress goes to stderr; stdout holds the table, or JSON.

mod machine;
mod net;
mod record;
mod report;
mod xr;

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context;
use clap::Parser;

use crate::machine::Machine;
use crate::report::{Report, Row};

/// Measures what README promises, each figure with its rival in the same run.
#[derive(Parser)]
#[command(name = "gemba bench")]
struct Arguments {
    /// Which figures; without it, the names are listed.
    name: Option<String>,
    /// Prints JSON.
    #[arg(long)]
    json: bool,
    /// Small sizes and one run: shows in seconds that everything runs, and proves nothing.
    #[arg(long)]
    quick: bool,
    /// Only these rows, as `R1,R5`.
    #[arg(long, value_delimiter = ',')]
    only: Vec<String>,
    /// Runs of each row; the median counts.
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u8).range(1..))]
    runs: u8,
    /// Folder on the disk to measure; what is slow to make is kept in it.
    #[arg(long, default_value = "target/bench-work")]
    work: PathBuf,
}

/// As in the programs whose figures these are; rivals in this process have it too.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    match run(&arguments) {
        Ok(code) => code,
        Err(error) => {
            eprintln!("gemba bench: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: &Arguments) -> anyhow::Result<ExitCode> {
    let Some(name) = &arguments.name else {
        println!("net\nrecord\nxr");
        return Ok(ExitCode::SUCCESS);
    };
    if name == record::memory::CHILD {
        record::memory::fold_and_tell()?;
        return Ok(ExitCode::SUCCESS);
    }
    if !["net", "record", "xr"].contains(&name.as_str()) {
        eprintln!("gemba bench: there is no benchmark '{name}'; ./gemba bench lists them");
        return Ok(ExitCode::from(2));
    }
    std::fs::create_dir_all(&arguments.work)
        .with_context(|| format!("cannot create {}; give another folder with --work", arguments.work.display()))?;
    let machine = Machine::look(&arguments.work)?;
    let (mut rows, problems) = measure(name, arguments);
    if arguments.quick {
        // The goals are about the full sizes.
        rows.iter_mut().for_each(|row| (row.goal, row.pass) = (None, None));
    }
    let report = Report { machine, rows };
    if arguments.json {
        println!("{}", serde_json::to_string(&report)?);
    } else {
        print!("{report}");
    }
    for problem in &problems {
        eprintln!("gemba bench: {problem}");
    }
    Ok(if problems.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Measures the rows of one benchmark.
fn measure(name: &str, arguments: &Arguments) -> (Vec<Row>, Vec<String>) {
    let runs = arguments.runs.into();
    if name == "net" {
        let sizes = if arguments.quick { net::Sizes::QUICK } else { net::Sizes::full(runs) };
        return net::run(&sizes, &arguments.only);
    }
    if name == "xr" {
        let sizes = if arguments.quick { xr::Sizes::QUICK } else { xr::Sizes::full(runs) };
        return xr::run(&sizes, &arguments.only);
    }
    let sizes = if arguments.quick { record::Sizes::QUICK } else { record::Sizes::full(runs) };
    record::run(&sizes, &arguments.work, &arguments.only)
}
