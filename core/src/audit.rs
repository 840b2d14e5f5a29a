//! The audit log: every administrative change and who made it.

use crate::{
    cx::{Credential, Cx, Tx},
    error::Result,
    id::{Account, Audit, Id},
};

/// Writes an entry in the transaction of the change.
pub(crate) async fn record(
    tx: &mut Tx,
    cx: &Cx,
    action: &str,
    account: Option<Id<Account>>,
    target: &str,
) -> Result<()> {
    let credential = match cx.actor().credential {
        Credential::ApiKey(key) => key.to_string(),
        Credential::Password => "password".to_owned(),
        Credential::System => "system".to_owned(),
    };
    let now = cx.now();
    sqlx::query!(
        "INSERT INTO audit_log (audit_id, at, actor_account_id, credential, account_id, action,
             target, request_id)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8)",
        Id::<Audit>::new(now).uuid(),
        now,
        cx.account().uuid(),
        credential,
        account.map(Id::uuid),
        action,
        target,
        cx.request_id().to_string()
    )
    .execute(tx.conn())
    .await?;
    Ok(())
}
