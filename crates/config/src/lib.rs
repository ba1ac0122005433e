//! prometheus.yml, rule files: types, defaults, diagnostics with positions
