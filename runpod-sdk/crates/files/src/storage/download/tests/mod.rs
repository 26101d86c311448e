//! Downloads from real servers on loopback. The test's own name server decides which of them stand for the public
//! internet.

mod archives;
mod files;
mod inner_addresses;
mod retries;
mod sizes;

use std::collections::HashMap;
use std::io;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;

use futures_util::future::BoxFuture;
use runpod_protocol::sync::Mutex;

use super::{Downloader, DownloaderBuilder};
use crate::storage::egress::{EgressPolicy, NameLookup};

/// Stands for a public address.
const PUBLIC: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);
/// Another one, where nothing listens.
const PUBLIC_BUT_DOWN: IpAddr = IpAddr::V4(Ipv4Addr::new(127, 0, 0, 9));
/// An inner address.
const INNER: IpAddr = IpAddr::V4(Ipv4Addr::new(127, 0, 0, 2));

/// A name server whose answers may change from one look-up to the next. The last answer stays.
#[derive(Default)]
struct Names {
    answers: HashMap<&'static str, Vec<Vec<IpAddr>>>,
    asked: Mutex<Vec<String>>,
}

impl Names {
    fn with(mut self, name: &'static str, answers: &[&[IpAddr]]) -> Self {
        self.answers
            .insert(name, answers.iter().map(|answer| answer.to_vec()).collect());
        self
    }

    fn asked(&self) -> Vec<String> {
        self.asked.lock().clone()
    }
}

impl NameLookup for Names {
    fn lookup(&self, name: String) -> BoxFuture<'static, io::Result<Vec<IpAddr>>> {
        let mut asked = self.asked.lock();
        let before = asked.iter().filter(|other| **other == name).count();
        let answer = self
            .answers
            .get(name.as_str())
            .and_then(|answers| answers.get(before).or(answers.last()))
            .cloned()
            .ok_or_else(|| io::Error::new(io::ErrorKind::NotFound, "no such name"));
        asked.push(name);
        Box::pin(std::future::ready(answer))
    }
}

/// The options of a downloader that uses these names.
fn options(names: &Arc<Names>) -> DownloaderBuilder {
    let egress = EgressPolicy::PublicAnd(vec![PUBLIC, PUBLIC_BUT_DOWN]);
    DownloaderBuilder::from_lookup(|_| None).inside(names.clone(), egress)
}

/// A downloader for which `files.example` is a public host.
fn downloader() -> Downloader {
    let names = Names::default().with("files.example", &[&[PUBLIC]]);
    options(&Arc::new(names)).build().unwrap()
}
