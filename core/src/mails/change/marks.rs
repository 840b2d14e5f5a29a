//! Which flags and keywords mails are to have: checked once, then a mask and lists of names.

use std::collections::BTreeSet;

use posthouse_mail::mailbox::parse_keyword;

use super::super::FLAGS;
use crate::{
    error::FieldError,
    id::{Id, Mailbox},
};

/// Most flags or keywords that a request names in one field.
const MAX_NAMES: usize = 100;

/// Changes of a mail; what is absent stays.
#[derive(Debug, Clone, Default)]
pub struct MailPatch {
    /// The flags to have, and no others.
    pub flags: Option<Vec<String>>,
    /// Flags to have in addition.
    pub add_flags: Vec<String>,
    /// Flags not to have any more.
    pub remove_flags: Vec<String>,
    /// The keywords to have, and no others.
    pub keywords: Option<Vec<String>>,
    /// Keywords to have in addition.
    pub add_keywords: Vec<String>,
    /// Keywords not to have any more.
    pub remove_keywords: Vec<String>,
    /// Where it is to be.
    pub mailbox: Option<Id<Mailbox>>,
}

impl MailPatch {
    /// Whether it changes nothing, whatever the mail is.
    pub const fn is_empty(&self) -> bool {
        self.flags.is_none()
            && self.add_flags.is_empty()
            && self.remove_flags.is_empty()
            && self.keywords.is_none()
            && self.add_keywords.is_empty()
            && self.remove_keywords.is_empty()
            && self.mailbox.is_none()
    }

    /// Every fault that is known without the database.
    pub fn faults(&self) -> Vec<FieldError> {
        Marks::read(self).1
    }
}

/// A change of flags and keywords as the database does it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Marks {
    /// Flags that stay if they are there.
    pub keep_flags: i32,
    /// Flags that are set.
    pub add_flags: i32,
    /// Keywords stay, but for those to remove.
    pub keep_keywords: bool,
    /// Keywords that go.
    pub remove_keywords: Vec<String>,
    /// Keywords that come.
    pub add_keywords: Vec<String>,
}

impl Marks {
    /// Changes nothing.
    pub(crate) const NONE: Self = Self {
        keep_flags: !0,
        add_flags: 0,
        keep_keywords: true,
        remove_keywords: Vec::new(),
        add_keywords: Vec::new(),
    };

    /// Reads a patch, and says all that is wrong with it.
    pub(crate) fn read(patch: &MailPatch) -> (Self, Vec<FieldError>) {
        let mut faults = Vec::new();
        let set = patch.flags.as_deref();
        let set = set.map(|names| read_flags("/flags", names, &mut faults));
        let add = read_flags("/add_flags", &patch.add_flags, &mut faults);
        let remove = read_flags("/remove_flags", &patch.remove_flags, &mut faults);
        let set_keywords = patch.keywords.as_deref();
        let set_keywords = set_keywords.map(|names| read_keywords("/keywords", names, &mut faults));
        let add_keywords = read_keywords("/add_keywords", &patch.add_keywords, &mut faults);
        let gone = read_keywords("/remove_keywords", &patch.remove_keywords, &mut faults);
        let overlaps = [
            ("flags", set.is_some() && add | remove != 0, add & remove != 0),
            (
                "keywords",
                set_keywords.is_some() && !(add_keywords.is_empty() && gone.is_empty()),
                !add_keywords.is_disjoint(&gone),
            ),
        ];
        for (what, both_ways, twice) in overlaps {
            if both_ways || twice {
                let detail = format!("{what} are set as a whole, or added and removed one by one");
                faults.push(FieldError::new(format!("/{what}"), "conflicting_changes", detail));
            }
        }
        let marks = Self {
            keep_flags: if set.is_some() { 0 } else { !remove },
            add_flags: set.unwrap_or(add),
            keep_keywords: set_keywords.is_none(),
            remove_keywords: gone.into_iter().collect(),
            add_keywords: set_keywords.unwrap_or(add_keywords).into_iter().collect(),
        };
        (marks, faults)
    }
}

/// The mask of flags by their names, in any case.
pub(super) fn read_flags(field: &str, names: &[String], faults: &mut Vec<FieldError>) -> i32 {
    if too_many(field, names, faults) {
        return 0;
    }
    let mut mask = 0;
    for (index, name) in names.iter().enumerate() {
        if let Some(bit) = FLAGS.iter().position(|flag| flag.eq_ignore_ascii_case(name)) {
            mask |= 1 << bit;
        } else {
            let detail = format!("expected one of {}; others are keywords", FLAGS.join(", "));
            faults.push(FieldError::new(format!("{field}/{index}"), "unknown_flag", detail));
        }
    }
    mask
}

/// Keywords in the form in which they are stored.
pub(super) fn read_keywords(
    field: &str,
    names: &[String],
    faults: &mut Vec<FieldError>,
) -> BTreeSet<String> {
    if too_many(field, names, faults) {
        return BTreeSet::new();
    }
    let mut keywords = BTreeSet::new();
    for (index, name) in names.iter().enumerate() {
        let fault = if FLAGS.iter().any(|flag| flag.eq_ignore_ascii_case(name)) {
            Some("this is a flag, not a keyword")
        } else {
            match parse_keyword(name) {
                Some(keyword) => {
                    keywords.insert(keyword.into_owned());
                    None
                }
                None => {
                    Some("a keyword has 1 to 64 ASCII letters, digits and signs but ()[]{%*\"\\")
                }
            }
        };
        if let Some(detail) = fault {
            let place = format!("{field}/{index}");
            faults.push(FieldError::new(place, "invalid_keyword", detail));
        }
    }
    keywords
}

fn too_many(field: &str, names: &[String], faults: &mut Vec<FieldError>) -> bool {
    let too_many = names.len() > MAX_NAMES;
    if too_many {
        let detail = format!("at most {MAX_NAMES} names");
        faults.push(FieldError::new(field, "too_many", detail));
    }
    too_many
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(names: &[&str]) -> Vec<String> {
        names.iter().map(|name| (*name).to_owned()).collect()
    }

    #[test]
    fn flags_are_set_or_added_and_removed() {
        let patch = MailPatch {
            add_flags: names(&["\\seen", "$JUNK"]),
            remove_flags: names(&["\\Flagged"]),
            keywords: Some(names(&["Work", "work", "a"])),
            ..MailPatch::default()
        };
        let (marks, faults) = Marks::read(&patch);
        assert_eq!(faults, []);
        assert_eq!((marks.keep_flags, marks.add_flags), (!4, 1 | 64));
        assert!(!marks.keep_keywords && !patch.is_empty());
        assert_eq!(marks.add_keywords, names(&["a", "work"]));
        let set = MailPatch { flags: Some(names(&["\\Draft"])), ..MailPatch::default() };
        let (marks, _) = Marks::read(&set);
        assert_eq!((marks.keep_flags, marks.add_flags), (0, 16));
        assert!(marks.keep_keywords);
        assert_eq!(Marks::read(&MailPatch::default()), (Marks::NONE, Vec::new()));
    }

    #[test]
    fn all_faults_are_told() {
        let patch = MailPatch {
            flags: Some(names(&["\\Recent"])),
            add_flags: names(&["\\Seen"]),
            add_keywords: names(&["a b", "$Forwarded", "x"]),
            remove_keywords: names(&["X"]),
            ..MailPatch::default()
        };
        let mut pointers: Vec<_> = patch.faults().into_iter().map(|fault| fault.pointer).collect();
        pointers.sort_unstable();
        let expected = ["/add_keywords/0", "/add_keywords/1", "/flags", "/flags/0", "/keywords"];
        assert_eq!(pointers, expected);
        let many = MailPatch { add_keywords: names(&["k"; 101]), ..MailPatch::default() };
        assert_eq!(many.faults().len(), 1);
    }
}
