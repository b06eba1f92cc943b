//! Instants and durations as people read them.

use std::time::{Duration, UNIX_EPOCH};

use maud::{Markup, html};
use session_core::Timestamp;

/// An instant: the time of the day, with all of it for machines.
pub(crate) fn time(at: Timestamp) -> Markup {
    let full = humantime::format_rfc3339_millis(UNIX_EPOCH + Duration::from_millis(at.as_millis()))
        .to_string();
    let short = full.get(..16).unwrap_or(&full).replace('T', " ");
    html! { time datetime=(full) title=(full) { (short) " UTC" } }
}

/// How long ago an instant was.
pub(crate) fn ago(at: Timestamp, now: Timestamp) -> String {
    match now.since(at) {
        age if age < Duration::from_secs(2) => "just now".to_owned(),
        age => format!("{} ago", length(age)),
    }
}

/// How far ahead an instant is.
pub(crate) fn ahead(at: Timestamp, now: Timestamp) -> String {
    match at.since(now) {
        Duration::ZERO => "now".to_owned(),
        left => format!("in {}", length(left)),
    }
}

/// A duration, in its two largest units.
pub(crate) fn length(duration: Duration) -> String {
    let seconds = duration.as_secs();
    let units = [
        (seconds / 86_400, "d"),
        (seconds / 3_600 % 24, "h"),
        (seconds / 60 % 60, "min"),
        (seconds % 60, "s"),
    ];
    let mut parts = units
        .iter()
        .skip_while(|(count, _)| *count == 0)
        .take(2)
        .filter(|(count, _)| *count > 0)
        .map(|(count, unit)| format!("{count} {unit}"));
    match (parts.next(), parts.next()) {
        (Some(first), Some(second)) => format!("{first} {second}"),
        (Some(only), None) => only,
        (None, _) => format!("{} ms", duration.as_millis()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_length_has_its_two_largest_units() {
        assert_eq!(length(Duration::from_secs(30 * 60)), "30 min");
        assert_eq!(length(Duration::from_secs(43_199)), "11 h 59 min");
        assert_eq!(length(Duration::from_secs(90_061)), "1 d 1 h");
        assert_eq!(length(Duration::from_millis(250)), "250 ms");
    }

    #[test]
    fn instants_are_told_from_now() {
        let now = Timestamp::from_millis(100_000);
        assert_eq!(ago(now, now), "just now");
        assert_eq!(ago(Timestamp::from_millis(40_000), now), "1 min ago");
        assert_eq!(ahead(now, now), "now");
        assert_eq!(ahead(now + Duration::from_secs(5), now), "in 5 s");
    }

    #[test]
    fn a_time_shows_minutes_and_carries_milliseconds() {
        let text = time(Timestamp::from_millis(1_000_000_000_123)).into_string();
        assert!(
            text.contains("datetime=\"2001-09-09T01:46:40.123Z\""),
            "{text}"
        );
        assert!(text.contains(">2001-09-09 01:46 UTC<"), "{text}");
    }
}
