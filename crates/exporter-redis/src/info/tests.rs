//! Texts of INFO as servers of several kinds and ages write them, cut to what each is here for.

use super::*;
use crate::sheet::tests::lines;

fn write(text: &str, empty_databases: bool) -> Vec<String> {
    let mut sheet = Sheet::new("redis");
    let wanted = Wanted { db_count: 2, empty_databases, system: true, now_s: 1_700_000_000 };
    Info::parse(text).write(&mut sheet, &wanted);
    lines(sheet)
}

/// All `expect` among the families of `text`, none that begins with one of `not`.
fn check(text: &str, expect: &[&str], not: &[&str]) {
    let found = write(text, false);
    for line in expect {
        assert!(found.iter().any(|l| l == line), "{line} in {found:#?}");
    }
    for line in not {
        assert!(!found.iter().any(|l| l.starts_with(line)), "no {line} in {found:#?}");
    }
}

#[test]
fn a_primary_of_redis_7() {
    check(
        "# Server\r\nredis_version:7.0.15\r\nuptime_in_seconds:42\r\nhz:10\r\nprocess_id:7\r\n\
         # Memory\r\nused_memory:1048576\r\ntotal_system_memory:8\r\nused_memory_human:1.00M\r\n\
         # Persistence\r\nrdb_last_bgsave_status:ok\r\naof_last_write_status:err\r\n\
         # Stats\r\nlatest_fork_usec:3591\r\nexpired_time_cap_reached_count:2\r\n\
         # Replication\r\nrole:master\r\nslave0:ip=10.0.0.2,port=6380,state=online,offset=14,lag=1\r\nslave1:ip=x\r\n\
         # Commandstats\r\ncmdstat_config|get:calls=4,usec=405,usec_per_call=101.25,rejected_calls=1,failed_calls=2\r\n\
         # Errorstats\r\nerrorstat_WRONGTYPE:count=4\r\n\
         # Latencystats\r\nlatency_percentiles_usec_config|get:p50=8.031,p99.9=280.575\r\nlatency_percentiles_usec_get:p50=1\r\n\
         # Keyspace\r\ndb0:keys=5,expires=2,avg_ttl=1500\r\n",
        &[
            "redis_start_time_seconds 1.699999958e+09",
            "redis_uptime_in_seconds 42",
            "redis_hz 10",
            "redis_memory_used_bytes 1.048576e+06",
            "redis_total_system_memory_bytes 8",
            "redis_rdb_last_bgsave_status 1",
            "redis_aof_last_write_status 0",
            "redis_latest_fork_seconds 0.003591",
            "redis_expired_time_cap_reached_total 2",
            "redis_connected_slave_offset_bytes{slave_ip=\"10.0.0.2\",slave_port=\"6380\",slave_state=\"online\"} 14",
            "redis_connected_slave_lag_seconds{slave_ip=\"10.0.0.2\",slave_port=\"6380\",slave_state=\"online\"} 1",
            "redis_commands_total{cmd=\"config|get\"} 4",
            "redis_commands_duration_seconds_total{cmd=\"config|get\"} 0.000405",
            "redis_commands_rejected_calls_total{cmd=\"config|get\"} 1",
            "redis_commands_failed_calls_total{cmd=\"config|get\"} 2",
            "redis_errors_total{err=\"WRONGTYPE\"} 4",
            "redis_latency_percentiles_usec{cmd=\"config|get\",quantile=\"50\"} 8.031",
            "redis_latency_percentiles_usec_count{cmd=\"config|get\"} 4",
            "redis_db_keys{db=\"db0\"} 5",
            "redis_db_avg_ttl_seconds{db=\"db0\"} 1.5",
        ],
        &["redis_slave_info", "redis_latency_percentiles_usec{cmd=\"get\"", "redis_used_memory_human"],
    );
}

#[test]
fn a_replica_and_keydb_with_two_primaries() {
    check(
        "# Replication\nrole:slave\nmaster_host:10.0.0.1\nmaster_port:6379\nmaster_link_status:up\n\
         master_last_io_seconds_ago:-1\nmaster_sync_in_progress:0\nslave_repl_offset:99\nslave_read_only:1\n\
         master_1_host:10.0.0.9\nmaster_1_port:6377\nmaster_1_link_status:down\n",
        &[
            "redis_master_link_up{master_host=\"10.0.0.1\",master_port=\"6379\"} 1",
            "redis_master_last_io_seconds_ago{master_host=\"10.0.0.1\",master_port=\"6379\"} -1",
            "redis_slave_repl_offset{master_host=\"10.0.0.1\",master_port=\"6379\"} 99",
            "redis_master_link_up{master_host=\"10.0.0.9\",master_port=\"6377\"} 0",
            "redis_slave_info{master_host=\"10.0.0.1\",master_port=\"6379\",read_only=\"1\"} 1",
        ],
        &[],
    );
}

#[test]
fn redis_7_4_and_8() {
    check(
        "# Server\nredis_version:8.0.1\nio_threads_active:1\n# Clients\npubsub_clients:3\nwatching_clients:1\n\
         total_watched_keys:2\ntotal_blocking_keys:4\n# Memory\nmem_overhead_db_hashtable_rehashing:64\n\
         number_of_libraries:1\n# Stats\nevicted_scripts:5\nexpired_subkeys:6\nacl_access_denied_auth:7\n\
         used_active_time_main_thread:1.25\n# Threads\nused_active_time_io_thread_3:0.5\nused_active_time_io_thread_x:0.5\n\
         # Keyspace\ndb0:keys=3,expires=1,avg_ttl=0,subexpiry=2\n",
        &[
            "redis_io_threads_active 1",
            "redis_pubsub_clients 3",
            "redis_watching_clients 1",
            "redis_total_watched_keys 2",
            "redis_mem_overhead_db_hashtable_rehashing_bytes 64",
            "redis_number_of_libraries 1",
            "redis_evicted_scripts_total 5",
            "redis_expired_subkeys_total 6",
            "redis_acl_access_denied_auth_total 7",
            "redis_active_time_main_thread_seconds_total 1.25",
            "redis_active_time_io_thread_seconds_total{thread=\"3\"} 0.5",
            "redis_db_avg_ttl_seconds{db=\"db0\"} 0",
        ],
        // What is no cached key is not told as one.
        &["redis_db_keys_cached", "redis_active_time_io_thread_seconds_total{thread=\"x\"}"],
    );
}

#[test]
fn valkey_8_and_keydb() {
    let text = "# Server\nredis_version:7.2.4\nserver_name:valkey\nvalkey_version:8.1.0\nvalkey_release_stage:ga\n\
                redis_mode:standalone\nos:Linux\nrun_id:r\ntcp_port:6379\nprocess_id:9\n# Replication\nrole:master\n\
                master_replid:m\n# Memory\nmaxmemory_policy:noeviction\n";
    let info = Info::parse(text);
    assert_eq!((info.version("valkey_version"), info.version("redis_version")), ((8, 1), (7, 2)));
    check(
        text,
        &[
            "redis_instance_info{master_replid=\"m\",maxmemory_policy=\"noeviction\",os=\"Linux\",process_id=\"9\",redis_build_id=\"\",redis_mode=\"standalone\",redis_version=\"7.2.4\",role=\"master\",run_id=\"r\",tcp_port=\"6379\",valkey_release_stage=\"ga\",valkey_version=\"8.1.0\"} 1",
        ],
        &[],
    );
    check(
        "# Keyspace\ndb0:keys=3,expires=1,avg_ttl=10,cached_keys=2\n# Stats\nstorage_provider_read_hits:8\n# CPU\nserver_threads:2\n",
        &[
            "redis_db_keys_cached{db=\"db0\"} 2",
            "redis_storage_provider_read_hits 8",
            "redis_server_threads_total 2",
        ],
        &[],
    );
}

#[test]
fn servers_before_6_2_and_3_0() {
    check(
        "# Commandstats\ncmdstat_get:calls=21,usec=175,usec_per_call=8.33\n# Replication\nrole:master\n\
         slave0:ip=1,port=2,state=online,offset=3\n# Keyspace\ndb0:keys=1,expires=0\n# Clients\nclient_biggest_input_buf:4\n",
        &[
            "redis_commands_total{cmd=\"get\"} 21",
            "redis_db_keys{db=\"db0\"} 1",
            "redis_client_biggest_input_buf 4",
        ],
        &["redis_commands_failed", "redis_connected_slave_lag", "redis_db_avg_ttl"],
    );
}

#[test]
fn a_member_of_a_cluster() {
    let info = Info::parse("# Cluster\ncluster_enabled:1\n");
    assert!(info.is_cluster());
    let mut sheet = Sheet::new("redis");
    let text = "cluster_state:ok\r\ncluster_slots_assigned:16384\r\ncluster_stats_messages_sent:12\r\n\
                cluster_stats_messages_ping_sent:4\r\ntotal_cluster_links_buffer_limit_exceeded:0\r\n";
    write_cluster(&mut sheet, text);
    assert_eq!(
        lines(sheet),
        [
            "redis_cluster_messages_sent_total 12",
            "redis_cluster_slots_assigned 16384",
            "redis_cluster_state 1",
            "redis_cluster_stats_messages_ping_sent 4"
        ]
    );
}

#[test]
fn databases_without_keys_are_told_if_wanted() {
    let text = "# Keyspace\ndb1:keys=1,expires=1,avg_ttl=1\n";
    let databases = |empty| write(text, empty).iter().filter(|l| l.starts_with("redis_db_keys{")).count();
    assert_eq!((databases(true), databases(false)), (2, 1));
    assert_eq!(Info::parse(text).databases(), [1]);
}

#[test]
fn a_field_in_two_sections_is_told_once() {
    let found = write("# A\nused_memory:1\n# B\nused_memory:2\n", false);
    assert_eq!(found.iter().filter(|l| l.starts_with("redis_memory_used_bytes")).count(), 1);
}

proptest::proptest! {
    #[test]
    fn any_text_is_read(text in "((# )?[a-zA-Z_0-9|]{0,12}:?[a-z0-9=,.:]{0,30}\r?\n){0,20}") {
        let _ = write(&text, true);
    }

    #[test]
    fn any_field_of_a_section_with_a_grammar_is_read(
        section in "(Server|Replication|Commandstats|Latencystats|Errorstats|Keyspace|Sentinel)",
        name in "(db0|slave0|master_1_host|master0|cmdstat_x|latency_percentiles_usec_x|errorstat_x|uptime_in_seconds)",
        value in "[a-z0-9=,.:p-]{0,40}",
    ) {
        let _ = write(&format!("# {section}\n{name}:{value}\n"), true);
    }
}
