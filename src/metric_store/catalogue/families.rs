//! What metric families mean: kind, help, unit.

use std::collections::BTreeMap;

use model::{MetricKind, MetricMetadata, StoreError};
use rusqlite::params;

use super::Catalogue;

impl Catalogue {
    /// What metric families mean.
    pub(crate) fn families(&self) -> Result<BTreeMap<String, MetricMetadata>, StoreError> {
        let connection = self.connection.lock();
        let read = || {
            let mut statement =
                connection.prepare("SELECT name, kind, help, unit FROM families")?;
            let rows = statement.query_map([], |row| {
                let (kind, help, unit): (String, String, String) =
                    (row.get(1)?, row.get(2)?, row.get(3)?);
                let metadata = MetricMetadata {
                    kind: kind_of(&kind),
                    help: help.into(),
                    unit: unit.into(),
                };
                Ok((row.get(0)?, metadata))
            })?;
            rows.collect::<Result<_, _>>()
        };
        read().map_err(self.failed("read the metric families in"))
    }

    /// Remembers what metric families mean.
    pub(crate) fn put_families(
        &self,
        families: &[(String, MetricMetadata)],
    ) -> Result<(), StoreError> {
        let mut connection = self.connection.lock();
        let mut write = || {
            let transaction = connection.transaction()?;
            for (name, metadata) in families {
                transaction.execute(
                    "INSERT OR REPLACE INTO families VALUES (?, ?, ?, ?)",
                    params![
                        name,
                        metadata.kind.as_str(),
                        &*metadata.help,
                        &*metadata.unit
                    ],
                )?;
            }
            transaction.commit()
        };
        write().map_err(self.failed("write the metric families in"))
    }
}

fn kind_of(word: &str) -> MetricKind {
    [
        MetricKind::Counter,
        MetricKind::Gauge,
        MetricKind::Histogram,
        MetricKind::GaugeHistogram,
        MetricKind::Summary,
        MetricKind::Info,
        MetricKind::StateSet,
    ]
    .into_iter()
    .find(|kind| kind.as_str() == word)
    .unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn families_come_back() {
        let dir = tempfile::tempdir().expect("a folder");
        let catalogue = Catalogue::open(dir.path()).expect("opens");
        let metadata = MetricMetadata {
            kind: MetricKind::GaugeHistogram,
            help: "What?".into(),
            unit: "bytes".into(),
        };
        catalogue
            .put_families(&[("f".to_owned(), metadata.clone())])
            .expect("writes");
        let families = catalogue.families().expect("reads");
        assert_eq!(families.get("f"), Some(&metadata));
    }
}
