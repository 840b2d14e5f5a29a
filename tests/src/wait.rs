//! Waiting for what happens in the background.

use std::{
    fmt::Debug,
    time::{Duration, Instant},
};

/// How long the background may take on a busy machine.
pub const PATIENCE: Duration = Duration::from_secs(30);

/// Asks again and again until there is an answer; fails the test after [`PATIENCE`].
pub async fn eventually<T>(what: &str, ask: impl AsyncFnMut() -> Option<T>) -> T {
    within(PATIENCE, what, ask).await
}

/// Asks again and again until there is an answer; fails the test after `patience`.
pub async fn within<T>(
    patience: Duration,
    what: &str,
    mut ask: impl AsyncFnMut() -> Option<T>,
) -> T {
    let deadline = Instant::now() + patience;
    loop {
        if let Some(answer) = ask().await {
            return answer;
        }
        assert!(Instant::now() < deadline, "not within {} s: {what}", patience.as_secs());
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// Waits until something has this value.
pub async fn until_equal<T: PartialEq + Debug>(wanted: T, mut ask: impl AsyncFnMut() -> T) {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let found = ask().await;
        if found == wanted {
            return;
        }
        assert!(Instant::now() < deadline, "wanted {wanted:?}, still {found:?}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}
