//! `gembactl invite`: an invitation that lets one person in once, until its time is over. Through the site's host if it is
//! running, else into the site's directory. The record holds its public half only; the link is the secret.

use std::time::Duration;

use anyhow::{Context, Result, bail};
use clap::Args;
use gemba_host::key_file;
use gemba_net::Address;
use gemba_net::invitation_link::InvitationLink;
use gemba_record::body::Body;
use gemba_record::invitation::{Invitation, Token};
use gemba_record::role::Role;
use gemba_twin::path::ThingPath;
use gemba_twin::peer::PeerKind;

use crate::voice::{self, Voice, VoiceArgs};

/// Whom to invite, and where to.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  gembactl invite viewer --site plant/
  gembactl invite operator --site plant/ --under Hall1/Line2 --for 8h --name Grace
  gembactl invite editor --site 'gemba://plant.example:7440/plant#KEY' --key owner.key")]
pub(crate) struct InviteArgs {
    /// What the newcomer may do: viewer, commenter, editor, operator or owner.
    role: Role,
    #[command(flatten)]
    voice: VoiceArgs,
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
    /// Print the result as JSON.
    #[arg(long)]
    json: bool,
}

/// Runs the command. The link alone goes to stdout.
pub(crate) fn run(args: &InviteArgs) -> Result<()> {
    if args.name.as_ref().is_some_and(|name| name.trim().is_empty() || name.len() > gemba_net::limits::NAME_BYTES) {
        bail!("a name has 1 to {} bytes", gemba_net::limits::NAME_BYTES);
    }
    let mut voice = Voice::open(&args.voice)?;
    let address = match (&args.at, voice.address()?) {
        (Some(at), address) => moved(&address, at)?,
        (None, address) => address,
    };
    let token: [u8; 32] = key_file::random();
    let scope = args.under.as_ref().map(|path| voice::thing(voice.site(), path)).transpose()?;
    let lasts = i64::try_from(args.lasts.as_micros()).unwrap_or(i64::MAX);
    let (public, expires) = (Token::new(token).public(), voice.now().plus_micros(lasts));
    voice.say(Body::Invite(Invitation { token: public, role: args.role, scope, kind: PeerKind::Person, expires }))?;
    let link = InvitationLink { address, site: voice.site().id().0, token, name: args.name.clone() };
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
