//! Walks a server's address space from its Objects folder and reads what each variable is. What it all means is decided
//! in [`super::discovery`].
//!
//! Left out: everything of namespace 0 (the server's account of itself) and what other servers hold.

use std::collections::HashMap;
use std::time::Duration;

use futures::TryStreamExt;
use gemba_twin::limits::PATH_DEPTH;
use opcua::client::browser::BrowseResultItem;
use opcua::client::{DefaultRetryPolicy, ExponentialBackoff, Session};
use opcua::types::{
    AttributeId, BrowseDescription, BrowseDirection, BrowseResultMaskFlags, DataValue, EUInformation, NodeClass,
    NodeClassMask, NodeId, ObjectId, Range, ReadValueId, ReferenceDescription, ReferenceTypeId, TimestampsToReturn,
    Variant,
};

use super::GatewayError;
use super::discovery::FoundVariable;
use crate::limits::{BROWSED_NODES, NODES_PER_REQUEST};

/// Every variable below the Objects folder, in the order a breadth-first walk meets them.
pub(super) async fn variables(session: &Session) -> Result<Vec<FoundVariable>, GatewayError> {
    let mut walk = Walk::new();
    {
        // A request that fails is not repeated here: the gateway begins again as a whole, and says why.
        let once = DefaultRetryPolicy::new(ExponentialBackoff::new(Duration::ZERO, Some(0), Duration::ZERO));
        let browser = session.browser().max_nodes_per_request(NODES_PER_REQUEST).retry_policy(once);
        let browser = browser.handler(what_to_browse_next);
        let steps = browser.run(vec![children_of(ObjectId::ObjectsFolder.into())]);
        futures::pin_mut!(steps);
        while let Some(step) =
            steps.try_next().await.map_err(|e| GatewayError::Lost(format!("browsing failed: {e}")))?
        {
            walk.take(step);
            if walk.visited() > BROWSED_NODES {
                tracing::warn!(nodes = walk.visited(), "the server has more nodes than a gateway browses");
                break;
            }
        }
    }
    read_variables(session, walk).await
}

fn children_of(node_id: NodeId) -> BrowseDescription {
    BrowseDescription {
        node_id,
        browse_direction: BrowseDirection::Forward,
        reference_type_id: ReferenceTypeId::HierarchicalReferences.into(),
        include_subtypes: true,
        node_class_mask: (NodeClassMask::OBJECT | NodeClassMask::VARIABLE).bits(),
        result_mask: (BrowseResultMaskFlags::ReferenceTypeId
            | BrowseResultMaskFlags::NodeClass
            | BrowseResultMaskFlags::BrowseName)
            .bits(),
    }
}

fn what_to_browse_next(step: &BrowseResultItem) -> Vec<BrowseDescription> {
    if step.depth() >= PATH_DEPTH {
        return Vec::new();
    }
    let inner = step.references().iter().filter(|r| is_of_the_plant(r) && !is_property(r));
    inner.map(|r| children_of(r.node_id.node_id.clone())).collect()
}

fn is_of_the_plant(reference: &ReferenceDescription) -> bool {
    reference.node_id.server_index == 0 && reference.node_id.node_id.namespace != 0
}

fn is_property(reference: &ReferenceDescription) -> bool {
    reference.reference_type_id == ReferenceTypeId::HasProperty
}

/// Objects and variables met so far.
struct Walk {
    places: HashMap<NodeId, Vec<String>>,
    variables: Vec<NodeId>,
    units: HashMap<NodeId, NodeId>,
    ranges: HashMap<NodeId, NodeId>,
}

impl Walk {
    fn new() -> Self {
        Self {
            places: HashMap::from([(ObjectId::ObjectsFolder.into(), Vec::new())]),
            variables: Vec::new(),
            units: HashMap::new(),
            ranges: HashMap::new(),
        }
    }

    fn visited(&self) -> usize {
        self.places.len() + self.units.len() + self.ranges.len()
    }

    fn take(&mut self, step: BrowseResultItem) {
        let (parent, references) = step.into_results();
        let Some(parent_names) = self.places.get(&parent).cloned() else { return };
        for reference in references.into_iter().filter(is_of_the_plant) {
            let is_property = is_property(&reference);
            let node = reference.node_id.node_id;
            let name = reference.browse_name.name.as_ref();
            if is_property {
                match name {
                    "EngineeringUnits" => drop(self.units.insert(parent.clone(), node)),
                    "EURange" => drop(self.ranges.insert(parent.clone(), node)),
                    _ => {}
                }
            } else if !self.places.contains_key(&node) {
                let mut names = parent_names.clone();
                names.push(name.to_owned());
                self.places.insert(node.clone(), names);
                if reference.node_class == NodeClass::Variable {
                    self.variables.push(node);
                }
            }
        }
    }
}

const ATTRIBUTES: [AttributeId; 4] =
    [AttributeId::DataType, AttributeId::ValueRank, AttributeId::UserAccessLevel, AttributeId::Value];

async fn read_variables(session: &Session, mut walk: Walk) -> Result<Vec<FoundVariable>, GatewayError> {
    let attribute = |node: &NodeId, id: AttributeId| ReadValueId {
        node_id: node.clone(),
        attribute_id: id as u32,
        ..Default::default()
    };
    let mut asked = Vec::new();
    for node in &walk.variables {
        asked.extend(ATTRIBUTES.map(|id| attribute(node, id)));
        let properties = [walk.units.get(node), walk.ranges.get(node)].into_iter().flatten();
        asked.extend(properties.map(|property| attribute(property, AttributeId::Value)));
    }
    let mut answers = read(session, &asked).await?.into_iter();
    let mut answer = || answers.next().filter(|a| a.status().is_good()).and_then(|a| a.value);
    let mut found = Vec::with_capacity(walk.variables.len());
    for node in walk.variables {
        let (data_type, value_rank, access, value) = (answer(), answer(), answer(), answer());
        let unit = walk.units.contains_key(&node).then(&mut answer).flatten();
        let range = walk.ranges.contains_key(&node).then(&mut answer).flatten();
        found.push(FoundVariable {
            names: walk.places.remove(&node).unwrap_or_default(),
            node,
            data_type: match data_type {
                Some(Variant::NodeId(id)) => *id,
                _ => NodeId::null(),
            },
            value_rank: match value_rank {
                Some(Variant::Int32(rank)) => rank,
                _ => -1,
            },
            // Bit 1 of the access level is CurrentWrite (OPC UA Part 3, 8.57).
            writable: matches!(access, Some(Variant::Byte(bits)) if bits & 0b10 != 0),
            value,
            unit: unit.and_then(|unit| structure(&unit, |eu: &EUInformation| eu.display_name.text.as_ref().to_owned())),
            range: range.and_then(|range| structure(&range, |range: &Range| (range.low, range.high))),
        });
    }
    Ok(found)
}

fn structure<T: Send + Sync + 'static, R>(variant: &Variant, take: impl Fn(&T) -> R) -> Option<R> {
    match variant {
        Variant::ExtensionObject(object) => object.inner_as::<T>().map(take),
        _ => None,
    }
}

async fn read(session: &Session, asked: &[ReadValueId]) -> Result<Vec<DataValue>, GatewayError> {
    let mut answers = Vec::with_capacity(asked.len());
    for chunk in asked.chunks(NODES_PER_REQUEST) {
        let part = session
            .read(chunk, TimestampsToReturn::Neither, 0.0)
            .await
            .map_err(|e| GatewayError::Lost(format!("reading failed: {e}")))?;
        if part.len() != chunk.len() {
            return Err(GatewayError::Lost(format!("the server answered {} of {} reads", part.len(), chunk.len())));
        }
        answers.extend(part);
    }
    Ok(answers)
}
