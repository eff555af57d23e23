//! `/api/v2/status` and `/api/v2/receivers`.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use serde_json::{Value, json};

use super::{Name, rfc3339};
use crate::Services;

/// `GET /api/v2/status`: the configuration without its secrets, and whose API this is.
pub(super) async fn status(State(services): State<Arc<Services>>) -> Json<Value> {
    let status = (services.status)();
    Json(json!({
        "cluster": { "name": "", "peers": [], "status": "disabled" },
        "config": { "original": services.notifier.config().original },
        "uptime": rfc3339(status.started_ms),
        "versionInfo": {
            "branch": "yagura",
            "buildDate": "",
            "buildUser": "",
            "goVersion": "",
            "revision": status.version,
            "version": alert_notify::ALERTMANAGER_VERSION,
        },
    }))
}

/// `GET /api/v2/receivers`
pub(super) async fn receivers(State(services): State<Arc<Services>>) -> Json<Vec<Name>> {
    let config = services.notifier.config();
    let name = |name: &Arc<str>| Name {
        name: name.to_string(),
    };
    Json(config.receivers.keys().map(name).collect())
}
