//! "Delivering" in the sandbox: into the account of the recipient if it is at home here, else into
//! the sender's own.

use std::sync::Arc;

use posthouse_mail::{address::Address, dsn::DsnKind};

use super::{
    faults::{self, Mishap},
    magic::{Magic, magic},
};
use crate::{
    blobs::Body,
    error::{Code, Error, Result},
    id::{self, Account, Id},
    inbound,
    platform::Platform,
    ports::transport::{Peer, Reply},
    queue::{
        Entry,
        complete::{Completed, Result as Verdict},
        local,
        store::Message,
    },
};

/// Name of the server that the sandbox plays.
const HOST: &str = "sandbox";

/// Plays the recipient's server for one recipient.
pub(crate) async fn deliver(
    platform: &Platform,
    entry: Entry,
    (message, body): (Arc<Message>, &Body),
) -> Completed {
    let started_at = platform.now();
    let clock = std::time::Instant::now();
    let result = match play(platform, &entry, (&message, body)).await {
        Ok(result) => result,
        Err(error) => {
            tracing::warn!(delivery.id = %entry.id, error = ?error, "the sandbox could not deliver");
            Verdict::Deferred(reply(451, "4.3.0", &error.to_string()))
        }
    };
    Completed {
        entry,
        message: Some(message),
        started_at,
        duration: clock.elapsed(),
        peer: Some(Peer { host: HOST.to_owned(), ..Peer::default() }),
        result,
        success: Some(DsnKind::Delivered),
    }
}

async fn play(platform: &Platform, entry: &Entry, message: (&Message, &Body)) -> Result<Verdict> {
    let recipient = Address::parse(&entry.recipient).map_err(Error::internal)?;
    let home = home(platform, &recipient).await?;
    let verdict = match suffer(platform, entry).await? {
        Some(reply) if reply.code.is_some_and(|code| code >= 500) => Verdict::Failed(reply),
        Some(reply) => Verdict::Deferred(reply),
        None if home.is_some_and(|home| home.exact) => answer(None).await,
        None => answer(magic(recipient.local())).await,
    };
    if matches!(verdict, Verdict::Suppressed(_)) {
        return Ok(verdict);
    }
    let home = home.map(|home| home.account);
    match store(platform, entry, message, home, &verdict).await {
        Ok(()) => Ok(verdict),
        // A route of the recipient.
        Err(error) if error.code() == Code::PolicyRejected => {
            let verdict = Verdict::Failed(reply(550, "5.7.1", &error.to_string()));
            store(platform, entry, message, home, &verdict).await?;
            Ok(verdict)
        }
        Err(error) => Err(error),
    }
}

/// What a recipient of that name gets.
async fn answer(magic: Option<Magic>) -> Verdict {
    match magic {
        Some(Magic::Suppressed) => {
            let text = "the sandbox plays a recipient on the suppression list";
            Verdict::Suppressed(Reply::local("5.7.1", text))
        }
        Some(Magic::Code(code)) if code >= 500 => {
            Verdict::Failed(reply(code, "5.1.1", "the sandbox refuses this recipient"))
        }
        Some(Magic::Code(code)) if code >= 400 => {
            Verdict::Deferred(reply(code, "4.2.0", "the sandbox asks to try again later"))
        }
        Some(Magic::Slow(wait)) => {
            tokio::time::sleep(wait).await;
            Verdict::Delivered(reply(250, "2.0.0", "delivered by the sandbox, slowly"))
        }
        Some(Magic::Code(_)) | None => {
            Verdict::Delivered(reply(250, "2.0.0", "delivered by the sandbox"))
        }
    }
}

/// Lets happen what the account has asked for; the reply that refuses the recipient, if any.
async fn suffer(platform: &Platform, entry: &Entry) -> Result<Option<Reply>> {
    let mut conn = platform.acquire().await?;
    let attempt = (&*entry.recipient, entry.attempts);
    let mishap = faults::mishap(&mut conn, entry.account, attempt).await?;
    drop(conn);
    let Some(Mishap { delay, refusal }) = mishap else { return Ok(None) };
    tokio::time::sleep(delay).await;
    Ok(refusal)
}

fn reply(code: u16, enhanced: &str, text: &str) -> Reply {
    Reply { code: Some(code), enhanced: Some(enhanced.to_owned()), text: text.to_owned() }
}

#[derive(Clone, Copy)]
struct Home {
    account: Id<Account>,
    /// By its own address, not by a catch-all.
    exact: bool,
}

async fn home(platform: &Platform, recipient: &Address) -> Result<Option<Home>> {
    let directory = platform.directory();
    let Some(domain) = directory.domain(platform, recipient.domain()).await? else {
        return Ok(None);
    };
    let local = domain.rules.canonical(recipient.local());
    if let Some(found) = directory.exact(platform, domain.id, local).await? {
        return Ok(Some(Home { account: found.account, exact: true }));
    }
    let found = directory.resolve(platform, recipient).await?;
    Ok(found.map(|found| Home { account: found.account, exact: false }))
}

/// Notes what was played, and stores the mail when it was delivered.
async fn store(
    platform: &Platform,
    entry: &Entry,
    (message, body): (&Message, &Body),
    home: Option<Id<Account>>,
    verdict: &Verdict,
) -> Result<()> {
    let now = platform.now();
    let (outcome, played) = match verdict {
        Verdict::Delivered(reply) => ("delivered", reply),
        Verdict::Deferred(reply) => ("deferred", reply),
        other => ("failed", other.reply()),
    };
    let (mut arrivals, mut memory) = (Vec::new(), None);
    if outcome == "delivered" {
        let account = home.unwrap_or(message.account);
        let arrived = local::arrival(platform, entry, (message, body), (account, HOST)).await?;
        let (mut arrival, share) = arrived;
        if home.is_none() {
            // The sender sees what somebody elsewhere would get.
            arrival.routes = Arc::default();
        }
        arrivals.push(arrival);
        memory = Some(share);
    }
    let mut tx = platform.begin("sandbox.deliver").await?;
    let done = match inbound::deliver::deliver(&mut tx, platform, &mut arrivals).await {
        Ok(done) => done,
        Err(refused) => return Err(local::refuse(platform, message, &arrivals, refused).await),
    };
    let mut mails = arrivals.iter().zip(&done.places);
    let stored: Option<(Id<Account>, Id<id::Mail>)> =
        mails.find_map(|(one, place)| Some((one.mail.account, (*place)?)));
    sqlx::query!(
        "INSERT INTO sandbox_messages (account_id, delivery_id, attempt, recipient, subject,
             outcome, smtp_code, reply, mail_account_id, mail_id, at)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)
         ON CONFLICT (account_id, delivery_id, attempt) DO NOTHING",
        message.account.uuid(),
        entry.id.uuid(),
        i16::try_from(entry.attempts).unwrap_or(i16::MAX).saturating_add(1),
        &*entry.recipient,
        message.subject,
        outcome,
        i16::try_from(played.code.unwrap_or(0)).unwrap_or(0),
        played.text,
        stored.map(|(account, _)| account.uuid()),
        stored.map(|(_, mail)| mail.uuid()),
        now
    )
    .execute(tx.conn())
    .await?;
    done.commit(tx, platform).await?;
    drop(memory);
    Ok(())
}
