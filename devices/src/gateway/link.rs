//! One connection to a server: a session, the subscriptions on it, and a watch on whether it is still alive. It never
//! mends itself; [`super::run`] makes a new one.

use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use futures::StreamExt;
use gemba_twin::sample::Timestamp;
use opcua::client::transport::TransportPollResult;
use opcua::client::{
    Client, ClientBuilder, IdentityToken, MonitoredItemMap, OnSubscriptionNotificationCore, Session, SessionPollResult,
};
use opcua::core::comms::url::hostname_port_from_url;
use opcua::types::{
    AttributeId, DataChangeFilter, DataChangeNotification, DataChangeTrigger, EndpointDescription, ExtensionObject,
    MessageSecurityMode, MonitoredItemCreateRequest, MonitoringMode, MonitoringParameters, NotificationMessage,
    ReadValueId, StatusCode, TimestampsToReturn, UserTokenType, Variant, WriteValue,
};
use tokio::net::TcpStream;
use tokio::sync::{Notify, watch};
use tokio::task::JoinHandle;
use tokio::time::{Instant, timeout};

use super::discovery::BoundTag;
use super::inbox::Inbox;
use super::sample::sample_from_data_value;
use super::{GatewayConfig, GatewayError};
use crate::limits::{MESSAGE_BYTES, NODES_PER_REQUEST, QUEUED_PER_TAG};

/// The port of a server whose endpoint names none (registered for OPC UA with IANA).
const DEFAULT_PORT: u16 = 4840;

/// Whether the server is there.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Pulse {
    /// It was heard at this instant.
    Heard(Instant),
    /// The connection broke, and why.
    Gone(String),
}

/// The time on the gateway's clock.
pub(super) fn now() -> Timestamp {
    let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Timestamp(i64::try_from(since_epoch.as_micros()).unwrap_or(i64::MAX))
}

/// Samples on their way from the session's task to the gateway's.
#[derive(Clone)]
pub(super) struct Arrivals {
    inbox: Arc<Mutex<Inbox>>,
    arrived: Arc<Notify>,
}

impl Arrivals {
    pub(super) fn new(capacity: usize) -> Self {
        Self { inbox: Arc::new(Mutex::new(Inbox::new(capacity))), arrived: Arc::default() }
    }

    /// Waits until something has come since the last call.
    pub(super) async fn arrived(&self) {
        self.arrived.notified().await;
    }

    pub(super) fn with<R>(&self, act: impl FnOnce(&mut Inbox) -> R) -> R {
        // A poisoned inbox still holds whole samples: each push is complete or has not happened.
        act(&mut self.inbox.lock().unwrap_or_else(|poisoned| poisoned.into_inner()))
    }
}

impl OnSubscriptionNotificationCore for Arrivals {
    fn on_subscription_notification(&mut self, message: NotificationMessage, _: MonitoredItemMap<'_>) {
        let now = now();
        for data in message.notification_data.into_iter().flatten() {
            let Some(changes) = data.into_inner_as::<DataChangeNotification>() else { continue };
            self.with(|inbox| {
                for change in changes.monitored_items.into_iter().flatten() {
                    // Handles count from 1, since 0 asks the session to choose one.
                    if let Some(tag) = (change.client_handle as usize).checked_sub(1) {
                        inbox.push(tag, sample_from_data_value(change.value, now));
                    }
                }
            });
        }
        self.arrived.notify_one();
    }
}

/// A live session.
pub(super) struct Link {
    pub(super) session: Arc<Session>,
    pub(super) pulse: watch::Receiver<Pulse>,
    polling: JoinHandle<()>,
}

impl Drop for Link {
    fn drop(&mut self) {
        self.polling.abort();
    }
}

impl Link {
    /// Connects and opens a session, or says why that cannot be. `pki` is where the OPC UA library keeps certificates;
    /// there are none, but it insists on the folder.
    pub(super) async fn connect(config: &GatewayConfig, pki: &Path) -> Result<Link, GatewayError> {
        let unreachable = |why: String| GatewayError::Unreachable { endpoint: config.endpoint.clone(), why };
        answers_on_tcp(config).await.map_err(unreachable)?;
        let client = client(config, pki).map_err(unreachable)?;
        let asked = client.get_server_endpoints_from_url(config.endpoint.as_str());
        let endpoints = timeout(config.answer_timeout, asked)
            .await
            .map_err(|_| unreachable("it accepts connections but does not speak OPC UA in time".into()))?
            .map_err(|e| unreachable(e.to_string()))?;
        let endpoint = open_endpoint(endpoints, &config.endpoint).map_err(unreachable)?;
        let (session, events) = client
            .session_builder()
            .connect_to_endpoint_directly(endpoint)
            .and_then(|b| b.user_identity_token(IdentityToken::Anonymous).build(client.certificate_store().clone()))
            .map_err(|e| unreachable(e.to_string()))?;
        let (beat, pulse) = watch::channel(Pulse::Heard(Instant::now()));
        let polling = tokio::spawn(poll(events.enter(), beat));
        let link = Link { session, pulse, polling };
        match timeout(config.answer_timeout, link.session.wait_for_connection()).await {
            Ok(true) => Ok(link),
            _ => Err(unreachable(match &*link.pulse.borrow() {
                Pulse::Gone(why) => format!("it opens no session: {why}"),
                Pulse::Heard(_) => "it opens no session in time".into(),
            })),
        }
    }

    /// Subscribes to all tags; samples come out of `arrivals`, by the tag's place in `tags`. Tags the server will not
    /// report are returned with its reason. A server may limit the items of a request and of a subscription: what does
    /// not fit is asked for in smaller portions and goes to further subscriptions.
    pub(super) async fn subscribe(
        &self,
        config: &GatewayConfig,
        tags: &[BoundTag],
        arrivals: &Arrivals,
    ) -> Result<Vec<(usize, StatusCode)>, GatewayError> {
        let mut refused = Vec::new();
        let mut waiting: Vec<usize> = (0..tags.len()).rev().collect();
        let mut portion = NODES_PER_REQUEST;
        let mut subscription = self.create_subscription(config, arrivals).await?;
        let mut is_empty = true;
        while !waiting.is_empty() {
            let places = waiting.split_off(waiting.len().saturating_sub(portion));
            let items = places.iter().map(|&place| item(config, place, &tags[place])).collect();
            let created = self.session.create_monitored_items(subscription, TimestampsToReturn::Both, items).await;
            let mut is_full = false;
            match created {
                Ok(created) => {
                    for (place, item) in places.into_iter().zip(created) {
                        match item.result.status_code {
                            status if status.is_good() => is_empty = false,
                            StatusCode::BadTooManyMonitoredItems if !is_empty => {
                                waiting.push(place);
                                is_full = true;
                            }
                            status => refused.push((place, status)),
                        }
                    }
                }
                Err(e) if e.status() == StatusCode::BadTooManyMonitoredItems && !is_empty => {
                    waiting.extend(places);
                    is_full = true;
                }
                Err(e) if is_too_much(e.status()) && places.len() > 1 => {
                    portion = places.len() / 2;
                    waiting.extend(places);
                }
                Err(e) => return Err(GatewayError::Lost(format!("subscribing failed: {e}"))),
            }
            if is_full {
                subscription = self.create_subscription(config, arrivals).await?;
                is_empty = true;
            }
        }
        Ok(refused)
    }

    async fn create_subscription(&self, config: &GatewayConfig, arrivals: &Arrivals) -> Result<u32, GatewayError> {
        let interval = config.publishing_interval.max(Duration::from_millis(1));
        let intervals_in = |span: Duration| (span.as_secs_f64() / interval.as_secs_f64()).ceil().max(1.0) as u32;
        let keep_alive = intervals_in(config.silence_limit / 4);
        let lifetime = intervals_in(Duration::from_secs(60)).max(3 * keep_alive);
        self.session
            .create_subscription(interval, lifetime, keep_alive, 0, 0, true, arrivals.clone())
            .await
            .map_err(|e| GatewayError::Lost(format!("subscribing failed: {e}")))
    }

    /// Writes one value.
    pub(super) async fn write(&self, tag: &BoundTag, value: Variant) -> Result<(), GatewayError> {
        let write = WriteValue::value_attr(tag.node.clone(), value);
        let refused = |status: String| GatewayError::Refused { what: format!("a write to {}", tag.tag.path), status };
        let statuses = self.session.write(&[write]).await.map_err(|e| refused(e.to_string()))?;
        match statuses.first() {
            Some(status) if status.is_good() => Ok(()),
            Some(status) => Err(refused(status.to_string())),
            None => Err(refused("no answer".into())),
        }
    }

    /// Ends the session in good order, unless the server takes too long.
    pub(super) async fn close(self) {
        let _ = timeout(Duration::from_millis(500), self.session.disconnect()).await;
    }
}

fn is_too_much(status: StatusCode) -> bool {
    matches!(status, StatusCode::BadTooManyMonitoredItems | StatusCode::BadTooManyOperations)
}

/// Asks the socket first: its "connection refused" or "no such host" says more than any OPC UA status.
async fn answers_on_tcp(config: &GatewayConfig) -> Result<(), String> {
    let (host, port) = hostname_port_from_url(&config.endpoint, DEFAULT_PORT)
        .map_err(|_| "the address must have the form opc.tcp://host:port".to_owned())?;
    let host = host.trim_start_matches('[').trim_end_matches(']').to_owned();
    match timeout(config.answer_timeout, TcpStream::connect((host, port))).await {
        Ok(Ok(_)) => Ok(()),
        Ok(Err(e)) if e.kind() == std::io::ErrorKind::ConnectionRefused => Err("nothing listens there".into()),
        Ok(Err(e)) => Err(e.to_string()),
        Err(_) => Err("no answer in time".into()),
    }
}

fn client(config: &GatewayConfig, pki: &Path) -> Result<Client, String> {
    ClientBuilder::new()
        .application_name("Gemba gateway")
        .application_uri("urn:gemba:gateway")
        .product_uri("urn:gemba:gateway")
        .session_name("Gemba gateway")
        .pki_dir(pki)
        .create_sample_keypair(false)
        .trust_server_certs(true)
        .session_retry_limit(0)
        .recreate_subscriptions(false)
        .request_timeout(config.answer_timeout)
        .publish_timeout(config.answer_timeout.max(config.silence_limit))
        .min_publish_interval(Duration::from_millis(10))
        .max_message_size(MESSAGE_BYTES)
        .max_chunk_count(0)
        .max_array_length(100_000)
        .client()
        .map_err(|errors| errors.join(", "))
}

/// The endpoint that takes anonymous clients without encryption, at the address this client knows the server by: servers
/// often advertise a name that only they themselves can resolve, or a port that is another one outside their network.
fn open_endpoint(endpoints: Vec<EndpointDescription>, known_as: &str) -> Result<EndpointDescription, String> {
    let takes_anonymous = |e: &EndpointDescription| {
        e.user_identity_tokens.iter().flatten().any(|policy| policy.token_type == UserTokenType::Anonymous)
    };
    let mut endpoint = endpoints
        .into_iter()
        .find(|e| e.security_mode == MessageSecurityMode::None && takes_anonymous(e))
        .ok_or("it has no endpoint for anonymous clients without encryption")?;
    endpoint.endpoint_url = known_as.into();
    Ok(endpoint)
}

/// Drives the session until its connection ends.
async fn poll(events: impl futures::Stream<Item = Result<SessionPollResult, StatusCode>>, beat: watch::Sender<Pulse>) {
    futures::pin_mut!(events);
    let why = loop {
        match events.next().await {
            Some(Ok(SessionPollResult::Transport(TransportPollResult::IncomingMessage))) => {
                beat.send_replace(Pulse::Heard(Instant::now()));
            }
            Some(Ok(SessionPollResult::ConnectionLost(status) | SessionPollResult::ReconnectFailed(status))) => {
                break format!("the connection ended ({status})");
            }
            Some(Ok(_)) => {}
            Some(Err(status)) => break format!("the connection failed ({status})"),
            None => break "the session was closed".into(),
        }
    };
    beat.send_replace(Pulse::Gone(why));
}

fn item(config: &GatewayConfig, place: usize, tag: &BoundTag) -> MonitoredItemCreateRequest {
    MonitoredItemCreateRequest {
        item_to_monitor: ReadValueId {
            node_id: tag.node.clone(),
            attribute_id: AttributeId::Value as u32,
            ..Default::default()
        },
        monitoring_mode: MonitoringMode::Reporting,
        requested_parameters: MonitoringParameters {
            client_handle: u32::try_from(place + 1).unwrap_or(0),
            sampling_interval: config.sampling_interval.as_secs_f64() * 1000.0,
            // Said outright, since servers differ in what they take for granted: a change of the status alone counts.
            filter: ExtensionObject::from_message(DataChangeFilter {
                trigger: DataChangeTrigger::StatusValue,
                deadband_type: 0,
                deadband_value: 0.0,
            }),
            queue_size: QUEUED_PER_TAG,
            discard_oldest: true,
        },
    }
}
