#![allow(dead_code, missing_docs, clippy::all)]
#[path = "../../vigie/src/flags/mod.rs"]
mod flags;
use exporters::Exporter as _;
use std::io::{Read, Write};
fn main() {
    let args: Vec<String> = std::env::args().skip(2).collect();
    let p = match flags::node_exporter::COMMAND.parse(&args) {
        Ok(flags::Outcome::Run(p)) => p,
        Ok(flags::Outcome::Print(t)) => {
            print!("{t}");
            return;
        }
        Err(e) => {
            eprintln!("{e}");
            std::process::exit(1);
        }
    };
    let values = p.values().map(|(n, v)| (n.to_owned(), v.to_vec()));
    let given = p.given().iter().map(|n| (*n).to_owned()).collect();
    let e = exporter_node::NodeExporter::new(&exporter_node::Flags::new(values, given), Default::default())
        .unwrap_or_else(|e| {
            eprintln!("{e}");
            std::process::exit(1)
        });
    let rt = tokio::runtime::Builder::new_multi_thread().build().unwrap();
    let l = std::net::TcpListener::bind(p.get("web.listen-address")).unwrap();
    for s in l.incoming() {
        let mut s = s.unwrap();
        let mut b = [0; 8192];
        let n = s.read(&mut b).unwrap_or(0);
        let t = String::from_utf8_lossy(&b[..n]).into_owned();
        let path = t.split(' ').nth(1).unwrap_or("/").to_owned();
        let q = path.split_once('?').map_or("", |x| x.1);
        let (st, body) = if path.starts_with("/metrics") {
            match rt.block_on(e.gather(&exporters::Query::parse(q))) {
                Ok(p) => (
                    200,
                    p.render()
                        + &format!(
                            "# HELP promhttp_metric_handler_errors_total x\n# TYPE promhttp_metric_handler_errors_total counter\npromhttp_metric_handler_errors_total{{cause=\"gathering\"}} {}\n",
                            p.errors()
                        ),
                ),
                Err(r) => (r.status, r.message),
            }
        } else {
            (200, "<a href=\"/metrics\">".into())
        };
        let _ =
            write!(s, "HTTP/1.1 {st} X\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}", body.len());
    }
}
