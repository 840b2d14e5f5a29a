//! The records to publish, as data and as a zone.

use serde_json::json;

use super::{app, records};

#[tokio::test]
async fn what_to_publish_is_told_in_three_ways_alike() {
    let (app, place) = app().await;
    let listed = records(&app, &place).await;
    let domain = app.admin().get(&place).await.expect(200);
    assert_eq!(domain["records"], json!(listed));
    let purposes: Vec<_> =
        listed.iter().map(|record| record["purpose"].as_str().unwrap()).collect();
    for purpose in ["mx", "spf", "dkim", "dmarc", "tls_rpt", "spf_host", "client"] {
        assert!(purposes.contains(&purpose), "{purposes:?}");
    }
    let left_out = app.admin().get(&format!("{place}/records")).await.expect(200);
    assert_eq!(left_out["omitted"][0]["purpose"], "mta_sts");

    let zone = app.admin().get(&format!("{place}/zone")).await.expect(200);
    assert_eq!(zone.header("content-type"), Some("text/dns"));
    let zone = zone.text();
    let text = |line: &str| line.replace("\" \"", "").replace('"', "");
    let lines: Vec<String> = zone.lines().map(text).collect();
    for record in &listed {
        let field = |name: &str| record[name].as_str().unwrap();
        let line = format!("{}. 3600 IN {} {}", field("name"), field("type"), field("value"));
        let is_ours = field("name").ends_with("example.test");
        let line = if is_ours { line } else { format!("; in its own zone: {line}") };
        assert!(lines.contains(&line), "{line} is not in {zone}");
    }
    // No character-string is longer than 255 octets.
    assert!(zone.split('"').skip(1).step_by(2).all(|string| string.len() <= 255), "{zone}");
    app.stop().await;
}
