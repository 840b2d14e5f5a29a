//! The base subject, by which messages are put into threads: RFC 5256 §2.1.

/// The subject without reply and forward marks, and whether there were any.
///
/// `subject` is decoded already (step 1 of the RFC).
pub fn base_subject(subject: &str) -> (String, bool) {
    let text = subject.split_whitespace().collect::<Vec<_>>().join(" ");
    let mut base = text.as_str();
    let mut marked = false;
    loop {
        base = strip_trailers(base, &mut marked);
        base = strip_leaders(base, &mut marked);
        match strip_forward_wrapper(base) {
            Some(inside) => {
                marked = true;
                base = inside;
            }
            None => return (base.to_owned(), marked),
        }
    }
}

/// `subj-trailer = "(fwd)" / WSP`
fn strip_trailers<'a>(mut text: &'a str, marked: &mut bool) -> &'a str {
    loop {
        text = text.trim_end();
        match strip_suffix_ignore_case(text, "(fwd)") {
            Some(rest) => {
                *marked = true;
                text = rest;
            }
            None => return text,
        }
    }
}

/// `subj-leader = (*subj-blob subj-refwd) / WSP`, and a blob alone when something is left after it.
fn strip_leaders<'a>(mut text: &'a str, marked: &mut bool) -> &'a str {
    loop {
        text = text.trim_start();
        if let Some(rest) = strip_reply_mark(text) {
            *marked = true;
            text = rest;
            continue;
        }
        match strip_blob(text).filter(|rest| !rest.is_empty()) {
            Some(rest) => text = rest,
            None => return text,
        }
    }
}

/// `subj-refwd = ("re" / ("fw" ["d"])) *WSP [subj-blob] ":"`
fn strip_reply_mark(text: &str) -> Option<&str> {
    let rest = ["fwd", "fw", "re"].iter().find_map(|mark| strip_prefix_ignore_case(text, mark))?;
    let rest = rest.trim_start();
    strip_blob(rest).unwrap_or(rest).strip_prefix(':')
}

/// `subj-blob = "[" *BLOBCHAR "]" *WSP`
fn strip_blob(text: &str) -> Option<&str> {
    let inside = text.strip_prefix('[')?;
    let end = inside.find(['[', ']'])?;
    inside.get(end..)?.strip_prefix(']').map(str::trim_start)
}

/// `subj-fwd = subj-fwd-hdr subject subj-fwd-trl`, that is `[fwd: … ]`
fn strip_forward_wrapper(text: &str) -> Option<&str> {
    strip_prefix_ignore_case(text, "[fwd:")?.strip_suffix(']').map(str::trim)
}

fn strip_prefix_ignore_case<'a>(text: &'a str, prefix: &str) -> Option<&'a str> {
    let (head, rest) = text.split_at_checked(prefix.len())?;
    head.eq_ignore_ascii_case(prefix).then_some(rest)
}

fn strip_suffix_ignore_case<'a>(text: &'a str, suffix: &str) -> Option<&'a str> {
    let (rest, tail) = text.split_at_checked(text.len().checked_sub(suffix.len())?)?;
    tail.eq_ignore_ascii_case(suffix).then_some(rest)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn strips_marks() {
        for (subject, base, marked) in [
            ("Hello", "Hello", false),
            ("Re: Hello", "Hello", true),
            ("RE : [list] Fwd[2]:  Hello  world (fwd) ", "Hello world", true),
            ("[list] Hello", "Hello", false),
            ("[list]", "[list]", false),
            ("[a] [b] Re: x", "x", true),
            ("[Fwd: Re: x]", "x", true),
            ("Re[1]: x", "x", true),
            ("Regards: x", "Regards: x", false),
            ("Re:", "", true),
            ("", "", false),
            ("é: x", "é: x", false),
        ] {
            assert_eq!(base_subject(subject), (base.to_owned(), marked), "{subject}");
        }
    }
}
