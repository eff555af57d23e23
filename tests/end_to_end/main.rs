//! Stories about the whole binary, told from outside: start it on a free port with a temporary
//! folder, use its files and its HTTP API, kill it.

mod alertmanager_differential;
mod alerts;
mod amtool;
mod appliance;
mod backup;
mod bad_input;
mod cli;
mod configuration;
mod crash;
mod evidence;
mod full_disk;
mod log_counts;
mod logs;
mod loki;
mod metrics;
mod prometheus_sender;
mod pushed;
mod receive;
mod remote_write;
mod rules;
mod stopping;
mod torture;
