//! Where the site's host may be, as the record says: told to the link, so that it finds the host that takes over when
//! this one has died.

use bevy::prelude::*;
use gemba_net::{Address, LinkCommand, address_of};
use gemba_record::site::Site as Fold;

use super::Connection;

/// What the link was told last.
#[derive(Resource, Default)]
pub(super) struct ToldHosts(Vec<Address>);

pub(super) fn tell_hosts(mut connection: ResMut<Connection>, mut told: ResMut<ToldHosts>, mut looked: Local<u64>) {
    let entries = connection.log().entries();
    if *looked == entries {
        return;
    }
    let given = connection.link().and_then(gemba_net::Link::host);
    let Some((site, given)) = connection.log().site().zip(given) else { return };
    let hosts = hosts_of(site, &given);
    *looked = entries;
    if hosts == told.0 {
        return;
    }
    let Some(link) = connection.link_mut() else { return };
    if link.send(LinkCommand::Hosts(hosts.clone())).is_ok() {
        told.0 = hosts;
    } else {
        // The queue has room in the next frame.
        *looked = 0;
    }
}

/// The host first, the others in the order in which they succeed. A host that we have reached by one way is looked for
/// on that way again.
fn hosts_of(site: &Fold, given: &Address) -> Vec<Address> {
    let mut named: Vec<_> = site.hosts().iter().collect();
    named.sort_by_key(|named| named.key != site.host());
    let address = |named: &&gemba_record::succession::SiteHost| {
        if named.key == given.key { Some(given.clone()) } else { address_of(&named.place, &given.site, named.key) }
    };
    named.iter().filter_map(address).collect()
}
