//! The schedule: turns, lanes, and what is taken off it.

use time::OffsetDateTime;

use super::{pace::Contact, *};
use crate::{id::Message as MessageKind, ports::transport::Reply};

fn now() -> OffsetDateTime {
    OffsetDateTime::from_unix_timestamp(1_790_000_000).unwrap()
}

fn entry(account: Id<Account>, message: Id<MessageKind>, number: u16) -> Entry {
    Entry::new(message.delivery(number), account, "bob@example.net", now())
}

/// Ten steady workers, two of them for a lane, and forty that probe.
fn scheduler() -> Scheduler {
    let scheduler = Scheduler::default();
    scheduler.configure((10, 40), 2, false);
    scheduler
}

/// Mail for `example.net` is known to be answered.
fn answers(scheduler: &Scheduler) {
    let lane = LaneKey::Domain("example.net".into());
    let pace = scheduler.lock().paces.get(&lane).unwrap();
    pace.note(Contact::Good, now());
}

#[test]
fn accounts_take_turns_and_siblings_go_together() {
    let scheduler = scheduler();
    let (one, two) = (Id::new(now()), Id::new(now()));
    let busy: Vec<Id<MessageKind>> = (0..3).map(|_| Id::in_shard(now(), 1)).collect();
    let mut entries: Vec<Entry> =
        busy.iter().flat_map(|m| [entry(one, *m, 1), entry(one, *m, 2)]).collect();
    let late = Id::in_shard(now() + time::Duration::seconds(1), 1);
    entries.push(entry(two, late, 1));
    scheduler.add_loaded(entries);
    assert_eq!(scheduler.advance(millis(now())), None);
    answers(&scheduler);
    let mut lanes = scheduler.start_workers();
    assert_eq!(lanes.len(), 1);
    let groups = scheduler.take(&mut lanes[0], now()).unwrap().groups;
    assert_eq!(groups.len(), 4);
    assert_eq!(groups[0].len(), 2);
    assert_eq!(groups[1][0].account, two);
    assert!(scheduler.in_flight(1));
    for entry in groups.iter().flatten() {
        scheduler.finished(entry.id);
    }
    assert!(!scheduler.in_flight(1));
    assert!(scheduler.take(&mut lanes[0], now()).is_none());
    assert_eq!(scheduler.counts(), (0, 0, 0));
}

#[test]
fn what_is_not_due_waits_and_lost_shards_are_forgotten() {
    let scheduler = scheduler();
    let account = Id::new(now());
    let mut later = entry(account, Id::in_shard(now(), 7), 1);
    later.due += 5000;
    scheduler.add_loaded(vec![later]);
    assert_eq!(scheduler.advance(millis(now())), Some(millis(now()) + 5000));
    assert!(scheduler.start_workers().is_empty());
    scheduler.remove_shards(&[7]);
    assert_eq!(scheduler.advance(millis(now()) + 5000), None);
    assert!(scheduler.start_workers().is_empty());
}

fn message(octets: usize) -> Arc<Message> {
    let raw = || serde_json::value::to_raw_value("").unwrap();
    Arc::new(Message {
        id: Id::in_shard(now(), 1),
        account: Id::new(now()),
        mail_from: "".into(),
        subject: String::new(),
        internet_message_id: String::new(),
        created_at: now(),
        sandbox: false,
        purpose: crate::messages::Purpose::Mail,
        tags: raw(),
        metadata: raw(),
        prefix: bytes::Bytes::new(),
        body: bytes::Bytes::from(vec![0; octets]).into(),
        smtputf8: false,
        eight_bit: false,
        dsn: posthouse_mail::dsn::MailDsn::default(),
        held: std::sync::OnceLock::new(),
    })
}

#[test]
fn content_counts_as_held_until_its_attempt_has_ended() {
    let scheduler = scheduler();
    let take = |message: Arc<Message>| {
        scheduler.add_new(&message, &[entry(message.account, message.id, 1)]);
        drop(message);
        let mut lanes = scheduler.start_workers();
        let mut work = scheduler.take(&mut lanes[0], now()).unwrap();
        assert!(scheduler.take(&mut lanes[0], now()).is_none());
        work.groups[0][0].take_content()
    };
    let large = 40 * 1024 * 1024;
    let attempted = take(message(large));
    assert!(attempted.is_some());
    assert!(take(message(large)).is_none(), "there is room for one");
    assert!(take(message(1000)).is_some());
    drop(attempted);
    assert!(take(message(large)).is_some());
}

#[test]
fn what_is_seized_is_not_attempted_until_it_is_settled() {
    let scheduler = scheduler();
    let account = Id::new(now());
    let entries: Vec<Entry> = (0..4).map(|_| entry(account, Id::in_shard(now(), 1), 1)).collect();
    let mut later = entries[3].clone();
    later.due += 1000;
    scheduler.add_loaded([&entries[..3], &[later.clone()]].concat());
    scheduler.advance(millis(now()));
    answers(&scheduler);
    let mut lanes = scheduler.start_workers();
    // One stands in its lane, one waits for its time, and one is somewhere else.
    let elsewhere = entry(account, Id::in_shard(now(), 1), 1);
    let seized = scheduler.seize(&[&entries[1], &later, &elsewhere]);
    assert_eq!(HashSet::from_iter(seized.clone()), HashSet::from([entries[1].id, later.id]));
    assert!(scheduler.seize(&[&entries[1], &later]).is_empty(), "only once");
    let work = scheduler.take(&mut lanes[0], now()).unwrap();
    // In the order of their ids, which are random.
    let taken: HashSet<_> = work.groups.iter().flatten().map(|entry| entry.id).collect();
    assert_eq!(taken, HashSet::from([entries[0].id, entries[2].id]));
    assert!(scheduler.seize(&[&entries[0]]).is_empty(), "it is being attempted");
    for id in taken {
        scheduler.finished(id);
    }
    assert!(scheduler.in_flight(1), "the shard is not given away meanwhile");
    scheduler.settle(&seized, vec![later.clone()]);
    assert!(!scheduler.in_flight(1));
    assert_eq!(scheduler.advance(millis(now())), Some(later.due));
    assert_eq!(scheduler.counts(), (1, 0, 0));
}

#[test]
fn who_is_paused_does_not_hinder_others_and_goes_on_later() {
    let scheduler = scheduler();
    let (one, two) = (Id::new(now()), Id::new(now()));
    let entries: Vec<Entry> =
        [one, one, two].map(|account| entry(account, Id::in_shard(now(), 1), 1)).to_vec();
    scheduler.add_loaded(entries[..1].to_vec());
    scheduler.advance(millis(now()));
    scheduler.set_paused(Paused { all: false, accounts: HashSet::from([one]) });
    scheduler.add_loaded(entries[1..].to_vec());
    scheduler.advance(millis(now()));
    let mut lanes = scheduler.start_workers();
    let work = scheduler.take(&mut lanes[0], now()).unwrap();
    assert_eq!(work.groups.iter().flatten().map(|e| e.account).collect::<Vec<_>>(), [two]);
    assert!(scheduler.take(&mut lanes[0], now()).is_none());
    assert_eq!(scheduler.counts(), (2, 0, 1));
    assert_eq!(scheduler.seize(&[&entries[0]]), [entries[0].id], "it can be changed");
    scheduler.set_paused(Paused::default());
    scheduler.advance(millis(now()));
    let mut lanes = scheduler.start_workers();
    assert_eq!(scheduler.take(&mut lanes[0], now()).unwrap().groups[0][0].id, entries[1].id);
}

/// So many deliveries of an account to a domain, due now.
fn due(scheduler: &Scheduler, account: Id<Account>, domain: &str, count: usize) -> Vec<Entry> {
    let to = format!("bob@{domain}");
    let make = |_| Entry::new(Id::in_shard(now(), 1).delivery(1), account, &to, now());
    let entries: Vec<Entry> = (0..count).map(make).collect();
    scheduler.add_loaded(entries.clone());
    scheduler.advance(millis(now()));
    entries
}

fn end(scheduler: &Scheduler, work: &Work) {
    for entry in work.groups.iter().flatten() {
        scheduler.finished(entry.id);
    }
}

#[test]
fn a_lane_has_one_worker_until_its_destination_answers_and_then_a_limited_number() {
    let scheduler = scheduler();
    due(&scheduler, Id::new(now()), "example.net", 100);
    let mut workers = scheduler.start_workers();
    assert_eq!(workers.len(), 1);
    let work = scheduler.take(&mut workers[0], now()).unwrap();
    assert!(scheduler.start_workers().is_empty());
    work.pace.note(Contact::Good, now());
    end(&scheduler, &work);
    let work = scheduler.take(&mut workers[0], now()).unwrap();
    workers.extend(scheduler.start_workers());
    assert_eq!(workers.len(), 2);
    assert!(scheduler.start_workers().is_empty());
    // It does not answer any more: one stays.
    for _ in 0..3 {
        work.pace.note(Contact::Lost(Reply::local("4.4.1", "x")), now());
    }
    end(&scheduler, &work);
    assert!(scheduler.take(&mut workers[1], now()).is_none());
    let later = now() + Duration::from_secs(5);
    assert!(scheduler.take(&mut workers[0], later).is_some());
    assert!(scheduler.start_workers().is_empty());
}

#[test]
fn a_lane_that_rests_waits_for_its_time() {
    let scheduler = scheduler();
    let entries = due(&scheduler, Id::new(now()), "example.net", 3);
    let mut workers = scheduler.start_workers();
    let work = scheduler.take(&mut workers[0], now()).unwrap();
    assert_eq!(work.groups.len(), 1, "one is enough to find out");
    work.pace.note(Contact::Lost(Reply::local("4.4.1", "x")), now());
    end(&scheduler, &work);
    assert!(scheduler.take(&mut workers[0], now()).is_none());
    let after = |millis_later: i64| {
        scheduler.advance(millis(now()) + millis_later);
        scheduler.start_workers()
    };
    assert!(after(0).is_empty() && after(4999).is_empty());
    let mut workers = after(5000);
    let later = now() + Duration::from_secs(5);
    assert!(scheduler.take(&mut workers[0], later).is_some());
    // Somebody asks.
    let work = scheduler.take(&mut workers[0], later).unwrap();
    work.pace.note(Contact::Lost(Reply::local("4.4.1", "x")), later);
    assert!(scheduler.take(&mut workers[0], later).is_none());
    scheduler.wake(&entries[0]);
    assert!(scheduler.start_workers().is_empty(), "nothing is left in it");
    due(&scheduler, Id::new(now()), "example.net", 1);
    assert_eq!(scheduler.start_workers().len(), 1);
}

#[test]
fn the_dead_take_no_workers_from_the_living() {
    let scheduler = scheduler();
    let account = Id::new(now());
    for number in 0..100 {
        due(&scheduler, account, &format!("{number}.test"), 1);
    }
    let probing = scheduler.start_workers();
    assert_eq!(probing.len(), 4 * 10);
    let relay = LaneKey::Transport(Id::new(now()));
    let living = |count| {
        let entries = due(&scheduler, account, "living.test", count);
        scheduler.seize(&entries.iter().collect::<Vec<_>>());
        scheduler.hand_over(entries.into_iter().map(|one| (relay.clone(), one)).collect());
    };
    living(1);
    assert!(scheduler.start_workers().is_empty(), "nobody knows that it lives");
    scheduler.lock().paces.get(&relay).unwrap().note(Contact::Good, now());
    living(100);
    let steady = scheduler.start_workers();
    assert_eq!(steady.iter().filter(|worker| worker.lane == relay).count(), 2);
}

#[test]
fn who_has_little_due_comes_before_who_has_a_lot() {
    let scheduler = scheduler();
    let (busy, other) = (Id::new(now()), Id::new(now()));
    for number in 0..60 {
        due(&scheduler, busy, &format!("{number}.test"), 10);
    }
    let mut workers = scheduler.start_workers();
    assert_eq!(workers.len(), 40);
    let work = scheduler.take(&mut workers[0], now()).unwrap();
    let mine = due(&scheduler, other, "other.test", 1).remove(0);
    assert!(scheduler.start_workers().is_empty());
    end(&scheduler, &work);
    assert!(scheduler.take(&mut workers[0], now()).is_none(), "it gives up its place");
    let mut started = scheduler.start_workers();
    let work = scheduler.take(&mut started[0], now()).unwrap();
    assert_eq!(work.groups[0][0].id, mine.id);
    end(&scheduler, &work);
    // Lanes of the same kind take turns, too.
    let groups = (0..100).map_while(|_| scheduler.take(&mut workers[1], now())).count();
    assert!((1..=turns::QUANTUM).contains(&u32::try_from(groups).unwrap()), "{groups}");
}

#[test]
fn domains_with_the_same_exchangers_share_a_lane() {
    let scheduler = scheduler();
    let account = Id::new(now());
    let entries = due(&scheduler, account, "one.test", 20);
    let named = |name: &str| LaneKey::Exchangers(Exchangers::Named(name.into()), None);
    let lane = named("mx.test");
    scheduler.learn("one.test", &lane);
    scheduler.learn("two.test", &lane);
    due(&scheduler, account, "two.test", 1);
    let mut workers = scheduler.start_workers();
    assert_eq!(workers.iter().map(|worker| &worker.lane).collect::<Vec<_>>(), [&lane]);
    assert_eq!(scheduler.seize(&[&entries[0]]), [entries[0].id], "it is found there");
    // Another host from now on: what waits goes there.
    let other = named("mx.other.test");
    scheduler.learn("one.test", &other);
    let work = scheduler.take(&mut workers[0], now()).unwrap();
    assert_eq!(work.groups.iter().flatten().map(Entry::domain).collect::<Vec<_>>(), ["two.test"]);
    let mut workers = scheduler.start_workers();
    let mut groups = Vec::new();
    while let Some(work) = scheduler.take(&mut workers[0], now()) {
        groups.extend(work.groups);
    }
    assert_eq!((groups.len(), workers[0].lane.clone()), (19, other));
}

#[test]
fn what_is_handed_over_stands_in_the_other_lane_and_is_found_there() {
    let scheduler = scheduler();
    let account = Id::new(now());
    let entries: Vec<Entry> = (0..2).map(|_| entry(account, Id::in_shard(now(), 1), 1)).collect();
    scheduler.add_loaded(entries.clone());
    scheduler.advance(millis(now()));
    answers(&scheduler);
    let mut lanes = scheduler.start_workers();
    let taken: Vec<Entry> =
        scheduler.take(&mut lanes[0], now()).unwrap().groups.into_iter().flatten().collect();
    let relay = LaneKey::Transport(Id::new(now()));
    scheduler.hand_over(taken.into_iter().map(|entry| (relay.clone(), entry)).collect());
    assert!(!scheduler.in_flight(1), "nobody works on it");
    assert!(scheduler.take(&mut lanes[0], now()).is_none());
    assert_eq!(scheduler.seize(&[&entries[0]]), [entries[0].id], "it can be changed there");
    let mut lanes = scheduler.start_workers();
    assert_eq!(lanes.iter().map(|worker| &worker.lane).collect::<Vec<_>>(), [&relay]);
    let left = scheduler.take(&mut lanes[0], now()).unwrap().groups;
    assert_eq!(left.iter().flatten().map(|entry| entry.id).collect::<Vec<_>>(), [entries[1].id]);
}
