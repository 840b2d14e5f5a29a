//! The schedule: turns, lanes, and what is taken off it.

use time::OffsetDateTime;

use super::*;
use crate::id::Message as MessageKind;

fn now() -> OffsetDateTime {
    OffsetDateTime::from_unix_timestamp(1_790_000_000).unwrap()
}

fn entry(account: Id<Account>, message: Id<MessageKind>, number: u16) -> Entry {
    Entry::new(message.delivery(number), account, "bob@example.net", now())
}

const LIMITS: Limits = Limits { total: 10, lane: 2 };

#[test]
fn accounts_take_turns_and_siblings_go_together() {
    let scheduler = Scheduler::default();
    let (one, two) = (Id::new(now()), Id::new(now()));
    let busy: Vec<Id<MessageKind>> = (0..3).map(|_| Id::in_shard(now(), 1)).collect();
    let mut entries: Vec<Entry> =
        busy.iter().flat_map(|m| [entry(one, *m, 1), entry(one, *m, 2)]).collect();
    let late = Id::in_shard(now() + time::Duration::seconds(1), 1);
    entries.push(entry(two, late, 1));
    scheduler.add_loaded(entries);
    assert_eq!(scheduler.advance(millis(now())), None);
    let lanes = scheduler.start_workers(LIMITS);
    assert_eq!(lanes.len(), 1);
    let groups = scheduler.take(&lanes[0]).unwrap().groups;
    assert_eq!(groups.len(), 4);
    assert_eq!(groups[0].len(), 2);
    assert_eq!(groups[1][0].account, two);
    assert!(scheduler.in_flight(1));
    for entry in groups.iter().flatten() {
        scheduler.finished(entry.id);
    }
    assert!(!scheduler.in_flight(1));
    assert!(scheduler.take(&lanes[0]).is_none());
    assert_eq!(scheduler.counts(), (0, 0, 0));
}

#[test]
fn what_is_not_due_waits_and_lost_shards_are_forgotten() {
    let scheduler = Scheduler::default();
    let account = Id::new(now());
    let mut later = entry(account, Id::in_shard(now(), 7), 1);
    later.due += 5000;
    scheduler.add_loaded(vec![later]);
    assert_eq!(scheduler.advance(millis(now())), Some(millis(now()) + 5000));
    assert!(scheduler.start_workers(LIMITS).is_empty());
    scheduler.remove_shards(&[7]);
    assert_eq!(scheduler.advance(millis(now()) + 5000), None);
    assert!(scheduler.start_workers(LIMITS).is_empty());
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
        tags: raw(),
        metadata: raw(),
        prefix: bytes::Bytes::new(),
        body: bytes::Bytes::from(vec![0; octets]).into(),
        smtputf8: false,
        eight_bit: false,
        held: std::sync::OnceLock::new(),
    })
}

#[test]
fn content_counts_as_held_until_its_attempt_has_ended() {
    let scheduler = Scheduler::default();
    let take = |message: Arc<Message>| {
        scheduler.add_new(&message, &[entry(message.account, message.id, 1)]);
        drop(message);
        let lanes = scheduler.start_workers(LIMITS);
        let mut work = scheduler.take(&lanes[0]).unwrap();
        assert!(scheduler.take(&lanes[0]).is_none());
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
    let scheduler = Scheduler::default();
    let account = Id::new(now());
    let entries: Vec<Entry> = (0..4).map(|_| entry(account, Id::in_shard(now(), 1), 1)).collect();
    let mut later = entries[3].clone();
    later.due += 1000;
    scheduler.add_loaded([&entries[..3], &[later.clone()]].concat());
    scheduler.advance(millis(now()));
    let lanes = scheduler.start_workers(LIMITS);
    // One stands in its lane, one waits for its time, and one is somewhere else.
    let elsewhere = entry(account, Id::in_shard(now(), 1), 1);
    let seized = scheduler.seize(&[&entries[1], &later, &elsewhere]);
    assert_eq!(HashSet::from_iter(seized.clone()), HashSet::from([entries[1].id, later.id]));
    assert!(scheduler.seize(&[&entries[1], &later]).is_empty(), "only once");
    let work = scheduler.take(&lanes[0]).unwrap();
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
    let scheduler = Scheduler::default();
    let (one, two) = (Id::new(now()), Id::new(now()));
    let entries: Vec<Entry> =
        [one, one, two].map(|account| entry(account, Id::in_shard(now(), 1), 1)).to_vec();
    scheduler.add_loaded(entries[..1].to_vec());
    scheduler.advance(millis(now()));
    scheduler.set_paused(Paused { all: false, accounts: HashSet::from([one]) });
    scheduler.add_loaded(entries[1..].to_vec());
    scheduler.advance(millis(now()));
    let lanes = scheduler.start_workers(LIMITS);
    let work = scheduler.take(&lanes[0]).unwrap();
    assert_eq!(work.groups.iter().flatten().map(|e| e.account).collect::<Vec<_>>(), [two]);
    assert!(scheduler.take(&lanes[0]).is_none());
    assert_eq!(scheduler.counts(), (2, 0, 1));
    assert_eq!(scheduler.seize(&[&entries[0]]), [entries[0].id], "it can be changed");
    scheduler.set_paused(Paused::default());
    scheduler.advance(millis(now()));
    let lanes = scheduler.start_workers(LIMITS);
    assert_eq!(scheduler.take(&lanes[0]).unwrap().groups[0][0].id, entries[1].id);
}

#[test]
fn a_lane_has_a_limited_number_of_workers() {
    let scheduler = Scheduler::default();
    let account = Id::new(now());
    let entries = (0..100).map(|_| entry(account, Id::in_shard(now(), 1), 1)).collect::<Vec<_>>();
    scheduler.add_loaded(entries);
    scheduler.advance(millis(now()));
    assert_eq!(scheduler.start_workers(LIMITS).len(), 2);
    assert!(scheduler.start_workers(LIMITS).is_empty());
}

#[test]
fn what_is_handed_over_stands_in_the_other_lane_and_is_found_there() {
    let scheduler = Scheduler::default();
    let account = Id::new(now());
    let entries: Vec<Entry> = (0..2).map(|_| entry(account, Id::in_shard(now(), 1), 1)).collect();
    scheduler.add_loaded(entries.clone());
    scheduler.advance(millis(now()));
    let lanes = scheduler.start_workers(LIMITS);
    let taken: Vec<Entry> =
        scheduler.take(&lanes[0]).unwrap().groups.into_iter().flatten().collect();
    let relay = LaneKey::Transport(Id::new(now()));
    scheduler.hand_over(taken.into_iter().map(|entry| (relay.clone(), entry)).collect());
    assert!(!scheduler.in_flight(1), "nobody works on it");
    assert!(scheduler.take(&lanes[0]).is_none());
    assert_eq!(scheduler.seize(&[&entries[0]]), [entries[0].id], "it can be changed there");
    assert_eq!(scheduler.start_workers(LIMITS), std::slice::from_ref(&relay));
    let left = scheduler.take(&relay).unwrap().groups;
    assert_eq!(left.iter().flatten().map(|entry| entry.id).collect::<Vec<_>>(), [entries[1].id]);
}
