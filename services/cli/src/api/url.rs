//! URLs of requests. Every part is escaped: a name can never reach another path.

use url::Url;

/// `base` with these path segments and this query.
pub(crate) fn request_url(base: &Url, path: &[&str], query: &[(&str, String)]) -> Url {
    let mut url = base.clone();
    if let Ok(mut segments) = url.path_segments_mut() {
        segments.pop_if_empty().extend(path);
    }
    if !query.is_empty() {
        url.query_pairs_mut().extend_pairs(query);
    }
    url
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_and_queries_are_escaped() {
        let base = Url::parse("http://h:8780/v1/p/").unwrap();
        let url = request_url(&base, &["trusts", "../a b?"], &[("k", "x&y".to_owned())]);
        assert_eq!(
            url.as_str(),
            "http://h:8780/v1/p/trusts/..%2Fa%20b%3F?k=x%26y"
        );
    }
}
