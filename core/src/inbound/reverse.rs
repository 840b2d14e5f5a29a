//! The name of a client, looked up from its address and confirmed ("iprev", RFC 8601 §2.7.3).

use std::{net::IpAddr, sync::Arc, time::Duration};

use crate::{platform::Platform, ports::Resolver};

/// How long the name of a client is looked for.
const PATIENCE: Duration = Duration::from_secs(5);
/// Names of an address that are confirmed.
const NAMES: usize = 10;

/// The name of an address, if that name has the address; for the Received field.
/// The sandbox has no Internet to ask.
pub(super) async fn reverse_name(platform: &Platform, address: IpAddr) -> Option<Arc<str>> {
    if platform.config().sandbox {
        return None;
    }
    confirmed(platform.resolver(), address).await
}

async fn confirmed(resolver: &dyn Resolver, address: IpAddr) -> Option<Arc<str>> {
    let found = async {
        let names = resolver.reverse(address).await.ok()?;
        for name in names.into_iter().take(NAMES) {
            let addresses = resolver.addresses(&name).await.unwrap_or_default();
            if addresses.contains(&address) {
                return Some(name);
            }
        }
        None
    };
    tokio::time::timeout(PATIENCE, found).await.ok().flatten()
}

#[cfg(test)]
mod tests {
    use async_trait::async_trait;

    use super::*;
    use crate::ports::{DnsError, Mx};

    const CLIENT: [u8; 4] = [192, 0, 2, 7];

    /// What DNS says: names of the client, and addresses of names.
    #[derive(Default)]
    struct Fake {
        names: Vec<&'static str>,
        addresses: Vec<(&'static str, [u8; 4])>,
        silent: bool,
    }

    #[async_trait]
    impl Resolver for Fake {
        async fn mx(&self, _name: &str) -> Result<Vec<Mx>, DnsError> {
            Err(DnsError::NoName)
        }
        async fn cname(&self, _name: &str) -> Result<Option<Arc<str>>, DnsError> {
            Err(DnsError::NoName)
        }
        async fn addresses(&self, name: &str) -> Result<Vec<IpAddr>, DnsError> {
            if self.silent {
                std::future::pending::<()>().await;
            }
            let own = self.addresses.iter().filter(|(owner, _)| *owner == name);
            let found: Vec<IpAddr> = own.map(|(_, address)| (*address).into()).collect();
            if found.is_empty() { Err(DnsError::NoName) } else { Ok(found) }
        }
        async fn txt(&self, _name: &str) -> Result<Vec<String>, DnsError> {
            Err(DnsError::NoName)
        }
        async fn reverse(&self, address: IpAddr) -> Result<Vec<Arc<str>>, DnsError> {
            if self.names.is_empty() || address != IpAddr::from(CLIENT) {
                return Err(DnsError::NoName);
            }
            Ok(self.names.iter().map(|name| Arc::from(*name)).collect())
        }
    }

    async fn name(dns: &Fake) -> Option<Arc<str>> {
        confirmed(dns, CLIENT.into()).await
    }

    #[tokio::test]
    async fn a_name_that_leads_back_is_confirmed() {
        let addresses = vec![("mx.remote.test", [192, 0, 2, 8]), ("mx.remote.test", CLIENT)];
        let dns = Fake { names: vec!["mx.remote.test"], addresses, ..Fake::default() };
        assert_eq!(name(&dns).await.as_deref(), Some("mx.remote.test"));
        assert_eq!(confirmed(&dns, [192, 0, 2, 8].into()).await, None, "it has no name of its own");
    }

    #[tokio::test]
    async fn a_name_that_leads_elsewhere_is_not() {
        let addresses = vec![("mx.bank.test", [192, 0, 2, 8])];
        let dns = Fake { names: vec!["mx.bank.test"], addresses, ..Fake::default() };
        assert_eq!(name(&dns).await, None);
        let dns = Fake { names: vec!["nowhere.test"], ..Fake::default() };
        assert_eq!(name(&dns).await, None);
    }

    #[tokio::test]
    async fn an_address_without_a_name_has_none() {
        let dns = Fake { addresses: vec![("mx.remote.test", CLIENT)], ..Fake::default() };
        assert_eq!(name(&dns).await, None);
    }

    #[tokio::test]
    async fn of_several_names_the_first_that_leads_back_counts_but_not_after_ten() {
        let addresses = vec![("b.test", CLIENT), ("c.test", CLIENT)];
        let names = vec!["a.test", "b.test", "c.test"];
        let dns = Fake { names, addresses: addresses.clone(), ..Fake::default() };
        assert_eq!(name(&dns).await.as_deref(), Some("b.test"));
        let names = [vec!["a.test"; NAMES], vec!["b.test"]].concat();
        let dns = Fake { names, addresses, ..Fake::default() };
        assert_eq!(name(&dns).await, None);
    }

    #[tokio::test(start_paused = true)]
    async fn mail_does_not_wait_long_for_a_name() {
        let dns = Fake { names: vec!["mx.remote.test"], silent: true, ..Fake::default() };
        assert_eq!(name(&dns).await, None);
    }
}
