//! Errors of IPsec, from `/proc/net/xfrm_stat`.

use exporters::Page;

use crate::collector::Collector;
use crate::families::{Family, all_or_nothing, counter};
use crate::fault::Fault;
use crate::flags::Flags;
use crate::paths::Paths;
use crate::read;

/// A line's first word and its family.
#[rustfmt::skip]
const FAMILIES: &[(&str, Family)] = &[
    ("XfrmInError", counter("node_xfrm_in_error_packets_total", "All errors not matched by other")),
    ("XfrmInBufferError", counter("node_xfrm_in_buffer_error_packets_total", "No buffer is left")),
    ("XfrmInHdrError", counter("node_xfrm_in_hdr_error_packets_total", "Header error")),
    ("XfrmInNoStates", counter("node_xfrm_in_no_states_packets_total", "No state is found i.e. Either inbound SPI, address, or IPsec protocol at SA is wrong")),
    ("XfrmInStateProtoError", counter("node_xfrm_in_state_proto_error_packets_total", "Transformation protocol specific error e.g. SA key is wrong")),
    ("XfrmInStateModeError", counter("node_xfrm_in_state_mode_error_packets_total", "Transformation mode specific error")),
    ("XfrmInStateSeqError", counter("node_xfrm_in_state_seq_error_packets_total", "Sequence error i.e. Sequence number is out of window")),
    ("XfrmInStateExpired", counter("node_xfrm_in_state_expired_packets_total", "State is expired")),
    ("XfrmInStateMismatch", counter("node_xfrm_in_state_mismatch_packets_total", "State has mismatch option e.g. UDP encapsulation type is mismatch")),
    ("XfrmInStateInvalid", counter("node_xfrm_in_state_invalid_packets_total", "State is invalid")),
    ("XfrmInTmplMismatch", counter("node_xfrm_in_tmpl_mismatch_packets_total", "No matching template for states e.g. Inbound SAs are correct but SP rule is wrong")),
    ("XfrmInNoPols", counter("node_xfrm_in_no_pols_packets_total", "No policy is found for states e.g. Inbound SAs are correct but no SP is found")),
    ("XfrmInPolBlock", counter("node_xfrm_in_pol_block_packets_total", "Policy discards")),
    ("XfrmInPolError", counter("node_xfrm_in_pol_error_packets_total", "Policy error")),
    ("XfrmOutError", counter("node_xfrm_out_error_packets_total", "All errors which is not matched others")),
    ("XfrmOutBundleGenError", counter("node_xfrm_out_bundle_gen_error_packets_total", "Bundle generation error")),
    ("XfrmOutBundleCheckError", counter("node_xfrm_out_bundle_check_error_packets_total", "Bundle check error")),
    ("XfrmOutNoStates", counter("node_xfrm_out_no_states_packets_total", "No state is found")),
    ("XfrmOutStateProtoError", counter("node_xfrm_out_state_proto_error_packets_total", "Transformation protocol specific error")),
    ("XfrmOutStateModeError", counter("node_xfrm_out_state_mode_error_packets_total", "Transformation mode specific error")),
    ("XfrmOutStateSeqError", counter("node_xfrm_out_state_seq_error_packets_total", "Sequence error i.e. Sequence number overflow")),
    ("XfrmOutStateExpired", counter("node_xfrm_out_state_expired_packets_total", "State is expired")),
    ("XfrmOutPolBlock", counter("node_xfrm_out_pol_block_packets_total", "Policy discards")),
    ("XfrmOutPolDead", counter("node_xfrm_out_pol_dead_packets_total", "Policy is dead")),
    ("XfrmOutPolError", counter("node_xfrm_out_pol_error_packets_total", "Policy error")),
    ("XfrmFwdHdrError", counter("node_xfrm_fwd_hdr_error_packets_total", "Forward routing of a packet is not allowed")),
    ("XfrmOutStateInvalid", counter("node_xfrm_out_state_invalid_packets_total", "State is invalid, perhaps expired")),
    ("XfrmAcquireError", counter("node_xfrm_acquire_error_packets_total", "State hasn’t been fully acquired before use")),
];

pub(crate) fn make(_: &Flags) -> Result<Box<dyn Collector>, String> {
    Ok(Box::new(update))
}

fn update(paths: &Paths, page: &mut Page) -> Result<(), Fault> {
    let path = paths.proc("net/xfrm_stat");
    let text = read::text(&path)?;
    all_or_nothing(page, |page| {
        let mut values = [0_i64; FAMILIES.len()];
        for line in text.lines() {
            let pair = line.trim().split_once(char::is_whitespace);
            let pair = pair.and_then(|(name, value)| Some((name, value.trim().parse().ok()?)));
            let (name, value) = pair.ok_or_else(|| Fault::garbage(&path, format_args!("{line:?}")))?;
            if let Some(at) = FAMILIES.iter().position(|(known, _)| *known == name) {
                values[at] = value;
            }
        }
        for ((_, family), value) in FAMILIES.iter().zip(values) {
            family.sample(page, &[], value as f64);
        }
        Ok(())
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tree::Tree;

    #[test]
    fn what_is_not_counted_is_0() {
        let tree = Tree::new(&[("proc/net/xfrm_stat", "XfrmInError                     \t1\nXfrmNew 7\n")]);
        let text = tree.samples(make, &[]);
        assert_eq!(text.lines().count(), FAMILIES.len());
        assert!(text.contains("node_xfrm_in_error_packets_total 1\n"), "{text}");
        assert!(text.contains("node_xfrm_acquire_error_packets_total 0\n"), "{text}");
        let bad = Tree::new(&[("proc/net/xfrm_stat", "XfrmInError x\n")]);
        assert!(matches!(bad.collect(make, &[]).1, Err(Fault::Error(_))));
    }
}
