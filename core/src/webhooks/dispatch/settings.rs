//! What is needed to call an endpoint, ready for use.

use std::borrow::Cow;

use posthouse_mail::domain;
use reqwest::header::{CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue};
use serde::Deserialize;
use time::OffsetDateTime;
use url::Url;

use super::super::{Payload, signature::Signer, store};
use crate::{
    error::{Error, Result},
    events::{Event, EventKind, matches_any},
    id::{Id, Webhook},
    platform::Platform,
};

/// What is needed to call an endpoint.
pub(super) struct Settings {
    webhook: Id<Webhook>,
    pub url: Url,
    /// The endpoint's header fields and those that never change.
    headers: HeaderMap,
    payload: Payload,
    pub types: Vec<String>,
    domains: Vec<String>,
    tags: Vec<String>,
    /// Of repeated `delivery.deferred`, one in each such interval; zero: all.
    pub deferred_interval: time::Duration,
    /// The current secret and those it replaced, with their ends.
    signers: Vec<(Signer, Option<OffsetDateTime>)>,
}

/// What an event says of domains and tags, whatever its type.
#[derive(Default, Deserialize)]
#[serde(default)]
struct About<'a> {
    #[serde(borrow)]
    sender: Option<Cow<'a, str>>,
    #[serde(borrow)]
    mail_from: Option<Cow<'a, str>>,
    #[serde(borrow)]
    envelope: Option<To<'a>>,
    /// A text in events about messages, a list in those about mail.
    from: Option<From>,
    tags: Option<Vec<String>>,
    routing: Option<Chosen>,
}

/// Endpoints that inbound routes chose.
#[derive(Deserialize)]
struct Chosen {
    webhook_ids: Vec<Id<Webhook>>,
    http_post_webhook_ids: Vec<Id<Webhook>>,
}

#[derive(Deserialize)]
struct To<'a> {
    #[serde(borrow)]
    rcpt_to: Cow<'a, str>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum From {
    List(Vec<Mailbox>),
    Other(serde::de::IgnoredAny),
}

#[derive(Deserialize)]
struct Mailbox {
    email: String,
}

impl About<'_> {
    /// The domain of ours that the event is about: of the recipient of mail that came in, else of
    /// the sender.
    fn domain(&self) -> Option<String> {
        let author = match &self.from {
            Some(From::List(list)) => list.first().map(|author| author.email.as_str()),
            Some(From::Other(_)) | None => None,
        };
        let recipient = self.envelope.as_ref().map(|envelope| &*envelope.rcpt_to);
        let senders = [self.sender.as_deref(), self.mail_from.as_deref(), author];
        let mut addresses = std::iter::once(recipient).chain(senders).flatten();
        let (_, domain) = addresses.find_map(|address| address.rsplit_once('@'))?;
        domain::normalise(domain).ok()
    }
}

impl Settings {
    /// Reads them; none when the endpoint is gone.
    pub(super) async fn load(platform: &Platform, id: Id<Webhook>) -> Result<Option<Self>> {
        let mut conn = platform.acquire().await?;
        let found = store::with_keys(&mut conn, platform.vault(), id).await?;
        drop(conn);
        let Some((webhook, keys)) = found else { return Ok(None) };
        let mut headers = HeaderMap::new();
        for (name, value) in &webhook.headers {
            let name = HeaderName::from_bytes(name.as_bytes()).map_err(Error::internal)?;
            let mut value = HeaderValue::from_str(value).map_err(Error::internal)?;
            value.set_sensitive(true);
            headers.insert(name, value);
        }
        // Of mail that was posted there, whatever else it was meant to get.
        let types = match webhook.payload {
            Payload::Event => webhook.event_types,
            Payload::Message => [EventKind::MailReceived, EventKind::MailDropped]
                .map(|kind| kind.as_str().to_owned())
                .into(),
        };
        let url = webhook.url.parse().map_err(|_| Error::internal("not a URL"))?;
        Ok(Some(Self {
            webhook: id,
            url,
            headers,
            payload: webhook.payload,
            types,
            domains: webhook.domains,
            tags: webhook.tags,
            deferred_interval: time::Duration::seconds(webhook.deferred_interval_seconds.into()),
            signers: signers(&keys)?,
        }))
    }

    /// Whether the endpoint gets this event, of the `types` that are wanted now. Tests go only where
    /// they were asked for.
    pub(super) fn wants(&self, types: &[String], event: &Event) -> bool {
        #[derive(Deserialize)]
        struct Test {
            webhook_id: Id<Webhook>,
        }
        if event.kind != EventKind::WebhookTest.as_str() {
            return matches_any(types, &event.kind) && self.fits(event);
        }
        let test = serde_json::from_str::<Test>(event.data.get());
        test.is_ok_and(|test| test.webhook_id == self.webhook)
    }

    /// Whether domain and tags are wanted; an event that has none is not held back. If inbound routes
    /// chose endpoints, they alone decide.
    fn fits(&self, event: &Event) -> bool {
        // Quotes within texts are escaped: it can only be that field.
        let is_routed = event.data.get().contains(r#"webhook_ids":[""#);
        if self.payload == Payload::Message && !is_routed {
            return false;
        }
        if self.domains.is_empty() && self.tags.is_empty() && !is_routed {
            return true;
        }
        // Payloads are ours: what cannot be read has neither.
        let about: About<'_> = serde_json::from_str(event.data.get()).unwrap_or_default();
        if self.payload == Payload::Message {
            let routed = about.routing.as_ref();
            return routed.is_some_and(|one| one.http_post_webhook_ids.contains(&self.webhook));
        }
        if let Some(chosen) = about.routing.as_ref().filter(|one| !one.webhook_ids.is_empty()) {
            return chosen.webhook_ids.contains(&self.webhook);
        }
        let domain = || about.domain().is_none_or(|domain| self.domains.contains(&domain));
        let tagged = |tags: &Vec<String>| tags.iter().any(|tag| self.tags.contains(tag));
        (self.domains.is_empty() || domain())
            && (self.tags.is_empty() || about.tags.as_ref().is_none_or(tagged))
    }

    /// Whether it gets the mail that the event tells of, in place of the event.
    pub(super) fn wants_mail(&self, event: &Event) -> bool {
        self.payload == Payload::Message && event.kind != EventKind::WebhookTest.as_str()
    }

    /// The header fields of a request, signed.
    pub(super) fn headers(
        &self,
        id: &str,
        at: OffsetDateTime,
        (content_type, body): (&'static str, &[u8]),
    ) -> Result<HeaderMap> {
        let mut headers = self.headers.clone();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
        let timestamp = at.unix_timestamp();
        let valid = self.signers.iter().filter(|(_, end)| end.is_none_or(|end| end > at));
        let signatures: Vec<String> =
            valid.map(|(signer, _)| signer.sign(id, timestamp, body)).collect();
        let text = |text: &str| HeaderValue::from_str(text).map_err(Error::internal);
        headers.insert("webhook-id", text(id)?);
        headers.insert("webhook-timestamp", HeaderValue::from(timestamp));
        headers.insert("webhook-signature", text(&signatures.join(" "))?);
        Ok(headers)
    }
}

/// The current secret first.
fn signers(keys: &store::Keys) -> Result<Vec<(Signer, Option<OffsetDateTime>)>> {
    let former = keys.former.iter().map(|former| (&former.secret, Some(former.until)));
    let all = std::iter::once((&keys.current, None)).chain(former);
    let read =
        |secret: &str| Signer::new(secret).ok_or_else(|| Error::internal("not a webhook secret"));
    all.map(|(secret, end)| Ok((read(secret)?, end))).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn domain(data: &Value) -> Option<String> {
        let text = data.to_string();
        let about: About<'_> = serde_json::from_str(&text).unwrap();
        about.domain()
    }

    #[test]
    fn events_tell_the_domain_of_ours() {
        let ours = Some("a.test".to_owned());
        let delivery = json!({"sender": "x@A.test", "recipient": "y@b.test", "tags": ["t"]});
        assert_eq!(domain(&delivery), ours);
        let message = json!({"mail_from": "x@a.test", "from": "X \"q\" <x@c.test>"});
        assert_eq!(domain(&message), ours);
        let received = json!({"envelope": {"mail_from": "y@b.test", "rcpt_to": "x@a.test"},
            "from": [{"name": null, "email": "y@b.test"}]});
        assert_eq!(domain(&received), ours);
        let copy = json!({"envelope": null, "from": [{"name": "ä", "email": "x@a.test"}]});
        assert_eq!(domain(&copy), ours);
        assert_eq!(domain(&json!({"webhook_id": "whk_1"})), None);
    }
}
