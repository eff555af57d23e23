//! Keys that Prometheus knows and we do not carry out yet. Ignoring one would make a
//! configuration mean something else than it says; so each is refused by name, with a reason.

// The types are named like the keys, so that a table of keys is a table of types.
#![allow(non_camel_case_types)]

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

macro_rules! refused {
    ($($key:ident: $why:literal,)*) => {
        $(
            #[doc = concat!("`", stringify!($key), "`: ", $why)]
            #[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
            pub struct $key;

            impl<'de> Deserialize<'de> for $key {
                fn deserialize<D: Deserializer<'de>>(_: D) -> Result<Self, D::Error> {
                    Err(de::Error::custom(concat!(stringify!($key), " is not supported yet: ", $why)))
                }
            }

            impl Serialize for $key {
                fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                    serializer.serialize_none()
                }
            }
        )*

        /// Every key that is refused, with the reason.
        pub const REFUSED: &[(&str, &str)] = &[$((stringify!($key), $why),)*];
    };
}

refused! {
    azure_sd_configs: "list the targets in static_configs",
    aws_sd_configs: "list the targets in static_configs",
    consul_sd_configs: "list the targets in static_configs",
    digitalocean_sd_configs: "list the targets in static_configs",
    dns_sd_configs: "list the targets in static_configs",
    docker_sd_configs: "list the targets in static_configs",
    dockerswarm_sd_configs: "list the targets in static_configs",
    ec2_sd_configs: "list the targets in static_configs",
    eureka_sd_configs: "list the targets in static_configs",
    file_sd_configs: "list the targets in static_configs",
    gce_sd_configs: "list the targets in static_configs",
    hetzner_sd_configs: "list the targets in static_configs",
    http_sd_configs: "list the targets in static_configs",
    ionos_sd_configs: "list the targets in static_configs",
    kubernetes_sd_configs: "discovery in Kubernetes comes with its own part; until then list the targets in static_configs",
    kuma_sd_configs: "list the targets in static_configs",
    lightsail_sd_configs: "list the targets in static_configs",
    linode_sd_configs: "list the targets in static_configs",
    marathon_sd_configs: "list the targets in static_configs",
    nerve_sd_configs: "list the targets in static_configs",
    nomad_sd_configs: "list the targets in static_configs",
    oci_sd_configs: "list the targets in static_configs",
    openstack_sd_configs: "list the targets in static_configs",
    outscale_sd_configs: "list the targets in static_configs",
    ovhcloud_sd_configs: "list the targets in static_configs",
    puppetdb_sd_configs: "list the targets in static_configs",
    scaleway_sd_configs: "list the targets in static_configs",
    serverset_sd_configs: "list the targets in static_configs",
    stackit_sd_configs: "list the targets in static_configs",
    triton_sd_configs: "list the targets in static_configs",
    uyuni_sd_configs: "list the targets in static_configs",
    vultr_sd_configs: "list the targets in static_configs",
    oauth2: "use authorization with a token from a file that something else renews",
    proxy_url: "targets are asked directly",
    no_proxy: "targets are asked directly",
    proxy_from_environment: "targets are asked directly",
    proxy_connect_header: "targets are asked directly",
    http_headers: "only basic_auth and authorization add headers",
    server_name: "the certificate must carry the name in the target's address",
    scrape_failure_log_file: "failures are shown with each target and counted",
    query_log_file: "queries are not logged to a file",
    scrape_native_histograms: "native histograms are not stored yet",
    convert_classic_histograms_to_nhcb: "native histograms are not stored yet",
    always_scrape_classic_histograms: "classic histograms are always scraped; remove the key",
    native_histogram_bucket_limit: "native histograms are not stored yet",
    native_histogram_min_bucket_factor: "native histograms are not stored yet",
    extra_scrape_metrics: "the five usual scrape metrics are written",
    metric_name_validation_scheme: "names are UTF-8; remove the key",
    metric_name_escaping_scheme: "names are UTF-8; remove the key",
    keep_dropped_targets: "dropped targets are not kept; remove the key",
    target_limit: "every target that is listed is scraped; remove the key",
}

/// Writes a struct whose fields go on with refused keys.
macro_rules! with_refused_keys {
    (
        $(#[$meta:meta])*
        pub struct $name:ident {
            $($(#[$field_meta:meta])* pub $field:ident: $type:ty,)*
        }
        refused { $($key:ident,)* }
    ) => {
        $(#[$meta])*
        pub struct $name {
            $($(#[$field_meta])* pub $field: $type,)*
            $(#[doc(hidden)] #[serde(default, skip_serializing)] pub $key: crate::config::refused::$key,)*
        }
    };
}
pub(crate) use with_refused_keys;
