//! The ports of a local server: the usual numbers plus a base.

use std::{
    io::ErrorKind,
    net::{IpAddr, SocketAddr},
};

use anyhow::{Result, bail};
use tokio::net::TcpListener;

use crate::app::Listeners;

const HTTP: u16 = 80;
const SMTP: u16 = 25;
const SUBMISSION: u16 = 587;
const SUBMISSIONS: u16 = 465;
const IMAP: u16 = 143;
const IMAPS: u16 = 993;

/// The ports.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Ports {
    pub http: u16,
    pub smtp: u16,
    pub submission: u16,
    pub submissions: u16,
    /// Reserved: nothing listens yet.
    pub imap: u16,
    /// Reserved: nothing listens yet.
    pub imaps: u16,
}

impl Ports {
    /// The ports above `base`.
    pub(super) fn new(base: u16) -> Result<Self> {
        // The largest: with it, all fit.
        let Some(imaps) = base.checked_add(IMAPS) else {
            bail!("--port-base {base} is too large: at most {} fits", u16::MAX - IMAPS);
        };
        let port = |usual: u16| imaps - IMAPS + usual;
        Ok(Self {
            http: port(HTTP),
            smtp: port(SMTP),
            submission: port(SUBMISSION),
            submissions: port(SUBMISSIONS),
            imap: port(IMAP),
            imaps,
        })
    }

    /// Takes the ports; tells about all that cannot be had.
    pub(super) async fn listen(&self, ip: IpAddr) -> Result<Listeners> {
        let mut faults = Vec::new();
        let mut listen = async |name: &str, port: u16| {
            let address = SocketAddr::new(ip, port);
            match TcpListener::bind(address).await {
                Ok(listener) => Some(listener),
                Err(error) => {
                    faults.push((
                        format!("cannot listen on {address} for {name}: {}", reason(&error)),
                        error.kind(),
                    ));
                    None
                }
            }
        };
        let listeners = Listeners {
            http: listen("HTTP", self.http).await,
            https: None,
            smtp: listen("SMTP", self.smtp).await,
            submission: listen("submission", self.submission).await,
            submissions: listen("submissions", self.submissions).await,
        };
        if faults.is_empty() {
            return Ok(listeners);
        }
        let advice = if faults.iter().any(|(_, kind)| *kind == ErrorKind::AddrNotAvailable) {
            "choose an address of this machine with --ip"
        } else {
            "stop the other program, or choose other ports with --port-base N"
        };
        let texts: Vec<_> = faults.into_iter().map(|(text, _)| text).collect();
        bail!("{}\n{advice}", texts.join("\n"));
    }
}

fn reason(error: &std::io::Error) -> String {
    match error.kind() {
        ErrorKind::AddrInUse => "the port is in use".to_owned(),
        ErrorKind::PermissionDenied => "the port may not be used (below 1024)".to_owned(),
        _ => error.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ports_follow_the_base() {
        let ports = Ports::new(1000).unwrap();
        assert_eq!((ports.http, ports.smtp), (1080, 1025));
        assert_eq!((ports.submission, ports.submissions), (1587, 1465));
        assert_eq!((ports.imap, ports.imaps), (1143, 1993));
        assert!(Ports::new(64_542).is_ok());
        assert!(Ports::new(64_543).unwrap_err().to_string().contains("at most 64542"));
    }

    #[tokio::test]
    async fn every_port_that_is_taken_is_named() {
        let ip = IpAddr::from([127, 0, 0, 1]);
        let taken = TcpListener::bind((ip, 0)).await.unwrap();
        let other = TcpListener::bind((ip, 0)).await.unwrap();
        let port = |listener: &TcpListener| listener.local_addr().unwrap().port();
        let ports = Ports {
            http: port(&taken),
            smtp: port(&other),
            submission: 0,
            submissions: 0,
            imap: 0,
            imaps: 0,
        };
        let error = ports.listen(ip).await.err().unwrap().to_string();
        assert!(error.contains(&format!("127.0.0.1:{} for HTTP: the port is in use", ports.http)));
        assert!(error.contains(&format!("127.0.0.1:{} for SMTP", ports.smtp)));
        assert!(error.contains("--port-base"), "{error}");
    }
}
