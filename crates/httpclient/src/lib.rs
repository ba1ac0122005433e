//! HTTP clients built from an http_config block: TLS, authorisation, proxies, redirects
