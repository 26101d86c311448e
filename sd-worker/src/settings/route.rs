//! What can be the path of one of the WebUI's routes.

/// Whether a text can be the path of a route, with or without slashes around it and a query behind it.
///
/// Schemes, hosts, escapes and steps to a parent are refused, so that a route never leads to another server.
pub(crate) fn is_route(text: &str) -> bool {
    let (path, query) = split_query(text.trim_matches('/'));
    let odd = |character: char| !character.is_ascii_graphic() || "\\#@:%".contains(character);
    let has_odd_part = path
        .split('/')
        .any(|part| part.is_empty() || part == "." || part == "..");
    let is_odd_query = query.contains(|character: char| !character.is_ascii_graphic() || character == '#');
    !path.is_empty() && !path.contains(odd) && !has_odd_part && !is_odd_query
}

/// Whether a name is the allowed one, or begins as one that has `*` at its end.
pub(crate) fn fits(allowed: &str, name: &str) -> bool {
    match allowed.strip_suffix('*') {
        Some(beginning) => name.starts_with(beginning),
        None => allowed == name,
    }
}

/// The path and the query of a route.
pub(crate) fn split_query(route: &str) -> (&str, &str) {
    route.split_once('?').unwrap_or((route, ""))
}
