//! What messages are looked up by: each tag, and each key of the metadata with its value.

use std::collections::BTreeMap;

use aws_lc_rs::digest;
use uuid::Uuid;

/// Labels of a message, none twice.
pub(crate) fn of(tags: &[String], metadata: &BTreeMap<String, String>) -> Vec<Uuid> {
    let tags = tags.iter().map(|value| tag(value));
    let pairs = metadata.iter().map(|(key, value)| pair(key, value));
    let mut labels: Vec<Uuid> = tags.chain(pairs).collect();
    labels.sort_unstable();
    labels.dedup();
    labels
}

/// The label of a tag.
pub(super) fn tag(value: &str) -> Uuid {
    label(&format!("tag:{value}"))
}

/// The label of a key of the metadata with its value.
pub(super) fn pair(key: &str, value: &str) -> Uuid {
    label(&format!("metadata:{key}={value}"))
}

/// The first half of the SHA-256: all that stands in the index, however long the text.
fn label(text: &str) -> Uuid {
    let hash = digest::digest(&digest::SHA256, text.as_bytes());
    let half = hash.as_ref().first_chunk().copied().unwrap_or_default();
    Uuid::from_bytes(half)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_are_those_of_the_migration() {
        // SELECT encode(substr(sha256('tag:welcome'), 1, 16), 'hex')
        assert_eq!(tag("welcome").simple().to_string(), "57fcf7be56506de10a75c5faa739468c");
        let metadata = BTreeMap::from([("user".to_owned(), "42".to_owned())]);
        let labels = of(&["a".to_owned(), "b".to_owned(), "a".to_owned()], &metadata);
        assert_eq!(labels.len(), 3);
        assert!(labels.contains(&pair("user", "42")) && labels.contains(&tag("a")));
    }
}
