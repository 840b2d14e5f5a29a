//! Random changes against a simple model, and writers at the same time.

use std::collections::{BTreeMap, BTreeSet};

use posthouse_tests::{app::App, client::Client, person::Person};
use serde_json::{Value, json};
use tokio::task::JoinSet;

use super::{append, feed::Replica, verify};

const FLAGS: [&str; 4] = ["\\Seen", "\\Flagged", "\\Deleted", "$Junk"];
const KEYWORDS: [&str; 3] = ["a", "b", "c"];

/// Numbers that are the same in every run (xorshift).
struct Dice(u64);

impl Dice {
    fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 % u64::try_from(bound).unwrap()).unwrap()
    }

    fn some<'a>(&mut self, all: &[&'a str]) -> Vec<&'a str> {
        all.iter().copied().filter(|_| self.below(3) == 0).collect()
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Default)]
struct Mail {
    mailbox: usize,
    uid: i64,
    flags: BTreeSet<String>,
    keywords: BTreeSet<String>,
}

/// What ought to be there.
struct Model {
    http: Client,
    /// Ids and next uids; the last one is the Trash.
    mailboxes: Vec<(String, i64)>,
    mail: BTreeMap<String, Mail>,
    /// As the server said at the last look.
    modseqs: BTreeMap<String, i64>,
}

fn set(names: &[&str]) -> BTreeSet<String> {
    names.iter().map(|name| (*name).to_owned()).collect()
}

impl Model {
    async fn new(person: &Person) -> Self {
        let http = person.http.clone();
        let mut mailboxes = Vec::new();
        for name in ["one", "two"] {
            mailboxes.push((super::make(&http, name).await, 1));
        }
        mailboxes.push((super::mailbox_id(&http, "Trash").await, 1));
        Self { http, mailboxes, mail: BTreeMap::new(), modseqs: BTreeMap::new() }
    }

    fn take_uid(&mut self, mailbox: usize) -> i64 {
        self.mailboxes[mailbox].1 += 1;
        self.mailboxes[mailbox].1 - 1
    }

    fn relocate(&mut self, id: &str, to: usize) {
        if self.mail[id].mailbox != to {
            let uid = self.take_uid(to);
            let mail = self.mail.get_mut(id).unwrap();
            (mail.mailbox, mail.uid) = (to, uid);
        }
    }

    fn delete(&mut self, id: &str, permanent: bool) {
        let trash = self.mailboxes.len() - 1;
        if permanent || self.mail[id].mailbox == trash {
            self.mail.remove(id);
        } else {
            self.relocate(id, trash);
        }
    }

    /// Some mails, in the order in which the server changes sets: by mailbox and uid.
    fn choose(&self, dice: &mut Dice) -> Vec<String> {
        let mut ids: Vec<_> = self.mail.keys().filter(|_| dice.below(3) == 0).cloned().collect();
        ids.sort_by_key(|id| (&self.mailboxes[self.mail[id].mailbox].0, self.mail[id].uid));
        ids
    }

    async fn step(&mut self, dice: &mut Dice) {
        let ids = self.choose(dice);
        let to = dice.below(self.mailboxes.len());
        let target = self.mailboxes[to].0.clone();
        match dice.below(6) {
            0 | 1 => self.append(dice, to).await,
            _ if ids.is_empty() => {}
            2 => self.mark(dice, &ids).await,
            3 => {
                self.bulk(&json!({"ids": ids, "action": "move", "mailbox_id": target})).await;
                for id in &ids {
                    self.relocate(id, to);
                }
            }
            4 => {
                let copy = json!({"ids": ids, "action": "copy", "mailbox_id": target});
                let done = self.bulk(&copy).await;
                for item in done["mails"].as_array().unwrap() {
                    let uid = self.take_uid(to);
                    let source = &self.mail[item["id"].as_str().unwrap()];
                    let copy = Mail { mailbox: to, uid, ..source.clone() };
                    self.mail.insert(item["now"]["id"].as_str().unwrap().to_owned(), copy);
                }
            }
            _ => {
                let permanent = dice.below(3) == 0;
                let ids = &ids[..1];
                let path = format!("/v1/mail/{}?permanent={permanent}", ids[0]);
                self.http.delete(&path).await.expect(204);
                self.delete(&ids[0], permanent);
            }
        }
    }

    async fn bulk(&self, body: &Value) -> Value {
        self.http.post("/v1/mail/bulk", body.clone()).await.expect(200).json
    }

    async fn append(&mut self, dice: &mut Dice, to: usize) {
        let (flags, keywords) = (dice.some(&FLAGS), dice.some(&KEYWORDS));
        let more = format!("&flags={}&keywords={}", flags.join(","), keywords.join(","));
        let made = append(&self.http, &self.mailboxes[to].0, "x", &more).await.expect(201);
        let uid = self.take_uid(to);
        assert_eq!(made["uid"], uid);
        let mail = Mail { mailbox: to, uid, flags: set(&flags), keywords: set(&keywords) };
        self.mail.insert(made.id(), mail);
    }

    async fn mark(&mut self, dice: &mut Dice, ids: &[String]) {
        let (flags, keywords) = (dice.some(&FLAGS), dice.some(&KEYWORDS));
        let how = ["", "add_", "remove_"][dice.below(3)];
        let mut body = json!({"ids": ids, "action": "update"});
        body[format!("{how}flags")] = json!(flags);
        body[format!("{how}keywords")] = json!(keywords);
        if how.is_empty() || !(flags.is_empty() && keywords.is_empty()) {
            self.bulk(&body).await;
        }
        for id in ids {
            let mail = self.mail.get_mut(id).unwrap();
            for (has, given) in
                [(&mut mail.flags, set(&flags)), (&mut mail.keywords, set(&keywords))]
            {
                *has = match how {
                    "" => given,
                    "add_" => &*has | &given,
                    _ => &*has - &given,
                };
            }
        }
    }

    /// Holds what the server says against the model; gives the mails that were changed.
    async fn compare(&mut self, before: &BTreeMap<String, Mail>) -> BTreeSet<String> {
        let place = |id: &Value| self.mailboxes.iter().position(|(known, _)| known == id);
        let names = |list: &Value| -> BTreeSet<String> {
            let names = list.as_array().unwrap().iter();
            names.map(|name| name.as_str().unwrap().to_owned()).collect()
        };
        let (mut found, mut modseqs) = (BTreeMap::new(), BTreeMap::new());
        for mail in self.http.all("/v1/mail?limit=200").await {
            let id = mail["id"].as_str().unwrap().to_owned();
            modseqs.insert(id.clone(), mail["modseq"].as_i64().unwrap());
            let mail = Mail {
                mailbox: place(&mail["mailbox_id"]).unwrap(),
                uid: mail["uid"].as_i64().unwrap(),
                flags: names(&mail["flags"]),
                keywords: names(&mail["keywords"]),
            };
            found.insert(id, mail);
        }
        assert_eq!(found, self.mail);
        let last = self.modseqs.values().copied().max().unwrap_or_default();
        let mut changed = BTreeSet::new();
        for (id, modseq) in &modseqs {
            let is_same = before.get(id) == self.mail.get(id);
            assert_eq!(Some(modseq) == self.modseqs.get(id), is_same, "{id}");
            if !is_same {
                assert!(*modseq > last, "{id}: modseqs go up");
                changed.insert(id.clone());
            }
        }
        changed.extend(before.keys().filter(|id| !self.mail.contains_key(*id)).cloned());
        self.modseqs = modseqs;
        self.count().await;
        changed
    }

    async fn count(&self) {
        let mailboxes = self.http.all("/v1/mailboxes").await;
        for (number, (id, uidnext)) in self.mailboxes.iter().enumerate() {
            let said = mailboxes.iter().find(|mailbox| mailbox["id"] == *id).unwrap();
            let count = |fits: fn(&Mail) -> bool| {
                let here = self.mail.values().filter(|mail| mail.mailbox == number);
                here.filter(|mail| fits(mail)).count()
            };
            let is_deleted = |mail: &Mail| mail.flags.contains("\\Deleted");
            let counts = json!({
                "total": count(|mail| !mail.flags.contains("\\Deleted")),
                "deleted": count(is_deleted),
                "unseen": count(|mail| !mail.flags.contains("\\Seen")),
                "unread": count(|mail| {
                    !mail.flags.contains("\\Seen") && !mail.flags.contains("\\Deleted")
                }),
                "uidnext": uidnext,
            });
            for (name, value) in counts.as_object().unwrap() {
                assert_eq!(&said[name], value, "{name}");
            }
        }
    }
}

#[tokio::test]
async fn random_changes_do_what_a_simple_model_does() {
    let app = App::test().start().await;
    for seed in 1..=3_u64 {
        let person = app.account(&format!("p{seed}@example.test")).await;
        let mut dice = Dice(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15));
        let mut model = Model::new(&person).await;
        let mut replica = Replica::new(&person.http);
        replica.follow(3).await;
        for _ in 0..40 {
            let before = model.mail.clone();
            model.step(&mut dice).await;
            let changed = model.compare(&before).await;
            replica.follow(3).await;
            assert_eq!(replica.touched, changed, "seed {seed}");
            assert_eq!(replica.mail, model.mail.keys().cloned().collect(), "seed {seed}");
        }
    }
    verify(&app).await;
    app.stop().await;
}

/// Changes mail at random, whatever comes of it.
async fn write(http: Client, mailboxes: Vec<String>, mut dice: Dice) {
    for round in 0..40 {
        let (from, to) = (dice.below(mailboxes.len()), dice.below(mailboxes.len()));
        let flag = FLAGS[dice.below(FLAGS.len())];
        let filter = json!({"mailbox_id": mailboxes[from]});
        let body = match dice.below(5) {
            0 => json!({"filter": filter, "action": "move", "mailbox_id": mailboxes[to]}),
            1 => json!({"filter": filter, "action": "update", "add_flags": [flag],
                        "add_keywords": [KEYWORDS[dice.below(3)]]}),
            2 => json!({"filter": filter, "action": "update", "remove_flags": [flag]}),
            3 if round % 4 == 0 => json!({"filter": filter, "action": "delete"}),
            _ => {
                append(&http, &mailboxes[to], "x", "").await.expect(201);
                continue;
            }
        };
        http.post("/v1/mail/bulk", body).await.expect(200);
    }
}

#[tokio::test]
async fn writers_at_the_same_time_miss_nothing() {
    let app = App::test().start().await;
    let alice = app.account("alice@example.test").await;
    let model = Model::new(&alice).await;
    let mailboxes: Vec<String> = model.mailboxes.iter().map(|(id, _)| id.clone()).collect();
    let mut writers = JoinSet::new();
    for seed in [3, 5, 7] {
        writers.spawn(write(alice.http.clone(), mailboxes.clone(), Dice(seed)));
    }
    let mut replica = Replica::new(&alice.http);
    let mut known = BTreeMap::new();
    while !writers.is_empty() {
        // Whatever was told since the last time is read again, and nothing else.
        refresh(&alice.http, &mut replica, &mut known).await;
        while let Some(done) = writers.try_join_next() {
            done.unwrap();
        }
    }
    refresh(&alice.http, &mut replica, &mut known).await;
    let all = alice.http.all("/v1/mail?limit=200").await;
    let all: BTreeMap<String, Value> = all
        .into_iter()
        .map(|mail| (mail["id"].as_str().unwrap().to_owned(), state(&mail)))
        .collect();
    assert!(all.len() > 10);
    assert_eq!(known, all);
    verify(&app).await;
    one_event_for_each_modseq(&alice).await;
    app.stop().await;
}

fn state(mail: &Value) -> Value {
    json!([mail["mailbox_id"], mail["uid"], mail["modseq"], mail["flags"], mail["keywords"]])
}

async fn refresh(http: &Client, replica: &mut Replica, known: &mut BTreeMap<String, Value>) {
    replica.follow(7).await;
    for id in &replica.touched {
        let mail = http.get(&format!("/v1/mail/{id}")).await;
        match mail.status {
            200 => known.insert(id.clone(), state(&mail.json)),
            _ => known.remove(id),
        };
    }
}

/// The log tells of every mail each change once, in the order of modseqs.
async fn one_event_for_each_modseq(person: &Person) {
    let mut last = 0;
    let mut seen = BTreeSet::new();
    for event in super::mail_events(person).await {
        let data = &event["data"];
        let Some(modseq) = data["modseq"].as_i64() else { continue };
        assert!(modseq >= last);
        last = modseq;
        assert!(seen.insert((modseq, data["mail_id"].to_string())), "{event}");
    }
    assert!(seen.len() > 10);
}
