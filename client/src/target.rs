//! From the word on the command line to something to show: an address, a site directory, or a glTF file.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use ed25519_dalek::SigningKey;
use gemba_net::LinkConfig;
use gemba_net::invitation_link::InvitationLink;
use gemba_record::author::Author;
use gemba_record::body::Body;
use gemba_record::entry::{EntryId, SiteId};
use gemba_record::invitation::Token;
use gemba_twin::peer::PeerKind;

use crate::app::Target;
use crate::args::{View, Viewing};
use crate::demo::Companion;
use crate::link::Connection;
use crate::places;
use crate::plant::ModelSource;

/// Longest name a newcomer brings, characters: 4 bytes each stay within what the record takes.
const NAME_CHARS: usize = 60;

/// The command line asks for something that cannot be: exit status 2.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct BadUsage(String);

/// Opens what the command line names. A site directory is served by a host started beside the viewer, which lives as
/// long as the returned companion.
pub fn open(view: &View) -> Result<(Target, Option<Companion>)> {
    let text = view.target.as_str();
    if text.starts_with("gemba://") {
        return Ok((site(text, &view.viewing)?, None));
    }
    let path = Path::new(text);
    if path.is_dir() {
        let mut host = Companion::start(
            "gembad",
            &[path.as_os_str()]
                .into_iter()
                .chain(["--until-stdin-closes", "--listen", "127.0.0.1:0", "--admit", "editor"].map(OsStr::new))
                .collect::<Vec<_>>(),
        )?;
        let address = host.first_line()?;
        return Ok((site(&address, &view.viewing)?, Some(host)));
    }
    Ok((file(path)?, None))
}

fn file(path: &Path) -> Result<Target> {
    let known = path.extension().is_some_and(|e| e.eq_ignore_ascii_case("glb") || e.eq_ignore_ascii_case("gltf"));
    let path = path.canonicalize().with_context(|| format!("cannot open {}", path.display()))?;
    if !known {
        bail!("{} is neither a gemba:// address, nor a site directory, nor a .glb or .gltf file", path.display());
    }
    let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
    Ok(Target { model: ModelSource::File(path), connection: Connection::none(), name })
}

/// Begins to connect to the site at an address, or at the one in an invitation, which lets a newcomer in.
pub fn site(text: &str, viewing: &Viewing) -> Result<Target> {
    let text = text.trim();
    let invitation = if InvitationLink::is_meant(text) {
        Some(text.parse::<InvitationLink>().map_err(|why| BadUsage(why.to_string()))?)
    } else {
        None
    };
    let address = match &invitation {
        Some(invitation) => invitation.address.clone(),
        None => text.parse().map_err(|why| BadUsage(format!("{text} is not an address: {why}")))?,
    };
    let key_file = viewing.key.clone().unwrap_or_else(|| places::data().join("person.key"));
    let signing_key = places::signing_key(&key_file)?;
    let user = || std::env::var("USER").ok().filter(|name| !name.is_empty());
    let invited_as = || invitation.as_ref().and_then(|invitation| invitation.name.clone());
    let name = viewing.name.clone().or_else(invited_as).or_else(user).unwrap_or_else(|| "someone".to_owned());
    let (site, host) = (address.site.clone(), address.key);
    let redemption = invitation.as_ref().map(|invitation| redemption(invitation, &signing_key, &name)).transpose()?;
    let config =
        LinkConfig { address, signing_key: signing_key.clone(), name, kind: PeerKind::Person, entries_held: 0 };
    let link = match redemption {
        Some(redemption) => gemba_net::redeem(config, redemption),
        None => gemba_net::connect(config),
    };
    let connection = Connection::over(link, host, signing_key);
    Ok(Target { model: ModelSource::Site, connection, name: site })
}

/// The entry by which this person redeems an invitation; a host that knows them already passes it over.
fn redemption(invitation: &InvitationLink, signing_key: &SigningKey, name: &str) -> Result<Vec<u8>> {
    let author = Author::new(signing_key.clone(), SiteId(invitation.site));
    let token = Token::new(invitation.token);
    let signature = token.redeem(author.site, &author.key());
    let mut id = [0; 16];
    getrandom::fill(&mut id).map_err(|e| anyhow::anyhow!("the system gives no random numbers: {e}"))?;
    let plain: String = name.chars().filter(|c| !c.is_control()).take(NAME_CHARS).collect();
    let name = if plain.trim().is_empty() { "guest".to_owned() } else { plain.trim().to_owned() };
    let body = Body::RedeemInvitation { token: token.public(), signature, name };
    Ok(author.sign(body, EntryId(id)).into_parts().0)
}

/// The program of this name that was built with this one.
pub fn beside(name: &str) -> Result<PathBuf> {
    let own = std::env::current_exe().context("cannot tell where this program lies")?;
    let path = own.with_file_name(format!("{name}{}", std::env::consts::EXE_SUFFIX));
    if !path.exists() {
        bail!("{} is missing; build everything: cargo build --workspace", path.display());
    }
    Ok(path)
}
