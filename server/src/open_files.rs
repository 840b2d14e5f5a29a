//! How many files this process may open: each connection is one.

use nix::sys::resource::{Resource, getrlimit, setrlimit};

/// More is not asked for, even where nothing limits it.
const ENOUGH: u64 = 1 << 20;
/// Connections to destinations that may be dead, for each one that delivers. They wait for minutes
/// and do nothing; with too few of them, those that would answer wait for their turn.
const PROBES: usize = 20;

/// How many connections may wait for destinations that are not known to answer: half of the files
/// that may be open are left for everything else.
pub(crate) fn for_probing(connections: usize) -> usize {
    let half = getrlimit(Resource::RLIMIT_NOFILE).map_or(0, |(_, most)| most.min(ENOUGH) / 2);
    let half = usize::try_from(half).unwrap_or(usize::MAX);
    connections.saturating_mul(PROBES).min(half).max(1)
}

/// Raises the limit as far as the system allows without more rights (`setrlimit(2)`).
pub fn raise_limit() {
    let raised = getrlimit(Resource::RLIMIT_NOFILE).and_then(|(now, most)| {
        let wanted = most.min(ENOUGH).max(now);
        setrlimit(Resource::RLIMIT_NOFILE, wanted, most)
    });
    if let Err(error) = raised {
        tracing::warn!(%error, "the limit of open files stays as it is");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_limit_never_goes_down() {
        let (now, most) = getrlimit(Resource::RLIMIT_NOFILE).unwrap();
        raise_limit();
        let (raised, still) = getrlimit(Resource::RLIMIT_NOFILE).unwrap();
        assert_eq!((raised, still), (most.min(ENOUGH).max(now), most));
        assert_eq!(for_probing(1), PROBES.min(usize::try_from(most / 2).unwrap()));
        assert!(for_probing(usize::MAX) <= usize::try_from(raised / 2).unwrap());
    }
}
