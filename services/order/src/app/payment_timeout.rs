//! How long an order may stay unpaid.

use std::{sync::Arc, time::Duration};

use shop_types::settings::Settings;
use tokio::sync::watch;

/// The shop's settings decide, which change while the process runs; where they say nothing, its own option does. An order
/// keeps the end that it was given.
#[derive(Debug)]
pub(crate) struct PaymentTimeout {
    option: Duration,
    settings: watch::Receiver<Arc<Settings>>,
}

impl PaymentTimeout {
    pub(crate) fn new(option: Duration, settings: watch::Receiver<Arc<Settings>>) -> Self {
        Self { option, settings }
    }

    /// What orders get that are reserved now.
    pub(crate) fn now(&self) -> Duration {
        self.settings.borrow().payment_timeout.unwrap_or(self.option)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_come_before_the_option_as_long_as_they_say_something() {
        let (sender, settings) = watch::channel(Arc::default());
        let timeout = PaymentTimeout::new(Duration::from_mins(15), settings);
        assert_eq!(timeout.now(), Duration::from_mins(15));
        sender.send_replace(Arc::new(Settings::parse(br#"{"paymentTimeout": "20m"}"#).unwrap()));
        assert_eq!(timeout.now(), Duration::from_mins(20));
        sender.send_replace(Arc::new(Settings::parse(br#"{"maintenance": true}"#).unwrap()));
        assert_eq!(timeout.now(), Duration::from_mins(15));
    }
}
