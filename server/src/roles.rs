//! The roles of a process: by default all, and any mix of them with `posthouse serve --only`.

use std::{collections::BTreeSet, fmt};

/// What a process does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, clap::ValueEnum)]
pub enum Role {
    /// Serves the HTTP API.
    Api,
    /// Takes mail over SMTP: from other servers and from mail programs.
    Smtp,
    /// Delivers outgoing mail.
    Delivery,
    /// Calls webhooks.
    Webhooks,
    /// Tidies up: retention, unused blobs.
    Jobs,
}

impl Role {
    /// All roles.
    pub const ALL: [Self; 5] = [Self::Api, Self::Smtp, Self::Delivery, Self::Webhooks, Self::Jobs];

    /// Name in the configuration and on the command line.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Api => "api",
            Self::Smtp => "smtp",
            Self::Delivery => "delivery",
            Self::Webhooks => "webhooks",
            Self::Jobs => "jobs",
        }
    }

    /// Reads the name.
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|role| role.as_str() == text)
    }
}

/// A set of roles.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Roles(BTreeSet<Role>);

impl Roles {
    /// Every role.
    pub fn all() -> Self {
        Role::ALL.into_iter().collect()
    }

    /// Whether `role` is in the set.
    pub fn has(&self, role: Role) -> bool {
        self.0.contains(&role)
    }

    /// What is wrong with the set, if anything.
    pub fn fault(&self) -> Option<&'static str> {
        let takes_messages = self.has(Role::Api) || self.has(Role::Smtp);
        // The queue is in shards that have one owner, so that nobody waits for a lock.
        (takes_messages && !self.has(Role::Delivery)).then_some(
            "api and smtp need delivery too: a process delivers the messages that it has taken",
        )
    }

    /// Those of the core's workers.
    pub fn workers(&self) -> posthouse_core::workers::Roles {
        posthouse_core::workers::Roles {
            delivery: self.has(Role::Delivery),
            webhooks: self.has(Role::Webhooks),
            jobs: self.has(Role::Jobs),
        }
    }
}

impl Default for Roles {
    fn default() -> Self {
        Self::all()
    }
}

impl FromIterator<Role> for Roles {
    fn from_iter<I: IntoIterator<Item = Role>>(roles: I) -> Self {
        Self(roles.into_iter().collect())
    }
}

impl fmt::Display for Roles {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<_> = self.0.iter().map(|role| role.as_str()).collect();
        f.write_str(&names.join(", "))
    }
}
