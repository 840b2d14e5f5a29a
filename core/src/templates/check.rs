//! What templates may be called and may say.

use super::{Parts, engine::Compiled};
use crate::{error::FieldError, suppressions::is_topic};

const MAX_DESCRIPTION: usize = 500;
const MAX_SUBJECT: usize = 4096;
const MAX_BODY: usize = 256 * 1024;

pub(super) fn name(name: &str, faults: &mut Vec<FieldError>) {
    if !is_topic(name) {
        let detail = "a name has 1 to 64 ASCII letters, digits, dots, underscores and hyphens";
        faults.push(FieldError::new("/name", "invalid_name", detail));
    }
}

pub(super) fn description(text: &str, faults: &mut Vec<FieldError>) {
    let is_bad = |c: char| c.is_control() && c != '\n';
    if text.chars().count() > MAX_DESCRIPTION || text.chars().any(is_bad) {
        let detail = format!("a description has at most {MAX_DESCRIPTION} characters");
        faults.push(FieldError::new("/description", "invalid_description", detail));
    }
}

pub(super) fn parts(parts: &Parts, faults: &mut Vec<FieldError>) {
    if parts.text.is_none() && parts.html.is_none() {
        let detail = "a template needs text or html";
        faults.push(FieldError::new("", "missing_body", detail));
    }
    let before = faults.len();
    let texts = [
        ("/subject", Some(&parts.subject), MAX_SUBJECT),
        ("/text", parts.text.as_ref(), MAX_BODY),
        ("/html", parts.html.as_ref(), MAX_BODY),
    ];
    for (pointer, text, most) in texts {
        if text.is_some_and(|text| text.len() > most) {
            let detail = format!("it has at most {most} octets");
            faults.push(FieldError::new(pointer, "too_long", detail));
        }
        if text.is_some_and(|text| text.contains('\0')) {
            let detail = "control characters are not allowed";
            faults.push(FieldError::new(pointer, "control_character", detail));
        }
    }
    if faults.len() == before {
        faults.extend(Compiled::new(0, parts).err().into_iter().flatten());
    }
}
