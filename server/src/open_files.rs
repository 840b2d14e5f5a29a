//! How many files this process may open: each connection is one.

use nix::sys::resource::{Resource, getrlimit, setrlimit};

/// More is not asked for, even where nothing limits it.
const ENOUGH: u64 = 1 << 20;

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
    }
}
