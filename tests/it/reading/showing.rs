//! `GET /v1/mail/{id}/text`, `/html`, `/headers`.

use super::{app, path, receive};

#[tokio::test]
async fn html_is_shown_without_what_could_do_harm() {
    let app = app().start().await;
    let alice = app.account("alice@example.test").await;
    let header =
        "From: bob@remote.test\r\nSubject: Page\r\nContent-Type: multipart/related; boundary=b";
    let body = "--b\r\nContent-Type: text/html; charset=utf-8\r\n\r\n\
        <p onclick=alert(1)>Grüße</p><script>alert(1)</script><img src=\"cid:a%40b\">\
        <img src=\"https://evil.test/p.gif\"><a href=\"https://x.test/\">x</a>\r\n\
        --b\r\nContent-Type: image/png\r\nContent-ID: <a@b>\r\n\r\nPNG\r\n--b--";
    let mail = receive(&app, &alice, header, body).await;
    let page = alice.http.get(&format!("{}/html", path(&mail))).await.expect(200);
    let text = page.text();
    assert!(text.contains("<p>Grüße</p>") && text.contains("<img src=\"parts/2\">"), "{text}");
    assert!(text.contains("rel=\"noopener noreferrer nofollow\""), "{text}");
    for word in ["script", "onclick", "evil.test"] {
        assert!(!text.contains(word), "{word} in {text}");
    }
    assert_eq!(page.header("posthouse-remote-images"), Some("blocked"));
    assert_eq!(page.header("content-type"), Some("text/html; charset=utf-8"));
    let policy = page.header("content-security-policy").unwrap();
    assert!(policy.contains("default-src 'none'") && policy.contains("sandbox"), "{policy}");
    assert!(!policy.contains("http:") && !policy.contains("script"), "{policy}");
    let part = alice.http.get(&format!("{}/parts/2", path(&mail))).await.expect(200);
    assert_eq!(part.text(), "PNG");
    let page =
        alice.http.get(&format!("{}/html?remote_images=true", path(&mail))).await.expect(200);
    assert!(page.text().contains("<img src=\"https://evil.test/p.gif\">"));
    assert!(
        page.header("content-security-policy")
            .unwrap()
            .contains("img-src 'self' data: http: https:")
    );
    let text = alice.http.get(&format!("{}/text", path(&mail))).await.expect(200);
    assert!(text.text().contains("Grüße") && !text.text().contains('<'), "{text:?}");
    app.stop().await;
}

#[tokio::test]
async fn any_mail_has_text_page_and_header() {
    let app = app().start().await;
    let alice = app.account("alice@example.test").await;
    let bob = app.account("bob@example.test").await;
    for (header, body, shown) in [
        ("Subject: =?utf-8?q?=C3=A4?=\r\n b", "a <b> & c", "a &lt;b&gt; &amp; c"),
        ("Subject: x\r\nContent-Type: multipart/mixed", "no boundary", ""),
        ("Subject: x\r\nContent-Type: multipart/mixed; boundary=b", "--b\r\n--b\r\n--b--", ""),
        ("Subject: x\r\nContent-Type: text/html; charset=none", "\u{1}<div><div", "<div>"),
        ("Subject: x\r\nContent-Transfer-Encoding: base64", "=====", ""),
    ] {
        let mail = receive(&app, &alice, header, body).await;
        let page = alice.http.get(&format!("{}/html", path(&mail))).await.expect(200);
        assert!(page.text().contains(shown), "{page:?}");
        assert!(!page.text().contains('\u{1}') || shown.is_empty() || shown == "<div>", "{page:?}");
        alice.http.get(&format!("{}/text", path(&mail))).await.expect(200);
        let headers = alice.http.get(&format!("{}/headers", path(&mail))).await.expect(200);
        let fields = headers["headers"].as_array().unwrap();
        assert_eq!(fields[0]["name"], "Delivered-To");
        assert!(headers["raw"].as_str().unwrap().contains(header), "{headers:?}");
        assert_eq!(headers["truncated"], false);
        for place in ["text", "html", "headers"] {
            let path = format!("{}/{place}", path(&mail));
            bob.http.get(&path).await.expect_problem(404, "not_found");
        }
    }
    let inbox = alice.inbox().await;
    let headers = alice.http.get(&format!("{}/headers", path(&inbox[0]))).await.expect(200);
    let fields = headers["headers"].as_array().unwrap();
    let subject = fields.iter().find(|field| field["name"] == "Subject").unwrap();
    assert_eq!(subject["value"], "ä b");
    app.stop().await;
}
