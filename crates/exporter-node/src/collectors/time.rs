//! The clock, its zone, and what it counts by.

use jiff::Timestamp;
use jiff::tz::TimeZone;

use exporters::{Kind, Page};

use crate::collector::Collector;
use crate::fault::Fault;
use crate::flags::Flags;
use crate::paths::Paths;
use crate::read;

struct Time;

pub(crate) fn make(_: &Flags) -> Result<Box<dyn Collector>, String> {
    Ok(Box::new(Time))
}

impl Collector for Time {
    fn update(&mut self, paths: &Paths, page: &mut Page) -> Result<(), Fault> {
        let now = Timestamp::now();
        let seconds = now.as_nanosecond() as f64 / 1e9;
        let help = "System time in seconds since epoch (1970).";
        page.single("node_time_seconds", help, Kind::Gauge, seconds);
        let zone = TimeZone::system();
        let zone = zone.to_offset_info(now);
        page.family("node_time_zone_offset_seconds", "System time zone offset in seconds.", Kind::Gauge)
            .sample(&[("time_zone", zone.abbreviation())], f64::from(zone.offset().seconds()));

        let directory = paths.sys("devices/system/clocksource");
        let devices = read::if_there(read::numbered(&directory, "clocksource"))?.unwrap_or_default();
        for (place, number) in devices.into_iter().enumerate() {
            let device = directory.join(format!("clocksource{number}"));
            let place = place.to_string();
            let available = read::text(&device.join("available_clocksource"))?;
            let help = "Available clocksources read from '/sys/devices/system/clocksource'.";
            let mut family = page.family("node_time_clocksource_available_info", help, Kind::Gauge);
            for name in available.split_whitespace() {
                family.sample(&[("clocksource", name), ("device", &place)], 1.0);
            }
            let current = read::trimmed(&device.join("current_clocksource"))?;
            let help = "Current clocksource read from '/sys/devices/system/clocksource'.";
            page.family("node_time_clocksource_current_info", help, Kind::Gauge)
                .sample(&[("clocksource", &current), ("device", &place)], 1.0);
        }
        Ok(())
    }
}
