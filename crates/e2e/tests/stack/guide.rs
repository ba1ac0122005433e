//! The calls of the guide: what a new user types first.

use anyhow::ensure;
use e2e::{http, prometheus, tools, wait_for};

use crate::support::{Quickened, SOON, Stack};

#[test]
fn the_calls_of_the_guide_answer() {
    let (Some(vigie), Some(real_estate)) = (tools::vigie(), tools::real_estate()) else { return };
    let quickened = Quickened::prepare("guide", &real_estate, &[]);
    let stack = Stack::start(&vigie, &quickened.directory, &quickened.alertmanager);

    wait_for("the target's health", SOON, || {
        let target = prometheus::target(&stack.prometheus, "real-estate-api")?;
        ensure!(target["health"] == "up", "{target}");
        Ok(())
    });
    let target = prometheus::target(&stack.prometheus, "real-estate-api").unwrap();
    assert_eq!(target["scrapeUrl"], format!("http://{}/metrics", quickened.application.address));
    assert_eq!(target["lastError"], "");

    assert_eq!(prometheus::number(&stack.prometheus, "up{job=\"real-estate-api\"}").unwrap(), 1.0);
    let config = prometheus::data(&stack.prometheus, "/api/v1/status/config").unwrap();
    let yaml = config["yaml"].as_str().unwrap();
    assert!(yaml.contains("job_name: real-estate-api"), "{yaml}");
    let rules = prometheus::data(&stack.prometheus, "/api/v1/rules").unwrap();
    assert_eq!(rules["groups"][0]["rules"][0]["name"], "HighErrorRate", "{rules}");

    // Version 1 of the API is what the guide names; it went in Alertmanager 0.27 and stays here.
    let alerts = http::get(&stack.alertmanager, "/api/v1/alerts").unwrap();
    assert_eq!(alerts.status, 200, "{}", alerts.text());
    assert_eq!(alerts.json().unwrap()["status"], "success");
    let alerts = http::get(&stack.alertmanager, "/api/v2/alerts").unwrap();
    assert_eq!(alerts.json().unwrap(), serde_json::json!([]));

    let login = http::get(&stack.dashboards, "/login").unwrap();
    assert_eq!(login.status, 200);
    assert!(login.header("content-type").is_some_and(|t| t.starts_with("text/html")), "{login:?}");
    assert!(login.text().contains("<html"), "{}", login.text());
    let health = http::get(&stack.dashboards, "/api/health").unwrap();
    assert_eq!(health.status, 200, "{}", health.text());

    for (address, path) in [
        (&stack.prometheus, "/-/healthy"),
        (&stack.prometheus, "/-/ready"),
        (&stack.prometheus, "/metrics"),
        (&stack.alertmanager, "/-/healthy"),
        (&stack.alertmanager, "/-/ready"),
    ] {
        let answer = http::get(address, path).unwrap();
        assert_eq!(answer.status, 200, "{address}{path}: {}", answer.text());
    }
    let page = http::request("GET", &stack.prometheus, "/", &[("Accept", "text/html")], b"").unwrap();
    assert!(matches!(page.status, 200 | 302 | 307), "the query page: {}", page.status);

    // Every panel of the four dashboards that can have data has some.
    let expressions = dashboard_expressions();
    assert!(expressions.len() > 20, "{expressions:?}");
    wait_for("data behind every panel", SOON, || {
        for expression in &expressions {
            let data = prometheus::query(&stack.prometheus, expression, None)?;
            let vector = prometheus::vector(&data)?;
            // As written it matches no labels, and nothing fails before the break.
            let empty = expression.starts_with("(listings_scraped_total") || expression.contains("5..");
            ensure!(empty || !vector.is_empty(), "`{expression}` has no series");
        }
        Ok(())
    });
}

fn dashboard_expressions() -> Vec<String> {
    let mut expressions = Vec::new();
    for entry in std::fs::read_dir(tools::example("dashboards")).unwrap() {
        let text = std::fs::read_to_string(entry.unwrap().path()).unwrap();
        let dashboard: serde_json::Value = serde_json::from_str(&text).unwrap();
        for panel in dashboard["panels"].as_array().unwrap() {
            for target in panel["targets"].as_array().unwrap() {
                expressions.push(target["expr"].as_str().unwrap().to_owned());
            }
        }
    }
    expressions
}
