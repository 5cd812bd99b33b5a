//! The instances a pool knows, and the choice among them.

use std::{
    fmt, mem,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use parking_lot::RwLock;
use serde_json::Value;

use crate::{member::Member, resolver::Instance, target::Upstream};

/// Instances beyond this are not used: the choice looks at each, and no service of a shop is near it.
const MAX_INSTANCES: usize = 256;

pub(crate) struct Members {
    upstream: Arc<Upstream>,
    list: RwLock<Arc<[Arc<Member>]>>,
    /// Tried while all of the list are out.
    fallback: Vec<Arc<Member>>,
    /// Where the next look around begins, so that equals take turns.
    turn: AtomicUsize,
}

/// What a call has been through so far.
#[derive(Debug, Default)]
pub(crate) struct Tried {
    members: Vec<Arc<Member>>,
}

impl Tried {
    pub(crate) fn add(&mut self, member: Arc<Member>) {
        self.members.push(member);
    }

    fn has(&self, member: &Arc<Member>) -> bool {
        self.members.iter().any(|tried| Arc::ptr_eq(tried, member))
    }
}

impl Members {
    pub(crate) fn new(upstream: Arc<Upstream>, fallback: &[Instance]) -> Self {
        let member = |instance: &Instance| Arc::new(Member::new(instance.clone(), Arc::clone(&upstream)));
        let fallback = fallback.iter().take(MAX_INSTANCES).map(member).collect();
        Self { upstream, list: RwLock::new(Arc::new([])), fallback, turn: AtomicUsize::new(0) }
    }

    /// Makes this the set. Instances that stay keep their connections; those that left finish what they work on.
    pub(crate) fn update(&self, instances: &[Instance]) {
        let present = Arc::clone(&self.list.read());
        if instances.is_empty() && !present.is_empty() {
            // More likely the resolver's trouble than the end of every instance; the pool finds out which are gone.
            tracing::warn!(
                upstream.service = self.upstream.service,
                "The resolver has no instance: the last set stays."
            );
            return;
        }
        if instances.len() > MAX_INSTANCES {
            tracing::warn!(
                upstream.service = self.upstream.service,
                instances = instances.len(),
                used = MAX_INSTANCES,
                "There are more instances than are used."
            );
        }
        let next = instances
            .iter()
            .take(MAX_INSTANCES)
            .map(|instance| {
                let known = present.iter().find(|member| member.instance == *instance);
                known.cloned().unwrap_or_else(|| Arc::new(Member::new(instance.clone(), Arc::clone(&self.upstream))))
            })
            .collect();
        let previous = mem::replace(&mut *self.list.write(), next);
        let next = Arc::clone(&self.list.read());
        for member in previous.iter().filter(|member| !next.iter().any(|kept| Arc::ptr_eq(kept, member))) {
            member.leave();
        }
    }

    /// The instance with the fewest calls in flight that is in and was not tried yet; one of the fallback while no instance
    /// is in.
    pub(crate) fn fresh(&self, tried: &Tried) -> Option<Arc<Member>> {
        let list = Arc::clone(&self.list.read());
        let fresh = |member: &Arc<Member>| !member.is_ejected() && !tried.has(member);
        if list.iter().any(|member| !member.is_ejected()) {
            return self.least_loaded(&list, fresh);
        }
        self.least_loaded(&self.fallback, |member| fresh(member) && is_elsewhere(&list, member))
    }

    /// One to try even so: a set of instances never becomes none. But one that another process has the address of.
    pub(crate) fn any(&self, tried: &Tried) -> Option<Arc<Member>> {
        let list = Arc::clone(&self.list.read());
        let elsewhere = |member: &Arc<Member>| is_elsewhere(&list, member);
        self.least_loaded(&list, |member| !member.is_ejected())
            .or_else(|| self.least_loaded(&self.fallback, |member| !member.is_ejected() && elsewhere(member)))
            .or_else(|| self.least_loaded(&list, |member| !member.is_replaced() && !tried.has(member)))
            .or_else(|| self.least_loaded(&self.fallback, |member| !tried.has(member) && elsewhere(member)))
            .or_else(|| self.least_loaded(&list, |member| !member.is_replaced()))
    }

    /// What operators see of the instances.
    pub(crate) fn report(&self) -> Vec<Value> {
        let list = Arc::clone(&self.list.read());
        list.iter().map(|member| member.report()).collect()
    }

    /// What operators see of the fallback.
    pub(crate) fn report_fallback(&self) -> Vec<Value> {
        self.fallback.iter().map(|member| member.report()).collect()
    }

    fn least_loaded(&self, list: &[Arc<Member>], eligible: impl Fn(&Arc<Member>) -> bool) -> Option<Arc<Member>> {
        let turn = self.turn.fetch_add(1, Ordering::Relaxed).checked_rem(list.len())?;
        let (after, before) = list.split_at(turn);
        before.iter().chain(after).filter(|member| eligible(member)).min_by_key(|member| member.load()).cloned()
    }
}

/// Whether an address of the fallback is none of the list, where it would only be tried once more.
fn is_elsewhere(list: &[Arc<Member>], fallback: &Member) -> bool {
    list.iter().all(|member| member.instance.authority != fallback.instance.authority || member.is_replaced())
}

impl fmt::Debug for Members {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.list.read().iter()).finish()
    }
}

impl Drop for Members {
    fn drop(&mut self) {
        for member in self.list.get_mut().iter().chain(&self.fallback) {
            member.leave();
        }
    }
}
