//! Sends alerts to Alertmanagers, in this process or over HTTP
