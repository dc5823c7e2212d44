//! `rabbit://user:password@broker1:5672,user:password@broker2:5672/vhost?ssl=1`, as oslo.messaging
//! writes it.

use std::fmt;
use std::str::FromStr;

use lapin::uri::{AMQPAuthority, AMQPQueryString, AMQPScheme, AMQPUri, AMQPUserInfo};
use percent_encoding::percent_decode_str;
use secrecy::{ExposeSecret, SecretString};

/// What is wrong with a transport URL; never shows it, since it holds a password.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TransportUrlError {
    /// Another driver's URL, or none.
    #[error("the transport URL does not begin with rabbit://, amqp:// or amqps://")]
    Scheme,
    /// A broker's part cannot be read.
    #[error("broker number {0} of the transport URL is not [user:password@]host[:port]")]
    Broker(usize),
    /// The part after the last slash, or one in the query, is not UTF-8 when decoded.
    #[error("the virtual host of the transport URL is not UTF-8")]
    VirtualHost,
    /// A query parameter that this program does not know: ignoring `ssl_...` would be unsafe.
    #[error("the transport URL has a parameter other than ssl and ssl_ca_file")]
    Parameter,
}

/// The brokers of one RabbitMQ cluster.
#[derive(Clone)]
pub struct TransportUrl {
    brokers: Vec<Broker>,
    virtual_host: String,
    is_tls: bool,
    ca_file: Option<String>,
}

#[derive(Clone)]
struct Broker {
    user: String,
    password: SecretString,
    host: String,
    port: u16,
}

impl TransportUrl {
    /// Addresses for people: `host:port` of each broker.
    pub fn addresses(&self) -> Vec<String> {
        let address = |b: &Broker| format!("{}:{}", b.host, b.port);
        self.brokers.iter().map(address).collect()
    }

    pub(super) fn ca_file(&self) -> Option<&str> {
        self.ca_file.as_deref()
    }

    pub(super) fn uris(&self) -> impl Iterator<Item = (String, AMQPUri)> {
        self.brokers
            .iter()
            .map(|b| (format!("{}:{}", b.host, b.port), self.uri(b)))
    }

    fn uri(&self, broker: &Broker) -> AMQPUri {
        AMQPUri {
            scheme: if self.is_tls {
                AMQPScheme::AMQPS
            } else {
                AMQPScheme::AMQP
            },
            authority: AMQPAuthority {
                userinfo: AMQPUserInfo {
                    username: broker.user.clone(),
                    password: broker.password.expose_secret().to_owned(),
                },
                host: broker.host.clone(),
                port: broker.port,
            },
            vhost: self.virtual_host.clone(),
            query: AMQPQueryString {
                heartbeat: Some(10),
                connection_timeout: Some(10_000),
                ..AMQPQueryString::default()
            },
        }
    }
}

impl fmt::Debug for TransportUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "rabbit://***@{}/{}",
            self.addresses().join(","),
            self.virtual_host
        )
    }
}

impl FromStr for TransportUrl {
    type Err = TransportUrlError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (scheme, rest) = text.split_once("://").ok_or(TransportUrlError::Scheme)?;
        if !matches!(scheme, "rabbit" | "amqp" | "amqps" | "kombu+rabbit") {
            return Err(TransportUrlError::Scheme);
        }
        let (rest, query) = rest.split_once('?').unwrap_or((rest, ""));
        let (brokers, virtual_host) = rest.split_once('/').unwrap_or((rest, ""));
        let mut is_tls = scheme == "amqps";
        let mut ca_file = None;
        for parameter in query.split('&').filter(|p| !p.is_empty()) {
            match parameter.split_once('=') {
                Some(("ssl", "1" | "true" | "True")) => is_tls = true,
                Some(("ssl", "0" | "false" | "False")) => is_tls = scheme == "amqps",
                Some(("ssl_ca_file", path)) => ca_file = Some(decoded(path)?),
                _ => return Err(TransportUrlError::Parameter),
            }
        }
        let parse = |(i, text)| Broker::parse(text, is_tls).ok_or(TransportUrlError::Broker(i + 1));
        let brokers = brokers
            .split(',')
            .enumerate()
            .map(parse)
            .collect::<Result<_, _>>()?;
        let virtual_host = match decoded(virtual_host)? {
            empty if empty.is_empty() => "/".to_owned(),
            other => other,
        };
        Ok(Self {
            brokers,
            virtual_host,
            is_tls,
            ca_file,
        })
    }
}

impl Broker {
    fn parse(text: &str, is_tls: bool) -> Option<Self> {
        let (login, address) = text.rsplit_once('@').unwrap_or(("guest:guest", text));
        let (user, password) = login.split_once(':').unwrap_or((login, ""));
        let (host, port) = split_address(address)?;
        let port = match port {
            Some(port) => port.parse().ok()?,
            None if is_tls => 5671,
            None => 5672,
        };
        Some(Self {
            user: decoded(user).ok()?,
            password: SecretString::from(decoded(password).ok()?),
            host: host.to_owned(),
            port,
        })
    }
}

/// `host`, `host:port`, `[v6]` or `[v6]:port`.
fn split_address(text: &str) -> Option<(&str, Option<&str>)> {
    let (host, rest) = match text.strip_prefix('[') {
        Some(rest) => rest.split_once(']')?,
        None => match text.split_once(':') {
            Some((host, port)) => return (!host.is_empty()).then_some((host, Some(port))),
            None => (text, ""),
        },
    };
    let port = match rest {
        "" => None,
        rest => Some(rest.strip_prefix(':')?),
    };
    (!host.is_empty()).then_some((host, port))
}

fn decoded(text: &str) -> Result<String, TransportUrlError> {
    let text = percent_decode_str(text).decode_utf8();
    text.map(String::from)
        .map_err(|_| TransportUrlError::VirtualHost)
}

#[cfg(test)]
mod tests {
    use super::{TransportUrl, TransportUrlError};
    use lapin::uri::AMQPScheme;

    fn parse(text: &str) -> TransportUrl {
        text.parse().unwrap()
    }

    #[test]
    fn each_broker_of_the_list_has_its_own_login() {
        let url = parse("rabbit://u1:p%40%2F1@h1:5673,u2:p2@[::1]:5674,h3/back%2Fstay");
        let uris: Vec<_> = url.uris().map(|(_, uri)| uri).collect();
        let authorities: Vec<_> = uris.iter().map(|uri| &uri.authority).collect();
        assert_eq!(authorities[0].userinfo.password, "p@/1");
        assert_eq!(
            (authorities[1].host.as_str(), authorities[1].port),
            ("::1", 5674)
        );
        assert_eq!(authorities[2].userinfo.username, "guest");
        assert_eq!(
            (authorities[2].host.as_str(), authorities[2].port),
            ("h3", 5672)
        );
        assert!(uris.iter().all(|uri| uri.vhost == "back/stay"));
    }

    #[test]
    fn the_virtual_host_is_a_slash_however_it_is_left_out() {
        for text in [
            "rabbit://a:b@h",
            "rabbit://a:b@h/",
            "rabbit://a:b@h//",
            "rabbit://a:b@h/%2F",
        ] {
            assert_eq!(parse(text).virtual_host, "/", "{text}");
        }
    }

    #[test]
    fn tls_is_asked_for_by_scheme_or_parameter() {
        let of = |text: &str| parse(text).uris().next().unwrap().1;
        assert_eq!(of("amqps://h").scheme, AMQPScheme::AMQPS);
        assert_eq!(of("rabbit://h/?ssl=1").authority.port, 5671);
        assert_eq!(of("rabbit://h/?ssl=0").scheme, AMQPScheme::AMQP);
        assert_eq!(
            parse("rabbit://h/?ssl=1&ssl_ca_file=%2Fca").ca_file(),
            Some("/ca")
        );
    }

    #[test]
    fn the_password_is_never_shown() {
        let url = parse("rabbit://user:secret@h1,user:secret@h2/v");
        assert_eq!(format!("{url:?}"), "rabbit://***@h1:5672,h2:5672/v");
        let error = "rabbit://user:secret@h1:port/v"
            .parse::<TransportUrl>()
            .unwrap_err();
        assert!(!format!("{error} {error:?}").contains("secret"));
    }

    #[test]
    fn what_cannot_be_read_is_refused() {
        for (text, error) in [
            ("", TransportUrlError::Scheme),
            ("kafka://h", TransportUrlError::Scheme),
            ("rabbit://a@h,", TransportUrlError::Broker(2)),
            ("rabbit://a@h:99999", TransportUrlError::Broker(1)),
            ("rabbit://h/%ff", TransportUrlError::VirtualHost),
            ("rabbit://h/?ssl_verify=0", TransportUrlError::Parameter),
        ] {
            assert_eq!(text.parse::<TransportUrl>().unwrap_err(), error, "{text}");
        }
    }
}
