//! What is wrong with the directions of a crate's imports.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::fmt;
use std::path::PathBuf;

use crate::resolve;
use crate::source::{Module, ModuleId, Source};
use crate::table::Order;

/// One fault of a crate.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Finding {
    /// A top-level module that the table lacks.
    Unlisted { module: String, file: PathBuf },
    /// A module that the table names and the crate lacks.
    Missing { module: String },
    /// A module that the table names twice.
    Repeated { module: String },
    /// A pair that the table allows and that does not need it.
    NoPair { pair: [String; 2] },
    /// An import from a module that does not stand below.
    Upward { step: Step, reason: String },
    /// Neighbours in one directory that import each other, with the shortest way round.
    Circle { among: Vec<String>, steps: Vec<Step> },
}

/// An import that leads from one module to another.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Step {
    pub(crate) file: PathBuf,
    pub(crate) line: usize,
    pub(crate) from: String,
    pub(crate) to: String,
    /// The path as the code has it.
    pub(crate) path: String,
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            file,
            line,
            from,
            to,
            path,
        } = self;
        write!(f, "{}:{line}: {from} → {to} (`{path}`)", file.display())
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unlisted { module, file } => {
                write!(f, "{}: the table lacks the module {module}", file.display())
            }
            Self::Missing { module } => {
                write!(f, "the table names the module {module}, which does not exist")
            }
            Self::Repeated { module } => write!(f, "the table names the module {module} twice"),
            Self::NoPair { pair: [one, other] } => {
                write!(f, "the table has the pair {one}, {other}, which is no circle")
            }
            Self::Upward { step, reason } => write!(f, "{step}: {reason}"),
            Self::Circle { among, steps } => {
                write!(
                    f,
                    "a circle among {} neighbours, {}:",
                    among.len(),
                    among.join(", ")
                )?;
                steps.iter().try_for_each(|step| write!(f, "\n    {step}"))
            }
        }
    }
}

/// Checks a crate against its order.
pub(crate) fn of(source: &Source, order: &Order) -> Vec<Finding> {
    let mut findings = BTreeSet::new();
    list(source, order, &mut findings);
    let mut pairs = Pairs::new(order);
    let mut neighbours: BTreeMap<ModuleId, Graph> = BTreeMap::new();
    for (from, to, step) in steps(source) {
        let (above, below) = (source.lineage(from), source.lineage(to));
        let split = above
            .iter()
            .zip(&below)
            .take_while(|(one, other)| one == other)
            .count();
        let (Some(&one), Some(&other)) = (above.get(split), below.get(split)) else {
            // To the crate's root, which stands above all; or between a module and one inside it: one idea.
            if below.len() == 1 && above.len() > 1 {
                let reason = "the root of the crate stands above its modules".to_owned();
                findings.insert(Finding::Upward { step, reason });
            }
            continue;
        };
        let names = [&source.modules[one], &source.modules[other]].map(full_name);
        if pairs.has(&names) {
            continue;
        }
        if split > 1 {
            neighbours.entry(above[split - 1]).or_default().add(names, step);
        } else if let (Some(from), Some(to)) = (source.modules[from].top(), source.modules[to].top())
            && let Some(reason) = upward(order, from, to)
        {
            findings.insert(Finding::Upward { step, reason });
        }
    }
    findings.extend(neighbours.into_values().flat_map(|graph| graph.circles(&pairs)));
    findings.extend(pairs.unused());
    findings.into_iter().collect()
}

/// Compares the table's names with the crate's modules.
fn list(source: &Source, order: &Order, findings: &mut BTreeSet<Finding>) {
    let mut known = BTreeSet::new();
    for module in order.modules() {
        if !known.insert(module) {
            let module = module.to_owned();
            findings.insert(Finding::Repeated { module });
        }
    }
    let top = source.modules.iter().filter(|module| module.path.len() == 1);
    let present: BTreeSet<_> = top.clone().map(Module::name).collect();
    for module in top.filter(|module| !known.contains(module.name())) {
        findings.insert(Finding::Unlisted {
            module: module.name().to_owned(),
            file: module.file.clone(),
        });
    }
    for module in known.difference(&present) {
        let module = (*module).to_owned();
        findings.insert(Finding::Missing { module });
    }
}

/// Every import with its module and the modules that it leads to.
fn steps(source: &Source) -> Vec<(ModuleId, ModuleId, Step)> {
    let mut steps = Vec::new();
    for (id, module) in source.modules.iter().enumerate() {
        for mention in &module.mentions {
            for to in resolve::modules(source, id, &mention.path) {
                let step = Step {
                    file: module.file.clone(),
                    line: mention.line,
                    from: full_name(module),
                    to: full_name(&source.modules[to]),
                    path: mention.path.join("::"),
                };
                steps.push((id, to, step));
            }
        }
    }
    steps
}

/// Why one top-level module must not import from another; `None` where it may.
fn upward(order: &Order, from: &str, to: &str) -> Option<String> {
    // A module that the table lacks has a finding of its own.
    let (low, high) = (order.line_of(to)?, order.line_of(from)?);
    match low.cmp(&high) {
        std::cmp::Ordering::Less => None,
        std::cmp::Ordering::Equal => Some(format!("{to} and {from} share a line of the table")),
        std::cmp::Ordering::Greater => Some(format!("{to} stands above {from}")),
    }
}

fn full_name(module: &Module) -> String {
    if module.path.is_empty() {
        module.name().to_owned()
    } else {
        module.path.join("::")
    }
}

/// The pairs of the table, with the directions in which each was used.
#[derive(Debug)]
struct Pairs<'a> {
    pairs: Vec<(&'a [String; 2], BTreeSet<String>)>,
}

impl<'a> Pairs<'a> {
    fn new(order: &'a Order) -> Self {
        Self {
            pairs: order.pairs.iter().map(|pair| (pair, BTreeSet::new())).collect(),
        }
    }

    fn has(&mut self, names: &[String; 2]) -> bool {
        let found = self
            .pairs
            .iter_mut()
            .find(|(pair, _)| pair.contains(&names[0]) && pair.contains(&names[1]));
        if let Some((_, used)) = found {
            used.insert(names[0].clone());
            return true;
        }
        false
    }

    /// The first of a pair, which stands for both.
    fn first<'b>(&'b self, name: &'b str) -> &'b str {
        self.pairs
            .iter()
            .find(|(pair, _)| pair.iter().any(|one| one == name))
            .map_or(name, |(pair, _)| &pair[0])
    }

    fn unused(self) -> impl Iterator<Item = Finding> {
        let unused = self.pairs.into_iter().filter(|(_, used)| used.len() < 2);
        unused.map(|(pair, _)| Finding::NoPair { pair: pair.clone() })
    }
}

/// The imports among the modules of one directory.
#[derive(Debug, Default)]
struct Graph {
    /// One import for each pair of modules.
    steps: BTreeMap<[String; 2], Step>,
}

impl Graph {
    fn add(&mut self, names: [String; 2], step: Step) {
        self.steps.entry(names).or_insert(step);
    }

    /// The shortest circle through each module that is in one; each set of modules is reported once.
    fn circles(&self, pairs: &Pairs<'_>) -> Vec<Finding> {
        let mut edges: BTreeMap<&str, BTreeMap<&str, &Step>> = BTreeMap::new();
        for ([from, to], step) in &self.steps {
            edges
                .entry(pairs.first(from))
                .or_default()
                .entry(pairs.first(to))
                .or_insert(step);
        }
        let mut found: Vec<Finding> = Vec::new();
        let mut seen: BTreeSet<&str> = BTreeSet::new();
        for &start in edges.keys() {
            if seen.contains(start) {
                continue;
            }
            let members: BTreeSet<&str> = reached(&edges, start)
                .into_keys()
                .filter(|other| reached(&edges, other).contains_key(start))
                .collect();
            let shortest = members
                .iter()
                .filter_map(|member| way_round(&edges, member))
                .min_by_key(Vec::len);
            if let Some(steps) = shortest {
                let among = members.iter().map(|&member| member.to_owned()).collect();
                found.push(Finding::Circle { among, steps });
            }
            seen.extend(members);
        }
        found
    }
}

type Edges<'a> = BTreeMap<&'a str, BTreeMap<&'a str, &'a Step>>;

/// The modules that imports lead to from `start`, each with the module before it on the shortest way.
fn reached<'a>(edges: &Edges<'a>, start: &'a str) -> BTreeMap<&'a str, &'a str> {
    let mut before = BTreeMap::new();
    let mut queue = VecDeque::from([start]);
    while let Some(at) = queue.pop_front() {
        for &next in edges.get(at).into_iter().flat_map(BTreeMap::keys) {
            before.entry(next).or_insert_with(|| {
                queue.push_back(next);
                at
            });
        }
    }
    before
}

/// The shortest way from a module back to itself.
fn way_round(edges: &Edges<'_>, start: &str) -> Option<Vec<Step>> {
    let (&start, _) = edges.get_key_value(start)?;
    let before = reached(edges, start);
    let mut steps = Vec::new();
    let mut at = start;
    loop {
        let &from = before.get(at)?;
        steps.push((*edges.get(from)?.get(at)?).clone());
        at = from;
        if at == start {
            break;
        }
    }
    steps.reverse();
    Some(steps)
}
