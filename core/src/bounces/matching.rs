//! Which message of the account a mail is about, and what it tells of its deliveries.

use std::collections::HashMap;

use posthouse_mail::{
    address::{Address, suppression_base},
    dsn::OriginalRecipient,
    parse::ParsedMail,
    report::{Action, Complaint, DeliveryReport, Report, ReportedRecipient},
};
use sqlx::PgConnection;

use super::{
    About, Effects, Kind, News,
    store::{self, Sent},
    token::Mark,
};
use crate::{
    error::Result,
    id::{self, Account, Id},
    platform::Platform,
};

/// Message-IDs that are looked for; of many references the last count.
const MAX_IDS: usize = 20;

/// A mail that came in.
#[derive(Clone, Copy)]
pub(crate) struct Mail<'a> {
    pub account: Id<Account>,
    /// Forward-path that led here.
    pub to: &'a Address,
    pub parsed: &'a ParsedMail,
    /// What it reports, if it is a report.
    pub report: Option<&'a Report>,
}

/// What a mail is about. Only reads: [`super::apply`] changes what is to be changed.
pub(crate) async fn find(platform: &Platform, mail: Mail<'_>) -> Result<About> {
    let (addressed, carried) = marks(platform, mail);
    let ids = internet_ids(mail);
    if addressed.is_none() && carried.is_empty() && ids.is_empty() {
        return Ok(About::default());
    }
    let mut conn = platform.acquire().await?;
    let conn = &mut *conn;
    for mark in addressed.into_iter().chain(carried) {
        if let Some(message) = store::by_mark(conn, mail.account, mark).await? {
            return proven(conn, mail, message, addressed == Some(mark)).await;
        }
    }
    let known = match ids.as_slice() {
        [] => Vec::new(),
        ids => store::by_internet_ids(conn, mail.account, ids).await?,
    };
    for (message, _) in known.iter().filter(|_| mail.report.is_some()) {
        let sent = store::deliveries(conn, mail.account, *message).await?;
        let news = news(mail, &sent, false);
        if !news.is_empty() {
            return about(conn, mail, *message, (news, false)).await;
        }
    }
    // The first of the ids that is known says best what it answers.
    let nearest = ids.iter().find_map(|id| known.iter().find(|(_, known)| known == id));
    let message = nearest.map(|(message, _)| *message);
    Ok(About { message, effects: None })
}

/// A mail that has the token of `message`; `addressed`: it came to the address with the token.
async fn proven(
    conn: &mut PgConnection,
    mail: Mail<'_>,
    message: Id<id::Message>,
    addressed: bool,
) -> Result<About> {
    let sent = store::deliveries(conn, mail.account, message).await?;
    let mut news = news(mail, &sent, true);
    if news.is_empty() && addressed {
        // Whose answer it is can only be told when there is one recipient.
        news = only(&sent).map(unrecognized).into_iter().collect();
    }
    about(conn, mail, message, (news, true)).await
}

async fn about(
    conn: &mut PgConnection,
    mail: Mail<'_>,
    message: Id<id::Message>,
    (mut news, proven): (Vec<News>, bool),
) -> Result<About> {
    if news.is_empty() {
        return Ok(About { message: Some(message), effects: None });
    }
    news.sort_by_key(|one| one.delivery);
    let feedback_type = match mail.report {
        Some(Report::Complaint(complaint)) => Some(complaint.feedback_type.clone()),
        _ => None,
    };
    let facts = store::facts(conn, mail.account, message).await?;
    let effects = facts.map(|message| Effects { message, proven, feedback_type, news });
    Ok(About { message: Some(message), effects })
}

/// Tokens: of the address that it came to, and those that the report carries.
fn marks(platform: &Platform, mail: Mail<'_>) -> (Option<Mark>, Vec<Mark>) {
    let key = platform.token_key();
    let addressed = key.open_address(mail.account, mail.to);
    let Some(report) = mail.report else { return (addressed, Vec::new()) };
    let mail_from = match report {
        Report::Complaint(complaint) => complaint.mail_from.as_ref(),
        Report::Delivery(_) => None,
    };
    let paths = mail_from.into_iter().chain(&report.returned().return_path);
    let envelope = report.envelope_id().and_then(|id| key.open(mail.account, id));
    let carried = paths.filter_map(|path| key.open_address(mail.account, path));
    (addressed, envelope.into_iter().chain(carried).collect())
}

/// Message-IDs that it names, the likeliest first.
fn internet_ids(mail: Mail<'_>) -> Vec<&str> {
    let returned = mail.report.and_then(|report| report.returned().message_id.as_deref());
    let envelope = &mail.parsed.envelope;
    let answered = envelope.in_reply_to.iter().chain(envelope.references.iter().rev());
    returned.into_iter().chain(answered.map(String::as_str)).take(MAX_IDS).collect()
}

fn only(sent: &[Sent]) -> Option<&Sent> {
    match sent {
        [one] => Some(one),
        _ => None,
    }
}

/// What a report tells of these deliveries.
fn news(mail: Mail<'_>, sent: &[Sent], proven: bool) -> Vec<News> {
    let recipients = Recipients::of(sent);
    match mail.report {
        Some(Report::Delivery(report)) => delivery_news(report, &recipients, proven),
        Some(Report::Complaint(complaint)) if complaint.is_complaint() => {
            let whose = complaining(complaint, &recipients, proven);
            whose.into_iter().map(|sent| complained(sent, complaint)).collect()
        }
        Some(Report::Complaint(_)) | None => Vec::new(),
    }
}

/// Deliveries by the address of their recipient, in all spellings that mean the same, and by the
/// original recipient that the sender has named.
struct Recipients<'a> {
    sent: &'a [Sent],
    by_base: HashMap<String, &'a Sent>,
    /// Who has none is it himself. None: several have the same.
    by_original: HashMap<String, Option<&'a Sent>>,
}

impl<'a> Recipients<'a> {
    fn of(sent: &'a [Sent]) -> Self {
        let key = |text: &str| Some(base(&Address::parse(text).ok()?));
        let by_base = sent.iter().filter_map(|one| Some((key(&one.recipient)?, one))).collect();
        let mut by_original = HashMap::new();
        for one in sent {
            let original = one.original.as_ref().and_then(OriginalRecipient::address);
            if let Some(original) = key(original.unwrap_or(&one.recipient)) {
                let others = by_original.entry(original);
                others.and_modify(|other| *other = None).or_insert(Some(one));
            }
        }
        Self { sent, by_base, by_original }
    }

    fn find(&self, address: &Address) -> Option<&'a Sent> {
        self.by_base.get(&base(address)).copied()
    }

    /// By what a report calls the original recipient.
    fn find_original(&self, address: &Address) -> Option<&'a Sent> {
        self.by_original.get(&base(address)).copied().flatten()
    }
}

fn base(address: &Address) -> String {
    suppression_base(address, &[])
}

fn delivery_news(report: &DeliveryReport, recipients: &Recipients<'_>, proven: bool) -> Vec<News> {
    let single = report.recipients.len() == 1;
    let whose = |reported: &ReportedRecipient| {
        let original = reported.original.as_ref();
        let given = original.and_then(|address| recipients.find_original(address));
        let mut named = original.into_iter().chain(&reported.last);
        let found = given.or_else(|| named.find_map(|address| recipients.find(address)));
        // Forwarded to somewhere else, or not named: the token says which message it was.
        found.or_else(|| only(recipients.sent).filter(|_| proven && single))
    };
    let told = |reported| Some(told(whose(reported)?, reported));
    report.recipients.iter().filter_map(told).collect()
}

fn told(sent: &Sent, reported: &ReportedRecipient) -> News {
    let kind = match reported.action {
        Action::Failed => Kind::Failed,
        Action::Delayed => Kind::Delayed,
        Action::Delivered => Kind::Delivered,
        Action::Relayed => Kind::Relayed,
        Action::Expanded => Kind::Expanded,
    };
    News {
        code: reported.code,
        status: reported.status.clone(),
        text: reported.diagnostic.clone(),
        remote_mta: reported.remote_mta.clone(),
        ..of(sent, kind)
    }
}

/// Whose complaint it is: of whom it names, else of whom the returned header names if that is one
/// only, else of the one recipient of a message whose token it has.
fn complaining<'a>(
    complaint: &Complaint,
    recipients: &Recipients<'a>,
    proven: bool,
) -> Vec<&'a Sent> {
    let find = |addresses: &[Address]| -> Vec<&'a Sent> {
        let mut found: Vec<_> = addresses.iter().filter_map(|it| recipients.find(it)).collect();
        found.sort_by_key(|one| one.delivery);
        found.dedup_by_key(|one| one.delivery);
        found
    };
    let named = find(&complaint.recipients);
    if !named.is_empty() {
        return named;
    }
    match find(&complaint.returned.recipients).as_slice() {
        [one] => vec![one],
        _ => only(recipients.sent).filter(|_| proven).into_iter().collect(),
    }
}

fn complained(sent: &Sent, complaint: &Complaint) -> News {
    let kind = &complaint.feedback_type;
    let text = match &complaint.user_agent {
        Some(agent) => format!("complaint ({kind}), reported by {agent}"),
        None => format!("complaint ({kind})"),
    };
    News { text, ..of(sent, Kind::Complained) }
}

fn unrecognized(sent: &Sent) -> News {
    let text = "a mail that is no usable report came to the address for reports of this message";
    News { text: text.to_owned(), ..of(sent, Kind::Unrecognized) }
}

fn of(sent: &Sent, kind: Kind) -> News {
    News {
        delivery: sent.delivery,
        recipient: sent.recipient.clone(),
        attempts: sent.attempts,
        kind,
        code: None,
        status: None,
        text: String::new(),
        remote_mta: None,
    }
}
