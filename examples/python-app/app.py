"""The reference application as a Python team writes it: FastAPI and prometheus_client.

Run it with `uvicorn app:app --port 8000`. `/metrics` is a mounted application, so that a request for
it is redirected to `/metrics/`: a scraper has to follow.
"""

import random
import time

from fastapi import FastAPI, HTTPException, Request
from prometheus_client import Counter, Gauge, Histogram, make_asgi_app

REQUESTS = Counter("requests_total", "Total requests", ["method", "endpoint", "status"])
LATENCY = Histogram("request_duration_seconds", "Request duration", ["method", "endpoint"])
ACTIVE = Gauge("active_requests", "Requests being answered")
CONNECTIONS = Gauge("database_connections", "Open database connections")
SCRAPED = Counter("listings_scraped_total", "Listings scraped", ["source"])
ERRORS = Counter("errors_total", "Errors")
SCRAPING = Histogram("scraping_duration_seconds", "Scraping duration")

app = FastAPI(title="Real Estate Scraper")
app.mount("/metrics", make_asgi_app())

LISTINGS = {
    number: {"id": number, "city": city, "price": 90_000 + 17_500 * number}
    for number, city in enumerate(["Paris", "Lyon", "Bordeaux", "Nantes", "Lille"] * 4)
}


@app.middleware("http")
async def measure(request: Request, call_next):
    ACTIVE.inc()
    started = time.perf_counter()
    status = 500
    try:
        response = await call_next(request)
        status = response.status_code
        return response
    finally:
        route = request.scope.get("route")
        endpoint = getattr(route, "path", "unmatched")
        REQUESTS.labels(request.method, endpoint, str(status)).inc()
        LATENCY.labels(request.method, endpoint).observe(time.perf_counter() - started)
        if status >= 500:
            ERRORS.inc()
        ACTIVE.dec()


@app.get("/health")
async def health():
    return {"status": "ok"}


@app.get("/api/listings")
async def listings(city: str | None = None, max_price: int | None = None):
    CONNECTIONS.set(random.randint(1, 5))
    return [
        listing
        for listing in LISTINGS.values()
        if (city is None or listing["city"] == city) and (max_price is None or listing["price"] <= max_price)
    ]


@app.get("/api/listings/{number}")
async def listing(number: int):
    if number not in LISTINGS:
        raise HTTPException(status_code=404, detail="no such listing")
    return LISTINGS[number]


@app.post("/scrape/{source}")
async def scrape(source: str):
    with SCRAPING.time():
        found = random.randint(10, 50)
        SCRAPED.labels(source).inc(found)
    return {"found": found}


@app.get("/fail")
async def fail():
    raise RuntimeError("always")
