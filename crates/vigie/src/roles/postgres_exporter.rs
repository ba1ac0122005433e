//! The role of `postgres_exporter`.

use axum::Router;
use exporter_postgres::Options;

use super::exporter;
use crate::Failure;
use crate::flags::Parsed;

/// `vigie postgres-exporter`
pub(crate) fn main(flags: &Parsed) -> Result<(), Failure> {
    if flags.is_on("dumpmaps") {
        return Err(Failure::usage(
            "--dumpmaps: there are no maps to dump; a scrape shows each family with its type and description",
        ));
    }
    exporter::serve(flags, flags.all("web.listen-address"), "web.config.file", || router(flags))
}

/// All routes of the role. Within a runtime.
pub(crate) fn router(flags: &Parsed) -> Result<Router, Failure> {
    router_in(flags, &|variable| std::env::var(variable).ok())
}

/// The same in an environment.
pub(crate) fn router_in(
    flags: &Parsed,
    environment: &dyn Fn(&str) -> Option<String>,
) -> Result<Router, Failure> {
    let options = options(flags, environment)?;
    Ok(exporter_postgres::router(options, env!("CARGO_PKG_VERSION")))
}

/// What flags and environment say.
pub(crate) fn options(
    flags: &Parsed,
    environment: &dyn Fn(&str) -> Option<String>,
) -> Result<Options, Failure> {
    let build = super::prometheus::build_info();
    let labels = [
        ("version", build.version.as_str()),
        ("revision", &build.revision),
        ("branch", &build.branch),
        ("goversion", &build.go_version),
        ("goos", std::env::consts::OS),
        ("goarch", std::env::consts::ARCH),
    ];
    let options = Options::read(&|name| flags.get(name).to_owned(), environment)?;
    Ok(options.with_build(labels.map(|(name, value)| (name.to_owned(), value.to_owned())).to_vec()))
}
