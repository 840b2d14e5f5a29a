//! Workers: started for lanes that want one, they take what is due there, and end when there is
//! nothing, or when others wait.

use std::sync::Arc;

use super::{
    Inner, Scheduler,
    lane::{Lane, LaneKey},
    pace::Pace,
    turns::{self, Class, Weight},
};
use time::OffsetDateTime;

use crate::queue::entry::{Entry, millis};

/// Groups whose content must be read first are taken together, to read it at once.
const READ_TOGETHER: usize = 8;

/// Somebody who works on what is due in a lane.
#[derive(Debug)]
pub(crate) struct Worker {
    pub lane: LaneKey,
    class: Class,
    /// How often it has taken something.
    served: u32,
}

/// What a worker does next.
pub(crate) struct Work {
    /// Recipients of one message each.
    pub groups: Vec<Vec<Entry>>,
    /// Each attempt needs a permit.
    pub pace: Arc<Pace>,
}

impl Scheduler {
    /// Workers to be started now.
    pub(crate) fn start_workers(&self) -> Vec<Worker> {
        let mut inner = self.lock();
        let mut started = Vec::new();
        for class in [Class::Probing, Class::Steady] {
            while inner.turns.has_room(class) {
                let Some((key, weight)) = inner.turns.pop(class) else { break };
                inner.start(key, (class, weight), &mut started);
            }
        }
        started
    }

    /// Takes what a worker does next: a group of recipients of one message, or several groups when
    /// their content must be read. None: the worker has ended.
    pub(crate) fn take(&self, worker: &mut Worker, now: OffsetDateTime) -> Option<Work> {
        let mut inner = self.lock();
        let stays = inner.keeps(worker) && !inner.pauses(&worker.lane, now);
        let groups = if stays { inner.next_groups(&worker.lane) } else { Vec::new() };
        let pace = inner.lanes.get(&worker.lane).map(|lane| Arc::clone(&lane.pace));
        if let Some(pace) = pace.filter(|_| !groups.is_empty()) {
            worker.served = worker.served.saturating_add(1);
            return Some(Work { groups, pace });
        }
        inner.end(worker);
        drop(inner);
        self.kick();
        None
    }
}

impl Inner {
    /// Puts a lane on the list for a worker, if it could use one more.
    pub(super) fn ask_for_worker(&mut self, key: LaneKey) {
        let Some(lane) = self.lanes.get_mut(&key) else { return };
        // One worker for every eight that wait; the dispatcher looks at the lane again then.
        if lane.workers >= lane.wanted() {
            return;
        }
        let due = lane.turn().and_then(|account| self.due.get(&account)).copied().unwrap_or(0);
        let weight = if due <= turns::LIGHT { Weight::Light } else { Weight::Heavy };
        let place = (lane.class(), weight);
        if !lane.queued.contains(&place) {
            lane.queued.push(place);
            self.turns.push(key, lane.class(), weight);
        }
    }

    /// Starts what workers a lane from the list can use.
    fn start(&mut self, key: LaneKey, place: (Class, Weight), started: &mut Vec<Worker>) {
        let (class, _) = place;
        let Some(lane) = self.lanes.get_mut(&key) else { return };
        lane.queued.retain(|other| *other != place);
        if lane.ready == 0 && lane.workers == 0 {
            self.lanes.remove(&key);
            return;
        }
        if lane.class() != class {
            return self.ask_for_worker(key);
        }
        while lane.workers < lane.wanted() && self.turns.has_room(class) {
            lane.workers += 1;
            self.turns.started(class);
            started.push(Worker { lane: key.clone(), class, served: 0 });
        }
    }

    /// Whether a worker goes on; it becomes one of the other kind with its lane.
    fn keeps(&mut self, worker: &mut Worker) -> bool {
        let Some(lane) = self.lanes.get(&worker.lane) else { return false };
        let class = lane.class();
        if class != worker.class {
            // One is enough to look whether it answers again.
            if !self.turns.has_room(class) || (class == Class::Probing && lane.workers > 1) {
                return false;
            }
            self.turns.ended(worker.class);
            self.turns.started(class);
            worker.class = class;
            if class == Class::Steady {
                self.ask_for_worker(worker.lane.clone());
            }
        }
        !self.turns.crowd_out(class, worker.served)
    }

    /// Whether nothing is to be taken from a lane now; it is looked at again in time.
    fn pauses(&mut self, key: &LaneKey, now: OffsetDateTime) -> bool {
        let Some(lane) = self.lanes.get_mut(key) else { return false };
        let Some(until) = lane.pace.paused(now) else { return false };
        if !std::mem::replace(&mut lane.paused, true) {
            self.pauses.entry(millis(until)).or_default().push(key.clone());
        }
        true
    }

    /// Lets lanes go on whose time has come.
    pub(super) fn end_pauses(&mut self, now: i64) {
        while let Some(first) = self.pauses.first_entry().filter(|first| *first.key() <= now) {
            for key in first.remove() {
                self.end_pause(key);
            }
        }
    }

    /// Lets a lane go on.
    pub(super) fn end_pause(&mut self, key: LaneKey) {
        if let Some(lane) = self.lanes.get_mut(&key) {
            lane.paused = false;
            self.ask_for_worker(key);
        }
    }

    fn next_groups(&mut self, key: &LaneKey) -> Vec<Vec<Entry>> {
        let mut groups = Vec::new();
        // One is enough to find out whether anybody answers.
        let most = match self.lanes.get(key).map(Lane::class) {
            Some(Class::Probing) => 1,
            _ => READ_TOGETHER,
        };
        while groups.len() < most {
            let Some(group) = self.lanes.get_mut(key).and_then(Lane::next_group) else { break };
            for entry in &group {
                *self.in_flight.entry(entry.id.shard()).or_default() += 1;
            }
            let Some(first) = group.first() else { break };
            let has_content = first.has_content();
            self.count_out(first.account, group.len());
            groups.push(group);
            if has_content {
                break;
            }
        }
        groups
    }

    fn end(&mut self, worker: &Worker) {
        self.turns.ended(worker.class);
        let Some(lane) = self.lanes.get_mut(&worker.lane) else { return };
        lane.workers = lane.workers.saturating_sub(1);
        if lane.workers == 0 && lane.ready == 0 {
            self.lanes.remove(&worker.lane);
        } else {
            self.ask_for_worker(worker.lane.clone());
        }
    }
}
