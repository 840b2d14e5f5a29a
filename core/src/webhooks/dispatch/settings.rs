//! What is needed to call an endpoint, ready for use.

use reqwest::header::{CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue};
use serde::Deserialize;
use url::Url;

use super::super::{signature::Signer, store};
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
    types: Vec<String>,
    signer: Signer,
}

impl Settings {
    /// Reads them; none when the endpoint is gone.
    pub(super) async fn load(platform: &Platform, id: Id<Webhook>) -> Result<Option<Self>> {
        let mut conn = platform.acquire().await?;
        let found = store::with_secret(&mut conn, platform.vault(), id).await?;
        let Some((webhook, secret)) = found else { return Ok(None) };
        let mut headers = HeaderMap::new();
        for (name, value) in &webhook.headers {
            let name = HeaderName::from_bytes(name.as_bytes()).map_err(Error::internal)?;
            let mut value = HeaderValue::from_str(value).map_err(Error::internal)?;
            value.set_sensitive(true);
            headers.insert(name, value);
        }
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        let signer = Signer::new(&secret).ok_or_else(|| Error::internal("not a webhook secret"))?;
        let url = webhook.url.parse().map_err(|_| Error::internal("not a URL"))?;
        Ok(Some(Self { webhook: id, url, headers, types: webhook.event_types, signer }))
    }

    /// The wanted types as LIKE patterns, wide enough.
    pub(super) fn like_patterns(&self) -> Vec<String> {
        self.types.iter().map(|pattern| pattern.replace('*', "%")).collect()
    }

    /// Whether the endpoint gets this event. Tests go only where they were asked for.
    pub(super) fn wants(&self, event: &Event) -> bool {
        #[derive(Deserialize)]
        struct Test {
            webhook_id: Id<Webhook>,
        }
        if event.kind != EventKind::WebhookTest.as_str() {
            return matches_any(&self.types, &event.kind);
        }
        let test = serde_json::from_str::<Test>(event.data.get());
        test.is_ok_and(|test| test.webhook_id == self.webhook)
    }

    /// The header fields of a request, signed.
    pub(super) fn headers(&self, id: &str, timestamp: i64, body: &[u8]) -> Result<HeaderMap> {
        let mut headers = self.headers.clone();
        let signature = self.signer.sign(id, timestamp, body);
        let text = |text: &str| HeaderValue::from_str(text).map_err(Error::internal);
        headers.insert("webhook-id", text(id)?);
        headers.insert("webhook-timestamp", HeaderValue::from(timestamp));
        headers.insert("webhook-signature", text(&signature)?);
        Ok(headers)
    }
}
