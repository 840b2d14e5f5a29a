//! What would become of a message: the checks and look-ups of an attempt, without one.

use std::time::Duration;

use posthouse_mail::address::Address;

use super::{
    QueueState,
    destination::Destination,
    holds::{self, Hold},
    pauses, ways,
};
use crate::{
    cx::Cx,
    error::Result,
    id::{self, Id},
    limits::{self, Usage},
    mta_sts::Sts,
    ports::transport::{Host, Tls},
    routing::{self, Kind, Traveller},
    scope::Scope,
    suppressions::{self, Suppression},
};

/// How long DNS and the web server of an MTA-STS policy may take.
const PATIENCE: Duration = Duration::from_secs(12);

/// Of what message.
#[derive(Debug, Clone)]
pub struct PreviewOf {
    /// Address of the envelope.
    pub recipient: Address,
    /// Reverse-path; none: the null sender.
    pub sender: Option<Address>,
    /// The topic that suppressions are asked about.
    pub topic: Option<String>,
    /// Attempts already made.
    pub attempts: u16,
}

/// What would become of it now.
#[derive(Debug, Clone)]
pub struct Preview {
    /// Where it would go.
    pub via: Via,
    /// The route that says so.
    pub route: Option<Id<id::Route>>,
    /// The transport that it takes.
    pub transport: Option<(Id<id::Transport>, String, Kind)>,
    /// Servers in the order in which they would be tried.
    pub hosts: Vec<Host>,
    /// Their port.
    pub port: Option<u16>,
    /// How the connection would be protected.
    pub tls: Option<Tls>,
    /// The MTA-STS policy of the recipient's domain, which the hosts were held against.
    pub sts: Sts,
    /// The rule that says how fast the hosts are used.
    pub lane_rule: Option<String>,
    /// Why it would not get anywhere.
    pub problem: Option<Problem>,
    /// Entries of the list by which the recipient is suppressed.
    pub suppressions: Vec<Suppression>,
    /// Rules that would hold it.
    pub holds: Vec<Hold>,
    /// Whether attempts are made at the moment.
    pub state: QueueState,
    /// Limits of the account and what was used of them.
    pub usage: Usage,
}

/// Where a message goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Via {
    /// Into a mailbox here.
    Local,
    /// Into the sandbox.
    Sandbox,
    /// To the exchangers of the recipient.
    Direct,
    /// To the smart host of the configuration, or the host of a transport.
    Relay,
    /// Nowhere.
    Nowhere,
}

/// Why an attempt would end without one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// It would fail for good.
    pub permanent: bool,
    /// Enhanced status code.
    pub enhanced: String,
    /// What is wrong.
    pub text: String,
}

/// What the first host says when none may be used.
fn all_barred(hosts: &[Host]) -> Option<Problem> {
    let all: Option<Vec<_>> = hosts.iter().map(|host| host.security.barred.as_deref()).collect();
    let first = *all?.first()?;
    let enhanced = first.enhanced.clone().unwrap_or_else(|| "4.7.0".to_owned());
    Some(Problem { permanent: false, enhanced, text: first.text.clone() })
}

/// Looks what would become of a message of the account. Nothing is sent; only DNS, and the web
/// server of an MTA-STS policy that is not known yet, are asked.
///
/// # Errors
/// `Forbidden`, `Unavailable`.
pub async fn preview(cx: &Cx, of: &PreviewOf) -> Result<Preview> {
    cx.require(Scope::QueueRead)?;
    let topic = of.topic.as_deref();
    let listed = suppressions::look_up(cx, vec![of.recipient.clone()], topic).await?;
    let (from, to) = (of.sender.as_ref().map(Address::to_string), of.recipient.to_string());
    let mut preview = Preview {
        via: Via::Nowhere,
        route: None,
        transport: None,
        hosts: Vec::new(),
        port: None,
        tls: None,
        sts: Sts::Absent,
        lane_rule: None,
        problem: None,
        suppressions: listed.into_iter().flat_map(|one| one.suppressions).collect(),
        holds: holds::that_hold(cx, from.as_deref().unwrap_or(""), &to).await?,
        state: pauses::state(cx).await?,
        usage: limits::usage(cx).await?,
    };
    let platform = cx.platform();
    if cx.actor().sandbox || platform.config().delivery.sandbox {
        preview.via = Via::Sandbox;
        return Ok(preview);
    }
    if platform.directory().domain(platform, of.recipient.domain()).await?.is_some() {
        preview.via = Via::Local;
        if platform.directory().resolve(platform, &of.recipient).await?.is_none() {
            let text = "there is no such recipient here".to_owned();
            preview.problem = Some(Problem { permanent: true, enhanced: "5.1.1".to_owned(), text });
        }
        return Ok(preview);
    }
    find_way(cx, of, &mut preview).await?;
    Ok(preview)
}

/// Asks routes and DNS, as an attempt does.
async fn find_way(cx: &Cx, of: &PreviewOf, preview: &mut Preview) -> Result<()> {
    let platform = cx.platform();
    // A node without deliveries does not hear of changes.
    routing::load(platform).await?;
    let domain = of.recipient.domain();
    let way = platform.queue().routing.choose(&Traveller {
        account: cx.account(),
        from: of.sender.as_ref().map_or("", Address::domain),
        to: domain,
        attempts: of.attempts,
        transport: None,
    });
    if let Ok(choice) = &way {
        preview.route = choice.route;
        preview.transport =
            choice.transport.as_ref().map(|known| (known.id, known.name.clone(), known.kind));
    }
    let looking = ways::destination(platform, &way, domain);
    match tokio::time::timeout(PATIENCE, looking).await {
        Ok(Ok(Destination { hop, relays })) => {
            preview.via = if relays { Via::Relay } else { Via::Direct };
            preview.hosts.clone_from(&hop.hosts);
            (preview.port, preview.tls) = (Some(hop.port), Some(hop.tls));
            preview.sts = hop.sts.clone();
            if !relays {
                preview.lane_rule = platform.queue().lane_rules.name(&hop.hosts);
            }
            preview.problem = all_barred(&hop.hosts);
        }
        Ok(Err(unroutable)) => {
            let (permanent, enhanced) = (unroutable.permanent, unroutable.enhanced.to_owned());
            preview.problem = Some(Problem { permanent, enhanced, text: unroutable.text });
        }
        Err(_) => {
            let text = format!("{domain}: DNS does not answer in time");
            let enhanced = "4.4.3".to_owned();
            preview.problem = Some(Problem { permanent: false, enhanced, text });
        }
    }
    Ok(())
}
