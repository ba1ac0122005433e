//! What the measures `query` and `query-scale` ask of the noisy set.

/// One query.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Query {
    /// In tables and JSON.
    pub(crate) name: &'static str,
    pub(crate) expression: &'static str,
    pub(crate) shape: Shape,
    /// Whether VictoriaMetrics means the same by it: it does not extrapolate rates, for one.
    pub(crate) same_in_victoria: bool,
}

/// When it is evaluated.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Shape {
    Instant,
    /// So many hours back, a step of so many seconds.
    Range(i64, i64),
}

const DAY: Shape = Shape::Range(24, 60);
const HOUR: Shape = Shape::Range(1, 15);

const fn query(name: &'static str, shape: Shape, expression: &'static str) -> Query {
    Query { name, expression, shape, same_in_victoria: false }
}

/// One that means the same everywhere.
const fn same(name: &'static str, shape: Shape, expression: &'static str) -> Query {
    Query { name, expression, shape, same_in_victoria: true }
}

/// Typical of dashboards, and some hard ones.
pub(crate) const QUERIES: [Query; 24] = [
    query("sum by rate, 24 h", DAY, "sum by (job) (rate(http_requests_total[5m]))"),
    query(
        "histogram_quantile, 24 h",
        DAY,
        "histogram_quantile(0.95, sum by (le, job) (rate(http_request_duration_seconds_bucket[5m])))",
    ),
    query("topk, 24 h", DAY, "topk(5, rate(http_requests_total[5m]))"),
    query(
        "error ratio, 24 h",
        DAY,
        "sum by (job) (rate(http_requests_total{code=~\"5..\"}[5m])) / sum by (job) (rate(http_requests_total[5m]))",
    ),
    query(
        "quantile_over_time, 24 h",
        DAY,
        "quantile_over_time(0.95, container_memory_working_set_bytes{instance=~\"10\\\\.0\\\\.0\\\\.1?[0-9]:9100\"}[1h])",
    ),
    query("dashboard, 1 h", HOUR, "sum by (job, code) (rate(http_requests_total[5m]))"),
    same(
        "instant, 60 series",
        Shape::Instant,
        "node_cpu_seconds_total{instance=~\"10\\\\.0\\\\.0\\\\.[0-9]:9100\",mode=~\"idle|user\"}",
    ),
    same("count of all", Shape::Instant, "count({__name__=~\".+\"})"),
    same("max by, 24 h", DAY, "max by (cluster) (node_hwmon_temp_celsius)"),
    query("avg_over_time, 24 h", DAY, "avg by (job) (avg_over_time(node_load_average[10m]))"),
    query("max_over_time, 24 h", DAY, "max by (job) (max_over_time(container_memory_working_set_bytes[1h]))"),
    query("increase of a day", Shape::Instant, "sum by (job) (increase(http_requests_total[1d]))"),
    query(
        "regex, 1 h",
        HOUR,
        "sum by (handler) (rate(http_requests_total{handler=~\"/api/.*\",code!~\"2..\"}[5m]))",
    ),
    query(
        "label_replace, 1 h",
        HOUR,
        "sum by (host) (label_replace(rate(node_cpu_seconds_total{mode!=\"idle\"}[5m]), \"host\", \"$1\", \"instance\", \"(.*):.*\"))",
    ),
    query(
        "group_left, 1 h",
        HOUR,
        "rate(node_cpu_seconds_total{mode=\"user\"}[5m]) * on (instance) group_left (resource) kube_resource_limit{resource=\"limit-1\"}",
    ),
    same("absent, 24 h", DAY, "absent(http_requests_total{job=\"nothing\"})"),
    query(
        "subquery of 6 h",
        Shape::Instant,
        "max by (job) (max_over_time(rate(http_requests_total{code=\"200\"}[5m])[6h:1m]))",
    ),
    query("deriv, 1 h", HOUR, "deriv(node_filesystem_avail_bytes[30m])"),
    query("predict_linear", Shape::Instant, "predict_linear(node_filesystem_avail_bytes[6h], 14400) < 0"),
    query("irate, 1 h", HOUR, "avg by (mode) (irate(node_cpu_seconds_total[2m]))"),
    same("count_values", Shape::Instant, "count_values(\"n\", db_pool_connections)"),
    same(
        "offset, 24 h",
        DAY,
        "sum by (job) (container_memory_working_set_bytes) - sum by (job) (container_memory_working_set_bytes offset 1h)",
    ),
    query("sum without, 1 h", HOUR, "sum without (instance, cluster) (rate(http_requests_total[5m]))"),
    query("each series, 1 h", HOUR, "rate(http_requests_total[5m])"),
];

/// These read the samples of one or of ten instances, however many there are.
pub(crate) const SCALE_QUERIES: [Query; 4] = [
    same("1 series", Shape::Instant, "node_load_average{instance=\"10.0.0.7:9100\",period=\"1m\"}"),
    query(
        "rates of 37 series",
        Shape::Instant,
        "sum by (code) (rate(http_requests_total{instance=\"10.0.0.7:9100\"}[5m]))",
    ),
    same(
        "regex, 140 series",
        Shape::Instant,
        "container_memory_working_set_bytes{instance=~\"10.0.0.[0-9]:9100\"}",
    ),
    query("all of 1 instance", Shape::Instant, "count by (__name__) ({instance=\"10.0.0.3:9100\"})"),
];
