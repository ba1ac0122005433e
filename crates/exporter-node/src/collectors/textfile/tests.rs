//! Files of a directory, and the page they come to.

use std::fs;

use super::*;

/// The page's lines about files, with the directory's name as `DIR`.
fn page_of(files: &[(&str, &str)], before: impl Fn(&mut Page)) -> (String, usize) {
    let directory = tempfile::tempdir().unwrap();
    for (name, text) in files {
        fs::write(directory.path().join(name), text).unwrap();
    }
    let path = directory.path().display().to_string();
    let mut collector = TextFile { directories: vec![path.clone()] };
    let mut page = Page::new();
    before(&mut page);
    collector.update(&Paths::usual(), &mut page).unwrap();
    let text = page.render().replace(&path, "DIR");
    let own =
        |line: &&str| !line.contains("node_textfile_mtime") && !line.starts_with("# HELP node_textfile");
    let lines: Vec<&str> = text.lines().filter(own).filter(|l| !l.starts_with("# TYPE node_text")).collect();
    (lines.join("\n"), page.errors())
}

fn check(files: &[(&str, &str)], expect: &str) {
    let (text, errors) = page_of(files, |_| {});
    assert_eq!((text.as_str(), errors), (expect, 0));
}

#[test]
fn help_texts_are_made_and_unified() {
    check(
        &[
            ("a.prom", "a{x=\"1\"} 1\n"),
            ("b.prom", "# HELP a \n# TYPE a untyped\na{x=\"2\"} 2\n"),
            ("c.txt", "?"),
        ],
        "# HELP a Metric read from DIR/a.prom, DIR/b.prom\n# TYPE a untyped\na{x=\"1\"} 1\na{x=\"2\"} 2\nnode_textfile_scrape_error 0",
    );
    check(
        &[("a.prom", "a{x=\"1\"} 1\n"), ("b.prom", "# HELP a Of b.\na{x=\"2\"} 2\n")],
        "# HELP a Of b.\n# TYPE a untyped\na{x=\"1\"} 1\na{x=\"2\"} 2\nnode_textfile_scrape_error 0",
    );
    check(
        &[("a.prom", "# HELP a A.\na 1\n"), ("b.prom", "# HELP a B.\na{x=\"2\"} 2\n# HELP b B.\nb 1\n")],
        "# HELP a A.\n# TYPE a untyped\na 1\n# HELP b B.\n# TYPE b untyped\nb 1\nnode_textfile_scrape_error 1",
    );
}

#[test]
fn a_file_that_breaks_the_rules_costs_itself_only() {
    for wrong in ["b 1", "b 1 1000\n", "b{ 1\n", "b 1\nb{c=\"1\",c=\"1\"} 1\n"] {
        check(
            &[("a.prom", "# HELP a A.\na 1\n"), ("b.prom", wrong)],
            "# HELP a A.\n# TYPE a untyped\na 1\nnode_textfile_scrape_error 1",
        );
    }
    check(&[("empty.prom", "")], "node_textfile_scrape_error 0");
}

#[test]
fn missing_labels_are_empty() {
    check(
        &[("a.prom", "# HELP a S.\n# TYPE a summary\na{a=\"1\",quantile=\"0.5\"} 1\na_sum{b=\"2\"} 3\n")],
        "# HELP a S.\n# TYPE a summary\na{a=\"1\",b=\"\",quantile=\"0.5\"} 1\na_sum{a=\"1\",b=\"\"} 0\n\
         a_count{a=\"1\",b=\"\"} 0\na_sum{a=\"\",b=\"2\"} 3\na_count{a=\"\",b=\"2\"} 0\nnode_textfile_scrape_error 0",
    );
}

#[test]
fn what_collides_is_dropped_and_counted() {
    let before = |page: &mut Page| page.single("node_load1", "1m load average.", Kind::Gauge, 0.5);
    let own = "# HELP node_load1 1m load average.\n# TYPE node_load1 gauge\nnode_load1 0.5";
    for (text, more) in [
        ("node_load1 9\n", ""),
        ("# HELP node_load1 1m load average.\n# TYPE node_load1 gauge\nnode_load1 9\n", ""),
        ("# HELP node_load1 1m load average.\n# TYPE node_load1 counter\nnode_load1 9\n", ""),
        ("node_scrape_collector_success{collector=\"cpu\"} 0\n", ""),
        ("# HELP a A.\na 1\na 2\n", "# HELP a A.\n# TYPE a untyped\na 1\n"),
    ] {
        let got = page_of(&[("a.prom", text)], before);
        assert_eq!(got, (format!("{more}{own}\nnode_textfile_scrape_error 0"), 1), "{text}");
    }
}

#[test]
fn a_directory_that_is_not_there_is_an_error() {
    let mut collector = TextFile { directories: vec!["/no/such/directory".to_owned()] };
    let mut page = Page::new();
    collector.update(&Paths::usual(), &mut page).unwrap();
    assert!(page.render().contains("node_textfile_scrape_error 1\n"));
}
