//! The store's operations in SQLite.

use std::path::Path;
use std::time::Duration;

use rusqlite::{Connection, OptionalExtension as _, Result, Row, named_params, params};

use super::{ById, Count, Prepare, Upsert};
use crate::listing::{Listing, Search};

pub(super) fn open(path: &Path) -> Result<Connection> {
    let connection = Connection::open(path)?;
    connection.busy_timeout(Duration::from_secs(5))?;
    connection.pragma_update(None, "journal_mode", "WAL")?;
    connection.pragma_update(None, "synchronous", "NORMAL")?;
    Ok(connection)
}

fn listing(row: &Row<'_>) -> Result<Listing> {
    Ok(Listing {
        id: row.get("id")?,
        source: row.get("source")?,
        title: row.get("title")?,
        city: row.get("city")?,
        price: row.get("price")?,
        surface: row.get("surface")?,
        rooms: row.get("rooms")?,
    })
}

pub(super) fn prepare(_: Prepare, connection: &Connection) -> Result<()> {
    connection.execute_batch(
        "CREATE TABLE IF NOT EXISTS listings (
            id TEXT PRIMARY KEY, source TEXT NOT NULL, title TEXT NOT NULL, city TEXT NOT NULL,
            price INTEGER NOT NULL, surface INTEGER NOT NULL, rooms INTEGER NOT NULL);
        CREATE INDEX IF NOT EXISTS listings_city_price ON listings (city COLLATE NOCASE, price);
        CREATE INDEX IF NOT EXISTS listings_price ON listings (price);",
    )
}

pub(super) fn upsert(Upsert(listings): Upsert, connection: &mut Connection) -> Result<()> {
    let transaction = connection.transaction()?;
    {
        let mut statement = transaction.prepare_cached(
            "INSERT INTO listings (id, source, title, city, price, surface, rooms)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)
             ON CONFLICT (id) DO UPDATE SET title = excluded.title, city = excluded.city,
                price = excluded.price, surface = excluded.surface, rooms = excluded.rooms",
        )?;
        for l in listings {
            statement.execute(params![l.id, l.source, l.title, l.city, l.price, l.surface, l.rooms])?;
        }
    }
    transaction.commit()
}

pub(super) fn search(search: &Search, connection: &Connection) -> Result<Vec<Listing>> {
    let mut statement = connection.prepare_cached(
        "SELECT * FROM listings
         WHERE (:city IS NULL OR city = :city COLLATE NOCASE)
           AND (:max_price IS NULL OR price <= :max_price)
           AND (:min_rooms IS NULL OR rooms >= :min_rooms)
         ORDER BY price, id LIMIT :rows",
    )?;
    let parameters = named_params! {
        ":city": search.city, ":max_price": search.max_price, ":min_rooms": search.min_rooms, ":rows": search.rows(),
    };
    statement.query_map(parameters, listing)?.collect()
}

pub(super) fn by_id(ById(id): &ById, connection: &Connection) -> Result<Option<Listing>> {
    connection.query_row("SELECT * FROM listings WHERE id = ?1", [id], listing).optional()
}

pub(super) fn count(_: Count, connection: &Connection) -> Result<i64> {
    connection.query_row("SELECT count(*) FROM listings", [], |row| row.get(0))
}
