//! Which lane gets a worker next.
//!
//! Workers are of two kinds. Steady ones serve lanes whose destination answers. Probing ones find
//! out about the others, one for each such lane: they spend their time waiting for servers that may
//! be dead, so there may be more of them, and they take nothing from the steady ones.
//!
//! Lanes stand in a list for their turn. Those with something of an account that has little due come
//! first, and a worker gives up its place for them after what it is at: a million deliveries of one
//! account do not delay the single one of another.

use std::collections::VecDeque;

use super::lane::LaneKey;

/// After so many goes a worker ends when other lanes wait for one.
pub(super) const QUANTUM: u32 = 16;
/// An account has little due, up to this.
pub(super) const LIGHT: usize = 100;

/// A kind of worker.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Class {
    Steady,
    Probing,
}

/// Whether the account whose turn it is has little due.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Weight {
    Light,
    Heavy,
}

#[derive(Default)]
struct Place {
    light: VecDeque<LaneKey>,
    heavy: VecDeque<LaneKey>,
    workers: usize,
    most: usize,
}

/// Workers, and lanes that want one.
pub(super) struct Turns {
    steady: Place,
    probing: Place,
}

impl Default for Turns {
    fn default() -> Self {
        let mut turns = Self { steady: Place::default(), probing: Place::default() };
        turns.limit((1, 1));
        turns
    }
}

impl Turns {
    const fn place(&self, class: Class) -> &Place {
        match class {
            Class::Steady => &self.steady,
            Class::Probing => &self.probing,
        }
    }

    const fn place_mut(&mut self, class: Class) -> &mut Place {
        match class {
            Class::Steady => &mut self.steady,
            Class::Probing => &mut self.probing,
        }
    }

    /// Says how many workers there may be of each kind.
    pub(super) const fn limit(&mut self, (steady, probing): (usize, usize)) {
        self.steady.most = steady;
        self.probing.most = probing;
    }

    /// Whether another worker of this kind may start.
    pub(super) const fn has_room(&self, class: Class) -> bool {
        let place = self.place(class);
        place.workers < place.most
    }

    pub(super) const fn started(&mut self, class: Class) {
        self.place_mut(class).workers += 1;
    }

    pub(super) const fn ended(&mut self, class: Class) {
        let place = self.place_mut(class);
        place.workers = place.workers.saturating_sub(1);
    }

    /// Whether a worker that has gone `served` times is to make room.
    pub(super) fn crowd_out(&self, class: Class, served: u32) -> bool {
        let place = self.place(class);
        let waits = !place.light.is_empty() || (served >= QUANTUM && !place.heavy.is_empty());
        served > 0 && waits && !self.has_room(class)
    }

    /// A lane wants a worker.
    pub(super) fn push(&mut self, key: LaneKey, class: Class, weight: Weight) {
        let place = self.place_mut(class);
        match weight {
            Weight::Light => place.light.push_back(key),
            Weight::Heavy => place.heavy.push_back(key),
        }
    }

    /// The lane whose turn it is.
    pub(super) fn pop(&mut self, class: Class) -> Option<(LaneKey, Weight)> {
        let place = self.place_mut(class);
        let light = place.light.pop_front().map(|key| (key, Weight::Light));
        light.or_else(|| Some((place.heavy.pop_front()?, Weight::Heavy)))
    }
}
