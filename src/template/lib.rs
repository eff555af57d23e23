//! How is it said? Go text/template with Prometheus' functions.
