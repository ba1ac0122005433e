//! The store's operations in PostgreSQL, and the table that pairs each with its SQLite form.

use tokio_postgres::{Client, Error, Row};

use super::{ById, Count, Operation, Prepare, Upsert, sqlite};
use crate::listing::{Listing, Search};

fn listing(row: &Row) -> Result<Listing, Error> {
    Ok(Listing {
        id: row.try_get("id")?,
        source: row.try_get("source")?,
        title: row.try_get("title")?,
        city: row.try_get("city")?,
        price: row.try_get("price")?,
        surface: row.try_get("surface")?,
        rooms: row.try_get("rooms")?,
    })
}

impl Operation for Prepare {
    type Output = ();

    fn sqlite(self, connection: &mut rusqlite::Connection) -> rusqlite::Result<()> {
        sqlite::prepare(self, connection)
    }

    async fn postgres(self, client: &mut Client) -> Result<(), Error> {
        client
            .batch_execute(
                "CREATE TABLE IF NOT EXISTS listings (
                    id text PRIMARY KEY, source text NOT NULL, title text NOT NULL, city text NOT NULL,
                    price bigint NOT NULL, surface bigint NOT NULL, rooms bigint NOT NULL);
                CREATE INDEX IF NOT EXISTS listings_city_price ON listings (lower(city), price);
                CREATE INDEX IF NOT EXISTS listings_price ON listings (price);",
            )
            .await
    }
}

impl Operation for Upsert {
    type Output = ();

    fn sqlite(self, connection: &mut rusqlite::Connection) -> rusqlite::Result<()> {
        sqlite::upsert(self, connection)
    }

    async fn postgres(self, client: &mut Client) -> Result<(), Error> {
        let transaction = client.transaction().await?;
        let statement = transaction
            .prepare(
                "INSERT INTO listings (id, source, title, city, price, surface, rooms)
                 VALUES ($1, $2, $3, $4, $5, $6, $7)
                 ON CONFLICT (id) DO UPDATE SET title = excluded.title, city = excluded.city,
                    price = excluded.price, surface = excluded.surface, rooms = excluded.rooms",
            )
            .await?;
        for l in &self.0 {
            let row: [&(dyn tokio_postgres::types::ToSql + Sync); 7] =
                [&l.id, &l.source, &l.title, &l.city, &l.price, &l.surface, &l.rooms];
            transaction.execute(&statement, &row).await?;
        }
        transaction.commit().await
    }
}

impl Operation for Search {
    type Output = Vec<Listing>;

    fn sqlite(self, connection: &mut rusqlite::Connection) -> rusqlite::Result<Self::Output> {
        sqlite::search(&self, connection)
    }

    async fn postgres(self, client: &mut Client) -> Result<Self::Output, Error> {
        let rows = client
            .query(
                "SELECT * FROM listings
                 WHERE ($1::text IS NULL OR lower(city) = lower($1))
                   AND ($2::bigint IS NULL OR price <= $2)
                   AND ($3::bigint IS NULL OR rooms >= $3)
                 ORDER BY price, id LIMIT $4",
                &[&self.city, &self.max_price, &self.min_rooms, &self.rows()],
            )
            .await?;
        rows.iter().map(listing).collect()
    }
}

impl Operation for ById {
    type Output = Option<Listing>;

    fn sqlite(self, connection: &mut rusqlite::Connection) -> rusqlite::Result<Self::Output> {
        sqlite::by_id(&self, connection)
    }

    async fn postgres(self, client: &mut Client) -> Result<Self::Output, Error> {
        let row = client.query_opt("SELECT * FROM listings WHERE id = $1", &[&self.0]).await?;
        row.as_ref().map(listing).transpose()
    }
}

impl Operation for Count {
    type Output = i64;

    fn sqlite(self, connection: &mut rusqlite::Connection) -> rusqlite::Result<i64> {
        sqlite::count(self, connection)
    }

    async fn postgres(self, client: &mut Client) -> Result<i64, Error> {
        client.query_one("SELECT count(*) FROM listings", &[]).await?.try_get(0)
    }
}
