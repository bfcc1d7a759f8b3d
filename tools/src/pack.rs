//! A `.gltf` with its buffers and images in other files, packed into one `.glb`: a site keeps a model as one blob.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result, bail};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use gemba_twin::limits;
use serde_json::{Value, json};

use crate::plant::container;

/// The bytes of a `.glb` file, or of a `.gltf` file packed into one.
pub fn read(file: &Path) -> Result<Vec<u8>> {
    let bytes = read_bounded(file)?;
    if bytes.starts_with(b"glTF") {
        return Ok(bytes);
    }
    let json: Value = serde_json::from_slice(&bytes)
        .with_context(|| format!("{} is neither a .glb nor a .gltf file", file.display()))?;
    pack(json, file.parent().unwrap_or(Path::new("."))).with_context(|| format!("{} cannot be packed", file.display()))
}

fn read_bounded(file: &Path) -> Result<Vec<u8>> {
    let size = fs::metadata(file).with_context(|| format!("cannot open {}", file.display()))?.len();
    if size > limits::MODEL_BYTES {
        bail!("{} has {size} bytes; at most {} are read", file.display(), limits::MODEL_BYTES);
    }
    fs::read(file).with_context(|| format!("cannot read {}", file.display()))
}

/// All buffers and images behind each other in one binary chunk; views are moved to where their bytes now are.
fn pack(mut json: Value, folder: &Path) -> Result<Vec<u8>> {
    let mut binary = Vec::new();
    let mut starts = Vec::new();
    for buffer in elements(&mut json, "buffers") {
        align(&mut binary);
        starts.push(binary.len());
        let uri = buffer["uri"].as_str().context("a buffer has neither a file nor data")?;
        let bytes = fetch(uri, folder)?;
        let declared = buffer["byteLength"].as_u64().unwrap_or(0);
        if (bytes.len() as u64) < declared {
            bail!("the buffer {} is truncated: {declared} bytes declared, {} present", shown(uri), bytes.len());
        }
        binary.extend_from_slice(&bytes);
        within_limit(&binary)?;
    }
    for view in elements(&mut json, "bufferViews") {
        let buffer = view["buffer"].as_u64().and_then(|b| usize::try_from(b).ok()).and_then(|b| starts.get(b));
        let start = buffer.context("a buffer view names a buffer that is not there")?;
        let offset = view["byteOffset"].as_u64().unwrap_or(0).checked_add(*start as u64);
        view["byteOffset"] = json!(offset.context("a buffer view lies outside its buffer")?);
        view["buffer"] = json!(0);
    }
    let mut views = Vec::new();
    let first_view = json["bufferViews"].as_array().map_or(0, Vec::len);
    for image in elements(&mut json, "images") {
        let Some(uri) = image["uri"].as_str().map(str::to_owned) else { continue };
        let bytes = fetch(&uri, folder)?;
        align(&mut binary);
        views.push(json!({"buffer": 0, "byteOffset": binary.len(), "byteLength": bytes.len()}));
        let kind = if bytes.starts_with(b"\x89PNG") { "image/png" } else { "image/jpeg" };
        image["mimeType"] = json!(kind);
        image["bufferView"] = json!(first_view + views.len() - 1);
        image.as_object_mut().map(|image| image.remove("uri"));
        binary.extend_from_slice(&bytes);
        within_limit(&binary)?;
    }
    if !views.is_empty() {
        let mut all = json["bufferViews"].as_array().cloned().unwrap_or_default();
        all.extend(views);
        json["bufferViews"] = Value::Array(all);
    }
    if !binary.is_empty() {
        json["buffers"] = json!([{"byteLength": binary.len()}]);
    }
    Ok(container(serde_json::to_vec(&json)?, binary))
}

fn elements<'a>(json: &'a mut Value, key: &str) -> impl Iterator<Item = &'a mut Value> {
    json.get_mut(key).and_then(Value::as_array_mut).into_iter().flatten().filter(|element| element.is_object())
}

/// Views begin at multiples of four, as every component type wants.
fn align(binary: &mut Vec<u8>) {
    binary.resize(binary.len().next_multiple_of(4), 0);
}

fn within_limit(binary: &[u8]) -> Result<()> {
    if binary.len() as u64 > limits::MODEL_BYTES {
        bail!("its buffers and images have more than {} bytes", limits::MODEL_BYTES);
    }
    Ok(())
}

/// The bytes behind a URI: data in itself, or a file beside the model. Nothing is fetched from elsewhere.
fn fetch(uri: &str, folder: &Path) -> Result<Vec<u8>> {
    if let Some(data) = uri.strip_prefix("data:") {
        let (_, coded) = data.split_once(";base64,").context("data in the file is not in base64")?;
        return STANDARD.decode(coded).context("data in the file is not in base64");
    }
    if uri.contains("://") {
        bail!("{} lies elsewhere; only files beside the model are read", shown(uri));
    }
    read_bounded(&folder.join(percent_decoded(uri)?))
}

fn percent_decoded(uri: &str) -> Result<String> {
    let mut bytes = Vec::new();
    let mut rest = uri.bytes();
    while let Some(byte) = rest.next() {
        if byte == b'%' {
            let digit = |c: Option<u8>| c.and_then(|c| (c as char).to_digit(16));
            let (high, low) = (digit(rest.next()), digit(rest.next()));
            let (high, low) = high.zip(low).with_context(|| format!("{} is not a file name", shown(uri)))?;
            bytes.push((high * 16 + low) as u8);
        } else {
            bytes.push(byte);
        }
    }
    String::from_utf8(bytes).with_context(|| format!("{} is not a file name", shown(uri)))
}

/// A URI short enough for one line.
fn shown(uri: &str) -> String {
    uri.chars().take(80).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use gemba_twin::model;

    #[test]
    fn buffers_in_files_and_in_the_text_become_one_chunk() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("a b.bin"), [1u8; 13]).unwrap();
        let json = json!({"asset": {"version": "2.0"},
            "buffers": [{"byteLength": 13, "uri": "a%20b.bin"},
                        {"byteLength": 4, "uri": "data:application/octet-stream;base64,AgICAg=="}],
            "bufferViews": [{"buffer": 0, "byteLength": 12}, {"buffer": 1, "byteLength": 4}],
            "nodes": [{"name": "n"}], "scenes": [{"nodes": [0]}], "scene": 0});
        let glb = pack(json, folder.path()).unwrap();
        assert_eq!(model::outline(&glb).unwrap().things.len(), 1);
        let file = gltf::Gltf::from_slice(&glb).unwrap();
        let view = file.views().nth(1).unwrap();
        let bytes = file.blob.as_ref().unwrap();
        assert_eq!(bytes[view.offset()..view.offset() + view.length()], [2; 4]);
    }

    #[test]
    fn what_lies_elsewhere_or_is_cut_off_is_refused_in_words() {
        let refused = |json: Value| format!("{:#}", pack(json, Path::new(".")).unwrap_err());
        let elsewhere = json!({"buffers": [{"byteLength": 1, "uri": "https://example.org/x.bin"}]});
        assert!(refused(elsewhere).contains("lies elsewhere"));
        let truncated = json!({"buffers": [{"byteLength": 99, "uri": "data:;base64,AgI="}]});
        assert!(refused(truncated).contains("truncated"));
        assert!(refused(json!({"bufferViews": [{"buffer": 7}]})).contains("not there"));
    }
}
