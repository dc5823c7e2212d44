use std::net::IpAddr;

use agent_contract::amqp::{BusSettings, TransportUrl};
use services_foundation::config::{Config, ConfigError};
use services_keystone::KeystoneSettings;

/// All that `/etc/backstay/datamover-api.conf` says.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Where to listen.
    pub listen: IpAddr,
    /// TCP port.
    pub port: u16,
    /// Where the datamovers are heard.
    pub bus: BusSettings,
    /// Our own login, with which tokens are validated.
    pub keystone: KeystoneSettings,
    /// Only callers with this role are let in.
    pub service_role: String,
}

impl Settings {
    /// Reads every key, so that what is left is unknown.
    pub fn from_config(config: &Config) -> Result<Self, ConfigError> {
        let mut bus =
            BusSettings::new(config.require::<TransportUrl>("messaging", "transport_url")?);
        bus.exchange = config.get_or("messaging", "exchange", bus.exchange)?;
        Ok(Self {
            listen: config.get_or("api", "listen", IpAddr::from([127, 0, 0, 1]))?,
            port: config.get_or("api", "port", 8784)?,
            bus,
            keystone: KeystoneSettings::from_config(config)?,
            service_role: config.get_or("keystone", "service_role", "service".to_owned())?,
        })
    }
}
