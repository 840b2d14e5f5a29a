//! SQL of administrators who come from an OpenID provider.

use sqlx::PgConnection;

use super::Administrator;
use crate::{
    error::Result,
    id::{Account, Id},
};

/// None: the account is not an administrator's, or may not log in.
pub(super) async fn find_administrator(
    conn: &mut PgConnection,
    account: Id<Account>,
) -> Result<Option<Administrator>> {
    let row = sqlx::query!(
        r#"SELECT l.requests_per_minute AS "requests_per_minute?"
         FROM accounts AS a LEFT JOIN account_limits AS l USING (account_id)
         WHERE a.account_id = $1 AND a.role = 'admin' AND a.login_disabled IS NULL"#,
        account.uuid()
    )
    .fetch_optional(conn)
    .await?;
    Ok(row.map(|row| Administrator { requests_per_minute: row.requests_per_minute }))
}
