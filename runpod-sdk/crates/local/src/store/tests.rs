//! Corners of the state machine that are hard to reach over HTTP.

use std::time::Duration;

use bytes::Bytes;

use super::*;
use crate::received::PostedResult;
use crate::received::ReceivedJob;
use crate::settings::JobsOf;

const NOW: Duration = Duration::from_secs(100);

fn id(name: &str) -> JobId {
    name.into()
}

fn worker(name: &str) -> WorkerId {
    name.into()
}

fn store_with(jobs: &[&str]) -> Store {
    let mut store = Store::new(EndpointSettings::default());
    for name in jobs {
        submit(&mut store, name);
    }
    store
}

fn submit(store: &mut Store, name: &str) {
    let request = ReceivedJob::parse(&Bytes::from(r#"{"input":1}"#)).unwrap();
    store.submit(NOW, &id(name), Origin::Run, request).unwrap();
}

fn names(leases: &[Lease]) -> Vec<&str> {
    leases.iter().map(|lease| lease.id.as_str()).collect()
}

fn result(output: &'static str) -> PostedResult {
    PostedResult {
        output: Some(Bytes::from(output)),
        ..PostedResult::default()
    }
}

#[test]
fn jobs_whose_taker_is_gone_are_first_again_in_their_old_order() {
    let mut store = store_with(&["a", "b", "c"]);
    let leases = store.take(NOW, &worker("w1"), 2);
    assert_eq!(names(&leases), ["a", "b"]);
    store.put_back(NOW, &worker("w1"), &leases);
    assert_eq!(names(&store.take(NOW, &worker("w2"), 3)), ["a", "b", "c"]);
    // It was no fault of the jobs.
    assert_eq!(store.view(NOW, &id("a")).unwrap().retries, 0);
}

#[test]
fn the_jobs_of_a_dead_worker_are_first_again_and_have_lost_a_worker() {
    let mut store = store_with(&["a", "b", "c"]);
    let leases = store.take(NOW, &worker("w1"), 1);
    store.delivered(&worker("w1"), &leases);
    let later = NOW + Duration::from_secs(1);
    // Handed out, and not yet delivered.
    store.take(later, &worker("w1"), 1);
    store.worker_ended(later, "w1", JobsOf::Lost);
    assert_eq!(store.view(later, &id("a")).unwrap().retries, 1);
    assert!(store.workers(later).next().is_none());
    assert_eq!(names(&store.take(later, &worker("w2"), 3)), ["a", "b", "c"]);
    store.worker_ended(later, "w2", JobsOf::Lost);
    assert_eq!(store.view(later, &id("b")).unwrap().status, JobStatus::Failed);
    assert_eq!(store.violations(), []);
}

#[test]
fn replacing_a_worker_costs_its_jobs_nothing() {
    let mut store = store_with(&["a"]);
    for _ in 0..5 {
        store.take(NOW, &worker("w1"), 1);
        store.worker_ended(NOW, "w1", JobsOf::Replaced);
    }
    let view = store.view(NOW, &id("a")).unwrap();
    assert_eq!((view.status, view.retries), (JobStatus::InQueue, 0));
}

#[test]
fn a_hand_out_that_is_no_longer_current_is_not_put_back() {
    let mut store = store_with(&["a"]);
    let lease = store.take(NOW, &worker("w1"), 1);
    store.cancel(NOW, &id("a"));
    store.put_back(NOW, &worker("w1"), &lease);
    assert_eq!(store.view(NOW, &id("a")).unwrap().status, JobStatus::Cancelled);

    let mut store = store_with(&["a"]);
    let first = store.take(NOW, &worker("w1"), 1);
    let lost = NOW + Duration::from_secs(40);
    let second = store.take(lost, &worker("w1"), 1);
    store.put_back(lost, &worker("w1"), &first);
    assert_eq!(store.view(lost, &id("a")).unwrap().status, JobStatus::InProgress);
    store.put_back(lost, &worker("w1"), &second);
    assert_eq!(store.view(lost, &id("a")).unwrap().status, JobStatus::InQueue);
}

#[test]
fn a_stop_for_an_earlier_attempt_does_not_hit_the_next_one() {
    let mut store = Store::new(EndpointSettings::default().execution_timeout(Duration::from_secs(5)));
    submit(&mut store, "a");
    store.take(NOW, &worker("w1"), 1);
    let late = NOW + Duration::from_secs(6);
    store.retry(late, &id("a")).unwrap();
    store.take(late, &worker("w1"), 1);
    assert!(store.take_stops(late, &worker("w1")).is_empty());
}

#[test]
fn a_stop_that_could_not_be_told_is_told_the_next_time() {
    let mut store = store_with(&["a", "b"]);
    store.take(NOW, &worker("w1"), 2);
    store.cancel(NOW, &id("a"));
    let stops = store.take_stops(NOW, &worker("w1"));
    store.cancel(NOW, &id("b"));
    store.put_back_stops(&worker("w1"), stops);
    assert_eq!(store.take_stops(NOW, &worker("w1")), [id("a"), id("b")]);
}

#[test]
fn a_worker_is_only_held_to_jobs_that_reached_it() {
    let mut store = store_with(&["a"]);
    let leases = store.take(NOW, &worker("w1"), 1);
    store.worker_asks(NOW, &worker("w1"), false);
    assert!(store.violations().is_empty());
    store.delivered(&worker("w1"), &leases);
    store.worker_asks(NOW, &worker("w1"), false);
    assert_eq!(store.violations().len(), 1);
    store.finish(NOW, &worker("w1"), &id("a"), result("1"));
    store.worker_asks(NOW, &worker("w1"), false);
    assert_eq!(store.violations().len(), 1);
}

#[test]
fn unread_chunks_are_bounded() {
    let mut store = Store::new(EndpointSettings::default().max_unread_chunks(2));
    submit(&mut store, "a");
    store.take(NOW, &worker("w1"), 1);
    let post = |store: &mut Store| store.push_chunks(NOW, &worker("w1"), &id("a"), vec![Bytes::from("1")]);
    assert_eq!(
        [post(&mut store), post(&mut store), post(&mut store)],
        [Verdict::Accepted, Verdict::Accepted, Verdict::Backlog]
    );
    store.read_chunks(NOW, &id("a"));
    assert_eq!(post(&mut store), Verdict::Accepted);
}

#[test]
fn results_push_the_oldest_finished_jobs_out_of_a_full_memory() {
    let mut store = Store::new(EndpointSettings::default().max_bytes(60));
    for name in ["a", "b", "c"] {
        submit(&mut store, name);
        store.take(NOW, &worker("w1"), 1);
        let at = NOW + Duration::from_millis(u64::from(name.as_bytes()[0]));
        store.finish(at, &worker("w1"), &id(name), result("\"twenty bytes long\""));
    }
    let known = |store: &mut Store, name: &str| store.view(NOW, &id(name)).is_some();
    assert_eq!(
        ["a", "b", "c"].map(|name| known(&mut store, name)),
        [false, true, true]
    );
}

#[test]
fn an_ill_worker_counts_as_unhealthy_until_it_pings_again() {
    let mut store = store_with(&[]);
    store.unhealthy(NOW, &worker("w1"), "gpu: none".to_owned());
    assert_eq!(store.worker_counts(NOW).unhealthy, 1);
    store.ping(NOW, &worker("w1"), &[], None);
    assert_eq!(store.worker_counts(NOW).idle, 1);
    assert_eq!(store.worker_counts(NOW + Duration::from_secs(91)).idle, 0);
}

#[test]
fn a_job_that_a_fault_hands_out_twice_ends_with_its_first_result_and_blames_no_worker() {
    let mut store = store_with(&["a"]);
    let first = store.take(NOW, &worker("w1"), 1);
    store.delivered(&worker("w1"), &first);
    store.deliver_again(&id("a"));
    let second = store.take(NOW, &worker("w2"), 1);
    assert_eq!((names(&second), second[0].again), (vec!["a"], true));
    store.delivered(&worker("w2"), &second);
    let finish = |store: &mut Store, name, output| store.finish(NOW, &worker(name), &id("a"), result(output));
    assert_eq!(finish(&mut store, "w2", "2"), Verdict::Accepted);
    assert_eq!(finish(&mut store, "w1", "1"), Verdict::Discarded);
    assert_eq!(store.view(NOW, &id("a")).unwrap().output, Some("2".into()));

    store.deliver_again(&id("a"));
    assert_eq!(
        names(&store.take(NOW, &worker("w1"), 1)),
        ["a"],
        "once more after it is done"
    );
    assert_eq!(finish(&mut store, "w1", "3"), Verdict::Discarded);
    assert_eq!(store.view(NOW, &id("a")).unwrap().output, Some("2".into()));
    assert_eq!(store.violations(), []);
    assert!(store.workers(NOW).all(|(_, worker)| worker.held.is_empty()));
}

#[test]
fn the_second_holder_of_a_job_may_hang_up_and_a_cancel_reaches_both() {
    let mut store = store_with(&["a"]);
    let first = store.take(NOW, &worker("w1"), 1);
    store.delivered(&worker("w1"), &first);
    store.deliver_again(&id("a"));
    let second = store.take(NOW, &worker("w2"), 1);
    store.put_back(NOW, &worker("w2"), &second);
    assert_eq!(store.view(NOW, &id("a")).unwrap().status, JobStatus::InProgress);
    store.deliver_again(&id("a"));
    let second = store.take(NOW, &worker("w2"), 1);
    store.delivered(&worker("w2"), &second);
    store.cancel(NOW, &id("a"));
    for name in ["w1", "w2"] {
        assert_eq!(store.take_stops(NOW, &worker(name)), [id("a")], "{name}");
    }
}
