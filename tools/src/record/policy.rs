//! `gembactl record policy`: who has to have cosigned the log before what stands in it is final.

use std::path::PathBuf;
use std::str::FromStr;

use anyhow::{Result, bail};
use clap::Args;
use gemba_record::body::Body;
use gemba_record::note::{SignatureKind, VerifierKey};
use gemba_record::policy::{Member, SitePolicy};

use crate::voice::{Voice, VoiceArgs};

/// Which site, and who.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  gembactl record policy plant/ --witness 'w1+ID+KEY=http://w1:7450' --witness 'w2+ID+KEY=http://w2:7450' \\
      --witness 'w3+ID+KEY=http://w3:7450' --witnesses-needed 2 --mirror 'm1+ID+KEY=http://m1:7451'
  gembactl record policy plant/            says what it is now

Witnesses and mirrors print KEY=URL when they start. The policy is an entry of the record, signed with the host's key,
which therefore has to be an owner.")]
pub(crate) struct PolicyArgs {
    /// The site's directory. Its host may be running.
    #[arg(value_name = "DIR")]
    dir: PathBuf,
    /// A witness, VKEY=URL.
    #[arg(long, value_name = "VKEY=URL")]
    witness: Vec<Asked>,
    /// How many different witnesses are needed; all of them if not given.
    #[arg(long, value_name = "N")]
    witnesses_needed: Option<u32>,
    /// A mirror, VKEY=URL.
    #[arg(long, value_name = "VKEY=URL")]
    mirror: Vec<Asked>,
    /// How many different mirrors are needed; one if not given.
    #[arg(long, value_name = "N")]
    mirrors_needed: Option<u32>,
    /// Print the policy as JSON.
    #[arg(long)]
    json: bool,
}

/// A member as it is written.
#[derive(Debug, Clone)]
struct Asked(Member);

impl FromStr for Asked {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        // Base64 may end in '=', a URL begins with its scheme.
        let (key, url) = text.rsplit_once("=http").ok_or("it has the form NAME+ID+KEY=http://HOST:PORT")?;
        let key: VerifierKey = key.parse().map_err(|error: gemba_record::note::NoteError| error.to_string())?;
        if key.kind() != SignatureKind::Cosignature {
            return Err("this is the key of a log; a witness or mirror prints its own when it starts".into());
        }
        let url = format!("http{}", url.trim_end_matches('/'));
        Ok(Self(Member { name: key.name().to_owned(), key: key.key(), url }))
    }
}

/// Runs the command.
pub(crate) fn run(args: &PolicyArgs) -> Result<()> {
    if args.witness.is_empty() && args.mirror.is_empty() {
        if args.witnesses_needed.is_some() || args.mirrors_needed.is_some() {
            bail!("a policy names its members: give --witness or --mirror with the numbers");
        }
        let site = super::look(&args.dir)?;
        let Some(policy) = site.site().policy() else {
            bail!("{} has no policy: its entries are sequenced, and nothing makes them final", args.dir.display());
        };
        return tell(policy, None, args.json);
    }
    let members = |asked: &[Asked]| asked.iter().map(|asked| asked.0.clone()).collect::<Vec<_>>();
    let (witnesses, mirrors) = (members(&args.witness), members(&args.mirror));
    let policy = SitePolicy {
        witnesses_needed: args.witnesses_needed.unwrap_or(witnesses.len() as u32),
        mirrors_needed: args.mirrors_needed.unwrap_or(u32::from(!mirrors.is_empty())),
        witnesses,
        mirrors,
    };
    let voice = VoiceArgs { site: args.dir.display().to_string(), key: None };
    let index = Voice::open(&voice)?.say(Body::SetPolicy(policy.clone()))?;
    tell(&policy, Some(index), args.json)
}

fn tell(policy: &SitePolicy, entry: Option<u64>, json: bool) -> Result<()> {
    let parts = [
        ("witnesses", policy.witnesses_needed, &policy.witnesses),
        ("mirrors", policy.mirrors_needed, &policy.mirrors),
    ];
    if json {
        let member = |member: &Member| {
            let key = member.verifier().map(|key| key.to_string()).ok();
            serde_json::json!({ "name": member.name, "key": key, "url": member.url })
        };
        let mut said = serde_json::Map::new();
        said.extend(entry.map(|index| ("entry".to_owned(), index.into())));
        for (what, needed, members) in parts {
            said.insert(format!("{what}_needed"), needed.into());
            said.insert(what.to_owned(), members.iter().map(member).collect());
        }
        println!("{}", serde_json::to_string(&said)?);
        return Ok(());
    }
    if let Some(index) = entry {
        println!("entry {index} sets the policy:");
    }
    for (what, needed, members) in parts {
        println!("{needed} of {} {what}", members.len());
        members.iter().for_each(|member| println!("  {} at {}", member.name, member.url));
    }
    Ok(())
}
