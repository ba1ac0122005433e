//! AMD graphics cards, from `/sys/class/drm/card*/device`.

use exporters::Page;

use crate::collector::Collector;
use crate::families::{Family, all_or_nothing, gauge};
use crate::fault::Fault;
use crate::flags::Flags;
use crate::paths::Paths;
use crate::sysfs;

const INFO: Family = gauge("node_drm_card_info", "Card information");

/// A file of the card's device and its family.
#[rustfmt::skip]
const NUMBERS: &[(&str, Family)] = &[
    ("gpu_busy_percent", gauge("node_drm_gpu_busy_percent", "How busy the GPU is as a percentage.")),
    ("mem_info_gtt_total", gauge("node_drm_memory_gtt_size_bytes", "The size of the graphics translation table (GTT) block in bytes.")),
    ("mem_info_gtt_used", gauge("node_drm_memory_gtt_used_bytes", "The used amount of the graphics translation table (GTT) block in bytes.")),
    ("mem_info_vram_total", gauge("node_drm_memory_vram_size_bytes", "The size of VRAM in bytes.")),
    ("mem_info_vram_used", gauge("node_drm_memory_vram_used_bytes", "The used amount of VRAM in bytes.")),
    ("mem_info_vis_vram_total", gauge("node_drm_memory_vis_vram_size_bytes", "The size of visible VRAM in bytes.")),
    ("mem_info_vis_vram_used", gauge("node_drm_memory_vis_vram_used_bytes", "The used amount of visible VRAM in bytes.")),
];

pub(crate) fn make(_: &Flags) -> Result<Box<dyn Collector>, String> {
    Ok(Box::new(update))
}

fn update(paths: &Paths, page: &mut Page) -> Result<(), Fault> {
    // `card0`, and not its connectors, `card0-DP-1`.
    let is_card = |name: &str| {
        name.strip_prefix("card").is_some_and(|n| n.len() == 1 && n.bytes().all(|b| b.is_ascii_digit()))
    };
    all_or_nothing(page, |page| {
        for (card, dir) in sysfs::matching(&paths.sys("class/drm"), is_card) {
            let device = dir.join("device");
            let uevent = match sysfs::attribute(&device.join("uevent")) {
                // A card that is switched off.
                Err(e) if e.raw_os_error() == Some(libc::ENODATA) => continue,
                uevent => uevent.map_err(|e| Fault::read(&device, &e))?,
            };
            if !uevent.contains("DRIVER=amdgpu") {
                continue;
            }
            let text = |file: &str| sysfs::attribute(&device.join(file)).unwrap_or_default();
            let labels = [
                ("card", &*card),
                ("memory_vendor", &*text("mem_info_vram_vendor")),
                ("power_performance_level", &*text("power_dpm_force_performance_level")),
                ("unique_id", &*text("unique_id")),
                ("vendor", "amd"),
            ];
            INFO.sample(page, &labels, 1.0);
            for (file, family) in NUMBERS {
                let value = match text(file) {
                    text if text.is_empty() => 0,
                    text => sysfs::parse_uint(&text)
                        .ok_or_else(|| Fault::garbage(&device.join(file), format_args!("{text:?}")))?,
                };
                family.sample(page, &[("card", &card)], value as f64);
            }
        }
        Ok(())
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tree::Tree;

    #[test]
    fn amd_cards_only() {
        let tree = Tree::new(&[
            ("sys/class/drm/card0/device/uevent", "DRIVER=amdgpu\nPCI_CLASS=38000\n"),
            ("sys/class/drm/card0/device/gpu_busy_percent", "4\n"),
            ("sys/class/drm/card0/device/mem_info_vram_total", "8573157376\n"),
            ("sys/class/drm/card0/device/unique_id", "0123456789abcdef\n"),
            ("sys/class/drm/card0-DP-1/status", "connected\n"),
            ("sys/class/drm/card1/device/uevent", "DRIVER=i915\n"),
        ]);
        let text = tree.samples(make, &[]);
        assert_eq!(text.lines().count(), 8);
        for line in [
            r#"node_drm_card_info{card="card0",memory_vendor="",power_performance_level="",unique_id="0123456789abcdef",vendor="amd"} 1"#,
            "node_drm_gpu_busy_percent{card=\"card0\"} 4",
            "node_drm_memory_vram_size_bytes{card=\"card0\"} 8.573157376e+09",
        ] {
            assert!(text.lines().any(|l| l == line), "{line}\n{text}");
        }
        assert_eq!(Tree::new(&[]).samples(make, &[]), "");
    }
}
