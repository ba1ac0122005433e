//! The service discoveries that nothing acts on yet: their keys, defaults and checks as a table.

use crate::http_client::{HttpClientConfig, TlsConfig};
use crate::yaml::{Context, Decode as _, Encode, Node, Out, Place, Section as _, SectionMap};

/// One entry of a discovery without a type of its own.
#[derive(Debug, Clone, PartialEq)]
pub struct OtherDiscovery {
    /// The list it stands in, such as `consul_sd_configs`.
    pub kind: &'static str,
    /// Where it stands.
    pub place: Place,
    /// The entry as written, secrets included; [`Encode`] hides them.
    pub node: Node,
    /// Its HTTP client block, where the discovery has one.
    pub http: HttpClientConfig,
}

/// A discovery: its list's key, upstream's name of its type, its fields, and what is checked.
///
/// Fields are `key[:type][=default][!]`; the type is a text where absent; `!` means written even when empty; `@http` stands for the HTTP
/// client block. Types: s(ecret), i(nteger), b(oolean), d(uration), l(ist of texts), m(ap of texts), t(ls block), T(ree).
struct Kind {
    key: &'static str,
    name: &'static str,
    fields: &'static str,
    check: fn(&View<'_>) -> Option<String>,
}

fn ok(_: &View<'_>) -> Option<String> {
    None
}

const KINDS: &[Kind] = &[
    Kind {
        key: "aws_sd_configs",
        name: "aws.SDConfig",
        fields: "role! region endpoint access_key secret_key:s profile role_arn external_id refresh_interval:d=60s port:i @http filters:T clusters:l",
        check: |v| {
            v.one_of(
                "role",
                &["ec2", "ecs", "elasticache", "lightsail", "msk", "rds"],
                "unknown AWS SD role {q}",
            )
        },
    },
    Kind {
        key: "azure_sd_configs",
        name: "azure.SDConfig",
        fields: "environment=AzurePublicCloud port:i=80! subscription_id! tenant_id client_id client_secret:s refresh_interval:d=5m authentication_method=OAuth resource_group @http",
        check: azure,
    },
    Kind {
        key: "consul_sd_configs",
        name: "consul.SDConfig",
        fields: "server=localhost:8500 path_prefix token:s datacenter namespace partition tag_separator=, scheme=http username password:s allow_stale:b=true! refresh_interval:d=30s services:l tags:l node_meta:m filter health_filter @http",
        check: consul,
    },
    Kind {
        key: "digitalocean_sd_configs",
        name: "digitalocean.SDConfig",
        fields: "@http refresh_interval:d=60s! port:i=80! role=droplets!",
        check: |v| v.one_of("role", &["droplets", "databases"], "unknown DigitalOcean SD role {q}"),
    },
    Kind {
        key: "docker_sd_configs",
        name: "moby.DockerSDConfig",
        fields: "@http host! port:i=80! filters:T! host_networking_host=localhost! refresh_interval:d=60s! match_first_network:b=true!",
        check: |v| v.required("host", "host missing"),
    },
    Kind {
        key: "dockerswarm_sd_configs",
        name: "moby.DockerSwarmSDConfig",
        fields: "@http host! role! port:i=80! filters:T! refresh_interval:d=60s!",
        check: |v| {
            v.required("host", "host missing")
                .or_else(|| v.required("role", "role missing (one of: tasks, services, nodes)"))
                .or_else(|| {
                    v.one_of(
                        "role",
                        &["services", "nodes", "tasks"],
                        "invalid role {v}, expected tasks, services, or nodes",
                    )
                })
        },
    },
    Kind {
        key: "ec2_sd_configs",
        name: "aws.EC2SDConfig",
        fields: "endpoint! region! access_key secret_key:s profile role_arn external_id refresh_interval:d=60s port:i=80! filters:T! @http",
        check: |v| {
            let filters = v.node("filters").and_then(Node::as_seq).unwrap_or(&[]);
            filters
                .iter()
                .any(|f| f.get("values").and_then(Node::as_seq).is_none_or(<[Node]>::is_empty))
                .then(|| "EC2 SD configuration filter values cannot be empty".to_owned())
        },
    },
    Kind {
        key: "eureka_sd_configs",
        name: "eureka.SDConfig",
        fields: "server @http refresh_interval:d=30s",
        check: |v| {
            v.required("server", "eureka_sd: empty or null eureka server").or_else(|| {
                (!has_host(&v.text("server"))).then(|| "eureka_sd: invalid eureka server URL".to_owned())
            })
        },
    },
    Kind {
        key: "gce_sd_configs",
        name: "gce.SDConfig",
        fields: "project! zone! filter refresh_interval:d=60s port:i=80! tag_separator=,",
        check: |v| {
            v.required("project", "GCE SD configuration requires a project")
                .or_else(|| v.required("zone", "GCE SD configuration requires a zone"))
        },
    },
    Kind {
        key: "hetzner_sd_configs",
        name: "hetzner.SDConfig",
        fields: "@http refresh_interval:d=60s! port:i=80! role! label_selector",
        check: |v| {
            v.required("role", "role missing (one of: robot, hcloud)")
                .or_else(|| v.one_of("role", &["robot", "hcloud"], "unknown role {q}"))
        },
    },
    Kind {
        key: "ionos_sd_configs",
        name: "ionos.SDConfig",
        fields: "datacenter_id! @http refresh_interval:d=60s! port:i=80!",
        check: |v| v.required("datacenter_id", "datacenter id can't be empty"),
    },
    Kind {
        key: "kubernetes_sd_configs",
        name: "kubernetes.SDConfig",
        fields: "api_server role! kubeconfig_file! @http namespaces:T selectors:T attach_metadata:T",
        check: kubernetes,
    },
    Kind {
        key: "kuma_sd_configs",
        name: "xds.KumaSDConfig",
        fields: "@http refresh_interval:d=15s fetch_timeout:d=2m server client_id",
        check: |v| {
            v.required("server", "kuma SD server must not be empty: ").or_else(|| {
                (!has_host(&v.text("server")))
                    .then(|| "kuma SD server must not be empty and have a scheme: ".to_owned())
            })
        },
    },
    Kind {
        key: "lightsail_sd_configs",
        name: "aws.LightsailSDConfig",
        fields: "endpoint! region! access_key secret_key:s profile role_arn external_id refresh_interval:d=60s port:i=80! @http",
        check: ok,
    },
    Kind {
        key: "linode_sd_configs",
        name: "linode.SDConfig",
        fields: "@http refresh_interval:d=60s! port:i=80! tag_separator=, region",
        check: ok,
    },
    Kind {
        key: "marathon_sd_configs",
        name: "marathon.SDConfig",
        fields: "servers:l refresh_interval:d=30s auth_token:s auth_token_file @http",
        check: marathon,
    },
    Kind {
        key: "nerve_sd_configs",
        name: "zookeeper.NerveSDConfig",
        fields: "servers:l! paths:l! timeout:d=10s",
        check: |v| zookeeper(v, "nerve"),
    },
    Kind {
        key: "nomad_sd_configs",
        name: "nomad.SDConfig",
        fields: "allow_stale:b=true! @http namespace=default! refresh_interval:d=60s! region=global! server=http://localhost:4646! tag_separator=,",
        check: |v| v.required("server", "nomad SD configuration requires a server address"),
    },
    Kind {
        key: "oci_sd_configs",
        name: "oci.SDConfig",
        fields: "auth=api_key tenancy user fingerprint key_file key_passphrase:s key_passphrase_file region! compartments:l @http port:i=80! refresh_interval:d=60s!",
        check: oci,
    },
    Kind {
        key: "openstack_sd_configs",
        name: "openstack.SDConfig",
        fields: "identity_endpoint! username! userid! password:s! project_name! project_id! domain_name! domain_id! application_credential_name! application_credential_id! application_credential_secret:s! role! region! refresh_interval:d=60s! port:i=80! all_tenants:b tls_config:t availability=public",
        check: |v| {
            v.one_of("role", &["hypervisor", "instance", "loadbalancer"], "unknown OpenStack SD role {q}")
                .or_else(|| {
                    v.one_of(
                        "availability",
                        &["public", "internal", "admin"],
                        "unknown availability {v}, must be one of admin, internal or public",
                    )
                })
                .or_else(|| v.required("role", "role missing (one of: instance, hypervisor, loadbalancer)"))
                .or_else(|| v.required("region", "openstack SD configuration requires a region"))
        },
    },
    Kind {
        key: "outscale_sd_configs",
        name: "outscale.SDConfig",
        fields: "endpoint region=eu-west-2! access_key! secret_key:s! secret_key_file! refresh_interval:d=60s port:i=80! @http",
        check: |v| {
            v.required("region", "outscale SD configuration requires a region")
                .or_else(|| v.required("access_key", "outscale SD configuration requires access_key"))
                .or_else(|| v.exactly_one("secret_key", "secret_key_file"))
        },
    },
    Kind {
        key: "ovhcloud_sd_configs",
        name: "ovhcloud.SDConfig",
        fields: "endpoint=ovh-eu! application_key! application_secret:s! consumer_key:s! refresh_interval:d=60s! service!",
        check: |v| {
            v.required("endpoint", "endpoint can not be empty")
                .or_else(|| v.required("application_key", "application key can not be empty"))
                .or_else(|| v.required("application_secret", "application secret can not be empty"))
                .or_else(|| v.required("consumer_key", "consumer key can not be empty"))
                .or_else(|| v.one_of("service", &["dedicated_server", "vps"], "unknown service: {v}"))
        },
    },
    Kind {
        key: "puppetdb_sd_configs",
        name: "puppetdb.SDConfig",
        fields: "@http refresh_interval:d=60s url! query! include_parameters:b! port:i=80!",
        check: |v| {
            let url = v.text("url");
            let http = url.starts_with("http:") || url.starts_with("https:");
            v.required("url", "URL is missing")
                .or_else(|| (!http).then(|| "URL scheme must be 'http' or 'https'".to_owned()))
                .or_else(|| (!has_host(&url)).then(|| "host is missing in URL".to_owned()))
                .or_else(|| v.required("query", "query missing"))
        },
    },
    Kind {
        key: "scaleway_sd_configs",
        name: "scaleway.SDConfig",
        fields: "project_id! api_url=https://api.scaleway.com zone=fr-par-1! access_key! secret_key:s! secret_key_file! name_filter tags_filter:l @http refresh_interval:d=60s! port:i=80! role!",
        check: |v| {
            v.one_of("role", &["instance", "baremetal"], "unknown role {q}")
                .or_else(|| v.required("role", "role missing (one of: instance, baremetal)"))
                .or_else(|| v.required("project_id", "project_id is mandatory"))
                .or_else(|| v.exactly_one("secret_key", "secret_key_file"))
                .or_else(|| v.required("access_key", "access_key is mandatory"))
        },
    },
    Kind {
        key: "serverset_sd_configs",
        name: "zookeeper.ServersetSDConfig",
        fields: "servers:l! paths:l! timeout:d=10s",
        check: |v| zookeeper(v, "serverset"),
    },
    Kind {
        key: "stackit_sd_configs",
        name: "stackit.SDConfig",
        fields: "@http project! refresh_interval:d=60s port:i=80 region=eu01 endpoint service_account_key:s private_key:s service_account_key_path private_key_path credentials_file_path",
        check: |v| {
            let endpoint = v.text("endpoint");
            (!endpoint.is_empty() && url::Url::parse(&endpoint).is_err())
                .then(|| format!("stackit_sd: invalid endpoint {endpoint:?}"))
        },
    },
    Kind {
        key: "triton_sd_configs",
        name: "triton.SDConfig",
        fields: "account! role=container! dns_suffix! endpoint! groups:l port:i=9163! refresh_interval:d=60s tls_config:t version:i=1!",
        check: |v| {
            v.one_of(
                "role",
                &["container", "cn"],
                "triton SD configuration requires role to be 'container' or 'cn'",
            )
            .or_else(|| v.required("account", "triton SD configuration requires an account"))
            .or_else(|| v.required("dns_suffix", "triton SD configuration requires a dns_suffix"))
            .or_else(|| v.required("endpoint", "triton SD configuration requires an endpoint"))
        },
    },
    Kind {
        key: "uyuni_sd_configs",
        name: "uyuni.SDConfig",
        fields: "server! username! password:s! @http entitlement=monitoring_entitled separator=, refresh_interval:d=1m",
        check: |v| {
            v.required("server", "Uyuni SD configuration requires server host")
                .or_else(|| v.required("username", "Uyuni SD configuration requires a username"))
                .or_else(|| v.required("password", "Uyuni SD configuration requires a password"))
        },
    },
    Kind {
        key: "vultr_sd_configs",
        name: "vultr.SDConfig",
        fields: "@http refresh_interval:d=60s! port:i=80!",
        check: ok,
    },
    // Blocks of `aws_sd_configs`' roles that upstream also registers on their own.
    Kind {
        key: "ecs_sd_configs",
        name: "aws.ECSSDConfig",
        fields: "region! endpoint! access_key secret_key:s profile role_arn external_id clusters:l port:i=80! refresh_interval:d=60s request_concurrency:i=20 @http",
        check: ok,
    },
    Kind {
        key: "msk_sd_configs",
        name: "aws.MSKSDConfig",
        fields: "region! endpoint! access_key secret_key:s profile role_arn external_id clusters:l port:i=80! refresh_interval:d=60s request_concurrency:i=10 @http",
        check: ok,
    },
];

const TYPED: [&str; 4] = ["dns_sd_configs", "file_sd_configs", "http_sd_configs", "static_configs"];

/// The lists without types of their own.
pub(super) fn other_keys() -> impl Iterator<Item = &'static str> {
    KINDS.iter().map(|k| k.key)
}

/// All lists, sorted as upstream writes them.
pub(super) fn all_keys() -> Vec<&'static str> {
    let mut keys: Vec<_> = other_keys().chain(TYPED).collect();
    keys.sort_unstable();
    keys
}

/// One field of the table.
struct Field<'a> {
    key: &'a str,
    kind: &'a str,
    default: &'a str,
    always: bool,
}

fn fields(text: &'static str) -> impl Iterator<Item = Field<'static>> {
    text.split(' ').map(|field| {
        let (field, always) = field.strip_suffix('!').map_or((field, false), |f| (f, true));
        let (head, default) = field.split_once('=').unwrap_or((field, ""));
        let (key, kind) = head.split_once(':').unwrap_or((head, ""));
        Field { key, kind, default, always }
    })
}

impl Kind {
    fn of(key: &str) -> &'static Self {
        KINDS.iter().find(|k| k.key == key).expect("kinds are named by the table's own keys")
    }
}

impl OtherDiscovery {
    /// Reads and checks one entry of the list `key`.
    pub(super) fn decode(key: &'static str, node: &Node, cx: &mut Context<'_>) -> Option<Self> {
        let kind = Kind::of(key);
        let mut map = SectionMap::open(node, kind.name, cx)?;
        let mut http = HttpClientConfig::default();
        let mut known = Vec::new();
        let mut has_http = false;
        for field in fields(kind.fields) {
            if field.key == "@http" {
                http.read(&mut map, cx);
                HttpClientConfig::keys(&mut known);
                has_http = true;
                continue;
            }
            known.push(field.key);
            if let Some(value) = map.take(field.key) {
                check_type(field.kind, value, cx);
            }
        }
        map.finish(&known, cx);
        if has_http {
            http.check(&map, cx);
        }
        if let Some(text) = (kind.check)(&View { kind, map: &map, http: &http }) {
            cx.error(map.place, text);
        }
        Some(Self { kind: key, place: node.place, node: node.clone(), http })
    }
}

fn check_type(kind: &str, node: &Node, cx: &mut Context<'_>) {
    match kind {
        "i" => drop(i64::decode(node, cx)),
        "b" => drop(bool::decode(node, cx)),
        "d" => drop(std::time::Duration::decode(node, cx)),
        "l" => drop(Vec::<String>::decode(node, cx)),
        "m" => drop(std::collections::BTreeMap::<String, String>::decode(node, cx)),
        "t" => drop(TlsConfig::decode(node, cx)),
        "T" => {}
        _ => drop(String::decode(node, cx)),
    }
}

impl Encode for OtherDiscovery {
    fn encode(&self) -> Out {
        let mut out = Vec::new();
        for field in fields(Kind::of(self.kind).fields) {
            if field.key == "@http" {
                self.http.write(&mut out);
                continue;
            }
            let written = self.node.get(field.key).filter(|n| !n.is_null());
            let value = match (field.kind, written) {
                ("s", Some(n)) if n.as_str().is_some_and(|t| !t.is_empty()) => {
                    Out::Str("<secret>".to_owned())
                }
                ("s", Some(_)) => Out::Str(String::new()),
                ("t", Some(n)) => {
                    let mut silent = Context::new(std::path::Path::new(""), "");
                    TlsConfig::decode(n, &mut silent).map_or(Out::Null, |t| t.encode())
                }
                ("" | "d", Some(n)) => Out::Str(n.as_str().unwrap_or("").to_owned()),
                (_, Some(n)) => Out::from_node(n),
                (_, None) => default_value(&field),
            };
            let empty = match &value {
                Out::Null => true,
                Out::Str(s) => s.is_empty(),
                Out::Bool(b) => !b,
                Out::Int(i) => *i == 0,
                Out::Seq(s) => s.is_empty(),
                Out::Map(m) => m.is_empty(),
                Out::Float(f) => *f == 0.0,
            };
            if field.always || !empty {
                out.push((field.key.to_owned(), value));
            }
        }
        Out::Map(out)
    }
}

fn default_value(field: &Field<'_>) -> Out {
    match field.kind {
        "i" => Out::Int(field.default.parse().unwrap_or(0)),
        "b" => Out::Bool(field.default == "true"),
        "l" | "T" => Out::Seq(Vec::new()),
        "m" => Out::Map(Vec::new()),
        "t" => Out::Null,
        "d" => match model::duration::parse(field.default) {
            Ok(d) => Out::Str(model::duration::format(d)),
            Err(_) => Out::Null,
        },
        _ => Out::Str(field.default.to_owned()),
    }
}

/// An entry as its check sees it.
struct View<'a> {
    kind: &'static Kind,
    map: &'a SectionMap<'a>,
    http: &'a HttpClientConfig,
}

impl View<'_> {
    fn node(&self, key: &str) -> Option<&Node> {
        self.map.peek(key).filter(|n| !n.is_null())
    }

    /// The text of `key`, or its default.
    fn text(&self, key: &str) -> String {
        let default = || fields(self.kind.fields).find(|f| f.key == key).map_or("", |f| f.default);
        self.node(key).map_or_else(default, |n| n.as_str().unwrap_or("")).trim().to_owned()
    }

    fn required(&self, key: &str, message: &str) -> Option<String> {
        self.text(key).is_empty().then(|| message.to_owned())
    }

    /// `{q}` and `{v}` in the message stand for the value, quoted and plain. An empty value passes, see [`View::required`].
    fn one_of(&self, key: &str, allowed: &[&str], message: &str) -> Option<String> {
        let text = self.text(key);
        let good = allowed.contains(&text.as_str()) || (text.is_empty() && self.node(key).is_none());
        (!good).then(|| message.replace("{q}", &format!("{text:?}")).replace("{v}", &text))
    }

    fn exactly_one(&self, a: &str, b: &str) -> Option<String> {
        match (self.text(a).is_empty(), self.text(b).is_empty()) {
            (true, true) => Some(format!("one of {a} & {b} must be configured")),
            (false, false) => Some(format!("at most one of {a} & {b} must be configured")),
            _ => None,
        }
    }
}

fn has_host(text: &str) -> bool {
    url::Url::parse(text).is_ok_and(|u| u.host_str().is_some_and(|h| !h.is_empty()) && text.contains("://"))
}

fn azure(v: &View<'_>) -> Option<String> {
    let need = |key: &str| v.required(key, &format!("azure SD configuration requires a {key}"));
    let method = v.text("authentication_method");
    need("subscription_id")
        .or_else(|| {
            (method == "OAuth").then(|| need("tenant_id").or_else(|| need("client_id")).or_else(|| need("client_secret")))?
        })
        .or_else(|| {
            v.one_of("authentication_method", &["OAuth", "ManagedIdentity", "SDK", "WorkloadIdentity"], r#"unknown authentication_type {q}. Supported types are "OAuth", "ManagedIdentity", "SDK" or "WorkloadIdentity""#)
        })
}

fn consul(v: &View<'_>) -> Option<String> {
    let user = v.node("username").is_some() || v.node("password").is_some();
    if let Some(text) = v.required("server", "consul SD configuration requires a server address") {
        return Some(text);
    }
    if user && v.http.basic_auth.is_some() {
        return Some(
            "at most one of consul SD configuration username and password and basic auth can be configured"
                .to_owned(),
        );
    }
    let token = v.node("token").is_some() && (v.http.authorization.is_some() || v.http.oauth2.is_some());
    token.then(|| "at most one of consul SD token, authorization, or oauth2 can be configured".to_owned())
}

fn oci(v: &View<'_>) -> Option<String> {
    v.one_of(
        "auth",
        &["api_key", "instance_principal"],
        r#"oci_sd: unknown auth method {q}, expected "api_key" or "instance_principal""#,
    )
}

fn marathon(v: &View<'_>) -> Option<String> {
    let servers = v.node("servers").and_then(Node::as_seq).is_some_and(|s| !s.is_empty());
    if !servers {
        return Some("marathon_sd: must contain at least one Marathon server".to_owned());
    }
    let (token, file) = (!v.text("auth_token").is_empty(), !v.text("auth_token_file").is_empty());
    if token && file {
        return Some(
            "marathon_sd: at most one of auth_token & auth_token_file must be configured".to_owned(),
        );
    }
    if !token && !file {
        return None;
    }
    if v.http.basic_auth.is_some() {
        return Some(
            "marathon_sd: at most one of basic_auth, auth_token & auth_token_file must be configured"
                .to_owned(),
        );
    }
    if v.node("bearer_token").is_some() || v.node("bearer_token_file").is_some() {
        return Some("marathon_sd: at most one of bearer_token, bearer_token_file, auth_token & auth_token_file must be configured".to_owned());
    }
    let authorization = v.http.authorization.is_some();
    authorization.then(|| {
        "marathon_sd: at most one of auth_token, auth_token_file & authorization must be configured"
            .to_owned()
    })
}

fn zookeeper(v: &View<'_>, name: &str) -> Option<String> {
    let list = |key: &str| v.node(key).and_then(Node::as_seq).unwrap_or(&[]);
    if list("servers").is_empty() {
        return Some(format!("{name} SD config must contain at least one Zookeeper server"));
    }
    if list("paths").is_empty() {
        return Some(format!("{name} SD config must contain at least one path"));
    }
    let relative = list("paths").iter().filter_map(Node::as_str).find(|p| !p.starts_with('/'));
    relative.map(|path| format!("{name} SD config paths must begin with '/': {path}"))
}

/// Roles of selectors each Kubernetes role takes.
const SELECTORS: [(&str, &[&str]); 6] = [
    ("pod", &["pod", "node"]),
    ("service", &["service"]),
    ("endpointslice", &["pod", "service", "endpointslice"]),
    ("endpoints", &["pod", "service", "endpoints"]),
    ("node", &["node"]),
    ("ingress", &["ingress"]),
];

fn kubernetes(v: &View<'_>) -> Option<String> {
    let role = v.text("role");
    if let Some(text) = v
        .one_of(
            "role",
            &["node", "pod", "service", "endpoints", "endpointslice", "ingress"],
            "unknown Kubernetes SD role {q}",
        )
        .or_else(|| {
            v.required("role", "role missing (one of: pod, service, endpoints, endpointslice, node, ingress)")
        })
    {
        return Some(text);
    }
    for (key, allowed) in [
        ("namespaces", &["own_namespace", "names"][..]),
        ("attach_metadata", &["node", "namespace", "deployment", "job", "cronjob"][..]),
    ] {
        for (name, _) in v.node(key).and_then(Node::as_map).unwrap_or(&[]) {
            let name = name.as_str().unwrap_or("");
            if !allowed.contains(&name) {
                return Some(format!("field {name} not found in type kubernetes.{key}"));
            }
        }
    }
    let custom_http = *v.http != HttpClientConfig::default();
    let (api, file) = (v.node("api_server").is_some(), !v.text("kubeconfig_file").is_empty());
    let own = v.node("namespaces").and_then(|n| n.get("own_namespace")).and_then(Node::as_bool) == Some(true);
    let problem = if api && file {
        Some("cannot use 'kubeconfig_file' and 'api_server' simultaneously")
    } else if file && custom_http {
        Some("cannot use a custom HTTP client configuration together with 'kubeconfig_file'")
    } else if !api && custom_http {
        Some("to use custom HTTP client configuration please provide the 'api_server' URL explicitly")
    } else if api && own {
        Some("cannot use 'api_server' and 'namespaces.own_namespace' simultaneously")
    } else if file && own {
        Some("cannot use 'kubeconfig_file' and 'namespaces.own_namespace' simultaneously")
    } else {
        None
    };
    if let Some(problem) = problem {
        return Some(problem.to_owned());
    }
    let allowed = SELECTORS.iter().find(|(r, _)| *r == role).map_or(&[][..], |(_, a)| a);
    let mut seen: Vec<&str> = Vec::new();
    for selector in v.node("selectors").and_then(Node::as_seq).unwrap_or(&[]) {
        let selected = selector.get("role").and_then(Node::as_str).unwrap_or("");
        if seen.contains(&selected) {
            return Some(format!("duplicated selector role: {selected}"));
        }
        seen.push(selected);
        if !allowed.contains(&selected) {
            return Some(format!("{role} role supports only {} selectors", allowed.join(", ")));
        }
        if let Some(label) = selector.get("label").and_then(Node::as_str) {
            let bad = label.split(',').any(|part| {
                part.trim().is_empty() || part.trim().starts_with(['=', '!']) && part.contains('=')
            });
            if bad {
                return Some(format!("unable to parse label selector {label:?}"));
            }
        }
        if let Some(field) = selector.get("field").and_then(Node::as_str)
            && field.split(',').any(|part| !part.contains('=') && !part.trim().is_empty())
        {
            return Some(format!("invalid selector: '{field}'; can't understand '{field}'"));
        }
    }
    None
}
