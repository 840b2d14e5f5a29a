//! `GET /v1/threads`.

use super::{app, receive};

#[tokio::test]
async fn mails_that_answer_each_other_are_one_conversation() {
    let app = app().start().await;
    let alice = app.account("alice@example.test").await;
    let bob = app.account("bob@example.test").await;
    let header = "From: Bob <bob@remote.test>\r\nSubject: Plan\r\nMessage-ID: <1@x>";
    let first = receive(&app, &alice, header, "one").await;
    receive(&app, &alice, "From: x@remote.test\r\nSubject: Other\r\nMessage-ID: <2@x>", "x").await;
    let header = "From: Carol <carol@remote.test>\r\nSubject: Re: Plan\r\nMessage-ID: <3@x>\r\n\
        In-Reply-To: <1@x>";
    receive(&app, &alice, header, "two").await;
    let threads = alice.http.all("/v1/threads?limit=1").await;
    assert_eq!(threads.len(), 2);
    let plan = &threads[0];
    assert_eq!(plan["id"], first["thread_id"]);
    assert_eq!((plan["mails"].as_i64(), plan["unseen"].as_i64()), (Some(2), Some(2)));
    assert_eq!(plan["latest"]["subject"], "Re: Plan");
    let people: Vec<_> =
        plan["participants"].as_array().unwrap().iter().map(|p| &p["name"]).collect();
    assert_eq!(people, ["Carol", "Bob"]);
    assert_eq!(threads[1]["latest"]["subject"], "Other");
    let path = format!("/v1/threads/{}", plan["id"].as_str().unwrap());
    let detail = alice.http.get(&path).await.expect(200);
    assert_eq!(detail["mail"].as_array().unwrap().len(), 2);
    assert_eq!(detail["mail"][1]["id"], first["id"]);
    assert_eq!(detail["has_more"], false);
    bob.http.get(&path).await.expect_problem(404, "not_found");
    assert!(bob.http.all("/v1/threads").await.is_empty());
    let mailboxes = alice.http.all("/v1/mailboxes").await;
    for mailbox in mailboxes {
        let path =
            format!("/v1/threads?unseen=true&mailbox_id={}", mailbox["id"].as_str().unwrap());
        let expected = if mailbox["name"] == "Inbox" { 2 } else { 0 };
        assert_eq!(alice.http.all(&path).await.len(), expected, "{mailbox}");
    }
    app.stop().await;
}

#[tokio::test]
async fn a_message_id_of_any_length_is_stored_and_found() {
    let app = app().start().await;
    let alice = app.account("alice@example.test").await;
    // Such that the database cannot make it shorter.
    let noise = (1..=400_u64).map(|n| n.wrapping_mul(0x9e37_79b9_7f4a_7c15));
    let long = noise.map(|noise| format!("{noise:016x}")).collect::<Vec<_>>().concat();
    let header = format!("From: b@remote.test\r\nSubject: Long\r\nMessage-ID: <{long}@x>");
    let first = receive(&app, &alice, &header, "one").await;
    let header = format!(
        "From: b@remote.test\r\nSubject: Re: Long\r\nMessage-ID: <2@x>\r\n\
         In-Reply-To: <{long}@x>"
    );
    let second = receive(&app, &alice, &header, "two").await;
    assert_eq!(first["thread_id"], second["thread_id"]);
    let found = alice.http.all(&format!("/v1/mail?message_id=%3C{long}@x%3E")).await;
    assert_eq!(found.len(), 1);
    app.stop().await;
}
