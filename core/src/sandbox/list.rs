//! Looking at what the sandbox did, and waiting for it.

use std::time::Duration;

use time::OffsetDateTime;
use uuid::Uuid;

use super::SandboxMessage;
use crate::{
    cx::Cx,
    error::Result,
    id::{Delivery, Id, Message},
    page::{Keyset, Page, PageRequest, fetch_page},
    scope::Scope,
    wake::Wake,
};

/// How often a waiting caller looks without being woken.
const LOOK: Duration = Duration::from_millis(250);

/// Which entries are wanted.
#[derive(Debug, Clone, Default)]
pub struct SandboxFilter {
    /// Exactly this recipient.
    pub recipient: Option<String>,
    /// Subject contains this, ignoring case.
    pub subject: Option<String>,
    /// `delivered`, `deferred` or `failed`.
    pub outcome: Option<String>,
    /// Of this message.
    pub message: Option<Id<Message>>,
}

struct Row {
    delivery_id: Uuid,
    attempt: i16,
    recipient: String,
    subject: String,
    outcome: String,
    smtp_code: i16,
    reply: String,
    mail_id: Option<Uuid>,
    at: OffsetDateTime,
}

impl From<Row> for SandboxMessage {
    fn from(row: Row) -> Self {
        let delivery = Id::<Delivery>::from(row.delivery_id);
        Self {
            delivery_id: delivery,
            message_id: delivery.message(),
            attempt: row.attempt,
            recipient: row.recipient,
            subject: row.subject,
            outcome: row.outcome,
            smtp_code: row.smtp_code,
            reply: row.reply,
            mail_id: row.mail_id.map(Id::from),
            at: row.at,
        }
    }
}

/// What the sandbox did with the account's messages, newest first.
///
/// # Errors
/// `Forbidden`, `InvalidInput`.
pub async fn list(
    cx: &Cx,
    filter: &SandboxFilter,
    request: &PageRequest,
) -> Result<Page<SandboxMessage>> {
    cx.require(Scope::MessagesRead)?;
    let keyset = Keyset::new(cx, "sandbox_messages", request)?;
    let subject = filter.subject.as_ref().map(|text| {
        let text = text.replace('\\', "\\\\").replace('%', "\\%").replace('_', "\\_");
        format!("%{text}%")
    });
    let bounds = filter.message.map(|message| message.deliveries().into_inner());
    let mut conn = cx.platform().acquire().await?;
    let rows = fetch_page!(
        &mut *conn,
        keyset,
        Row,
        "SELECT delivery_id, attempt, recipient, subject, outcome, smtp_code, reply, mail_id, at
         FROM sandbox_messages AS s
         WHERE account_id = $3
           AND NOT EXISTS (SELECT 1 FROM sandbox_messages AS later
             WHERE later.account_id = s.account_id AND later.delivery_id = s.delivery_id
               AND later.attempt > s.attempt)
           AND ($4::text IS NULL OR recipient = $4)
           AND ($5::text IS NULL OR subject ILIKE $5)
           AND ($6::text IS NULL OR outcome = $6)
           AND ($7::uuid IS NULL OR delivery_id BETWEEN $7 AND $8)",
        "delivery_id",
        cx.account().uuid(),
        filter.recipient,
        subject,
        filter.outcome,
        bounds.map(|(first, _)| first) as Option<Uuid>,
        bounds.map(|(_, last)| last) as Option<Uuid>,
    );
    Ok(keyset.page(cx, rows, |row| row.delivery_id).map(SandboxMessage::from))
}

/// Waits until there is an entry that fits, up to `timeout`, and gives the newest.
///
/// # Errors
/// `Forbidden`.
pub async fn wait(
    cx: &Cx,
    filter: &SandboxFilter,
    timeout: Duration,
) -> Result<Option<SandboxMessage>> {
    let deadline = tokio::time::Instant::now() + timeout;
    let mut changes = cx.platform().wake().subscribe();
    let newest = PageRequest { limit: Some(1), cursor: None };
    loop {
        if let Some(found) = list(cx, filter, &newest).await?.data.into_iter().next() {
            return Ok(Some(found));
        }
        let now = tokio::time::Instant::now();
        if now >= deadline {
            return Ok(None);
        }
        let pause = LOOK.min(deadline - now);
        // Woken or not: look again.
        drop(tokio::time::timeout(pause, Wake::changed(&mut changes, cx.account())).await);
    }
}

/// Forgets what the sandbox did with the account's messages; the stored mail stays.
///
/// # Errors
/// `Forbidden`.
pub async fn clear(cx: &Cx) -> Result<u64> {
    cx.require(Scope::MessagesWrite)?;
    let mut tx = cx.begin("sandbox.clear").await?;
    let done =
        sqlx::query!("DELETE FROM sandbox_messages WHERE account_id = $1", cx.account().uuid())
            .execute(tx.conn())
            .await?;
    tx.commit().await?;
    Ok(done.rows_affected())
}
