//! Versions of what people edit, for changes that are made only to what somebody has seen
//! (RFC 9110 §13.1.1). A version is a digest of what is shown, so nothing is stored for it.

use aws_lc_rs::digest;
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use serde::Serialize;

use crate::{
    accounts::Account,
    api_keys::ApiKey,
    domains::Domain,
    inbound_routes,
    queue::Hold,
    routing::{Route, Transport},
    webhooks::Webhook,
};

/// Octets of the digest that are enough to tell versions apart.
const LENGTH: usize = 15;

/// Something that people edit.
pub trait Versioned {
    /// Differs whenever something differs that somebody can change.
    fn version(&self) -> String;
}

impl Versioned for Account {
    fn version(&self) -> String {
        of(self)
    }
}

impl Versioned for Domain {
    fn version(&self) -> String {
        of(self)
    }
}

impl Versioned for ApiKey {
    fn version(&self) -> String {
        of(&Self { last_used_at: None, ..self.clone() })
    }
}

impl Versioned for Hold {
    fn version(&self) -> String {
        of(self)
    }
}

impl Versioned for Transport {
    fn version(&self) -> String {
        of(self)
    }
}

impl Versioned for Route {
    fn version(&self) -> String {
        of(self)
    }
}

impl Versioned for Webhook {
    fn version(&self) -> String {
        of(&Self { updated_at: self.created_at, ..self.clone() })
    }
}

impl Versioned for inbound_routes::Route {
    fn version(&self) -> String {
        of(&Self { updated_at: self.created_at, ..self.clone() })
    }
}

fn of(value: &impl Serialize) -> String {
    // What is shown can always be written.
    let text = serde_json::to_vec(value).unwrap_or_default();
    let digest = digest::digest(&digest::SHA256, &text);
    URL_SAFE_NO_PAD.encode(digest.as_ref().get(..LENGTH).unwrap_or_default())
}
