use exporters::Exporter as _;
#[tokio::main]
async fn main() {
    let mut values = std::collections::BTreeMap::new();
    for e in exporter_node::TABLE {
        values.insert(e.flag.to_owned(), vec![e.on.to_string()]);
    }
    let mut given = vec![];
    for a in std::env::args().skip(1) {
        let (n, v) = a
            .split_once('=')
            .map(|(a, b)| (a.to_owned(), b.to_owned()))
            .unwrap_or((a.clone(), "true".into()));
        values.entry(n.clone()).or_insert_with(Vec::new).clear();
        values.get_mut(&n).unwrap().push(v);
        given.push(n);
    }
    let e = exporter_node::NodeExporter::new(&exporter_node::Flags::new(values, given), Default::default())
        .unwrap();
    let n = std::env::var("N").ok().and_then(|n| n.parse().ok()).unwrap_or(1);
    let t = std::time::Instant::now();
    let mut page = String::new();
    for _ in 0..n {
        page = e.gather(&Default::default()).await.unwrap().render();
    }
    eprintln!("{:?} each", t.elapsed() / n);
    print!("{page}");
}
