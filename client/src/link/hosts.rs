//! Where the site's host may be, as the record says: told to the link, so that it finds the host that takes over when
//! this one has died, and comes back by the key that has replaced the one it came with.

use bevy::prelude::*;
use gemba_net::{Address, LinkCommand, address_of};
use gemba_record::site::Site as Fold;
use gemba_record::succession::SiteHost;
use gemba_twin::peer::PeerKey;

use super::Connection;

/// What the link was told last.
#[derive(Resource, Default)]
pub(super) struct ToldHosts(Vec<Address>);

pub(super) fn tell_hosts(mut connection: ResMut<Connection>, mut told: ResMut<ToldHosts>, mut looked: Local<u64>) {
    let entries = connection.log().entries();
    // Of a record that is still coming in, what it says of hosts may be long past.
    if *looked == entries || entries < connection.entries_expected {
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
/// on that way again, by the key that it has now.
fn hosts_of(site: &Fold, given: &Address) -> Vec<Address> {
    let given_by = site.identity_of(&given.key);
    let again = |key: PeerKey| Address { key, ..given.clone() };
    let named = site.reachable_hosts();
    if named.is_empty() {
        return site.host_key().filter(|_| given_by == Some(site.host())).map(again).into_iter().collect();
    }
    let address = |(key, named): (PeerKey, &SiteHost)| {
        if Some(named.key) == given_by { Some(again(key)) } else { address_of(&named.place, &given.site, key) }
    };
    named.into_iter().filter_map(address).collect()
}
