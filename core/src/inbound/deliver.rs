//! Delivering mails that came in as the routes of their accounts say, whichever way they came: in
//! one transaction, all of them or none.

use std::sync::Arc;

use bytes::Bytes;
use posthouse_mail::message::{MAX_HEADER, split_header};
use sqlx::PgConnection;

use super::{forward, refusals::Refused};
use crate::{
    bounces::{self, About},
    cx::Tx,
    error::{Error, Result},
    id::{self, Id},
    inbound_routes::{self, Facts, Keep, Plan, Route},
    mails::{self, NewMail, Origin},
    messages::writer::{self, Prepared},
    platform::Platform,
};

/// A mail for one recipient.
pub(crate) struct Arrival {
    pub mail: NewMail,
    /// What it tells of deliveries of the account.
    pub about: About,
    /// The octets as they came.
    pub data: Bytes,
    /// So many octets of the mail's prefix are for this recipient alone.
    pub own: usize,
    /// Routes to be asked.
    pub routes: Arc<[Route]>,
}

impl Arrival {
    /// With the routes of the mail's account.
    pub(crate) async fn new(
        platform: &Platform,
        mail: NewMail,
        about: About,
        (data, own): (Bytes, usize),
    ) -> Result<Self> {
        let routes = platform.inbound_routes().of(platform, mail.account).await?;
        Ok(Self { mail, about, data, own, routes })
    }

    /// Reverse-path and recipient.
    pub(super) fn envelope(&self) -> (&str, &str) {
        match &self.mail.origin {
            Origin::Received(reception) => (&reception.mail_from, &reception.rcpt_to),
            Origin::SentCopy | Origin::Dsn | Origin::Appended => ("", ""),
        }
    }

    /// All header fields, those in the prefix too.
    pub(super) fn header(&self) -> Vec<u8> {
        let header = split_header(&self.data).map_or(&*self.data, |(header, _)| header);
        [&self.mail.prefix, header.get(..MAX_HEADER).unwrap_or(header)].concat()
    }

    async fn plan(&self, platform: &Platform, conn: &mut PgConnection) -> Result<Plan> {
        if self.routes.is_empty() {
            return Ok(Plan::default());
        }
        let header = self.header();
        let facts = Facts::of(self.envelope(), &self.mail.parsed, &header, &self.routes);
        let protected = self.about.is_report() || is_postmaster(self.envelope().1);
        let mut plan = inbound_routes::decide(&self.routes, &facts.protected(protected));
        plan.settle(conn, self.mail.account).await?;
        if !plan.forwarding.is_empty() && forward::is_loop(platform, self, &plan.forwarding)? {
            plan.skip_forward("mail_loop");
        }
        Ok(plan)
    }

    /// As [`Refused`] names it.
    fn whose(&self) -> (Id<id::Account>, String) {
        (self.mail.account, self.envelope().1.to_owned())
    }
}

/// RFC 5321 §4.5.1: mail for postmaster is always taken.
fn is_postmaster(recipient: &str) -> bool {
    recipient.rsplit_once('@').is_some_and(|(local, _)| local.eq_ignore_ascii_case("postmaster"))
}

/// What is done when the transaction commits.
pub(crate) struct Done {
    /// Where the mails are; none: nowhere.
    pub places: Vec<Option<Id<id::Mail>>>,
    forwards: Vec<Prepared>,
}

impl Done {
    /// Commits, and lets what is sent on go.
    pub(crate) async fn commit(self, tx: Tx, platform: &Platform) -> Result<()> {
        tx.commit().await?;
        writer::schedule(platform, &self.forwards);
        Ok(())
    }
}

/// Delivers mails, which are in the order of their accounts; [`Done::commit`] is to follow.
///
/// # Errors
/// `PolicyRejected` when routes refuse it for all, `QuotaExceeded`, `UnknownRecipient`.
pub(crate) async fn deliver(
    tx: &mut Tx,
    platform: &Platform,
    arrivals: &mut [Arrival],
) -> Result<Done, Refused> {
    let mut plans = Vec::with_capacity(arrivals.len());
    for arrival in &*arrivals {
        plans.push(arrival.plan(platform, tx.conn()).await?);
    }
    require_someone(arrivals, &mut plans)?;
    let forwards = forward::send(tx, platform, arrivals, &mut plans).await?;
    // Deliveries and suppressions are locked before accounts.
    let mut events = Vec::with_capacity(arrivals.len());
    for arrival in &*arrivals {
        events.push(bounces::apply(tx, &arrival.mail, &arrival.about).await?);
    }
    let mut places = Vec::with_capacity(arrivals.len());
    for ((arrival, plan), told) in arrivals.iter_mut().zip(plans).zip(events) {
        let keep = plan.keep();
        arrival.mail.routing = plan.told();
        let place = store(tx, &mut arrival.mail, keep).await;
        places.push(place.map_err(|error| Refused::one(error, arrival.whose()))?);
        for event in told {
            tx.emit(event);
        }
        tx.write_many_events().await?;
    }
    Ok(Done { places, forwards })
}

/// Asks the routes once more about a mail that is stored: it is sent on and told as they say, and
/// stays where it is.
pub(crate) async fn again(tx: &mut Tx, platform: &Platform, arrival: &mut Arrival) -> Result<Done> {
    let mut plan = arrival.plan(platform, tx.conn()).await?;
    plan.stay();
    let mut plans = [plan];
    let forwards = forward::send(tx, platform, std::slice::from_ref(arrival), &mut plans).await?;
    let [plan] = plans;
    arrival.mail.routing = plan.told();
    Ok(Done { places: Vec::new(), forwards })
}

async fn store(tx: &mut Tx, mail: &mut NewMail, keep: Keep) -> Result<Option<Id<id::Mail>>> {
    match keep {
        Keep::Inbox => {}
        Keep::Mailbox(mailbox) => mail.mailbox = Some(mailbox),
        Keep::Nowhere => {
            let event = mails::dropped(mail)?;
            keep_posted(tx, mail, event.id).await?;
            tx.emit(event);
            return Ok(None);
        }
    }
    let delivered = mails::deliver_in(tx, mail).await?;
    if let Some(delivered) = &delivered {
        keep_posted(tx, mail, delivered.event).await?;
    }
    Ok(delivered.map(|delivered| delivered.mail))
}

/// Keeps what `event` makes endpoints get.
pub(crate) async fn keep_posted(tx: &mut Tx, mail: &NewMail, event: Id<id::Event>) -> Result<()> {
    let is_posted =
        mail.routing.as_ref().is_some_and(|routing| !routing.http_post_webhook_ids.is_empty());
    if is_posted {
        super::store::keep(tx.conn(), mail, event).await?;
    }
    Ok(())
}

/// There is one answer for all recipients: the message is refused when that is so for all. If
/// somebody gets it, whoever refuses it gets it too, rather than that it is lost.
fn require_someone(arrivals: &[Arrival], plans: &mut [Plan]) -> Result<(), Refused> {
    if plans.iter().any(|plan| plan.reject.is_none()) {
        plans.iter_mut().for_each(Plan::accept);
        return Ok(());
    }
    let rejections = plans.iter_mut().filter_map(|plan| plan.reject.take());
    let mut text = None;
    let mut whose = Vec::with_capacity(arrivals.len());
    for (arrival, rejection) in arrivals.iter().zip(rejections) {
        let (account, recipient) = arrival.whose();
        whose.push((account, recipient, Some(rejection.route)));
        text.get_or_insert(rejection.text);
    }
    match text {
        Some(text) => Err(Refused { error: Error::PolicyRejected(text), whose }),
        None => Ok(()),
    }
}
