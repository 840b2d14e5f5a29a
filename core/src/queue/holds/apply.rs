//! What rules do: to new deliveries in the transaction that takes them, and to those that wait when
//! a rule is made, by wishes, some thousand at a time.

use std::{sync::Arc, time::Duration};

use time::OffsetDateTime;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::{Hold, store};
use crate::{
    cx::Tx,
    error::Result,
    messages::writer::Prepared,
    platform::Platform,
    queue::wishes::{self, Selection, Wish},
};

/// Looks by itself that often: a NOTIFY may be lost.
const EVERY: Duration = Duration::from_secs(2);

/// Begins a transaction that takes messages, while no rule is made.
pub(crate) async fn begin(platform: &Platform) -> Result<Tx> {
    platform.begin_with("messages.write", store::begin()).await
}

/// Lets no rule be made until the end of a transaction that has begun otherwise.
pub(crate) async fn enter(tx: &mut Tx) -> Result<()> {
    store::lock_shared(tx.conn()).await
}

/// Notes for each new delivery whether a rule holds it, and why.
pub(crate) async fn mark(
    tx: &mut Tx,
    mut batch: Vec<&mut Prepared>,
    now: OffsetDateTime,
) -> Result<()> {
    let accounts: Vec<Uuid> = batch.iter().map(|one| one.message.account.uuid()).collect();
    let rules = store::in_force(tx.conn(), &accounts, now).await?;
    for prepared in &mut batch {
        let message = Arc::clone(&prepared.message);
        for entry in &mut prepared.entries {
            let rule = rules.iter().find(|rule| {
                rule.account_id.is_none_or(|account| account == entry.account)
                    && rule.matches.holds(&message.mail_from, &entry.recipient)
            });
            entry.held = rule.map(|rule| reason(rule).into());
        }
    }
    Ok(())
}

/// What the event says.
fn reason(rule: &Hold) -> String {
    let end = if rule.reason.is_empty() { String::new() } else { format!(": {}", rule.reason) };
    format!("held by rule {}{end}", rule.id)
}

/// Applies new rules to what waits, until shutdown.
pub(crate) async fn run(platform: Platform, shutdown: CancellationToken) {
    while !shutdown.is_cancelled() {
        if let Err(error) = apply_new(&platform, &shutdown).await {
            tracing::warn!(error = ?error, "a rule waits to be applied to what waits");
        }
        tokio::select! {
            () = platform.queue().holds.kicked(EVERY) => {}
            () = shutdown.cancelled() => {}
        }
    }
}

async fn apply_new(platform: &Platform, shutdown: &CancellationToken) -> Result<()> {
    let claim = async || {
        let mut conn = platform.acquire().await?;
        store::claim(&mut conn).await
    };
    while let Some(hold) = claim().await? {
        let selection = Selection {
            account: hold.account_id,
            sender: hold.matches.sender.clone(),
            recipient: hold.matches.recipient.clone(),
            sender_domain: hold.matches.sender_domain.clone(),
            recipient_domain: hold.matches.recipient_domain.clone(),
            ..Selection::default()
        };
        let reason = reason(&hold);
        let wish = Wish::new("hold", &reason);
        let mut after = wishes::START;
        loop {
            if shutdown.is_cancelled() {
                return Ok(());
            }
            let mut tx = platform.begin("queue.apply_hold").await?;
            let step = wishes::step(tx.conn(), &selection, &wish, after, false).await?;
            store::renew(tx.conn(), hold.id).await?;
            if step.is_some() {
                wishes::tell(tx.conn()).await?;
            } else {
                store::applied(tx.conn(), hold.id, platform.now()).await?;
            }
            tx.commit().await?;
            platform.queue().wishes.kick();
            match step {
                Some(step) => after = step.last,
                None => break,
            }
        }
    }
    Ok(())
}
