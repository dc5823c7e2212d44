//! The S3 target against a server in memory, with a proxy between that makes requests fail, and
//! against the real servers of a cloud.

mod conformance;
mod http;
mod proxy;
mod server;
mod site;
