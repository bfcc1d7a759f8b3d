//! What a browse found, as tags: plain functions, no sockets. Names, units and ranges come from outside, so everything
//! is bounded and whatever does not fit is left out and named.

use std::collections::HashSet;

use gemba_twin::limits::TAGS;
use gemba_twin::path::TagPath;
use gemba_twin::sample::ValueKind;
use gemba_twin::tag::{Range, Tag, Unit};
use opcua::types::{NodeId, Variant};

use super::sample::kind_from_data_type;

/// A variable of the server, as browsed and read.
#[derive(Debug, Clone, PartialEq)]
pub struct FoundVariable {
    /// Its node.
    pub node: NodeId,
    /// Browse names from below the Objects folder to the variable itself.
    pub names: Vec<String>,
    /// Type of its values.
    pub data_type: NodeId,
    /// −1 for a scalar, −2 for anything, −3 for a scalar or a list; else a list or matrix (OPC UA Part 3, 5.6.2).
    pub value_rank: i32,
    /// Whether this client may write it.
    pub writable: bool,
    /// Its value when it was read: tells the kind where the data type is abstract.
    pub value: Option<Variant>,
    /// Display name of its `EngineeringUnits`.
    pub unit: Option<String>,
    /// Its `EURange`.
    pub range: Option<(f64, f64)>,
}

/// A tag and the node it stands for.
#[derive(Debug, Clone, PartialEq)]
pub struct BoundTag {
    /// The tag.
    pub tag: Tag,
    /// Its node on the server.
    pub node: NodeId,
    /// Type the server takes a command in.
    pub data_type: NodeId,
}

/// What a server's address space means.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Discovery {
    /// Every variable a sample can hold.
    pub tags: Vec<BoundTag>,
    /// Variables left out, and why, in words for a person.
    pub left_out: Vec<String>,
}

/// The tags of these variables, in their order.
pub fn discovery_from_variables(variables: Vec<FoundVariable>) -> Discovery {
    let mut found = Discovery::default();
    let mut paths = HashSet::new();
    for variable in variables {
        match bound_tag(variable) {
            Err(why) => found.left_out.push(why),
            Ok(bound) if found.tags.len() >= TAGS => {
                found.left_out.push(format!("{}: a site has at most {TAGS} tags", bound.tag.path));
            }
            Ok(bound) if !paths.insert(bound.tag.path.clone()) => {
                found.left_out.push(format!("{}: another variable has the same path", bound.tag.path));
            }
            Ok(bound) => found.tags.push(bound),
        }
    }
    found
}

fn bound_tag(variable: FoundVariable) -> Result<BoundTag, String> {
    let text = variable.names.iter().map(|name| path_part(name)).collect::<Vec<_>>().join("/");
    let path: TagPath = text.parse().map_err(|e| format!("a variable at depth {}: {e}", variable.names.len()))?;
    let is_scalar = matches!(variable.value_rank, -3..=-1) && !matches!(variable.value, Some(Variant::Array(_)));
    if !is_scalar {
        return Err(format!("{path}: lists are not tags"));
    }
    let kind = kind_from_data_type(&variable.data_type)
        .or_else(|| variable.value.as_ref().and_then(super::sample::value_from_variant).map(|v| v.kind()))
        .ok_or_else(|| format!("{path}: its type {} is no number, switch or text", variable.data_type))?;
    let is_quantity = matches!(kind, ValueKind::Int | ValueKind::Float);
    let unit = variable.unit.filter(|_| is_quantity).unwrap_or_default();
    let unit: String = unit.trim().chars().filter(|c| !c.is_control()).collect();
    let range = variable.range.filter(|_| is_quantity).and_then(|(low, high)| Range::new(low, high));
    let tag = Tag { path, kind, unit: Unit::new(&unit), range, writable: variable.writable };
    Ok(BoundTag { tag, node: variable.node, data_type: variable.data_type })
}

/// A browse name as one part of a path: slashes and control characters, which a path cannot hold, become `_`.
fn path_part(name: &str) -> String {
    name.trim().chars().map(|c| if c == '/' || c.is_control() { '_' } else { c }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use gemba_twin::limits::UNIT_BYTES;
    use opcua::types::DataTypeId;

    fn variable(names: &[&str]) -> FoundVariable {
        FoundVariable {
            node: NodeId::new(2, names.join(".")),
            names: names.iter().map(|n| (*n).to_owned()).collect(),
            data_type: DataTypeId::Double.into(),
            value_rank: -1,
            writable: false,
            value: Some(Variant::Double(1.0)),
            unit: Some("°C".into()),
            range: Some((0.0, 80.0)),
        }
    }

    #[test]
    fn a_variable_becomes_a_tag_with_path_unit_and_range() {
        let found = discovery_from_variables(vec![variable(&["Hall1", "Line1", "Tank1", "Temperature"])]);
        let tag = &found.tags[0].tag;
        assert_eq!(tag.path.as_str(), "Hall1/Line1/Tank1/Temperature");
        assert_eq!((tag.kind, tag.unit.symbol(), tag.range), (ValueKind::Float, "°C", Range::new(0.0, 80.0)));
        assert!(!tag.writable && found.left_out.is_empty());
    }

    #[test]
    fn a_name_with_a_slash_or_control_character_cannot_fake_another_path() {
        let found = discovery_from_variables(vec![variable(&["Hall1/Line1", "a\nb"])]);
        assert_eq!(found.tags[0].tag.path.as_str(), "Hall1_Line1/a_b");
    }

    #[test]
    fn what_is_no_path_or_no_scalar_or_there_twice_is_left_out_and_named() {
        let mut list = variable(&["list"]);
        list.value_rank = 1;
        let mut structure = variable(&["structure"]);
        (structure.data_type, structure.value) = (DataTypeId::EUInformation.into(), None);
        let long = "x".repeat(5000);
        let deep = vec!["d"; 200];
        let hostile = vec![
            variable(&[]),
            variable(&["a", " "]),
            variable(&[&long]),
            variable(&deep),
            list,
            structure,
            variable(&["twice"]),
            variable(&["twice"]),
        ];
        let found = discovery_from_variables(hostile);
        assert_eq!(found.tags.len(), 1);
        assert_eq!(found.left_out.len(), 7);
        assert!(found.left_out.iter().all(|why| why.len() < 200));
    }

    #[test]
    fn a_range_that_is_none_is_dropped_and_a_long_unit_cut() {
        for range in [(1.0, 1.0), (2.0, 1.0), (f64::NAN, 1.0), (0.0, f64::INFINITY)] {
            let mut hostile = variable(&["a"]);
            (hostile.range, hostile.unit) = (Some(range), Some("µ\u{7}".repeat(1000)));
            let tag = discovery_from_variables(vec![hostile]).tags.remove(0).tag;
            assert_eq!(tag.range, None);
            assert!(tag.unit.symbol().len() <= UNIT_BYTES && !tag.unit.symbol().contains('\u{7}'));
        }
    }

    #[test]
    fn an_abstract_type_takes_the_kind_of_its_value() {
        let mut any = variable(&["a"]);
        (any.data_type, any.value) = (DataTypeId::Number.into(), Some(Variant::Byte(3)));
        assert_eq!(discovery_from_variables(vec![any]).tags[0].tag.kind, ValueKind::Int);
    }
}
