//! A cloud over HTTP for tests: the part of Keystone, Nova, Cinder, Glance and Neutron that the
//! adapter speaks to. It passes the same conformance suite as a real one.
//!
//! What is real about it: tokens end and are revoked, projects do not see each other, things take a
//! few looks to become what was asked for, quotas and conflicts are refused in each service's own
//! words, lists come in pages. A volume is a sparse raw file and a snapshot is a copy of it, so that
//! a datamover reads real bytes: the file of a snapshot is called `VOLUME_FILE.snapshot-ID`, a disk
//! that Nova keeps `server-ID.DEVICE.ROLE`.
//!
//! | file | |
//! |---|---|
//! | `server` | HTTP: one listener, faults, then the service |
//! | `state` | everything the cloud knows, in one lock |
//! | `keystone`, `nova`, `cinder`, `glance`, `neutron`, `groups` | what each answers |
//! | `volume_kinds`, `nova_disks`, `files` | what disks are made of |
//! | `controls` | what a test may do to the cloud behind its back |

mod cinder;
mod controls;
mod files;
mod glance;
mod groups;
mod item;
mod keystone;
mod neutron;
mod nova;
mod nova_disks;
mod server;
mod state;
mod volume_kinds;

pub use controls::{Account, Effect, FakeCloud, Fault};
