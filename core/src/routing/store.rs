//! SQL of transports and routes.

use sqlx::PgConnection;
use time::OffsetDateTime;
use uuid::Uuid;

use super::{Kind, Route, RouteFilter, Transport};
use crate::{
    error::{Error, Result},
    id::{self, Account, Domain, Id},
    page::{Keyset, fetch_page},
};

struct TransportRow {
    transport_id: Uuid,
    name: String,
    r#type: String,
    host: Option<String>,
    port: Option<i32>,
    tls: Option<String>,
    username: Option<String>,
    password: Option<Vec<u8>>,
    auth_mechanisms: Vec<String>,
    insecure_auth: bool,
    client_certificate: Option<String>,
    client_key: Option<Vec<u8>>,
    ip_version: Option<String>,
    source_addresses: Vec<String>,
    ehlo_name: Option<String>,
    code: Option<i16>,
    reply: Option<String>,
    created_at: OffsetDateTime,
}

impl TryFrom<TransportRow> for Transport {
    type Error = Error;

    fn try_from(row: TransportRow) -> Result<Self> {
        let unknown = |()| Error::internal(format!("unknown type of transport: {}", row.r#type));
        Ok(Self {
            id: row.transport_id.into(),
            kind: row.r#type.parse::<Kind>().map_err(unknown)?,
            name: row.name,
            host: row.host,
            port: row.port,
            tls: row.tls,
            username: row.username,
            password: row.password,
            auth_mechanisms: row.auth_mechanisms,
            insecure_auth: row.insecure_auth,
            client_certificate: row.client_certificate,
            client_key: row.client_key,
            ip_version: row.ip_version,
            source_addresses: row.source_addresses,
            ehlo_name: row.ehlo_name,
            code: row.code,
            reply: row.reply,
            created_at: row.created_at,
        })
    }
}

/// Changes follow one another until the end of the transaction.
pub(super) async fn lock(conn: &mut PgConnection) -> Result<()> {
    sqlx::query!("SELECT version FROM routing FOR UPDATE").fetch_one(conn).await?;
    Ok(())
}

/// Makes all statements of a transaction see the same state.
pub(super) async fn as_of_now(conn: &mut PgConnection) -> Result<()> {
    sqlx::query!("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
        .execute(conn)
        .await?;
    Ok(())
}

/// Goes up with each change.
pub(super) async fn version(conn: &mut PgConnection) -> Result<i64> {
    Ok(sqlx::query_scalar!("SELECT version FROM routing").fetch_one(conn).await?)
}

pub(super) async fn count_transports(conn: &mut PgConnection) -> Result<i64> {
    let count = sqlx::query_scalar!(r#"SELECT count(*) AS "count!" FROM transports"#);
    Ok(count.fetch_one(conn).await?)
}

pub(super) async fn insert_transport(
    conn: &mut PgConnection,
    transport: &Transport,
) -> Result<(), sqlx::Error> {
    sqlx::query!(
        "INSERT INTO transports (transport_id, name, type, host, port, tls, username, password,
             auth_mechanisms, insecure_auth, client_certificate, client_key, ip_version,
             source_addresses, ehlo_name, code, reply, created_at)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18)",
        transport.id.uuid(),
        transport.name,
        transport.kind.as_str(),
        transport.host,
        transport.port,
        transport.tls,
        transport.username,
        transport.password,
        &transport.auth_mechanisms,
        transport.insecure_auth,
        transport.client_certificate,
        transport.client_key,
        transport.ip_version,
        &transport.source_addresses,
        transport.ehlo_name,
        transport.code,
        transport.reply,
        transport.created_at
    )
    .execute(conn)
    .await?;
    Ok(())
}

pub(super) async fn update_transport(
    conn: &mut PgConnection,
    transport: &Transport,
) -> Result<(), sqlx::Error> {
    sqlx::query!(
        "UPDATE transports SET name = $2, host = $3, port = $4, tls = $5, username = $6,
             password = $7, auth_mechanisms = $8, insecure_auth = $9, client_certificate = $10,
             client_key = $11, ip_version = $12, source_addresses = $13, ehlo_name = $14,
             code = $15, reply = $16
         WHERE transport_id = $1",
        transport.id.uuid(),
        transport.name,
        transport.host,
        transport.port,
        transport.tls,
        transport.username,
        transport.password,
        &transport.auth_mechanisms,
        transport.insecure_auth,
        transport.client_certificate,
        transport.client_key,
        transport.ip_version,
        &transport.source_addresses,
        transport.ehlo_name,
        transport.code,
        transport.reply
    )
    .execute(conn)
    .await?;
    Ok(())
}

pub(super) async fn list_transports(
    conn: &mut PgConnection,
    keyset: &Keyset,
) -> Result<Vec<Transport>> {
    let rows = fetch_page!(
        conn,
        keyset,
        TransportRow,
        "SELECT transport_id, name, type, host, port, tls, username, password,
             auth_mechanisms, insecure_auth, client_certificate, client_key, ip_version,
             source_addresses, ehlo_name, code, reply, created_at
         FROM transports WHERE true",
        "transport_id",
    );
    rows.into_iter().map(Transport::try_from).collect()
}

pub(super) async fn all_transports(conn: &mut PgConnection) -> Result<Vec<Transport>> {
    let rows = sqlx::query_as!(
        TransportRow,
        "SELECT transport_id, name, type, host, port, tls, username, password,
             auth_mechanisms, insecure_auth, client_certificate, client_key, ip_version,
             source_addresses, ehlo_name, code, reply, created_at
         FROM transports"
    )
    .fetch_all(conn)
    .await?;
    rows.into_iter().map(Transport::try_from).collect()
}

pub(super) async fn find_transport(
    conn: &mut PgConnection,
    transport: Id<id::Transport>,
) -> Result<Option<Transport>> {
    let row = sqlx::query_as!(
        TransportRow,
        "SELECT transport_id, name, type, host, port, tls, username, password,
             auth_mechanisms, insecure_auth, client_certificate, client_key, ip_version,
             source_addresses, ehlo_name, code, reply, created_at
         FROM transports WHERE transport_id = $1",
        transport.uuid()
    )
    .fetch_optional(conn)
    .await?;
    row.map(Transport::try_from).transpose()
}

pub(super) async fn delete_transport(
    conn: &mut PgConnection,
    transport: Id<id::Transport>,
) -> Result<(), sqlx::Error> {
    sqlx::query!("DELETE FROM transports WHERE transport_id = $1", transport.uuid())
        .execute(conn)
        .await?;
    Ok(())
}

struct RouteRow {
    route_id: Uuid,
    account_id: Option<Uuid>,
    domain_id: Option<Uuid>,
    position: i32,
    from_domains: Vec<String>,
    to_domains: Vec<String>,
    minimum_attempts: i16,
    transport_id: Uuid,
    description: String,
    created_at: OffsetDateTime,
}

impl From<RouteRow> for Route {
    fn from(row: RouteRow) -> Self {
        Self {
            id: row.route_id.into(),
            account_id: row.account_id.map(Id::from),
            domain_id: row.domain_id.map(Id::from),
            position: row.position,
            from_domains: row.from_domains,
            to_domains: row.to_domains,
            minimum_attempts: row.minimum_attempts,
            transport_id: row.transport_id.into(),
            description: row.description,
            created_at: row.created_at,
        }
    }
}

/// How long a list is, and the last place in it.
pub(super) struct ListEnd {
    pub count: i64,
    pub last: i32,
}

pub(super) async fn list_end(
    conn: &mut PgConnection,
    account: Option<Id<Account>>,
    domain: Option<Id<Domain>>,
) -> Result<ListEnd> {
    let end = sqlx::query_as!(
        ListEnd,
        r#"SELECT count(*) AS "count!", coalesce(max(position), 0) AS "last!" FROM routes
         WHERE account_id IS NOT DISTINCT FROM $1 AND domain_id IS NOT DISTINCT FROM $2"#,
        account.map(Id::uuid) as Option<Uuid>,
        domain.map(Id::uuid) as Option<Uuid>
    )
    .fetch_one(conn)
    .await?;
    Ok(end)
}

/// Pointers to, and names of, what a route speaks of and is not there; the rest stays there until
/// the end of the transaction.
pub(super) async fn missing_targets(
    conn: &mut PgConnection,
    route: &Route,
) -> Result<Vec<(&'static str, &'static str)>> {
    let mut missing = Vec::new();
    if find_transport(conn, route.transport_id).await?.is_none() {
        missing.push(("/transport_id", "transport"));
    }
    if let Some(account) = route.account_id {
        let found = sqlx::query!(
            "SELECT account_id FROM accounts WHERE account_id = $1 FOR KEY SHARE",
            account.uuid()
        );
        if found.fetch_optional(&mut *conn).await?.is_none() {
            missing.push(("/account_id", "account"));
        }
    }
    if let Some(domain) = route.domain_id {
        let found = sqlx::query!(
            "SELECT domain_id FROM domains WHERE domain_id = $1 FOR KEY SHARE",
            domain.uuid()
        );
        if found.fetch_optional(conn).await?.is_none() {
            missing.push(("/domain_id", "domain"));
        }
    }
    Ok(missing)
}

pub(super) async fn insert_route(conn: &mut PgConnection, route: &Route) -> Result<()> {
    sqlx::query!(
        "INSERT INTO routes (route_id, account_id, domain_id, position, from_domains, to_domains,
             minimum_attempts, transport_id, description, created_at)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)",
        route.id.uuid(),
        route.account_id.map(Id::uuid) as Option<Uuid>,
        route.domain_id.map(Id::uuid) as Option<Uuid>,
        route.position,
        &route.from_domains,
        &route.to_domains,
        route.minimum_attempts,
        route.transport_id.uuid(),
        route.description,
        route.created_at
    )
    .execute(conn)
    .await?;
    Ok(())
}

pub(super) async fn update_route(conn: &mut PgConnection, route: &Route) -> Result<()> {
    sqlx::query!(
        "UPDATE routes SET position = $2, from_domains = $3, to_domains = $4,
             minimum_attempts = $5, transport_id = $6, description = $7
         WHERE route_id = $1",
        route.id.uuid(),
        route.position,
        &route.from_domains,
        &route.to_domains,
        route.minimum_attempts,
        route.transport_id.uuid(),
        route.description
    )
    .execute(conn)
    .await?;
    Ok(())
}

pub(super) async fn list_routes(
    conn: &mut PgConnection,
    filter: &RouteFilter,
    keyset: &Keyset,
) -> Result<Vec<Route>> {
    let rows = fetch_page!(
        conn,
        keyset,
        RouteRow,
        "SELECT route_id, account_id, domain_id, position, from_domains, to_domains,
             minimum_attempts, transport_id, description, created_at
         FROM routes WHERE ($3::uuid IS NULL OR account_id = $3)
           AND ($4::uuid IS NULL OR domain_id = $4)
           AND ($5::uuid IS NULL OR transport_id = $5)
           AND (NOT $6 OR account_id IS NULL AND domain_id IS NULL)",
        "route_id",
        filter.account_id.map(Id::uuid) as Option<Uuid>,
        filter.domain_id.map(Id::uuid) as Option<Uuid>,
        filter.transport_id.map(Id::uuid) as Option<Uuid>,
        filter.global,
    );
    Ok(rows.into_iter().map(Route::from).collect())
}

pub(super) async fn find_route(
    conn: &mut PgConnection,
    route: Id<id::Route>,
) -> Result<Option<Route>> {
    let row = sqlx::query_as!(
        RouteRow,
        "SELECT route_id, account_id, domain_id, position, from_domains, to_domains,
             minimum_attempts, transport_id, description, created_at
         FROM routes WHERE route_id = $1",
        route.uuid()
    )
    .fetch_optional(conn)
    .await?;
    Ok(row.map(Route::from))
}

/// All routes in the order in which those of a list are asked, with the name of the sender's domain.
pub(super) async fn all_routes(conn: &mut PgConnection) -> Result<Vec<(Route, Option<String>)>> {
    let rows = sqlx::query!(
        r#"SELECT r.route_id, r.account_id, r.domain_id, r.position, r.from_domains, r.to_domains,
             r.minimum_attempts, r.transport_id, r.description, r.created_at,
             d.name AS "domain_name?"
         FROM routes AS r LEFT JOIN domains AS d USING (domain_id)
         ORDER BY r.position, r.route_id"#
    )
    .fetch_all(conn)
    .await?;
    let routes = rows.into_iter().map(|row| {
        let route = RouteRow {
            route_id: row.route_id,
            account_id: row.account_id,
            domain_id: row.domain_id,
            position: row.position,
            from_domains: row.from_domains,
            to_domains: row.to_domains,
            minimum_attempts: row.minimum_attempts,
            transport_id: row.transport_id,
            description: row.description,
            created_at: row.created_at,
        };
        (route.into(), row.domain_name)
    });
    Ok(routes.collect())
}

pub(super) async fn delete_route(conn: &mut PgConnection, route: Id<id::Route>) -> Result<()> {
    sqlx::query!("DELETE FROM routes WHERE route_id = $1", route.uuid()).execute(conn).await?;
    Ok(())
}
