//! DKIM keys of a domain, from making to giving up (F2).
//!
//! A key is `pending` until its record is seen in DNS with the right public key, then `published`.
//! Active ones sign, all of them side by side. A retired one signs no more; its record has to stay
//! until what it has signed has expired. Decision 0029 says why a rotation goes by itself.

mod change;
mod make;
pub(super) mod rotate;
pub(super) mod settings;
pub(super) mod store;

use serde::{Deserialize, Serialize};
use time::OffsetDateTime;

pub use change::{activate, create, create_faults, delete, find, list, retire};
pub(super) use make::{algorithm, generate, selector};
pub use rotate::{Rotation, rotate};
pub use settings::{Settings, SettingsPatch};

/// What private keys are sealed for.
const KEY_PURPOSE: &str = "dkim";
/// Most keys of a domain.
const MAX_KEYS: usize = 20;

/// What becomes of a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// Its record has not been seen in DNS.
    Pending,
    /// Its record is in DNS; it does not sign yet.
    Published,
    /// It signs.
    Active,
    /// It signs no more.
    Retired,
}

impl State {
    /// The name on the wire.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Published => "published",
            Self::Active => "active",
            Self::Retired => "retired",
        }
    }

    fn parse(name: &str) -> Option<Self> {
        let all = [Self::Pending, Self::Published, Self::Active, Self::Retired];
        all.into_iter().find(|state| state.as_str() == name)
    }
}

/// A DKIM key, without its secret part.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct DkimKey {
    /// Selector in DNS.
    pub selector: String,
    /// `rsa-2048` or `ed25519`.
    pub algorithm: String,
    /// What becomes of it.
    pub state: State,
    /// It takes the place of the active ones of its algorithm when its record is seen.
    pub rotates: bool,
    /// Name of its TXT record.
    pub record_name: String,
    /// Text of its TXT record.
    pub record: String,
    /// When it was made.
    #[serde(with = "crate::time::millis")]
    pub created_at: OffsetDateTime,
    /// When its record was first seen.
    #[serde(with = "crate::time::millis::option")]
    pub published_at: Option<OffsetDateTime>,
    /// When it began to sign.
    #[serde(with = "crate::time::millis::option")]
    pub activated_at: Option<OffsetDateTime>,
    /// When it ceased to.
    #[serde(with = "crate::time::millis::option")]
    pub retired_at: Option<OffsetDateTime>,
    /// Until then its record is needed.
    #[serde(with = "crate::time::millis::option")]
    pub removable_at: Option<OffsetDateTime>,
}

impl DkimKey {
    /// Whether it signs.
    pub fn is_active(&self) -> bool {
        self.state == State::Active
    }

    /// Whether its record is to be in DNS.
    pub(super) fn is_needed(&self, now: OffsetDateTime) -> bool {
        self.removable_at.is_none_or(|end| end > now)
    }
}

/// A key to be made or imported.
#[derive(Debug, Clone, Default)]
pub struct NewDkimKey {
    /// `rsa-2048` or `ed25519`; none: as the private key is.
    pub algorithm: Option<String>,
    /// Selector in DNS; none: one is made up.
    pub selector: Option<String>,
    /// PEM of PKCS #8 or PKCS #1; none: a new key.
    pub private_key: Option<String>,
}
