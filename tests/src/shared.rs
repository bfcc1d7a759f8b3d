//! The folder of data to test with, which lies beside the project where there is one.

use std::path::PathBuf;

/// The folder; none, with a clear line, where it is missing.
pub fn data(test: &str) -> Option<PathBuf> {
    let data = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../shared/data");
    if data.is_dir() {
        return Some(data);
    }
    println!("{test}: skipped, there is no ../shared/data beside the project");
    None
}
