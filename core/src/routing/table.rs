//! All transports and routes in memory, as the database had them when their version last changed.

use std::{
    collections::HashMap,
    sync::{Arc, PoisonError, RwLock},
};

use super::{
    Kind, Route,
    departure::{Way, way},
    store,
};
use crate::{
    error::Result,
    id::{self, Account, Id},
    platform::Platform,
    queue::lane_rules,
};

/// What this node knows.
#[derive(Default)]
pub(crate) struct Routing {
    table: RwLock<Arc<Table>>,
    /// Held while it is read, so that it never goes back.
    turn: tokio::sync::Mutex<()>,
}

/// Which deliveries are to go which way.
#[derive(Default)]
pub(super) struct Table {
    version: i64,
    transports: HashMap<Id<id::Transport>, Arc<Known>>,
    accounts: HashMap<Id<Account>, Vec<Rule>>,
    /// By the name of the sender's domain.
    domains: HashMap<String, Vec<Rule>>,
    all: Vec<Rule>,
}

/// A transport, ready for use.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Known {
    pub id: Id<id::Transport>,
    pub name: String,
    pub kind: Kind,
    pub way: Way,
}

struct Rule {
    id: Id<id::Route>,
    from: Vec<String>,
    to: Vec<String>,
    minimum_attempts: u16,
    transport: Id<id::Transport>,
}

/// What routes ask of a delivery.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Traveller<'a> {
    pub account: Id<Account>,
    /// Domain of the reverse-path; empty for the null sender.
    pub from: &'a str,
    /// Domain of the recipient.
    pub to: &'a str,
    /// Attempts made.
    pub attempts: u16,
    /// Chosen for it.
    pub transport: Option<Id<id::Transport>>,
}

/// The way of a delivery.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Choice {
    /// The route that said so.
    pub route: Option<Id<id::Route>>,
    /// None: as the configuration says, or direct.
    pub transport: Option<Arc<Known>>,
}

impl Routing {
    fn table(&self) -> Arc<Table> {
        Arc::clone(&self.table.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// The way of a delivery; an error names a transport that is not there, or cannot be used.
    pub(crate) fn choose(&self, of: &Traveller<'_>) -> Result<Choice, Id<id::Transport>> {
        self.table().choose(of)
    }
}

impl Table {
    fn choose(&self, of: &Traveller<'_>) -> Result<Choice, Id<id::Transport>> {
        let find = |id: Id<id::Transport>| self.transports.get(&id).cloned().ok_or(id);
        if let Some(id) = of.transport {
            return Ok(Choice { route: None, transport: Some(find(id)?) });
        }
        let own = self.accounts.get(&of.account).into_iter().flatten();
        let domain = self.domains.get(of.from).into_iter().flatten();
        let Some(rule) = own.chain(domain).chain(&self.all).find(|rule| rule.matches(of)) else {
            return Ok(Choice { route: None, transport: None });
        };
        Ok(Choice { route: Some(rule.id), transport: Some(find(rule.transport)?) })
    }

    fn add(&mut self, route: Route, domain: Option<String>) {
        let rule = Rule {
            id: route.id,
            from: route.from_domains,
            to: route.to_domains,
            minimum_attempts: u16::try_from(route.minimum_attempts).unwrap_or(0),
            transport: route.transport_id,
        };
        let list = match (route.account_id, domain) {
            (Some(account), _) => self.accounts.entry(account).or_default(),
            (None, Some(name)) => self.domains.entry(name).or_default(),
            (None, None) => &mut self.all,
        };
        list.push(rule);
    }
}

impl Rule {
    fn matches(&self, of: &Traveller<'_>) -> bool {
        of.attempts >= self.minimum_attempts
            && is_among(&self.from, of.from)
            && is_among(&self.to, of.to)
    }
}

fn is_among(domains: &[String], name: &str) -> bool {
    let covers = |domain: &String| match domain.strip_prefix('.') {
        None => domain == name,
        Some(parent) => {
            let rest = name.strip_suffix(parent);
            rest.is_some_and(|rest| rest.is_empty() || rest.ends_with('.'))
        }
    };
    domains.is_empty() || domains.iter().any(covers)
}

/// Makes this node follow what the database says.
pub(crate) async fn load(platform: &Platform) -> Result<()> {
    let routing = &platform.queue().routing;
    let _turn = routing.turn.lock().await;
    let mut tx = platform.begin("routing.load").await?;
    store::as_of_now(tx.conn()).await?;
    let version = store::version(tx.conn()).await?;
    if version == routing.table().version {
        return Ok(());
    }
    let mut table = Table { version, ..Table::default() };
    for transport in store::all_transports(tx.conn()).await? {
        let (id, name, kind) = (transport.id, transport.name.clone(), transport.kind);
        match way(platform.vault(), transport) {
            Ok(way) => drop(table.transports.insert(id, Arc::new(Known { id, name, kind, way }))),
            Err(error) => {
                tracing::error!(transport.id = %id, error = ?error, "a transport cannot be used");
            }
        }
    }
    for (route, domain) in store::all_routes(tx.conn()).await? {
        table.add(route, domain);
    }
    lane_rules::load(platform, tx.conn()).await?;
    *routing.table.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(table);
    Ok(())
}

#[cfg(test)]
mod tests {
    use time::OffsetDateTime;

    use super::*;

    const NOW: OffsetDateTime = OffsetDateTime::UNIX_EPOCH;

    #[derive(Default)]
    struct Lists(Table);

    impl Lists {
        /// A transport of that name.
        fn transport(&mut self, name: &str) -> Id<id::Transport> {
            let id = Id::new(NOW);
            let known =
                Known { id, name: name.to_owned(), kind: Kind::Direct, way: Way::default() };
            self.0.transports.insert(id, Arc::new(known));
            id
        }

        /// A route for all to a transport of its own.
        fn route(&mut self, name: &str, change: impl FnOnce(&mut Route, &mut Option<String>)) {
            let mut route = Route {
                id: Id::new(NOW),
                account_id: None,
                domain_id: None,
                position: 0,
                from_domains: Vec::new(),
                to_domains: Vec::new(),
                minimum_attempts: 0,
                transport_id: self.transport(name),
                description: String::new(),
                created_at: NOW,
            };
            let mut domain = None;
            change(&mut route, &mut domain);
            self.0.add(route, domain);
        }

        fn choose(&self, of: &Traveller<'_>) -> String {
            let choice = self.0.choose(of).unwrap();
            choice.transport.map_or_else(|| "none".to_owned(), |known| known.name.clone())
        }
    }

    #[test]
    fn lists_are_asked_from_the_account_to_all() {
        let account = Id::new(NOW);
        let mut lists = Lists::default();
        let of = Traveller { account, from: "a.test", to: "b.test", attempts: 0, transport: None };
        assert_eq!(lists.choose(&of), "none");
        lists.route("all", |_, _| {});
        assert_eq!(lists.choose(&of), "all");
        lists.route("all too", |_, _| {});
        assert_eq!(lists.choose(&of), "all", "the first counts");
        lists.route("domain", |_, domain| *domain = Some("a.test".to_owned()));
        assert_eq!(lists.choose(&of), "domain");
        assert_eq!(lists.choose(&Traveller { from: "", ..of }), "all");
        lists.route("retries", |route, _| {
            route.account_id = Some(account);
            route.minimum_attempts = 2;
        });
        assert_eq!(lists.choose(&Traveller { attempts: 1, ..of }), "domain");
        assert_eq!(lists.choose(&Traveller { attempts: 2, ..of }), "retries");
        let other = Traveller { account: Id::new(NOW), attempts: 2, ..of };
        assert_eq!(lists.choose(&other), "domain");
        let chosen = lists.transport("chosen");
        assert_eq!(lists.choose(&Traveller { transport: Some(chosen), ..of }), "chosen");
        let gone = Id::new(NOW);
        let gone = lists.0.choose(&Traveller { transport: Some(gone), ..of }) == Err(gone);
        assert!(gone, "nothing takes the place of what was chosen");
    }

    #[test]
    fn a_dot_in_front_means_the_domain_and_what_is_below() {
        let list = |domains: &[&str]| domains.iter().map(|text| (*text).to_owned()).collect();
        let among = |domains: Vec<String>, name| is_among(&domains, name);
        assert!(among(list(&[]), ""));
        assert!(among(list(&["x.test", "b.test"]), "b.test"));
        assert!(!among(list(&["b.test"]), "a.b.test"));
        for name in ["b.test", "a.b.test", "c.a.b.test"] {
            assert!(among(list(&[".b.test"]), name), "{name}");
        }
        for name in ["", "test", "ab.test", "b.test.x"] {
            assert!(!among(list(&[".b.test"]), name), "{name}");
        }
    }
}
