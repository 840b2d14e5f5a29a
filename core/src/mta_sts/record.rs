//! The TXT record at `_mta-sts` (RFC 8461 §3.1): says that there is a policy, and when it is another.

/// What such a record begins with; others are none of our business.
const VERSION: &str = "v=STSv1;";
/// Octets of an id.
const MAX_ID: usize = 32;

/// The id, if there is exactly one record and it is well-formed.
///
/// ```text
/// sts-text-record = sts-version 1*(sts-field-delim sts-field) [sts-field-delim]
/// sts-id          = %s"id" "=" 1*32(ALPHA / DIGIT)
/// ```
pub(super) fn id_of(records: &[String]) -> Option<&str> {
    let mut ours = records.iter().filter(|text| text.starts_with(VERSION));
    let (record, None) = (ours.next()?, ours.next()) else { return None };
    let mut fields = record.split(';').skip(1).map(|field| field.trim_matches([' ', '\t']));
    let id = fields.find_map(|field| field.strip_prefix("id="))?;
    let is_good = (1..=MAX_ID).contains(&id.len()) && id.bytes().all(|b| b.is_ascii_alphanumeric());
    is_good.then_some(id)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(records: &[&str]) -> Option<String> {
        let records: Vec<String> = records.iter().map(|text| (*text).to_owned()).collect();
        id_of(&records).map(str::to_owned)
    }

    #[test]
    fn the_id_of_the_only_record_counts() {
        for record in [
            "v=STSv1; id=20160831085700Z;",
            "v=STSv1;id=20160831085700Z",
            "v=STSv1; new=x; id=20160831085700Z ; other=y",
        ] {
            assert_eq!(id(&[record]).as_deref(), Some("20160831085700Z"), "{record}");
        }
        let beside = ["v=spf1 -all", "v=STSv1; id=1", "v=STSv2; id=2", "v=STSv10; id=3"];
        assert_eq!(id(&beside).as_deref(), Some("1"));
        assert_eq!(id(&[&format!("v=STSv1; id={}", "x".repeat(32))]).map(|id| id.len()), Some(32));
    }

    #[test]
    fn two_records_or_a_malformed_one_are_none() {
        assert_eq!(id(&[]), None);
        assert_eq!(id(&["v=STSv1; id=1", "v=STSv1; id=1"]), None);
        let long = format!("v=STSv1; id={}", "x".repeat(33));
        for record in [
            "v=STSv1",
            "v=STSv1;",
            "v=STSv1; id=",
            "v=STSv1; id=a-b",
            "v=STSv1; id=ä",
            "id=1",
            " v=STSv1; id=1",
            "V=stsv1; id=1",
            "v=STSv1; ID=1",
            "v=STSv1; id =1",
            &long,
        ] {
            assert_eq!(id(&[record]), None, "{record}");
        }
    }
}
