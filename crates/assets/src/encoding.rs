//! `Accept-Encoding`: which of the codings the build wrote a client takes, best first.

/// A representation of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Coding {
    Brotli,
    Gzip,
    Identity,
}

impl Coding {
    /// The file name's ending of this representation.
    pub(crate) fn suffix(self) -> Option<&'static str> {
        match self {
            Coding::Brotli => Some("br"),
            Coding::Gzip => Some("gz"),
            Coding::Identity => None,
        }
    }

    /// The value of `Content-Encoding`.
    pub(crate) fn header(self) -> Option<&'static str> {
        match self {
            Coding::Brotli => Some("br"),
            Coding::Gzip => Some("gzip"),
            Coding::Identity => None,
        }
    }
}

/// The acceptable codings: by the client's quality, then brotli before gzip. `Identity` is never listed: it is what is
/// left when nothing else fits, whatever the header says.
pub(crate) fn preferences(accept_encoding: Option<&str>) -> Vec<Coding> {
    let Some(header) = accept_encoding else { return Vec::new() };
    let mut found: Vec<(Coding, f32)> = [Coding::Brotli, Coding::Gzip]
        .into_iter()
        .filter_map(|c| quality(header, c).map(|q| (c, q)))
        .collect();
    // Stable: at equal quality brotli stays first.
    found.sort_by(|a, b| b.1.total_cmp(&a.1));
    found.into_iter().map(|(coding, _)| coding).collect()
}

fn quality(header: &str, coding: Coding) -> Option<f32> {
    let name = coding.header()?;
    let mut wildcard = None;
    for item in header.split(',') {
        let mut parts = item.split(';').map(str::trim);
        let token = parts.next().unwrap_or("");
        let q = parts
            .find_map(|p| p.strip_prefix("q=").or_else(|| p.strip_prefix("Q=")))
            .map_or(1.0, |q| q.parse().unwrap_or(0.0));
        if token.eq_ignore_ascii_case(name) {
            return (q > 0.0).then_some(q);
        }
        if token == "*" {
            wildcard = Some(q);
        }
    }
    wildcard.filter(|q| *q > 0.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(header: &str, expect: &[Coding]) {
        assert_eq!(preferences(Some(header)), expect, "{header}");
    }

    #[test]
    fn picks_by_quality() {
        use Coding::{Brotli, Gzip};
        check("gzip, deflate, br", &[Brotli, Gzip]);
        check("gzip;q=1.0, br;q=0.5", &[Gzip, Brotli]);
        check("br;q=0, gzip", &[Gzip]);
        check("*", &[Brotli, Gzip]);
        check("*;q=0", &[]);
        check("gzip;q=0, *", &[Brotli]);
        check("identity", &[]);
        check("", &[]);
        check(";;q=,br;q=x,GZIP ; q=0.3", &[Gzip]);
        assert_eq!(preferences(None), []);
    }
}
