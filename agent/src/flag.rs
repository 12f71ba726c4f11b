//! A flag that goes up once and can be waited for.

use tokio::sync::watch;

/// Waits until the flag is up, or until nobody can raise it any more.
pub(crate) async fn raised(flag: &mut watch::Receiver<bool>) {
    // Both ends of the wait mean the same to the callers, and the guard must not live on.
    let _ = flag.wait_for(|up| *up).await.map(drop);
}
