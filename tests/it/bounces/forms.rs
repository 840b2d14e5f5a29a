//! Bounces in the words of mail systems that send no status part.

use super::{answer, app, deliver, events, message_id};

/// Texts of mail systems; `{id}` is the Message-ID.
const FORMS: [(&str, &str); 6] = [
    (
        "qmail",
        "Subject: failure notice\n\nHi. This is the program at qm.remote.test.\nSorry.\n\n\
         <bob@remote.test>:\nNo such person. 550 5.1.1\n\n\
         --- Below this line is a copy of the message.\n\n\
         Return-Path: <alice@example.test>\nMessage-ID: {id}\nTo: bob@remote.test\n\nHello\n",
    ),
    (
        "Exim",
        "Subject: Mail delivery failed: returning message to sender\n\
         X-Failed-Recipients: bob@remote.test\n\nThis address failed:\n\n  bob@remote.test\n    \
         550 5.1.1 unknown\n\n------ This is a copy of the message, with its header. ------\n\n\
         Message-ID: {id}\n",
    ),
    (
        "Postfix",
        "Subject: Undelivered Mail Returned to Sender\nIn-Reply-To: {id}\n\n\
         This is the mail system at host pf.remote.test.\n\n\
         <bob@remote.test>: host inner said: 550-5.1.1 No\n    such user (in reply to RCPT TO)\n",
    ),
    (
        "Sendmail",
        "Subject: Returned mail: see transcript for details\n\n   \
         ----- The following addresses had permanent fatal errors -----\n<bob@remote.test>\n    \
         (reason: 550 5.1.1 bob is gone)\n\n   ----- Message header follows -----\n\
         Message-ID: {id}\n",
    ),
    (
        "Exchange",
        "Subject: Undeliverable: Hello\nReferences: {id}\n\nYour message\n\n  To: bob@remote.test\n\
         \ndid not reach the following recipient(s):\n\nbob@remote.test on Sat, 21 Nov 2026\n    \
         550 5.1.1 not known\n",
    ),
    (
        "Google",
        "Subject: Delivery Status Notification (Failure)\nX-Failed-Recipients: bob@remote.test\n\n\
         Delivery to the following recipient failed permanently:\n\n     bob@remote.test\n\n\
         It said: 550 5.1.1 no\n\n----- Original message -----\n\nMessage-ID: {id}\n",
    ),
];

#[tokio::test]
async fn bounces_in_words_count_with_a_token_and_by_message_id() {
    let app = app().start().await;
    for (number, (name, form)) in FORMS.iter().enumerate() {
        let alice = app.account(&format!("alice{number}@example.test")).await;
        for proven in [true, false] {
            let (message, sender) = deliver(&app, &alice, &["bob@remote.test"]).await;
            let to = if proven { &sender } else { &alice.address };
            let id = if proven { "<no@where.test>" } else { message_id(&message) };
            let text = format!("From: MAILER-DAEMON@remote.test\n{}", form.replace("{id}", id));
            answer(&app, to, &text).await;
            let bounced = events(&alice, &message, "delivery.bounced").await;
            assert_eq!(bounced.len(), 1, "{name}, proven: {proven}");
            let data = &bounced[0]["data"];
            assert_eq!(
                (&data["smtp_code"], &data["enhanced_code"]),
                (&550.into(), &"5.1.1".into())
            );
            assert_eq!(data["suppressing"], true, "{name}");
            sqlx::query("DELETE FROM suppressions").execute(app.db()).await.unwrap();
        }
    }
    app.stop().await;
}

#[tokio::test]
async fn an_answer_of_a_vacation_program_is_no_bounce_but_tells_that_it_came() {
    let app = app().start().await;
    let alice = app.account("alice@example.test").await;
    let (message, sender) = deliver(&app, &alice, &["bob@remote.test"]).await;
    let away = "From: Bob <bob@remote.test>\nSubject: Automatic reply: Hello\n\
        Auto-Submitted: auto-replied\n\nI am away.\n<bob@remote.test>: 550 back on Monday\n";
    for _ in 0..2 {
        answer(&app, &sender, away).await;
    }
    let told = events(&alice, &message, "delivery.unrecognized").await;
    assert_eq!(told.len(), 1, "once for the same mail");
    assert_eq!(told[0]["data"]["report"]["mail_id"], alice.inbox().await[0]["id"]);
    assert_eq!(alice.deliveries(&message.id()).await[0]["bounced_at"], serde_json::Value::Null);
    // To the address without a token it is ordinary mail.
    let (message, _) = deliver(&app, &alice, &["bob@remote.test"]).await;
    answer(&app, "alice@example.test", away).await;
    super::assert_untouched(&alice, &message).await;
    app.stop().await;
}
