//! What a local server tells its user and other programs: `localserve.json` and the summary.

use std::{
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    path::PathBuf,
};

use serde::Serialize;

use super::{
    options::Deliver,
    ports::Ports,
    tenant::{ADDRESS, Secrets},
};

/// The shape of `localserve.json`; the names are fixed (API.md).
#[derive(Serialize)]
pub(super) struct Announcement {
    http_url: String,
    docs_url: String,
    smtp: u16,
    submission: u16,
    submissions: u16,
    /// Reserved: nothing listens yet.
    imap: u16,
    /// Reserved: nothing listens yet.
    imaps: u16,
    account: AccountShape,
    api_key: String,
    admin_api_key: String,
    database_url: String,
    tls_ca_file: PathBuf,
    data_dir: PathBuf,
    pid: u32,
    #[serde(skip)]
    host: IpAddr,
    #[serde(skip)]
    deliver: Deliver,
}

#[derive(Serialize)]
struct AccountShape {
    address: &'static str,
    password: String,
}

/// What is announced.
pub(super) struct Facts {
    pub ip: IpAddr,
    pub ports: Ports,
    pub deliver: Deliver,
    pub secrets: Secrets,
    pub database_url: String,
    pub tls_ca_file: PathBuf,
    pub data_dir: PathBuf,
}

/// Where a program on this machine reaches the HTTP API.
pub(super) fn http_url(ip: IpAddr, ports: Ports) -> String {
    format!("http://{}", SocketAddr::new(reachable(ip), ports.http))
}

impl From<Facts> for Announcement {
    fn from(facts: Facts) -> Self {
        let Facts { ports, secrets, .. } = facts;
        let host = reachable(facts.ip);
        let http_url = http_url(facts.ip, ports);
        Self {
            docs_url: format!("{http_url}/docs"),
            http_url,
            smtp: ports.smtp,
            submission: ports.submission,
            submissions: ports.submissions,
            imap: ports.imap,
            imaps: ports.imaps,
            account: AccountShape { address: ADDRESS, password: secrets.password },
            api_key: secrets.api_key,
            admin_api_key: secrets.admin_api_key,
            database_url: facts.database_url,
            tls_ca_file: facts.tls_ca_file,
            data_dir: facts.data_dir,
            pid: std::process::id(),
            host,
            deliver: facts.deliver,
        }
    }
}

impl Announcement {
    /// One line of JSON.
    pub(super) fn json(&self) -> serde_json::Result<String> {
        serde_json::to_string(self)
    }

    /// The summary for people.
    pub(super) fn text(&self) -> String {
        let Self { http_url, docs_url, host, account, .. } = self;
        let at = |port| SocketAddr::new(*host, port);
        let deliver = match self.deliver {
            Deliver::Sandbox => {
                "Mail does not leave this machine: it is delivered into the account.\n\
                 (`--deliver real` sends it.)"
            }
            Deliver::Real => "Mail really leaves this machine, to the servers of its recipients.",
        };
        format!(
            "Posthouse is running; Ctrl-C stops it.\n\
             \n  HTTP API     {http_url}\
             \n  Reference    {docs_url}\
             \n  SMTP         {smtp} (mail from other servers)\
             \n  Submission   {submission} (STARTTLS or plain), {submissions} (TLS)\
             \n  Account      {address}\
             \n  Password     {password}\
             \n  API key      {api_key}\
             \n  Admin key    {admin_api_key}\
             \n  Database     {database_url}\
             \n  TLS CA       {ca}\
             \n  Data         {data}\n\
             \n{deliver}\
             \nPorts {imap} and {imaps} are kept for IMAP, which this version does not serve yet.\n\
             \nSend a message:\n\
             \n  curl {http_url}/v1/messages \\\
             \n    -H 'Authorization: Bearer {api_key}' -H 'Content-Type: application/json' \\\
             \n    -d '{{\"from\":\"{address}\",\"to\":[\"someone@example.com\"],\
             \"subject\":\"Hello\",\"text\":\"My first message.\"}}'\n",
            smtp = at(self.smtp),
            submission = at(self.submission),
            submissions = at(self.submissions),
            address = account.address,
            password = account.password,
            api_key = self.api_key,
            admin_api_key = self.admin_api_key,
            database_url = self.database_url,
            ca = self.tls_ca_file.display(),
            data = self.data_dir.display(),
            imap = self.imap,
            imaps = self.imaps,
        )
    }
}

/// An address that clients can connect to when we listen on `ip`.
fn reachable(ip: IpAddr) -> IpAddr {
    match ip {
        IpAddr::V4(v4) if v4.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(v6) if v6.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        ip => ip,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn announcement(ip: &str) -> Announcement {
        Announcement::from(Facts {
            ip: ip.parse().unwrap(),
            ports: Ports::new(1000).unwrap(),
            deliver: Deliver::Sandbox,
            secrets: Secrets {
                password: "pass".to_owned(),
                api_key: "phk_a".to_owned(),
                admin_api_key: "phk_b".to_owned(),
            },
            database_url: "postgres://x".to_owned(),
            tls_ca_file: "/data/tls/ca.pem".into(),
            data_dir: "/data".into(),
        })
    }

    #[test]
    fn the_json_has_the_fixed_names() {
        let json = announcement("127.0.0.1").json().unwrap();
        assert!(!json.contains('\n'));
        let json: serde_json::Value = serde_json::from_str(&json).unwrap();
        assert_eq!(json["http_url"], "http://127.0.0.1:1080");
        assert_eq!(json["docs_url"], "http://127.0.0.1:1080/docs");
        assert_eq!(json["account"]["address"], "posthouse@localhost");
        assert_eq!(json["account"]["password"], "pass");
        assert_eq!(json["tls_ca_file"], "/data/tls/ca.pem");
        let ports = ["smtp", "submission", "submissions", "imap", "imaps"];
        let ports = ports.map(|name| json[name].as_u64().unwrap());
        assert_eq!(ports, [1025, 1587, 1465, 1143, 1993]);
        for name in ["api_key", "admin_api_key", "database_url", "data_dir"] {
            assert!(json[name].is_string(), "{name}");
        }
    }

    #[test]
    fn the_url_can_be_connected_to() {
        assert!(announcement("0.0.0.0").text().contains(" http://127.0.0.1:1080/v1/messages "));
        assert!(announcement("::").text().contains(" http://[::1]:1080/v1/messages "));
    }
}
