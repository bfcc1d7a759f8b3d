//! `gembactl role`: who may do what in a site, and where. Every change is an entry by an owner, which everyone verifies.

use anyhow::{Context, Result};
use clap::{Args, Subcommand, ValueEnum};
use gemba_record::body::Body;
use gemba_record::role::{Grant, Role};
use gemba_record::site::{Peer, Site};
use gemba_twin::path::ThingPath;
use gemba_twin::peer::{PeerKey, PeerKind};
use serde::Serialize;

use crate::voice::{self, Voice, VoiceArgs};

/// What to do with roles.
#[derive(Debug, Subcommand)]
pub(crate) enum RoleCommand {
    /// List everyone the site knows: people, devices, organisations, hosts.
    List(ListArgs),
    /// Give someone the site knows a role, in all of it or in a part; replaces the role they had there.
    Grant(GrantArgs),
    /// Take someone's role in the whole site or in a part of it.
    Revoke(RevokeArgs),
    /// Let in whoever holds a key: a person, a device, an organisation or another host.
    Admit(AdmitArgs),
}

/// Of which site.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  gembactl role list --site plant/
  gembactl role list --site 'gemba://plant.example:7440/plant#KEY' --json")]
pub(crate) struct ListArgs {
    #[command(flatten)]
    voice: VoiceArgs,
    /// Print them as a JSON array.
    #[arg(long)]
    json: bool,
}

/// To whom, what and where.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  gembactl role grant Aiko editor --site plant/ --under Hall1/Line2
  gembactl role grant 5f0c41aa operator --site 'gemba://plant.example:7440/plant#KEY' --key owner.key")]
pub(crate) struct GrantArgs {
    /// Their name, or the beginning of their key.
    #[arg(value_name = "PEER")]
    peer: String,
    /// viewer, commenter, editor, operator or owner.
    role: Role,
    /// Only for this thing and its parts; without it for the whole site.
    #[arg(long, value_name = "PATH")]
    under: Option<ThingPath>,
    #[command(flatten)]
    voice: VoiceArgs,
}

/// From whom, and where.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  gembactl role revoke Aiko --site plant/ --under Hall1/Line2
  gembactl role revoke Mallory --site plant/          who has no role left is out, at once")]
pub(crate) struct RevokeArgs {
    /// Their name, or the beginning of their key.
    #[arg(value_name = "PEER")]
    peer: String,
    /// The thing the role was given for; without it the role in the whole site.
    #[arg(long, value_name = "PATH")]
    under: Option<ThingPath>,
    #[command(flatten)]
    voice: VoiceArgs,
}

/// Whom.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  gembactl role admit KEY viewer --name 'TÜV Süd' --kind organisation --site plant/
  gembactl role admit KEY editor --name gateway2 --kind device --site plant/

`gembactl key show` prints a key. People are let in by `gembactl invite` without their key being known.")]
pub(crate) struct AdmitArgs {
    /// The public key, 64 hexadecimal digits.
    #[arg(value_name = "KEY")]
    peer: PeerKey,
    /// What they may do in the whole site: viewer, commenter, editor, operator or owner.
    role: Role,
    /// What people call them.
    #[arg(long)]
    name: String,
    /// What they are.
    #[arg(long, value_enum, default_value_t = Kind::Person)]
    kind: Kind,
    #[command(flatten)]
    voice: VoiceArgs,
}

/// What a peer is, as people write it.
#[derive(Debug, Clone, Copy, ValueEnum)]
enum Kind {
    /// A human being.
    Person,
    /// A machine, or the gateway that speaks for machines.
    Device,
    /// A site host.
    Host,
    /// A company, department or authority.
    Organisation,
}

#[derive(Debug, Serialize)]
struct Listed {
    name: String,
    /// Identity: the first key they ever had.
    identity: String,
    kind: &'static str,
    roles: Vec<Held>,
    /// How often their key was replaced.
    key_number: u32,
    /// Whether no key of theirs is in force.
    revoked: bool,
}

#[derive(Debug, Serialize)]
struct Held {
    role: String,
    /// The thing it is for; none for the whole site.
    under: Option<String>,
}

/// Runs the command.
pub(crate) fn run(command: &RoleCommand) -> Result<()> {
    match command {
        RoleCommand::List(args) => list(args),
        RoleCommand::Grant(args) => {
            let mut voice = Voice::open(&args.voice)?;
            let (peer, scope) = (voice::peer(voice.site(), &args.peer)?, scope(voice.site(), args.under.as_ref())?);
            let index = voice.say(Body::GrantRole { peer, grant: Grant { role: args.role, scope } })?;
            let place = place(args.under.as_ref());
            println!("entry {index}: {} is {} of {place}", called(voice.site(), &peer), args.role);
            Ok(())
        }
        RoleCommand::Revoke(args) => {
            let mut voice = Voice::open(&args.voice)?;
            let (peer, scope) = (voice::peer(voice.site(), &args.peer)?, scope(voice.site(), args.under.as_ref())?);
            let index = voice.say(Body::RevokeRole { peer, scope })?;
            let place = place(args.under.as_ref());
            println!("entry {index}: {} has no role for {place} any more", called(voice.site(), &peer));
            Ok(())
        }
        RoleCommand::Admit(args) => {
            let mut voice = Voice::open(&args.voice)?;
            let AdmitArgs { peer, role, name, .. } = args;
            let index =
                voice.say(Body::Admit { peer: *peer, kind: args.kind.into(), name: name.clone(), role: *role })?;
            println!("entry {index}: {name} ({}) is {role} of the whole site", peer.short());
            Ok(())
        }
    }
}

fn list(args: &ListArgs) -> Result<()> {
    let voice = Voice::open(&args.voice)?;
    let site = voice.site();
    let peers: Vec<Listed> = site.peers().map(|(key, peer)| listed(site, key, peer)).collect();
    if args.json {
        println!("{}", serde_json::to_string(&peers)?);
        return Ok(());
    }
    for Listed { name, identity, kind, roles, key_number, revoked } in &peers {
        let roles: Vec<String> = roles
            .iter()
            .map(|Held { role, under }| format!("{role} of {}", under.as_deref().unwrap_or("the whole site")))
            .collect();
        let roles = if roles.is_empty() { "out".to_owned() } else { roles.join(", ") };
        let key = match (revoked, key_number) {
            (true, _) => ", its key revoked".to_owned(),
            (false, 0) => String::new(),
            (false, times) => format!(", its key replaced {times} times"),
        };
        println!("{}  {kind:<12}  {name}: {roles}{key}", &identity[..16]);
    }
    Ok(())
}

fn listed(site: &Site, key: &PeerKey, peer: &Peer) -> Listed {
    let under = |grant: &Grant| grant.scope.and_then(|id| site.thing(id)).map(|thing| thing.thing.path.to_string());
    let roles = peer.grants.iter().map(|grant| Held { role: grant.role.to_string(), under: under(grant) }).collect();
    let kind = match peer.kind {
        PeerKind::Person => "person",
        PeerKind::Device => "device",
        PeerKind::Host => "host",
        PeerKind::Organisation => "organisation",
    };
    let (key_number, revoked) = (peer.keys.number().0, peer.keys.is_revoked());
    Listed { name: peer.name.clone(), identity: key.to_string(), kind, roles, key_number, revoked }
}

fn scope(site: &Site, under: Option<&ThingPath>) -> Result<Option<gemba_twin::path::ThingId>> {
    under.map(|path| voice::thing(site, path)).transpose().context("give a thing of the site with --under")
}

fn place(under: Option<&ThingPath>) -> String {
    under.map_or_else(|| "the whole site".to_owned(), ToString::to_string)
}

fn called(site: &Site, key: &PeerKey) -> String {
    crate::record::words::name(site, key)
}

impl From<Kind> for PeerKind {
    fn from(kind: Kind) -> Self {
        match kind {
            Kind::Person => PeerKind::Person,
            Kind::Device => PeerKind::Device,
            Kind::Host => PeerKind::Host,
            Kind::Organisation => PeerKind::Organisation,
        }
    }
}
