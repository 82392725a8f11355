//! Times in certificates, records and ledgers.

use std::fmt;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use der::asn1::AnyRef;
use der::{Decode, Reader, SliceReader, Tag, Tagged};
use rustls_pki_types::UnixTime;

/// A time in whole seconds since 1970, UTC. X.509 has no fractions of a second.
///
/// `Display` writes RFC 3339; serde reads and writes the number.
///
/// ```
/// use certificates::UnixSeconds;
///
/// assert_eq!(UnixSeconds::new(1_796_040_000).to_string(), "2026-11-30T12:00:00Z");
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct UnixSeconds(i64);

impl UnixSeconds {
    /// The time this many seconds after the beginning of 1970, or before it if negative.
    #[must_use]
    pub const fn new(seconds: i64) -> Self {
        Self(seconds)
    }

    /// The seconds since 1970.
    #[must_use]
    pub const fn as_i64(self) -> i64 {
        self.0
    }

    /// The same time as a system time; the beginning of 1970 if the platform cannot express it.
    #[must_use]
    pub fn to_system_time(self) -> SystemTime {
        let distance = Duration::from_secs(self.0.unsigned_abs());
        let time =
            if self.0 < 0 { UNIX_EPOCH.checked_sub(distance) } else { UNIX_EPOCH.checked_add(distance) };
        time.unwrap_or(UNIX_EPOCH)
    }

    /// The time later by `duration`, or the last time that can be expressed.
    #[must_use]
    pub fn saturating_add(self, duration: Duration) -> Self {
        Self(self.0.saturating_add_unsigned(duration.as_secs()))
    }

    /// The time earlier by `duration`, or the first time that can be expressed.
    #[must_use]
    pub fn saturating_sub(self, duration: Duration) -> Self {
        Self(self.0.saturating_sub_unsigned(duration.as_secs()))
    }

    /// The duration from `earlier` to this time; `None` if this time is earlier.
    #[must_use]
    pub fn duration_since(self, earlier: Self) -> Option<Duration> {
        (self.0 >= earlier.0).then(|| Duration::from_secs(self.0.abs_diff(earlier.0)))
    }

    /// Reads Time of RFC 5280, 4.1.2.5: UTCTime or GeneralizedTime, in seconds and UTC.
    pub(crate) fn read_time(reader: &mut SliceReader<'_>) -> Result<Self, der::Error> {
        let value = AnyRef::decode(reader)?;
        let tag = value.tag();
        let parsed = match tag {
            Tag::UtcTime => utc_time(value.value()),
            Tag::GeneralizedTime => generalized_time(value.value()),
            _ => None,
        };
        parsed.ok_or_else(|| tag.value_error().into())
    }

    /// Reads GeneralizedTime only, which OCSP responses use.
    pub(crate) fn read_generalized(reader: &mut SliceReader<'_>) -> Result<Self, der::Error> {
        if reader.peek_byte() != Some(0x18) {
            return Err(Tag::GeneralizedTime.value_error().into());
        }
        Self::read_time(reader)
    }
}

impl From<SystemTime> for UnixSeconds {
    /// The time rounded down to a second, limited to the times that can be expressed.
    fn from(time: SystemTime) -> Self {
        match time.duration_since(UNIX_EPOCH) {
            Ok(since) => Self(i64::try_from(since.as_secs()).unwrap_or(i64::MAX)),
            Err(before) => {
                let before = before.duration();
                let seconds = before.as_secs().saturating_add(u64::from(before.subsec_nanos() > 0));
                Self(0_i64.saturating_sub_unsigned(seconds))
            }
        }
    }
}

impl From<UnixTime> for UnixSeconds {
    fn from(time: UnixTime) -> Self {
        Self(i64::try_from(time.as_secs()).unwrap_or(i64::MAX))
    }
}

impl fmt::Display for UnixSeconds {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (days, second) = (self.0.div_euclid(SECONDS_PER_DAY), self.0.rem_euclid(SECONDS_PER_DAY));
        let (year, month, day) = civil_of_days(days);
        if !(0..=9999).contains(&year) {
            return write!(formatter, "{} s after 1970", self.0);
        }
        let (hour, minute, second) = (second / 3600, second / 60 % 60, second % 60);
        write!(formatter, "{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}Z")
    }
}

impl serde_core::Serialize for UnixSeconds {
    fn serialize<S: serde_core::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_i64(self.0)
    }
}

impl<'de> serde_core::Deserialize<'de> for UnixSeconds {
    fn deserialize<D: serde_core::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        i64::deserialize(deserializer).map(Self)
    }
}

/// `YYMMDDHHMMSSZ`. 50 to 99 are years of the twentieth century (RFC 5280, 4.1.2.5.1).
fn utc_time(text: &[u8]) -> Option<UnixSeconds> {
    let (year, rest) = text.split_at_checked(2)?;
    let year = number(year)?;
    date_time(if year < 50 { 2000 + year } else { 1900 + year }, rest)
}

/// `YYYYMMDDHHMMSSZ` (RFC 5280, 4.1.2.5.2).
fn generalized_time(text: &[u8]) -> Option<UnixSeconds> {
    let (year, rest) = text.split_at_checked(4)?;
    date_time(number(year)?, rest)
}

fn date_time(year: i64, rest: &[u8]) -> Option<UnixSeconds> {
    let digits = rest.strip_suffix(b"Z").filter(|digits| digits.len() == 10)?;
    let [month, day, hour, minute, second] =
        [0, 2, 4, 6, 8].map(|start| digits.get(start..start + 2).and_then(number));
    let (month, day, hour, minute, second) = (month?, day?, hour?, minute?, second?);
    // A day that does not exist in the month results in a day of the next month.
    let days = days_of_civil(year, month, day);
    let exists = civil_of_days(days) == (year, month, day) && (1..=12).contains(&month);
    (exists && hour < 24 && minute < 60 && second < 60)
        .then(|| UnixSeconds(days * SECONDS_PER_DAY + hour * 3600 + minute * 60 + second))
}

fn number(digits: &[u8]) -> Option<i64> {
    digits
        .iter()
        .try_fold(0, |number, digit| digit.is_ascii_digit().then(|| number * 10 + i64::from(digit - b'0')))
}

/// The days from 1970-01-01 to a date of the Gregorian calendar, counted in eras of 400 years that
/// begin in March.
fn days_of_civil(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    let year = year.rem_euclid(400);
    let day_of_era = year * 365 + year / 4 - year / 100 + day_of_year;
    era * DAYS_PER_ERA + day_of_era - DAYS_TO_1970
}

/// The inverse of [`days_of_civil`].
fn civil_of_days(days: i64) -> (i64, i64, i64) {
    let days = days + DAYS_TO_1970;
    let (era, day) = (days.div_euclid(DAYS_PER_ERA), days.rem_euclid(DAYS_PER_ERA));
    let year = (day - day / 1460 + day / 36_524 - day / 146_096) / 365;
    let day_of_year = day - (365 * year + year / 4 - year / 100);
    let month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month + 2) / 5 + 1;
    let month = if month < 10 { month + 3 } else { month - 9 };
    (era * 400 + year + i64::from(month <= 2), month, day)
}

const SECONDS_PER_DAY: i64 = 86_400;

const DAYS_PER_ERA: i64 = 146_097;

/// The number of days from 0000-03-01 to 1970-01-01.
const DAYS_TO_1970: i64 = 719_468;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[track_caller]
    fn check(tag: u8, text: &str, expected: Option<&str>) {
        let mut der = vec![tag, u8::try_from(text.len()).unwrap()];
        der.extend(text.as_bytes());
        let read = UnixSeconds::read_time(&mut SliceReader::new(&der).unwrap());
        assert_eq!(read.ok().map(|time| time.to_string()).as_deref(), expected, "{text}");
    }

    #[test]
    fn times_of_certificates() {
        check(0x17, "261130120000Z", Some("2026-11-30T12:00:00Z"));
        check(0x17, "500101000000Z", Some("1950-01-01T00:00:00Z"));
        check(0x17, "491231235959Z", Some("2049-12-31T23:59:59Z"));
        check(0x18, "20500101000000Z", Some("2050-01-01T00:00:00Z"));
        check(0x18, "99991231235959Z", Some("9999-12-31T23:59:59Z"));
        check(0x18, "00000101000000Z", Some("0000-01-01T00:00:00Z"));
        check(0x18, "20240229000000Z", Some("2024-02-29T00:00:00Z"));
        for wrong in ["20230229000000Z", "20261301000000Z", "20260001000000Z", "20260100000000Z"] {
            check(0x18, wrong, None);
        }
        for wrong in ["20260101240000Z", "20260101006000Z", "20260101000060Z", "20260101000000"] {
            check(0x18, wrong, None);
        }
        for wrong in ["20260101000000.5Z", "20260101000000+0100", "2026010100000 Z", "", "Z"] {
            check(0x18, wrong, None);
        }
        check(0x17, "2611301200Z", None);
        check(0x17, "+11130120000Z", None);
        check(0x16, "261130120000Z", None);
    }

    #[test]
    fn out_of_range_is_not_a_panic() {
        for seconds in [i64::MIN, i64::MAX, -62_167_219_201, 253_402_300_800] {
            let time = UnixSeconds::new(seconds);
            assert!(time.to_string().ends_with("after 1970"), "{time}");
            let _ = time.to_system_time();
            let _ = time.saturating_add(Duration::MAX).saturating_sub(Duration::MAX);
        }
        assert_eq!(UnixSeconds::new(3).duration_since(UnixSeconds::new(5)), None);
    }

    #[test]
    fn a_second_counts_from_its_beginning() {
        let time = |seconds, nanoseconds| UNIX_EPOCH + Duration::new(seconds, nanoseconds);
        assert_eq!(UnixSeconds::from(time(5, 999_999_999)), UnixSeconds::new(5));
        assert_eq!(UnixSeconds::from(UNIX_EPOCH - Duration::from_nanos(1)), UnixSeconds::new(-1));
        assert_eq!(UnixSeconds::from(UNIX_EPOCH - Duration::from_secs(2)), UnixSeconds::new(-2));
    }

    proptest! {
        #[test]
        fn days_and_dates_are_inverse(days in -719_528_i64..=2_932_896) {
            let (year, month, day) = civil_of_days(days);
            prop_assert_eq!(days_of_civil(year, month, day), days);
            prop_assert!((0..=9999).contains(&year) && (1..=12).contains(&month) && (1..=31).contains(&day));
        }

        #[test]
        fn the_systems_time_is_the_same(seconds in -62_000_000_000_i64..253_402_300_800) {
            let time = UnixSeconds::new(seconds);
            prop_assert_eq!(UnixSeconds::from(time.to_system_time()), time);
        }
    }
}
