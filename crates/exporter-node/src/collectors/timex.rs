//! The kernel's clock discipline, from `adjtimex(2)`.

use exporters::{Kind, Page};

use crate::adjtimex;
use crate::collector::Collector;
use crate::fault::Fault;
use crate::flags::Flags;
use crate::paths::Paths;

struct Timex;

pub(crate) fn make(_: &Flags) -> Result<Box<dyn Collector>, String> {
    Ok(Box::new(Timex))
}

/// The state that says the clock follows no reliable source (`TIME_ERROR`).
const TIME_ERROR: i32 = 5;
/// The bit of the status that says times are in nanoseconds, not microseconds (`STA_NANO`).
const STA_NANO: i32 = 0x2000;
/// Frequencies are in parts per million, scaled by 2^16.
const PPM_SCALED: f64 = 1_000_000.0 * 65_536.0;
const MICROS: f64 = 1e6;

impl Collector for Timex {
    fn update(&mut self, _: &Paths, page: &mut Page) -> Result<(), Fault> {
        let (state, t) = match adjtimex::read() {
            Ok(read) => read,
            Err(e) if e.kind() == std::io::ErrorKind::PermissionDenied => return Err(Fault::NoData),
            Err(e) => return Err(Fault::Error(format!("adjtimex: {e}"))),
        };
        let unit = if t.status & STA_NANO != 0 { 1e9 } else { MICROS };
        let mut gauge = |name: &str, help, value| page.single(name, help, Kind::Gauge, value);
        let help = "Is clock synchronized to a reliable server (1 = yes, 0 = no).";
        gauge("node_timex_sync_status", help, f64::from(u8::from(state != TIME_ERROR)));
        let help = "Time offset in between local system and reference clock.";
        gauge("node_timex_offset_seconds", help, t.offset as f64 / unit);
        let help = "Local clock frequency adjustment.";
        gauge("node_timex_frequency_adjustment_ratio", help, 1.0 + t.freq as f64 / PPM_SCALED);
        gauge("node_timex_maxerror_seconds", "Maximum error in seconds.", t.maxerror as f64 / MICROS);
        gauge(
            "node_timex_estimated_error_seconds",
            "Estimated error in seconds.",
            t.esterror as f64 / MICROS,
        );
        gauge("node_timex_status", "Value of the status array bits.", f64::from(t.status));
        gauge("node_timex_loop_time_constant", "Phase-locked loop time constant.", t.constant as f64);
        gauge("node_timex_tick_seconds", "Seconds between clock ticks.", t.tick as f64 / MICROS);
        gauge("node_timex_pps_frequency_hertz", "Pulse per second frequency.", t.ppsfreq as f64 / PPM_SCALED);
        gauge("node_timex_pps_jitter_seconds", "Pulse per second jitter.", t.jitter as f64 / unit);
        let help = "Pulse per second interval duration.";
        gauge("node_timex_pps_shift_seconds", help, f64::from(t.shift));
        let help = "Pulse per second stability, average of recent frequency changes.";
        gauge("node_timex_pps_stability_hertz", help, t.stabil as f64 / PPM_SCALED);
        let help = "International Atomic Time (TAI) offset.";
        gauge("node_timex_tai_offset_seconds", help, f64::from(t.tai));
        for (name, help, value) in [
            (
                "node_timex_pps_jitter_total",
                "Pulse per second count of jitter limit exceeded events.",
                t.jitcnt,
            ),
            (
                "node_timex_pps_calibration_total",
                "Pulse per second count of calibration intervals.",
                t.calcnt,
            ),
            ("node_timex_pps_error_total", "Pulse per second count of calibration errors.", t.errcnt),
            (
                "node_timex_pps_stability_exceeded_total",
                "Pulse per second count of stability limit exceeded events.",
                t.stbcnt,
            ),
        ] {
            page.single(name, help, Kind::Counter, value as f64);
        }
        Ok(())
    }
}
