//! What did others send us? Loki push, OTLP, _bulk, syslog and JSON lines become log records.
