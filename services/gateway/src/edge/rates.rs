//! How much each client may ask: a token bucket each, and so many requests at once.
//!
//! A bucket is kept as the moment at which it will be full again (GCRA, the "theoretical arrival time" of ATM Forum TM 4.0
//! with tokens for cells), so that nothing has to refill it. The table is bounded: a client whose bucket is full is not
//! kept, and when there is no room, those nearest to full go first. Who floods it with new addresses therefore forgets
//! its own light users, never one that is at its limit.

use std::{
    collections::HashMap,
    hash::{BuildHasher as _, RandomState},
    net::IpAddr,
    num::NonZeroU32,
    time::{Duration, Instant},
};

use parking_lot::Mutex;
use shop_types::Uuid;

use super::places::Room;

/// Clients that are kept: some 4 MiB at most, and more than ask in the two seconds a bucket takes to fill.
const MAX_CLIENTS: usize = 64 * 1024;
/// Parts of the table with a lock each, so that cores seldom wait for one another.
const SHARDS: usize = 64;
const NANOS: u64 = 1_000_000_000;

/// Who a request is counted for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Client {
    /// A signed-in user, wherever from.
    User(Uuid),
    /// Anyone else, by [`shop_server::address_block`].
    Address(IpAddr),
    /// Attempts to sign in, by address, whoever the token says it is.
    SignIn(IpAddr),
}

/// A bucket's size and how it fills.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Rate {
    /// Nanoseconds a token takes.
    interval: u64,
    burst: u32,
}

impl Rate {
    /// One gateway's part of what all of them together allow a client.
    pub(crate) fn shared(per_second: NonZeroU32, burst: NonZeroU32, gateways: usize) -> Self {
        let gateways = u32::try_from(gateways.max(1)).unwrap_or(u32::MAX);
        Self {
            interval: NANOS * u64::from(gateways) / u64::from(per_second.get()),
            burst: (burst.get() / gateways).max(1),
        }
    }

    /// Requests that may come at once.
    pub(crate) fn burst(self) -> u32 {
        self.burst
    }

    /// Time in which an empty bucket fills.
    pub(crate) fn window(self) -> Duration {
        Duration::from_nanos(self.interval.saturating_mul(u64::from(self.burst)))
    }
}

/// What is left after a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Left {
    /// Further requests that may come at once.
    pub(crate) requests: u32,
    /// Until the bucket is full.
    pub(crate) full_in: Duration,
}

/// Why a client has to wait.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Excess {
    /// The bucket is empty.
    Rate {
        /// Until there is a token again.
        retry_after: Duration,
        /// The bucket as it is.
        left: Left,
    },
    /// Too many of its requests are being worked on.
    InFlight,
}

#[derive(Debug, Default, Clone, Copy)]
struct Usage {
    /// When the bucket is full, in nanoseconds since the table was made.
    full_at: u64,
    in_flight: u32,
    /// Room that its requests in flight have taken.
    bodies: u32,
    answers: u32,
}

impl Usage {
    fn held(&mut self, room: Room) -> &mut u32 {
        match room {
            Room::Bodies => &mut self.bodies,
            Room::Answers => &mut self.answers,
        }
    }
}

/// More than one client's share.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct BeyondShare;

/// All clients' usage.
#[derive(Debug)]
pub(crate) struct Clients {
    shards: Vec<Mutex<HashMap<Client, Usage>>>,
    shard_capacity: usize,
    hasher: RandomState,
    started: Instant,
}

impl Clients {
    pub(crate) fn new() -> Self {
        Self::with_capacity(MAX_CLIENTS)
    }

    fn with_capacity(clients: usize) -> Self {
        Self {
            shards: std::iter::repeat_with(Mutex::default).take(SHARDS).collect(),
            shard_capacity: clients / SHARDS,
            hasher: RandomState::new(),
            started: Instant::now(),
        }
    }

    /// Counts a request that begins; [`Clients::leave`] must follow when it is granted.
    pub(crate) fn enter(&self, client: Client, rate: Rate, most_in_flight: u32) -> Result<Left, Excess> {
        self.count(client, rate, Some(most_in_flight), self.now())
    }

    /// Takes a token only.
    pub(crate) fn take(&self, client: Client, rate: Rate) -> Result<Left, Excess> {
        self.count(client, rate, None, self.now())
    }

    /// A request that was granted is over.
    pub(crate) fn leave(&self, client: Client) {
        if let Some(usage) = self.shard(&client).lock().get_mut(&client) {
            usage.in_flight -= 1;
        }
    }

    /// Counts room that a request in flight takes; [`Clients::let_go`] must follow when it is granted.
    pub(crate) fn hold(&self, client: Client, room: Room, more: u32) -> Result<(), BeyondShare> {
        let mut shard = self.shard(&client).lock();
        let held = shard.entry(client).or_default().held(room);
        if held.saturating_add(more) > room.share() {
            return Err(BeyondShare);
        }
        *held += more;
        Ok(())
    }

    /// Room that was granted is free.
    pub(crate) fn let_go(&self, client: Client, room: Room, units: u32) {
        if let Some(usage) = self.shard(&client).lock().get_mut(&client) {
            *usage.held(room) -= units;
        }
    }

    fn count(&self, client: Client, rate: Rate, most_in_flight: Option<u32>, now: u64) -> Result<Left, Excess> {
        let mut shard = self.shard(&client).lock();
        if shard.len() >= self.shard_capacity && !shard.contains_key(&client) {
            make_room(&mut shard, self.shard_capacity, now);
        }
        let usage = shard.entry(client).or_default();
        if most_in_flight.is_some_and(|most| usage.in_flight >= most) {
            return Err(Excess::InFlight);
        }
        let size = rate.interval.saturating_mul(u64::from(rate.burst));
        let full_at = usage.full_at.max(now).saturating_add(rate.interval);
        let lacking = full_at - now;
        if lacking > size {
            let retry_after = Duration::from_nanos(lacking - size);
            let full_in = Duration::from_nanos(usage.full_at.saturating_sub(now));
            return Err(Excess::Rate { retry_after, left: Left { requests: 0, full_in } });
        }
        usage.full_at = full_at;
        usage.in_flight += u32::from(most_in_flight.is_some());
        let requests = u32::try_from((size - lacking) / rate.interval.max(1)).unwrap_or(u32::MAX);
        Ok(Left { requests, full_in: Duration::from_nanos(lacking) })
    }

    fn shard(&self, client: &Client) -> &Mutex<HashMap<Client, Usage>> {
        let hash = self.hasher.hash_one(client);
        // The remainder is below the number of shards.
        &self.shards[usize::try_from(hash % SHARDS as u64).unwrap_or_default()]
    }

    fn now(&self) -> u64 {
        // Five hundred years.
        u64::try_from(self.started.elapsed().as_nanos()).unwrap_or(u64::MAX)
    }
}

/// Forgets who does not matter: those with a full bucket and nothing in flight, and if that is not enough, the fuller half
/// of the others. What is in flight stays known, and is bounded by what the gateway works on at once.
fn make_room(shard: &mut HashMap<Client, Usage>, capacity: usize, now: u64) {
    shard.retain(|_, usage| usage.in_flight > 0 || usage.full_at > now);
    if shard.len() < capacity {
        return;
    }
    let mut times: Vec<_> = shard.values().map(|usage| usage.full_at).collect();
    let middle = times.len() / 2;
    let (_, median, _) = times.select_nth_unstable(middle);
    let median = *median;
    shard.retain(|_, usage| usage.in_flight > 0 || usage.full_at > median);
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: u64 = NANOS;
    const ALICE: Client = Client::User(Uuid::from_u128(1));
    const BOB: Client = Client::User(Uuid::from_u128(2));

    fn rate(per_second: u32, burst: u32) -> Rate {
        Rate::shared(NonZeroU32::new(per_second).unwrap(), NonZeroU32::new(burst).unwrap(), 1)
    }

    fn address(number: u32) -> Client {
        Client::Address(IpAddr::from(number.to_be_bytes()))
    }

    #[test]
    fn a_burst_passes_and_then_the_rate() {
        let clients = Clients::new();
        let rate = rate(10, 3);
        let take = |now| clients.count(ALICE, rate, None, now);
        for left in [2, 1, 0] {
            assert_eq!(take(0).unwrap().requests, left);
        }
        let left = Left { requests: 0, full_in: Duration::from_millis(300) };
        assert_eq!(take(0), Err(Excess::Rate { retry_after: Duration::from_millis(100), left }));
        // A refusal costs nothing, and another client has a bucket of its own.
        assert_eq!(clients.count(BOB, rate, None, 0).unwrap().requests, 2);
        assert!(take(SECOND / 10 - 1).is_err());
        assert!(take(SECOND / 10).is_ok());
        assert!(take(SECOND / 10).is_err());
        // Full again, and not fuller for having waited longer.
        for left in [2, 1, 0] {
            assert_eq!(take(60 * SECOND).unwrap().requests, left);
        }
        assert!(take(60 * SECOND).is_err());
    }

    #[test]
    fn over_time_exactly_the_rate_passes() {
        let clients = Clients::new();
        let rate = rate(50, 100);
        // A thousand a second for ten seconds.
        let passed = (0..10_000).filter(|n| clients.count(ALICE, rate, None, n * SECOND / 1_000).is_ok()).count();
        assert!((599..=600).contains(&passed), "{passed}: 50 a second and the first hundred at once");
    }

    #[test]
    fn a_gateway_allows_its_part() {
        let (fifty, hundred) = (NonZeroU32::new(50).unwrap(), NonZeroU32::new(100).unwrap());
        let third = Rate::shared(fifty, hundred, 3);
        assert_eq!((third.burst(), third.interval), (33, 60_000_000));
        assert_eq!(Rate::shared(fifty, hundred, 0), Rate::shared(fifty, hundred, 1));
        assert_eq!(Rate::shared(fifty, hundred, 1_000).burst(), 1);
        assert_eq!(Rate::shared(fifty, hundred, 1).window(), Duration::from_secs(2));
    }

    #[test]
    fn so_many_at_once_whatever_the_rate() {
        let clients = Clients::new();
        let enter = |client| clients.count(client, rate(1_000, 1_000), Some(2), 0);
        assert!(enter(ALICE).is_ok() && enter(ALICE).is_ok());
        assert_eq!(enter(ALICE), Err(Excess::InFlight));
        assert!(enter(BOB).is_ok());
        clients.leave(ALICE);
        assert!(enter(ALICE).is_ok());
    }

    #[test]
    fn so_much_room_and_no_more_until_some_is_let_go() {
        let clients = Clients::new();
        let share = Room::Bodies.share();
        clients.hold(ALICE, Room::Bodies, share - 1).unwrap();
        assert_eq!(clients.hold(ALICE, Room::Bodies, 2), Err(BeyondShare));
        clients.hold(ALICE, Room::Bodies, 1).unwrap();
        assert_eq!(clients.hold(ALICE, Room::Bodies, 1), Err(BeyondShare));
        // Answers have room of their own, and so has everyone else.
        clients.hold(ALICE, Room::Answers, Room::Answers.share()).unwrap();
        clients.hold(BOB, Room::Bodies, share).unwrap();
        clients.let_go(ALICE, Room::Bodies, share);
        clients.hold(ALICE, Room::Bodies, share).unwrap();
    }

    #[test]
    fn a_flood_of_addresses_is_bounded_and_frees_nobody_at_the_limit() {
        let clients = Clients::with_capacity(SHARDS * 16);
        let rate = rate(1, 10);
        for _ in 0..10 {
            clients.count(ALICE, rate, None, 0).unwrap();
        }
        clients.count(BOB, rate, Some(5), 0).unwrap();
        for number in 0..100_000 {
            assert!(clients.count(address(number), rate, None, 0).is_ok());
        }
        let kept: usize = clients.shards.iter().map(|shard| shard.lock().len()).sum();
        assert!(kept <= SHARDS * 16, "{kept}");
        assert!(matches!(clients.count(ALICE, rate, None, 0), Err(Excess::Rate { .. })));
        // What is in flight is never forgotten, or its end would be counted for nothing.
        assert_eq!(clients.shard(&BOB).lock()[&BOB].in_flight, 1);
    }

    #[test]
    fn a_changed_rate_holds_at_once() {
        let clients = Clients::new();
        for _ in 0..100 {
            clients.count(ALICE, rate(50, 100), None, 0).unwrap();
        }
        assert!(clients.count(ALICE, rate(50, 100), None, 0).is_err());
        // Two seconds' worth of debt fits a bucket that holds ten seconds'.
        assert!(clients.count(ALICE, rate(50, 500), None, 0).is_ok());
        assert!(clients.count(ALICE, rate(1, 1), None, 2 * SECOND).is_err());
        assert!(clients.count(ALICE, rate(1, 1), None, 4 * SECOND).is_ok());
    }
}
