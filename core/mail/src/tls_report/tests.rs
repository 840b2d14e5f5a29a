//! The example of the RFC, what others write, and the mail.

use time::macros::datetime;

use super::*;

/// RFC 8460 appendix B, with the errata.
const EXAMPLE: &str = r#"{
  "organization-name": "Company-X",
  "date-range": {
    "start-datetime": "2016-04-01T00:00:00Z",
    "end-datetime": "2016-04-01T23:59:59Z"
  },
  "contact-info": "sts-reporting@company-x.example",
  "report-id": "5065427c-23d3-47ca-b6e0-946ea0e8c4be",
  "policies": [{
    "policy": {
      "policy-type": "sts",
      "policy-string": ["version: STSv1","mode: testing","mx: *.mail.company-y.example","max_age: 86400"],
      "policy-domain": "company-y.example",
      "mx-host": ["*.mail.company-y.example"]
    },
    "summary": {
      "total-successful-session-count": 5326,
      "total-failure-session-count": 303
    },
    "failure-details": [{
      "result-type": "certificate-expired",
      "sending-mta-ip": "2001:db8:abcd:0012::1",
      "receiving-mx-hostname": "mx1.mail.company-y.example",
      "failed-session-count": 100
    }, {
      "result-type": "starttls-not-supported",
      "sending-mta-ip": "2001:db8:abcd:0013::1",
      "receiving-mx-hostname": "mx2.mail.company-y.example",
      "receiving-ip": "203.0.113.56",
      "failed-session-count": 200,
      "additional-information": "https://reports.company-x.example/report_info?id=5065427c-23d3#StarttlsNotSupported"
    }, {
      "result-type": "validation-failure",
      "sending-mta-ip": "198.51.100.62",
      "receiving-ip": "203.0.113.58",
      "receiving-mx-hostname": "mx-backup.mail.company-y.example",
      "failed-session-count": 3,
      "failure-reason-code": "X509_V_ERR_PROXY_PATH_LENGTH_EXCEEDED"
    }]
  }]
}"#;

#[test]
fn the_example_of_the_rfc_is_read_and_written() {
    let report: TlsReport = serde_json::from_str(EXAMPLE).unwrap();
    let totals = report.totals();
    assert_eq!(totals.total_successful_session_count, 5326);
    assert_eq!(totals.total_failure_session_count, 303);
    assert_eq!(report.policies[0].failure_details.len(), 3);
    let (ours, theirs): (serde_json::Value, serde_json::Value) =
        (serde_json::to_value(&report).unwrap(), serde_json::from_str(EXAMPLE).unwrap());
    assert_eq!(ours, theirs);
}

#[test]
fn what_others_write_is_read() {
    let text = EXAMPLE
        .replace(r#"["*.mail.company-y.example"]"#, r#""*.mail.company-y.example""#)
        .replace(r#""organization-name": "Company-X","#, r#""more": {"x": [1]},"#);
    let report: TlsReport = serde_json::from_str(&text).unwrap();
    assert_eq!(report.policies[0].policy.mx_host, ["*.mail.company-y.example"]);
    assert_eq!(report.organization_name, "");
    for wrong in ["", "[]", "{}", "null", r#"{"report-id": 7}"#, "{\"report-id\": \"x\"}"] {
        assert!(serde_json::from_str::<TlsReport>(wrong).is_err(), "{wrong}");
    }
    let deep = "[".repeat(10_000);
    assert!(serde_json::from_str::<TlsReport>(&format!(r#"{{"x": {deep}"#)).is_err());
}

#[test]
fn of_a_hostile_report_little_is_kept() {
    let mut report: TlsReport = serde_json::from_str(EXAMPLE).unwrap();
    report.report_id = "\0\u{1b}id".to_owned();
    report.policies[0].failure_details[0].result_type = "\u{20ac}".repeat(5000);
    report.policies[0].policy.mx_host = vec!["x".to_owned(); 5000];
    report.policies = vec![report.policies[0].clone(); 5000];
    report.bound();
    assert_eq!((report.report_id.as_str(), report.policies.len()), ("id", 1000));
    let first = &report.policies[0];
    assert_eq!(first.failure_details[0].result_type, "\u{20ac}".repeat(333));
    assert_eq!(first.policy.mx_host.len(), 1000);
}

#[test]
fn the_mail_says_what_it_carries_and_for_whom() {
    let report: TlsReport = serde_json::from_str(EXAMPLE).unwrap();
    let address = |text| Address::parse(text).unwrap();
    let mail = compose(&Envelope {
        from: &address("postmaster@sender.example"),
        to: &address("tls@company-y.example"),
        domain: "company-y.example",
        report_id: "tlo_1",
        range: report.date_range,
        gzip: &[0x1f, 0x8b, 1, 2, 3],
        now: datetime!(2016-04-02 00:05 UTC),
    });
    let text = String::from_utf8(mail).unwrap();
    for line in [
        "Subject: Report Domain: company-y.example\r\n Submitter: sender.example\r\n \
         Report-ID: <tlo_1@sender.example>\r\n",
        "\r\nTLS-Report-Domain: company-y.example\r\n",
        "\r\nTLS-Report-Submitter: sender.example\r\n",
        "\r\nTLS-Required: No\r\n",
        "\r\nContent-Type: multipart/report; report-type=\"tlsrpt\";\r\n",
        "\r\nContent-Type: application/tlsrpt+gzip\r\n",
        "filename=\"sender.example!company-y.example!1459468800!1459555199!tlo_1.json.gz\"\r\n",
        "\r\n\r\nH4sBAgM=\r\n",
    ] {
        assert!(text.contains(line), "no {line:?} in {text}");
    }
}
