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
                    Err(de::Error::custom(concat!(stringify!($key), " is not supported: ", $why)))
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
    aws_sd_configs: "let it write a file for file_sd_configs, or answer http_sd_configs",
    azure_sd_configs: "let it write a file for file_sd_configs, or answer http_sd_configs",
    consul_sd_configs: "let it write a file for file_sd_configs, or answer http_sd_configs",
    digitalocean_sd_configs: "let it write a file for file_sd_configs, or answer http_sd_configs",
    docker_sd_configs: "let it write a file for file_sd_configs, or answer http_sd_configs",
    dockerswarm_sd_configs: "let it write a file for file_sd_configs, or answer http_sd_configs",
    ec2_sd_configs: "let it write a file for file_sd_configs, or answer http_sd_configs",
    eureka_sd_configs: "let it write a file for file_sd_configs, or answer http_sd_configs",
    gce_sd_configs: "let it write a file for file_sd_configs, or answer http_sd_configs",
    hetzner_sd_configs: "let it write a file for file_sd_configs, or answer http_sd_configs",
    ionos_sd_configs: "let it write a file for file_sd_configs, or answer http_sd_configs",
    kuma_sd_configs: "let it write a file for file_sd_configs, or answer http_sd_configs",
    lightsail_sd_configs: "let it write a file for file_sd_configs, or answer http_sd_configs",
    linode_sd_configs: "let it write a file for file_sd_configs, or answer http_sd_configs",
    marathon_sd_configs: "let it write a file for file_sd_configs, or answer http_sd_configs",
    nerve_sd_configs: "let it write a file for file_sd_configs, or answer http_sd_configs",
    nomad_sd_configs: "let it write a file for file_sd_configs, or answer http_sd_configs",
    oci_sd_configs: "let it write a file for file_sd_configs, or answer http_sd_configs",
    openstack_sd_configs: "let it write a file for file_sd_configs, or answer http_sd_configs",
    outscale_sd_configs: "let it write a file for file_sd_configs, or answer http_sd_configs",
    ovhcloud_sd_configs: "let it write a file for file_sd_configs, or answer http_sd_configs",
    puppetdb_sd_configs: "let it write a file for file_sd_configs, or answer http_sd_configs",
    scaleway_sd_configs: "let it write a file for file_sd_configs, or answer http_sd_configs",
    serverset_sd_configs: "let it write a file for file_sd_configs, or answer http_sd_configs",
    stackit_sd_configs: "let it write a file for file_sd_configs, or answer http_sd_configs",
    triton_sd_configs: "let it write a file for file_sd_configs, or answer http_sd_configs",
    uyuni_sd_configs: "let it write a file for file_sd_configs, or answer http_sd_configs",
    vultr_sd_configs: "let it write a file for file_sd_configs, or answer http_sd_configs",
    kubernetes_sd_configs: "discovery in Kubernetes comes with its own part; until then use file_sd_configs or http_sd_configs",
}

/// Writes a struct whose fields go on with refused keys and with those of an HTTP client.
macro_rules! with_refused_keys {
    (
        $(#[$meta:meta])*
        pub struct $name:ident {
            $($(#[$field_meta:meta])* pub $field:ident: $type:ty,)*
        }
        refused { $($key:ident,)* }
    ) => {
        http_client::with_http_client_keys! {
            $(#[$meta])*
            pub struct $name {
                $($(#[$field_meta])* pub $field: $type,)*
                $(#[doc(hidden)] #[serde(default, skip_serializing)] pub $key: crate::config::refused::$key,)*
            }
        }
    };
}
pub(crate) use with_refused_keys;
