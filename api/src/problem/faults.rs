//! Lists of faults: each is told once, and none that only follows from another.

use std::collections::HashSet;

use posthouse_core::FieldError;

/// `faults`, and those in the content that are not at or below a field which has one already: what
/// was checked there is not what the caller sent.
pub(crate) fn with_content(faults: Vec<FieldError>, content: Vec<FieldError>) -> Vec<FieldError> {
    let mut all = faults;
    let own = all.len();
    for fault in content {
        if !all.iter().take(own).any(|known| covers(&known.pointer, &fault.pointer)) {
            all.push(fault);
        }
    }
    all
}

/// Whether `pointer` leads to the field of `outer` or into it. A fault of the whole request covers
/// nothing.
fn covers(outer: &str, pointer: &str) -> bool {
    let inside = pointer.strip_prefix(outer).filter(|_| !outer.is_empty());
    inside.is_some_and(|inside| inside.is_empty() || inside.starts_with('/'))
}

/// Removes all but the first of several faults with the same pointer and code.
pub(super) fn remove_repeated(faults: &mut Vec<FieldError>) {
    let mut seen = HashSet::new();
    faults.retain(|fault| seen.insert((fault.pointer.clone(), fault.code)));
}

#[cfg(test)]
mod tests {
    use super::*;

    fn faults(pointers: &[&str]) -> Vec<FieldError> {
        pointers.iter().map(|pointer| FieldError::new(*pointer, "x", "")).collect()
    }

    #[test]
    fn what_follows_from_another_fault_is_not_told() {
        let content = faults(&["/to", "/to/1", "/too", "/tags", "/tag", "", "/a~1b/c"]);
        let all = with_content(faults(&["", "/to", "/tags/0", "/a~1b"]), content);
        let pointers: Vec<_> = all.iter().map(|fault| fault.pointer.as_str()).collect();
        assert_eq!(pointers, ["", "/to", "/tags/0", "/a~1b", "/too", "/tags", "/tag", ""]);
    }

    #[test]
    fn each_fault_is_told_once() {
        let mut all = faults(&["/a", "/b", "/a"]);
        all.push(FieldError::new("/a", "y", ""));
        remove_repeated(&mut all);
        let told: Vec<_> = all.iter().map(|fault| (fault.pointer.as_str(), fault.code)).collect();
        assert_eq!(told, [("/a", "x"), ("/b", "x"), ("/a", "y")]);
    }
}
