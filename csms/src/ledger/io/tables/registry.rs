//! The stations that an operator has registered.

use std::collections::BTreeMap;

use certificates::{StationIdentity, UnixSeconds};
use signer_pkcs11::AuditEvent;
use sqlx::{Row as _, any::AnyRow};

use crate::{
    ledger::{
        Ledger, LedgerError,
        io::database::{
            change::Change,
            failure::{Within as _, failed},
            rows::{meant, storable},
            statement::Statement,
        },
    },
    stations::registry::{Learnt, RegisteredStation, Station, StationFields, StationFilter},
};

impl Ledger {
    /// A station of the ledger, in any spelling of its identity.
    ///
    /// # Errors
    /// [`LedgerError`]
    ///
    /// # Cancel safety
    /// Dropping the future changes nothing.
    pub async fn registered_station(
        &self,
        identity: &StationIdentity,
    ) -> Result<Option<RegisteredStation>, LedgerError> {
        let mut query = Statement::new(&format!("SELECT {COLUMNS} FROM station WHERE station_key = "));
        query.bind(identity.key());
        let row = query.query().fetch_optional(&self.pool).within(READ).await?;
        row.as_ref().map(registered).transpose()
    }

    /// A page of stations in the order of their identities in lower case, after `after`. The
    /// label of the filter is not looked at.
    ///
    /// # Errors
    /// [`LedgerError`]
    ///
    /// # Cancel safety
    /// Dropping the future changes nothing.
    pub(crate) async fn registered_stations(
        &self,
        filter: &StationFilter,
        after: &str,
        limit: u32,
    ) -> Result<Vec<RegisteredStation>, LedgerError> {
        let mut query = Statement::new(&format!("SELECT {COLUMNS} FROM station WHERE station_key > "));
        query.bind(after.to_owned());
        if let Some(group) = &filter.group {
            query.push(" AND station_group = ").bind(group.clone());
        }
        if let Some(since) = filter.not_seen_since {
            query.push(" AND coalesce(last_seen, 0) < ").bind(since.as_i64());
        }
        query.push(" ORDER BY station_key LIMIT ").bind(i64::from(limit));
        let rows = query.query().fetch_all(&self.pool).within(READ).await?;
        rows.iter().map(registered).collect()
    }

    /// The registered stations that have one of these identities or serial numbers.
    ///
    /// # Errors
    /// [`LedgerError`]
    ///
    /// # Cancel safety
    /// Dropping the future changes nothing.
    pub(crate) async fn taken(&self, stations: &[Station]) -> Result<Vec<Station>, LedgerError> {
        let mut found = Vec::new();
        for stations in stations.chunks(MAX_ROWS_PER_STATEMENT) {
            let rows = which_are_taken(stations).query().fetch_all(&self.pool).within(READ).await?;
            for row in &rows {
                found.push(registered(row)?.station);
            }
        }
        Ok(found)
    }

    /// Adds stations and one entry of the record: all of them, or none if the identity or the
    /// serial number of one is taken. Returns the stations that have them.
    ///
    /// # Errors
    /// [`LedgerError`]
    ///
    /// # Cancel safety
    /// The stations may be added all the same.
    pub(crate) async fn add_stations(
        &self,
        stations: Vec<Station>,
        event: AuditEvent,
    ) -> Result<Vec<Station>, LedgerError> {
        self.change("add stations", (stations, event), |(stations, event), change| {
            Box::pin(async move {
                let mut taken = Vec::new();
                for stations in stations.chunks(MAX_ROWS_PER_STATEMENT) {
                    taken.extend(find_taken(change, stations).await?);
                }
                if taken.is_empty() {
                    for stations in stations.chunks(MAX_ROWS_PER_STATEMENT) {
                        insert(change, stations).await?;
                    }
                    change.append(event)?;
                }
                Ok(taken)
            })
        })
        .await
    }

    /// Replaces what an operator has set for a station. Returns other stations that have its serial
    /// number, in which case nothing is changed.
    ///
    /// # Errors
    /// [`LedgerError`], also if there is no such station.
    ///
    /// # Cancel safety
    /// The station may be changed all the same.
    pub(crate) async fn set_station(
        &self,
        station: Station,
        event: AuditEvent,
    ) -> Result<Vec<Station>, LedgerError> {
        let action = "change a station";
        self.change(action, (station, event), |(station, event), change| {
            Box::pin(async move {
                let action = "change a station";
                let mut taken = find_taken(change, std::slice::from_ref(station)).await?;
                taken.retain(|other| other.identity != station.identity);
                if !taken.is_empty() {
                    return Ok(taken);
                }
                let done = sqlx::query(
                    "UPDATE station SET serial_number = $1, station_group = $2, labels = $3, password_hash = $4,
                     lowest_profile = $5, enrolment = $6 WHERE station_key = $7",
                )
                .bind(station.serial_number.as_str())
                .bind(station.group.clone())
                .bind(labels(station))
                .bind(station.password_hash.as_ref().map(|hash| hash.as_str().to_owned()))
                .bind(i64::from(station.lowest_security_profile))
                .bind(station.enrolment.as_str())
                .bind(station.identity.key())
                .execute(change.connection().await?)
                .within(action)
                .await?;
                if done.rows_affected() == 0 {
                    return Err(failed(action)(sqlx::Error::RowNotFound));
                }
                change.append(event)?;
                Ok(taken)
            })
        })
        .await
    }

    /// Removes a station. Returns whether there was one.
    ///
    /// # Errors
    /// [`LedgerError`]
    ///
    /// # Cancel safety
    /// The station may be removed all the same.
    pub(crate) async fn remove_station(
        &self,
        identity: &StationIdentity,
        event: AuditEvent,
    ) -> Result<bool, LedgerError> {
        self.change("remove a station", (identity.clone(), event), |(identity, event), change| {
            Box::pin(async move {
                let done = sqlx::query("DELETE FROM station WHERE station_key = $1")
                    .bind(identity.key())
                    .execute(change.connection().await?)
                    .within("remove a station")
                    .await?;
                if done.rows_affected() > 0 {
                    change.append(event)?;
                }
                Ok(done.rows_affected() > 0)
            })
        })
        .await
    }
}

/// Notes what a station has reported in its BootNotification. A station that is not in the ledger
/// has no row.
pub(crate) async fn note_boot(
    change: &mut Change,
    identity: &StationIdentity,
    now: UnixSeconds,
    learnt: &Learnt,
) -> Result<(), LedgerError> {
    let text = |text: &Option<String>| text.as_deref().map(storable);
    sqlx::query(
        "UPDATE station SET first_seen = coalesce(first_seen, $1), last_seen = $1, ocpp_version = $2,
         security_profile = $3, vendor = $4, model = $5, firmware = $6 WHERE station_key = $7",
    )
    .bind(now.as_i64())
    .bind(text(&learnt.ocpp_version))
    .bind(learnt.security_profile.map(i64::from))
    .bind(text(&learnt.vendor))
    .bind(text(&learnt.model))
    .bind(text(&learnt.firmware))
    .bind(identity.key())
    .execute(change.connection().await?)
    .within("record a BootNotification")
    .await
    .map(drop)
}

async fn find_taken(change: &mut Change, stations: &[Station]) -> Result<Vec<Station>, LedgerError> {
    let query = which_are_taken(stations);
    let rows = query.query().fetch_all(change.connection().await?).within(READ).await?;
    rows.iter().map(|row| registered(row).map(|found| found.station)).collect()
}

fn which_are_taken(stations: &[Station]) -> Statement {
    let mut query = Statement::new(&format!("SELECT {COLUMNS} FROM station WHERE station_key IN (VALUES "));
    query.rows(stations, |row, station| {
        row.bind(station.identity.key());
    });
    // Two statements, because PostgreSQL uses no index for the OR of two lists.
    query.push(&format!(") UNION SELECT {COLUMNS} FROM station WHERE serial_number IN (VALUES "));
    query.rows(stations, |row, station| {
        row.bind(station.serial_number.clone());
    });
    query.push(")");
    query
}

async fn insert(change: &mut Change, stations: &[Station]) -> Result<(), LedgerError> {
    let mut insert = Statement::new(
        "INSERT INTO station (station, serial_number, station_group, labels, password_hash, lowest_profile,
         enrolment) VALUES ",
    );
    insert.rows(stations, |row, station| {
        row.bind(station.identity.to_string())
            .bind(station.serial_number.clone())
            .bind(station.group.clone())
            .bind(labels(station))
            .bind(station.password_hash.as_ref().map(|hash| hash.as_str().to_owned()))
            .bind(i64::from(station.lowest_security_profile))
            .bind(station.enrolment.as_str());
    });
    insert.query().execute(change.connection().await?).within("add stations").await.map(drop)
}

/// A map of texts is always JSON.
fn labels(station: &Station) -> String {
    serde_json::json!(station.labels).to_string()
}

fn registered(row: &AnyRow) -> Result<RegisteredStation, LedgerError> {
    let read = || -> Result<RegisteredStation, sqlx::Error> {
        let labels = |text: &str| serde_json::from_str::<BTreeMap<String, String>>(text);
        let fields = StationFields {
            identity: row.try_get("station")?,
            serial_number: row.try_get("serial_number")?,
            group: row.try_get("station_group")?,
            labels: meant(row, "labels", labels)?,
            password_hash: row.try_get("password_hash")?,
            lowest_security_profile: u8::try_from(row.try_get::<i64, _>("lowest_profile")?).ok(),
            enrolment: row.try_get("enrolment")?,
        };
        let seconds = |column: &str| -> Result<Option<UnixSeconds>, sqlx::Error> {
            Ok(row.try_get::<Option<i64>, _>(column)?.map(UnixSeconds::new))
        };
        let profile: Option<i64> = row.try_get("security_profile")?;
        let learnt = Learnt {
            first_seen: seconds("first_seen")?,
            last_seen: seconds("last_seen")?,
            ocpp_version: row.try_get("ocpp_version")?,
            security_profile: profile.and_then(|profile| u8::try_from(profile).ok()),
            vendor: row.try_get("vendor")?,
            model: row.try_get("model")?,
            firmware: row.try_get("firmware")?,
        };
        let station = fields.check().map_err(|mut errors| {
            let index = errors.first().map_or("station", |error| error.field).to_owned();
            let source: Box<dyn std::error::Error + Send + Sync> = match errors.pop() {
                Some(error) => Box::new(error),
                None => "a station that breaks no rule".into(),
            };
            sqlx::Error::ColumnDecode { index, source }
        })?;
        Ok(RegisteredStation { station, learnt })
    };
    read().map_err(failed(READ))
}

const READ: &str = "read a station";

const COLUMNS: &str =
    "station, serial_number, station_group, labels, password_hash, lowest_profile, enrolment,
    first_seen, last_seen, ocpp_version, security_profile, vendor, model, firmware";

/// Seven values each; SQLite takes 32,766 values in a statement.
const MAX_ROWS_PER_STATEMENT: usize = 500;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ledger::io::test_database::{TestDatabase, on_both};

    fn station(identity: &str, serial_number: &str) -> Station {
        let fields = StationFields {
            identity: identity.to_owned(),
            serial_number: serial_number.to_owned(),
            group: Some("north".to_owned()),
            labels: [("site".to_owned(), "A \"1\"".to_owned())].into(),
            ..StationFields::default()
        };
        fields.check().expect("no rule is broken")
    }

    fn event(identity: &str) -> AuditEvent {
        let station = identity.parse().expect("an identity");
        AuditEvent::StationEdited { station, by: "test".to_owned(), change: "added".to_owned() }
    }

    async fn a_station_is_found_in_any_spelling_until_it_is_removed(database: &TestDatabase) {
        let ledger = database.open().await;
        let added = station("CS001", "SN-1");
        assert_eq!(ledger.add_stations(vec![added.clone()], event("CS001")).await.expect("adds"), []);
        let identity = "cs001".parse().expect("an identity");
        let found = ledger.registered_station(&identity).await.expect("reads").expect("is there");
        assert_eq!((found.station, found.learnt), (added.clone(), Learnt::default()));
        let changed = Station { group: None, enrolment: crate::EnrolmentRule::Closed, ..added };
        ledger.set_station(changed.clone(), event("CS001")).await.expect("changes");
        let found = ledger.registered_station(&identity).await.expect("reads").expect("is there");
        assert_eq!(found.station, changed);
        ledger.set_station(station("CS009", "SN-9"), event("CS009")).await.expect_err("there is none");
        assert!(ledger.remove_station(&identity, event("CS001")).await.expect("removes"));
        assert!(!ledger.remove_station(&identity, event("CS001")).await.expect("removes"));
        assert_eq!(ledger.registered_station(&identity).await.expect("reads"), None);
        assert!(ledger.verify(None).await.expect("is whole").findings.is_empty());
    }

    async fn a_taken_identity_or_serial_number_adds_nothing(database: &TestDatabase) {
        let ledger = database.open().await;
        let first = station("CS001", "SN-1");
        ledger.add_stations(vec![first.clone()], event("CS001")).await.expect("adds");
        for taken in [station("cs001", "SN-2"), station("CS002", "SN-1")] {
            let others = vec![station("CS003", "SN-3"), taken];
            let found = ledger.add_stations(others, event("CS003")).await.expect("answers");
            assert_eq!(found, std::slice::from_ref(&first));
        }
        ledger.add_stations(vec![station("CS002", "SN-2")], event("CS002")).await.expect("adds");
        let found = ledger.set_station(station("CS002", "SN-1"), event("CS002")).await.expect("answers");
        assert_eq!(found, [first]);
        let all = ledger.registered_stations(&StationFilter::default(), "", 9).await.expect("reads");
        assert_eq!(all.len(), 2);
    }

    async fn stations_are_listed_page_by_page(database: &TestDatabase) {
        let ledger = database.open().await;
        let stations = (0..1_234).map(|number| station(&format!("CS{number:04}"), &format!("SN-{number}")));
        ledger.add_stations(stations.collect(), event("CS0000")).await.expect("adds");
        let seen = "cs0007".parse().expect("an identity");
        ledger.raise_security_profile(&seen, 2).await.expect("raises");
        let learnt = Learnt { vendor: Some("V\0".to_owned()), ..Learnt::default() };
        for at in [100, 200] {
            ledger.register_boot(&seen, UnixSeconds::new(at), learnt.clone()).await.expect("records");
        }
        let found = ledger.registered_station(&seen).await.expect("reads").expect("is there").learnt;
        assert_eq!(
            (found.first_seen, found.last_seen),
            (Some(UnixSeconds::new(100)), Some(UnixSeconds::new(200)))
        );
        assert_eq!(found.vendor.as_deref(), Some("V\u{fffd}"));
        let (mut after, mut count) = (String::new(), 0);
        let filter = StationFilter {
            group: Some("north".to_owned()),
            not_seen_since: Some(UnixSeconds::new(201)),
            ..StationFilter::default()
        };
        loop {
            let page = ledger.registered_stations(&filter, &after, 500).await.expect("reads");
            let Some(last) = page.last() else { break };
            (after, count) = (last.station.identity.key(), count + page.len());
        }
        assert_eq!(count, 1_234);
        let filter = StationFilter { not_seen_since: Some(UnixSeconds::new(200)), ..filter };
        let page = ledger.registered_stations(&filter, "cs0005", 3).await.expect("reads");
        let found = page.iter().map(|found| found.station.identity.as_str()).collect::<Vec<_>>();
        assert_eq!(found, ["CS0006", "CS0008", "CS0009"], "one was seen at 200");
    }

    on_both!(
        a_station_is_found_in_any_spelling_until_it_is_removed,
        a_taken_identity_or_serial_number_adds_nothing,
        stations_are_listed_page_by_page,
    );
}
