//! `gembactl key`: an identity that outlives its keys. It promises its next key before it needs it, names guardians who can
//! bring it back, and goes on when a key is lost or stolen.
//!
//! The next key of a file `person.key` lies in `person.key.next`: best on another disk, which the thief of the first one
//! does not get. No file is ever moved or overwritten here, so that a run that breaks off can be repeated.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use clap::{Args, Subcommand};
use ed25519_dalek::SigningKey;
use gemba_host::key_file::{self, peer_key};
use gemba_host::problem::SiteDirError;
use gemba_host::site_dir::{HOST_KEY, NEXT_KEY, SiteDir};
use gemba_net::Address;
use gemba_record::body::Body;
use gemba_record::checkpoint::{origin, verifier_key};
use gemba_record::identity::{Approval, Guardians, Inception, KeyPromise, NewKey};
use gemba_record::site::Site;
use gemba_twin::peer::PeerKey;

use crate::voice::{self, Voice, VoiceArgs};

/// What to do with keys.
#[derive(Debug, Subcommand)]
pub(crate) enum KeyCommand {
    /// Say whose key a file holds and, with a site, what it knows of that identity.
    Show(ShowArgs),
    /// Promise the next key to a site and name guardians, before anything happens.
    Promise(PromiseArgs),
    /// Go on with the promised key: the old one counts no more.
    Rotate(RotateArgs),
    /// Make a new key for an identity whose keys are lost, for its guardians to vouch for.
    New(NewArgs),
    /// As a guardian, vouch for the new key of somebody who has lost theirs.
    Vouch(VouchArgs),
    /// Go on with a new key that enough guardians vouch for.
    Recover(RecoverArgs),
    /// Let the key in force of an identity count no more: one's own, or as an owner anybody's.
    Revoke(RevokeArgs),
}

/// Which key.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  gembactl key show
  gembactl key show --key plant/host.key
  gembactl key show --site plant/ --json")]
pub(crate) struct ShowArgs {
    /// The key's file; if not given, of a directory its host's, else this person's own.
    #[arg(long, value_name = "FILE")]
    key: Option<PathBuf>,
    /// A site that may know it: its directory, or its gemba:// address.
    #[arg(long, value_name = "DIR|ADDRESS")]
    site: Option<String>,
    /// Print the result as JSON.
    #[arg(long)]
    json: bool,
}

/// To which site, and who guards.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  gembactl key promise --site 'gemba://plant.example:7440/plant#KEY'
  gembactl key promise --site ... --guardian Grace --guardian Ada --guardian 'TÜV Süd' --needed 2
  gembactl key promise --site plant/                                           of the machine that hosts the site

The next key is made beside the one in use, as FILE.next: move it to a safe place, and back when it is needed. A promise
once made stands until the key is rotated; guardians may be named anew at any time.")]
pub(crate) struct PromiseArgs {
    /// A peer of the site who may vouch for a new key: a name, or the beginning of a key. May be given several times.
    #[arg(long, value_name = "PEER")]
    guardian: Vec<String>,
    /// How many guardians must agree; all of them if not given.
    #[arg(long, value_name = "K", requires = "guardian")]
    needed: Option<u32>,
    #[command(flatten)]
    voice: VoiceArgs,
}

/// At which site, and whose.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  gembactl key rotate --site 'gemba://plant.example:7440/plant#KEY'
  gembactl key rotate --site 'gemba://...' --key aiko.key                      goes on with aiko.key.next
  gembactl key rotate Aiko --next safe/aiko.next --site plant/                 where the old key is lost or revoked
  gembactl key rotate --site plant/ --next safe/host.key.next                  of the machine that hosts the site

A host goes on with its new key by itself, running or not, and people come to it by their old addresses and invitations.
Who has no key in force cannot come in: then somebody who can brings it, whose key is --key.")]
pub(crate) struct RotateArgs {
    /// Whose key is replaced, if not that of who speaks: a name, or the beginning of an identity.
    #[arg(value_name = "PEER", requires = "next")]
    peer: Option<String>,
    /// The promised key; if not given, it lies beside the one in use, as FILE.next.
    #[arg(long, value_name = "FILE")]
    next: Option<PathBuf>,
    #[command(flatten)]
    voice: VoiceArgs,
}

/// Where to.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  gembactl key new recovered.key

Prints what the guardians are given. The key after it is made too, as FILE.next.")]
pub(crate) struct NewArgs {
    /// The new key's file; must not be there yet.
    #[arg(value_name = "FILE")]
    file: PathBuf,
}

/// For whom and what.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  gembactl key vouch Aiko KEY+PROMISE --site 'gemba://plant.example:7440/plant#KEY'

Only when you are sure who asks: by voice, or face to face. Prints one word, which Aiko gives to `key recover`.")]
pub(crate) struct VouchArgs {
    /// Who has lost their key: a name, or the beginning of their identity.
    #[arg(value_name = "PEER")]
    peer: String,
    /// What `key new` printed for them.
    #[arg(value_name = "KEY+PROMISE")]
    request: String,
    #[command(flatten)]
    voice: VoiceArgs,
}

/// Who goes on with what.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  gembactl key recover Aiko recovered.key --approval WORD --approval WORD --site plant/
  gembactl key recover Aiko recovered.key --approval WORD --approval WORD --site 'gemba://...' --key grace.key

Who has no key in force cannot come in: --key is that of somebody who can, such as a guardian.")]
pub(crate) struct RecoverArgs {
    /// Who has lost their key: a name, or the beginning of their identity.
    #[arg(value_name = "PEER")]
    peer: String,
    /// The new key's file, made by `key new`.
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// What a guardian's `key vouch` printed; as many as are needed.
    #[arg(long, value_name = "WORD", required = true)]
    approval: Vec<String>,
    #[command(flatten)]
    voice: VoiceArgs,
}

/// Whose.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  gembactl key revoke --site 'gemba://plant.example:7440/plant#KEY'          one's own, which was stolen
  gembactl key revoke Aiko --site plant/                                     as an owner")]
pub(crate) struct RevokeArgs {
    /// A name, or the beginning of an identity; oneself if not given.
    #[arg(value_name = "PEER")]
    peer: Option<String>,
    #[command(flatten)]
    voice: VoiceArgs,
}

/// Runs the command.
pub(crate) fn run(command: &KeyCommand) -> Result<()> {
    match command {
        KeyCommand::Show(args) => show(args),
        KeyCommand::Promise(args) => promise(args),
        KeyCommand::Rotate(args) => rotate(args),
        KeyCommand::New(args) => new(args),
        KeyCommand::Vouch(args) => vouch(args),
        KeyCommand::Recover(args) => recover(args),
        KeyCommand::Revoke(args) => {
            let mut voice = Voice::open(&args.voice)?;
            let of = args.peer.as_ref().map(|text| voice::peer(voice.site(), text));
            let peer = of.unwrap_or_else(|| voice.identity())?;
            let index = voice.say(Body::RevokeKey { peer })?;
            let called = crate::record::words::name(voice.site(), &peer);
            println!("entry {index}: the key of {called} counts no more; key rotate or key recover brings a new one");
            Ok(())
        }
    }
}

fn show(args: &ShowArgs) -> Result<()> {
    let Some(site) = &args.site else {
        let file = args.key.clone().map_or_else(voice::own_key_file, Ok)?;
        let key = peer_key(&voice::load(&file)?);
        match args.json {
            true => println!("{}", serde_json::json!({ "key": key.to_string() })),
            false => println!("{key}"),
        }
        return Ok(());
    };
    let voice = Voice::open(&VoiceArgs { site: site.clone(), key: args.key.clone() })?;
    let (site, identity, key) = (voice.site(), voice.identity()?, peer_key(voice.key()));
    let peer = site.peer(&identity).context("an identity is that of a peer")?;
    let promised = peer.keys.promised();
    let (members, needed) = promised.guardians.as_ref().map_or((&[][..], 0), |g| (&g.members[..], g.needed));
    let guardians: Vec<String> = members.iter().map(|key| crate::record::words::name(site, key)).collect();
    if args.json {
        let json = serde_json::json!({
            "key": key.to_string(),
            "name": peer.name,
            "identity": identity.to_string(),
            "number": peer.keys.number().0,
            "next_is_promised": promised.next.is_some(),
            "guardians": members.iter().map(ToString::to_string).collect::<Vec<_>>(),
            "guardians_needed": needed,
        });
        println!("{json}");
        return Ok(());
    }
    println!("{key}\n{} at {}, identity {identity}, key number {}", peer.name, site.name(), peer.keys.number().0);
    println!("{}", if promised.next.is_some() { "the next key is promised" } else { "no next key is promised" });
    match guardians.is_empty() {
        true => println!("no guardians"),
        false => println!("{needed} of its guardians bring it back: {}", guardians.join(", ")),
    }
    Ok(())
}

fn promise(args: &PromiseArgs) -> Result<()> {
    let mut voice = Voice::open(&args.voice)?;
    let identity = voice.identity()?;
    let promised = voice.site().peer(&identity).context("an identity is that of a peer")?.keys.promised().clone();
    let members = args.guardian.iter().map(|text| voice::peer(voice.site(), text)).collect::<Result<Vec<_>>>()?;
    let guardians = match members.is_empty() {
        true => promised.guardians,
        false => Some(guardians(members, args.needed)),
    };
    let (next, made) = match promised.next {
        Some(next) => (next, None),
        None => {
            let file = next_of(&key_file(&args.voice)?);
            (KeyPromise::of(&peer_key(&load_or_create(&file)?)), Some(file))
        }
    };
    let index = voice.say(Body::PromiseKey(Inception { next: Some(next), guardians: guardians.clone() }))?;
    match made {
        Some(file) => println!("entry {index}: the next key is promised; keep {} safe, elsewhere", file.display()),
        None => println!("entry {index}: the next key was promised before, and stays so"),
    }
    if let Some(Guardians { members, needed }) = guardians {
        println!("{needed} of {} guardians bring this identity back if that one is lost too", members.len());
    }
    Ok(())
}

/// In the order that the record wants.
fn guardians(mut members: Vec<PeerKey>, needed: Option<u32>) -> Guardians {
    members.sort();
    members.dedup();
    let needed = needed.unwrap_or(members.len() as u32);
    Guardians { members, needed }
}

fn rotate(args: &RotateArgs) -> Result<()> {
    let mut voice = Voice::open(&args.voice)?;
    let next = args.next.clone().map_or_else(|| Ok(next_of(&key_file(&args.voice)?)), anyhow::Ok)?;
    let identity = match (&args.peer, voice.identity()) {
        (Some(text), _) => voice::peer(voice.site(), text)?,
        (None, Ok(identity)) => identity,
        // Also one whose key counts no more has promised the next one.
        (None, Err(unknown)) => voice.site().identity_of(&peer_key(voice.key())).ok_or(unknown)?,
    };
    let number = voice.site().peer(&identity).context("an identity is that of a peer")?.keys.next_number();
    let key = voice::load(&next).context("the promised key is needed, which `key promise` made")?;
    let home = host_home(&args.voice, voice.site(), &identity);
    home.as_ref().map_or(Ok(()), |home| home.bring(&key))?;
    let after = next_of(&next);
    let promise = KeyPromise::of(&peer_key(&load_or_create(&after)?));
    let new = NewKey { key: peer_key(&key), next: Some(promise) };
    let index = voice.say_as(identity, number, key.clone(), Body::RotateKey(new))?;
    if let Some(home) = home {
        println!("entry {index}: the key of the site's host is {} from here on", peer_key(&key));
        let after = if next == home.next_key() { next.clone() } else { after };
        println!("the key after it is promised; keep {} safe, elsewhere", after.display());
        return home.go_on(voice, peer_key(&key));
    }
    println!("entry {index}: the key in {} counts from here on, and the one before it no more", next.display());
    println!("come in with it:  gemba view ... --key {}", next.display());
    println!("the key after it is promised; keep {} safe, elsewhere", after.display());
    Ok(())
}

/// The directory of a site, where its host's key is replaced.
struct HostHome(PathBuf);

/// That of the site's host, if this is who is spoken of and its directory is here.
fn host_home(voice: &VoiceArgs, site: &Site, identity: &PeerKey) -> Option<HostHome> {
    let is_here = !voice.site.starts_with("gemba://") && *identity == site.host();
    is_here.then(|| HostHome(PathBuf::from(&voice.site)))
}

impl HostHome {
    fn next_key(&self) -> PathBuf {
        self.0.join(NEXT_KEY)
    }

    /// Puts the new key where the host goes on with it as soon as the record says so.
    fn bring(&self, key: &SigningKey) -> Result<()> {
        let file = self.next_key();
        if !file.exists() {
            return Ok(key_file::write_whole(&file, &key.to_bytes(), true)?);
        }
        if voice::load(&file)?.to_bytes() != key.to_bytes() {
            bail!("{} holds another key than the one that is to come; move it away", file.display());
        }
        Ok(())
    }

    /// Has the host go on with its new key: it does so by itself where it runs.
    fn go_on(&self, voice: Voice, key: PeerKey) -> Result<()> {
        let (site, address) = (voice.site().id(), voice.address().ok());
        // Its lock goes with it.
        drop(voice);
        match SiteDir::open(&self.0) {
            Ok(_) | Err(SiteDirError::InUse(_)) => {}
            Err(error) => return Err(error.into()),
        }
        if let Some(address) = address {
            println!("its address now:  {}", Address { key, ..address });
        }
        let log = verifier_key(&origin(site), &key);
        println!("tell those who run witnesses and mirrors: behind the --log they have, --log '{log}'");
        Ok(())
    }
}

fn new(args: &NewArgs) -> Result<()> {
    if args.file.exists() {
        bail!("{} is there already; give another name", args.file.display());
    }
    let (key, next) = (load_or_create(&args.file)?, load_or_create(&next_of(&args.file))?);
    let promise: String = KeyPromise::of(&peer_key(&next)).0.iter().map(|b| format!("{b:02x}")).collect();
    eprintln!("gembactl: give your guardians this, for `gembactl key vouch`; {} stays with you", args.file.display());
    println!("{}+{promise}", peer_key(&key));
    Ok(())
}

fn vouch(args: &VouchArgs) -> Result<()> {
    let voice = Voice::open(&args.voice)?;
    let (site, guardian) = (voice.site(), voice.identity()?);
    let identity = voice::peer(site, &args.peer)?;
    let keys = &site.peer(&identity).context("a peer that was found")?.keys;
    let guards = keys.promised().guardians.as_ref().is_some_and(|g| g.members.contains(&guardian));
    if !guards {
        bail!("you are no guardian of {}", crate::record::words::name(site, &identity));
    }
    let new = request(&args.request)?;
    let Approval { signature, .. } =
        Approval::sign(guardian, voice.key(), site.id(), &identity, keys.next_number(), &new);
    let signature: String = signature.iter().map(|b| format!("{b:02x}")).collect();
    println!("{guardian}:{signature}");
    Ok(())
}

fn recover(args: &RecoverArgs) -> Result<()> {
    let mut voice = Voice::open(&args.voice)?;
    let site = voice.site();
    let identity = voice::peer(site, &args.peer)?;
    let number = site.peer(&identity).context("a peer that was found")?.keys.next_number();
    let (key, next) = (voice::load(&args.file)?, voice::load(&next_of(&args.file))?);
    let new_key = peer_key(&key);
    let new = NewKey { key: peer_key(&key), next: Some(KeyPromise::of(&peer_key(&next))) };
    let home = host_home(&args.voice, site, &identity);
    home.as_ref().map_or(Ok(()), |home| home.bring(&key))?;
    let mut approvals = args.approval.iter().map(|word| approval(word)).collect::<Result<Vec<_>>>()?;
    approvals.sort_by_key(|approval| approval.guardian);
    let index = voice.say_as(identity, number, key, Body::RecoverKey { new, approvals })?;
    let called = crate::record::words::name(voice.site(), &identity);
    println!("entry {index}: the key in {} is that of {called} from here on", args.file.display());
    home.map_or(Ok(()), |home| home.go_on(voice, new_key))
}

/// A new key with its promise, as `key new` prints them.
fn request(text: &str) -> Result<NewKey> {
    let bad = "the request is cut off or mistyped: it is KEY+PROMISE, as `key new` printed it";
    let (key, promise) = text.split_once('+').context(bad)?;
    let promise: PeerKey = promise.parse().ok().context(bad)?;
    Ok(NewKey { key: key.parse().ok().context(bad)?, next: Some(KeyPromise(promise.0)) })
}

/// A guardian's word, as `key vouch` prints it.
fn approval(word: &str) -> Result<Approval> {
    let bad = "an approval is cut off or mistyped: it is one word, as `key vouch` printed it";
    let (guardian, signature) = word.split_once(':').context(bad)?;
    let halves = signature.split_at_checked(64).context(bad)?;
    // Each half of a signature has as many digits as a key; the parser of those serves.
    let [r, s] = [halves.0, halves.1].map(|half| half.parse::<PeerKey>().ok().map(|bytes| bytes.0));
    let signature = [r.context(bad)?, s.context(bad)?].concat();
    Ok(Approval { guardian: guardian.parse().ok().context(bad)?, signature })
}

/// The file of the key that speaks, beside which the next one lies.
fn key_file(voice: &VoiceArgs) -> Result<PathBuf> {
    match &voice.key {
        Some(file) => Ok(file.clone()),
        None if voice.site.starts_with("gemba://") => voice::own_key_file(),
        None => Ok(Path::new(&voice.site).join(HOST_KEY)),
    }
}

fn next_of(file: &Path) -> PathBuf {
    let mut name = file.as_os_str().to_owned();
    name.push(".next");
    name.into()
}

/// The key in this file, or a new one that is in it from now on, for its owner's eyes only.
fn load_or_create(file: &Path) -> Result<SigningKey> {
    if file.exists() {
        return voice::load(file);
    }
    let seed: [u8; 32] = key_file::random();
    key_file::write_whole(file, &seed, true)?;
    key_file::sync_parent(file)?;
    Ok(SigningKey::from_bytes(&seed))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_handed_from_person_to_person_is_refused_when_it_is_cut_off_or_mistyped() {
        let digits = "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff";
        let whole = format!("{digits}+{digits}");
        assert_eq!(request(&whole).unwrap().next, Some(KeyPromise(request(&whole).unwrap().key.0)));
        let word = format!("{digits}:{digits}{digits}");
        assert_eq!(approval(&word).unwrap().signature.len(), 64);
        for end in [0, 1, 60, 64, 65, 100, whole.len() - 1] {
            assert!(request(&whole[..end]).is_err() && approval(&word[..end]).is_err(), "{end}");
        }
        assert!(request(&whole.replace('0', "x")).is_err() && approval(&format!("{word}0")).is_err());
    }

    #[test]
    fn guardians_are_named_in_order_and_once_and_all_are_needed_unless_said() {
        let [a, b] = [1, 2].map(|n| PeerKey([n; 32]));
        assert_eq!(guardians(vec![b, a, b], None), Guardians { members: vec![a, b], needed: 2 });
        assert_eq!(guardians(vec![b, a], Some(1)).needed, 1);
    }
}
