//! Go text/template and html/template with the functions of Prometheus and Alertmanager
