//! `cargo xtask bench`.

pub(crate) struct Options {
    pub(crate) series: u64,
    pub(crate) targets: u64,
    pub(crate) interval: u64,
    pub(crate) warm_up: u64,
    pub(crate) duration: u64,
    pub(crate) one_by_one: bool,
    pub(crate) write: bool,
}

pub(crate) fn run(_: &Options) -> anyhow::Result<()> {
    anyhow::bail!("written next")
}
