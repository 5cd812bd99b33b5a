//! Notices a connection that breaks without a word before a call does: a process that was killed is out at once, and
//! whoever has its address next gets none of its calls.

use std::{sync::Arc, time::Duration};

use futures::{FutureExt as _, future::BoxFuture};
use tokio::time::Instant;

use crate::{connection::Ending, member::Member};

/// A connection that broke sooner is not made again unasked: a server that takes connections and drops them would be
/// given no rest. Its calls find out what is wrong.
const LASTED: Duration = Duration::from_millis(100);

impl Member {
    /// Makes a connection again that broke off. An instance that refuses it is ejected, as after a call.
    pub(crate) fn look_after(self: Arc<Self>, ending: Ending, epoch: u64) -> BoxFuture<'static, ()> {
        let made = Instant::now();
        let watch = async move {
            if ending.breaks_off().await && made.elapsed() >= LASTED && self.is_at(epoch) {
                let _outcome = self.connection().await;
            }
        };
        // Boxed, since the connection that it makes is looked after in turn.
        watch.boxed()
    }
}
