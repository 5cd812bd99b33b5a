//! How often the operator looks at what nobody tells it of.

use std::time::Duration;

/// Beyond the time after which the server ends a watch, it is dead.
const GRACE: Duration = Duration::from_secs(10);

/// How often.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rhythm {
    /// Each Shop as a whole, whatever the watches say: Consul tells nobody that it lost a key, and an event may be lost.
    pub resync: Duration,
    /// The list of all Shops, whatever the watch says.
    pub relist: Duration,
    /// How long the server keeps a watch; then it is asked for anew, from where it was.
    pub watch_seconds: u32,
}

impl Rhythm {
    /// Silence for this long, which bookmarks break every minute, is a watch that is dead.
    pub fn silence(&self) -> Duration {
        Duration::from_secs(self.watch_seconds.into()) + GRACE
    }
}

impl Default for Rhythm {
    fn default() -> Self {
        Self { resync: Duration::from_mins(5), relist: Duration::from_mins(10), watch_seconds: 120 }
    }
}
