//! `gembactl invite`: an invitation that lets one person in once, until its time is over. Through the site's host if it is
//! running, else into the site's directory. The record holds its public half only; the link is the secret.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use clap::Args;
use ed25519_dalek::SigningKey;
use gemba_host::disk::FileDisk;
use gemba_host::key_file;
use gemba_host::problem::SiteDirError;
use gemba_host::site_dir::SiteDir;
use gemba_net::invitation_link::InvitationLink;
use gemba_net::{Address, Link, LinkCommand, LinkConfig, LinkEvent, LinkState, connect};
use gemba_record::author::Author;
use gemba_record::body::Body;
use gemba_record::entry::EntryId;
use gemba_record::invitation::{Invitation, Token};
use gemba_record::log::Log;
use gemba_record::role::Role;
use gemba_record::site::Site;
use gemba_twin::path::ThingPath;
use gemba_twin::peer::PeerKind;
use gemba_twin::sample::Timestamp;

/// How long a host may take to answer.
const PATIENCE: Duration = Duration::from_secs(20);

/// Whom to invite, and where to.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  gembactl invite viewer --site plant/
  gembactl invite operator --site plant/ --under Hall1/Line2 --for 8h --name Grace
  gembactl invite editor --site 'gemba://plant.example:7440/plant#KEY' --key owner.key")]
pub(crate) struct InviteArgs {
    /// What the newcomer may do: viewer, commenter, editor, operator or owner.
    role: Role,
    /// The site's directory, or its gemba:// address for an owner who is elsewhere.
    #[arg(long, value_name = "DIR|ADDRESS")]
    site: String,
    /// Only for this thing and its parts, such as Hall1/Line2; without it for the whole site.
    #[arg(long, value_name = "PATH")]
    under: Option<ThingPath>,
    /// When it ends: so many minutes, hours or days from now, such as 30m, 8h, 7d.
    #[arg(long = "for", value_name = "DURATION", default_value = "24h", value_parser = span)]
    lasts: Duration,
    /// What the newcomer is called, unless they say otherwise.
    #[arg(long)]
    name: Option<String>,
    /// Where the newcomer finds the host, if that is not where it was last: HOST:PORT.
    #[arg(long, value_name = "HOST:PORT")]
    at: Option<String>,
    /// A file with the owner's 32-byte key, for a site by its address; default: this person's own.
    #[arg(long, value_name = "FILE")]
    key: Option<PathBuf>,
    /// Print the result as JSON.
    #[arg(long)]
    json: bool,
}

/// Runs the command. The link alone goes to stdout.
pub(crate) fn run(args: &InviteArgs) -> Result<()> {
    if args.name.as_ref().is_some_and(|name| name.trim().is_empty() || name.len() > gemba_net::limits::NAME_BYTES) {
        bail!("a name has 1 to {} bytes", gemba_net::limits::NAME_BYTES);
    }
    let token: [u8; 32] = key_file::random();
    let (address, site) = if args.site.starts_with("gemba://") {
        let address: Address = args.site.parse().with_context(|| format!("{} is no address", args.site))?;
        let key = owner_key(args.key.as_deref())?;
        (address.clone(), through_host(&address, key, PeerKind::Person, args, token)?)
    } else {
        in_directory(Path::new(&args.site), args, token)?
    };
    let address = match &args.at {
        Some(at) => moved(&address, at)?,
        None => address,
    };
    let link = InvitationLink { address, site, token, name: args.name.clone() };
    if args.json {
        let json = serde_json::json!({
            "link": link.to_string(),
            "role": args.role.to_string(),
            "under": args.under.as_ref().map(ToString::to_string),
            "seconds": args.lasts.as_secs(),
        });
        println!("{json}");
        return Ok(());
    }
    let whom = args.name.as_deref().unwrap_or("one person");
    let place = args.under.as_ref().map_or_else(|| "the whole site".to_owned(), ToString::to_string);
    eprintln!("gembactl: lets {whom} in once, as {} of {place}, within {}:", args.role, words(args.lasts));
    println!("{link}");
    eprintln!("gembactl: to come in:  ./gemba view 'LINK'   (whoever has the link can, so send it to nobody else)");
    Ok(())
}

/// Into the site's directory or, if its host runs, through that, in the host's own name.
fn in_directory(dir: &Path, args: &InviteArgs, token: [u8; 32]) -> Result<(Address, [u8; 16])> {
    let address = || {
        let path = dir.join(gemba_host::site_dir::ADDRESS);
        let text = std::fs::read_to_string(&path).ok().filter(|text| text.len() < 1024);
        let text = text.context("this site has never been served; start its host first: gembad DIR --listen ADDR")?;
        text.trim().parse::<Address>().with_context(|| format!("{} holds no address", path.display()))
    };
    match SiteDir::open(dir) {
        Ok(mut site) => {
            let address = address()?;
            let body = invite(site.site(), args, token)?;
            site.submit(body)?;
            Ok((address, site.site().id().0))
        }
        Err(SiteDirError::InUse(_)) => {
            let address = address()?;
            let key = key_file::load(&FileDisk::new(dir), gemba_host::site_dir::HOST_KEY)?;
            Ok((address.clone(), through_host(&address, key, PeerKind::Host, args, token)?))
        }
        Err(error) => Err(error.into()),
    }
}

/// Joins the site as an owner, invites, and leaves. Returns the site's identity.
fn through_host(
    address: &Address,
    key: SigningKey,
    kind: PeerKind,
    args: &InviteArgs,
    token: [u8; 32],
) -> Result<[u8; 16]> {
    let name = "invitations".to_owned();
    let config = LinkConfig { address: address.clone(), signing_key: key.clone(), name, kind, entries_held: 0 };
    let mut link = connect(config);
    let begun = Instant::now();
    let (mut log, mut expected, mut offset_micros) = (Log::new(), None, 0);
    while expected.is_none_or(|entries| log.entries() < entries) {
        match next(&mut link, begun)? {
            LinkEvent::Welcome { entries, .. } => expected = Some(entries),
            LinkEvent::Clock { offset_micros: offset, .. } => offset_micros = offset,
            LinkEvent::Entries { entries, .. } => {
                entries.into_iter().try_for_each(|entry| log.replay_next(entry))?;
            }
            _ => {}
        }
    }
    let site = log.site().context("the host has sent no record")?;
    let body = invite(site, args, token)?;
    let me = site.holder_of(&key_file::peer_key(&key)).context("the record does not know this key")?;
    let number = site.peer(&me).map(|peer| peer.keys.number()).unwrap_or_default();
    let clock = Some(gemba_host::clock::now().plus_micros(offset_micros));
    let author = Author { identity: me, number, signing_key: key, site: site.id(), clock, seen: None };
    let entry = author.sign(body, EntryId(key_file::random())).into_parts().0;
    link.send(LinkCommand::Submit { submission: 1, entry }).context("the link takes nothing")?;
    loop {
        if let LinkEvent::Answer { outcome, .. } = next(&mut link, begun)? {
            outcome.map_err(|why| anyhow::anyhow!("the host refuses: {why}"))?;
            return Ok(author.site.0);
        }
    }
}

fn next(link: &mut Link, begun: Instant) -> Result<LinkEvent> {
    let mut lost = None;
    while begun.elapsed() < PATIENCE {
        match link.wait(Duration::from_millis(100)) {
            Some(LinkEvent::State(LinkState::Refused { why })) => bail!("the host refuses: {why}"),
            Some(LinkEvent::State(LinkState::Lost { why, .. })) => lost = Some(why),
            Some(event) => return Ok(event),
            None => {}
        }
    }
    bail!("the host does not answer: {}", lost.as_deref().unwrap_or("is it running?"))
}

/// What is said to the record.
fn invite(site: &Site, args: &InviteArgs, token: [u8; 32]) -> Result<Body> {
    let scope = match &args.under {
        Some(path) => {
            let thing = site.thing_at(path).with_context(|| format!("there is no {path} in {}", site.name()))?;
            Some(thing.id)
        }
        None => None,
    };
    let lasts = i64::try_from(args.lasts.as_micros()).unwrap_or(i64::MAX);
    let expires: Timestamp = gemba_host::clock::now().plus_micros(lasts);
    let token = Token::new(token).public();
    Ok(Body::Invite(Invitation { token, role: args.role, scope, kind: PeerKind::Person, expires }))
}

/// This person's key, where viewers keep it too.
fn owner_key(file: Option<&Path>) -> Result<SigningKey> {
    let data = std::env::var_os("XDG_DATA_HOME").map(PathBuf::from).filter(|path| path.is_absolute());
    let data = data.or_else(|| Some(std::env::home_dir()?.join(".local/share")));
    let own = data.map(|data| data.join("gemba/person.key"));
    let file = file.map(Path::to_owned).or(own).context("there is no home directory; give --key FILE")?;
    let bytes = std::fs::read(&file).with_context(|| format!("cannot read the key {}", file.display()))?;
    let seed: Option<[u8; 32]> = bytes.try_into().ok();
    let seed = seed.with_context(|| format!("{} is not a key of 32 bytes", file.display()))?;
    Ok(SigningKey::from_bytes(&seed))
}

/// The same site at another place.
fn moved(address: &Address, at: &str) -> Result<Address> {
    let Address { site, key, .. } = address;
    format!("gemba://{at}/{site}#{key}").parse().with_context(|| format!("{at} is no HOST:PORT"))
}

fn span(text: &str) -> Result<Duration, String> {
    let bad = || "a duration, such as 30m, 8h or 7d".to_owned();
    let (number, unit) = text.split_at_checked(text.len().saturating_sub(1)).ok_or_else(bad)?;
    let unit_secs = match unit {
        "s" => 1,
        "m" => 60,
        "h" => 3600,
        "d" => 86_400,
        _ => return Err(bad()),
    };
    // A year: what is open for longer is forgotten by whoever gave it.
    let secs = number.parse::<u64>().ok().and_then(|n| n.checked_mul(unit_secs)).ok_or_else(bad)?;
    match secs {
        1..=31_536_000 => Ok(Duration::from_secs(secs)),
        _ => Err("an invitation lasts from a second to a year".to_owned()),
    }
}

fn words(lasts: Duration) -> String {
    match lasts.as_secs() {
        secs if secs.is_multiple_of(86_400) => format!("{} d", secs / 86_400),
        secs if secs.is_multiple_of(3600) => format!("{} h", secs / 3600),
        secs if secs.is_multiple_of(60) => format!("{} min", secs / 60),
        secs => format!("{secs} s"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_duration_has_a_unit_and_ends_within_a_year() {
        assert_eq!(span("90m"), Ok(Duration::from_secs(5400)));
        assert_eq!(words(Duration::from_secs(5400)), "90 min");
        for bad in ["", "5", "h", "0m", "-3h", "400d", "9999999999999999999d", "3w"] {
            assert!(span(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn an_address_keeps_its_key_when_it_moves() {
        let key = "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff";
        let address: Address = format!("gemba://127.0.0.1:7440/demo#{key}").parse().unwrap();
        assert_eq!(
            moved(&address, "plant.example:9").unwrap().to_string(),
            format!("gemba://plant.example:9/demo#{key}")
        );
        assert!(moved(&address, "plant").is_err());
    }
}
