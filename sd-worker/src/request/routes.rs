//! The routes that a job may call (`docs/protocol/webui-api.md` §2), and how they use the GPU.

use reqwest::Method;

use super::refusal_reason::RefusalReason;
use crate::settings::{fits, is_route, split_query};
use crate::webui::{Call, JobKind};

/// How a request uses the GPU.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum GpuUse {
    /// It renders with txt2img or img2img: pictures with seeds and infotexts. It needs a lease of the GPU.
    Render,
    /// It uses the GPU otherwise, or changes what is loaded. It needs a lease of the GPU, too.
    Other,
    /// It needs no GPU: it is answered while another request renders.
    Unneeded,
}

impl GpuUse {
    /// Whether the answer of a call has pictures, as far as it is known.
    pub(crate) fn gives_pictures(self, call: &Call) -> bool {
        const MORE: [&str; 3] = ["extra-single-image", "extra-batch-images", "/controlnet/detect"];
        self == Self::Render || MORE.iter().any(|name| is(name, path_of(&call.route)))
    }
}

/// The usual routes. Those without a prefix lie under `/sdapi/v1/`.
const ROUTES: &[(&str, &str, GpuUse)] = &[
    ("POST", "txt2img", GpuUse::Render),
    ("POST", "img2img", GpuUse::Render),
    ("POST", "extra-single-image", GpuUse::Other),
    ("POST", "extra-batch-images", GpuUse::Other),
    ("POST", "interrogate", GpuUse::Other),
    ("POST", "/controlnet/detect", GpuUse::Other),
    ("POST", "options", GpuUse::Other),
    ("POST", "refresh-checkpoints", GpuUse::Other),
    ("POST", "refresh-vae", GpuUse::Other),
    ("POST", "refresh-embeddings", GpuUse::Other),
    ("POST", "refresh-loras", GpuUse::Other),
    ("POST", "unload-checkpoint", GpuUse::Other),
    ("POST", "reload-checkpoint", GpuUse::Other),
    ("POST", "png-info", GpuUse::Unneeded),
    ("GET", "options", GpuUse::Unneeded),
    ("GET", "progress", GpuUse::Unneeded),
    ("GET", "samplers", GpuUse::Unneeded),
    ("GET", "schedulers", GpuUse::Unneeded),
    ("GET", "upscalers", GpuUse::Unneeded),
    ("GET", "latent-upscale-modes", GpuUse::Unneeded),
    ("GET", "sd-models", GpuUse::Unneeded),
    ("GET", "sd-vae", GpuUse::Unneeded),
    ("GET", "sd-modules", GpuUse::Unneeded),
    ("GET", "hypernetworks", GpuUse::Unneeded),
    ("GET", "face-restorers", GpuUse::Unneeded),
    ("GET", "realesrgan-models", GpuUse::Unneeded),
    ("GET", "prompt-styles", GpuUse::Unneeded),
    ("GET", "embeddings", GpuUse::Unneeded),
    ("GET", "loras", GpuUse::Unneeded),
    ("GET", "memory", GpuUse::Unneeded),
    ("GET", "scripts", GpuUse::Unneeded),
    ("GET", "script-info", GpuUse::Unneeded),
    ("GET", "extensions", GpuUse::Unneeded),
    ("GET", "/controlnet/version", GpuUse::Unneeded),
    ("GET", "/controlnet/settings", GpuUse::Unneeded),
    ("GET", "/controlnet/model_list", GpuUse::Unneeded),
    ("GET", "/controlnet/module_list", GpuUse::Unneeded),
    ("GET", "/controlnet/control_types", GpuUse::Unneeded),
];

/// Routes that exist and are refused, with the reason.
const REFUSED: &[(&str, RefusalReason)] = &[
    ("server-kill", RefusalReason::Dangerous),
    ("server-restart", RefusalReason::Dangerous),
    ("server-stop", RefusalReason::Dangerous),
    ("create/embedding", RefusalReason::Dangerous),
    ("create/hypernetwork", RefusalReason::Dangerous),
    ("train/embedding", RefusalReason::Dangerous),
    ("train/hypernetwork", RefusalReason::Dangerous),
    ("preprocess", RefusalReason::Dangerous),
    ("interrupt", RefusalReason::OtherJobs),
    ("skip", RefusalReason::OtherJobs),
    ("cmd-flags", RefusalReason::Secret),
    // SD.Next's log, with the prompts of other jobs.
    ("/sdapi/v1/log", RefusalReason::Secret),
    ("/internal/sysinfo", RefusalReason::Secret),
    ("/internal/sysinfo-download", RefusalReason::Secret),
];

/// Routes of other workers that fetch models.
const DOWNLOADS: [&str; 6] = [
    "/v1/download",
    "/v1/sync",
    "/download",
    "/sync",
    "download",
    "download-model",
];

const PREFIX: &str = "/sdapi/v1/";

/// The most bytes of a path and its query. What servers take as the head of a request is not much more.
pub(super) const LONGEST_ROUTE: usize = 8 << 10;

/// The routes that the worker's settings allow beside the usual ones.
#[derive(Debug, Clone, Default)]
pub(crate) struct AllowedRoutes(Vec<String>);

impl AllowedRoutes {
    /// Each is a path, or the beginning of one with `*` at its end.
    pub(crate) fn new(routes: &[String]) -> Self {
        Self(routes.iter().filter_map(|route| normal(route)).collect())
    }

    /// How a request to the route uses the GPU, or why it is refused.
    pub(super) fn gpu_use(&self, method: &Method, route: &str) -> Result<GpuUse, RefusalReason> {
        let path = path_of(route);
        if let Some((_, _, gpu_use)) = entries(path).find(|(known, _, _)| *known == method.as_str()) {
            return Ok(*gpu_use);
        }
        let refused = REFUSED.iter().find(|(name, _)| is_under_any_path(name, path));
        // A route that is refused with a reason has to be named in full: `/sdapi/*` does not open it.
        let is_allowed = |allowed: &String| match refused {
            Some(_) => allowed == path,
            None => fits(allowed, path),
        };
        if self.0.iter().any(is_allowed) {
            // How it uses the GPU is unknown. A GET hardly does.
            return Ok(if *method == Method::GET {
                GpuUse::Unneeded
            } else {
                GpuUse::Other
            });
        }
        if let Some((right, _, _)) = entries(path).next() {
            return Err(RefusalReason::WrongMethod(right));
        }
        if DOWNLOADS.iter().any(|name| is(name, path)) {
            return Err(RefusalReason::Download);
        }
        Err(refused.map_or(RefusalReason::Unknown, |(_, why)| *why))
    }
}

/// The usual route of this name under `/sdapi/v1/`.
pub(super) fn known(name: &str) -> Option<&'static str> {
    ROUTES
        .iter()
        .map(|(_, known, _)| *known)
        .find(|known| *known == name)
}

/// The method of a route that has only one.
pub(super) fn only_method(route: &str) -> Option<Method> {
    let mut methods = entries(path_of(route));
    let (method, _, _) = methods.next()?;
    if methods.next().is_some() {
        return None;
    }
    method.parse().ok()
}

/// The full form of a route: `txt2img`, `sdapi/v1/txt2img` and `/sdapi/v1/txt2img` are the same one. `None` for a text
/// that cannot be a path.
pub(super) fn normal(endpoint: &str) -> Option<String> {
    if !is_route(endpoint) {
        return None;
    }
    let trimmed = endpoint.trim_matches('/');
    let (path, _) = split_query(trimmed);
    let short = ROUTES
        .iter()
        .map(|(_, name, _)| *name)
        .chain(REFUSED.iter().map(|(name, _)| *name))
        .any(|name| name == path);
    Some(if short {
        format!("{PREFIX}{trimmed}")
    } else {
        format!("/{trimmed}")
    })
}

/// The kind of the WebUI's own job that a POST to the route begins.
pub(super) fn job_kind(route: &str) -> JobKind {
    match path_of(route).strip_prefix(PREFIX) {
        Some("txt2img") => JobKind::Txt2Img,
        Some("img2img") => JobKind::Img2Img,
        Some("extra-single-image" | "extra-batch-images") => JobKind::Extras,
        _ => JobKind::Nothing,
    }
}

/// Whether it is the path of a usual route.
pub(super) fn is_usual(path: &str) -> bool {
    entries(path).next().is_some()
}

fn entries(path: &str) -> impl Iterator<Item = &'static (&'static str, &'static str, GpuUse)> {
    ROUTES.iter().filter(move |(_, name, _)| is(name, path))
}

fn path_of(route: &str) -> &str {
    split_query(route).0
}

fn is(name: &str, path: &str) -> bool {
    if name.starts_with('/') {
        name == path
    } else {
        path.strip_prefix(PREFIX) == Some(name)
    }
}

/// Whether a path is that of the named route, also where the server is reached under a path of its own, and in any case.
fn is_under_any_path(name: &str, path: &str) -> bool {
    let full = if name.starts_with('/') {
        name.to_owned()
    } else {
        format!("{PREFIX}{name}")
    };
    path.to_ascii_lowercase().ends_with(&full)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_route_has_several_spellings() {
        for spelling in [
            "txt2img",
            "sdapi/v1/txt2img",
            "/sdapi/v1/txt2img",
            "/sdapi/v1/txt2img/",
        ] {
            assert_eq!(
                normal(spelling).as_deref(),
                Some("/sdapi/v1/txt2img"),
                "{spelling}"
            );
        }
        assert_eq!(
            normal("progress?skip_current_image=true").as_deref(),
            Some("/sdapi/v1/progress?skip_current_image=true")
        );
        assert_eq!(
            normal("controlnet/model_list").as_deref(),
            Some("/controlnet/model_list")
        );
    }

    #[test]
    fn the_job_of_a_route_is_known_by_its_whole_path_without_the_query() {
        for (route, begun) in [
            ("txt2img", JobKind::Txt2Img),
            ("txt2img?x=1", JobKind::Txt2Img),
            ("/sdapi/v1/img2img?a=/b", JobKind::Img2Img),
            ("extra-batch-images", JobKind::Extras),
            ("/agent-scheduler/v1/queue/txt2img", JobKind::Nothing),
            ("/my/route?next=/sdapi/v1/txt2img", JobKind::Nothing),
            ("options", JobKind::Nothing),
        ] {
            assert_eq!(job_kind(&normal(route).unwrap()), begun, "{route}");
        }
    }

    #[test]
    fn what_is_not_a_path_is_no_route() {
        for bad in [
            "",
            "/",
            "http://h/x",
            "a/../b",
            "a//b",
            "a b",
            "a#b",
            "a%2e",
            "@h/x",
            "a\nb",
            "ä",
        ] {
            assert_eq!(normal(bad), None, "{bad:?}");
        }
    }

    #[test]
    fn dangerous_and_unknown_routes_are_refused_unless_allowed() {
        let usual = AllowedRoutes::default();
        let post =
            |allowed: &AllowedRoutes, route: &str| allowed.gpu_use(&Method::POST, &normal(route).unwrap());
        assert_eq!(post(&usual, "server-kill"), Err(RefusalReason::Dangerous));
        assert_eq!(post(&usual, "train/embedding"), Err(RefusalReason::Dangerous));
        assert_eq!(post(&usual, "interrupt"), Err(RefusalReason::OtherJobs));
        assert_eq!(
            usual.gpu_use(&Method::GET, "/sdapi/v1/cmd-flags"),
            Err(RefusalReason::Secret)
        );
        assert_eq!(post(&usual, "/my/route"), Err(RefusalReason::Unknown));
        assert_eq!(post(&usual, "/samplers"), Err(RefusalReason::WrongMethod("GET")));
        let more = AllowedRoutes::new(&["server-restart".to_owned(), "/my/*".to_owned()]);
        assert_eq!(post(&more, "/sdapi/v1/server-restart"), Ok(GpuUse::Other));
        assert_eq!(post(&more, "/my/route"), Ok(GpuUse::Other));
        assert_eq!(more.gpu_use(&Method::GET, "/my/list"), Ok(GpuUse::Unneeded));
        assert_eq!(post(&more, "server-kill"), Err(RefusalReason::Dangerous));
    }

    #[test]
    fn a_route_that_holds_secrets_is_refused_in_every_spelling() {
        let usual = AllowedRoutes::default();
        let wide = AllowedRoutes::new(&[
            "/sdapi/*".to_owned(),
            "/webui/*".to_owned(),
            "/internal/*".to_owned(),
        ]);
        for spelling in [
            "cmd-flags",
            "/sdapi/v1/cmd-flags",
            "sdapi/v1/cmd-flags/",
            "//sdapi/v1/cmd-flags//",
            "cmd-flags?",
            "cmd-flags?x=1",
            "/sdapi/v1/cmd-flags?next=/sdapi/v1/samplers",
            "/sdapi/v1/CMD-FLAGS",
            "/SDAPI/V1/Cmd-Flags",
            "/webui/sdapi/v1/cmd-flags",
            "/internal/sysinfo",
            "/internal/sysinfo-download",
            "/webui/internal/sysinfo?attachment=true",
            "/sdapi/v1/log",
        ] {
            let route = normal(spelling).unwrap();
            for method in [Method::GET, Method::POST] {
                assert_eq!(
                    wide.gpu_use(&method, &route),
                    Err(RefusalReason::Secret),
                    "{spelling}"
                );
                assert!(usual.gpu_use(&method, &route).is_err(), "{spelling}");
            }
        }
        for spelling in [
            "cmd%2dflags",
            "%63md-flags",
            "/sdapi//v1/cmd-flags",
            "/sdapi/v1/./cmd-flags",
            "/sdapi/v1/x/../cmd-flags",
            "/sdapi\\v1\\cmd-flags",
            "cmd-flags#",
            "/sdapi/v1/cmd-flags\t",
            "/sdapi/v1/cmd\u{2010}flags",
        ] {
            assert_eq!(normal(spelling), None, "{spelling}");
        }
        // Another route, which no server has.
        assert_eq!(
            wide.gpu_use(&Method::GET, "/sdapi/v1/cmd-flags;x"),
            Ok(GpuUse::Unneeded)
        );
        assert_eq!(
            wide.gpu_use(&Method::POST, "/sdapi/v1/server-kill"),
            Err(RefusalReason::Dangerous)
        );
        let named = AllowedRoutes::new(&["cmd-flags".to_owned()]);
        assert_eq!(
            named.gpu_use(&Method::GET, "/sdapi/v1/cmd-flags"),
            Ok(GpuUse::Unneeded)
        );
    }

    #[test]
    fn the_page_lists_every_usual_route_and_no_other() {
        let page = include_str!("../../../docs/sd-worker-requests.md");
        let start = page.find("| routes | method |").unwrap();
        let mut listed = Vec::new();
        for row in page[start..]
            .lines()
            .skip(2)
            .take_while(|row| row.starts_with('|'))
        {
            let mut cells = row.split('|').skip(1);
            let (names, method) = (cells.next().unwrap(), cells.next().unwrap().trim());
            listed.extend(names.split('`').skip(1).step_by(2).map(|name| (method, name)));
        }
        let mut known: Vec<_> = ROUTES.iter().map(|(method, name, _)| (*method, *name)).collect();
        listed.sort_unstable();
        known.sort_unstable();
        assert_eq!(listed, known);
    }

    #[test]
    fn options_are_read_without_the_gpu_and_set_with_a_lease() {
        let usual = AllowedRoutes::default();
        assert_eq!(
            usual.gpu_use(&Method::GET, "/sdapi/v1/options"),
            Ok(GpuUse::Unneeded)
        );
        assert_eq!(
            usual.gpu_use(&Method::POST, "/sdapi/v1/options"),
            Ok(GpuUse::Other)
        );
        assert_eq!(only_method("/sdapi/v1/options"), None);
        assert_eq!(only_method("/sdapi/v1/samplers"), Some(Method::GET));
    }
}
