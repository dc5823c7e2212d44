use lapin::options::{BasicPublishOptions, ExchangeDeclareOptions};
use lapin::tcp::OwnedTLSConfig;
use lapin::types::FieldTable;
use lapin::{BasicProperties, Channel, Connection, ConnectionProperties, ExchangeKind};
use services_foundation::error_chain::ErrorChain;

use super::{BusError, BusSettings};

pub(super) fn lost(doing: &'static str) -> impl FnOnce(lapin::Error) -> BusError {
    move |source| BusError::Lost {
        doing,
        source: Some(source),
    }
}

/// A connection to the first broker of the URL that answers, with our exchanges declared. `name` is
/// what operators see in RabbitMQ's list of connections.
pub(super) async fn connect(
    settings: &BusSettings,
    name: &str,
) -> Result<(Connection, Channel), BusError> {
    let mut error = None;
    for (address, uri) in settings.url.uris() {
        let properties = ConnectionProperties::default().with_connection_name(name.into());
        let tls = OwnedTLSConfig {
            identity: None,
            cert_chain: ca_certificates(settings)?,
        };
        let runtime = lapin::runtime::default_runtime().map_err(BusError::NotConnected)?;
        match Connection::connect_uri_with_config(uri, properties, tls, runtime).await {
            Ok(connection) => {
                let channel = declare(&connection, settings).await?;
                tracing::info!(broker = address, "connected to the message bus");
                return Ok((connection, channel));
            }
            Err(broken) => {
                tracing::debug!(broker = address, "no connection: {}", ErrorChain(&broken));
                error = Some(broken);
            }
        }
    }
    Err(match error {
        Some(error) => BusError::NotConnected(error),
        None => BusError::Lost {
            doing: "reading the list of brokers",
            source: None,
        },
    })
}

fn ca_certificates(settings: &BusSettings) -> Result<Option<String>, BusError> {
    let read = |path: &str| {
        std::fs::read_to_string(path).map_err(|source| BusError::CaFile {
            path: path.to_owned(),
            source,
        })
    };
    settings.url.ca_file().map(read).transpose()
}

async fn declare(connection: &Connection, settings: &BusSettings) -> Result<Channel, BusError> {
    let channel = connection
        .create_channel()
        .await
        .map_err(lost("opening a channel"))?;
    for (name, kind) in [
        (settings.exchange.clone(), ExchangeKind::Topic),
        (settings.heartbeat_exchange(), ExchangeKind::Fanout),
    ] {
        let options = ExchangeDeclareOptions {
            durable: true,
            ..Default::default()
        };
        channel
            .exchange_declare(name.into(), kind, options, FieldTable::default())
            .await
            .map_err(lost("declaring an exchange"))?;
    }
    Ok(channel)
}

/// Sends without waiting for the broker's word: who misses an answer or a heartbeat asks again.
pub(super) async fn send(
    channel: &Channel,
    exchange: &str,
    routing_key: &str,
    bytes: &[u8],
) -> Result<(), BusError> {
    channel
        .basic_publish(
            exchange.into(),
            routing_key.into(),
            BasicPublishOptions::default(),
            bytes,
            json_properties(),
        )
        .await
        .map_err(lost("sending"))?;
    Ok(())
}

pub(super) fn json_properties() -> BasicProperties {
    BasicProperties::default()
        .with_content_type("application/json".into())
        .with_content_encoding("utf-8".into())
        .with_delivery_mode(2)
}
