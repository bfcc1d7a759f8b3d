//! `gembactl record show`: the entries in words, all of them or those by somebody, about something, or of some time.

use std::collections::HashMap;
use std::io::Write;
use std::path::PathBuf;

use anyhow::{Context, Result, bail};
use clap::Args;
use gemba_host::site_dir::SiteView;
use gemba_record::body::Body;
use gemba_record::entry::{Entry, EntryId, UnverifiedEntry};
use gemba_record::site::Site;
use gemba_twin::path::{TagPath, ThingId, ThingPath};
use gemba_twin::peer::PeerKey;
use gemba_twin::sample::Timestamp;
use serde::Serialize;

use super::words;
use crate::clock;

/// Which entries of which site.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  gembactl record show plant/
  gembactl record show plant/ --author Aiko --since 2026-11-21T08:00:00Z
  gembactl record show plant/ --thing Hall1/Line2 --json")]
pub(crate) struct ShowArgs {
    /// The site's directory. Its host may be running; nothing is written.
    #[arg(value_name = "DIR")]
    dir: PathBuf,
    /// Only entries by peers of this name, or whose key begins so.
    #[arg(long, value_name = "NAME")]
    author: Option<String>,
    /// Only entries about this thing or its parts: its edits, notes, alarms, commands, and who may do what there.
    #[arg(long, value_name = "PATH")]
    thing: Option<ThingPath>,
    /// Only entries said at this time or later, such as 2026-11-21T08:00:00Z.
    #[arg(long, value_name = "TIME", value_parser = clock::parse)]
    since: Option<Timestamp>,
    /// Only entries said before this time.
    #[arg(long, value_name = "TIME", value_parser = clock::parse)]
    until: Option<Timestamp>,
    /// Print them as a JSON array.
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Serialize)]
struct Shown {
    index: u64,
    id: String,
    /// When its author says it was said, RFC 3339.
    at: Option<String>,
    author: String,
    what: String,
    /// Whether the policy's witnesses and mirrors have cosigned it; absent without a policy.
    #[serde(skip_serializing_if = "Option::is_none")]
    is_final: Option<bool>,
}

/// Runs the command.
pub(crate) fn run(args: &ShowArgs) -> Result<()> {
    let dir = super::look(&args.dir)?;
    if let Some(path) = &args.thing
        && dir.site().thing_at(path).is_none()
    {
        bail!("{path} is no thing of this site");
    }
    if let Some(author) = &args.author
        && !dir.site().peers().any(|(key, _)| is_called(dir.site(), key, author))
    {
        bail!("nobody of this site is called {author}, or has a key that begins so");
    }
    let final_entries = super::final_entries(dir.site(), &args.dir);
    let mut about = About::default();
    let mut out = std::io::BufWriter::new(std::io::stdout().lock());
    let mut first = true;
    for_each(&dir, |index, entry| {
        let things = about.things(dir.site(), entry);
        if !wanted(args, dir.site(), entry, &things) {
            return Ok(());
        }
        let at = entry.at.map(clock::text);
        let author = words::name(dir.site(), &entry.author);
        let what = words::words(&entry.body, dir.site());
        let is_final = final_entries.map(|count| index < count);
        if args.json {
            let shown = Shown { index, id: entry.id.to_string(), at, author, what, is_final };
            write!(out, "{}{}", if first { "[" } else { "," }, serde_json::to_string(&shown)?)?;
        } else {
            let not_yet = if is_final == Some(false) { "  (sequenced, not yet final)" } else { "" };
            writeln!(out, "{index:>6}  {:<20}  {author}: {what}{not_yet}", at.unwrap_or_default())?;
        }
        first = false;
        Ok(())
    })?;
    if args.json {
        writeln!(out, "{}", if first { "[]" } else { "]" })?;
    }
    out.flush()?;
    match dir.problems().first() {
        None => Ok(()),
        Some(problem) => bail!("{problem}; what stands behind it is not shown"),
    }
}

/// Calls `take` with each entry that holds and its index: those that the site was folded from.
fn for_each(dir: &SiteView, mut take: impl FnMut(u64, &Entry) -> Result<()>) -> Result<()> {
    let (mut index, end) = (0, dir.site().entries());
    while index < end {
        let entries = dir.read_entries(index)?;
        for bytes in entries.into_iter().take(usize::try_from(end - index).unwrap_or(usize::MAX)) {
            let entry = UnverifiedEntry::read(bytes).with_context(|| format!("entry {index}"))?;
            take(index, entry.entry())?;
            index += 1;
        }
    }
    Ok(())
}

/// What entries are about, of which some only name an earlier one.
#[derive(Default)]
struct About {
    notes: HashMap<EntryId, ThingId>,
    commands: HashMap<EntryId, ThingId>,
}

impl About {
    /// The things that the entry is about. To be asked of each entry in order.
    fn things(&mut self, site: &Site, entry: &Entry) -> Vec<ThingId> {
        let of_tag = |tag: &TagPath| site.thing_of_tag(tag).map(|thing| thing.id);
        match &entry.body {
            Body::AddNote { thing, .. } => {
                self.notes.insert(entry.id, *thing);
                vec![*thing]
            }
            Body::ResolveNote { note, .. } => self.notes.get(note).copied().into_iter().collect(),
            Body::CommandDevice(command) => {
                let thing = of_tag(&command.tag);
                self.commands.extend(thing.map(|thing| (entry.id, thing)));
                thing.into_iter().collect()
            }
            Body::ReportOutcome(report) => self.commands.get(&report.command).copied().into_iter().collect(),
            Body::AddThings { things, .. } => things.iter().map(|thing| thing.path.id()).collect(),
            Body::DeclareTags { tags } => tags.iter().filter_map(|tag| of_tag(&tag.path)).collect(),
            body => words::thing_of(body).into_iter().collect(),
        }
    }
}

fn wanted(args: &ShowArgs, site: &Site, entry: &Entry, things: &[ThingId]) -> bool {
    let by = |wanted: &String| is_called(site, &entry.author, wanted);
    let about = |wanted: &ThingPath| things.iter().any(|thing| is_part(site, *thing, wanted));
    args.author.as_ref().is_none_or(by)
        && args.thing.as_ref().is_none_or(about)
        && args.since.is_none_or(|since| entry.at.is_some_and(|at| at >= since))
        && args.until.is_none_or(|until| entry.at.is_some_and(|at| at < until))
}

fn is_called(site: &Site, key: &PeerKey, wanted: &str) -> bool {
    key.to_string().starts_with(&wanted.to_lowercase())
        || site.peer(key).is_some_and(|peer| peer.name.eq_ignore_ascii_case(wanted))
}

fn is_part(site: &Site, thing: ThingId, whole: &ThingPath) -> bool {
    let mut up = site.thing(thing).map(|thing| thing.thing.path.clone());
    while let Some(path) = up {
        if path == *whole {
            return true;
        }
        up = path.parent();
    }
    false
}
