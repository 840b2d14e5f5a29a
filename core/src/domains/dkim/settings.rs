//! How a domain signs.

use posthouse_mail::dkim::{self, Canonicalization, OVERSIGNED};
use serde::{Deserialize, Serialize};
use time::Duration;

use crate::error::FieldError;

/// A year: nothing is on its way for longer.
const MAX_SECONDS: i32 = 31_536_000;

/// How a domain signs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Settings {
    /// Of header and body: `relaxed/relaxed`, `relaxed/simple`, `simple/relaxed`, `simple/simple`.
    pub canonicalization: String,
    /// Signatures end so long after signing; 0: never.
    pub expires_in_seconds: i32,
    /// Fields that are signed once more than they are present.
    pub oversigned_headers: Vec<String>,
    /// The record of a retired key is needed for so long.
    pub overlap_seconds: i32,
}

/// Changes of them; absent fields stay.
#[derive(Debug, Clone, Default)]
pub struct SettingsPatch {
    /// Of header and body.
    pub canonicalization: Option<String>,
    /// Life of signatures.
    pub expires_in_seconds: Option<i32>,
    /// Fields that are signed once more than they are present; empty: the usual ones.
    pub oversigned_headers: Option<Vec<String>>,
    /// Life of records after their keys.
    pub overlap_seconds: Option<i32>,
}

/// The usual fields.
pub(in crate::domains) fn usual_fields() -> Vec<String> {
    OVERSIGNED.iter().map(|name| (*name).to_owned()).collect()
}

fn forms(text: &str) -> Option<(Canonicalization, Canonicalization)> {
    let (header, body) = text.split_once('/')?;
    Some((Canonicalization::parse(header)?, Canonicalization::parse(body)?))
}

/// As the signer takes them.
pub(in crate::domains) fn of_signer(settings: &Settings) -> dkim::Settings {
    let (header, body) = forms(&settings.canonicalization).unwrap_or_default();
    dkim::Settings {
        header,
        body,
        expires_in: Duration::seconds(settings.expires_in_seconds.into()),
        oversigned: settings.oversigned_headers.clone(),
    }
}

/// What is wrong with changes. Whether the overlap is longer than signatures live, the database knows.
pub(in crate::domains) fn faults(patch: &SettingsPatch) -> Vec<FieldError> {
    let mut faults = Vec::new();
    if patch.canonicalization.as_deref().is_some_and(|text| forms(text).is_none()) {
        let detail =
            "expected relaxed or simple for the header, a slash, and the same for the body";
        faults.push(FieldError::new("/dkim/canonicalization", "invalid_value", detail));
    }
    let is_out = |seconds: Option<i32>, least: i32| {
        seconds.is_some_and(|seconds| !(least..=MAX_SECONDS).contains(&seconds))
    };
    // Less than an hour is over before a message has waited for its second attempt.
    if patch.expires_in_seconds.is_some_and(|seconds| seconds != 0)
        && is_out(patch.expires_in_seconds, 3600)
    {
        let detail = "a signature lives for an hour to a year; 0: for ever";
        faults.push(FieldError::new("/dkim/expires_in_seconds", "out_of_range", detail));
    }
    if is_out(patch.overlap_seconds, 3600) {
        let detail = "an overlap is an hour to a year";
        faults.push(FieldError::new("/dkim/overlap_seconds", "out_of_range", detail));
    }
    if let Some(names) = patch.oversigned_headers.as_ref().filter(|names| !names.is_empty())
        && let Some(detail) = dkim::oversigned_fault(names)
    {
        faults.push(FieldError::new("/dkim/oversigned_headers", "invalid_headers", detail));
    }
    faults
}
