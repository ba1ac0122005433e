//! InfiniBand and RoCE adapters and their ports, from `/sys/class/infiniband`.

use std::io;
use std::path::Path;

use exporters::Page;

use crate::collector::Collector;
use crate::families::{Family, all_or_nothing, counter, gauge};
use crate::fault::Fault;
use crate::filter::Filter;
use crate::flags::Flags;
use crate::paths::Paths;
use crate::{read, sysfs};

const INFO: Family =
    gauge("node_infiniband_info", "Non-numeric data from /sys/class/infiniband/<device>, value is always 1.");
const STATE: Family = gauge(
    "node_infiniband_state_id",
    "State of the InfiniBand port (0: no change, 1: down, 2: init, 3: armed, 4: active, 5: act defer)",
);
const PHYSICAL_STATE: Family = gauge(
    "node_infiniband_physical_state_id",
    "Physical state of the InfiniBand port (0: no change, 1: sleep, 2: polling, 3: disable, 4: shift, 5: link up, 6: link error recover, 7: phytest)",
);
const RATE: Family = gauge("node_infiniband_rate_bytes_per_second", "Maximum signal transfer rate");
const LIFESPAN: Family = gauge(
    "node_infiniband_lifespan_seconds",
    "The maximum period in ms which defines the aging of the counter reads. Two consecutive reads within this period might return the same values.",
);

/// A file, how many units one of it is, and its family.
type Counter = (&'static str, u64, Family);

#[rustfmt::skip]
const COUNTERS: &[Counter] = &[
    ("excessive_buffer_overrun_errors", 1, counter("node_infiniband_excessive_buffer_overrun_errors_total", "Number of times that OverrunErrors consecutive flow control update periods occurred, each having at least one overrun error.")),
    ("link_downed", 1, counter("node_infiniband_link_downed_total", "Number of times the link failed to recover from an error state and went down")),
    ("link_error_recovery", 1, counter("node_infiniband_link_error_recovery_total", "Number of times the link successfully recovered from an error state")),
    ("local_link_integrity_errors", 1, counter("node_infiniband_local_link_integrity_errors_total", "Number of times that the count of local physical errors exceeded the threshold specified by LocalPhyErrors.")),
    ("multicast_rcv_packets", 1, counter("node_infiniband_multicast_packets_received_total", "Number of multicast packets received (including errors)")),
    ("multicast_xmit_packets", 1, counter("node_infiniband_multicast_packets_transmitted_total", "Number of multicast packets transmitted (including errors)")),
    ("port_rcv_constraint_errors", 1, counter("node_infiniband_port_constraint_errors_received_total", "Number of packets received on the switch physical port that are discarded")),
    ("port_xmit_constraint_errors", 1, counter("node_infiniband_port_constraint_errors_transmitted_total", "Number of packets not transmitted from the switch physical port")),
    ("port_rcv_data", 4, counter("node_infiniband_port_data_received_bytes_total", "Number of data octets received on all links")),
    ("port_xmit_data", 4, counter("node_infiniband_port_data_transmitted_bytes_total", "Number of data octets transmitted on all links")),
    ("port_rcv_discards", 1, counter("node_infiniband_port_discards_received_total", "Number of inbound packets discarded by the port because the port is down or congested")),
    ("port_xmit_discards", 1, counter("node_infiniband_port_discards_transmitted_total", "Number of outbound packets discarded by the port because the port is down or congested")),
    ("port_rcv_errors", 1, counter("node_infiniband_port_errors_received_total", "Number of packets containing an error that were received on this port")),
    ("port_rcv_packets", 1, counter("node_infiniband_port_packets_received_total", "Number of packets received on all VLs by this port (including errors)")),
    ("port_xmit_packets", 1, counter("node_infiniband_port_packets_transmitted_total", "Number of packets transmitted on all VLs from this port (including errors)")),
    ("port_xmit_wait", 1, counter("node_infiniband_port_transmit_wait_total", "Number of ticks during which the port had data to transmit but no data was sent during the entire tick")),
    ("unicast_rcv_packets", 1, counter("node_infiniband_unicast_packets_received_total", "Number of unicast packets received (including errors)")),
    ("unicast_xmit_packets", 1, counter("node_infiniband_unicast_packets_transmitted_total", "Number of unicast packets transmitted (including errors)")),
    ("port_rcv_remote_physical_errors", 1, counter("node_infiniband_port_receive_remote_physical_errors_total", "Number of packets marked with the EBP (End of Bad Packet) delimiter received on the port.")),
    ("port_rcv_switch_relay_errors", 1, counter("node_infiniband_port_receive_switch_relay_errors_total", "Number of packets that could not be forwarded by the switch.")),
    ("symbol_error", 1, counter("node_infiniband_symbol_error_total", "Number of minor link errors detected on one or more physical lanes.")),
    ("VL15_dropped", 1, counter("node_infiniband_vl15_dropped_total", "Number of incoming VL15 packets dropped due to resource limitations.")),
];

#[rustfmt::skip]
const LEGACY_COUNTERS: &[Counter] = &[
    ("port_multicast_rcv_packets", 1, counter("node_infiniband_legacy_multicast_packets_received_total", "Number of multicast packets received")),
    ("port_multicast_xmit_packets", 1, counter("node_infiniband_legacy_multicast_packets_transmitted_total", "Number of multicast packets transmitted")),
    ("port_rcv_data_64", 4, counter("node_infiniband_legacy_data_received_bytes_total", "Number of data octets received on all links")),
    ("port_rcv_packets_64", 1, counter("node_infiniband_legacy_packets_received_total", "Number of data packets received on all links")),
    ("port_unicast_rcv_packets", 1, counter("node_infiniband_legacy_unicast_packets_received_total", "Number of unicast packets received")),
    ("port_unicast_xmit_packets", 1, counter("node_infiniband_legacy_unicast_packets_transmitted_total", "Number of unicast packets transmitted")),
    ("port_xmit_data_64", 4, counter("node_infiniband_legacy_data_transmitted_bytes_total", "Number of data octets transmitted on all links")),
    ("port_xmit_packets_64", 1, counter("node_infiniband_legacy_packets_transmitted_total", "Number of data packets received on all links")),
];

#[rustfmt::skip]
const HARDWARE_COUNTERS: &[Counter] = &[
    ("duplicate_request", 1, counter("node_infiniband_duplicate_requests_packets_total", "The number of received packets. A duplicate request is a request that had been previously executed.")),
    ("implied_nak_seq_err", 1, counter("node_infiniband_implied_nak_seq_errors_total", "The number of time the requested decided an ACK. with a PSN larger than the expected PSN for an RDMA read or response.")),
    ("local_ack_timeout_err", 1, counter("node_infiniband_local_ack_timeout_errors_total", "The number of times QP's ack timer expired for RC, XRC, DCT QPs at the sender side. The QP retry limit was not exceed, therefore it is still recoverable error.")),
    ("np_cnp_sent", 1, counter("node_infiniband_np_cnp_packets_sent_total", "The number of CNP packets sent by the Notification Point when it noticed congestion experienced in the RoCEv2 IP header (ECN bits). The counters was added in MLNX_OFED 4.1")),
    ("np_ecn_marked_roce_packets", 1, counter("node_infiniband_np_ecn_marked_roce_packets_received_total", "The number of RoCEv2 packets received by the notification point which were marked for experiencing the congestion (ECN bits where '11' on the ingress RoCE traffic) . The counters was added in MLNX_OFED 4.1")),
    ("out_of_buffer", 1, counter("node_infiniband_out_of_buffer_drops_total", "The number of drops occurred due to lack of WQE for the associated QPs.")),
    ("out_of_sequence", 1, counter("node_infiniband_out_of_sequence_packets_received_total", "The number of out of sequence packets received.")),
    ("packet_seq_err", 1, counter("node_infiniband_packet_sequence_errors_total", "The number of received NAK sequence error packets. The QP retry limit was not exceeded.")),
    ("req_cqe_error", 1, counter("node_infiniband_req_cqes_errors_total", "The number of times requester detected CQEs completed with errors. The counters was added in MLNX_OFED 4.1")),
    ("req_cqe_flush_error", 1, counter("node_infiniband_req_cqes_flush_errors_total", "The number of times requester detected CQEs completed with flushed errors. The counters was added in MLNX_OFED 4.1")),
    ("req_remote_access_errors", 1, counter("node_infiniband_req_remote_access_errors_total", "The number of times requester detected remote access errors. The counters was added in MLNX_OFED 4.1")),
    ("req_remote_invalid_request", 1, counter("node_infiniband_req_remote_invalid_request_errors_total", "The number of times requester detected remote invalid request errors. The counters was added in MLNX_OFED 4.1")),
    ("resp_cqe_error", 1, counter("node_infiniband_resp_cqes_errors_total", "The number of times responder detected CQEs completed with errors. The counters was added in MLNX_OFED 4.1")),
    ("resp_cqe_flush_error", 1, counter("node_infiniband_resp_cqes_flush_errors_total", "The number of times responder detected CQEs completed with flushed errors. The counters was added in MLNX_OFED 4.1")),
    ("resp_local_length_error", 1, counter("node_infiniband_resp_local_length_errors_total", "The number of times responder detected local length errors. The counters was added in MLNX_OFED 4.1")),
    ("resp_remote_access_errors", 1, counter("node_infiniband_resp_remote_access_errors_total", "The number of times responder detected remote access errors. The counters was added in MLNX_OFED 4.1")),
    ("rnr_nak_retry_err", 1, counter("node_infiniband_rnr_nak_retry_packets_received_total", "The number of received RNR NAK packets. The QP retry limit was not exceeded.")),
    ("roce_adp_retrans", 1, counter("node_infiniband_roce_adp_retransmits_total", "The number of adaptive retransmissions for RoCE traffic. The counter was added in MLNX_OFED rev 5.0-1.0.0.0 and kernel v5.6.0")),
    ("roce_adp_retrans_to", 1, counter("node_infiniband_roce_adp_retransmits_timeout_total", "The number of times RoCE traffic reached timeout due to adaptive retransmission. The counter was added in MLNX_OFED rev 5.0-1.0.0.0 and kernel v5.6.0")),
    ("roce_slow_restart", 1, counter("node_infiniband_roce_slow_restart_used_total", "The number of times RoCE slow restart was used. The counter was added in MLNX_OFED rev 5.0-1.0.0.0 and kernel v5.6.0")),
    ("roce_slow_restart_cnps", 1, counter("node_infiniband_roce_slow_restart_cnps_total", "The number of times RoCE slow restart generated CNP packets. The counter was added in MLNX_OFED rev 5.0-1.0.0.0 and kernel v5.6.0")),
    ("roce_slow_restart_trans", 1, counter("node_infiniband_roce_slow_restart_total", "The number of times RoCE slow restart changed state to slow restart. The counter was added in MLNX_OFED rev 5.0-1.0.0.0 and kernel v5.6.0")),
    ("rp_cnp_handled", 1, counter("node_infiniband_rp_cnp_packets_handled_total", "The number of CNP packets handled by the Reaction Point HCA to throttle the transmission rate. The counters was added in MLNX_OFED 4.1")),
    ("rp_cnp_ignored", 1, counter("node_infiniband_rp_cnp_ignored_packets_received_total", "The number of CNP packets received and ignored by the Reaction Point HCA. This counter should not raise if RoCE Congestion Control was enabled in the network. If this counter raise, verify that ECN was enabled on the adapter.")),
    ("rx_atomic_requests", 1, counter("node_infiniband_rx_atomic_requests_total", "The number of received ATOMIC request for the associated QPs.")),
    ("rx_dct_connect", 1, counter("node_infiniband_rx_dct_connect_requests_total", "The number of received connection requests for the associated DCTs.")),
    ("rx_read_requests", 1, counter("node_infiniband_rx_read_requests_total", "The number of received READ requests for the associated QPs.")),
    ("rx_write_requests", 1, counter("node_infiniband_rx_write_requests_total", "The number of received WRITE requests for the associated QPs.")),
    ("rx_icrc_encapsulated", 1, counter("node_infiniband_rx_icrc_encapsulated_errors_total", "The number of RoCE packets with ICRC errors. This counter was added in MLNX_OFED 4.4 and kernel 4.19")),
];

pub(crate) fn make(flags: &Flags) -> Result<Box<dyn Collector>, String> {
    let filter =
        Filter::of(flags, "collector.infiniband.device-exclude", "collector.infiniband.device-include")?;
    Ok(Box::new(move |paths: &Paths, page: &mut Page| {
        let class = paths.sys("class/infiniband");
        all_or_nothing(page, |page| {
            for device in read::names(&class)?.into_iter().filter(|d| !filter.ignores(d)) {
                write_device(&class.join(&device), &device, page)?;
            }
            Ok(())
        })
    }))
}

fn write_device(dir: &Path, device: &str, page: &mut Page) -> Result<(), Fault> {
    let text = |name: &str| sysfs::optional(&dir.join(name)).map(Option::unwrap_or_default);
    let labels = [
        ("board_id", &*text("board_id")?),
        ("device", device),
        ("firmware_version", &*sysfs::value(&dir.join("fw_ver"))?),
        ("hca_type", &*text("hca_type")?),
    ];
    INFO.sample(page, &labels, 1.0);
    let ports = dir.join("ports");
    for name in read::names(&ports)? {
        let port: u32 = name.parse().map_err(|_| Fault::garbage(&ports, format_args!("port {name:?}")))?;
        let port = port.to_string();
        write_port(&ports.join(&name), &[("device", device), ("port", &port)], page)?;
    }
    Ok(())
}

fn write_port(dir: &Path, labels: &[(&str, &str)], page: &mut Page) -> Result<(), Fault> {
    let number = |name: &str, parse: fn(&str) -> Option<f64>| {
        let path = dir.join(name);
        let text = sysfs::value(&path)?;
        parse(&text).ok_or_else(|| Fault::garbage(&path, format_args!("{text:?}")))
    };
    STATE.sample(page, labels, number("state", state)?);
    PHYSICAL_STATE.sample(page, labels, number("phys_state", state)?);
    RATE.sample(page, labels, number("rate", rate)?);
    let counters = dir.join("counters");
    if counters.exists() {
        write_counters(&counters, COUNTERS, labels, page)?;
        let legacy = dir.join("counters_ext");
        if legacy.exists() {
            write_counters(&legacy, LEGACY_COUNTERS, labels, page)?;
        }
    }
    let hardware = dir.join("hw_counters");
    if hardware.exists() {
        write_counters(&hardware, HARDWARE_COUNTERS, labels, page)?;
        if let Some(milliseconds) = counter_file(&hardware.join("lifespan"))? {
            // Whole seconds, as the original divides.
            LIFESPAN.sample(page, labels, (milliseconds / 1000) as f64);
        }
    }
    Ok(())
}

fn write_counters(
    dir: &Path,
    counters: &[Counter],
    labels: &[(&str, &str)],
    page: &mut Page,
) -> Result<(), Fault> {
    for (file, unit, family) in counters {
        if let Some(value) = counter_file(&dir.join(file))? {
            family.sample(page, labels, value.wrapping_mul(*unit) as f64);
        }
    }
    Ok(())
}

/// A counter that not all adapters have, or have only in name: `N/A (no PMA)`.
fn counter_file(path: &Path) -> Result<Option<u64>, Fault> {
    match sysfs::attribute(path) {
        Ok(text) if text.contains("N/A (no PMA)") => Ok(None),
        Ok(text) => match sysfs::parse_uint(&text) {
            Some(value) => Ok(Some(value)),
            None => Err(Fault::garbage(path, format_args!("{text:?}"))),
        },
        Err(e) if sysfs::is_silent(&e) || e.kind() == io::ErrorKind::PermissionDenied => Ok(None),
        Err(e) => Err(Fault::read(path, &e)),
    }
}

/// The number of `4: ACTIVE`.
fn state(text: &str) -> Option<f64> {
    let (id, name) = text.split_once(':')?;
    if name.contains(':') {
        return None;
    }
    id.trim().parse::<u32>().ok().map(f64::from)
}

/// Bytes a second of `2.5 Gb/sec (1X SDR)`.
fn rate(text: &str) -> Option<f64> {
    let gigabits: f32 = text.split_once(' ')?.0.trim().parse().ok()?;
    Some((f64::from(gigabits) * 125e6).trunc())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tree::Tree;

    #[test]
    fn states_and_rates() {
        assert_eq!(state("4: ACTIVE"), Some(4.0));
        assert_eq!([state("ACTIVE"), state("x: y"), state("1: 2: 3"), state("")], [None; 4]);
        assert_eq!(rate("2.5 Gb/sec (1X SDR)"), Some(312_500_000.0));
        assert_eq!([rate("2.5"), rate("x Gb/sec"), rate("")], [None; 3]);
    }

    #[test]
    fn an_adapter_with_a_port() {
        let port = "sys/class/infiniband/mlx4_0/ports/1";
        let files = [
            ("link_layer", "InfiniBand\n"),
            ("state", "4: ACTIVE\n"),
            ("phys_state", "5: LinkUp\n"),
            ("rate", "40 Gb/sec (4X QDR)\n"),
            ("counters/port_rcv_data", "4631917\n"),
            ("counters/symbol_error", "N/A (no PMA)\n"),
            ("counters_ext/port_rcv_packets_64", "7\n"),
            ("hw_counters/lifespan", "10999\n"),
            ("hw_counters/np_cnp_sent", "3\n"),
        ]
        .map(|(name, content)| (format!("{port}/{name}"), content));
        let mut files: Vec<_> = files.iter().map(|(p, c)| (p.as_str(), *c)).collect();
        files.push(("sys/class/infiniband/mlx4_0/fw_ver", "2.31.5050\n"));
        files.push(("sys/class/infiniband/mlx4_0/hca_type", "MT4099\n"));
        let tree = Tree::new(&files);
        let expect = r#"node_infiniband_info{board_id="",device="mlx4_0",firmware_version="2.31.5050",hca_type="MT4099"} 1
node_infiniband_legacy_packets_received_total{device="mlx4_0",port="1"} 7
node_infiniband_lifespan_seconds{device="mlx4_0",port="1"} 10
node_infiniband_np_cnp_packets_sent_total{device="mlx4_0",port="1"} 3
node_infiniband_physical_state_id{device="mlx4_0",port="1"} 5
node_infiniband_port_data_received_bytes_total{device="mlx4_0",port="1"} 1.8527668e+07
node_infiniband_rate_bytes_per_second{device="mlx4_0",port="1"} 5e+09
node_infiniband_state_id{device="mlx4_0",port="1"} 4
"#;
        assert_eq!(tree.samples(make, &[]), expect);
        assert_eq!(tree.samples(make, &[("collector.infiniband.device-exclude", "^mlx")]), "");
        assert_eq!(Tree::new(&[]).collect(make, &[]).1, Err(Fault::NoData));
    }
}
