//! Outgoing mail: from the API to other servers, in process but over real sockets and real DNS.

mod dane;
mod departure;
mod dnssec;
mod dsn;
mod failures;
mod first_attempt;
mod here;
mod injection;
mod isolation;
mod lanes;
mod mta_sts;
mod require_tls;
mod retries;
mod routes;
mod scheduling;
pub(crate) mod signatures;
mod tls;
mod tls_table;
mod transports;
