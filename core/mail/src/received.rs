//! The Received trace field, RFC 5321 §4.4 and RFC 3848.
//!
//! Submission leaves the client out, so that a message does not tell where its author sits.

use std::net::IpAddr;

use time::OffsetDateTime;

use crate::address::Address;
use crate::date;

/// How a message came in: the `with` clause (RFC 3848, RFC 6531 §4.3).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Protocol {
    /// HELO.
    Smtp,
    /// EHLO.
    Esmtp {
        /// Under TLS.
        tls: bool,
        /// Authenticated.
        auth: bool,
        /// With SMTPUTF8.
        utf8: bool,
    },
    /// The HTTP API.
    Http,
}

impl Protocol {
    fn keyword(self) -> String {
        match self {
            Self::Smtp => "SMTP".to_owned(),
            Self::Http => "HTTP".to_owned(),
            Self::Esmtp { tls, auth, utf8 } => {
                let mut keyword = if utf8 { "UTF8SMTP" } else { "ESMTP" }.to_owned();
                keyword.extend(tls.then_some('S'));
                keyword.extend(auth.then_some('A'));
                keyword
            }
        }
    }
}

/// Who handed the message over; leave it out for submission.
#[derive(Debug, Clone, Copy)]
pub struct Client<'a> {
    /// What it said in EHLO.
    pub ehlo: &'a str,
    /// Its verified reverse name.
    pub rdns: Option<&'a str>,
    /// Its address.
    pub ip: IpAddr,
}

/// All a trace field is made of.
#[derive(Debug, Clone, Copy)]
pub struct ReceivedInput<'a> {
    /// The client, `None` for submission and HTTP.
    pub client: Option<Client<'a>>,
    /// Our host name.
    pub by: &'a str,
    /// Our address on that connection.
    pub local_ip: Option<IpAddr>,
    /// The `with` clause.
    pub protocol: Protocol,
    /// TLS version and cipher, such as `TLSv1.3 TLS_AES_256_GCM_SHA384`.
    pub tls: Option<&'a str>,
    /// REQUIRETLS was asked for (RFC 8689).
    pub requiretls: bool,
    /// What leads to the message or connection in our logs; outsiders read it.
    pub id: &'a str,
    /// The recipient, only when there is a single one.
    pub recipient: Option<&'a Address>,
    /// When it came in.
    pub now: OffsetDateTime,
}

/// The field with its folds and final CRLF.
pub fn received_line(input: &ReceivedInput<'_>) -> String {
    let mut line = String::from("Received: ");
    if let Some(client) = &input.client {
        let rdns = client.rdns.map(|name| safe(name) + " ").unwrap_or_default();
        let parts = ["from ", &safe(client.ehlo), " (", &rdns, &ip_literal(client.ip), ")\r\n\t"];
        line.extend(parts);
    }
    line.extend(["by ", &safe(input.by)]);
    if let (Some(ip), Some(_)) = (input.local_ip, &input.client) {
        line.extend([" (", &ip_literal(ip), ")"]);
    }
    if input.protocol != Protocol::Http {
        line.push_str(" via tcp");
    }
    line.extend(["\r\n\twith ", &input.protocol.keyword()]);
    if input.requiretls {
        line.push_str(" (requiretls)");
    }
    line.extend([" id ", &safe(input.id)]);
    if let Some(tls) = input.tls {
        line.extend(["\r\n\t(", &safe(tls), ")"]);
    }
    if let Some(recipient) = input.recipient {
        line.extend(["\r\n\tfor <", &recipient.to_string(), ">"]);
    }
    line.extend([";\r\n\t", &date::format(input.now), "\r\n"]);
    line
}

fn ip_literal(ip: IpAddr) -> String {
    match ip.to_canonical() {
        IpAddr::V4(ip) => format!("[{ip}]"),
        IpAddr::V6(ip) => format!("[IPv6:{ip}]"),
    }
}

/// What a client said, without what would end a comment, a clause or the line.
fn safe(text: &str) -> String {
    let keep = |c: char| c.is_alphanumeric() || " -._:[]@+=/".contains(c);
    text.chars().take(255).map(|c| if keep(c) { c } else { '?' }).collect()
}

#[cfg(test)]
mod tests {
    use time::macros::datetime;

    use super::*;

    fn input() -> ReceivedInput<'static> {
        ReceivedInput {
            client: None,
            by: "mx.example.org",
            local_ip: None,
            protocol: Protocol::Http,
            tls: None,
            requiretls: false,
            id: "msg_1",
            recipient: None,
            now: datetime!(2026-11-21 11:00:00 UTC),
        }
    }

    #[test]
    fn incoming() {
        let recipient = Address::parse("a@example.org").unwrap();
        let line = received_line(&ReceivedInput {
            client: Some(Client {
                ehlo: "evil) by x;\r\nBcc: y",
                rdns: Some("host.example"),
                ip: "2001:db8::1".parse().unwrap(),
            }),
            local_ip: Some("192.0.2.1".parse().unwrap()),
            protocol: Protocol::Esmtp { tls: true, auth: false, utf8: true },
            tls: Some("TLSv1.3 TLS_AES_256_GCM_SHA384"),
            requiretls: true,
            recipient: Some(&recipient),
            ..input()
        });
        assert_eq!(
            line,
            "Received: from evil? by x???Bcc: y (host.example [IPv6:2001:db8::1])\r\n\
             \tby mx.example.org ([192.0.2.1]) via tcp\r\n\
             \twith UTF8SMTPS (requiretls) id msg_1\r\n\
             \t(TLSv1.3 TLS_AES_256_GCM_SHA384)\r\n\
             \tfor <a@example.org>;\r\n\
             \tSat, 21 Nov 2026 11:00:00 +0000\r\n"
        );
    }

    #[test]
    fn submitted() {
        assert_eq!(
            received_line(&input()),
            "Received: by mx.example.org\r\n\twith HTTP id msg_1;\r\n\tSat, 21 Nov 2026 11:00:00 +0000\r\n"
        );
        let smtp = ReceivedInput {
            protocol: Protocol::Esmtp { tls: true, auth: true, utf8: false },
            ..input()
        };
        assert!(received_line(&smtp).contains("via tcp\r\n\twith ESMTPSA id"));
    }
}
