//! The plant tree read out of a glTF file: which nodes are things, where they stand and what drives them.
//!
//! A node with `extras.gemba` is named by its full plant path, and its extras say the rest:
//!
//! ```json
//! {"name": "Hall1/Line1/Tank1/Liquid",
//!  "extras": {"gemba": {"class": "tank", "level": "part",
//!                       "bind": [{"tag": "Hall1/Line1/Tank1/Level", "to": "scale_y", "scale": 0.01}]}}}
//! ```
//!
//! Any other node (a model from elsewhere) becomes a thing below its parent node's path, under its own name.
//! Geometry is not read here; the client draws it.

use std::collections::{HashMap, HashSet};

use serde::Deserialize;
use thiserror::Error;

use crate::binding::Binding;
use crate::limits;
use crate::path::ThingPath;
use crate::thing::{Class, Level, Thing};

/// Why a file cannot be opened as a plant model.
#[derive(Debug, Error)]
pub enum ModelError {
    /// Not glTF, truncated, or against its schema.
    #[error("not a valid glTF 2.0 file: {0}")]
    Invalid(String),
    /// More than this program will open.
    #[error("the model is too large: {0}")]
    TooLarge(String),
    /// Needs a glTF extension that is not supported.
    #[error("the model needs the glTF extension {0}, which Gemba cannot read")]
    Extension(String),
    /// Nodes that contain each other.
    #[error("node {0} of the model has two parents or is its own ancestor")]
    NotATree(usize),
}

/// What a glTF file holds, as a plant.
#[derive(Debug, Clone, PartialEq)]
pub struct Outline {
    /// One thing a node of the default scene, parents before parts.
    pub things: Vec<NodeThing>,
    /// What was not understood and is therefore not in the twin, in words for the designer. Bounded.
    pub problems: Vec<String>,
}

/// A thing and the node that draws it.
#[derive(Debug, Clone, PartialEq)]
pub struct NodeThing {
    /// Index in the file's `nodes`.
    pub node: usize,
    /// The thing.
    pub thing: Thing,
}

#[derive(Deserialize)]
struct NodeExtras {
    gemba: Option<ThingExtras>,
}

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields, default)]
struct ThingExtras {
    level: Level,
    class: Class,
    bind: Vec<Binding>,
}

/// Extensions that may be *required* by a model; others may only be used.
const SUPPORTED: &[&str] = &["KHR_materials_unlit", "KHR_materials_emissive_strength", "KHR_texture_transform"];

/// Most problems that are listed one by one.
const PROBLEMS: usize = 100;

/// Magic, version and length (glTF 2.0 §4.4.2).
const GLB_HEADER_BYTES: u32 = 12;

/// Reads the plant tree of a `.glb` or `.gltf` file.
///
/// Buffers are looked at only for their declared sizes, so that a truncated or hostile file is refused here, before
/// anything allocates by what it claims.
pub fn outline(bytes: &[u8]) -> Result<Outline, ModelError> {
    if bytes.len() as u64 > limits::MODEL_BYTES {
        return Err(ModelError::TooLarge(format!("{} bytes, at most {}", bytes.len(), limits::MODEL_BYTES)));
    }
    let gltf::Gltf { document, blob } = read(bytes)?;
    if document.nodes().len() > limits::MODEL_NODES {
        let count = document.nodes().len();
        return Err(ModelError::TooLarge(format!("{count} nodes, at most {}", limits::MODEL_NODES)));
    }
    if let Some(unknown) = document.extensions_required().find(|e| !SUPPORTED.contains(e)) {
        return Err(ModelError::Extension(unknown.to_owned()));
    }
    check_buffers(&document, blob.as_deref())?;
    let scene = document.default_scene().or_else(|| document.scenes().next());
    let roots = scene.iter().flat_map(|scene| scene.nodes()).collect();
    Walk::new(document.nodes().len()).run(roots)
}

/// Reads and validates the JSON. Two things that gltf 1.4 takes for granted are seen to first: that a binary file is as
/// long as its header, and that the accessors of a primitive exist, which its validation looks up before it checks them.
fn read(bytes: &[u8]) -> Result<gltf::Gltf, ModelError> {
    if let [b'g', b'l', b'T', b'F', _, _, _, _, a, b, c, d, ..] = *bytes
        && u32::from_le_bytes([a, b, c, d]) < GLB_HEADER_BYTES
    {
        return Err(ModelError::Invalid("it says to be shorter than its own header".to_owned()));
    }
    let invalid = |error: gltf::Error| ModelError::Invalid(error.to_string());
    let gltf::Gltf { document, blob } = gltf::Gltf::from_slice_without_validation(bytes).map_err(invalid)?;
    let json = document.into_json();
    let primitives = json.meshes.iter().flat_map(|mesh| &mesh.primitives);
    let accessors = primitives.flat_map(|primitive| primitive.attributes.values());
    if let Some(missing) = accessors.map(|index| index.value()).find(|index| *index >= json.accessors.len()) {
        return Err(ModelError::Invalid(format!("a mesh uses accessor {missing}, which is not in the file")));
    }
    let document = gltf::Document::from_json(json).map_err(invalid)?;
    Ok(gltf::Gltf { document, blob })
}

/// Every view lies in its buffer and every accessor in its view: readers downstream slice without looking.
fn check_buffers(document: &gltf::Document, blob: Option<&[u8]>) -> Result<(), ModelError> {
    for buffer in document.buffers() {
        if let (gltf::buffer::Source::Bin, Some(blob)) = (buffer.source(), blob)
            && buffer.length() > blob.len()
        {
            let declared = buffer.length();
            return Err(ModelError::Invalid(format!("truncated: {declared} bytes declared, {} present", blob.len())));
        }
    }
    for view in document.views() {
        let end = view.offset().checked_add(view.length());
        if end.is_none_or(|end| end > view.buffer().length()) {
            return Err(ModelError::Invalid(format!("buffer view {} lies outside its buffer", view.index())));
        }
    }
    for accessor in document.accessors() {
        let Some(view) = accessor.view() else { continue };
        let stride = view.stride().unwrap_or(accessor.size());
        let end = accessor
            .count()
            .checked_sub(1)
            .and_then(|last| last.checked_mul(stride))
            .and_then(|n| n.checked_add(accessor.size()))
            .and_then(|n| n.checked_add(accessor.offset()));
        if end.is_none_or(|end| end > view.length()) {
            return Err(ModelError::Invalid(format!("accessor {} lies outside its buffer view", accessor.index())));
        }
    }
    Ok(())
}

/// The state of one walk over the nodes of a scene.
struct Walk {
    things: Vec<NodeThing>,
    problems: Vec<String>,
    visited: Vec<bool>,
    paths: HashSet<ThingPath>,
    copies: HashMap<ThingPath, usize>,
}

impl Walk {
    fn new(nodes: usize) -> Self {
        Self {
            things: Vec::new(),
            problems: Vec::new(),
            visited: vec![false; nodes],
            paths: HashSet::new(),
            copies: HashMap::new(),
        }
    }

    /// A stack instead of recursion, since a hostile file may nest a million nodes.
    fn run(mut self, roots: Vec<gltf::Node<'_>>) -> Result<Outline, ModelError> {
        let mut open: Vec<(gltf::Node<'_>, Option<ThingPath>)> = roots.into_iter().rev().map(|n| (n, None)).collect();
        while let Some((node, parent)) = open.pop() {
            let visited = &mut self.visited[node.index()];
            if std::mem::replace(visited, true) {
                return Err(ModelError::NotATree(node.index()));
            }
            let thing = self.thing(&node, parent.as_ref());
            let path = thing.path.clone();
            self.things.push(NodeThing { node: node.index(), thing });
            let mut children: Vec<_> = node.children().map(|child| (child, Some(path.clone()))).collect();
            children.reverse();
            open.extend(children);
        }
        Ok(Outline { things: self.things, problems: self.problems })
    }

    fn thing(&mut self, node: &gltf::Node<'_>, parent: Option<&ThingPath>) -> Thing {
        let extras = self.extras(node);
        let named = node.name().filter(|_| extras.is_some()).and_then(|name| name.parse::<ThingPath>().ok());
        let path = match named {
            Some(path) => path,
            None => below(parent, node),
        };
        let ThingExtras { level, class, mut bind } = extras.unwrap_or_default();
        if bind.len() > limits::BINDINGS_PER_THING {
            self.problem(format!("{path}: {} bindings, only {} kept", bind.len(), limits::BINDINGS_PER_THING));
            bind.truncate(limits::BINDINGS_PER_THING);
        }
        if bind.iter().any(|b| !b.scale.is_finite() || !b.offset.is_finite()) {
            self.problem(format!("{path}: a binding's scale or offset is not a finite number"));
            bind.clear();
        }
        Thing { path: self.unique(path), level, class, bindings: bind }
    }

    fn extras(&mut self, node: &gltf::Node<'_>) -> Option<ThingExtras> {
        let text = node.extras().as_ref()?.get();
        // Extras are anyone's: only an object with a `gemba` member speaks to us.
        let value: serde_json::Value = serde_json::from_str(text).ok()?;
        value.get("gemba")?;
        match serde_json::from_value::<NodeExtras>(value) {
            Ok(extras) => extras.gemba,
            Err(error) => {
                self.problem(format!("node {}: extras.gemba is not understood: {error}", node.index()));
                None
            }
        }
    }

    /// The path itself, or with ` (2)` … behind it when the file names two nodes alike.
    fn unique(&mut self, path: ThingPath) -> ThingPath {
        if self.paths.insert(path.clone()) {
            return path;
        }
        let copies = self.copies.entry(path.clone()).or_insert(1);
        loop {
            *copies += 1;
            let candidate = format!("{path} ({copies})");
            let candidate = candidate.parse().unwrap_or_else(|_| fallback(*copies));
            if self.paths.insert(candidate) {
                break;
            }
        }
        let last = self.copies[&path];
        format!("{path} ({last})").parse().unwrap_or_else(|_| fallback(last))
    }

    fn problem(&mut self, text: String) {
        if self.problems.len() < PROBLEMS {
            self.problems.push(text);
        }
    }
}

/// The node's own name below its parent's path; what a path cannot hold is replaced.
fn below(parent: Option<&ThingPath>, node: &gltf::Node<'_>) -> ThingPath {
    let raw = node.name().unwrap_or_default();
    let clean: String =
        raw.chars().take(200).map(|c| if c == '/' || c.is_control() { '_' } else { c }).collect::<String>();
    let name = match clean.trim() {
        "" => format!("Node{}", node.index()),
        name => name.to_owned(),
    };
    let path = match parent {
        Some(parent) => parent.child(&name),
        None => name.parse(),
    };
    path.unwrap_or_else(|_| fallback(node.index()))
}

/// A path that is always valid, for nodes whose own would be too deep or too long.
fn fallback(number: usize) -> ThingPath {
    format!("Node{number}").parse().expect("letters and digits are a plant path")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::binding::Target;
    use proptest::prelude::*;

    fn outline_of(nodes: &str) -> Result<Outline, ModelError> {
        let json = format!(r#"{{"asset":{{"version":"2.0"}},"scene":0,"scenes":[{{"nodes":[0]}}],"nodes":[{nodes}]}}"#);
        outline(json.as_bytes())
    }

    fn paths(outline: &Outline) -> Vec<&str> {
        outline.things.iter().map(|t| t.thing.path.as_str()).collect()
    }

    #[test]
    fn a_node_with_our_extras_is_named_by_its_full_path_and_binds_its_tags() {
        let outline = outline_of(
            r#"{"name":"Hall1/Line1","extras":{"gemba":{"level":"line"}},"children":[1]},
               {"name":"Hall1/Line1/Tank1","extras":{"gemba":{"class":"tank",
                 "bind":[{"tag":"Hall1/Line1/Tank1/Level","to":"scale_y","scale":0.01}]}}}"#,
        )
        .unwrap();
        assert_eq!(paths(&outline), ["Hall1/Line1", "Hall1/Line1/Tank1"]);
        let binding = &outline.things[1].thing.bindings[0];
        assert_eq!((binding.target, binding.scale, binding.offset), (Target::ScaleY, 0.01, 0.0));
    }

    #[test]
    fn foreign_names_become_paths_below_their_parent_and_stay_unique() {
        let outline =
            outline_of(r#"{"name":"/WD1","children":[1,2,3]},{"name":"pipe"},{"name":"pipe"},{"extras":{"Tag":"x"}}"#)
                .unwrap();
        assert_eq!(paths(&outline), ["_WD1", "_WD1/pipe", "_WD1/pipe (2)", "_WD1/Node3"]);
    }

    #[test]
    fn a_node_that_is_its_own_ancestor_is_refused() {
        let looped = outline_of(r#"{"children":[1]},{"children":[0]}"#);
        assert!(matches!(looped, Err(ModelError::NotATree(0))), "{looped:?}");
    }

    #[test]
    fn extras_that_are_not_understood_are_reported_and_the_node_kept() {
        let outline = outline_of(r#"{"name":"a","extras":{"gemba":{"clas":"tank"}}}"#).unwrap();
        assert_eq!(paths(&outline), ["a"]);
        assert!(outline.problems[0].contains("clas"), "{:?}", outline.problems);
    }

    #[test]
    fn an_accessor_outside_its_buffer_is_refused() {
        let json = r#"{"asset":{"version":"2.0"},"buffers":[{"byteLength":12,"uri":"x.bin"}],
            "bufferViews":[{"buffer":0,"byteLength":12}],
            "accessors":[{"bufferView":0,"componentType":5126,"count":4000000000,"type":"VEC3"}]}"#;
        assert!(matches!(outline(json.as_bytes()), Err(ModelError::Invalid(_))));
    }

    #[test]
    fn a_mesh_without_the_positions_it_names_is_refused() {
        let json = r#"{"asset":{"version":"2.0"},"meshes":[{"primitives":[{"attributes":{"POSITION":0}}]}]}"#;
        assert!(matches!(outline(json.as_bytes()), Err(ModelError::Invalid(why)) if why.contains("accessor 0")));
    }

    #[test]
    fn a_binary_file_that_says_to_be_shorter_than_its_header_is_refused() {
        assert!(matches!(outline(b"glTF\x02\0\0\0\x0b\0\0\0"), Err(ModelError::Invalid(_))));
    }

    proptest! {
        #[test]
        fn no_bytes_make_the_reader_panic(bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
            let _ = outline(&bytes);
        }

        #[test]
        fn no_damage_to_a_valid_file_makes_the_reader_panic(at in 0usize..300, with: u8) {
            let mut bytes = br#"{"asset":{"version":"2.0"},"scene":0,"scenes":[{"nodes":[0]}],"nodes":[{"name":"a",
                "extras":{"gemba":{"bind":[{"tag":"a/b","to":"lamp"}]}},"children":[1]},{"mesh":0}],
                "meshes":[{"primitives":[{"attributes":{"POSITION":0}}]}],"buffers":[{"byteLength":36,"uri":"x"}],
                "bufferViews":[{"buffer":0,"byteLength":36}],
                "accessors":[{"bufferView":0,"componentType":5126,"count":3,"type":"VEC3","min":[0,0,0],"max":[1,1,1]}]}"#
                .to_vec();
            let at = at % bytes.len();
            bytes[at] = with;
            let _ = outline(&bytes);
        }
    }
}
