//! The records of DKIM keys (RFC 6376 §3.6).

use futures_util::future::join_all;

use super::{Check, policies::tag, probe::Probe};
use crate::{
    domains::dkim::{DkimKey, State},
    platform::Platform,
    ports::DnsError,
};

/// What is in DNS for a key.
#[derive(Debug, PartialEq, Eq)]
enum Seen {
    /// The key, and nothing else.
    Right,
    /// The key, but verifiers are told not to believe it (`t=y`).
    Testing,
    /// Something else; says what is wrong.
    Wrong(&'static str),
    /// Nothing.
    Missing,
    /// Nobody knows.
    Unknown(String),
}

/// Whether the record of a key is in DNS as it should be.
pub(in crate::domains) async fn is_seen(platform: &Platform, key: &DkimKey) -> bool {
    let answer = platform.resolver().txt(&key.record_name).await;
    matches!(judge(answer, &key.record), Seen::Right | Seen::Testing)
}

fn judge(answer: Result<Vec<String>, DnsError>, expected: &str) -> Seen {
    let records = match answer {
        Ok(records) => records,
        Err(DnsError::NoName | DnsError::NoRecord) => return Seen::Missing,
        Err(error @ DnsError::Temporary(_)) => return Seen::Unknown(error.to_string()),
    };
    // RFC 6376 §3.6.2.2: with several records, nobody knows which one a verifier takes.
    let [record] = records.as_slice() else {
        return Seen::Wrong("there are several TXT records where one may be");
    };
    let key = |text: &str| tag(text, "p").map(|key| key.split_whitespace().collect::<String>());
    let lists = |name, wanted: &[&str]| {
        tag(record, name).is_none_or(|list| list.split(':').any(|one| wanted.contains(&one.trim())))
    };
    if key(record) != key(expected) {
        return Seen::Wrong("the record has another public key");
    }
    if tag(record, "v").is_some_and(|version| version != "DKIM1")
        || tag(record, "k").unwrap_or("rsa") != tag(expected, "k").unwrap_or("rsa")
        || !lists("h", &["sha256"])
        || !lists("s", &["*", "email"])
    {
        return Seen::Wrong("the record has the key, but not for signatures like ours");
    }
    let is_test = tag(record, "t").is_some_and(|flags| flags.split(':').any(|f| f.trim() == "y"));
    if is_test { Seen::Testing } else { Seen::Right }
}

/// The check, and the selectors whose records are right.
pub(super) async fn check(probe: &Probe<'_>) -> (Check, Vec<String>) {
    let mut check = Check::new("dkim", true);
    let now = probe.platform.now();
    let keys: Vec<_> = probe.domain.dkim_keys.iter().filter(|key| key.is_needed(now)).collect();
    let answers = keys.iter().map(|key| probe.resolver().proven_txt(&key.record_name));
    let answers = join_all(answers).await;
    if !keys.iter().any(|key| key.is_active()) {
        check.error("no key signs: mail of this domain has no signature");
        check.advise("create a DKIM key, publish its record and activate it");
    }
    check.secure = (!answers.is_empty()).then(|| answers.iter().all(|answer| answer.secure));
    let mut seen = Vec::new();
    for (key, answer) in keys.into_iter().zip(answers) {
        for record in answer.answer.iter().flatten() {
            check.show(&format!("{} {record}", key.record_name));
        }
        let found = judge(answer.answer, &key.record);
        if matches!(found, Seen::Right | Seen::Testing) {
            seen.push(key.selector.clone());
        }
        say(&mut check, key, found);
    }
    (check, seen)
}

fn say(check: &mut Check, key: &DkimKey, found: Seen) {
    let name = &key.record_name;
    let detail = match found {
        Seen::Right => return,
        Seen::Testing => {
            return check.warn(format!("{name} has t=y: others treat the mail as not signed"));
        }
        Seen::Unknown(error) if key.is_active() => {
            return check.unknown(format!("{name}: {error}"));
        }
        Seen::Unknown(error) => return check.warn(format!("{name}: {error}")),
        Seen::Wrong(detail) => detail,
        Seen::Missing => "there is no such record",
    };
    let detail = format!("{name}: {detail}");
    match key.state {
        State::Active => check.error(detail),
        State::Pending | State::Published | State::Retired => check.warn(detail),
    }
    check.advise(format!("publish TXT at {name}: {}", key.record));
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: &str = "v=DKIM1; k=rsa; p=AAAA";

    fn seen(records: &[&str]) -> Seen {
        judge(Ok(records.iter().map(|text| (*text).to_owned()).collect()), KEY)
    }

    #[test]
    fn a_record_has_our_key_and_lets_it_sign() {
        for good in
            [KEY, "p=AA A\tA", "k=rsa;p=AAAA;", "v=DKIM1; s=tlsrpt : email; h=sha1:sha256; p=AAAA"]
        {
            assert_eq!(seen(&[good]), Seen::Right, "{good}");
        }
        for bad in [
            "",
            "p=",
            "v=DKIM1; p=AAAB",
            "v=DKIM2; p=AAAA",
            "k=ed25519; p=AAAA",
            "h=sha1; p=AAAA",
            "s=tlsrpt; p=AAAA",
        ] {
            assert!(matches!(seen(&[bad]), Seen::Wrong(_)), "{bad}");
        }
        assert!(matches!(seen(&[KEY, KEY]), Seen::Wrong(_)));
        assert_eq!(seen(&["t=s:y; p=AAAA"]), Seen::Testing);
        assert_eq!(judge(Err(DnsError::NoName), KEY), Seen::Missing);
        assert!(matches!(judge(Err(DnsError::Temporary(String::new())), KEY), Seen::Unknown(_)));
    }
}
