//! Making attempts: workers of lanes take what is due and hand it to the transport.

use std::{collections::HashMap, sync::Arc, time::Duration};

use futures_util::future::join_all;
use posthouse_mail::dsn::DsnKind;
use time::OffsetDateTime;
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use super::{
    Entry,
    complete::{Completed, Result as Verdict},
    destination::{Destination, Unroutable},
    local, millis,
    scheduler::{
        LaneKey, Work, Worker,
        pace::{Contact, Pace},
    },
    store::{self, Message},
    ways,
};
use crate::{
    blobs::Body,
    bounces,
    error::Error,
    id::{Id, Message as MessageKind},
    messages::Purpose,
    platform::Platform,
    ports::transport::{Job, Outcome, Peer, Recipient, Reply, Report},
    sandbox, suppressions,
};

/// Looks at the schedule at least this often; a kick makes it look at once.
const TICK: Duration = Duration::from_millis(100);

/// How often the gauges are set.
const MEASURE: Duration = Duration::from_secs(1);

/// Starts workers for lanes until shutdown.
pub(crate) async fn run(platform: Platform, shutdown: CancellationToken, tracker: TaskTracker) {
    let config = platform.config();
    let scheduler = &platform.queue().scheduler;
    scheduler.configure(
        (config.delivery_connections, config.probing_connections),
        config.connections_per_destination,
        config.delivery.smart_host.is_some(),
    );
    let mut measured = tokio::time::Instant::now();
    while !shutdown.is_cancelled() {
        scheduler.advance(millis(platform.now()));
        if measured.elapsed() > MEASURE {
            measure(&platform);
            measured = tokio::time::Instant::now();
        }
        for worker in scheduler.start_workers() {
            tracker.spawn(run_worker(platform.clone(), worker, shutdown.clone()));
        }
        tokio::select! {
            () = scheduler.kicked() => {}
            () = tokio::time::sleep(TICK) => {}
            () = shutdown.cancelled() => {}
        }
    }
}

/// Gauges of the schedule and of the connections to the database.
fn measure(platform: &Platform) {
    let count = |number: usize| f64::from(u32::try_from(number).unwrap_or(u32::MAX));
    let (waiting, ready, working) = platform.queue().scheduler.counts();
    metrics::gauge!("posthouse_queue_recipients", "state" => "waiting").set(count(waiting));
    metrics::gauge!("posthouse_queue_recipients", "state" => "ready").set(count(ready));
    metrics::gauge!("posthouse_queue_recipients", "state" => "in_progress").set(count(working));
    let pool = platform.pool();
    let open = usize::try_from(pool.size()).unwrap_or(0);
    metrics::gauge!("posthouse_pool_connections", "state" => "idle").set(count(pool.num_idle()));
    metrics::gauge!("posthouse_pool_connections", "state" => "open").set(count(open));
}

async fn run_worker(platform: Platform, mut worker: Worker, shutdown: CancellationToken) {
    while !shutdown.is_cancelled() {
        let Some(Work { groups, pace }) =
            platform.queue().scheduler.take(&mut worker, platform.now())
        else {
            return;
        };
        if !platform.queue().shards.is_trusted() {
            put_back(&platform, groups);
            tokio::time::sleep(Duration::from_millis(200)).await;
            continue;
        }
        work(&platform, &worker.lane, groups, &pace).await;
    }
}

/// Without a valid lease nothing is started; the rows are still in the database.
fn put_back(platform: &Platform, groups: Vec<Vec<Entry>>) {
    let scheduler = &platform.queue().scheduler;
    let entries: Vec<Entry> = groups.into_iter().flatten().collect();
    for entry in &entries {
        scheduler.finished(entry.id);
    }
    scheduler.add_loaded(entries);
}

async fn work(platform: &Platform, lane: &LaneKey, mut groups: Vec<Vec<Entry>>, pace: &Pace) {
    if let Err(error) = ask_suppressions(platform, &mut groups).await {
        tracing::warn!(%error, "suppressions could not be read; trying again");
        put_back(platform, groups);
        tokio::time::sleep(Duration::from_secs(1)).await;
        return;
    }
    let contents = match contents(platform, &mut groups).await {
        Ok(contents) => contents,
        Err(error) => {
            tracing::warn!(%error, "messages could not be read; trying again");
            put_back(platform, groups);
            tokio::time::sleep(Duration::from_secs(1)).await;
            return;
        }
    };
    let groups = ways::divert(platform, lane, groups, &contents).await;
    let attempt_at = |group: Vec<Entry>| {
        let message = group.first().and_then(|entry| contents.get(&entry.id.message())).cloned();
        async move {
            let permit = pace.permit().await;
            let mut groups = vec![group];
            if let Err(error) = ask_suppressions(platform, &mut groups).await {
                tracing::warn!(%error, "suppressions could not be read; trying again");
                return put_back(platform, groups);
            }
            let group = groups.pop().unwrap_or_default();
            let done = deliver_group(platform, pace, group, message).await;
            drop(permit);
            for completed in done {
                platform.queue().completions.push(completed).await;
            }
        }
    };
    let attempts = join_all(groups.into_iter().map(attempt_at));
    // What an attempt has read goes when it has ended, not when all have.
    drop(contents);
    attempts.await;
}

/// Asks for what is not known, or may have changed while it waited.
async fn ask_suppressions(
    platform: &Platform,
    groups: &mut [Vec<Entry>],
) -> crate::error::Result<()> {
    let mut unknown: Vec<&mut Entry> = groups.iter_mut().flatten().collect();
    let changes = &platform.queue().suppressions;
    unknown.retain(|entry| {
        entry.suppressed.is_none() || !changes.is_current(entry.account, entry.asked)
    });
    if unknown.is_empty() {
        return Ok(());
    }
    let mut conn = platform.acquire().await?;
    suppressions::store::mark(&mut conn, changes, unknown, platform.now()).await
}

/// Contents of the messages: from memory, or read together.
async fn contents(
    platform: &Platform,
    groups: &mut [Vec<Entry>],
) -> crate::error::Result<HashMap<Id<MessageKind>, Arc<Message>>> {
    let mut contents = HashMap::new();
    let mut wanted = Vec::new();
    for group in groups {
        let mut found = None;
        for entry in group.iter_mut() {
            found = entry.take_content().or(found);
        }
        let Some(first) = group.first() else { continue };
        match found {
            Some(message) => drop(contents.insert(message.id, message)),
            None => wanted.push((first.account, first.id.message())),
        }
    }
    if !wanted.is_empty() {
        for message in store::load_messages(platform, &wanted).await? {
            contents.insert(message.id, message);
        }
    }
    Ok(contents)
}

/// One attempt for recipients of one message.
async fn deliver_group(
    platform: &Platform,
    pace: &Pace,
    group: Vec<Entry>,
    message: Option<Arc<Message>>,
) -> Vec<Completed> {
    let now = platform.now();
    let Some(message) = message else {
        // The row is there but its content cannot be read: an alarm was raised; try again later.
        return put_off(group, None, now, &unreadable());
    };
    // Reports want to look at it, too.
    let opened = platform.blobs().open(&message.body).await;
    let (mut done, mut going) = (Vec::new(), Vec::new());
    for entry in group {
        let verdict = if entry.expires <= millis(now) {
            Some(Verdict::Expired(Reply::local("5.4.7", "the message expired before it was sent")))
        } else if entry.suppressed == Some(true) {
            let text = "the recipient is on the suppression list of the account";
            Some(Verdict::Suppressed(Reply::local("5.7.1", text)))
        } else {
            None
        };
        match verdict {
            Some(verdict) => {
                done.push(Completed::local(entry, Some(Arc::clone(&message)), now, verdict));
            }
            None => going.push(entry),
        }
    }
    let body = match opened {
        Ok(body) => body,
        Err(error) => {
            tracing::warn!(message.id = %message.id, error = ?error, "content could not be opened");
            let full = matches!(error, Error::StorageFull(_));
            let reply = if full { Reply::local("4.3.1", error.to_string()) } else { unreadable() };
            done.extend(put_off(going, Some(&message), now, &reply));
            return done;
        }
    };
    if let Some(reply) = off(platform, &message).await {
        done.extend(put_off(going, Some(&message), now, &reply));
        return done;
    }
    if message.sandbox {
        for entry in going {
            done.push(sandbox::deliver(platform, entry, (Arc::clone(&message), &body)).await);
        }
        pace.note(Contact::Good, platform.now());
    } else {
        let (here, elsewhere): (Vec<_>, Vec<_>) =
            going.into_iter().partition(|entry| entry.at_home);
        if !here.is_empty() {
            done.extend(deliver_here(platform, here, (Arc::clone(&message), &body)).await);
            pace.note(Contact::Good, platform.now());
        }
        done.extend(attempt(platform, pace, elsewhere, (message, body)).await);
    }
    done
}

/// Why nothing of the sender's domain is sent for now (I5, step 1 of 3.3), if so.
async fn off(platform: &Platform, message: &Message) -> Option<Reply> {
    let (_, domain) = message.mail_from.rsplit_once('@')?;
    match platform.directory().domain(platform, domain).await {
        Ok(found) => found
            .filter(|info| info.disabled)
            .map(|_| Reply::local("4.3.0", Error::DomainDisabled(domain.to_owned()).to_string())),
        Err(_) => Some(Reply::local("4.3.0", "the sender's domain cannot be looked up")),
    }
}

fn unreadable() -> Reply {
    Reply::local("4.3.0", "the content of the message cannot be read at the moment")
}

/// No attempt for want of the content.
fn put_off(
    group: Vec<Entry>,
    message: Option<&Arc<Message>>,
    now: OffsetDateTime,
    reply: &Reply,
) -> Vec<Completed> {
    let verdict =
        |entry| Completed::local(entry, message.cloned(), now, Verdict::Deferred(reply.clone()));
    group.into_iter().map(verdict).collect()
}

/// An attempt for recipients who are at home here.
async fn deliver_here(
    platform: &Platform,
    group: Vec<Entry>,
    (message, body): (Arc<Message>, &Body),
) -> Vec<Completed> {
    let mut done = Vec::with_capacity(group.len());
    for entry in group {
        let (started_at, clock) = (platform.now(), std::time::Instant::now());
        let result = local::deliver(platform, &entry, (&message, body)).await;
        let peer = Some(Peer { host: local::HOST.to_owned(), ..Peer::default() });
        let (message, duration) = (Some(Arc::clone(&message)), clock.elapsed());
        let success = Some(DsnKind::Delivered);
        done.push(Completed { entry, message, started_at, duration, peer, result, success });
    }
    done
}

async fn attempt(
    platform: &Platform,
    pace: &Pace,
    group: Vec<Entry>,
    (message, body): (Arc<Message>, Body),
) -> Vec<Completed> {
    let mut done = Vec::with_capacity(group.len());
    for (way, group) in ways::split(platform, &message, group) {
        let going = (Arc::clone(&message), body.clone());
        done.extend(attempt_by(platform, (way, pace), group, going).await);
    }
    done
}

/// An attempt for recipients who all go one way.
async fn attempt_by(
    platform: &Platform,
    (way, pace): (ways::Found, &Pace),
    group: Vec<Entry>,
    (message, body): (Arc<Message>, Body),
) -> Vec<Completed> {
    let started = platform.now();
    let Some(first) = group.first() else {
        return Vec::new();
    };
    let destination = ways::destination(platform, &way, first.domain()).await;
    let Destination { hop, relays } = match (destination, resting(platform, pace, first)) {
        (Ok(destination), None) => destination,
        (Ok(_), Some(reply)) => return put_off(group, Some(&message), started, &reply),
        (Err(unroutable), _) => {
            let verdict = verdict_of(&unroutable);
            let ended = |entry| {
                Completed::local(entry, Some(Arc::clone(&message)), started, verdict.clone())
            };
            return group.into_iter().map(ended).collect();
        }
    };
    let job = Job {
        hop,
        mail_from: bounces::sender(platform, &message, relays).await,
        envelope_id: Some(bounces::envelope_id(platform, &message)),
        ret: message.ret(first.require_tls),
        recipients: group.iter().map(recipient).collect(),
        message: message.content(body),
        attempt: first.attempts,
        require_tls: first.require_tls,
        last_address: first.last_address,
        per_connection: pace.limits().per_connection,
    };
    let way = Arc::clone(&job.hop);
    let report = platform.transport().deliver(job).await;
    pace.note(Contact::of(&report), platform.now());
    let Report { outcomes, peer, duration, sessions } = report;
    // No reports about the delivery of reports (RFC 8460 §7): they would never end.
    if !relays && message.purpose != Purpose::Report {
        let counted = platform.tls_reports().counted();
        counted.note(platform, first.domain(), &way, &sessions);
    }
    group
        .into_iter()
        .zip(outcomes)
        .map(|(entry, outcome)| Completed {
            entry,
            message: Some(Arc::clone(&message)),
            started_at: started,
            duration,
            peer: peer.clone(),
            // RFC 3461 §5.2.2: after that nobody reports a success any more.
            success: match outcome {
                Outcome::Delivered { dsn: false, .. } => Some(DsnKind::Relayed),
                _ => None,
            },
            result: match outcome {
                Outcome::Delivered { reply, .. } if relays => Verdict::Relayed(reply),
                Outcome::Delivered { reply, .. } => Verdict::Delivered(reply),
                Outcome::Deferred(reply) => Verdict::Deferred(reply),
                Outcome::Failed(reply) => Verdict::Failed(reply),
            },
        })
        .collect()
}

/// Why no attempt is made now. What would fail for good without one gets it.
fn resting(platform: &Platform, pace: &Pace, entry: &Entry) -> Option<Reply> {
    let schedule = &platform.config().delivery.retry_schedule;
    let is_last = usize::from(entry.attempts) >= schedule.len();
    pace.suspended(platform.now()).filter(|_| !is_last)
}

fn recipient(entry: &Entry) -> Recipient {
    Recipient { address: Arc::clone(&entry.recipient), dsn: entry.dsn.clone() }
}

fn verdict_of(unroutable: &Unroutable) -> Verdict {
    let mut reply = Reply::local(unroutable.enhanced, unroutable.text.clone());
    reply.code = unroutable.code;
    if unroutable.permanent { Verdict::Failed(reply) } else { Verdict::Deferred(reply) }
}
