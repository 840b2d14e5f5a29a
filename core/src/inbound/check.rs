//! Questions that are answered before the data of a message is sent.

use posthouse_mail::address::Address;

use super::{
    ConnectionFacts, Recipient,
    refusals::{self, Origin, Refused},
};
use crate::{
    error::{Error, Result},
    inbound_routes::{Asked, ask_envelope},
    messages::ReversePath,
    platform::Platform,
    ports::DnsError,
};

/// Whether mail with this reverse-path is taken: its domain must accept mail, so that a report can
/// reach the sender (A8).
///
/// # Errors
/// `PolicyRejected`, `Unavailable` when DNS does not answer.
pub async fn check_sender(platform: &Platform, mail_from: &ReversePath) -> Result<()> {
    let ReversePath::Address(address) = mail_from else {
        return Ok(());
    };
    // The sandbox has no Internet to ask.
    if platform.config().sandbox {
        return Ok(());
    }
    let domain = address.domain();
    if platform.directory().domain(platform, domain).await?.is_some() {
        return Ok(());
    }
    let refused = || Error::PolicyRejected("the domain of the sender does not accept mail".into());
    match platform.resolver().mx(domain).await {
        Ok(records) if records.iter().all(|record| record.exchange.is_empty()) => Err(refused()),
        Ok(_) => Ok(()),
        Err(DnsError::NoName) => Err(refused()),
        Err(DnsError::NoRecord) => match platform.resolver().addresses(domain).await {
            Ok(_) => Ok(()),
            Err(DnsError::NoName | DnsError::NoRecord) => Err(refused()),
            Err(error @ DnsError::Temporary(_)) => Err(Error::unavailable(error)),
        },
        Err(error @ DnsError::Temporary(_)) => Err(Error::unavailable(error)),
    }
}

/// Whether `address` is at home here, and where it leads (decision 0.18, I1 to I3).
///
/// # Errors
/// `UnknownRecipient` (also for domains that are not served here: this is no relay),
/// `DomainDisabled`, `Unavailable`.
pub async fn check_recipient(platform: &Platform, address: &Address) -> Result<Recipient> {
    let directory = platform.directory();
    if let Some(domain) = directory.domain(platform, address.domain()).await?
        && domain.disabled
    {
        return Err(Error::DomainDisabled(address.domain().to_owned()));
    }
    let local = directory.resolve(platform, address).await?.ok_or(Error::UnknownRecipient)?;
    Ok(Recipient { address: address.clone(), account: local.account, alone: false })
}

/// Whether the routes of the recipient's account take mail with this envelope; `others` were taken
/// before. Reports about deliveries of the account are taken, and whatever is for postmaster
/// (RFC 5321 §4.5.1).
///
/// # Errors
/// `PolicyRejected`, `TooManyRecipients` when the content is to be known and that recipient needs an
/// answer of its own, `Unavailable`.
pub async fn ask_routes(
    platform: &Platform,
    mail_from: &ReversePath,
    recipient: &mut Recipient,
    others: &[Recipient],
    facts: &ConnectionFacts,
) -> Result<()> {
    let Recipient { address, account, .. } = &*recipient;
    let routes = platform.inbound_routes().of(platform, *account).await?;
    let is_taken = address.local().eq_ignore_ascii_case("postmaster")
        || platform.token_key().open_address(*account, address).is_some();
    let sender = mail_from.as_text();
    let asked =
        if is_taken { Asked::Taken } else { ask_envelope(&routes, &sender, &address.to_string()) };
    match asked {
        Asked::Taken => {}
        Asked::Depends => recipient.alone = true,
        Asked::Refused(rejection) => {
            let whose = vec![(*account, address.to_string(), Some(rejection.route))];
            let refused = Refused { error: Error::PolicyRejected(rejection.text), whose };
            let origin = Origin {
                mail_from: &sender,
                remote_address: Some(facts.remote_address),
                helo: &facts.helo,
                parsed: None,
            };
            refusals::tell(platform, &refused, origin).await;
            return Err(refused.error);
        }
    }
    if !others.is_empty() && (recipient.alone || others.iter().any(|other| other.alone)) {
        return Err(Error::TooManyRecipients { limit: 1 });
    }
    Ok(())
}

/// The recipient that `RCPT TO:<Postmaster>` means (RFC 5321 §4.1.1.3).
///
/// # Errors
/// `UnknownRecipient`, `Unavailable`.
pub async fn check_postmaster(platform: &Platform) -> Result<Recipient> {
    let text = format!("postmaster@{}", platform.config().hostname);
    let address = Address::parse(&text).map_err(Error::internal)?;
    check_recipient(platform, &address).await
}
