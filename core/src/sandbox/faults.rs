//! What the sandbox is to do wrong, so that a program can be tried against servers at their worst.

use std::time::Duration;

use posthouse_mail::pattern;
use rand::Rng as _;
use serde::{Deserialize, Serialize};
use sqlx::{PgConnection, types::Json};

use crate::{
    cx::Cx,
    error::{Error, FieldError, Result},
    id::{Account, Id},
    ports::transport::Reply,
    scope::Scope,
};

/// Most faults of an account.
pub const MAX_FAULTS: usize = 50;
/// Longest pattern, in characters.
const MAX_PATTERN: usize = 320;
/// Longest reply, in characters.
const MAX_REPLY: usize = 200;
/// Longest delay.
const MAX_DELAY: u32 = 3600;

/// Something that goes wrong. The first of an account that fits an attempt happens.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fault {
    /// Pattern of recipients that it happens to, `*` for any characters; none: to all.
    pub recipient: Option<String>,
    /// Code that the recipient is refused with, 400 to 599; none: it is only slow.
    pub smtp_code: Option<u16>,
    /// Enhanced status code (RFC 3463) of the class of the code.
    pub enhanced_code: Option<String>,
    /// Text of the reply.
    pub reply: Option<String>,
    /// How long the server takes, in seconds.
    pub delay_seconds: Option<u32>,
    /// Only the first so many attempts of a delivery, as with greylisting; none: all.
    pub attempts: Option<u16>,
    /// Happens to so many of a hundred; none: to all.
    pub percent: Option<u8>,
}

/// What happens in one attempt.
pub(super) struct Mishap {
    pub delay: Duration,
    pub refusal: Option<Reply>,
}

/// The faults of the caller's account.
///
/// # Errors
/// `Forbidden`.
pub async fn faults(cx: &Cx) -> Result<Vec<Fault>> {
    cx.require(Scope::MessagesRead)?;
    let mut conn = cx.platform().acquire().await?;
    find(&mut conn, cx.account()).await
}

/// Replaces the faults of the caller's account; they hold for every attempt that begins after.
///
/// # Errors
/// `Forbidden`, `InvalidInput`.
pub async fn set_faults(cx: &Cx, faults: Vec<Fault>) -> Result<Vec<Fault>> {
    cx.require(Scope::MessagesWrite)?;
    Error::unless_empty(fault_faults(&faults))?;
    let mut tx = cx.begin("sandbox.set_faults").await?;
    sqlx::query!(
        "INSERT INTO sandbox_faults (account_id, faults) VALUES ($1, $2)
         ON CONFLICT (account_id) DO UPDATE SET faults = excluded.faults",
        cx.account().uuid(),
        Json(&faults) as _
    )
    .execute(tx.conn())
    .await?;
    tx.commit().await?;
    Ok(faults)
}

/// Everything that [`set_faults`] will find wrong.
pub fn fault_faults(faults: &[Fault]) -> Vec<FieldError> {
    let mut found = Vec::new();
    if faults.len() > MAX_FAULTS {
        let detail = format!("at most {MAX_FAULTS} faults");
        found.push(FieldError::new("/faults", "too_many", detail));
    }
    for (index, fault) in faults.iter().enumerate().take(MAX_FAULTS) {
        let fields = check(fault).into_iter();
        found.extend(fields.map(|(field, code, detail)| {
            FieldError::new(format!("/faults/{index}/{field}"), code, detail)
        }));
    }
    found
}

fn check(fault: &Fault) -> Vec<(&'static str, &'static str, String)> {
    let mut found = Vec::new();
    let mut require = |holds: bool, field, code, detail: String| {
        if !holds {
            found.push((field, code, detail));
        }
    };
    let is_text = |text: &str, most| {
        (1..=most).contains(&text.chars().count()) && !text.chars().any(char::is_control)
    };
    let text = |most| format!("1 to {most} characters, none of control");
    let pattern = fault.recipient.as_deref().is_none_or(|text| is_text(text, MAX_PATTERN));
    require(pattern, "recipient", "invalid_pattern", text(MAX_PATTERN));
    let code = fault.smtp_code.is_none_or(|code| (400..600).contains(&code));
    require(code, "smtp_code", "out_of_range", "expected 400 to 599".to_owned());
    let reply = fault.reply.as_deref().is_none_or(|text| is_text(text, MAX_REPLY));
    require(reply, "reply", "invalid_text", text(MAX_REPLY));
    let enhanced = fault.enhanced_code.as_deref().is_none_or(|enhanced| {
        is_enhanced(enhanced) && fault.smtp_code.is_some_and(|code| is_of_class(enhanced, code))
    });
    let detail = "a code such as 4.7.1, of the class of smtp_code (RFC 3463 §2)";
    require(enhanced, "enhanced_code", "invalid_value", detail.to_owned());
    let delay = fault.delay_seconds.is_none_or(|seconds| seconds <= MAX_DELAY);
    let detail = format!("at most {MAX_DELAY} seconds");
    require(delay, "delay_seconds", "out_of_range", detail);
    let attempts = fault.attempts.is_none_or(|attempts| attempts > 0);
    require(attempts, "attempts", "out_of_range", "must be positive".to_owned());
    let percent = fault.percent.is_none_or(|percent| (1..=100).contains(&percent));
    require(percent, "percent", "out_of_range", "expected 1 to 100".to_owned());
    let does = fault.smtp_code.is_some() || fault.delay_seconds.is_some();
    let detail = "give smtp_code, or delay_seconds, or both";
    require(does, "smtp_code", "required", detail.to_owned());
    found
}

fn is_enhanced(text: &str) -> bool {
    let parts: Vec<&str> = text.split('.').collect();
    let is_number = |part: &&str| {
        (1..=3).contains(&part.len()) && part.bytes().all(|byte| byte.is_ascii_digit())
    };
    parts.len() == 3 && parts.iter().all(is_number)
}

fn is_of_class(enhanced: &str, code: u16) -> bool {
    enhanced.split('.').next() == Some(&(code / 100).to_string())
}

async fn find(conn: &mut PgConnection, account: Id<Account>) -> Result<Vec<Fault>> {
    let found = sqlx::query_scalar!(
        r#"SELECT faults AS "faults: Json<Vec<Fault>>" FROM sandbox_faults WHERE account_id = $1"#,
        account.uuid()
    )
    .fetch_optional(conn)
    .await?;
    Ok(found.map(|Json(faults)| faults).unwrap_or_default())
}

/// What goes wrong in an attempt for `recipient`, of which there were `attempts` before.
pub(super) async fn mishap(
    conn: &mut PgConnection,
    account: Id<Account>,
    (recipient, attempts): (&str, u16),
) -> Result<Option<Mishap>> {
    let recipient = recipient.to_lowercase();
    let fits = |fault: &Fault| {
        let wanted = fault.recipient.as_ref().map(|pattern| pattern.to_lowercase());
        wanted.is_none_or(|wanted| pattern::matches(&wanted, &recipient))
            && fault.attempts.is_none_or(|first| attempts < first)
            && fault.percent.is_none_or(|percent| rand::rng().random_range(0..100) < percent)
    };
    let fault = find(conn, account).await?.into_iter().find(fits);
    Ok(fault.map(Mishap::from))
}

impl From<Fault> for Mishap {
    fn from(fault: Fault) -> Self {
        let delay = Duration::from_secs(fault.delay_seconds.unwrap_or(0).into());
        let refusal = fault.smtp_code.map(|code| Reply {
            code: Some(code),
            enhanced: fault.enhanced_code.or_else(|| Some(format!("{}.0.0", code / 100))),
            text: fault.reply.unwrap_or_else(|| "the sandbox plays a fault".to_owned()),
        });
        Self { delay, refusal }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_that_is_wrong_is_told() {
        let good = Fault {
            recipient: Some("*@example.net".to_owned()),
            smtp_code: Some(451),
            enhanced_code: Some("4.7.1".to_owned()),
            reply: Some("Greylisted".to_owned()),
            delay_seconds: Some(3600),
            attempts: Some(1),
            percent: Some(100),
        };
        assert_eq!(check(&good), []);
        let bad = Fault {
            recipient: Some(String::new()),
            smtp_code: Some(250),
            enhanced_code: Some("2.0".to_owned()),
            reply: Some("two\nlines".to_owned()),
            delay_seconds: Some(3601),
            attempts: Some(0),
            percent: Some(0),
        };
        let fields: Vec<_> = check(&bad).into_iter().map(|(field, ..)| field).collect();
        let expected = [
            "recipient",
            "smtp_code",
            "reply",
            "enhanced_code",
            "delay_seconds",
            "attempts",
            "percent",
        ];
        assert_eq!(fields, expected);
        let other_class = Fault { enhanced_code: Some("5.7.1".to_owned()), ..good };
        assert_eq!(check(&other_class)[0].0, "enhanced_code");
        assert_eq!(check(&Fault::default())[0].1, "required");
    }
}
