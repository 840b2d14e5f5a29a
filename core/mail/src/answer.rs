//! Answering and forwarding as mail programs do: recipients, subject, thread, quoted text.
//!
//! RFC 5322 §3.6.2 to 3.6.5; Mail-Followup-To as programs for mailing lists write it. Who the
//! account itself is, the caller says.

use crate::{
    address::{Address, EmailAddress, NamedAddress, parse_address_list},
    compose::is_message_id,
    date,
    html::escape,
    message::header_fields,
    parse::Envelope,
};

/// Most Message-IDs in References; the first and the last stay (RFC 5537 §3.4.4 gives the idea).
const MAX_REFERENCES: usize = 50;
/// Most octets of a text that is quoted.
const MAX_QUOTED: usize = 256 * 1024;

/// Marks of replies as programs in several languages write them.
const REPLY_MARKS: [&str; 7] = ["re", "aw", "antw", "sv", "vs", "res", "odp"];
/// Marks of forwarded mail.
const FORWARD_MARKS: [&str; 6] = ["fwd", "fw", "wg", "tr", "rv", "doorst"];

/// Whether all recipients get the answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum To {
    /// Who wrote it.
    Author,
    /// Everybody who has it.
    All,
}

/// Where an answer goes.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Recipients {
    /// Primary recipients.
    pub to: Vec<NamedAddress>,
    /// Copied recipients.
    pub cc: Vec<NamedAddress>,
}

/// Addresses of the header field Mail-Followup-To.
pub fn followup_to(header: &[u8]) -> Vec<EmailAddress> {
    let field =
        header_fields(header).find(|(name, _)| name.eq_ignore_ascii_case("mail-followup-to"));
    field.map_or_else(Vec::new, |(_, value)| parse_address_list(value).addresses)
}

/// Where an answer goes; `followup_to` is what the mail asks for, `is_mine` knows the account. To a
/// mail of one's own, the answer goes to its recipients.
pub fn recipients(
    mail: &Envelope,
    followup_to: &[EmailAddress],
    to: To,
    is_mine: impl Fn(&Address) -> bool,
) -> Recipients {
    let author = if mail.reply_to.is_empty() { &mail.from } else { &mail.reply_to };
    let (author, own) = (named(author), named(&mail.from));
    let is_own = !own.is_empty() && own.iter().all(|named| is_mine(&named.address));
    let mut seen = Vec::new();
    let mut fresh = |list: Vec<NamedAddress>, keep_mine: bool| {
        let mut new = Vec::new();
        for named in list {
            let wanted = keep_mine || !is_mine(&named.address);
            if wanted && !seen.contains(&named.address) {
                seen.push(named.address.clone());
                new.push(named);
            }
        }
        new
    };
    if to == To::All && !followup_to.is_empty() {
        let to = fresh(named(followup_to), false);
        return Recipients { to, cc: Vec::new() };
    }
    if is_own && mail.reply_to.is_empty() {
        let to_again = fresh(named(&mail.to), true);
        let cc = if to == To::All { fresh(named(&mail.cc), true) } else { Vec::new() };
        return Recipients { to: to_again, cc };
    }
    let primary = fresh(author, true);
    let others = mail.to.iter().chain(&mail.cc).cloned().collect::<Vec<_>>();
    let cc = if to == To::All { fresh(named(&others), false) } else { Vec::new() };
    Recipients { to: primary, cc }
}

/// Addresses that can be written to.
pub fn named(list: &[EmailAddress]) -> Vec<NamedAddress> {
    let parse = |address: &EmailAddress| {
        let parsed = Address::parse(&address.email).ok()?;
        let name = address.name.as_deref();
        NamedAddress::new(name, parsed.clone()).or_else(|_| NamedAddress::new(None, parsed)).ok()
    };
    list.iter().filter_map(parse).collect()
}

/// The subject of an answer: one `Re:`.
pub fn reply_subject(subject: &str) -> String {
    mark("Re: ", subject, &REPLY_MARKS)
}

/// The subject of a forwarded mail: one `Fwd:`.
pub fn forward_subject(subject: &str) -> String {
    mark("Fwd: ", subject, &FORWARD_MARKS)
}

fn mark(mark: &str, subject: &str, known: &[&str]) -> String {
    let mut rest = subject.trim();
    while let Some((head, tail)) = rest.split_once(':') {
        // `Re[2]:`
        let word = head.split('[').next().unwrap_or("").trim_end();
        if !known.iter().any(|known| known.eq_ignore_ascii_case(word)) {
            break;
        }
        rest = tail.trim_start();
    }
    // A subject has at most 4,096 octets when it is sent.
    let end = rest.floor_char_boundary(4000);
    format!("{mark}{}", rest.get(..end).unwrap_or("")).trim_end().to_owned()
}

/// In-Reply-To and References of an answer.
pub fn references(mail: &Envelope) -> (Option<String>, Vec<String>) {
    let fits = |id: &&String| is_message_id(id) && id.len() <= 250;
    let answered = mail.message_id.iter().find(fits).cloned();
    let earlier = if mail.references.is_empty() && mail.in_reply_to.len() == 1 {
        &mail.in_reply_to
    } else {
        &mail.references
    };
    let mut references: Vec<String> = earlier.iter().filter(fits).cloned().collect();
    references.retain(|id| Some(id) != answered.as_ref());
    references.extend(answered.clone());
    if references.len() > MAX_REFERENCES {
        references.drain(1..=references.len() - MAX_REFERENCES);
    }
    (answered, references)
}

/// `On …, Bob wrote:`
pub fn attribution(mail: &Envelope) -> String {
    let author = mail.from.first();
    let who = author.map_or_else(|| "somebody".to_owned(), display);
    mail.date.map_or_else(
        || format!("{who} wrote:"),
        |at| format!("On {}, {who} wrote:", date::format(at)),
    )
}

fn display(address: &EmailAddress) -> String {
    let email = &address.email;
    address.name.as_ref().map_or_else(|| email.clone(), |name| format!("{name} <{email}>"))
}

/// The first lines of a forwarded mail.
fn forward_lines(mail: &Envelope) -> Vec<(&'static str, String)> {
    let list = |list: &[EmailAddress]| {
        let shown: Vec<String> = list.iter().take(100).map(display).collect();
        shown.join(", ")
    };
    let mut lines = vec![("From", list(&mail.from))];
    lines.push(("Date", mail.date.map(date::format).unwrap_or_default()));
    lines.push(("Subject", mail.subject.clone().unwrap_or_default()));
    lines.push(("To", list(&mail.to)));
    lines.push(("Cc", list(&mail.cc)));
    lines.retain(|(_, value)| !value.is_empty());
    lines
}

fn start(text: &str) -> &str {
    text.get(..text.floor_char_boundary(MAX_QUOTED)).unwrap_or("")
}

/// The text of an answer with what it answers below.
pub fn quote_text(text: &str, mail: &Envelope, original: &str) -> String {
    let mut out = format!("{}\n\n{}\n", text.trim_end(), attribution(mail));
    for line in start(original).trim_end().lines() {
        out.push_str(if line.starts_with('>') || line.is_empty() { ">" } else { "> " });
        out.push_str(line);
        out.push('\n');
    }
    out
}

/// The HTML of an answer with what it answers below; `original` is harmless HTML.
pub fn quote_html(html: &str, mail: &Envelope, original: &str) -> String {
    format!(
        "{html}<br><div>{}</div><blockquote type=\"cite\" \
         style=\"margin:0 0 0 .8ex;border-left:1px solid #ccc;padding-left:1ex\">{original}</blockquote>",
        escape(&attribution(mail))
    )
}

/// The text of a forwarded mail.
pub fn forward_text(text: &str, mail: &Envelope, original: &str) -> String {
    let mut out = text.trim_end().to_owned();
    if !out.is_empty() {
        out.push_str("\n\n");
    }
    out.push_str("---------- Forwarded message ----------\n");
    for (name, value) in forward_lines(mail) {
        out.extend([name, ": ", value.as_str(), "\n"]);
    }
    out.push('\n');
    out.push_str(start(original));
    out
}

/// The HTML of a forwarded mail; `original` is harmless HTML.
pub fn forward_html(html: &str, mail: &Envelope, original: &str) -> String {
    let mut lines = String::new();
    for (name, value) in forward_lines(mail) {
        lines.extend(["<b>", name, ":</b> ", &*escape(&value), "<br>"]);
    }
    let rule = "---------- Forwarded message ----------";
    let above = if html.is_empty() { String::new() } else { format!("{html}<br>") };
    format!("{above}<div>{rule}<br>{lines}</div><br>{original}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::parse::ParsedMail;

    fn envelope(header: &str) -> Envelope {
        ParsedMail::parse(format!("{header}\r\n\r\nx").as_bytes()).envelope
    }

    fn shown(list: &[NamedAddress]) -> String {
        list.iter().map(|named| named.address.to_string()).collect::<Vec<_>>().join(" ")
    }

    fn goes_to(header: &str, to: To) -> (String, String) {
        let mail = envelope(header);
        let followup = followup_to(format!("{header}\r\n\r\n").as_bytes());
        let mine = |address: &Address| address.to_string().starts_with("me");
        let recipients = recipients(&mail, &followup, to, mine);
        (shown(&recipients.to), shown(&recipients.cc))
    }

    #[test]
    fn an_answer_goes_to_whom_a_mail_program_would_send_it() {
        let plain = "From: Bob <bob@b.test>\r\nTo: me@a.test, carol@c.test\r\nCc: dave@d.test, me+x@a.test, bob@b.test";
        let directed = format!("{plain}\r\nReply-To: list@l.test");
        let followup = format!("{directed}\r\nMail-Followup-To: list@l.test, me@a.test");
        let own = "From: me@a.test\r\nTo: bob@b.test\r\nCc: carol@c.test";
        for (header, to, expected) in [
            (plain, To::Author, ("bob@b.test", "")),
            (plain, To::All, ("bob@b.test", "carol@c.test dave@d.test")),
            (&directed, To::Author, ("list@l.test", "")),
            (&directed, To::All, ("list@l.test", "carol@c.test dave@d.test bob@b.test")),
            (&followup, To::All, ("list@l.test", "")),
            (&followup, To::Author, ("list@l.test", "")),
            (own, To::Author, ("bob@b.test", "")),
            (own, To::All, ("bob@b.test", "carol@c.test")),
            ("From: nobody, bob@b.test", To::All, ("bob@b.test", "")),
            ("Subject: x", To::All, ("", "")),
        ] {
            let (to, cc) = goes_to(header, to);
            assert_eq!((to.as_str(), cc.as_str()), expected, "{header}");
        }
    }

    #[test]
    fn subjects_are_marked_once() {
        for (subject, reply, forward) in [
            ("Hello", "Re: Hello", "Fwd: Hello"),
            ("RE: Hello", "Re: Hello", "Fwd: RE: Hello"),
            ("Re[2]: AW: re: Hello", "Re: Hello", "Fwd: Re[2]: AW: re: Hello"),
            ("Fwd: Hello", "Re: Fwd: Hello", "Fwd: Hello"),
            ("Regarding: x", "Re: Regarding: x", "Fwd: Regarding: x"),
            ("", "Re:", "Fwd:"),
        ] {
            assert_eq!(
                (reply_subject(subject).as_str(), forward_subject(subject).as_str()),
                (reply, forward)
            );
        }
    }

    #[test]
    fn references_lead_to_the_first_mail() {
        let mail = envelope("Message-ID: <c@x>\r\nReferences: <a@x> <b@x>\r\nIn-Reply-To: <b@x>");
        let (answered, all) = references(&mail);
        assert_eq!(answered.as_deref(), Some("<c@x>"));
        assert_eq!(all, ["<a@x>", "<b@x>", "<c@x>"]);
        let mail = envelope("Message-ID: <c@x>\r\nIn-Reply-To: <b@x>");
        assert_eq!(references(&mail).1, ["<b@x>", "<c@x>"]);
        let many: Vec<String> = (0..500).map(|n| format!(" <{n}@x>")).collect();
        let many = many.concat();
        let mail = envelope(&format!("Message-ID: <c@x>\r\nReferences:{many}"));
        let all = references(&mail).1;
        assert_eq!(all.len(), 50);
        assert_eq!((all[0].as_str(), all[49].as_str()), ("<0@x>", "<c@x>"));
        assert_eq!(references(&Envelope::default()), (None, Vec::new()));
    }

    #[test]
    fn what_is_answered_is_quoted() {
        let mail = envelope(
            "From: Bob <bob@b.test>\r\nDate: Mon, 2 Mar 2026 10:00:00 +0100\r\nSubject: <x>\r\nTo: me@a.test",
        );
        let text = quote_text("Yes.\n", &mail, "One\n\n> Two\n");
        assert_eq!(
            text,
            "Yes.\n\nOn Mon, 02 Mar 2026 10:00:00 +0100, Bob <bob@b.test> wrote:\n> One\n>\n>> Two\n"
        );
        let html = quote_html("<p>Yes</p>", &mail, "<p>One</p>");
        assert!(
            html.starts_with("<p>Yes</p>") && html.contains("Bob &lt;bob@b.test&gt; wrote:"),
            "{html}"
        );
        let text = forward_text("", &mail, "One");
        assert!(
            text.starts_with("---------- Forwarded")
                && text.contains("\nSubject: <x>\n")
                && text.ends_with("\n\nOne"),
            "{text}"
        );
        assert!(forward_html("", &mail, "<p>One</p>").contains("<b>Subject:</b> &lt;x&gt;<br>"));
    }
}
