//! The protocols of the charms at the other end of a relation.

pub(crate) mod applications;
pub(crate) mod backups;
pub(crate) mod dashboards;
pub(crate) mod facts;
pub(crate) mod handshake;
pub(crate) mod logging;
pub(crate) mod metrics;
pub(crate) mod observer;
pub(crate) mod password;
pub(crate) mod secret;
pub(crate) mod storage;
pub(crate) mod topology;
