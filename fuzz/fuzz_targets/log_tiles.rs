//! Any bytes as a path, a tile, a bundle of a published log: refused, or what the specification says.
#![no_main]

use gemba_record::tile::{Bundle, Resource, Tile};
use gemba_record::tile_tree::TileTree;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    if let Ok(path) = str::from_utf8(bytes)
        && let Ok(resource) = path.parse::<Resource>()
    {
        assert_eq!(resource.to_string(), path);
        assert!(!path.contains("..") && !path.starts_with('/'));
    }
    let Some((size, rest)) = bytes.split_first_chunk::<2>() else { return };
    let size = u64::from(u16::from_be_bytes(*size));
    if let Some(bundle) = Bundle::of(size.saturating_sub(1), size)
        && let Ok(entries) = bundle.decode(rest)
    {
        assert_eq!(Bundle::encode(entries.iter().copied()).as_deref(), Ok(rest));
    }
    if let Some(tile) = Tile::of(0, size / 256, size) {
        if let Ok(hashes) = tile.decode(rest) {
            assert_eq!(hashes.len(), usize::from(tile.width()));
        }
        // A root that nobody has hashes for: no tile is ever under it. (The proof of an only entry has no hashes.)
        if size > 1
            && let Ok(mut tree) = TileTree::new(size, [7; 32])
        {
            let _ = tree.insert(tile, rest);
            assert!(tree.inclusion(0).is_err());
        }
    }
});
