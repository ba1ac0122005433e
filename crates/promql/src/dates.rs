//! Calendar fields of Unix times, in UTC and the proleptic Gregorian calendar.

/// A time's calendar fields.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Date {
    pub(crate) year: i64,
    /// 1 to 12.
    pub(crate) month: i64,
    /// 1 to 31.
    pub(crate) day: i64,
    /// 1 to 366.
    pub(crate) day_of_year: i64,
    /// 0 is Sunday.
    pub(crate) weekday: i64,
    pub(crate) hour: i64,
    pub(crate) minute: i64,
    pub(crate) second: i64,
}

fn is_leap(year: i64) -> bool {
    year % 4 == 0 && (year % 100 != 0 || year % 400 == 0)
}

impl Date {
    /// The fields of a time in seconds since the epoch.
    pub(crate) fn of(seconds: i64) -> Self {
        let (days, in_day) = (seconds.div_euclid(86_400), seconds.rem_euclid(86_400));
        // Days and years counted from 1 March 0000, so that a leap day ends its year.
        let shifted = days + 719_468;
        let era = shifted.div_euclid(146_097);
        let of_era = shifted.rem_euclid(146_097);
        let year_of_era = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
        let from_march = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
        let month_from_march = (5 * from_march + 2) / 153;
        let day = from_march - (153 * month_from_march + 2) / 5 + 1;
        let month = if month_from_march < 10 { month_from_march + 3 } else { month_from_march - 9 };
        let year = year_of_era + era * 400 + i64::from(month <= 2);
        let day_of_year =
            if month <= 2 { from_march - 305 } else { from_march + 60 + i64::from(is_leap(year)) };
        Self {
            year,
            month,
            day,
            day_of_year,
            weekday: (days + 4).rem_euclid(7),
            hour: in_day / 3_600,
            minute: in_day / 60 % 60,
            second: in_day % 60,
        }
    }

    /// How many days the month has.
    pub(crate) fn days_in_month(&self) -> i64 {
        match self.month {
            2 => 28 + i64::from(is_leap(self.year)),
            4 | 6 | 9 | 11 => 30,
            _ => 31,
        }
    }
}

/// A time in seconds as RFC 3339.
pub(crate) fn rfc3339(seconds: i64) -> String {
    let d = Date::of(seconds);
    let (year, month, day) = (d.year, d.month, d.day);
    format!("{year:04}-{month:02}-{day:02}T{:02}:{:02}:{:02}Z", d.hour, d.minute, d.second)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_of_known_times() {
        for (seconds, text, weekday, day_of_year, days) in [
            (0, "1970-01-01T00:00:00Z", 4, 1, 31),
            (1_136_239_445, "2006-01-02T22:04:05Z", 1, 2, 31),
            (951_782_400, "2000-02-29T00:00:00Z", 2, 60, 29),
            (951_868_800, "2000-03-01T00:00:00Z", 3, 61, 31),
            (978_307_199, "2000-12-31T23:59:59Z", 0, 366, 31),
            (-1, "1969-12-31T23:59:59Z", 3, 365, 31),
            (4_107_542_400, "2100-03-01T00:00:00Z", 1, 60, 31),
        ] {
            let d = Date::of(seconds);
            assert_eq!(rfc3339(seconds), text);
            assert_eq!((d.weekday, d.day_of_year, d.days_in_month()), (weekday, day_of_year, days), "{text}");
        }
    }
}
