//! The flags of the node exporter's collectors that read hardware, drivers and rarer parts of the kernel.

use super::{Flag, switch, value};

const TEST_DATA: &str = "it is the original's test data";
const NO_PERF: &str = "the perf collector is not part of this version";
const NO_SUPERVISORD: &str = "the supervisord collector is not part of this version";

/// Their flags, but for the switches that turn them on and off.
#[rustfmt::skip]
pub(crate) const HARDWARE: &[Flag] = &[
    switch("collector.bcache.priorityStats", "Expose expensive priority stats."),
    value("collector.ethtool.device-include", "", "Regexp of ethtool devices to include (mutually exclusive to device-exclude)."),
    value("collector.ethtool.device-exclude", "", "Regexp of ethtool devices to exclude (mutually exclusive to device-include)."),
    value("collector.ethtool.metrics-include", ".*", "Regexp of ethtool stats to include."),
    value("collector.hwmon.chip-include", "", "Regexp of hwmon chip to include (mutually exclusive to device-exclude)."),
    value("collector.hwmon.chip-exclude", "", "Regexp of hwmon chip to exclude (mutually exclusive to device-include)."),
    value("collector.hwmon.sensor-include", "", "Regexp of hwmon sensor to include (mutually exclusive to sensor-exclude)."),
    value("collector.hwmon.sensor-exclude", "", "Regexp of hwmon sensor to exclude (mutually exclusive to sensor-include)."),
    value("collector.infiniband.device-include", "", "Regexp of infiniband devices to include (mutually exclusive to device-exclude)."),
    value("collector.infiniband.device-exclude", "", "Regexp of infiniband devices to exclude (mutually exclusive to device-include)."),
    value("collector.ipvs.backend-labels", "local_address,local_port,remote_address,remote_port,proto,local_mark", "Comma separated list for IPVS backend stats labels."),
    value("collector.ntp.server", "127.0.0.1", "NTP server to use for ntp collector"),
    value("collector.ntp.server-port", "123", "UDP port number to connect to on NTP server"),
    value("collector.ntp.protocol-version", "4", "NTP protocol version"),
    switch("collector.ntp.server-is-local", "Certify that collector.ntp.server address is not a public ntp server"),
    value("collector.ntp.ip-ttl", "1", "IP TTL to use while sending NTP query"),
    value("collector.ntp.max-distance", "3.46608s", "Max accumulated distance to the root"),
    value("collector.ntp.local-offset-tolerance", "1ms", "Offset between local clock and local ntpd time to tolerate"),
    value("collector.pcidevice.idsfile", "", "Path to pci.ids file to use for PCI device identification."),
    switch("collector.pcidevice.names", "Enable PCI device name resolution (requires pci.ids file)."),
    value("collector.perf.cpus", "", "List of CPUs from which perf metrics should be collected").without_effect(NO_PERF),
    value("collector.perf.tracepoint", "", "perf tracepoint that should be collected").repeatable().without_effect(NO_PERF),
    switch("collector.perf.disable-hardware-profilers", "disable perf hardware profilers").without_effect(NO_PERF),
    value("collector.perf.hardware-profilers", "", "perf hardware profilers that should be collected").repeatable().without_effect(NO_PERF),
    switch("collector.perf.disable-software-profilers", "disable perf software profilers").without_effect(NO_PERF),
    value("collector.perf.software-profilers", "", "perf software profilers that should be collected").repeatable().without_effect(NO_PERF),
    switch("collector.perf.disable-cache-profilers", "disable perf cache profilers").without_effect(NO_PERF),
    value("collector.perf.cache-profilers", "", "perf cache profilers that should be collected").repeatable().without_effect(NO_PERF),
    value("collector.powersupply.ignored-supplies", "^$", "Regexp of power supplies to ignore for powersupplyclass collector."),
    value("collector.qdisc.fixtures", "", "test fixtures to use for qdisc collector end-to-end testing").without_effect(TEST_DATA),
    value("collector.qdisc.device-include", "", "Regexp of qdisc devices to include (mutually exclusive to device-exclude)."),
    value("collector.qdisc.device-exclude", "", "Regexp of qdisc devices to exclude (mutually exclusive to device-include)."),
    value("collector.qdisk.device-include", "", "DEPRECATED: Use collector.qdisc.device-include").hidden(),
    value("collector.qdisk.device-exclude", "", "DEPRECATED: Use collector.qdisc.device-exclude").hidden(),
    switch("collector.rapl.enable-zone-label", "Enables service unit metric unit_start_time_seconds"),
    value("collector.runit.servicedir", "/etc/service", "Path to runit service directory."),
    value("collector.slabinfo.slabs-include", ".*", "Regexp of slabs to include in slabinfo collector."),
    value("collector.slabinfo.slabs-exclude", "", "Regexp of slabs to exclude in slabinfo collector."),
    value("collector.supervisord.url", "http://localhost:9001/RPC2", "XML RPC endpoint.").env("SUPERVISORD_URL").without_effect(NO_SUPERVISORD),
    value("collector.sysctl.include", "", "Select sysctl metrics to include").repeatable(),
    value("collector.sysctl.include-info", "", "Select sysctl metrics to include as info metrics").repeatable(),
    value("collector.tapestats.ignored-devices", "^$", "Regexp of devices to ignore for tapestats."),
    value("collector.wifi.fixtures", "", "test fixtures to use for wifi collector metrics").without_effect(TEST_DATA),
];
