//! What a credential may do.

use std::{fmt, str::FromStr};

macro_rules! scopes {
    ($($variant:ident = $bit:literal $text:literal;)*) => {
        /// A right that a credential has or lacks.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub enum Scope { $(#[doc = $text] $variant,)* }

        impl Scope {
            /// All scopes.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)*];
            /// Name on the wire.
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $text,)* }
            }
            const fn bit(self) -> u32 {
                match self { $(Self::$variant => 1 << $bit,)* }
            }
        }
    };
}

scopes! {
    Send = 0 "send";
    MessagesRead = 1 "messages:read";
    MessagesWrite = 2 "messages:write";
    QueueRead = 3 "queue:read";
    QueueWrite = 4 "queue:write";
    EventsRead = 5 "events:read";
    SuppressionsRead = 6 "suppressions:read";
    SuppressionsWrite = 7 "suppressions:write";
    WebhooksRead = 8 "webhooks:read";
    WebhooksWrite = 9 "webhooks:write";
    MailRead = 10 "mail:read";
    MailWrite = 11 "mail:write";
    AccountRead = 12 "account:read";
    AccountWrite = 13 "account:write";
    AdminRead = 14 "admin:read";
    AdminWrite = 15 "admin:write";
}

impl FromStr for Scope {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let known = Self::ALL.iter().copied().find(|scope| scope.as_str() == text);
        known.ok_or_else(|| format!("there is no scope {text:?}"))
    }
}

/// A set of scopes.
#[derive(Clone, Copy, PartialEq, Eq, Default)]
pub struct Scopes(u32);

impl Scopes {
    /// Every scope.
    pub fn all() -> Self {
        Scope::ALL.iter().copied().collect()
    }

    /// Every scope but those of administrators.
    pub fn user() -> Self {
        let admin = [Scope::AdminRead, Scope::AdminWrite];
        Scope::ALL.iter().copied().filter(|scope| !admin.contains(scope)).collect()
    }

    /// What the password of an account with this role lets in with.
    pub fn of_role(role: &str) -> Self {
        if role == "admin" { Self::all() } else { Self::user() }
    }

    /// Whether `scope` is in the set.
    pub const fn has(self, scope: Scope) -> bool {
        self.0 & scope.bit() != 0
    }

    /// Whether all of `other` is in the set.
    pub const fn covers(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }

    /// What is in both sets.
    #[must_use]
    pub const fn and(self, other: Self) -> Self {
        Self(self.0 & other.0)
    }

    /// The scopes in the set, in their order.
    pub fn iter(self) -> impl Iterator<Item = Scope> {
        Scope::ALL.iter().copied().filter(move |scope| self.has(*scope))
    }

    /// Names, as the database stores them.
    pub fn names(self) -> Vec<String> {
        self.iter().map(|scope| scope.as_str().to_owned()).collect()
    }

    /// Reads names; those that this version does not know give no right.
    pub fn from_names(names: &[String]) -> Self {
        names.iter().filter_map(|name| name.parse().ok()).collect()
    }
}

impl FromIterator<Scope> for Scopes {
    fn from_iter<I: IntoIterator<Item = Scope>>(scopes: I) -> Self {
        Self(scopes.into_iter().fold(0, |set, scope| set | scope.bit()))
    }
}

impl fmt::Debug for Scopes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.iter().map(Scope::as_str)).finish()
    }
}
