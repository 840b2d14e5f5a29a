//! Which routes a mail matches, and what they want together. Pure but for [`Plan::settle`].

use posthouse_mail::{
    address::Address,
    header,
    message::{MAX_HEADER_LINES, split_header},
    parse::ParsedMail,
    pattern,
};
use sqlx::PgConnection;

use super::{Action, HeaderMatch, Match, Route, store};
use crate::{
    error::Result,
    events::{RouteRef, Routing, SkippedAction},
    id::{self, Account, Id, InboundRoute, Mailbox},
};

/// What routes ask about a mail; all texts in lower case.
#[expect(clippy::struct_excessive_bools, reason = "independent facts, not states")]
#[derive(Debug, Default)]
pub(crate) struct Facts {
    recipient: String,
    sender: String,
    from: Vec<String>,
    /// Names and values.
    headers: Vec<(String, String)>,
    list: bool,
    automated: bool,
    dsn: bool,
    /// It is neither refused nor lost to anybody: a report about a delivery of the account, or mail
    /// for postmaster.
    protected: bool,
}

impl Facts {
    /// Of a mail whose octets begin with `data`; header fields are read only if a route asks.
    pub(crate) fn of(
        (sender, recipient): (&str, &str),
        parsed: &ParsedMail,
        data: &[u8],
        routes: &[Route],
    ) -> Self {
        let headers = if routes.iter().any(|route| !route.matches.headers.is_empty()) {
            let header = split_header(data).map_or(data, |(header, _)| header);
            let fields = header::fields(header, MAX_HEADER_LINES).into_iter();
            fields.map(|field| (field.name.to_lowercase(), field.value.to_lowercase())).collect()
        } else {
            Vec::new()
        };
        let from = parsed.envelope.from.iter().map(|from| from.email.to_lowercase()).collect();
        Self {
            from,
            headers,
            list: parsed.list,
            automated: parsed.automated || sender.is_empty(),
            dsn: parsed.is_dsn,
            ..Self::envelope(sender, recipient)
        }
    }

    /// Of the envelope alone.
    pub(crate) fn envelope(sender: &str, recipient: &str) -> Self {
        let (recipient, sender) = (recipient.to_lowercase(), sender.to_lowercase());
        Self { recipient, sender, ..Self::default() }
    }

    /// The same of what is always taken and kept.
    pub(crate) const fn protected(mut self, protected: bool) -> Self {
        self.protected = protected;
        self
    }

    fn fit_envelope(&self, wanted: &Match) -> bool {
        let sender = if self.sender.is_empty() { "<>" } else { &self.sender };
        fits(wanted.recipient.as_deref(), &self.recipient) && fits(wanted.sender.as_deref(), sender)
    }

    fn fit(&self, wanted: &Match) -> bool {
        let from = wanted.from.as_deref();
        let is = |wanted: Option<bool>, found: bool| wanted.is_none_or(|wanted| wanted == found);
        self.fit_envelope(wanted)
            && (from.is_none() || self.from.iter().any(|found| fits(from, found)))
            && wanted.headers.iter().all(|wanted| self.has_header(wanted))
            && is(wanted.list, self.list)
            && is(wanted.automated, self.automated)
            && is(wanted.dsn, self.dsn)
    }

    fn has_header(&self, wanted: &HeaderMatch) -> bool {
        let name = wanted.name.to_lowercase();
        let part = wanted.contains.as_deref().map(str::to_lowercase);
        let mut fields = self.headers.iter().filter(|(found, _)| *found == name);
        fields.any(|(_, value)| {
            part.as_ref().is_none_or(|part| value.contains(part.as_str()))
                && fits(wanted.pattern.as_deref(), value)
        })
    }
}

fn fits(wanted: Option<&str>, found: &str) -> bool {
    wanted.is_none_or(|wanted| pattern::matches(&wanted.to_lowercase(), found))
}

/// Where a mail is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Keep {
    Inbox,
    Mailbox(Id<Mailbox>),
    Nowhere,
}

/// A route refuses the mail.
#[derive(Debug, Clone)]
pub(crate) struct Rejection {
    pub route: RouteRef,
    pub text: String,
}

/// What the routes want that match a mail.
#[derive(Debug, Default)]
pub(crate) struct Plan {
    pub reject: Option<Rejection>,
    /// Of mailbox and drop, the first.
    kept: Option<Keep>,
    /// To whom it is sent on, and the routes that want it.
    pub forward_to: Vec<Address>,
    pub forwarding: Vec<Id<InboundRoute>>,
    pub routing: Routing,
}

/// Asks the routes in their order.
pub(crate) fn decide(routes: &[Route], facts: &Facts) -> Plan {
    let mut plan = Plan::default();
    for route in routes.iter().filter(|route| facts.fit(&route.matches)) {
        plan.add(route, facts);
        if plan.reject.is_some() || !route.go_on {
            break;
        }
    }
    plan
}

impl Plan {
    fn add(&mut self, route: &Route, facts: &Facts) {
        let of = RouteRef { id: route.id, name: route.name.clone() };
        for action in &route.actions {
            if facts.protected && action.takes_away() {
                self.skip(action, "protected");
                continue;
            }
            match action {
                Action::Mailbox { mailbox_id } => {
                    self.kept.get_or_insert(Keep::Mailbox(*mailbox_id));
                }
                Action::Webhook { webhook_id } => {
                    add_once(&mut self.routing.webhook_ids, webhook_id);
                }
                Action::HttpPost { webhook_id } => {
                    add_once(&mut self.routing.http_post_webhook_ids, webhook_id);
                }
                Action::Forward { addresses } => self.forward(route.id, addresses),
                Action::Reject { text } => {
                    self.reject = Some(Rejection { route: of.clone(), text: text.clone() });
                }
                Action::Drop => {
                    self.kept.get_or_insert(Keep::Nowhere);
                }
            }
        }
        self.routing.routes.push(of);
    }

    fn forward(&mut self, route: Id<InboundRoute>, addresses: &[Address]) {
        self.forwarding.push(route);
        for address in addresses {
            if self.forward_to.len() < MAX_FORWARD_TO && !self.forward_to.contains(address) {
                self.forward_to.push(address.clone());
            }
        }
    }

    /// Sends nothing on.
    pub(crate) fn skip_forward(&mut self, reason: &'static str) {
        self.forwarding.clear();
        self.forward_to.clear();
        self.skip(&Action::Forward { addresses: Vec::new() }, reason);
    }

    /// Notes what is not done; the mail is kept then.
    pub(crate) fn skip(&mut self, action: &Action, reason: &'static str) {
        self.routing.skipped.push(SkippedAction { action: action.name(), reason });
    }

    /// Gives up what leads to things that are gone.
    pub(crate) async fn settle(
        &mut self,
        conn: &mut PgConnection,
        account: Id<Account>,
    ) -> Result<()> {
        if let Some(Keep::Mailbox(mailbox)) = self.kept
            && !store::known_mailboxes(conn, account, &[mailbox]).await?.contains(&mailbox)
        {
            self.kept = None;
            self.skip(&Action::Mailbox { mailbox_id: mailbox }, "mailbox_gone");
        }
        let mut asked = self.routing.webhook_ids.clone();
        asked.extend(&self.routing.http_post_webhook_ids);
        if asked.is_empty() {
            return Ok(());
        }
        let known = store::known_webhooks(conn, account, &asked).await?;
        let is_known = |id: &Id<id::Webhook>, gets_messages: bool| {
            known.iter().any(|one| one.id == *id && one.gets_messages == gets_messages)
        };
        let told = std::mem::take(&mut self.routing.webhook_ids);
        let posted = std::mem::take(&mut self.routing.http_post_webhook_ids);
        for webhook_id in told {
            if is_known(&webhook_id, false) {
                self.routing.webhook_ids.push(webhook_id);
            } else {
                self.skip(&Action::Webhook { webhook_id }, "webhook_gone");
            }
        }
        for webhook_id in posted {
            if is_known(&webhook_id, true) {
                self.routing.http_post_webhook_ids.push(webhook_id);
            } else {
                self.skip(&Action::HttpPost { webhook_id }, "webhook_gone");
            }
        }
        Ok(())
    }

    /// Takes the mail although a route refuses it.
    pub(crate) fn accept(&mut self) {
        if let Some(Rejection { text, .. }) = self.reject.take() {
            self.skip(&Action::Reject { text }, "other_recipients");
        }
    }

    /// Leaves a mail that is stored already where it is.
    pub(crate) fn stay(&mut self) {
        let reject = self.reject.take().map(|Rejection { text, .. }| Action::Reject { text });
        let kept = self.kept.take().and_then(|kept| match kept {
            Keep::Mailbox(mailbox_id) => Some(Action::Mailbox { mailbox_id }),
            Keep::Nowhere => Some(Action::Drop),
            Keep::Inbox => None,
        });
        for action in reject.into_iter().chain(kept) {
            self.skip(&action, "redelivered");
        }
    }

    /// Where the mail is kept: whatever could not be done, it is not lost.
    pub(crate) fn keep(&self) -> Keep {
        match self.kept {
            Some(Keep::Nowhere) if !self.routing.skipped.is_empty() => Keep::Inbox,
            Some(kept) => kept,
            None if !self.forward_to.is_empty() && self.routing.skipped.is_empty() => Keep::Nowhere,
            None => Keep::Inbox,
        }
    }

    /// What the event says of it; none when no route matched.
    pub(crate) fn told(self) -> Option<Routing> {
        Some(self.routing).filter(|routing| !routing.routes.is_empty())
    }
}

/// Most addresses that one mail is sent on to.
const MAX_FORWARD_TO: usize = 100;

fn add_once<T: PartialEq + Copy>(list: &mut Vec<T>, value: &T) {
    if !list.contains(value) {
        list.push(*value);
    }
}

impl Action {
    /// Whether the account may not get the mail because of it.
    const fn takes_away(&self) -> bool {
        matches!(self, Self::Forward { .. } | Self::Reject { .. } | Self::Drop)
    }

    /// Its name on the wire.
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Mailbox { .. } => "mailbox",
            Self::Webhook { .. } => "webhook",
            Self::HttpPost { .. } => "http_post",
            Self::Forward { .. } => "forward",
            Self::Reject { .. } => "reject",
            Self::Drop => "drop",
        }
    }
}

/// What is known when the recipient is named, before the content comes.
#[derive(Debug)]
pub(crate) enum Asked {
    /// No route refuses the mail.
    Taken,
    /// A route refuses it.
    Refused(Rejection),
    /// A route may refuse it when the content is there: then for one recipient only, as there is
    /// one answer for all.
    Depends,
}

/// Asks the routes about the envelope.
pub(crate) fn ask_envelope(routes: &[Route], sender: &str, recipient: &str) -> Asked {
    let facts = Facts::envelope(sender, recipient);
    let mut another_may_decide = false;
    for route in routes.iter().filter(|route| facts.fit_envelope(&route.matches)) {
        let text = route.actions.iter().find_map(|action| match action {
            Action::Reject { text } => Some(text),
            _ => None,
        });
        match text {
            Some(text) if !another_may_decide && !route.matches.asks_content() => {
                let of = RouteRef { id: route.id, name: route.name.clone() };
                return Asked::Refused(Rejection { route: of, text: text.clone() });
            }
            Some(_) => return Asked::Depends,
            None if route.go_on => {}
            None if route.matches.asks_content() => another_may_decide = true,
            None => return Asked::Taken,
        }
    }
    Asked::Taken
}

#[cfg(test)]
mod tests {
    use time::macros::datetime;

    use super::*;

    const NOW: time::OffsetDateTime = datetime!(2026-11-21 10:00 UTC);

    fn route(matches: Match, actions: Vec<Action>) -> Route {
        Route {
            id: Id::new(NOW),
            account_id: Id::new(NOW),
            name: "r".to_owned(),
            enabled: true,
            priority: 100,
            go_on: false,
            matches,
            actions,
            created_at: NOW,
            updated_at: NOW,
        }
    }

    fn to(pattern: &str) -> Match {
        Match { recipient: Some(pattern.to_owned()), ..Match::default() }
    }

    fn reject() -> Vec<Action> {
        vec![Action::Reject { text: "no".to_owned() }]
    }

    fn facts(data: &[u8], routes: &[Route]) -> Facts {
        let parsed = ParsedMail::parse(data);
        Facts::of(("bob@remote.test", "Alice@example.test"), &parsed, data, routes)
    }

    #[test]
    fn everything_that_is_given_must_fit() {
        let data = b"From: A <A@x.test>, b@y.test\r\nX-Spam: =?utf-8?q?Y=C3=84S?=, 7\r\nList-Id: <l>\r\n\r\n";
        let header = |name: &str, contains: Option<&str>, pattern: Option<&str>| HeaderMatch {
            name: name.to_owned(),
            contains: contains.map(str::to_owned),
            pattern: pattern.map(str::to_owned),
        };
        let with = |headers: Vec<HeaderMatch>| Match { headers, ..to("*@EXAMPLE.test") };
        let from = |pattern: &str| Match { from: Some(pattern.to_owned()), ..Match::default() };
        let sender = |pattern: &str| Match { sender: Some(pattern.to_owned()), ..Match::default() };
        let fit = |matches: Match| {
            let routes = [route(matches, vec![Action::Drop])];
            decide(&routes, &facts(data, &routes)).keep() == Keep::Nowhere
        };
        for good in [
            Match::default(),
            to("alice@*"),
            sender("*@remote.test"),
            from("a@x.test"),
            from("*@Y.test"),
            with(vec![header("x-spam", None, None)]),
            with(vec![header("X-SPAM", Some("yäs"), Some("YÄS, *"))]),
            Match { list: Some(true), automated: Some(true), dsn: Some(false), ..Match::default() },
        ] {
            assert!(fit(good.clone()), "{good:?}");
        }
        for bad in [
            to("alice"),
            sender("<>"),
            from("*@remote.test"),
            with(vec![header("X-Ham", None, None)]),
            with(vec![header("X-Spam", Some("yäs"), None), header("X-Spam", Some("no"), None)]),
            with(vec![header("X-Spam", None, Some("yäs"))]),
            Match { list: Some(false), ..Match::default() },
            Match { dsn: Some(true), ..Match::default() },
        ] {
            assert!(!fit(bad.clone()), "{bad:?}");
        }
    }

    #[test]
    fn the_first_decides_unless_it_says_to_go_on() {
        let (first, second) = (Id::new(NOW), Id::new(NOW));
        let into = |mailbox_id| vec![Action::Mailbox { mailbox_id }];
        let mut routes = [route(to("*"), into(first)), route(to("*"), into(second))];
        let keep = |routes: &[Route]| decide(routes, &facts(b"\r\n", routes)).keep();
        assert_eq!(keep(&routes), Keep::Mailbox(first));
        routes[1].actions = reject();
        assert_eq!(keep(&routes), Keep::Mailbox(first));
        routes[0].go_on = true;
        assert!(decide(&routes, &facts(b"\r\n", &routes)).reject.is_some(), "nothing else counts");
        let report = decide(&routes, &facts(b"\r\n", &routes).protected(true));
        assert!(report.reject.is_none() && report.keep() == Keep::Mailbox(first));
        routes[0].actions = vec![Action::Drop];
        let report = decide(&routes, &facts(b"\r\n", &routes).protected(true));
        assert_eq!(report.keep(), Keep::Inbox, "a report about a delivery is always kept");
    }

    #[test]
    fn what_is_sent_on_is_kept_only_where_a_route_says() {
        let to = |text: &str| Address::parse(text).unwrap();
        let forward = Action::Forward { addresses: vec![to("x@y.test"), to("z@y.test")] };
        let mut routes = vec![route(Match::default(), vec![forward.clone()])];
        let keep = |routes: &[Route]| decide(routes, &facts(b"\r\n", routes)).keep();
        assert_eq!(keep(&routes), Keep::Nowhere);
        let mailbox_id = Id::new(NOW);
        routes[0].go_on = true;
        routes.push(route(Match::default(), vec![forward, Action::Mailbox { mailbox_id }]));
        assert_eq!(keep(&routes), Keep::Mailbox(mailbox_id));
        let mut plan = decide(&routes[..1], &facts(b"\r\n", &routes));
        assert_eq!((plan.forward_to.len(), plan.forwarding.len()), (2, 1));
        plan.skip_forward("mail_loop");
        assert_eq!((plan.keep(), plan.forward_to.len()), (Keep::Inbox, 0));
        let report = decide(&routes, &facts(b"\r\n", &routes).protected(true));
        assert!(report.forward_to.is_empty(), "reports do not go round in circles");
    }

    #[test]
    fn the_envelope_alone_refuses_only_what_no_other_route_may_take() {
        let of_content = Match { list: Some(true), ..to("*") };
        let ask = |routes: &[Route]| match ask_envelope(routes, "b@r.test", "a@e.test") {
            Asked::Taken => "taken",
            Asked::Refused(_) => "refused",
            Asked::Depends => "depends",
        };
        assert_eq!(ask(&[]), "taken");
        assert_eq!(ask(&[route(to("x@*"), reject())]), "taken");
        assert_eq!(ask(&[route(to("a@*"), reject())]), "refused");
        assert_eq!(ask(&[route(of_content.clone(), reject())]), "depends");
        let taking = route(to("*"), vec![Action::Drop]);
        assert_eq!(ask(&[taking, route(to("*"), reject())]), "taken");
        let mut may_take = route(of_content, vec![Action::Drop]);
        assert_eq!(ask(&[may_take.clone(), route(to("*"), reject())]), "depends");
        may_take.go_on = true;
        assert_eq!(ask(&[may_take, route(to("*"), reject())]), "refused");
    }
}
