//! Points in time.

use alloc::string::String;
use core::{fmt, str::FromStr};

use chrono::{DateTime, Datelike as _, FixedOffset, SecondsFormat, SubsecRound as _, Timelike as _, Utc};
use serde_core::{
    Deserialize, Deserializer, Serialize, Serializer,
    de::{self, Unexpected, Visitor},
    ser,
};

/// A point in time, to the nanosecond.
///
/// Read from RFC 3339 with its offset, as JSON Schema's `date-time` requires, and written in UTC
/// with `Z`, or with an offset in which its year has four digits. The instant is kept; the offset
/// that a peer used is not.
///
/// ```
/// use ocpp_types::Timestamp;
///
/// let time: Timestamp = "2024-05-06T12:00:00.5+02:00".parse()?;
/// assert_eq!(time.to_string(), "2024-05-06T10:00:00.500Z");
/// assert!("2024-05-06T12:00:00".parse::<Timestamp>().is_err());
/// # Ok::<(), ocpp_types::NotATimestamp>(())
/// ```
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp(DateTime<Utc>);

impl Timestamp {
    /// The instant as a value of chrono.
    #[must_use]
    pub fn as_date_time(&self) -> &DateTime<Utc> {
        &self.0
    }

    /// The same time, truncated to milliseconds: OCPP allows at most three fractional digits in
    /// sent messages (2.0.1 Part 2, dateTime). A received time keeps all of its digits.
    ///
    /// ```
    /// let time: ocpp_types::Timestamp = "2026-11-20T12:00:00.123456789Z".parse()?;
    /// assert_eq!(time.to_milliseconds().to_string(), "2026-11-20T12:00:00.123Z");
    /// # Ok::<(), ocpp_types::NotATimestamp>(())
    /// ```
    #[must_use]
    pub fn to_milliseconds(self) -> Self {
        Self(self.0.trunc_subsecs(3))
    }

    fn text(self) -> String {
        match offset_of_year(&self.0) {
            Some(offset) => self.0.with_timezone(&offset).to_rfc3339_opts(SecondsFormat::AutoSi, false),
            None => self.0.to_rfc3339_opts(SecondsFormat::AutoSi, true),
        }
    }
}

/// RFC 3339 allows four digits for the year, and a leap second only at the end of a day in UTC.
fn is_writable(time: &DateTime<Utc>) -> bool {
    let is_leap_second = time.nanosecond() >= 1_000_000_000;
    let year = offset_of_year(time).map_or(time.year(), |offset| time.with_timezone(&offset).year());
    (0..=9999).contains(&year) && (!is_leap_second || (time.hour(), time.minute()) == (23, 59))
}

/// The offset in which the year of an instant has four digits, if it does not in UTC. With the
/// largest offset this includes the day before the year 0 and the day after the year 9999.
fn offset_of_year(time: &DateTime<Utc>) -> Option<FixedOffset> {
    match time.year() {
        ..0 => FixedOffset::east_opt(FURTHEST_OFFSET_SECONDS),
        0..=9999 => None,
        10_000.. => FixedOffset::west_opt(FURTHEST_OFFSET_SECONDS),
    }
}

/// 23:59 (RFC 3339, 5.6).
const FURTHEST_OFFSET_SECONDS: i32 = (23 * 60 + 59) * 60;

impl FromStr for Timestamp {
    type Err = NotATimestamp;

    fn from_str(text: &str) -> Result<Self, NotATimestamp> {
        // chrono also accepts a blank between date and time, and a typographic minus, which RFC
        // 3339's grammar does not contain.
        if !matches!(text.as_bytes().get(10), Some(b'T' | b't')) || !text.is_ascii() {
            return Err(NotATimestamp);
        }
        let time = DateTime::parse_from_rfc3339(text).map_err(|_| NotATimestamp)?.to_utc();
        if is_writable(&time) { Ok(Self(time)) } else { Err(NotATimestamp) }
    }
}

impl From<DateTime<Utc>> for Timestamp {
    fn from(time: DateTime<Utc>) -> Self {
        Self(time)
    }
}

impl From<Timestamp> for DateTime<Utc> {
    fn from(time: Timestamp) -> Self {
        time.0
    }
}

#[cfg(feature = "std")]
mod system_time {
    use core::time::Duration;
    use std::time::{SystemTime, UNIX_EPOCH};

    use chrono::{DateTime, Utc};

    use super::Timestamp;

    impl From<SystemTime> for Timestamp {
        /// A time that chrono cannot represent (beyond the year 262,000) becomes the nearest one
        /// that it can.
        fn from(time: SystemTime) -> Self {
            let (seconds, nanoseconds) = match time.duration_since(UNIX_EPOCH) {
                Ok(after) => (i64::try_from(after.as_secs()).unwrap_or(i64::MAX), after.subsec_nanos()),
                Err(error) => {
                    let before = error.duration();
                    let seconds = i64::try_from(before.as_secs()).map_or(i64::MIN, |seconds| -seconds);
                    match before.subsec_nanos() {
                        0 => (seconds, 0),
                        nanoseconds => (seconds.saturating_sub(1), 1_000_000_000 - nanoseconds),
                    }
                }
            };
            let bound = if seconds < 0 { DateTime::<Utc>::MIN_UTC } else { DateTime::<Utc>::MAX_UTC };
            Self(DateTime::from_timestamp(seconds, nanoseconds).unwrap_or(bound))
        }
    }

    impl From<Timestamp> for SystemTime {
        /// A time that the platform cannot represent becomes 1970-01-01; every platform can
        /// represent the years that OCPP can write.
        fn from(time: Timestamp) -> Self {
            let seconds = time.0.timestamp();
            // chrono represents a leap second as the second before it with more than a second of
            // nanoseconds.
            let nanoseconds = Duration::from_nanos(u64::from(time.0.timestamp_subsec_nanos()));
            let whole = Duration::from_secs(seconds.unsigned_abs());
            let base =
                if seconds < 0 { UNIX_EPOCH.checked_sub(whole) } else { UNIX_EPOCH.checked_add(whole) };
            base.and_then(|base| base.checked_add(nanoseconds)).unwrap_or(UNIX_EPOCH)
        }
    }
}

impl fmt::Display for Timestamp {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.pad(&self.text())
    }
}

impl fmt::Debug for Timestamp {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, formatter)
    }
}

impl Serialize for Timestamp {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if is_writable(&self.0) {
            serializer.serialize_str(&self.text())
        } else {
            Err(ser::Error::custom(
                "a point in time outside of the years 0 to 9999 in every offset, or a leap second within a day",
            ))
        }
    }
}

impl<'de> Deserialize<'de> for Timestamp {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_str(TimestampVisitor)
    }
}

/// Reads a [`Timestamp`] of OCPP 1.6: ISO 8601 in the extended format, also without the seconds,
/// without the offset (it counts as UTC then), or with an offset without its minutes or its colon.
///
/// Some central systems omit the offset. If that were refused, the station would never accept their
/// BootNotification response, and would stay disconnected for ever.
pub(crate) struct Iso8601(Timestamp);

impl From<Iso8601> for Timestamp {
    fn from(time: Iso8601) -> Self {
        time.0
    }
}

impl<'de> Deserialize<'de> for Iso8601 {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_str(Iso8601Visitor)
    }
}

struct Iso8601Visitor;

impl Visitor<'_> for Iso8601Visitor {
    type Value = Iso8601;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a string, a date-time by ISO 8601")
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<Iso8601, E> {
        let time = text.parse().or_else(|_| rfc_3339(text).ok_or(NotATimestamp)?.parse());
        time.map(Iso8601).map_err(|NotATimestamp| E::invalid_value(Unexpected::Str(text), &self))
    }
}

/// Converts a text of ISO 8601 to RFC 3339; `None` if it is not ISO 8601.
fn rfc_3339(text: &str) -> Option<String> {
    let (date, rest) = text.split_at_checked(10)?;
    let rest = rest.strip_prefix(['T', 't'])?;
    let offset_at = rest.find(['Z', 'z', '+', '-']).unwrap_or(rest.len());
    let (time, offset) = rest.split_at_checked(offset_at)?;
    let seconds = if time.len() == "12:00".len() { ":00" } else { "" };
    let (sign, digits) = offset.split_at_checked(1).unwrap_or(("Z", ""));
    let offset = match (sign, digits.len()) {
        ("Z" | "z", 0) => String::from("Z"),
        (sign, 2) => alloc::format!("{sign}{digits}:00"),
        (sign, 4) => alloc::format!("{sign}{}:{}", digits.get(..2)?, digits.get(2..)?),
        (sign, _) => alloc::format!("{sign}{digits}"),
    };
    // In ISO 8601 a comma before the fraction is the preferred sign.
    Some(alloc::format!("{date}T{}{seconds}{offset}", time.replace(',', ".")))
}

struct TimestampVisitor;

impl Visitor<'_> for TimestampVisitor {
    type Value = Timestamp;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a string, a date-time by RFC 3339 with its offset")
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<Timestamp, E> {
        text.parse().map_err(|NotATimestamp| E::invalid_value(Unexpected::Str(text), &self))
    }
}

/// A text that is not a date-time of RFC 3339.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NotATimestamp;

impl fmt::Display for NotATimestamp {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("not a date-time by RFC 3339 with its offset, such as 2024-05-06T12:00:00Z")
    }
}

impl core::error::Error for NotATimestamp {}
