//! How fast the mail exchangers of some providers are used: rules by the names of the exchangers.
//!
//! What large providers bear is data (`providers.json`), moderate on purpose: the pace of a lane goes
//! down by itself when they are busy. Administrators put a list of their own in its place.

mod check;

use std::sync::{Arc, PoisonError, RwLock};

use serde::{Deserialize, Serialize};
use sqlx::{PgConnection, types::Json};

pub use check::lane_rule_faults;

use super::scheduler::Exchangers;
use crate::{
    audit,
    cx::Cx,
    error::{Error, Result},
    platform::Platform,
    ports::transport::Host,
    routing,
    scope::Scope,
};

const PROVIDERS: &str = include_str!("providers.json");

/// How fast some mail exchangers are used. All domains behind them share what it gives, and so do all
/// nodes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LaneRule {
    /// Name of the lane: letters, digits, dots, underscores and hyphens.
    pub name: String,
    /// Names of mail exchangers; `*.` in front stands for one label or more.
    pub mx: Vec<String>,
    /// Connections at a time; none: as the configuration says.
    #[serde(default)]
    pub connections: Option<u32>,
    /// Attempts begun in a second; none: as many as there are.
    #[serde(default)]
    pub messages_per_second: Option<u32>,
    /// Messages after which a connection is not used again; none: 100.
    #[serde(default)]
    pub messages_per_connection: Option<u32>,
}

/// Which rules hold.
#[derive(Debug, Clone)]
pub struct LaneRuleList {
    /// In the order in which they are tried.
    pub rules: Vec<LaneRule>,
    /// They came with the server; nobody has changed them.
    pub is_default: bool,
}

/// The rules as this node knows them.
pub(crate) struct Rules {
    list: RwLock<Arc<[LaneRule]>>,
}

impl Default for Rules {
    fn default() -> Self {
        Self { list: RwLock::new(defaults().into()) }
    }
}

impl Rules {
    /// The name of the rule for mail that goes to these hosts directly.
    pub(super) fn name(&self, hosts: &[Host]) -> Option<String> {
        // Of hosts with one preference, which stand in random order, always the same one.
        let first = hosts.iter().map(|host| host.preference).min().flatten();
        let of_first = hosts.iter().filter(|host| host.preference == first);
        let name = of_first.map(|host| &*host.name).min().unwrap_or_default();
        let rules = self.list.read().unwrap_or_else(PoisonError::into_inner);
        rules.iter().find(|rule| rule.covers(name)).map(|rule| rule.name.clone())
    }

    /// What these hosts are to the schedule.
    pub(super) fn exchangers(&self, hosts: &[Host]) -> Exchangers {
        if let Some(name) = self.name(hosts) {
            return Exchangers::Ruled(name.into());
        }
        let mut names: Vec<&str> = hosts.iter().map(|host| &*host.name).collect();
        names.sort_unstable();
        Exchangers::Named(names.join(" ").into())
    }
}

impl LaneRule {
    fn covers(&self, host: &str) -> bool {
        self.mx.iter().any(|pattern| match pattern.strip_prefix('*') {
            Some(end) => host.strip_suffix(end).is_some_and(|label| !label.is_empty()),
            None => pattern == host,
        })
    }
}

/// The rules that came with the server.
fn defaults() -> Vec<LaneRule> {
    // A test reads it.
    serde_json::from_str(PROVIDERS).unwrap_or_default()
}

/// The rules that hold.
///
/// # Errors
/// `Forbidden`.
pub async fn lane_rules(cx: &Cx) -> Result<LaneRuleList> {
    cx.require(Scope::AdminRead)?;
    let mut conn = cx.platform().acquire().await?;
    read(&mut conn).await
}

async fn read(conn: &mut PgConnection) -> Result<LaneRuleList> {
    let stored =
        sqlx::query_scalar!(r#"SELECT rules AS "rules: Json<Vec<LaneRule>>" FROM lane_rules"#)
            .fetch_optional(conn)
            .await?;
    Ok(match stored {
        Some(Json(rules)) => LaneRuleList { rules, is_default: false },
        None => LaneRuleList { rules: defaults(), is_default: true },
    })
}

/// Puts these rules in the place of all; none: those that came with the server. All nodes follow
/// within a second, also for what waits.
///
/// # Errors
/// `Forbidden`, `InvalidInput`.
pub async fn set_lane_rules(cx: &Cx, rules: Option<Vec<LaneRule>>) -> Result<LaneRuleList> {
    cx.require(Scope::AdminWrite)?;
    let rules = rules.map(check::normalise).transpose().map_err(Error::InvalidInput)?;
    let mut tx = cx.begin("queue.set_lane_rules").await?;
    match &rules {
        Some(rules) => {
            sqlx::query!(
                "INSERT INTO lane_rules (rules) VALUES ($1)
                 ON CONFLICT (single) DO UPDATE SET rules = excluded.rules",
                Json(rules) as _
            )
            .execute(tx.conn())
            .await?;
        }
        None => {
            sqlx::query!("DELETE FROM lane_rules").execute(tx.conn()).await?;
        }
    }
    let action = if rules.is_some() { "set_lane_rules" } else { "reset_lane_rules" };
    audit::record(&mut tx, cx, action, None, "").await?;
    let now = read(tx.conn()).await?;
    tx.commit().await?;
    routing::load(cx.platform()).await?;
    Ok(now)
}

/// Makes this node follow what the database says; called when the version of routing has changed.
pub(crate) async fn load(platform: &Platform, conn: &mut PgConnection) -> Result<()> {
    let rules: Arc<[LaneRule]> = read(conn).await?.rules.into();
    let queue = platform.queue();
    *queue.lane_rules.list.write().unwrap_or_else(PoisonError::into_inner) = Arc::clone(&rules);
    queue.scheduler.set_rules(rules);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ports::transport::Security;

    fn host(name: &str, preference: u16) -> Host {
        Host {
            name: name.into(),
            preference: Some(preference),
            addresses: Vec::new(),
            security: Security::default(),
        }
    }

    fn lane(hosts: &[(&str, u16)]) -> Exchangers {
        let hosts: Vec<Host> =
            hosts.iter().map(|(name, preference)| host(name, *preference)).collect();
        Rules::default().exchangers(&hosts)
    }

    #[test]
    fn the_rules_that_come_with_the_server_can_be_read_and_are_right() {
        let rules: Vec<LaneRule> = serde_json::from_str(PROVIDERS).unwrap();
        assert!(rules.len() > 10);
        assert_eq!(lane_rule_faults(&rules), []);
        assert_eq!(check::normalise(rules.clone()).unwrap(), rules);
        assert!(rules.iter().all(|rule| rule.connections.is_some()));
    }

    #[test]
    fn the_first_exchanger_tells_the_lane() {
        let google = Exchangers::Ruled("google".into());
        let hosts = [("alt1.aspmx.l.google.com", 5), ("aspmx.l.google.com", 1)];
        assert_eq!(lane(&hosts), google);
        assert_eq!(lane(&[("mx.test", 20), ("aspmx.l.google.com", 10)]), google);
        // Their order does not matter, and the names count whole.
        let own = Exchangers::Named("a.test b.test".into());
        assert_eq!(lane(&[("b.test", 10), ("a.test", 10)]), own);
        assert_eq!(lane(&[("a.test", 10), ("b.test", 10)]), own);
        for name in ["google.com", "xgoogle.com", "google.com.test"] {
            assert_eq!(lane(&[(name, 10)]), Exchangers::Named(name.into()), "{name}");
        }
    }
}
