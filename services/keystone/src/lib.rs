//! Keystone: our own log-ins (password, trust, a caller's token), requests to the services of the
//! catalog, validation of the tokens that others send us, trusts.
//!
//! What it promises: no token, password or body is ever logged or kept longer than a session; a
//! token that Keystone revoked is refused at most 60 seconds later; without Keystone nobody is let in.
//!
//! | file | |
//! |---|---|
//! | `settings` | where Keystone is and who we are |
//! | `session` | one identity: logs in, renews its token, sends requests; `login`, `exchange`, `catalog`, `token` are its parts |
//! | `request` | one request and its answer |
//! | `retry` | sends again what is safe to send again |
//! | `validator`, `middleware` | tokens of incoming requests |
//! | `trusts` | make, look up and delete trusts |

mod catalog;
mod error;
mod exchange;
mod from_config;
mod login;
mod middleware;
mod request;
mod retry;
mod session;
mod settings;
mod token;
mod trusts;
mod validator;

pub use error::{KeystoneError, KeystoneErrorKind};
pub use middleware::{Caller, Refusal, authenticate};
pub use request::{Answer, Method, Request, Service};
pub use retry::RetryPolicy;
pub use session::{Keystone, Session};
pub use settings::{Interface, KeystoneSettings};
pub use token::TokenInfo;
pub use trusts::{NewTrust, Trust, trust_create, trust_delete, trust_fetch};
pub use validator::{LONGEST_TOKEN_AGE, TokenValidator};
